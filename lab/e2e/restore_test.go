package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/model"
)

const (
	restored   = "postgres-look"
	restoredIn = "db"
)

// unrestore takes everything away that a restore makes.
func unrestore(ctx context.Context, t *testing.T) error {
	t.Helper()
	missing := func(err error) error {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	return errors.Join(
		missing(client.CoreV1().PersistentVolumeClaims(restoredIn).Delete(ctx, restored, metav1.DeleteOptions{})),
		missing(client.CoreV1().PersistentVolumes().Delete(ctx, restored, metav1.DeleteOptions{})),
		missing(custom(t, "volumes").Delete(ctx, restored, metav1.DeleteOptions{})))
}

// restoredParts says which of a restore's objects are there: volume, PersistentVolume
// and claim. What is being deleted is not.
func restoredParts(t *testing.T) (parts []string) {
	t.Helper()
	add := func(what string, o metav1.Object, err error) {
		switch {
		case err == nil && o.GetDeletionTimestamp() == nil:
			parts = append(parts, what)
		case err != nil && !apierrors.IsNotFound(err):
			t.Fatal(err)
		}
	}
	v, err := custom(t, "volumes").Get(within(t, patience), restored, metav1.GetOptions{})
	add("volume", v, err)
	pv, err := client.CoreV1().PersistentVolumes().Get(within(t, patience), restored, metav1.GetOptions{})
	add("persistent volume", pv, err)
	pvc, err := client.CoreV1().PersistentVolumeClaims(restoredIn).Get(within(t, patience), restored, metav1.GetOptions{})
	add("claim", pvc, err)
	return parts
}

func wantRestored(t *testing.T) error {
	t.Helper()
	if parts := restoredParts(t); len(parts) != 3 {
		return fmt.Errorf("there are %v", parts)
	}
	v, err := custom(t, "volumes").Get(within(t, patience), restored, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if waits, _, _ := unstructured.NestedBool(v.Object, "status", "restoreRequired"); waits {
		return errors.New("its data are not there yet")
	}
	return nil
}

// A volume is made from a backup beside the one there is, with a claim that binds.
func TestRestoreUnderANewName(t *testing.T) {
	allWell(t)
	quick(t)
	e := lookIn(t, nil)
	whole(e)
	afterwards(t, func(ctx context.Context) error { return unrestore(ctx, t) })
	p := carry(t, e, func(w *model.World, what string) (*model.Plan, error) { return actions.Restore(w, what, restored) }, "backup/db/data-postgres-0")
	if p.Steps[0].Note != "restored" || p.Steps[1].State != model.StepDone {
		t.Errorf("%+v %+v", p.Steps[0], p.Steps[1])
	}
	of := slices.IndexFunc(e.world().Volumes, func(v *model.Volume) bool { return v.PVC == "data-postgres-0" })
	e.until("the volume and its claim", func(w *model.World) error {
		v := w.VolumeNamed("lab", restored)
		if v == nil || v.Restoring || v.Size != w.Volumes[of].Size || v.Wanted != w.Volumes[of].Wanted || len(v.Replicas) != v.Wanted {
			return fmt.Errorf("%+v", v)
		}
		c, err := client.CoreV1().PersistentVolumeClaims(restoredIn).Get(within(t, patience), restored, metav1.GetOptions{})
		if err != nil || c.Status.Phase != corev1.ClaimBound {
			return fmt.Errorf("the claim is %s: %w", c.Status.Phase, err)
		}
		return nil
	})
	if _, err := actions.Restore(e.world(), "backup/db/data-postgres-0", restored); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("restored over one that is there: %v", err)
	}
}

// Restoring goes wrong at every call in every way: there is one volume with its claim,
// or nothing, or a plan that says what is left.
func TestRestoreSurvivesEveryFault(t *testing.T) {
	quick(t)
	afterwards(t, func(ctx context.Context) error { return unrestore(ctx, t) })
	walkFaults(t, walk{
		plan: func(w *model.World) (*model.Plan, error) {
			return actions.Restore(w, "backup/db/data-postgres-0", restored)
		},
		begin: func(t *testing.T, e *eye) {
			if err := unrestore(within(t, patience), t); err != nil {
				t.Fatal(err)
			}
			e.until("nothing of it", func(w *model.World) error {
				_, held := client.CoreV1().PersistentVolumes().Get(within(t, patience), restored, metav1.GetOptions{})
				_, claimed := client.CoreV1().PersistentVolumeClaims(restoredIn).Get(within(t, patience), restored, metav1.GetOptions{})
				if w.VolumeNamed("lab", restored) != nil || held == nil || claimed == nil {
					return errors.New("some of it is still there")
				}
				replicas, err := custom(t, "replicas").List(within(t, patience), metav1.ListOptions{LabelSelector: "longhornvolume=" + restored})
				if err != nil || len(replicas.Items) > 0 {
					return errors.Join(errors.New("its copies are still there"), err)
				}
				return nil
			})
		},
		done: func() error { return wantRestored(t) },
		undone: func() error {
			if parts := restoredParts(t); len(parts) > 0 {
				return fmt.Errorf("there are %v", parts)
			}
			return nil
		},
		every: 5,
		look:  200 * time.Millisecond,
	})
}

// A workload has more pods, and fewer, and that is waited for; a plan that was not
// waited for leaves no record.
func TestScaleAndWait(t *testing.T) {
	allWell(t)
	e := look(t, shared.Kubeconfig("admin"))
	e.settled()
	const what = "Deployment/web/blog"
	was := 0
	for _, wl := range e.world().Workloads {
		if wl.Object() == what {
			was = wl.Desired
		}
	}
	scaled := func(n int) func(*model.World, string) (*model.Plan, error) {
		return func(w *model.World, what string) (*model.Plan, error) {
			p, err := actions.Scale(w, what, fmt.Sprint(n))
			if err == nil {
				actions.Await(w, p)
			}
			return p, err
		}
	}
	count := func(n int) error {
		d, err := client.AppsV1().Deployments("web").Get(within(t, patience), "blog", metav1.GetOptions{})
		if err != nil || int(d.Status.ReadyReplicas) != n || int(d.Status.Replicas) != n {
			return fmt.Errorf("%+v, %w", d.Status, err)
		}
		return nil
	}
	for _, n := range []int{was + 2, was} {
		p := carry(t, e, scaled(n), what)
		if p.Steps[1].Note != fmt.Sprintf("%d of %s ready", n, map[bool]string{true: "1 pod", false: fmt.Sprintf("%d pods", n)}[n == 1]) {
			t.Errorf("%d pods: %+v", n, p.Steps[1])
		}
		e.until("as many pods", func(w *model.World) error {
			for _, wl := range w.Workloads {
				if wl.Object() == what && wl.Ready != n {
					return fmt.Errorf("%d are ready", wl.Ready)
				}
			}
			return count(n)
		})
	}
	mustHaveNoRecord(t, "scaling")
	out, errs, code := once(t, nil, "scale", "web/blog", fmt.Sprint(was), "--yes", "--kubeconfig", shared.Kubeconfig("admin"))
	if code != 0 || !strings.Contains(errs, "already") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	out, errs, code = once(t, nil, "restart", "web/blog", "--yes", "--wait", "--kubeconfig", shared.Kubeconfig("admin"), "--no-state")
	if code != 0 || !strings.Contains(errs, "done    wait for the pods of "+what) {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	out, errs, code = once(t, nil, "scale", "web/blog", "3", "--dry-run", "--kubeconfig", shared.Kubeconfig("viewer"))
	if code != 1 || !strings.Contains(errs, "may not patch deployments/scale.apps in web") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	allWell(t)
}
