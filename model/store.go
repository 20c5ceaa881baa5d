package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SourceStore is the group of the sources that are object stores; each is
// "store/" and the name of its backup target.
const SourceStore = "store"

// StoreFacts is what one object store holds, as seen in the bucket itself.
type StoreFacts struct {
	Cluster  string         `json:"cluster"`
	Target   string         `json:"target"`   // the BackupTarget it is of
	Endpoint string         `json:"endpoint"` // host:port
	TLS      bool           `json:"tls"`
	Bucket   string         `json:"bucket"`
	Prefix   string         `json:"prefix"` // in front of backupstore/
	Source   Source         `json:"-"`
	Backups  []StoredBackup `json:"backups"`
	Locks    []StoreLock    `json:"locks"`
	Objects  []StoredObject `json:"objects"`           // looked for besides backups: etcd snapshots
	Orphans  []string       `json:"orphans"`           // volumes that have blocks in the bucket and no backup
	Health   *StoreHealth   `json:"health"`            // null for a store that does not tell
	MinIO    *StoreCluster  `json:"minio"`             // null where our credentials do not suffice
	HealthAt time.Time      `json:"healthAt,omitzero"` // when it was asked, which needs no credentials
	Rules    *StoreRules    `json:"rules"`             // null where the store does not tell us
	// Scanned is when the last whole scan began: what is missing then is missing.
	Scanned time.Time `json:"scannedAt,omitzero"`
	Lists   int       `json:"listRequests"` // of the last scan
	Reads   int       `json:"readRequests"`

	stored map[string]*StoredBackup // by volume and name; set when joined
}

// StoredBackup is one backup_*.cfg in the bucket.
type StoredBackup struct {
	Volume   string    `json:"volume"`
	Name     string    `json:"name"`
	Modified time.Time `json:"modifiedAt"`
	Bytes    int64     `json:"bytes"` // of the file itself
	// Read is whether the file was read, beyond being listed: a store without its
	// read quorum still lists everything.
	Read       bool      `json:"read"`
	Done       bool      `json:"done"` // its CreatedTime is set: all of it was uploaded
	SnapshotAt time.Time `json:"snapshotAt,omitzero"`
	CreatedAt  time.Time `json:"createdAt,omitzero"`
	Size       int64     `json:"sizeBytes"`
	Error      string    `json:"error,omitempty"` // why it cannot be read
	// Blocks is what a look at its blocks found, which is taken only when asked for.
	Blocks *BlockCheck `json:"blocks,omitempty"`
}

// BlockCheck is what was found of a backup's blocks: its data.
type BlockCheck struct {
	At      time.Time `json:"at"`
	Blocks  int       `json:"blocks"` // it is made of, each counted once
	Missing int       `json:"missing"`
	Read    int       `json:"read"`    // and unpacked, and held against their checksums
	Damaged int       `json:"damaged"` // of those read
}

// StoreLock is a lock file; one older than 150 s is dead.
type StoreLock struct {
	Volume   string    `json:"volume"`
	Name     string    `json:"name"`
	Modified time.Time `json:"modifiedAt"`
}

// StoreHealth is what MinIO's health endpoints say without credentials.
type StoreHealth struct {
	Server      string `json:"server"`
	Writable    bool   `json:"writable"` // every erasure set has its write quorum
	Readable    bool   `json:"readable"`
	WriteQuorum int    `json:"writeQuorum"` // drives; 0 when not told
	ReadQuorum  int    `json:"readQuorum"`
}

// lockDead is when a lock that nobody renews stops counting.
const lockDead = 150 * time.Second

// addStore joins one store with the volumes whose backups it should hold.
func (w *World) addStore(f *StoreFacts, staleAfter time.Duration) {
	f.Source = f.Source.aged(w.At, staleAfter)
	w.Stores = append(w.Stores, f)
	w.placeServers(f)
	w.seeSnapshots(f)
	f.stored = make(map[string]*StoredBackup, len(f.Backups))
	for i := range f.Backups {
		b := &f.Backups[i]
		f.stored[b.Volume+"/"+b.Name] = b
	}
	for _, v := range w.Volumes {
		if v.Cluster == f.Cluster && cmp.Or(v.Target, "default") == f.Target && v.Backup.Name != "" {
			v.Backup.State, v.Backup.Error = f.seen(v.Name, v.Backup.Name, v.Backup.At)
		}
	}
}

