package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// disks gives every node of the builder a disk and the cluster a backup target
// with a nightly job.
func disks(b *builder) *LonghornFacts {
	f := &b.c.Longhorn
	for _, s := range []struct {
		source *Source
		name   string
	}{
		{&f.Volumes.Source, SourceVolumes}, {&f.Replicas.Source, SourceReplicas}, {&f.Engines.Source, SourceEngines}, {&f.Nodes.Source, SourceStorageNodes},
		{&f.Backups.Source, SourceBackups}, {&f.BackupVolumes.Source, SourceBackupVolumes}, {&f.Targets.Source, SourceBackupTargets},
		{&f.Jobs.Source, SourceRecurringJobs}, {&f.SystemBackups.Source, SourceSystemBackups}, {&f.Snapshots.Source, SourceSnapshots}, {&f.Settings.Source, SourceSettings},
	} {
		*s.source = okSource(s.name)
	}
	for _, n := range b.c.Nodes.Items {
		f.Nodes.Items = append(f.Nodes.Items, &StorageNode{Cluster: "test", Name: n.Name, Ready: true, Schedulable: true, Scheduling: true, Disks: []Disk{}})
	}
	f.Targets.Items = []*BackupTarget{{Cluster: "test", Name: "default", URL: "s3://b@r/", Available: true}}
	f.Jobs.Items = []*RecurringJob{{Cluster: "test", Name: "nightly", Task: "backup", Groups: []string{"default"}}}
	return f
}

// volume adds an attached volume with a good copy on each node and a backup of last night.
func (f *LonghornFacts) volume(claim string, nodes ...string) *VolumeFact {
	v := &VolumeFact{Cluster: "test", Name: "pvc-" + claim, PVC: claim, Namespace: "web", State: "attached", Robustness: "healthy", Wanted: len(nodes), Node: nodes[0], Created: ago(1000 * time.Hour)}
	e := &Engine{Cluster: "test", Name: v.Name + "-e-0", Volume: v.Name, Node: nodes[0], Active: true, State: "running", Modes: map[string]string{}, Rebuild: map[string]Rebuild{}, Restore: -1}
	for _, n := range nodes {
		r := &ReplicaFact{Cluster: "test", Name: v.Name + "-r-" + n, Volume: v.Name, Node: n, Active: true, HealthyAt: ago(100 * time.Hour), Address: "tcp://" + n}
		f.Replicas.Items = append(f.Replicas.Items, r)
		e.Modes[r.Name] = "RW"
	}
	f.Volumes.Items = append(f.Volumes.Items, v)
	f.Engines.Items = append(f.Engines.Items, e)
	f.Backups.Items = append(f.Backups.Items, &Backup{Cluster: "test", Name: "b-" + claim, Volume: v.Name, Target: "default", State: "Completed", SnapshotAt: ago(20 * time.Hour)})
	return v
}

func (f *LonghornFacts) replicaOn(node string) *ReplicaFact {
	return f.Replicas.Items[slices.IndexFunc(f.Replicas.Items, func(r *ReplicaFact) bool { return r.Node == node })]
}

func cut(b *builder, site string) {
	for _, n := range b.c.Nodes.Items {
		if n.Labels[zoneLabel] == site {
			n.Conditions[0].Status = string(corev1.ConditionUnknown)
		}
	}
}

