package kube

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/geotop/geotop/model"
)

// condition is Longhorn's own, whose times are strings.
type condition struct{ Type, Status, LastTransitionTime, Reason, Message string }

func conditions(list []condition) []model.Condition {
	out := make([]model.Condition, len(list))
	for i, c := range list {
		out[i] = model.Condition{Type: c.Type, Status: c.Status, Reason: c.Reason, Message: model.Clean(c.Message, 300), Since: at(c.LastTransitionTime)}
	}
	return out
}

func is(list []condition, kind, status string) *condition {
	for i := range list {
		if list[i].Type == kind && list[i].Status == status {
			return &list[i]
		}
	}
	return nil
}

// at reads a time that is a string, "" being none.
func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// number reads a number of bytes that is a string.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

type volumeSpec struct {
	Size                        string
	NumberOfReplicas            int
	NodeID                      string
	MigrationNodeID             string
	AccessMode                  string
	DataEngine                  string
	DataLocality                string
	ReplicaAutoBalance          string
	ReplicaZoneSoftAntiAffinity string
	StaleReplicaTimeout         int
	NodeSelector, DiskSelector  []string
	Image                       string
	Standby                     bool
	BackupTargetName            string
	DataLayout                  struct{ Type string }
}

type volumeStatus struct {
	State, Robustness        string
	CurrentNodeID            string
	CurrentImage             string
	ActualSize               int64
	LastBackup, LastBackupAt string
	LastDegradedAt           string
	Conditions               []condition
	IsStandby                bool
	RestoreRequired          bool
	ExpansionRequired        bool
	KubernetesStatus         struct {
		PvName, Namespace, PvcName string
		LastPVCRefAt, LastPodRefAt string
		WorkloadsStatus            []struct{ PodName, PodStatus, WorkloadName, WorkloadType string }
	}
}

const (
	jobLabel      = "recurring-job.longhorn.io/"
	jobGroupLabel = "recurring-job-group.longhorn.io/"
)

func (l *longhorn) volume(o *custom[volumeSpec, volumeStatus]) *model.VolumeFact {
	k := &o.Status.KubernetesStatus
	v := &model.VolumeFact{
		Cluster: l.cluster, Name: o.Metadata.Name, UID: o.Metadata.UID, Created: o.Metadata.CreationTimestamp.UTC(), Deleting: o.Metadata.DeletionTimestamp != nil,
		Size: number(o.Spec.Size), ActualSize: o.Status.ActualSize, Wanted: o.Spec.NumberOfReplicas, State: o.Status.State, Robustness: o.Status.Robustness,
		Node: o.Status.CurrentNodeID, AccessMode: o.Spec.AccessMode, DataEngine: o.Spec.DataEngine, DataLocality: o.Spec.DataLocality,
		AutoBalance: o.Spec.ReplicaAutoBalance, ZoneSoft: o.Spec.ReplicaZoneSoftAntiAffinity, StaleMinutes: o.Spec.StaleReplicaTimeout,
		NodeSelector: o.Spec.NodeSelector, DiskSelector: o.Spec.DiskSelector, Image: o.Spec.Image, CurrentImage: o.Status.CurrentImage,
		Migrating: o.Spec.MigrationNodeID, Standby: o.Spec.Standby || o.Status.IsStandby, Sharded: o.Spec.DataLayout.Type == "sharded",
		Restoring: o.Status.RestoreRequired, Expanding: o.Status.ExpansionRequired, Target: o.Spec.BackupTargetName,
		LastBackup: o.Status.LastBackup, LastBackupAt: at(o.Status.LastBackupAt), DegradedSince: at(o.Status.LastDegradedAt),
		Conditions: conditions(o.Status.Conditions), PV: k.PvName,
	}
	if o.Spec.NodeID != v.Node {
		v.NodeWanted = o.Spec.NodeID
	}
	if k.LastPVCRefAt == "" { // else the claim is history
		v.Namespace, v.PVC = k.Namespace, k.PvcName
	}
	v.PastUsers = k.LastPodRefAt != ""
	for _, u := range k.WorkloadsStatus {
		v.Users = append(v.Users, model.VolumeUser{Pod: u.PodName, Status: u.PodStatus, Workload: u.WorkloadName, Kind: u.WorkloadType})
	}
	for label, value := range o.Metadata.Labels {
		if name, ok := strings.CutPrefix(label, jobGroupLabel); ok && value == "enabled" {
			v.JobGroups = append(v.JobGroups, name)
		} else if name, ok := strings.CutPrefix(label, jobLabel); ok && value == "enabled" {
			v.Jobs = append(v.Jobs, name)
		}
	}
	slices.Sort(v.Jobs)
	slices.Sort(v.JobGroups)
	return v
}

