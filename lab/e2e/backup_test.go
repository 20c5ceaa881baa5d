package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/geotop/geotop/actions"
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

// Backing up goes wrong at every call in every way: there is a backup, and no two.
func TestBackupSurvivesEveryFault(t *testing.T) {
	quick(t)
	const volume = moved
	before := 0
	walkFaults(t, walk{
		plan: func(w *model.World) (*model.Plan, error) { return actions.Backup(w, "volume/"+volume) },
		begin: func(t *testing.T, _ *eye) {
			_, before = newestBackup(t, volume)
		},
		done: func() error {
			b, count := newestBackup(t, volume)
			state, _, _ := unstructured.NestedString(b.Object, "status", "state")
			if count != before+1 || state != "Completed" {
				return fmt.Errorf("%d backups, and before %d; the newest is %q", count, before, state)
			}
			return nil
		},
		undone: func() error {
			if _, count := newestBackup(t, volume); count > before+1 {
				return errors.New("there are two")
			}
			return nil
		},
		every: 4,
		look:  200 * time.Millisecond,
	})
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