func TestVolumes(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil   func(b *builder, f *LonghornFacts, v *VolumeFact)
		sev     Severity
		healthy int
		words   string
	}{
		"well": {func(*builder, *LonghornFacts, *VolumeFact) {}, OK, 3, ""},
		"a house dark": {func(b *builder, _ *LonghornFacts, _ *VolumeFact) { cut(b, "flacq") },
			Warning, 2, "2 of 3 copies healthy: one in flacq is lost"},
		"rebuilding": {func(_ *builder, f *LonghornFacts, _ *VolumeFact) {
			r := f.replicaOn("flacq-2")
			f.Engines.Items[0].Modes[r.Name], r.HealthyAt = "WO", time.Time{}
			f.Engines.Items[0].Rebuild[r.Address] = Rebuild{Running: true, Percent: 130}
		}, Warning, 2, "rebuilding 100 %"},
		"a replica failed": {func(_ *builder, f *LonghornFacts, _ *VolumeFact) { f.replicaOn("flacq-2").FailedAt = ago(time.Minute) }, Warning, 2, "2 of 3"},
		"faulted":          {func(_ *builder, _ *LonghornFacts, v *VolumeFact) { v.Robustness = "faulted" }, Critical, 3, "no good copy"},
		"all failed": {func(_ *builder, f *LonghornFacts, _ *VolumeFact) {
			for _, r := range f.Replicas.Items {
				r.FailedAt = ago(time.Minute)
			}
		}, Critical, 0, "no good copy"},
		"all houses gone": {func(b *builder, _ *LonghornFacts, _ *VolumeFact) { cut(b, "flacq"); cut(b, "moka"); cut(b, "curepipe") }, Critical, 0, "no copy can be reached"},
		// Longhorn says "unknown" of every detached volume; its copies tell.
		"detached": {func(_ *builder, f *LonghornFacts, v *VolumeFact) {
			v.State, v.Robustness, v.Node, f.Engines.Items[0].Modes = "detached", "unknown", "", nil
		}, OK, 3, ""},
		// Raising the count makes Longhorn call a volume degraded whose copies are all good.
		"one more wanted": {func(_ *builder, _ *LonghornFacts, v *VolumeFact) { v.Robustness, v.Wanted = "degraded", 4 }, Warning, 3, "3 of 4 copies"},
		"one house only": {func(_ *builder, f *LonghornFacts, _ *VolumeFact) {
			for i, r := range f.Replicas.Items {
				r.Node = []string{"moka-1", "moka-2", "moka-3"}[i]
			}
		}, Warning, 3, "all its good copies are in moka"},
		"replicas unread": {func(_ *builder, f *LonghornFacts, _ *VolumeFact) {
			f.Replicas = Section[ReplicaFact]{Source: Source{Cluster: "test", Name: SourceReplicas, Status: SourceForbidden}}
		},
			Unknown, 0, ""},
		"old backup": {func(_ *builder, f *LonghornFacts, _ *VolumeFact) { f.Backups.Items[0].SnapshotAt = ago(80 * time.Hour) }, Warning, 3, "3d old"},
		"failed backup": {func(_ *builder, f *LonghornFacts, _ *VolumeFact) {
			f.Backups.Items = append(f.Backups.Items, &Backup{Cluster: "test", Name: "x", Volume: "pvc-data", State: "Error", Error: "no space", Created: ago(time.Hour)})
		}, Warning, 3, "failed: no space"},
		"waiting backup": {func(_ *builder, f *LonghornFacts, _ *VolumeFact) {
			f.Backups.Items = append(f.Backups.Items, &Backup{Cluster: "test", Name: "x", Volume: "pvc-data", State: "Pending", Created: ago(20 * time.Minute)})
		}, Warning, 3, "has waited to begin for 20m"},
		"backup that is slow": {func(_ *builder, f *LonghornFacts, _ *VolumeFact) {
			f.Backups.Items = append(f.Backups.Items, &Backup{Cluster: "test", Name: "x", Volume: "pvc-data", State: "InProgress", Created: ago(5 * time.Hour)})
		}, OK, 3, ""},
		"an older failure": {func(_ *builder, f *LonghornFacts, _ *VolumeFact) {
			f.Backups.Items = append(f.Backups.Items, &Backup{Cluster: "test", Name: "x", Volume: "pvc-data", State: "Error", Created: ago(40 * time.Hour)})
		}, OK, 3, ""},
		"never backed up":  {func(_ *builder, f *LonghornFacts, _ *VolumeFact) { f.Backups.Items = nil }, Warning, 3, "never backed up"},
		"no target at all": {func(_ *builder, f *LonghornFacts, _ *VolumeFact) { f.Backups.Items, f.Targets.Items = nil, nil }, OK, 3, ""},
		"no job":           {func(_ *builder, f *LonghornFacts, _ *VolumeFact) { f.Jobs.Items = nil }, Warning, 3, "no job backs it up"},
		"another job":      {func(_ *builder, _ *LonghornFacts, v *VolumeFact) { v.Jobs = []string{"weekly"} }, Warning, 3, "no job backs it up"},
		"backups unread": {func(_ *builder, f *LonghornFacts, _ *VolumeFact) {
			f.Backups = Section[Backup]{Source: Source{Cluster: "test", Name: SourceBackups, Status: SourceForbidden}}
		},
			OK, 3, ""},
	} {
		b := houses()
		f := disks(b)
		v := f.volume("data", "moka-1", "flacq-2", "curepipe-3")
		tc.spoil(b, f, v)
		w := b.world()
		got := w.Volumes[0]
		if got.Severity() != tc.sev || got.Healthy != tc.healthy || !strings.Contains(strings.Join(got.Problems, "; "), tc.words) || (tc.words == "") != (len(got.Problems) == 0) {
			t.Errorf("%s: %s, %d healthy, %q", name, got.Severity(), got.Healthy, got.Problems)
		}
		if tc.sev != OK && w.Status < min(tc.sev, Warning) {
			t.Errorf("%s: nothing is said of it", name)
		}
	}
}

