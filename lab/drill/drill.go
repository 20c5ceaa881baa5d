// Package drill holds geotop's forecasts against what really happens: it makes
// clusters at random, asks geotop what breaks when a house goes dark, cuts that
// house, waits until the real controllers and the real scheduler have come to
// rest, and compares pod by pod.
package drill

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/geotop/geotop/collectors"
	"github.com/geotop/geotop/collectors/kube"
	"github.com/geotop/geotop/lab/rig"
	"github.com/geotop/geotop/model"
)

// The clocks of a drill: short, and long enough that a machine at work does not
// take a living house for dark.
const (
	lease       = 8 * time.Second
	grace       = 12 * time.Second
	tolerations = 4 * time.Second
	evictRate   = 0.8
	patience    = 5 * time.Minute
	longest     = 3 * time.Minute  // that is waited for what is to come back
	jobs        = 10 * time.Second // until a Job that lost a pod makes another
	atRest      = 3 * time.Second
)

// Run is one drill: the losses of a generated cluster, one after the other. What it
// starts it stops.
func Run(ctx context.Context, seed uint64) ([]*Result, error) {
	p := newPlan(seed)
	r, err := rig.Up(ctx, rig.Config{
		Houses: p.houses, PerHouse: p.perHouse, Empty: true, Shape: p.shape, NoMetrics: true, NoTailnet: true, NoLonghorn: true,
		Grace: grace, Lease: lease, Tolerations: tolerations, EvictRate: evictRate, Log: func(string, ...any) {},
	})
	if err != nil {
		return nil, err
	}
	defer r.Down()
	c, err := r.Client()
	if err != nil {
		return nil, err
	}
	if err := p.create(ctx, c); err != nil {
		return nil, err
	}
	d := &drill{rig: r, client: c, perHouse: p.perHouse, placed: map[string]time.Time{}, dark: map[string]bool{}}
	if err := d.begin(ctx); err != nil {
		return nil, fmt.Errorf("before the loss: %w", err)
	}
	list := []*Result{}
	for i, parts := range p.losses(r.Houses()) {
		res, err := d.lose(ctx, parts)
		if err != nil {
			return nil, fmt.Errorf("loss %d: %w", i+1, err)
		}
		res.Seed, res.Loss = seed, i+1
		list = append(list, res)
	}
	return list, nil
}

// lose forecasts the loss of the halves of houses, cuts them, and compares.
func (d *drill) lose(ctx context.Context, parts []string) (*Result, error) {
	w, err := d.look(ctx)
	if err != nil {
		return nil, err
	}
	before, err := d.pods(ctx)
	if err != nil {
		return nil, err
	}
	res := &Result{Lost: parts, Nodes: len(w.Nodes), Pods: len(before), world: w}
	res.forecast()
	machines := []string{}
	for _, n := range w.Nodes {
		if slices.Contains(parts, n.Site) {
			machines = append(machines, n.Name)
			d.dark[n.Name] = true
		}
	}
	cut := time.Now()
	if err := d.rig.CutNodes(ctx, machines...); err != nil {
		return nil, err
	}
	// The last node is given up so late, and its most patient pod leaves after that.
	last := cut.Add(grace + time.Duration(float64(d.perHouse)/evictRate*float64(time.Second)) + 5*time.Second + jobs)
	if decided := cut.Add(min(res.Decided, longest) + 3*time.Second); decided.After(last) {
		last = decided
	}
	if err := d.rest(ctx, last); err != nil {
		return nil, err
	}
	if err := d.outcome(ctx, res, before, cut); err != nil {
		return nil, err
	}
	res.compare()
	return res, nil
}

