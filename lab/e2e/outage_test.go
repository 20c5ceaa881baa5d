package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/model"
)

// carry plans, checks and carries out.
func carry(t *testing.T, e *eye, plan func(*model.World, string) (*model.Plan, error), what string) *model.Plan {
	t.Helper()
	p, err := plan(e.settled(), what)
	if err != nil {
		t.Fatal(err)
	}
	if err := actions.Check(within(t, patience), admin(t), p); err != nil {
		t.Fatal(err)
	}
	r := runner(admin(t), e)
	r.Tell = func(now *model.Plan) { p = now }
	if err := r.Run(within(t, 2*patience), p, nil); err != nil {
		for i, s := range p.Steps {
			t.Logf("step %d %s: %s; %s", i+1, s.State, s.Text, s.Note)
		}
		t.Fatalf("%s: %v\n%s", p.Title, err, describe(e.world()))
	}
	return p
}

// A house is got ready to be switched off, is switched off, and comes back.
func TestOutageAndReturn(t *testing.T) {
	allWell(t)
	quick(t)
	e := lookIn(t, nil)
	whole(e)
	afterwards(t, uncordonAll)
	huddle(t, e)
	house := e.world().VolumeNamed("lab", moved).Site
	p := carry(t, e, actions.Outage, house)
	if last := p.Steps[len(p.Steps)-1]; last.State != model.StepDone || !strings.Contains(last.Note, "may be switched off") {
		t.Errorf("at its end: %+v", last)
	}
	moves := slices.ContainsFunc(p.Steps, func(s *model.Step) bool { return strings.HasPrefix(s.Text, "move a copy of dev/code-home from "+house) })
	if !moves || !strings.Contains(p.Steps[len(p.Steps)-2].Text, "drain "+house+"-1") {
		t.Errorf("the steps: %+v", p.Steps)
	}
	if err := shared.Cut(within(t, patience), house); err != nil {
		t.Fatal(err)
	}
	afterwards(t, func(ctx context.Context) error { return shared.Restore(ctx, house) })
	e.until("no volume misses the house", func(w *model.World) error {
		for _, v := range w.Volumes {
			if v.Healthy == 0 {
				return fmt.Errorf("%s has no copy left", v.Object())
			}
		}
		return nil
	})
	if err := shared.Restore(within(t, patience), house); err != nil {
		t.Fatal(err)
	}
	carry(t, e, actions.Return, house)
	if err := wantCordoned(t, ""); err != nil {
		t.Error(err)
	}
	whole(e)
	allWell(t)
}

// A dark house is given up: what hangs there goes on elsewhere; and it comes back.
func TestDeadAndReturn(t *testing.T) {
	allWell(t)
	e := lookIn(t, nil)
	whole(e)
	const house = "curepipe"
	var r *actions.RefusedError
	if _, err := actions.Dead(e.world(), house); !errors.As(err, &r) || !strings.Contains(err.Error(), "a machine that runs must not be given up") {
		t.Errorf("a house that lives: %v", err)
	}
	if err := shared.Cut(within(t, patience), house); err != nil {
		t.Fatal(err)
	}
	afterwards(t, func(ctx context.Context) error { return shared.Restore(ctx, house) })
	e.until("given up by Kubernetes", func(w *model.World) error {
		for _, n := range w.Nodes {
			if n.Site == house && n.State != model.NodeUnreachable {
				return fmt.Errorf("%s is %s", n.Name, n.State)
			}
		}
		return nil
	})
	p := carry(t, e, actions.Dead, house)
	if len(p.Steps) != 3 || len(p.Guards) == 0 || p.Confirm != house {
		t.Errorf("%+v", p)
	}
	e.until("nothing hangs there", func(*model.World) error {
		list, err := client.CoreV1().Pods("").List(within(t, patience), metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			if p := &list.Items[i]; strings.HasPrefix(p.Spec.NodeName, house) && metav1.GetControllerOf(p).Kind == "StatefulSet" {
				return fmt.Errorf("%s is on %s", p.Name, p.Spec.NodeName)
			}
		}
		return nil
	})
	if err := shared.Restore(within(t, patience), house); err != nil {
		t.Fatal(err)
	}
	carry(t, e, actions.Return, house)
	list, err := client.CoreV1().Nodes().List(within(t, patience), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range list.Items {
		for _, taint := range n.Spec.Taints {
			if taint.Key == corev1.TaintNodeOutOfService {
				t.Errorf("%s is out of service still", n.Name)
			}
		}
	}
	allWell(t)
}

// A pod is ended once, and a workload's pods are made anew.
func TestDeletePodAndRestart(t *testing.T) {
	allWell(t)
	e := look(t, shared.Kubeconfig("admin"))
	whole(e)
	e.settled()
	pods := func() (names []string) {
		for _, p := range e.world().Pods {
			if p.Namespace == "web" && strings.HasPrefix(p.Name, "blog-") && p.Ready {
				names = append(names, p.Name)
			}
		}
		return names
	}
	before := pods()
	if len(before) == 0 {
		t.Fatal("the lab has no blog")
	}
	carry(t, e, actions.DeletePod, "pod/web/"+before[0])
	e.until("another in its place", func(*model.World) error {
		if now := pods(); slices.Contains(now, before[0]) || len(now) != len(before) {
			return fmt.Errorf("%v, and before %v", now, before)
		}
		return nil
	})
	before = pods()
	carry(t, e, actions.Restart, "Deployment/web/blog")
	e.until("all made anew", func(*model.World) error {
		now := pods()
		if len(now) != len(before) || slices.ContainsFunc(now, func(n string) bool { return slices.Contains(before, n) }) {
			return fmt.Errorf("%v, and before %v", now, before)
		}
		return nil
	})
	allWell(t)
}
