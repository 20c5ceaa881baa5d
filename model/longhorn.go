package model

import (
	"cmp"
	"strings"
	"time"
)

// Names of the sources that are Longhorn's custom resources (longhorn.io/v1beta2).
const (
	SourceVolumes       = "longhorn/volumes"
	SourceReplicas      = "longhorn/replicas"
	SourceEngines       = "longhorn/engines"
	SourceStorageNodes  = "longhorn/nodes"
	SourceBackups       = "longhorn/backups"
	SourceBackupVolumes = "longhorn/backupvolumes"
	SourceBackupTargets = "longhorn/backuptargets"
	SourceRecurringJobs = "longhorn/recurringjobs"
	SourceSystemBackups = "longhorn/systembackups"
	SourceSnapshots     = "longhorn/snapshots"
	SourceSettings      = "longhorn/settings"
)

// LonghornFacts is what Longhorn's custom resources of one cluster say.
type LonghornFacts struct {
	Volumes       Section[VolumeFact]
	Replicas      Section[ReplicaFact]
	Engines       Section[Engine]
	Nodes         Section[StorageNode]
	Backups       Section[Backup]
	BackupVolumes Section[BackupVolume]
	Targets       Section[BackupTarget]
	Jobs          Section[RecurringJob]
	SystemBackups Section[SystemBackup]
	Snapshots     Section[Snapshot]
	Settings      Section[Setting]
}

func (f *LonghornFacts) sources() []Source {
	return []Source{
		f.Volumes.Source, f.Replicas.Source, f.Engines.Source, f.Nodes.Source, f.Backups.Source, f.BackupVolumes.Source,
		f.Targets.Source, f.Jobs.Source, f.SystemBackups.Source, f.Snapshots.Source, f.Settings.Source,
	}
}

// VolumeFact is a Longhorn Volume.
type VolumeFact struct {
	Cluster       string       `json:"cluster"`
	Name          string       `json:"name"`
	UID           string       `json:"uid"`
	Created       time.Time    `json:"created"`
	Size          int64        `json:"sizeBytes"`
	ActualSize    int64        `json:"actualSizeBytes"` // of one copy; as of when its engine last ran
	Wanted        int          `json:"numberOfReplicas"`
	State         string       `json:"state"`      // attached, detached, attaching, ...
	Robustness    string       `json:"robustness"` // Longhorn's own word: arithmetic that holds only while attached
	Node          string       `json:"node"`       // where its engine runs
	NodeWanted    string       `json:"nodeWanted,omitempty"`
	AccessMode    string       `json:"accessMode,omitempty"`
	DataEngine    string       `json:"dataEngine,omitempty"`
	DataLocality  string       `json:"dataLocality,omitempty"`
	AutoBalance   string       `json:"replicaAutoBalance,omitempty"`
	ZoneSoft      string       `json:"replicaZoneSoftAntiAffinity,omitempty"`
	StaleMinutes  int          `json:"staleReplicaTimeoutMinutes,omitempty"`
	NodeSelector  []string     `json:"nodeSelector,omitempty"`
	DiskSelector  []string     `json:"diskSelector,omitempty"`
	Image         string       `json:"image,omitempty"`
	CurrentImage  string       `json:"currentImage,omitempty"`
	Migrating     string       `json:"migrationNode,omitempty"`
	Standby       bool         `json:"standby,omitempty"`
	Sharded       bool         `json:"sharded,omitempty"` // erasure coded: has no replicas
	Restoring     bool         `json:"restoring,omitempty"`
	Expanding     bool         `json:"expanding,omitempty"`
	Target        string       `json:"backupTarget,omitempty"`
	LastBackup    string       `json:"lastBackupName,omitempty"`
	LastBackupAt  time.Time    `json:"lastBackupSnapshotAt,omitzero"`
	DegradedSince time.Time    `json:"degradedSince,omitzero"`
	Jobs          []string     `json:"jobs,omitempty"`      // recurring jobs it names
	JobGroups     []string     `json:"jobGroups,omitempty"` // and groups of them
	Conditions    []Condition  `json:"conditions,omitempty"`
	PV            string       `json:"pv,omitempty"`
	Namespace     string       `json:"namespace"` // of its PVC
	PVC           string       `json:"pvc"`       // empty when none is bound to it now
	Users         []VolumeUser `json:"users,omitempty"`
	PastUsers     bool         `json:"pastUsers,omitempty"` // Users are history: no pod uses it now
	Deleting      bool         `json:"deleting,omitempty"`
}

