package actions

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/survive"
)

const opDrain = "drain"

const (
	podsPath    = "/api/v1/pods"
	budgetsPath = "/apis/policy/v1/poddisruptionbudgets"
	// drainPatience is how long no pod may go until a drain gives up: grace periods
	// of an hour are rare, budgets that wait for a slow start are not.
	drainPatience = 15 * time.Minute
)

// Drain plans to cordon a machine or a site and to have its pods go elsewhere,
// budgets respected: machines that are no servers first, then the servers, those
// with an etcd member last.
func Drain(w *model.World, what string) (*model.Plan, error) {
	t, err := aim(w, what)
	if err != nil {
		return nil, err
	}
	p := t.newPlan("drain")
	t.cordon(w, p)
	if err := t.drain(p); err != nil {
		return nil, err
	}
	t.trapsOfCordon(w, p)
	t.afterwards(w, p)
	return p, nil
}

// drain adds a step for each machine.
func (t *target) drain(p *model.Plan) error {
	nodes := slices.Clone(t.nodes)
	rank := func(n *model.Node) int {
		switch {
		case n.Voter:
			return 2
		case n.ControlPlane:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(nodes, func(a, b *model.Node) int { return rank(a) - rank(b) })
	for _, n := range nodes {
		if n.State != model.NodeReady {
			return refuse("%s is %s: its kubelet cannot end pods. When it is sure to stay dark, take it out of service instead (geotop dead %s)", n.Name, n.State, t.object())
		}
		p.Steps = append(p.Steps, &model.Step{
			Op: opDrain, Object: "node/" + n.Name, Text: "drain " + n.Name, State: model.StepWaits,
			Command: "kubectl drain " + n.Name + " --ignore-daemonsets --delete-emptydir-data",
		})
	}
	return nil
}

// afterwards says where the pods would go: a forecast of the house being dark holds
// for a drained one, but that everything ends in good order.
func (t *target) afterwards(w *model.World, p *model.Plan) {
	if t.site == "" {
		return
	}
	v := survive.New(w).Of(t.site)
	for _, part := range v.Workloads {
		if part.Pend > 0 {
			warn(p, "%s: %s would find no place (%s)", part.Object, some(part.Pend, "pod"), part.Why)
		}
	}
	for _, part := range v.Volumes {
		if part.Outcome == model.DataLost {
			warn(p, "%s keeps its only good copy here: %s", part.Object, part.Why)
		}
	}
}

var drainOp = op{
	rights: []right{{verb: "list", resource: "pods"}, {verb: "create", resource: "pods", sub: "eviction"}, {verb: "list", group: "policy", resource: "poddisruptionbudgets"}},
	check:  checkDrain,
	do:     drainNode,
	undo:   func(context.Context, *job, *model.Step) error { return &skipped{"pods that went stay where they are"} },
}

// leaves reports whether the pod must go for its machine to be drained.
func leaves(p *corev1.Pod) bool {
	if _, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return false
	}
	owner := metav1.GetControllerOf(p)
	return owner == nil || owner.Kind != "DaemonSet" && owner.Kind != "Node"
}

func finished(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

func (c client) podsOn(ctx context.Context, node string) ([]corev1.Pod, error) {
	var list corev1.PodList
	if err := c.list(ctx, podsPath, url.Values{"fieldSelector": {"spec.nodeName=" + node}}, &list); err != nil {
		return nil, fmt.Errorf("list the pods on %s: %w", node, err)
	}
	return list.Items, nil
}

// checkDrain says what a drain would move and end for good, and which budgets stand
// in its way now.
func checkDrain(ctx context.Context, c client, p *model.Plan, s *model.Step) error {
	name := nameOf(s.Object)
	pods, err := c.podsOn(ctx, name)
	if err != nil {
		return err
	}
	var budgets policyv1.PodDisruptionBudgetList
	if err := c.list(ctx, budgetsPath, nil, &budgets); err != nil {
		return fmt.Errorf("list the budgets: %w", err)
	}
	goes, scratch := 0, 0
	for i := range pods {
		pod := &pods[i]
		if !leaves(pod) {
			continue
		}
		goes++
		who := pod.Namespace + "/" + pod.Name
		if metav1.GetControllerOf(pod) == nil && !finished(pod) {
			guard(p, confirmOf(p, name), "pod %s has no controller: nothing makes it anew", who)
		}
		if slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
			return v.EmptyDir != nil && v.EmptyDir.Medium != corev1.StorageMediumMemory
		}) && !finished(pod) {
			scratch++
		}
		if b := budgetOf(budgets.Items, pod); b != nil && b.Status.DisruptionsAllowed <= 0 && !finished(pod) {
			warn(p, "%s: budget %s lets none of its pods go now (%d of %d healthy); the drain waits for it", who, b.Name, b.Status.CurrentHealthy, b.Status.DesiredHealthy)
		}
	}
	s.Effect = "no pod has to go"
	if goes > 0 {
		s.Effect = some(goes, "pod") + " leave"
		if goes == 1 {
			s.Effect += "s"
		}
		if scratch > 0 {
			s.Effect += fmt.Sprintf(", %d with an emptyDir that is lost", scratch)
		}
	}
	return nil
}