type replicaSpec struct {
	VolumeName, EngineName, NodeID, DiskID string
	HealthyAt, FailedAt                    string
	RebuildRetryCount                      int
	EvictionRequested, Active              bool
}

type replicaStatus struct {
	CurrentState      string
	StorageIP         string
	Port              int
	EvictionRequested bool // before 1.10
	Conditions        []condition
}

func (l *longhorn) replica(o *custom[replicaSpec, replicaStatus]) *model.ReplicaFact {
	r := &model.ReplicaFact{
		Cluster: l.cluster, Name: o.Metadata.Name, UID: o.Metadata.UID, Created: o.Metadata.CreationTimestamp.UTC(), Deleting: o.Metadata.DeletionTimestamp != nil,
		Volume: o.Spec.VolumeName, Engine: o.Spec.EngineName, Node: o.Spec.NodeID, Disk: o.Spec.DiskID, State: o.Status.CurrentState,
		HealthyAt: at(o.Spec.HealthyAt), FailedAt: at(o.Spec.FailedAt), Retries: o.Spec.RebuildRetryCount, Active: o.Spec.Active,
		Evicting: o.Spec.EvictionRequested || o.Status.EvictionRequested,
	}
	if o.Status.StorageIP != "" {
		r.Address = "tcp://" + o.Status.StorageIP + ":" + strconv.Itoa(o.Status.Port)
	}
	if c := is(o.Status.Conditions, "RebuildFailed", "True"); c != nil {
		r.Failure = model.Clean(c.Reason+": "+c.Message, 300)
	}
	return r
}

type engineSpec struct {
	VolumeName, NodeID string
	Active             bool
}

type engineStatus struct {
	CurrentState   string
	ReplicaModeMap map[string]string
	RebuildStatus  map[string]struct {
		IsRebuilding bool
		Progress     int
		Error        string
	}
	RestoreStatus map[string]struct {
		IsRestoring bool
		Progress    int
	}
}

func (l *longhorn) engine(o *custom[engineSpec, engineStatus]) *model.Engine {
	e := &model.Engine{
		Cluster: l.cluster, Name: o.Metadata.Name, Volume: o.Spec.VolumeName, Node: o.Spec.NodeID, Active: o.Spec.Active,
		State: o.Status.CurrentState, Modes: o.Status.ReplicaModeMap, Restore: -1,
	}
	for address, b := range o.Status.RebuildStatus {
		if e.Rebuild == nil {
			e.Rebuild = map[string]model.Rebuild{}
		}
		e.Rebuild[address] = model.Rebuild{Running: b.IsRebuilding, Percent: b.Progress, Error: model.Clean(b.Error, 200)}
	}
	for _, r := range o.Status.RestoreStatus {
		if r.IsRestoring && (e.Restore < 0 || r.Progress < e.Restore) {
			e.Restore = r.Progress
		}
	}
	return e
}

type nodeSpec struct {
	AllowScheduling, EvictionRequested bool
	Tags                               []string
	Disks                              map[string]struct {
		Path                               string
		AllowScheduling, EvictionRequested bool
		StorageReserved                    int64
		Tags                               []string
	}
}

type nodeStatus struct {
	Zone         string
	AutoEvicting bool
	Conditions   []condition
	DiskStatus   map[string]struct {
		DiskUUID                                           string
		StorageMaximum, StorageAvailable, StorageScheduled int64
		Conditions                                         []condition
	}
}