// seen says what became of a backup that the cluster claims, and why it cannot
// be read. at is when it was made: what is newer than the scan may be there.
func (f *StoreFacts) seen(volume, name string, at time.Time) (state BackupState, trouble string) {
	switch b := f.stored[volume+"/"+name]; {
	case b != nil && b.Error != "":
		return BackupUnreadable, b.Error
	case b != nil && b.Read && b.Done:
		return BackupVerified, ""
	case b == nil && f.Scanned.After(at.Add(lockDead)) && f.Source.Holds():
		return BackupMissing, ""
	default:
		return BackupClaimed, ""
	}
}

// BackupSeen says how far a completed backup can be trusted.
func (w *World) BackupSeen(b *Backup) (state BackupState, trouble string) {
	for _, f := range w.Stores {
		if f.Cluster == b.Cluster && f.Target == b.Target {
			return f.seen(b.Volume, b.Name, b.At())
		}
	}
	return BackupClaimed, ""
}

// liveWords says what a store that cannot be looked into says of its health all
// the same.
func (f *StoreFacts) liveWords() string {
	switch h := f.Health; {
	case h == nil || !h.Readable: // which is a finding of its own
		return ""
	case h.Writable:
		return "; it answers, and can be read and written"
	default:
		return "; it answers, and can be read but not written"
	}
}

// BlocksSeen is what a look at a backup's blocks found; nil when none was taken.
func (w *World) BlocksSeen(b *Backup) *BlockCheck {
	for _, f := range w.Stores {
		if s := f.stored[b.Volume+"/"+b.Name]; s != nil && f.Cluster == b.Cluster && f.Target == b.Target {
			return s.Blocks
		}
	}
	return nil
}

// judgeStores reports stores that cannot be looked at or have lost a quorum, and
// what lies in them to no use.
func (w *World) judgeStores() {
	for _, f := range w.Stores {
		name := SourceStore + "/" + f.Target
		switch f.Source.Status {
		case SourceOK, SourcePending, SourceAbsent:
		default:
			w.reason(Unknown, f.Cluster, "", name, f.Source.Trouble()+f.liveWords())
		}
		if h := f.Health; h != nil && f.Source.Status != SourcePending {
			switch {
			case !h.Readable:
				w.reason(Critical, f.Cluster, "", name, "the object store has lost its read quorum: no backup can be read")
			case !h.Writable:
				w.reason(Warning, f.Cluster, "", name, "the object store has lost its write quorum: backups fail")
			}
		}
		w.judgeServers(f)
		w.judgeRules(f)
		if broken := w.interrupted(f); len(broken) > 0 {
			w.reason(Warning, f.Cluster, "", name, fmt.Sprintf("%d interrupted backups in the bucket: %s", len(broken), some(broken, 2)))
		}
		if len(f.Orphans) > 0 {
			w.Hints = append(w.Hints, fmt.Sprintf("blocks without any backup lie in bucket %s: of %s", f.Bucket, some(f.Orphans, 2)))
		}
	}
}

// interrupted lists backups that were begun long ago and that nobody goes on
// with: no live lock. They keep Longhorn from freeing their volume's blocks.
func (w *World) interrupted(f *StoreFacts) []string {
	live := map[string]bool{}
	for _, l := range f.Locks {
		if f.Scanned.Sub(l.Modified) < lockDead {
			live[l.Volume] = true
		}
	}
	names := []string{}
	for _, b := range f.Backups {
		if b.Read && !b.Done && !live[b.Volume] && f.Scanned.Sub(b.Modified) > time.Hour {
			names = append(names, b.Name)
		}
	}
	slices.Sort(names)
	return names
}

// StoreTargets lists the backup targets whose bucket can be looked at.
func (w *World) StoreTargets() []*BackupTarget {
	targets := []*BackupTarget{}
	for _, t := range w.BackupTargets {
		if strings.HasPrefix(t.URL, "s3://") {
			targets = append(targets, t)
		}
	}
	slices.SortFunc(targets, func(a, b *BackupTarget) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Name, b.Name))
	})
	return targets
}

// BackupNames lists the backups the cluster claims to have in a target, by volume.
func (w *World) BackupNames(cluster, target string) map[string][]string {
	names := map[string][]string{}
	for _, b := range w.Backups {
		if b.Cluster == cluster && b.Target == target && b.State == "Completed" {
			names[b.Volume] = append(names[b.Volume], b.Name)
		}
	}
	return names
}
