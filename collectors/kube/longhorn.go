package kube

import (
	"context"
	"strings"
	"sync"

	"github.com/geotop/geotop/model"
)

const (
	longhornGroup     = "longhorn.io"
	longhornVersion   = "v1beta2" // the only one since 1.3 that all have
	longhornNamespace = "longhorn-system"
)

// longhorn mirrors Longhorn's custom resources, where the cluster serves them.
type longhorn struct {
	api       *api
	group     *group
	cluster   string
	namespace string

	volumes       *mirror[model.VolumeFact]
	replicas      *mirror[model.ReplicaFact]
	engines       *mirror[model.Engine]
	nodes         *mirror[model.StorageNode]
	backups       *mirror[model.Backup]
	backupVolumes *mirror[model.BackupVolume]
	targets       *mirror[model.BackupTarget]
	jobs          *mirror[model.RecurringJob]
	systemBackups *mirror[model.SystemBackup]
	snapshots     *mirror[model.Snapshot]
	settings      *mirror[model.Setting]
}

func newLonghorn(a *api, cluster, namespace string) *longhorn {
	if namespace == "" {
		namespace = longhornNamespace
	}
	l := &longhorn{api: a, cluster: cluster, namespace: namespace, group: &group{
		api: a, name: longhornGroup, version: longhornVersion, none: "Longhorn is not installed",
		other: "this Longhorn serves no " + longhornGroup + "/" + longhornVersion + ": it is older than 1.3",
	}}
	l.volumes = longhornKind(l, model.SourceVolumes, l.volume, func(v *model.VolumeFact) string { return v.Name })
	l.replicas = longhornKind(l, model.SourceReplicas, l.replica, func(r *model.ReplicaFact) string { return r.Name })
	l.engines = longhornKind(l, model.SourceEngines, l.engine, func(e *model.Engine) string { return e.Name })
	l.nodes = longhornKind(l, model.SourceStorageNodes, l.node, func(n *model.StorageNode) string { return n.Name })
	l.backups = longhornKind(l, model.SourceBackups, l.backup, func(b *model.Backup) string { return b.Name })
	l.backupVolumes = longhornKind(l, model.SourceBackupVolumes, l.backupVolume, func(v *model.BackupVolume) string { return v.Name })
	l.targets = longhornKind(l, model.SourceBackupTargets, l.target, func(t *model.BackupTarget) string { return t.Name })
	l.jobs = longhornKind(l, model.SourceRecurringJobs, l.job, func(j *model.RecurringJob) string { return j.Name })
	l.systemBackups = longhornKind(l, model.SourceSystemBackups, l.systemBackup, func(b *model.SystemBackup) string { return b.Name })
	l.snapshots = longhornKind(l, model.SourceSnapshots, l.snapshot, func(s *model.Snapshot) string { return s.Name })
	l.settings = newMirror(a, kind[model.Setting]{
		source: model.SourceSettings, path: l.path(model.SourceSettings), custom: true, optional: true,
		key: func(s *model.Setting) key { return key{"", s.Name} }, decode: l.setting,
	})
	return l
}

func (l *longhorn) path(source string) string {
	_, plural, _ := strings.Cut(source, "/")
	return "/apis/" + longhornGroup + "/" + longhornVersion + "/namespaces/" + l.namespace + "/" + plural
}

func longhornKind[S, T, V any](l *longhorn, source string, convert func(*custom[S, T]) *V, name func(*V) string) *mirror[V] {
	return newMirror(l.api, kind[V]{
		source: source, path: l.path(source), custom: true, decode: customDecoder(convert),
		key: func(v *V) key { return key{"", name(v)} },
	})
}

// run mirrors once Longhorn is there, until ctx ends.
func (l *longhorn) run(ctx context.Context) {
	if !l.group.await(ctx) {
		return
	}
	var wg sync.WaitGroup
	for _, run := range []func(context.Context){
		l.volumes.run, l.replicas.run, l.engines.run, l.nodes.run, l.backups.run, l.backupVolumes.run, l.targets.run, l.jobs.run, l.systemBackups.run, l.snapshots.run, l.settings.run,
	} {
		wg.Go(func() { run(ctx) })
	}
	wg.Wait()
}

func (l *longhorn) facts(server model.Source) model.LonghornFacts {
	g := l.group
	return model.LonghornFacts{
		Volumes: part(g, l.volumes, server), Replicas: part(g, l.replicas, server), Engines: part(g, l.engines, server),
		Nodes: part(g, l.nodes, server), Backups: part(g, l.backups, server), BackupVolumes: part(g, l.backupVolumes, server),
		Targets: part(g, l.targets, server), Jobs: part(g, l.jobs, server), SystemBackups: part(g, l.systemBackups, server),
		Snapshots: part(g, l.snapshots, server), Settings: part(g, l.settings, server),
	}
}
