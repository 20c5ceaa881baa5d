package model

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// stored gives the target's bucket, scanned a moment ago, with these backups read whole.
func stored(names ...string) StoreFacts {
	f := StoreFacts{Cluster: "test", Target: "default", Source: okSource(SourceStore + "/default"), Scanned: ago(time.Minute), Locks: []StoreLock{}}
	for _, n := range names {
		f.Backups = append(f.Backups, StoredBackup{Volume: "pvc-data", Name: n, Modified: ago(20 * time.Hour), Read: true, Done: true})
	}
	return f
}

func TestClaimsAreHeldAgainstTheBucket(t *testing.T) {
	for name, tc := range map[string]struct {
		store func() StoreFacts
		want  BackupState
		sev   Severity
	}{
		"there":        {func() StoreFacts { return stored("b-data") }, BackupVerified, OK},
		"not there":    {func() StoreFacts { return stored() }, BackupMissing, Critical},
		"only another": {func() StoreFacts { return stored("b-other") }, BackupMissing, Critical},
		"listed only": {func() StoreFacts {
			f := stored("b-data")
			f.Backups[0].Read = false
			return f
		}, BackupClaimed, OK},
		"damaged": {func() StoreFacts {
			f := stored("b-data")
			f.Backups[0].Read, f.Backups[0].Error = false, "its file is damaged"
			return f
		}, BackupUnreadable, Critical},
		"never finished": {func() StoreFacts {
			f := stored("b-data")
			f.Backups[0].Done = false
			return f
		}, BackupClaimed, Warning},
		"scanned before it was made": {func() StoreFacts {
			f := stored()
			f.Scanned = ago(20 * time.Hour)
			return f
		}, BackupClaimed, OK},
		"could not be looked at": {func() StoreFacts {
			f := stored()
			f.Source.Status, f.Source.ObservedAt, f.Scanned = SourceFailed, time.Time{}, time.Time{}
			return f
		}, BackupClaimed, Unknown},
		"read quorum lost": {func() StoreFacts {
			f := stored("b-data")
			f.Health = &StoreHealth{Writable: false, Readable: false}
			return f
		}, BackupVerified, Critical},
		"write quorum lost": {func() StoreFacts {
			f := stored("b-data")
			f.Health = &StoreHealth{Readable: true}
			return f
		}, BackupVerified, Warning},
	} {
		b := houses()
		disks(b).volume("data", "moka-1", "flacq-2", "curepipe-3")
		f := Facts{Clusters: []ClusterFacts{b.c}, Stores: []StoreFacts{tc.store()}}
		w := Assemble(f, moment, Options{})
		if got := w.Volumes[0].Backup.State; got != tc.want || w.Status != tc.sev {
			t.Errorf("%s: %s, want %s; status %s, want %s: %+v", name, got, tc.want, w.Status, tc.sev, w.Reasons)
		}
		doc, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		facts, at, err := Read(strings.NewReader(string(doc)))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := json.Marshal(Assemble(facts, at, Options{})); err != nil || string(again) != string(doc) {
			t.Errorf("%s: %v: the document came back changed:\n%s\n%s", name, err, doc, again)
		}
	}
}

// An unfinished backup is under way as long as somebody holds a lock.
func TestInterruptedBackups(t *testing.T) {
	f := stored("b-data", "b-begun")
	f.Backups[1].Done = false
	f.Locks = []StoreLock{{Volume: "pvc-data", Name: "lock-1.lck", Modified: ago(time.Minute)}}
	said := func() bool {
		b := houses()
		disks(b).volume("data", "moka-1", "flacq-2", "curepipe-3")
		w := Assemble(Facts{Clusters: []ClusterFacts{b.c}, Stores: []StoreFacts{f}}, moment, Options{})
		return slices.ContainsFunc(w.Reasons, func(r Reason) bool { return strings.Contains(r.Text, "1 interrupted backups in the bucket: b-begun") })
	}
	if said() {
		t.Error("a live lock stands for a backup under way")
	}
	f.Locks[0].Modified = ago(time.Hour)
	if !said() {
		t.Error("a dead lock does not")
	}
}