func (l *longhorn) node(o *custom[nodeSpec, nodeStatus]) *model.StorageNode {
	n := &model.StorageNode{
		Cluster: l.cluster, Name: o.Metadata.Name, Zone: o.Status.Zone, Scheduling: o.Spec.AllowScheduling, Evicting: o.Spec.EvictionRequested,
		AutoEvict: o.Status.AutoEvicting, Tags: o.Spec.Tags, Disks: []model.Disk{},
	}
	n.Ready, n.Schedulable, n.Reason = fitness(o.Status.Conditions)
	for name, spec := range o.Spec.Disks {
		st := o.Status.DiskStatus[name]
		d := model.Disk{
			Name: name, UUID: st.DiskUUID, Path: spec.Path, Max: st.StorageMaximum, Available: st.StorageAvailable, Scheduled: st.StorageScheduled,
			Reserved: spec.StorageReserved, Scheduling: spec.AllowScheduling, Evicting: spec.EvictionRequested, Tags: spec.Tags,
		}
		d.Ready, d.Schedulable, d.Reason = fitness(st.Conditions)
		n.Disks = append(n.Disks, d)
	}
	slices.SortFunc(n.Disks, func(a, b model.Disk) int { return strings.Compare(a.Name, b.Name) })
	return n
}

// fitness reads the conditions Ready and Schedulable, and why either is false.
func fitness(list []condition) (ready, schedulable bool, reason string) {
	for _, c := range list {
		good := c.Status == "True"
		switch c.Type {
		case "Ready":
			ready = good
		case "Schedulable":
			schedulable = good
		default:
			continue
		}
		if !good && (reason == "" || c.Type == "Ready") {
			reason = model.Clean(cmp.Or(c.Message, c.Reason), 200)
		}
	}
	return ready, schedulable, reason
}

type backupSpec struct{ SnapshotName string }

type backupStatus struct {
	State, Error, Url             string //nolint:revive // as Longhorn spells it
	Progress                      int
	SnapshotName                  string
	SnapshotCreatedAt             string
	BackupCreatedAt, LastSyncedAt string
	Size, NewlyUploadDataSize     string
	VolumeName, BackupTargetName  string
	Messages                      map[string]string
}

const (
	backupVolumeLabel = "backup-volume"
	backupTargetLabel = "backup-target"
	defaultTarget     = "default" // the only one before 1.8
)

func (l *longhorn) backup(o *custom[backupSpec, backupStatus]) *model.Backup {
	st := &o.Status
	b := &model.Backup{
		Cluster: l.cluster, Name: o.Metadata.Name, Volume: cmp.Or(st.VolumeName, o.Metadata.Labels[backupVolumeLabel]),
		Target: cmp.Or(st.BackupTargetName, o.Metadata.Labels[backupTargetLabel], defaultTarget), State: st.State, Progress: st.Progress,
		Error: model.Clean(cmp.Or(st.Error, st.Messages["error"]), 300), Snapshot: cmp.Or(st.SnapshotName, o.Spec.SnapshotName),
		SnapshotAt: at(st.SnapshotCreatedAt), CreatedAt: at(st.BackupCreatedAt), SyncedAt: at(st.LastSyncedAt), Size: number(st.Size),
		Uploaded: number(st.NewlyUploadDataSize), URL: st.Url, Created: o.Metadata.CreationTimestamp.UTC(), Deleting: o.Metadata.DeletionTimestamp != nil,
	}
	return b
}

type backupVolumeSpec struct{ BackupTargetName, VolumeName string }

type backupVolumeStatus struct {
	LastBackupName, LastBackupAt, LastSyncedAt string
	Size, DataStored                           string
	Messages                                   map[string]string
}

