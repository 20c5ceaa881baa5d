package actions

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
)

const (
	opBackup = "backup"

	argTry = "try" // counts backups of the step that came to nothing

	// snapshotPatience is Longhorn's own for a snapshot; uploadPatience is for how
	// long an upload may stand still: changed blocks of a large volume take long to find.
	snapshotPatience = 390 * time.Second
	uploadPatience   = 30 * time.Minute
	// verifyPatience is how long a backup may take to be seen in the bucket.
	verifyPatience = 2 * time.Minute
	mostSnapshots  = 249
)

// Backup plans to back volumes up, one after another: two uploads at once share a
// house's uplink, and end later than one after the other would. What may be named is
// said at volumesAt.
func Backup(w *model.World, what ...string) (*model.Plan, error) {
	list, err := volumesAt(w, what...)
	if err != nil {
		return nil, err
	}
	p := &model.Plan{Cluster: list[0].Cluster, Action: "backup", Steps: []*model.Step{}, Warnings: []string{}, Guards: []string{}}
	for _, v := range list {
		if why := noBackup(w, v); why != "" {
			warn(p, "%s is left out: %s", v.Object(), why)
			continue
		}
		s := &model.Step{Op: opBackup, Object: "volume/" + v.Name, State: model.StepWaits, Text: "back up " + v.Namespace + "/" + v.Title(), Effect: lastBackup(w, v)}
		if v.ActualSize > 0 {
			s.Effect = text.Bytes(v.ActualSize) + " in use; " + s.Effect
		}
		if !v.Attached() {
			warn(p, "%s is detached: it is attached for its backup, and a pod that wants it meanwhile breaks that off", v.Object())
		}
		p.Steps = append(p.Steps, s)
	}
	if len(p.Steps) == 0 {
		return nil, &RefusedError{Why: p.Warnings}
	}
	p.Target, p.Title = p.Steps[0].Object, p.Steps[0].Text
	if n := len(p.Steps); n > 1 || len(what) == 1 && what[0] != p.Target {
		p.Target, p.Title = what[0], "back up "+some(n, "volume")
	}
	return p, nil
}

// noBackup says why a volume cannot be backed up now, "" when it can.
func noBackup(w *model.World, v *model.Volume) string {
	if why := busyVolume(v); why != "" {
		return why
	}
	if v.Robustness == "faulted" || v.Healthy == 0 {
		return "no good copy of it can be reached"
	}
	if v.Snapshots != nil && v.Snapshots.Count > mostSnapshots {
		return fmt.Sprintf("it has %d snapshots, and Longhorn makes no more", v.Snapshots.Count)
	}
	for _, t := range w.BackupTargets {
		if t.Cluster == v.Cluster && t.Name == cmp.Or(v.Target, "default") {
			switch {
			case t.URL == "":
				return "backup target " + t.Name + " has no address"
			case !t.Available:
				return "backup target " + t.Name + " is not available: " + cmp.Or(t.Message, "Longhorn does not say why")
			}
			return ""
		}
	}
	return "there is no backup target " + cmp.Or(v.Target, "default")
}

// lastBackup is what there is to restore a volume from now.
func lastBackup(w *model.World, v *model.Volume) string {
	switch b := v.Backup; b.State {
	case model.BackupNone:
		return "never backed up"
	case model.BackupUnknown:
		return "its backups are not known"
	default:
		return fmt.Sprintf("newest %s, %s old", b.State, model.Ago(w.At.Sub(b.At)))
	}
}

var backupOp = op{
	rights: []right{
		longhornRight("get", "volumes"), longhornRight("get", "snapshots"), longhornRight("create", "snapshots"),
		longhornRight("get", "backups"), longhornRight("create", "backups"),
	},
	do:   backUp,
	undo: func(context.Context, *job, *model.Step) error { return &skipped{"what was backed up stays"} },
}