// VolumeUser is a pod that uses a volume, and its direct owner
// (status.kubernetesStatus.workloadsStatus).
type VolumeUser struct {
	Pod      string `json:"pod"`
	Status   string `json:"status"`
	Workload string `json:"workload"`
	Kind     string `json:"kind"`
}

// ReplicaFact is a Longhorn Replica: one copy of a volume on one disk.
type ReplicaFact struct {
	Cluster   string    `json:"cluster"`
	Name      string    `json:"name"`
	UID       string    `json:"uid"`
	Volume    string    `json:"volume"`
	Engine    string    `json:"engine,omitempty"`
	Node      string    `json:"node"` // empty until scheduled
	Disk      string    `json:"disk"` // UUID
	State     string    `json:"state"`
	HealthyAt time.Time `json:"healthyAt,omitzero"` // cleared before a rebuild
	FailedAt  time.Time `json:"failedAt,omitzero"`
	Retries   int       `json:"rebuildRetries,omitempty"`
	Evicting  bool      `json:"evicting,omitempty"`
	Active    bool      `json:"active"`
	Address   string    `json:"address,omitempty"` // tcp://ip:port, the key of its rebuild status
	Deleting  bool      `json:"deleting,omitempty"`
	Created   time.Time `json:"created"`
	Failure   string    `json:"failure,omitempty"` // why its last rebuild failed
}

// Engine is a Longhorn Engine: the one that writes to a volume's replicas.
type Engine struct {
	Cluster string             `json:"cluster"`
	Name    string             `json:"name"`
	Volume  string             `json:"volume"`
	Node    string             `json:"node"`
	Active  bool               `json:"active"`
	State   string             `json:"state"`
	Modes   map[string]string  `json:"replicaModes,omitempty"` // by replica: RW, WO, ERR
	Rebuild map[string]Rebuild `json:"rebuild,omitempty"`      // by replica address
	// Restore is the slowest replica's progress of a restore, in per cent; -1 without one.
	Restore int `json:"restorePercent"`
}

// Rebuild is how far one replica's rebuild is.
type Rebuild struct {
	Running bool   `json:"running"`
	Percent int    `json:"percent"`
	Error   string `json:"error,omitempty"`
}

// StorageNode is a Longhorn Node: the disks of a machine.
type StorageNode struct {
	Cluster     string   `json:"cluster"`
	Name        string   `json:"name"`
	Zone        string   `json:"zone"`
	Scheduling  bool     `json:"allowScheduling"`
	Evicting    bool     `json:"evicting,omitempty"`
	AutoEvict   bool     `json:"autoEvicting,omitempty"`
	Ready       bool     `json:"ready"`
	Schedulable bool     `json:"schedulable"`
	Reason      string   `json:"reason,omitempty"` // why it is not ready or schedulable
	Tags        []string `json:"tags,omitempty"`
	Disks       []Disk   `json:"disks"`
}