// Volumes that only miss their copy in a dark house are one finding; one that is
// left with a single house is its own.
func TestOneFindingForAHouse(t *testing.T) {
	b := houses()
	f := disks(b)
	f.volume("a", "moka-1", "flacq-1", "curepipe-1")
	f.volume("b", "moka-2", "flacq-2", "curepipe-2")
	f.volume("c", "moka-2", "flacq-2")
	cut(b, "flacq")
	texts := map[string]string{}
	for _, r := range b.world().Reasons {
		texts[r.Object] += r.Text + "\n"
	}
	if !strings.Contains(texts["site/flacq"], "2 volumes lack a copy each") || !strings.Contains(texts["volume/web/c"], "all its good copies are in moka") || texts["volume/web/a"] != "" {
		t.Errorf("%q", texts)
	}
}

// What Longhorn leaves alone because Kubernetes has it cordoned is one finding of its
// house; a disk that is full is its own.
func TestDisksThatTakeNoReplicas(t *testing.T) {
	b := houses()
	f := disks(b)
	for _, n := range b.c.Nodes.Items {
		n.Unschedulable = n.Labels[zoneLabel] == "moka"
	}
	for _, n := range f.Nodes.Items {
		d := Disk{Path: "/data", Ready: true, Scheduling: true}
		switch {
		case strings.HasPrefix(n.Name, "moka"):
			d.Reason = reasonCordoned
		case n.Name == "flacq-1":
			d.Reason = "DiskPressure"
		default:
			d.Schedulable = true
		}
		n.Disks = []Disk{d, d}
	}
	said := []string{}
	for _, r := range b.world().Reasons {
		said = append(said, r.Object+": "+r.Text)
	}
	slices.Sort(said)
	said = slices.Compact(said)
	if len(said) != 2 || !strings.HasPrefix(said[0], "site/moka: Longhorn puts no copies onto what is cordoned there: moka-1, moka-2") ||
		said[1] != "storage/flacq-1: disk /data takes no more replicas: DiskPressure" {
		t.Errorf("%q", said)
	}
}

func TestVolumesInADocument(t *testing.T) {
	b := houses()
	f := disks(b)
	f.volume("a", "moka-1", "flacq-1", "curepipe-1")
	f.Replicas.Items = append(f.Replicas.Items, &ReplicaFact{Cluster: "test", Name: "left-over", Volume: "gone", Node: "moka-1"})
	f.Settings.Items = []*Setting{{Cluster: "test", Name: "node-drain-policy", Value: "always-allow"}}
	doc, err := json.Marshal(b.world())
	if err != nil {
		t.Fatal(err)
	}
	facts, at, err := Read(strings.NewReader(string(doc)))
	if err != nil {
		t.Fatal(err)
	}
	w := Assemble(facts, at, Options{})
	again, err := json.Marshal(w)
	if err != nil || string(again) != string(doc) {
		t.Errorf("%v: the document came back changed:\n%s\n%s", err, doc, again)
	}
	if w.Setting("test", "node-drain-policy") != "always-allow" {
		t.Error("the settings are lost")
	}
}

func TestTooManySnapshots(t *testing.T) {
	b := houses()
	f := disks(b)
	f.volume("data", "moka-1", "flacq-1")
	for i := range manySnapshots {
		f.Snapshots.Items = append(f.Snapshots.Items, &Snapshot{Cluster: b.c.Name, Name: fmt.Sprint(i), Volume: f.Volumes.Items[0].Name, At: ago(time.Duration(i) * time.Hour), Size: 1, Ready: true})
	}
	w := b.world()
	v := w.Volumes[0]
	if s := v.Snapshots; s == nil || s.Count != manySnapshots || s.Size != manySnapshots || !s.Newest.Equal(ago(0)) {
		t.Errorf("%+v", s)
	}
	if got := told(w, v.Object()); !strings.Contains(got, "225 snapshots: Longhorn makes no more at 250") {
		t.Errorf("told %q", got)
	}
	f.Snapshots.Items = f.Snapshots.Items[1:]
	if got := told(b.world(), v.Object()); strings.Contains(got, "snapshots") {
		t.Errorf("told %q", got)
	}
}