// backupNames are what snapshot and backup of a step are called: the same whoever
// goes on with it.
func (j *job) backupNames(s *model.Step) (snapshot, backup string) {
	sum := sha256.Sum256([]byte(j.plan.ID + "\x00" + s.Object + "\x00" + s.Args[argTry]))
	h := hex.EncodeToString(sum[:8])
	return "geotop-" + h, "backup-" + h
}

// backUp makes a snapshot, a backup of it, and waits until that is in the bucket.
func backUp(ctx context.Context, j *job, s *model.Step) error {
	name := nameOf(s.Object)
	snapshot, backup := j.backupNames(s)
	for {
		b := &lhBackup{}
		err := j.get(ctx, longhornPath+"backups/"+backup, b)
		switch {
		case apierrors.IsNotFound(err):
			if err := j.snapshot(ctx, s, name, snapshot); err != nil {
				return err
			}
			if err := j.makeBackup(ctx, name, snapshot, backup); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		case b.failed():
			return j.failedBackup(ctx, s, b)
		}
		return j.upload(ctx, s, backup)
	}
}

func (b *lhBackup) failed() bool { return b.Status.State == "Error" || b.Status.State == "Unknown" }

// failedBackup gives Longhorn's reason. Another try, by whoever finishes the plan, is
// another backup.
func (j *job) failedBackup(ctx context.Context, s *model.Step, b *lhBackup) error {
	tries, _ := strconv.Atoi(s.Args[argTry])
	if err := j.keep(ctx, s, argTry, strconv.Itoa(tries+1)); err != nil {
		return err
	}
	return refuse("Longhorn: %s", model.Clean(cmp.Or(b.Status.Error, "it does not say why"), 300))
}

// snapshot makes the snapshot and waits until it can be read.
func (j *job) snapshot(ctx context.Context, s *model.Step, volume, name string) error {
	began := j.Now()
	for {
		o := &lhSnapshot{}
		err := j.get(ctx, longhornPath+"snapshots/"+name, o)
		switch {
		case apierrors.IsNotFound(err):
			if err := j.readyForBackup(ctx, volume); err != nil {
				return err
			}
			if err := j.mine(ctx); err != nil {
				return err
			}
			err = j.create(ctx, longhornPath+"snapshots", map[string]any{
				"apiVersion": "longhorn.io/v1beta2", "kind": "Snapshot", "metadata": meta{Name: name, Namespace: longhornNamespace},
				"spec": map[string]any{"volume": volume, "createSnapshot": true, "labels": map[string]string{"geotop": j.plan.ID}},
			}, nil)
			if err != nil && !apierrors.IsAlreadyExists(err) {
				return fmt.Errorf("make a snapshot of %s: %w", volume, err)
			}
		case err != nil:
			return err
		case o.Status.MarkRemoved:
			return refuse("its snapshot is being removed by somebody")
		case o.Status.ReadyToUse:
			return nil
		case o.Status.Error != "":
			return refuse("Longhorn could not make a snapshot: %s", model.Clean(o.Status.Error, 300))
		case j.Now().Sub(began) > snapshotPatience:
			return refuse("its snapshot is not ready after %s", model.Ago(snapshotPatience))
		}
		j.progress(s, "waiting for its snapshot")
		if err := j.rest(ctx); err != nil {
			return err
		}
	}
}

// rest waits until it is worth looking again, or says that the operator ended it.
func (j *job) rest(ctx context.Context) error {
	if j.stopped() {
		return ErrStopped
	}
	return pause(ctx, cmp.Or(j.Every, defaultEvery))
}

// readyForBackup refuses what Longhorn's own API refuses and its webhook does not.
func (j *job) readyForBackup(ctx context.Context, name string) error {
	v, err := j.volume(ctx, name)
	switch {
	case apierrors.IsNotFound(err):
		return refuse("the volume is gone")
	case err != nil:
		return err
	case v.Status.IsStandby, v.Spec.Standby:
		return refuse("it has become a standby volume")
	case v.Spec.MigrationNodeID != "":
		return refuse("it is moving to another machine")
	case v.Status.Robustness == "faulted":
		return refuse("no good copy of it is left")
	case v.Status.RestoreRequired:
		return refuse("it is being restored")
	}
	return nil
}

