package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/lab/longhorn"
	"github.com/geotop/geotop/model"
)

// custom gives the API of Longhorn's objects of a kind.
func custom(t *testing.T, plural string) dynamic.ResourceInterface {
	t.Helper()
	cfg, err := shared.RestConfig("admin")
	if err != nil {
		t.Fatal(err)
	}
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return dyn.Resource(schema.GroupVersionResource{Group: "longhorn.io", Version: "v1beta2", Resource: plural}).Namespace("longhorn-system")
}

// A backup is done once geotop itself has seen it in the bucket.
func TestBackupUntilItIsInTheBucket(t *testing.T) {
	allWell(t)
	e := lookIn(t, nil)
	whole(e)
	p, err := actions.Backup(e.settled(), "dev/code-home", "db/data-postgres-0")
	if err != nil {
		t.Fatal(err)
	}
	if err := actions.Check(within(t, patience), admin(t), p); err != nil {
		t.Fatal(err)
	}
	began, notes := time.Now(), map[string]bool{}
	r := runner(admin(t), e)
	r.Tell = func(p *model.Plan) {
		for _, s := range p.Steps {
			notes[string(s.State)+" "+s.Note] = true
		}
	}
	if err := r.Run(within(t, patience), p, nil); err != nil {
		t.Fatal(err)
	}
	if !notes["done verified in the bucket"] {
		t.Errorf("it was said: %v", notes)
	}
	w := e.settled()
	for _, claim := range []string{"code-home", "data-postgres-0"} {
		for _, v := range w.Volumes {
			if v.PVC == claim && (v.Backup.State != model.BackupVerified || v.Backup.At.Before(began.Add(-time.Minute)) || w.NeedsBackup(v)) {
				t.Errorf("%s: %+v", claim, v.Backup)
			}
		}
	}
}

// newestBackup is the newest Backup of a volume that somebody made by hand, and how
// many there are.
func newestBackup(t *testing.T, volume string) (newest *unstructured.Unstructured, count int) {
	t.Helper()
	list, err := custom(t, "backups").List(within(t, patience), metav1.ListOptions{LabelSelector: "backup-volume=" + volume})
	if err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		if o := &list.Items[i]; newest == nil || o.GetCreationTimestamp().After(newest.GetCreationTimestamp().Time) {
			newest = o
		}
	}
	return newest, len(list.Items)
}