func confirmOf(p *model.Plan, name string) string {
	if p.Confirm != "" {
		return p.Confirm
	}
	return name
}

func budgetOf(budgets []policyv1.PodDisruptionBudget, pod *corev1.Pod) *policyv1.PodDisruptionBudget {
	for i := range budgets {
		b := &budgets[i]
		if b.Namespace != pod.Namespace {
			continue
		}
		if s, err := metav1.LabelSelectorAsSelector(b.Spec.Selector); err == nil && !s.Empty() && s.Matches(labels.Set(pod.Labels)) {
			return b
		}
	}
	return nil
}

// drainNode evicts what must go until nothing of it is left.
func drainNode(ctx context.Context, j *job, s *model.Step) error {
	name := nameOf(s.Object)
	since, fewest := j.Now(), -1
	for {
		n := &node{}
		if err := j.get(ctx, nodesPath+name, n); err != nil {
			return err
		}
		if !n.Spec.Unschedulable {
			return refuse("%s was uncordoned meanwhile: pods would come back to it", name)
		}
		pods, err := j.podsOn(ctx, name)
		if err != nil {
			return err
		}
		pods = slices.DeleteFunc(pods, func(p corev1.Pod) bool { return !leaves(&p) })
		if len(pods) == 0 {
			s.Note = ""
			return nil
		}
		if fewest < 0 || len(pods) < fewest {
			since, fewest = j.Now(), len(pods)
		}
		held, err := j.evict(ctx, pods)
		if err != nil {
			return err
		}
		note := some(len(pods), "pod") + " left"
		if len(held) > 0 {
			note += "; held by a budget: " + strings.Join(held[:min(3, len(held))], ", ")
		}
		if w := j.World(); w != nil {
			if at := w.Node(j.plan.Cluster, name); at != nil && !at.Alive() {
				note += "; the machine gives no sign of life, its pods cannot end"
			}
		}
		if j.Now().Sub(since) > drainPatience {
			return refuse("no pod left for %s: %s", model.Ago(drainPatience), note)
		}
		j.progress(s, note)
		if err := j.rest(ctx); err != nil {
			return err
		}
	}
}

// evict asks all of the pods to go that were not asked yet, and gives those that a
// budget holds.
func (j *job) evict(ctx context.Context, pods []corev1.Pod) (held []string, err error) {
	for i := range pods {
		p := &pods[i]
		if p.DeletionTimestamp != nil {
			continue
		}
		if err := j.mine(ctx); err != nil {
			return nil, err
		}
		path := "/api/v1/namespaces/" + p.Namespace + "/pods/" + p.Name + "/eviction"
		err := j.create(ctx, path, map[string]any{
			"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta{Name: p.Name, Namespace: p.Namespace},
			"deleteOptions": map[string]any{"preconditions": map[string]any{"uid": p.UID}},
		}, nil)
		switch {
		case err == nil, apierrors.IsNotFound(err), apierrors.IsConflict(err): // gone, or another of its name
		case apierrors.IsTooManyRequests(err):
			held = append(held, p.Namespace+"/"+p.Name)
		default:
			return nil, fmt.Errorf("evict %s/%s: %w", p.Namespace, p.Name, err)
		}
		if j.stopped() {
			return held, nil
		}
	}
	return held, nil
}
