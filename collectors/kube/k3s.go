package kube

import (
	"context"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/geotop/geotop/model"
)

// k3s mirrors what only k3s has: the list of its etcd snapshots.
type k3s struct {
	group     *group
	snapshots *mirror[model.EtcdSnapshot]
}

func newK3s(a *api, cluster string) *k3s {
	return &k3s{
		group: &group{api: a, name: "k3s.cattle.io", version: "v1", none: "this is no k3s", other: "this k3s serves no k3s.cattle.io/v1"},
		snapshots: newMirror(a, kind[model.EtcdSnapshot]{
			source: model.SourceEtcdSnapshots, path: "/apis/k3s.cattle.io/v1/etcdsnapshotfiles", custom: true, optional: true,
			key:    func(s *model.EtcdSnapshot) key { return key{"", s.Object} },
			decode: customDecoder(func(o *custom[snapshotSpec, snapshotStatus]) *model.EtcdSnapshot { return etcdSnapshot(cluster, o) }),
		}),
	}
}

func (k *k3s) run(ctx context.Context) {
	if k.group.await(ctx) {
		k.snapshots.run(ctx)
	}
}

func (k *k3s) facts(server model.Source) model.Section[model.EtcdSnapshot] {
	return part(k.group, k.snapshots, server)
}

type snapshotSpec struct {
	SnapshotName, NodeName, Location string
	S3                               *struct{ Bucket, Endpoint string }
}

type snapshotStatus struct {
	Size         resource.Quantity
	CreationTime time.Time
	ReadyToUse   bool
	Error        *struct{ Message string }
}

func etcdSnapshot(cluster string, o *custom[snapshotSpec, snapshotStatus]) *model.EtcdSnapshot {
	s := &model.EtcdSnapshot{
		Cluster: cluster, Object: o.Metadata.Name, Name: o.Spec.SnapshotName, Node: o.Spec.NodeName, Location: model.Clean(o.Spec.Location, 300),
		Size: o.Status.Size.Value(), At: o.Status.CreationTime.UTC(), Ready: o.Status.ReadyToUse,
	}
	if s.At.IsZero() {
		s.At = o.Metadata.CreationTimestamp.UTC()
	}
	if o.Spec.S3 != nil {
		s.Bucket, s.Endpoint = o.Spec.S3.Bucket, o.Spec.S3.Endpoint
		if s.Node == "s3" { // how k3s calls what it only found in the bucket
			s.Node = ""
		}
	}
	if e := o.Status.Error; e != nil {
		s.Error = model.Clean(e.Message, 300)
	}
	s.Location, _, _ = strings.Cut(s.Location, "?") // no parameters, should there ever be any
	return s
}
