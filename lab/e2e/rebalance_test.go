package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/lab/longhorn"
	"github.com/geotop/geotop/model"
)

// quick has Longhorn build copies and backups in a moment.
func quick(t *testing.T) {
	t.Helper()
	back := shared.PaceLonghorn(longhorn.Clock{EngineTimeout: 2 * time.Second, Replenish: 25 * time.Second, Rebuild: 400 * time.Millisecond, Backup: 300 * time.Millisecond})
	t.Cleanup(back)
}

// moved is the volume that is moved about here: two copies.
const moved = "pvc-0f1e2d3c-0003"

// copiesOf gives the machines of a volume's whole copies, and how many copies it is
// to have.
func copiesOf(t *testing.T, volume string) (nodes []string, wanted int64) {
	t.Helper()
	of := metav1.ListOptions{LabelSelector: "longhornvolume=" + volume}
	engines, err := custom(t, "engines").List(within(t, patience), of)
	if err != nil || len(engines.Items) != 1 {
		t.Fatalf("%d engines, %v", len(engines.Items), err)
	}
	modes, _, _ := unstructured.NestedStringMap(engines.Items[0].Object, "status", "replicaModeMap")
	replicas, err := custom(t, "replicas").List(within(t, patience), of)
	if err != nil {
		t.Fatal(err)
	}
	for i := range replicas.Items {
		r := &replicas.Items[i]
		at, _, _ := unstructured.NestedString(r.Object, "spec", "nodeID")
		whole, _, _ := unstructured.NestedString(r.Object, "spec", "healthyAt")
		if modes[r.GetName()] == "RW" && whole != "" {
			nodes = append(nodes, at)
		}
	}
	v, err := custom(t, "volumes").Get(within(t, patience), volume, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wanted, _, _ = unstructured.NestedInt64(v.Object, "spec", "numberOfReplicas")
	return nodes, wanted
}

// housesOf gives the houses of machines, each once.
func housesOf(nodes []string) []string {
	list := []string{}
	for _, n := range nodes {
		house, _, _ := strings.Cut(n, "-")
		if !slices.Contains(list, house) {
			list = append(list, house)
		}
	}
	return list
}

// huddle brings both copies of the volume into the house of its engine.
func huddle(t *testing.T, e *eye) {
	t.Helper()
	volumes := custom(t, "volumes")
	copies := func(n int) {
		t.Helper()
		if _, err := volumes.Patch(within(t, patience), moved, types.MergePatchType, fmt.Appendf(nil, `{"spec":{"numberOfReplicas":%d,"replicaAutoBalance":"ignored"}}`, n), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	v := e.world().VolumeNamed("lab", moved)
	home := v.Site
	other := []string{}
	for _, n := range e.world().Nodes {
		if n.Site != home {
			other = append(other, n.Name)
		}
	}
	nodes, _ := copiesOf(t, moved)
	if slices.Equal(housesOf(nodes), []string{home}) {
		copies(2)
	} else {
		setCordon(t, e, other...)
		e.until("Longhorn sees the cordons", func(w *model.World) error {
			for _, s := range w.StorageNodes {
				if s.Schedulable && slices.Contains(other, s.Name) {
					return errors.New(s.Name + " takes copies still")
				}
			}
			return nil
		})
		copies(3)
		e.until("a third copy", func(*model.World) error {
			if nodes, _ := copiesOf(t, moved); len(nodes) != 3 {
				return fmt.Errorf("copies on %v", nodes)
			}
			return nil
		})
		copies(2)
		list, err := custom(t, "replicas").List(within(t, patience), metav1.ListOptions{LabelSelector: "longhornvolume=" + moved})
		if err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			if at, _, _ := unstructured.NestedString(list.Items[i].Object, "spec", "nodeID"); !strings.HasPrefix(at, home+"-") {
				if err := custom(t, "replicas").Delete(within(t, patience), list.Items[i].GetName(), metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		setCordon(t, e)
	}
	e.until("both copies in "+home, func(w *model.World) error {
		v := w.VolumeNamed("lab", moved)
		if len(v.Sites) != 1 || v.Healthy != 2 || len(v.Replicas) != 2 || v.Robustness != "healthy" || v.Wanted != 2 || v.AutoBalance != "ignored" {
			return fmt.Errorf("%d copies in %v, %s, wants %d", v.Healthy, v.Sites, v.Robustness, v.Wanted)
		}
		for _, s := range w.StorageNodes {
			if !s.Schedulable {
				return errors.New(s.Name + " takes no copies yet")
			}
		}
		return nil
	})
}

func spread(t *testing.T) error {
	nodes, wanted := copiesOf(t, moved)
	if len(nodes) != 2 || wanted != 2 || len(housesOf(nodes)) != 2 {
		return fmt.Errorf("copies on %v, %d wanted", nodes, wanted)
	}
	return sameSettings(t)
}

func sameSettings(t *testing.T) error {
	v, err := custom(t, "volumes").Get(within(t, patience), moved, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if b, _, _ := unstructured.NestedString(v.Object, "spec", "replicaAutoBalance"); b != "ignored" {
		return fmt.Errorf("its balancing is %q", b)
	}
	return nil
}

// A copy moves to another house, and there are never fewer than two.
func TestRebalance(t *testing.T) {
	allWell(t)
	quick(t)
	e := look(t, shared.Kubeconfig("admin"))
	whole(e)
	afterwards(t, uncordonAll)
	huddle(t, e)
	p, err := actions.Rebalance(e.world())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Steps) != 1 || !strings.Contains(p.Steps[0].Text, "dev/code-home from ") || !strings.Contains(p.Steps[0].Effect, "6.7G") {
		t.Fatalf("%+v", p.Steps[0])
	}
	if err := actions.Check(within(t, patience), admin(t), p); err != nil {
		t.Fatal(err)
	}
	if err := runner(admin(t), e).Run(within(t, patience), p, nil); err != nil {
		t.Fatal(err)
	}
	if err := spread(t); err != nil {
		t.Error(err)
	}
	e.until("nothing to move", func(w *model.World) error {
		var r *actions.RefusedError
		if _, err := actions.Rebalance(w); !errors.As(err, &r) || !r.Nothing {
			return fmt.Errorf("%w", err)
		}
		return nil
	})
}

// A move goes wrong at every call in every way: at no moment are there fewer than two
// whole copies, and it is finished or undone.
func TestRebalanceSurvivesEveryFault(t *testing.T) {
	quick(t)
	afterwards(t, uncordonAll)
	walkFaults(t, walk{
		plan:  func(w *model.World) (*model.Plan, error) { return actions.Rebalance(w, "volume/"+moved) },
		begin: huddle,
		done:  func() error { return spread(t) },
		undone: func() error {
			nodes, wanted := copiesOf(t, moved)
			if len(nodes) != 2 || wanted != 2 {
				return fmt.Errorf("copies on %v, %d wanted", nodes, wanted)
			}
			return sameSettings(t)
		},
		always: func() error {
			if nodes, _ := copiesOf(t, moved); len(nodes) < 2 {
				return fmt.Errorf("whole copies are on %v only", nodes)
			}
			return nil
		},
		every: 8,
		look:  300 * time.Millisecond,
	})
}

// The real binary is killed while a copy is built; another one finishes the move, once
// it is sure that nobody else does.
func TestKilledInTheMiddleOfAMove(t *testing.T) {
	allWell(t)
	back := shared.PaceLonghorn(longhorn.Clock{EngineTimeout: 2 * time.Second, Replenish: 25 * time.Second, Rebuild: 3 * time.Second, Backup: time.Second})
	t.Cleanup(back)
	e := look(t, shared.Kubeconfig("admin"))
	whole(e)
	afterwards(t, uncordonAll)
	huddle(t, e)
	args := []string{"--kubeconfig", shared.Kubeconfig("admin"), "--no-ping"}
	cmd := exec.Command(binary, append([]string{"rebalance", "--yes"}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e.until("a copy being built", func(w *model.World) error {
		if v := w.VolumeNamed("lab", moved); v.Rebuilding() < 0 || len(w.Plans) != 1 {
			return fmt.Errorf("%d copies, %d plans", len(v.Replicas), len(w.Plans))
		}
		return nil
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if nodes, wanted := copiesOf(t, moved); len(nodes) < 2 || wanted != 3 {
		t.Errorf("killed: copies on %v, %d wanted", nodes, wanted)
	}
	if out, errs, code := once(t, nil, append([]string{"plan"}, args...)...); code != 0 || !strings.Contains(out, "(runs)") {
		t.Errorf("another one sees, exit code %d: %s%s", code, out, errs)
	}
	if out, errs, code := once(t, nil, append([]string{"plan", "finish"}, args...)...); code != 0 || !strings.Contains(errs, "making sure that") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	if err := spread(t); err != nil {
		t.Error(err)
	}
	if out, errs, _ := once(t, nil, append([]string{"audit"}, args...)...); !strings.Contains(out, "finish rebalance") {
		t.Errorf("the log: %s%s", out, errs)
	}
}
