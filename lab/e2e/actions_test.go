package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/model"
)

// setCordon has exactly the named nodes cordoned, and the eye see it.
func setCordon(t *testing.T, e *eye, names ...string) {
	t.Helper()
	list, err := client.CoreV1().Nodes().List(within(t, patience), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wanted := strings.Join(names, " ") + " "
	for _, n := range list.Items {
		if want := strings.Contains(wanted, n.Name+" "); n.Spec.Unschedulable != want {
			patch := fmt.Sprintf(`{"spec":{"unschedulable":%v}}`, want)
			if _, err := client.CoreV1().Nodes().Patch(within(t, patience), n.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	e.until("what is cordoned", func(w *model.World) error {
		if len(w.Nodes) != 9 {
			return fmt.Errorf("%d nodes", len(w.Nodes))
		}
		for _, n := range w.Nodes {
			if n.Unschedulable != strings.Contains(wanted, n.Name+" ") {
				return fmt.Errorf("%s: cordoned %v", n.Name, n.Unschedulable)
			}
		}
		return nil
	})
}

func uncordonAll(ctx context.Context) error {
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, n := range list.Items {
		_, perr := client.CoreV1().Nodes().Patch(ctx, n.Name, types.MergePatchType, []byte(`{"spec":{"unschedulable":false}}`), metav1.PatchOptions{})
		err = errors.Join(err, perr)
	}
	return err
}

// Cordoning a house goes wrong at every call in every way; it is done, or written
// down, and then finished or undone. A machine that was cordoned before stays so.
func TestCordonSurvivesEveryFault(t *testing.T) {
	e := look(t, shared.Kubeconfig("admin"))
	e.settled()
	afterwards(t, func(ctx context.Context) error { return uncordonAll(ctx) })
	walkFaults(t, walk{
		plan:   func(w *model.World) (*model.Plan, error) { return actions.Cordon(w, "moka") },
		begin:  func(t *testing.T, e *eye) { setCordon(t, e, "moka-2") },
		done:   func() error { return wantCordoned(t, "moka-1 moka-2 moka-3") },
		undone: func() error { return wantCordoned(t, "moka-2") },
		every:  2,
	})
}

// pinned runs a workload of two pods on one machine, which may go elsewhere or not;
// a budget holds one of them while the other is away.
func pinned(t *testing.T, name, node string, hard bool) {
	t.Helper()
	here := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}}
	affinity := &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 100, Preference: here}}}
	if hard {
		affinity.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{here}}
	}
	labels, two, one := map[string]string{"app": name}, int32(2), intstr.FromInt32(1)
	selector := &metav1.LabelSelector{MatchLabels: labels}
	_, err := client.AppsV1().Deployments("default").Create(within(t, patience), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{Replicas: &two, Selector: selector, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec:       corev1.PodSpec{Affinity: &corev1.Affinity{NodeAffinity: affinity}, Containers: []corev1.Container{{Name: "c", Image: "nowhere.invalid/c"}}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	afterwards(t, func(ctx context.Context) error {
		return errors.Join(
			client.AppsV1().Deployments("default").Delete(ctx, name, metav1.DeleteOptions{}),
			client.PolicyV1().PodDisruptionBudgets("default").Delete(ctx, name, metav1.DeleteOptions{}),
			uncordonAll(ctx))
	})
	_, err = client.PolicyV1().PodDisruptionBudgets("default").Create(within(t, patience), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &one, Selector: selector},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// running counts the pods of the workload that run, on the machine if one is named.
func running(t *testing.T, name string, on ...string) int {
	t.Helper()
	fields := "status.phase=Running"
	for _, node := range on {
		fields += ",spec.nodeName=" + node
	}
	list, err := client.CoreV1().Pods("default").List(within(t, patience), metav1.ListOptions{LabelSelector: "app=" + name, FieldSelector: fields})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}

// A machine is drained in the same way; its pods have no other place, and a budget
// lets one go only.
func TestDrainWaitsForABudgetAndCanBeLeft(t *testing.T) {
	allWell(t)
	e := look(t, shared.Kubeconfig("admin"))
	e.settled()
	pinned(t, "pinned", "flacq-2", true)
	e.until("the pods", func(_ *model.World) error {
		if n := running(t, "pinned"); n != 2 {
			return fmt.Errorf("%d run", n)
		}
		return nil
	})
	p, err := actions.Drain(e.world(), "node/flacq-2")
	if err != nil {
		t.Fatal(err)
	}
	if err := actions.Check(within(t, patience), admin(t), p); err != nil {
		t.Fatal(err)
	}
	if effect := p.Steps[1].Effect; !strings.Contains(effect, "leave") {
		t.Errorf("the drain would come to %q", effect)
	}
	stop, r := make(chan struct{}), runner(admin(t), e)
	once := sync.Once{}
	r.Tell = func(p *model.Plan) {
		if strings.Contains(p.Steps[1].Note, "held by a budget: default/pinned") {
			once.Do(func() { close(stop) })
		}
	}
	if err := r.Run(within(t, patience), p, stop); !errors.Is(err, actions.ErrStopped) {
		t.Fatalf("a drain that a budget holds ended with %v", err)
	}
	if n := running(t, "pinned"); n != 1 {
		t.Errorf("%d pods run, the budget wants one", n)
	}
	e.until("the plan that was left", func(w *model.World) error {
		if len(w.Plans) != 1 || w.Plans[0].Held(w.At) || w.Status < model.Warning {
			return fmt.Errorf("%d plans, %s", len(w.Plans), w.Status)
		}
		return nil
	})
	if err := r.Run(within(t, patience), p, nil); err == nil || !strings.Contains(err.Error(), "left undone") {
		t.Errorf("another plan beside one that was left: %v", err)
	}
	if err := r.Resume(within(t, patience), true, nil); err != nil {
		t.Fatal(err)
	}
	if err := wantCordoned(t, ""); err != nil {
		t.Error(err)
	}
	e.until("no plan", func(w *model.World) error {
		if len(w.Plans) != 0 {
			return errors.New("there is one")
		}
		return nil
	})
}

// Draining a house goes wrong at every call in every way; the budget holds, and
// it is done, or written down and then finished or undone.
func TestDrainSurvivesEveryFault(t *testing.T) {
	allWell(t)
	pinned(t, "moving", "flacq-2", false)
	walkFaults(t, walk{
		plan: func(w *model.World) (*model.Plan, error) { return actions.Drain(w, "flacq") },
		begin: func(t *testing.T, e *eye) {
			setCordon(t, e)
			e.until("the pods where they begin", func(_ *model.World) error {
				if running(t, "moving") == 2 && running(t, "moving", "flacq-2") < 2 {
					// The scheduler takes a while to see that the machine is open again.
					if err := client.CoreV1().Pods("default").DeleteCollection(within(t, patience), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app=moving"}); err != nil {
						return err
					}
				}
				if running(t, "moving", "flacq-2") != 2 {
					return errors.New("not there yet")
				}
				b, err := client.PolicyV1().PodDisruptionBudgets("default").Get(within(t, patience), "moving", metav1.GetOptions{})
				if err != nil || b.Status.DisruptionsAllowed != 1 {
					return fmt.Errorf("the budget: %v, %w", b.Status, err)
				}
				return nil
			})
		},
		done: func() error {
			for _, node := range []string{"flacq-1", "flacq-2", "flacq-3"} {
				if n := running(t, "moving", node); n > 0 {
					return fmt.Errorf("%d pods are still on %s", n, node)
				}
			}
			return wantCordoned(t, "flacq-1 flacq-2 flacq-3")
		},
		undone: func() error { return wantCordoned(t, "") },
		always: func() error {
			if running(t, "moving") == 0 {
				return errors.New("both pods are away at once")
			}
			return nil
		},
		every: 8,
	})
}

// What the API server would refuse is said before anything is done: every cordon is
// tried out.
func TestWhatTheServerWouldRefuseIsSaidBefore(t *testing.T) {
	allWell(t)
	e := look(t, shared.Kubeconfig("admin"))
	e.settled()
	const name = "no-cordon"
	fail := admissionv1.Fail
	_, err := client.AdmissionregistrationV1().ValidatingAdmissionPolicies().Create(within(t, patience), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: &fail,
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Update}, Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"nodes"}},
			}}}},
			Validations: []admissionv1.Validation{{Expression: "object.metadata.name != 'flacq-2' || !has(object.spec.unschedulable) || !object.spec.unschedulable", Message: "flacq-2 stays open"}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Create(within(t, patience), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	afterwards(t, func(ctx context.Context) error {
		return errors.Join(
			client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Delete(ctx, name, metav1.DeleteOptions{}),
			client.AdmissionregistrationV1().ValidatingAdmissionPolicies().Delete(ctx, name, metav1.DeleteOptions{}))
	})
	for _, plan := range []func(*model.World, string) (*model.Plan, error){actions.Cordon, actions.Drain, actions.Outage} {
		p, err := plan(e.world(), "flacq")
		if err != nil {
			t.Fatal(err)
		}
		e.until("a refusal", func(*model.World) error { // the policy takes a while to be in force
			if err := actions.Check(within(t, patience), admin(t), p); err == nil || !strings.Contains(err.Error(), "flacq-2 stays open") {
				return fmt.Errorf("%s: %w", p.Title, err)
			}
			return nil
		})
	}
	if err := wantCordoned(t, ""); err != nil {
		t.Error(err)
	}
}