func (l *longhorn) backupVolume(o *custom[backupVolumeSpec, backupVolumeStatus]) *model.BackupVolume {
	return &model.BackupVolume{
		Cluster: l.cluster, Name: o.Metadata.Name, Volume: cmp.Or(o.Spec.VolumeName, o.Metadata.Labels[backupVolumeLabel], o.Metadata.Name),
		Target: cmp.Or(o.Spec.BackupTargetName, o.Metadata.Labels[backupTargetLabel], defaultTarget), LastBackup: o.Status.LastBackupName,
		LastAt: at(o.Status.LastBackupAt), Size: number(o.Status.Size), Stored: number(o.Status.DataStored), SyncedAt: at(o.Status.LastSyncedAt),
		Message: model.Clean(o.Status.Messages["error"], 300),
	}
}

type targetSpec struct{ BackupTargetURL, CredentialSecret, PollInterval string }

type targetStatus struct {
	Available    bool
	LastSyncedAt string
	Conditions   []condition
}

func (l *longhorn) target(o *custom[targetSpec, targetStatus]) *model.BackupTarget {
	poll, _ := time.ParseDuration(o.Spec.PollInterval) // none when it cannot be read
	t := &model.BackupTarget{
		Cluster: l.cluster, Name: o.Metadata.Name, URL: model.Clean(o.Spec.BackupTargetURL, 300), Secret: o.Spec.CredentialSecret,
		PollSecs: poll.Seconds(), Available: o.Status.Available, SyncedAt: at(o.Status.LastSyncedAt),
	}
	if c := is(o.Status.Conditions, "Unavailable", "True"); c != nil {
		t.Message = model.Clean(cmp.Or(c.Message, c.Reason), 300)
	}
	return t
}

type jobSpec struct {
	Name, Task, Cron    string
	Groups              []string
	Retain, Concurrency int
}

type jobStatus struct{ ExecutionCount int }

func (l *longhorn) job(o *custom[jobSpec, jobStatus]) *model.RecurringJob {
	return &model.RecurringJob{
		Cluster: l.cluster, Name: o.Metadata.Name, Task: o.Spec.Task, Cron: o.Spec.Cron, Groups: o.Spec.Groups,
		Retain: o.Spec.Retain, Concurrency: o.Spec.Concurrency, Runs: o.Status.ExecutionCount,
	}
}

type systemBackupStatus struct {
	State, Version string
	CreatedAt      *time.Time
}

func (l *longhorn) systemBackup(o *custom[struct{}, systemBackupStatus]) *model.SystemBackup {
	b := &model.SystemBackup{Cluster: l.cluster, Name: o.Metadata.Name, State: o.Status.State, Version: o.Status.Version}
	if o.Status.CreatedAt != nil {
		b.Created = o.Status.CreatedAt.UTC()
	}
	return b
}

// setting reads a Setting, which has no spec: its value stands at the top.
func (l *longhorn) setting(raw []byte) (*model.Setting, string, error) {
	var o struct {
		Metadata customMeta
		Value    string
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, "", err
	}
	s := &model.Setting{Cluster: l.cluster, Name: o.Metadata.Name}
	if slices.Contains(model.SettingsUsed, s.Name) {
		s.Value = model.Clean(o.Value, 200)
	}
	return s, o.Metadata.ResourceVersion, nil
}

type snapshotFields struct{ Volume string }

type snapshotState struct {
	CreationTime, Error     string
	Size                    int64
	ReadyToUse, UserCreated bool
	MarkRemoved             bool
}

func (l *longhorn) snapshot(o *custom[snapshotFields, snapshotState]) *model.Snapshot {
	s := &model.Snapshot{
		Cluster: l.cluster, Name: o.Metadata.Name, Volume: o.Spec.Volume, At: at(o.Status.CreationTime), Size: max(0, o.Status.Size),
		Ready: o.Status.ReadyToUse, User: o.Status.UserCreated, Removing: o.Status.MarkRemoved || o.Metadata.DeletionTimestamp != nil,
		Error: model.Clean(o.Status.Error, 200),
	}
	if s.At.IsZero() {
		s.At = o.Metadata.CreationTimestamp.UTC()
	}
	return s
}