// dropSnapshots deletes those that geotop had made.
func dropSnapshots(t *testing.T) {
	t.Helper()
	dropBackupsUnderWay(t) // which may wait for one of them
	list, err := custom(t, "snapshots").List(within(t, patience), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list.Items {
		if !strings.HasPrefix(s.GetName(), "geotop-") {
			continue
		}
		if err := custom(t, "snapshots").Delete(within(t, patience), s.GetName(), metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// dropBackupsUnderWay deletes backups that have not come to their end, and waits until
// they are gone.
func dropBackupsUnderWay(t *testing.T) {
	t.Helper()
	ctx := within(t, patience)
	for left := 1; left > 0; {
		backups, err := custom(t, "backups").List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		left = 0
		for _, b := range backups.Items {
			if b.GetDeletionTimestamp() != nil { // it may still have come to its end meanwhile
				left++
				continue
			}
			if state, _, _ := unstructured.NestedString(b.Object, "status", "state"); state == "Completed" {
				continue
			}
			left++
			if err := custom(t, "backups").Delete(ctx, b.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				t.Fatal(err)
			}
		}
		if left > 0 {
			select {
			case <-ctx.Done():
				t.Fatalf("%d backups are under way still", left)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
}

// Backing up a house goes wrong at every call in every way: there is a backup of each
// volume, and no two.
func TestBackupSurvivesEveryFault(t *testing.T) {
	quick(t)
	const house = "flacq"
	before := map[string]int{} // backups, by volume with a copy there
	walkFaults(t, walk{
		plan: func(w *model.World) (*model.Plan, error) { return actions.Backup(w, "site/"+house) },
		begin: func(t *testing.T, e *eye) {
			clear(before)
			dropSnapshots(t) // Longhorn allows 250 of a volume
			p, err := actions.Backup(e.world(), "site/"+house)
			if err != nil || len(p.Steps) < 2 {
				t.Fatalf("%+v, %v", p, err)
			}
			for _, s := range p.Steps {
				name := strings.TrimPrefix(s.Object, "volume/")
				_, before[name] = newestBackup(t, name)
			}
		},
		done: func() error {
			for volume, had := range before {
				b, count := newestBackup(t, volume)
				state, _, _ := unstructured.NestedString(b.Object, "status", "state")
				if count != had+1 || state != "Completed" {
					return fmt.Errorf("%s: %d backups, and before %d; the newest is %q", volume, count, had, state)
				}
			}
			return nil
		},
		undone: func() error {
			for volume, had := range before {
				if _, count := newestBackup(t, volume); count > had+1 {
					return fmt.Errorf("%s: there are two", volume)
				}
			}
			return nil
		},
		every: 10,
		look:  200 * time.Millisecond,
	})
}

// A backup that is deleted is gone from the bucket too, and it is said so before.
func TestDeletedBackupLeavesTheBucket(t *testing.T) {
	allWell(t)
	quick(t)
	e := lookIn(t, nil)
	whole(e)
	carry(t, e, func(w *model.World, what string) (*model.Plan, error) { return actions.Backup(w, what) }, "volume/"+moved)
	b, before := newestBackup(t, moved)
	key := longhorn.BackupKey(moved, b.GetName())
	bucket, err := shared.Bucket()
	if err != nil {
		t.Fatal(err)
	}
	stored := func() error {
		_, err := bucket.StatObject(within(t, patience), shared.BucketName(), key, minio.StatObjectOptions{})
		return err
	}
	if err := stored(); err != nil {
		t.Fatalf("%s is not in the bucket: %v", key, err)
	}
	p := carry(t, e, actions.DeleteBackup, "backup/"+b.GetName())
	if len(p.Guards) > 0 || p.Confirm == "" || !strings.Contains(p.Warnings[0], "in the bucket too") || !strings.Contains(p.Steps[0].Effect, "of the volume are left") {
		t.Errorf("%+v", p)
	}
	if err := stored(); minio.ToErrorResponse(err).Code != "NoSuchKey" {
		t.Errorf("%s is still in the bucket: %v", key, err)
	}
	if _, now := newestBackup(t, moved); now != before-1 {
		t.Errorf("%d backups are left, of %d", now, before)
	}
	e.until("one less", func(w *model.World) error {
		if slices.ContainsFunc(w.Backups, func(o *model.Backup) bool { return o.Name == b.GetName() }) {
			return errors.New("it is still listed")
		}
		return nil
	})
	if _, err := actions.DeleteBackup(e.world(), "backup/"+b.GetName()); err == nil || !strings.Contains(err.Error(), "no backup is called") {
		t.Errorf("once more: %v", err)
	}
}

// What stands in the way of a backup is said before.
func TestBackupThatCannotBe(t *testing.T) {
	e := look(t, shared.Kubeconfig("admin"))
	w := e.settled()
	for what, why := range map[string]string{"volume/nobody": "no volume is called", "site/atlantis": "no site is called"} {
		if _, err := actions.Backup(w, what); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", what, err)
		}
	}
	viewer := reader(t, shared.Kubeconfig("viewer"))
	p, err := actions.Backup(w, "dev/code-home")
	if err != nil {
		t.Fatal(err)
	}
	var r *actions.RefusedError
	if err := actions.Check(within(t, patience), viewer, p); !errors.As(err, &r) || !strings.Contains(err.Error(), "this account may not create backups.longhorn.io in longhorn-system") {
		t.Errorf("an account that may only look: %v", err)
	}
}
