package actions

import (
	"context"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
)

const (
	opDeleteBackup = "delete backup"

	// deletePatience is how long Longhorn may take to clear a backup out of the bucket,
	// which waits for other work on the same volume.
	deletePatience = 30 * time.Minute
)

// DeleteBackup plans to delete one backup ("backup/NAME"), which Longhorn then takes out
// of the bucket: nothing brings it back. All backups of a volume at once are not for
// geotop.
func DeleteBackup(w *model.World, what string) (*model.Plan, error) {
	if !w.Looked() {
		return nil, refuse("the cluster could not be read, so nothing is done")
	}
	name := strings.TrimPrefix(what, "backup/")
	at := slices.IndexFunc(w.Backups, func(b *model.Backup) bool { return b.Name == name })
	if at < 0 {
		return nil, unknown("no backup is called %q", model.Clean(name, 80))
	}
	b := w.Backups[at]
	if b.Deleting {
		return nil, nothing("it is being deleted already")
	}
	good := othersGood(w, b)
	s := &model.Step{Op: opDeleteBackup, Object: "backup/" + b.Name, Text: "delete " + b.Name, State: model.StepWaits, Effect: "its data go from the bucket, but for what other backups need; " + some(good, "good backup") + " of the volume are left"}
	if b.Size > 0 {
		s.Effect = text.Bytes(b.Size) + " of data; " + s.Effect
	}
	p := &model.Plan{Cluster: b.Cluster, Action: "delete", Target: s.Object, Title: s.Text, Confirm: b.Volume, Warnings: []string{}, Guards: []string{}, Steps: []*model.Step{s}}
	v := w.VolumeNamed(b.Cluster, b.Volume)
	if v != nil {
		p.Confirm = v.Namespace + "/" + v.Title()
	}
	warn(p, "Longhorn deletes it in the bucket too, and nothing brings it back")
	switch {
	case good > 0 || b.State != "Completed":
	case v == nil:
		guard(p, p.Confirm, "it is all that is left of %s: the volume is gone, and there is no other good backup", p.Confirm)
	default:
		guard(p, p.Confirm, "%s has no other good backup", p.Confirm)
	}
	return p, nil
}

// othersGood counts what else a volume could be restored from in the same target.
func othersGood(w *model.World, b *model.Backup) (n int) {
	for _, o := range w.Backups {
		if o == b || o.Volume != b.Volume || o.Target != b.Target || o.State != "Completed" || o.Deleting {
			continue
		}
		if state, _ := w.BackupSeen(o); state != model.BackupMissing && state != model.BackupUnreadable {
			n++
		}
	}
	return n
}

var deleteBackupOp = op{
	rights: []right{longhornRight("get", "backups"), longhornRight("delete", "backups")},
	do: func(ctx context.Context, j *job, s *model.Step) error {
		path := longhornPath + "backups/" + nameOf(s.Object)
		return j.await(ctx, s, deletePatience, func() (string, bool, error) {
			const waits = "Longhorn clears it out of the bucket"
			b := &lhBackup{}
			err := j.get(ctx, path, b)
			switch {
			case apierrors.IsNotFound(err) && s.Args[argUID] == "":
				return "", false, &skipped{"it is gone already"}
			case apierrors.IsNotFound(err):
				return "gone, and out of the bucket by Longhorn's word", true, nil
			case err != nil:
				return "", false, err
			case s.Args[argUID] != "" && b.Metadata.UID != s.Args[argUID]:
				return "gone; another of that name was made meanwhile", true, nil
			case b.Metadata.DeletionTime != nil:
				return waits, false, nil
			}
			if err := j.keep(ctx, s, argUID, b.Metadata.UID); err != nil {
				return "", false, err
			}
			if err := j.mine(ctx); err != nil {
				return "", false, err
			}
			err = j.remove(ctx, path, meta{UID: b.Metadata.UID})
			if apierrors.IsNotFound(err) {
				err = nil
			}
			return waits, false, err
		})
	},
	undo: func(context.Context, *job, *model.Step) error {
		return &skipped{"what was deleted cannot be brought back"}
	},
}
