package model

import (
	"cmp"
	"slices"
	"time"
)

// Recall fills in what was known before of the clusters and stores that have not
// answered yet, each section with the age it has: a start during an outage shows
// at once what was. Clusters are the same when name and kubeconfig's server are.
func (f *Facts) Recall(before Facts) {
	for i := range f.Clusters {
		c := &f.Clusters[i]
		for j := range before.Clusters {
			if old := &before.Clusters[j]; old.Name == c.Name && old.Configured == c.Configured {
				c.recall(old)
				f.recallStores(c.Name, before.Stores)
			}
		}
	}
}

// recallStores fills in what was in the cluster's buckets. A store's health is
// not recalled: it is asked for anew without anybody's leave.
func (f *Facts) recallStores(cluster string, before []StoreFacts) {
	for _, old := range before {
		if old.Cluster != cluster {
			continue
		}
		old.Health, old.MinIO, old.HealthAt = nil, nil, time.Time{}
		i := slices.IndexFunc(f.Stores, func(s StoreFacts) bool { return s.Cluster == cluster && s.Target == old.Target })
		if i < 0 { // nobody knows yet that it is there
			source := Source{Cluster: cluster, Name: old.Source.Name, Status: SourcePending, Optional: true}
			if source.recall(old.Source) {
				old.Source = source
				f.Stores = append(f.Stores, old)
			}
			continue
		}
		live := &f.Stores[i]
		if !live.Source.recall(old.Source) {
			continue
		}
		old.Source, old.Health, old.MinIO, old.HealthAt = live.Source, live.Health, live.MinIO, live.HealthAt
		old.Source.Items = len(old.Backups)
		*live = old
	}
}

func (f *ClusterFacts) recall(old *ClusterFacts) {
	f.Version = cmp.Or(f.Version, old.Version)
	f.API.recall(old.API)
	recall(&f.Nodes, old.Nodes)
	recall(&f.Leases, old.Leases)
	recall(&f.Pods, old.Pods)
	recall(&f.APIServers, old.APIServers)
	l, ol := &f.Longhorn, &old.Longhorn
	recall(&l.Volumes, ol.Volumes)
	recall(&l.Replicas, ol.Replicas)
	recall(&l.Engines, ol.Engines)
	recall(&l.Nodes, ol.Nodes)
	recall(&l.Backups, ol.Backups)
	recall(&l.BackupVolumes, ol.BackupVolumes)
	recall(&l.Targets, ol.Targets)
	recall(&l.Jobs, ol.Jobs)
	recall(&l.SystemBackups, ol.SystemBackups)
	recall(&l.Snapshots, ol.Snapshots)
	recall(&l.Settings, ol.Settings)
	recall(&f.EtcdSnapshots, old.EtcdSnapshots)
	recall(&f.PersistentVolumes, old.PersistentVolumes)
	recall(&f.Plans, old.Plans)
	for i := range f.Controllers {
		for _, s := range old.Controllers {
			if s.Source.Name == f.Controllers[i].Source.Name {
				recall(&f.Controllers[i], s)
			}
		}
	}
	for i := range f.Events {
		for _, s := range old.Events {
			if s.Source.Name == f.Events[i].Source.Name {
				recall(&f.Events[i], s)
			}
		}
	}
}

// recall gives a section that has nothing yet the items it had.
func recall[T any](live *Section[T], old Section[T]) {
	if live.Source.recall(old.Source) {
		live.Items = old.Items
		live.Source.Items = len(old.Items)
	}
}

// recall gives a source that never answered the age of its last answer. One that
// refuses, or is not there, has answered.
func (s *Source) recall(old Source) bool {
	if !s.ObservedAt.IsZero() || old.ObservedAt.IsZero() || s.Status != SourcePending && s.Status != SourceFailed {
		return false
	}
	s.ObservedAt, s.Remembered = old.ObservedAt, true
	if s.Status == SourceFailed {
		s.Status = SourceStale
	}
	return true
}

// Complete reports whether the facts of every cluster are worth remembering: its
// API answers, and everything else has been heard of.
func (f *Facts) Complete() bool {
	for i := range f.Clusters {
		c := &f.Clusters[i]
		if c.API.Status != SourceOK {
			return false
		}
		for _, s := range c.sources() {
			if !s.Status.Settled() {
				return false
			}
		}
	}
	return len(f.Clusters) > 0
}
