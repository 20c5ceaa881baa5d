package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/geotop/geotop/lab/longhorn"
	"github.com/geotop/geotop/model"
)

func volume(w *model.World, claim string) *model.Volume {
	for _, v := range w.Volumes {
		if v.PVC == claim {
			return v
		}
	}
	return &model.Volume{VolumeFact: &model.VolumeFact{}}
}

// whole waits until every volume has all its copies.
func whole(e *eye) *model.World {
	e.t.Helper()
	return e.until("volumes whole", func(w *model.World) error {
		if len(w.Volumes) != 4 {
			return fmt.Errorf("%d volumes", len(w.Volumes))
		}
		for _, v := range w.Volumes {
			if v.Healthy != v.Wanted || v.Severity() != model.OK {
				return fmt.Errorf("%s has %d of %d: %v", v.PVC, v.Healthy, v.Wanted, v.Problems)
			}
		}
		return nil
	})
}

// TestVolumesThroughAPowerCut follows the volumes of a house that goes dark and
// comes back, on Longhorn's own CRDs with its part played.
func TestVolumesThroughAPowerCut(t *testing.T) {
	allWell(t)
	e := look(t, shared.Kubeconfig("viewer"))
	w := whole(e)
	for _, v := range w.Volumes {
		if len(v.Sites) != v.Wanted || v.Workload == "" || v.Site == "" {
			t.Errorf("%s: in %v, used by %q, on %q", v.PVC, v.Sites, v.Workload, v.Site)
		}
	}
	// A house that holds a copy of the large volume, and not its engine.
	large := volume(w, "nextcloud-data")
	house := ""
	for _, s := range large.Sites {
		if s != large.Site {
			house = s
		}
	}
	if err := shared.Cut(within(t, patience), house); err != nil {
		t.Fatal(err)
	}
	afterwards(t, allUp)
	afterwards(t, func(ctx context.Context) error { return shared.Restore(ctx, house) })
	w = e.until("a copy short", func(w *model.World) error {
		if v := volume(w, "nextcloud-data"); v.Healthy != 2 || v.Robustness != "degraded" {
			return fmt.Errorf("%d healthy, %s", v.Healthy, v.Robustness)
		}
		return nil
	})
	if v := volume(w, "nextcloud-data"); v.Severity() != model.Warning || slices.Contains(v.Sites, house) {
		t.Errorf("%s: %v in %v", v.Severity(), v.Problems, v.Sites)
	}
	if err := shared.Restore(within(t, patience), house); err != nil {
		t.Fatal(err)
	}
	seen := -1
	e.until("whole again", func(w *model.World) error {
		v := volume(w, "nextcloud-data")
		if p := v.Rebuilding(); p >= 0 {
			seen = max(seen, p)
		}
		if v.Healthy != 3 {
			return fmt.Errorf("%d healthy", v.Healthy)
		}
		return nil
	})
	if seen < 0 {
		t.Error("no rebuild was seen under way")
	}
	whole(e)
}

// Without the right to Longhorn's kinds the rest is seen, and the lack is said.
func TestWithoutRightsToVolumes(t *testing.T) {
	e := look(t, shared.Kubeconfig("nodes-only"))
	w := e.settled()
	if s := source(w, model.SourceVolumes); s.Status != model.SourceForbidden || len(w.Nodes) != 9 || w.Status != model.Unknown {
		t.Errorf("%s", describe(w))
	}
}

// made creates an object of Longhorn's until the test is over.
func made(t *testing.T, dyn dynamic.Interface, plural, kind, name string, labels map[string]string, spec map[string]any) error {
	t.Helper()
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "longhorn.io/v1beta2", "kind": kind, "spec": spec}}
	o.SetName(name)
	o.SetLabels(labels)
	r := longhornKind(dyn, plural)
	if _, err := r.Create(t.Context(), o, metav1.CreateOptions{}); err != nil {
		return err
	}
	afterwards(t, func(ctx context.Context) error { return r.Delete(ctx, name, metav1.DeleteOptions{}) })
	return nil
}