// Disk is a disk of a StorageNode. All sizes are bytes.
type Disk struct {
	Name        string   `json:"name"`
	UUID        string   `json:"uuid"`
	Path        string   `json:"path"`
	Max         int64    `json:"maxBytes"`       // of its filesystem
	Available   int64    `json:"availableBytes"` // free now, whoever uses the rest
	Scheduled   int64    `json:"scheduledBytes"` // nominal sizes of what is placed on it
	Reserved    int64    `json:"reservedBytes"`
	Scheduling  bool     `json:"allowScheduling"`
	Evicting    bool     `json:"evicting,omitempty"`
	Ready       bool     `json:"ready"`
	Schedulable bool     `json:"schedulable"`
	Reason      string   `json:"reason,omitempty"`
	Tags        []string `json:"tags,omitempty"`
}

// Backup is a Longhorn Backup: what the cluster claims about one backup.
type Backup struct {
	Cluster    string    `json:"cluster"`
	Name       string    `json:"name"`
	Volume     string    `json:"volume"`
	Target     string    `json:"target"`
	State      string    `json:"state"` // "", Pending, InProgress, Completed, Error, Unknown, Deleting
	Progress   int       `json:"progressPercent"`
	Error      string    `json:"error,omitempty"`
	Snapshot   string    `json:"snapshot,omitempty"`
	SnapshotAt time.Time `json:"snapshotAt,omitzero"` // the moment its data are of
	CreatedAt  time.Time `json:"createdAt,omitzero"`  // when its upload ended
	SyncedAt   time.Time `json:"syncedAt,omitzero"`   // when it was last read back from the bucket
	Size       int64     `json:"sizeBytes"`
	Uploaded   int64     `json:"uploadedBytes"`
	URL        string    `json:"url,omitempty"`
	Created    time.Time `json:"created"` // of the custom resource
	Deleting   bool      `json:"deleting,omitempty"`
}

// At is the moment whose data the backup holds, as well as it is known.
func (b *Backup) At() time.Time {
	for _, t := range []time.Time{b.SnapshotAt, b.CreatedAt} {
		if !t.IsZero() {
			return t
		}
	}
	return b.Created
}

// BackupVolume is a Longhorn BackupVolume: all backups of one volume in one target.
type BackupVolume struct {
	Cluster    string    `json:"cluster"`
	Name       string    `json:"name"`
	Volume     string    `json:"volume"`
	Target     string    `json:"target"`
	LastBackup string    `json:"lastBackup"`
	LastAt     time.Time `json:"lastBackupAt,omitzero"`
	Size       int64     `json:"sizeBytes"`
	Stored     int64     `json:"storedBytes"`
	SyncedAt   time.Time `json:"syncedAt,omitzero"`
	Message    string    `json:"message,omitempty"`
}

// BackupTarget is a Longhorn BackupTarget: where backups go.
type BackupTarget struct {
	Cluster   string    `json:"cluster"`
	Name      string    `json:"name"`
	URL       string    `json:"url"`
	Secret    string    `json:"secret,omitempty"` // its name, never what is in it
	PollSecs  float64   `json:"pollSeconds"`
	Available bool      `json:"available"`
	Message   string    `json:"message,omitempty"`
	SyncedAt  time.Time `json:"syncedAt,omitzero"`
}

// RecurringJob is a Longhorn RecurringJob.
type RecurringJob struct {
	Cluster     string   `json:"cluster"`
	Name        string   `json:"name"`
	Task        string   `json:"task"`
	Cron        string   `json:"cron"`
	Groups      []string `json:"groups,omitempty"`
	Retain      int      `json:"retain"`
	Concurrency int      `json:"concurrency"`
	Runs        int      `json:"runs"`
}

// Backs reports whether the job makes backups of volumes.
func (j *RecurringJob) Backs() bool { return strings.HasPrefix(j.Task, "backup") }

// SystemBackup is a Longhorn SystemBackup: its own resources, in the bucket.
type SystemBackup struct {
	Cluster string    `json:"cluster"`
	Name    string    `json:"name"`
	State   string    `json:"state"`
	Version string    `json:"version"`
	Created time.Time `json:"createdAt,omitzero"`
}