// create makes the apps.
func (p *plan) create(ctx context.Context, c kubernetes.Interface) error {
	if _, err := c.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	for _, o := range p.apps {
		var err error
		switch o := o.(type) {
		case *appsv1.Deployment:
			_, err = c.AppsV1().Deployments(namespace).Create(ctx, o, metav1.CreateOptions{})
		case *appsv1.StatefulSet:
			_, err = c.AppsV1().StatefulSets(namespace).Create(ctx, o, metav1.CreateOptions{})
		case *appsv1.DaemonSet:
			_, err = c.AppsV1().DaemonSets(namespace).Create(ctx, o, metav1.CreateOptions{})
		case *schedulingv1.PriorityClass:
			_, err = c.SchedulingV1().PriorityClasses().Create(ctx, o, metav1.CreateOptions{})
		case *corev1.PersistentVolume:
			_, err = c.CoreV1().PersistentVolumes().Create(ctx, o, metav1.CreateOptions{})
		case *corev1.PersistentVolumeClaim:
			_, err = c.CoreV1().PersistentVolumeClaims(namespace).Create(ctx, o, metav1.CreateOptions{})
		case *batchv1.Job:
			_, err = c.BatchV1().Jobs(namespace).Create(ctx, o, metav1.CreateOptions{})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type drill struct {
	rig      *rig.Rig
	client   kubernetes.Interface
	perHouse int
	placed   map[string]time.Time // by UID: when a pod was first seen on a node
	dark     map[string]bool      // machines without power
}

func (d *drill) pods(ctx context.Context) (map[string]*corev1.Pod, error) {
	list, err := d.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	all := map[string]*corev1.Pod{}
	for i := range list.Items {
		all[list.Items[i].Name] = &list.Items[i]
	}
	return all, nil
}

// rest waits until nothing has changed for a while, not before the given moment.
func (d *drill) rest(ctx context.Context, notBefore time.Time) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the cluster did not come to rest"))
	defer cancel()
	last, since := "", time.Now()
	for {
		pods, err := d.pods(ctx)
		if err != nil {
			return err
		}
		for _, p := range pods {
			if _, seen := d.placed[string(p.UID)]; !seen && p.Spec.NodeName != "" {
				d.placed[string(p.UID)] = time.Now()
			}
		}
		now, busy := picture(pods)
		if now != last || busy {
			last, since = now, time.Now()
		}
		if time.Since(since) > atRest && time.Now().After(notBefore.Add(atRest)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), now)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// begin waits until the cluster is at rest, with all pods that its Jobs want: one
// that was preempted on its way is made again only later.
func (d *drill) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("a Job did not make its pods"))
	defer cancel()
	for {
		if err := d.rest(ctx, time.Now()); err != nil {
			return err
		}
		list, err := d.client.BatchV1().Jobs(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(list.Items, func(j batchv1.Job) bool { return j.Status.Active < *j.Spec.Parallelism }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// picture is how the pods are; busy while one has just been made and nobody has
// looked at it.
func picture(pods map[string]*corev1.Pod) (text string, busy bool) {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(pods)) {
		p := pods[name]
		fmt.Fprintf(&b, "%s@%s %s %v\n", name, p.Spec.NodeName, p.Status.Phase, p.DeletionTimestamp != nil)
		scheduled := false
		for _, c := range p.Status.Conditions {
			scheduled = scheduled || c.Type == corev1.PodScheduled
		}
		busy = busy || !scheduled
	}
	return b.String(), busy
}

// look has geotop read the cluster.
func (d *drill) look(ctx context.Context) (*model.World, error) {
	cfg, err := rig.LoadConfig(d.rig.Kubeconfig("admin"))
	if err != nil {
		return nil, err
	}
	k, err := kube.New(kube.Config{Name: "drill", Rest: cfg})
	if err != nil {
		return nil, err
	}
	set := collectors.NewSet(k)
	run, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); set.Run(run) }()
	defer func() { cancel(); <-done }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		if w := set.World(time.Now(), siteLabels); w.Settled() {
			return w, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-timer.C:
			return nil, errors.New("geotop did not settle")
		case <-set.Changed():
		}
	}
}

// outcome is what happened.
func (d *drill) outcome(ctx context.Context, r *Result, before map[string]*corev1.Pod, cut time.Time) error {
	after, err := d.pods(ctx)
	if err != nil {
		return err
	}
	if r.Machines, err = d.machines(ctx); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		for _, c := range after[name].Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
				r.Machines = append(r.Machines, fmt.Sprintf("%s waits since %s: %s", name, after[name].CreationTimestamp.UTC().Format("15:04:05"), c.Message))
			}
		}
	}
	r.Outcome, r.Homes = map[string]Count{}, map[string][]string{}
	for name, p := range after {
		app := p.Labels[appLabel]
		c := r.Outcome[app]
		old := before[name] != nil && before[name].UID == p.UID
		switch {
		case p.DeletionTimestamp != nil:
			c.Ending++
		case p.Spec.NodeName == "":
			c.Pending++
		case d.dark[p.Spec.NodeName] && old:
			c.Away++
		case old && before[name].Spec.NodeName != "":
			c.Stay++
		default:
			c.Placed++
			r.Homes[app] = append(r.Homes[app], p.Spec.NodeName)
			r.Took = max(r.Took, d.placed[string(p.UID)].Sub(cut))
			tries, err := d.tries(ctx, p, cut)
			if err != nil {
				return err
			}
			r.Tries = append(r.Tries, fmt.Sprintf("%s made after %.0f s, placed after %.0f s%s", name, p.CreationTimestamp.Sub(cut).Seconds(), d.placed[string(p.UID)].Sub(cut).Seconds(), tries))
		}
		r.Outcome[app] = c
	}
	slices.Sort(r.Tries)
	return nil
}

// tries is what the scheduler said of a pod until it had a node.
func (d *drill) tries(ctx context.Context, p *corev1.Pod, cut time.Time) (string, error) {
	list, err := d.client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(p.UID)})
	if err != nil {
		return "", err
	}
	text := ""
	for i := range list.Items {
		e := &list.Items[i]
		at, count := e.EventTime.Time, int32(1)
		if at.IsZero() {
			at = e.FirstTimestamp.Time
		}
		if e.Series != nil {
			count = e.Series.Count
		}
		text += fmt.Sprintf("; after %.1f s %s (%d): %s", at.Sub(cut).Seconds(), e.Reason, count, e.Message)
	}
	return text, nil
}

// machines is what Kubernetes made of each node.
func (d *drill) machines(ctx context.Context) ([]string, error) {
	list, err := d.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	lines := []string{}
	for i := range list.Items {
		n := &list.Items[i]
		text := n.Name
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady {
				text += fmt.Sprintf(" Ready=%s since %s", c.Status, c.LastTransitionTime.UTC().Format("15:04:05"))
			}
		}
		for _, t := range n.Spec.Taints {
			text += " " + t.ToString()
		}
		lines = append(lines, text)
	}
	slices.Sort(lines)
	return lines, nil
}