// What Longhorn's webhook refuses is refused in the lab too, so that no action is
// tested on calls that Longhorn itself would not take.
func TestLonghornRefuses(t *testing.T) {
	allWell(t)
	dyn := dynamicClient(t)
	w := whole(look(t, shared.Kubeconfig("viewer")))
	v, other := volume(w, "code-home"), volume(w, "data-redis-0")
	if err := made(t, dyn, "snapshots", "Snapshot", "refusals", nil, map[string]any{"volume": v.Name}); err != nil {
		t.Fatal(err)
	}
	target := func(volume string) map[string]string {
		return map[string]string{"backup-volume": volume, "backup-target": "default"}
	}
	patch := func(plural, name, body string) error {
		_, err := longhornKind(dyn, plural).Patch(t.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{})
		return err
	}
	for what, c := range map[string]struct {
		err  error
		want string
	}{
		"a snapshot of nothing":       {made(t, dyn, "snapshots", "Snapshot", "r1", nil, map[string]any{"volume": "no-such"}), "volume cannot be had"},
		"a backup without a snapshot": {made(t, dyn, "backups", "Backup", "r2", target(v.Name), map[string]any{"snapshotName": "no-such"}), "snapshot cannot be had"},
		"a backup of another volume":  {made(t, dyn, "backups", "Backup", "r3", target(other.Name), map[string]any{"snapshotName": "refusals"}), "the snapshot is of volume"},
		"a backup to nowhere":         {made(t, dyn, "backups", "Backup", "r4", map[string]string{"backup-target": "no-such"}, map[string]any{"snapshotName": "refusals"}), "backup target cannot be had"},
		"no replicas at all":          {patch("volumes", v.Name, `{"spec":{"numberOfReplicas":0}}`), "1 to 20"},
		"eviction from an open node":  {patch("nodes", "moka-1", `{"spec":{"evictionRequested":true}}`), "scheduling is allowed"},
		"eviction from an open disk":  {patch("nodes", "moka-1", `{"spec":{"disks":{"disk-1":{"evictionRequested":true}}}}`), "scheduling is allowed on disk"},
		"the loss of a living node":   {longhornKind(dyn, "nodes").Delete(t.Context(), "moka-1", metav1.DeleteOptions{}), "the node is ready"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v", what, c.err)
		}
	}
	// All replicas but one may go, as far as the webhook is concerned; a dry run
	// asks it as well as a real one.
	dry := metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}
	if err := longhornKind(dyn, "replicas").Delete(t.Context(), v.Replicas[0].Name, dry); err != nil {
		t.Errorf("one of %d replicas: %v", len(v.Replicas), err)
	}
	if err := patch("nodes", "moka-1", `{"spec":{"allowScheduling":true}}`); err != nil {
		t.Errorf("what Longhorn lets through: %v", err)
	}
}

// A recurring job that is due makes a snapshot and a backup of every volume, and
// deletes what is beyond what it is to keep.
func TestRecurringJobRuns(t *testing.T) {
	allWell(t)
	dyn := dynamicClient(t)
	afterwards(t, func(ctx context.Context) error { return forget(ctx, dyn, "often-") }) // once the job is gone
	if err := made(t, dyn, "recurringjobs", "RecurringJob", "often", nil, map[string]any{
		"name": "often", "task": "backup", "cron": "* * * * *", "groups": []any{"default"}, "retain": int64(1), "concurrency": int64(1),
	}); err != nil {
		t.Fatal(err)
	}
	e := lookIn(t, nil)
	e.until("backups by the job, all verified", func(w *model.World) error {
		for _, v := range w.Volumes {
			if !strings.HasPrefix(v.Backup.Name, "backup-often-") || v.Backup.State != model.BackupVerified {
				return fmt.Errorf("%s: %s is %s", v.PVC, v.Backup.Name, v.Backup.State)
			}
		}
		if len(w.Volumes) != 4 {
			return fmt.Errorf("%d volumes", len(w.Volumes))
		}
		return nil
	})
}

// forget removes the backups and snapshots of a job, in the bucket too.
func forget(ctx context.Context, dyn dynamic.Interface, prefix string) error {
	bucket, err := shared.Bucket()
	if err != nil {
		return err
	}
	for _, plural := range []string{"backups", "snapshots"} {
		list, err := longhornKind(dyn, plural).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, o := range list.Items {
			if !strings.HasPrefix(strings.TrimPrefix(o.GetName(), "backup-"), prefix) {
				continue
			}
			if err := longhornKind(dyn, plural).Delete(ctx, o.GetName(), metav1.DeleteOptions{}); err != nil {
				return err
			}
			if plural == "backups" {
				key := longhorn.BackupKey(o.GetLabels()["backup-volume"], o.GetName())
				if err := bucket.RemoveObject(ctx, shared.BucketName(), key, minio.RemoveObjectOptions{}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