func (j *job) makeBackup(ctx context.Context, volume, snapshot, name string) error {
	v, err := j.volume(ctx, volume)
	if err != nil {
		return err
	}
	if err := j.mine(ctx); err != nil {
		return err
	}
	// What the claim and workload were, a restore finds in this label, as one made
	// by Longhorn's own API has it.
	labels := map[string]string{"geotop": j.plan.ID}
	if len(v.Status.KubernetesStatus) > 0 {
		labels["KubernetesStatus"] = string(v.Status.KubernetesStatus)
	}
	err = j.create(ctx, longhornPath+"backups", map[string]any{
		"apiVersion": "longhorn.io/v1beta2", "kind": "Backup",
		"metadata": meta{Name: name, Namespace: longhornNamespace, Labels: map[string]string{"backup-volume": volume, "backup-target": cmp.Or(v.Spec.BackupTargetName, "default")}},
		"spec":     map[string]any{"snapshotName": snapshot, "backupMode": "incremental", "labels": labels},
	}, nil)
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make a backup of %s: %w", volume, err)
	}
	return nil
}

// upload waits until the backup is whole, has been read back by Longhorn, and is
// seen in the bucket by ourselves.
func (j *job) upload(ctx context.Context, s *model.Step, name string) error {
	moved, percent, whole := j.Now(), -1, time.Time{}
	for {
		b := &lhBackup{}
		if err := j.get(ctx, longhornPath+"backups/"+name, b); err != nil {
			if apierrors.IsNotFound(err) {
				return refuse("the backup is gone: somebody deleted it, or retention did")
			}
			return err
		}
		switch st := b.Status; {
		case b.failed():
			return j.failedBackup(ctx, s, b)
		case st.State == "Completed" && st.LastSyncedAt != nil:
			if whole.IsZero() {
				whole = j.Now()
			}
			note, known := j.inBucket(nameOf(s.Object), name)
			if known || j.Now().Sub(whole) > verifyPatience {
				s.Note = note
				return nil
			}
			j.progress(s, note)
		default:
			if st.Progress > percent {
				moved, percent = j.Now(), st.Progress
			}
			if j.Now().Sub(moved) > uploadPatience {
				return refuse("its upload stands still at %d %% for %s", max(0, percent), model.Ago(uploadPatience))
			}
			note := fmt.Sprintf("uploading, %d %%", st.Progress)
			if st.State == "Pending" || st.State == "" {
				note = "waiting for Longhorn"
				if info := st.Messages["info"]; info != "" {
					note += ": " + model.Clean(info, 200)
				}
			}
			j.progress(s, note)
		}
		if err := j.rest(ctx); err != nil {
			return err
		}
	}
}

// inBucket is what our own look into the bucket says of a backup, and whether that
// settles it.
func (j *job) inBucket(volume, backup string) (note string, known bool) {
	w := j.World()
	if w == nil {
		return "whole, by Longhorn's word", true
	}
	at := slices.IndexFunc(w.Backups, func(b *model.Backup) bool {
		return b.Cluster == j.plan.Cluster && b.Name == backup && b.Volume == volume
	})
	if at < 0 || w.Backups[at].State != "Completed" {
		return "whole; looking for it in the bucket", false
	}
	switch state, _ := w.BackupSeen(w.Backups[at]); {
	case state == model.BackupVerified:
		return "verified in the bucket", true
	case state == model.BackupMissing || state == model.BackupUnreadable:
		return "whole by Longhorn's word, and not in the bucket", false
	case !w.ReadsStores(j.plan.Cluster):
		return "whole, by Longhorn's word: the bucket cannot be read from here", true
	default:
		return "whole; looking for it in the bucket", false
	}
}