// Snapshot is a Longhorn Snapshot: what a volume was at a moment, beside the
// volume itself, on the same disks.
type Snapshot struct {
	Cluster  string    `json:"cluster"`
	Name     string    `json:"name"`
	Volume   string    `json:"volume"`
	At       time.Time `json:"at"`
	Size     int64     `json:"sizeBytes"`
	Ready    bool      `json:"ready"`
	User     bool      `json:"userCreated"` // not by Longhorn itself, for a rebuild
	Removing bool      `json:"removing,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// Snapshots is what a volume has of them.
type Snapshots struct {
	Count  int       `json:"count"`
	Size   int64     `json:"sizeBytes"`
	Newest time.Time `json:"newestAt,omitzero"`
}

// manySnapshots is near the 250 at which Longhorn makes no more (its setting
// snapshot-max-count), and with them no more backups.
const manySnapshots = 225

// Setting is one of Longhorn's settings that geotop goes by.
type Setting struct {
	Cluster string `json:"cluster"`
	Name    string `json:"name"`
	Value   string `json:"value"` // from 1.10 on some are JSON by data engine
}

// SettingsUsed are the settings that are read; none of them is a secret.
var SettingsUsed = []string{
	"current-longhorn-version", "default-replica-count", "replica-zone-soft-anti-affinity", "replica-soft-anti-affinity", "replica-auto-balance",
	"replica-replenishment-wait-interval", "concurrent-replica-rebuild-per-node-limit", "node-drain-policy", SettingPodDeletion,
	"storage-over-provisioning-percentage", "storage-minimal-available-percentage", "engine-replica-timeout", "offline-replica-rebuilding",
	"allow-recurring-job-while-volume-detached", "disable-scheduling-on-cordoned-node", "auto-salvage",
}

// SettingPodDeletion names what Longhorn does about pods with its volumes on a
// machine that is down (node-down-pod-deletion-policy).
const SettingPodDeletion = "node-down-pod-deletion-policy"

// FreesBoth is the policy of ending pods of StatefulSets and of Deployments.
const FreesBoth = "delete-both-statefulset-and-deployment-pod"

// FreesPods says whose pods a policy ends.
func FreesPods(policy string) (statefulSets, deployments bool) {
	return policy == FreesBoth || policy == "delete-statefulset-pod", policy == FreesBoth || policy == "delete-deployment-pod"
}

// ReplicaHealth is geotop's one word for a replica.
type ReplicaHealth string

// The states of a replica.
const (
	ReplicaHealthy     ReplicaHealth = "healthy"     // in sync, or a good copy at rest
	ReplicaRebuilding  ReplicaHealth = "rebuilding"  // being written from the others
	ReplicaFailed      ReplicaHealth = "failed"      // lost its place; may be reused
	ReplicaUnknown     ReplicaHealth = "unknown"     // its machine gives no sign of life
	ReplicaUnscheduled ReplicaHealth = "unscheduled" // no disk was found for it
	ReplicaNew         ReplicaHealth = "new"         // never in sync yet
	ReplicaLeaving     ReplicaHealth = "leaving"     // being deleted
)

// Replica is a ReplicaFact joined with its engine and node.
type Replica struct {
	*ReplicaFact
	Site    string        `json:"site"`
	Health  ReplicaHealth `json:"health"`
	Healthy bool          `json:"healthy"`
	Percent int           `json:"rebuildPercent"` // of a rebuild under way
}

// newReplica judges one copy by what its engine says of it, the first that
// applies; a machine that is lost outranks what it said before.
func newReplica(f *ReplicaFact, e *Engine, n *Node) *Replica {
	r := &Replica{ReplicaFact: f}
	alive := false // a machine that is not known gives no sign of life either
	if n != nil {
		r.Site, alive = n.Site, n.Alive()
	}
	mode := ""
	if e != nil {
		mode = e.Modes[f.Name]
	}
	switch {
	case f.Deleting:
		r.Health = ReplicaLeaving
	case f.Node == "":
		r.Health = ReplicaUnscheduled
	case !f.FailedAt.IsZero():
		r.Health = ReplicaFailed
	case mode == "WO":
		r.Health = ReplicaRebuilding
		if b, ok := e.Rebuild[f.Address]; ok {
			r.Percent = max(0, min(b.Percent, 100)) // before 1.12 it could pass 100
		}
	case mode == "ERR":
		r.Health = ReplicaFailed
	case !alive:
		r.Health = ReplicaUnknown
	case mode == "RW":
		r.Health = ReplicaHealthy
	case f.HealthyAt.IsZero():
		r.Health = ReplicaNew
	default:
		r.Health = ReplicaHealthy
	}
	r.Healthy = r.Health == ReplicaHealthy
	return r
}

// Good reports whether the replica holds a whole copy, reachable now or not.
func (r *Replica) Good() bool {
	return r.Healthy || r.Health == ReplicaUnknown && !r.HealthyAt.IsZero()
}

// BackupState says how far a backup can be trusted.
type BackupState string

// The states of a volume's newest backup.
const (
	BackupNone     BackupState = "none"     // there is none
	BackupClaimed  BackupState = "claimed"  // the custom resource says so
	BackupVerified BackupState = "verified" // its objects were seen in the bucket
	BackupMissing  BackupState = "missing"  // the custom resource says so, the bucket does not have it
	BackupUnknown  BackupState = "unknown"  // could not be looked at
	// BackupUnreadable is in the bucket, and reading it fails.
	BackupUnreadable BackupState = "unreadable"
)

// LastBackup is the newest whole backup of a volume.
type LastBackup struct {
	Name  string      `json:"name"`
	At    time.Time   `json:"at,omitzero"` // the moment its data are of
	State BackupState `json:"state"`
	Size  int64       `json:"sizeBytes"`
	Error string      `json:"error,omitempty"`
}

// Volume is a VolumeFact joined with its copies, backups and users.
type Volume struct {
	*VolumeFact
	Site     string     `json:"site"`     // of its engine
	Replicas []*Replica `json:"replicas"` // by site and node
	Healthy  int        `json:"healthy"`
	Sites    []string   `json:"sites"` // that hold a healthy copy
	Backup   LastBackup `json:"lastBackup"`
	Running  *Backup    `json:"runningBackup,omitempty"`
	// Snapshots are null when nobody could read them.
	Snapshots *Snapshots `json:"snapshots"`
	Failed    *Backup    `json:"failedBackup,omitempty"` // newer than the last whole one
	Workload  string     `json:"workload"`               // the owner at the top: "StatefulSet/db/postgres"
	Problems  []string   `json:"problems,omitempty"`
	severity  Severity
	lacks     string // the gone site that has its missing copy, when that is all that is wrong
}

// Object names the volume in reasons: by its claim where it has one.
func (v *Volume) Object() string {
	if v.PVC != "" {
		return "volume/" + v.Namespace + "/" + v.PVC
	}
	return "volume/" + v.Name
}

// Title is what people call the volume.
func (v *Volume) Title() string { return cmp.Or(v.PVC, v.Name) }

// Severity ranks the volume.
func (v *Volume) Severity() Severity { return v.severity }

// Attached reports whether an engine runs, or should, for the volume.
func (v *Volume) Attached() bool { return v.State == "attached" }

// Rebuilding gives the slowest rebuild's progress in per cent, or -1.
func (v *Volume) Rebuilding() int {
	slowest := -1
	for _, r := range v.Replicas {
		if r.Health == ReplicaRebuilding && (slowest < 0 || r.Percent < slowest) {
			slowest = r.Percent
		}
	}
	return slowest
}

// problem notes what is wrong with the volume.
func (v *Volume) problem(sev Severity, text string) {
	v.severity = max(v.severity, sev)
	v.Problems = append(v.Problems, text)
}
