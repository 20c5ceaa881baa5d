package actions

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/geotop/geotop/model"
)

const (
	opRestart = "restart"
	opScale   = "scale"
	opReady   = "ready"

	argAt   = "at"
	argPods = "pods"

	// readyPatience is for how long nothing may move while pods become ready: the
	// default progress deadline of a Deployment.
	readyPatience = 10 * time.Minute
	mostPods      = 10_000
)

// plurals are the workloads that can be restarted, by kind; those of scalable also scaled.
var (
	plurals  = map[string]string{"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}
	scalable = []string{"Deployment", "StatefulSet"}
)

// Restartable reports whether a workload's pods can be made anew.
func Restartable(wl *model.Workload) bool { return plurals[wl.Kind] != "" }

// workloadAt finds the workload that is meant by KIND/NAMESPACE/NAME, as the API or
// kubectl's short names spell the kind, or by NAMESPACE/NAME where that is but one.
func workloadAt(w *model.World, what string) (*model.Workload, error) {
	if !w.Looked() {
		return nil, refuse("the cluster could not be read, so nothing is done")
	}
	kinds := map[string]string{"deploy": "deployment", "sts": "statefulset", "ds": "daemonset"}
	parts := strings.Split(strings.TrimPrefix(what, "workload/"), "/")
	found := []*model.Workload{}
	for _, wl := range w.Workloads {
		kind := strings.ToLower(wl.Kind)
		switch {
		case len(parts) == 2 && plurals[wl.Kind] != "" && wl.Namespace == parts[0] && wl.Name == parts[1],
			len(parts) == 3 && wl.Namespace == parts[1] && wl.Name == parts[2] && (kind == strings.ToLower(parts[0]) || kind == kinds[strings.ToLower(parts[0])] || plurals[wl.Kind] == strings.ToLower(parts[0])):
			found = append(found, wl)
		}
	}
	switch {
	case len(parts) < 2 || len(parts) > 3:
		return nil, unknown("a workload is named as KIND/NAMESPACE/NAME or NAMESPACE/NAME, not %q", model.Clean(what, 160))
	case len(found) == 0:
		return nil, unknown("there is no workload %s", model.Clean(what, 160))
	case len(found) > 1:
		return nil, unknown("several workloads are called %s: say KIND/NAMESPACE/NAME", model.Clean(what, 160))
	case plurals[found[0].Kind] == "":
		return nil, unknown("%s is neither restarted nor scaled", found[0].Object())
	}
	return found[0], nil
}

// workloadPath is where the API has a workload, from KIND/NAMESPACE/NAME.
func workloadPath(object string) (string, error) {
	parts := strings.Split(object, "/")
	if len(parts) != 3 || plurals[parts[0]] == "" {
		return "", refuse("%q is no workload", model.Clean(object, 160))
	}
	return "/apis/apps/v1/namespaces/" + parts[1] + "/" + plurals[parts[0]] + "/" + parts[2], nil
}

// workloadRights are verbs on the kind of workload a step is about, in its namespace.
func workloadRights(sub string, verbs ...string) func(*model.Step) []right {
	return func(s *model.Step) []right {
		list, parts := []right{}, strings.Split(s.Object, "/")
		for _, verb := range verbs {
			if len(parts) == 3 {
				list = append(list, right{verb: verb, group: "apps", resource: plurals[parts[0]], sub: sub, namespace: parts[1]})
			}
		}
		return list
	}
}

func workloadPlan(wl *model.Workload, action string, s *model.Step) *model.Plan {
	s.Object, s.Text, s.State = wl.Object(), action+" "+wl.Object(), model.StepWaits
	return &model.Plan{Cluster: wl.Cluster, Action: s.Op, Target: wl.Object(), Title: s.Text, Warnings: []string{}, Guards: []string{}, Steps: []*model.Step{s}}
}

// Restart plans to have all pods of a workload made anew.
func Restart(w *model.World, what string) (*model.Plan, error) {
	wl, err := workloadAt(w, what)
	if err != nil {
		return nil, err
	}
	p := workloadPlan(wl, "restart", &model.Step{
		Op: opRestart, Args: map[string]string{argAt: w.At.UTC().Format(time.RFC3339)},
		Command: "kubectl -n " + wl.Namespace + " rollout restart " + strings.ToLower(wl.Kind) + "/" + wl.Name,
		Effect:  some(wl.Desired, "pod") + " made anew, one after another",
	})
	if wl.Desired == 1 && wl.Kind == "StatefulSet" {
		warn(p, "it has one pod: it is away until that is ready again")
	}
	return p, nil
}

// restartedAt is the annotation by which kubectl rollout restart has pods made anew.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

var restartOp = op{
	atomic:   true,
	rightsOf: workloadRights("", "patch"),
	check: func(ctx context.Context, c client, _ *model.Plan, s *model.Step) error {
		path, err := workloadPath(s.Object)
		if err != nil {
			return err
		}
		return c.wouldMerge(ctx, path, restartPatch(s))
	},
	do: func(ctx context.Context, j *job, s *model.Step) error {
		path, err := workloadPath(s.Object)
		if err != nil {
			return err
		}
		return j.merge(ctx, path, restartPatch(s))
	},
	undo: stays,
}

func restartPatch(s *model.Step) map[string]any {
	return map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": map[string]string{restartedAt: s.Args[argAt]}}}}}
}

// Scale plans for another number of a workload's pods.
func Scale(w *model.World, what, pods string) (*model.Plan, error) {
	wl, err := workloadAt(w, what)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(scalable, wl.Kind) {
		return nil, unknown("%s has one pod on each machine: that is not scaled", wl.Object())
	}
	n, err := strconv.Atoi(strings.TrimSpace(pods))
	if err != nil || n < 0 || n > mostPods {
		return nil, unknown("how many pods? a number from 0 to %d, not %q", mostPods, model.Clean(pods, 40))
	}
	if n == wl.Desired {
		return nil, nothing("it is to have %s already", some(n, "pod"))
	}
	p := workloadPlan(wl, "scale", &model.Step{
		Op: opScale, Args: map[string]string{argPods: strconv.Itoa(n)},
		Command: fmt.Sprintf("kubectl -n %s scale %s/%s --replicas=%d", wl.Namespace, strings.ToLower(wl.Kind), wl.Name, n),
		Effect:  fmt.Sprintf("from %d to %s", wl.Desired, some(n, "pod")),
	})
	switch {
	case n == 0:
		warn(p, "no pod of it is left: it is down until it is scaled up again")
	case n == 1 && wl.Desired > 1:
		warn(p, "one pod is in one house: when that goes dark, it is down until Kubernetes has it elsewhere")
	}
	return p, nil
}

// scaleOf is the scale subresource of a workload.
type scaleOf struct {
	object
	Spec struct{ Replicas int }
}

var scaleOp = op{
	atomic:   true,
	rightsOf: workloadRights("scale", "get", "patch"),
	check: func(ctx context.Context, c client, _ *model.Plan, s *model.Step) error {
		path, err := workloadPath(s.Object)
		if err != nil {
			return err
		}
		return c.wouldMerge(ctx, path+"/scale", scalePatch(s.Args[argPods], ""))
	},
	do: func(ctx context.Context, j *job, s *model.Step) error { return j.scale(ctx, s, argPods) },
	undo: func(ctx context.Context, j *job, s *model.Step) error {
		if s.Args[argWas] == "" {
			return &skipped{"nothing was changed"}
		}
		return j.scale(ctx, s, argWas)
	},
}

func scalePatch(pods, version string) map[string]any {
	n, _ := strconv.Atoi(pods)
	patch := map[string]any{"spec": map[string]any{"replicas": n}}
	if version != "" {
		patch["metadata"] = meta{ResourceVersion: version}
	}
	return patch
}

// scale has the workload have as many pods as the step's argument says, and notes
// first how many it had.
func (j *job) scale(ctx context.Context, s *model.Step, arg string) error {
	path, err := workloadPath(s.Object)
	if err != nil {
		return err
	}
	now := &scaleOf{}
	if err := j.get(ctx, path+"/scale", now); err != nil {
		if apierrors.IsNotFound(err) {
			return refuse("it is gone")
		}
		return err
	}
	if strconv.Itoa(now.Spec.Replicas) == s.Args[arg] {
		return nil
	}
	if s.Args[argWas] == "" {
		if err := j.keep(ctx, s, argWas, strconv.Itoa(now.Spec.Replicas)); err != nil {
			return err
		}
	}
	if err := j.mine(ctx); err != nil {
		return err
	}
	return j.merge(ctx, path+"/scale", scalePatch(s.Args[arg], now.Metadata.ResourceVersion))
}

// Await adds to a plan about a workload, or a pod of one, that its pods are waited for.
func Await(w *model.World, p *model.Plan) {
	object := p.Target
	if parts := strings.SplitN(p.Target, "/", 3); parts[0] == "pod" && len(parts) == 3 {
		at := slices.IndexFunc(w.Pods, func(pod *model.Pod) bool { return pod.Namespace == parts[1] && pod.Name == parts[2] })
		if at < 0 {
			return
		}
		wl := w.WorkloadOf(w.Pods[at])
		if wl == nil || plurals[wl.Kind] == "" {
			return
		}
		object = wl.Object()
	}
	p.Steps = append(p.Steps, &model.Step{Op: opReady, Object: object, Text: "wait for the pods of " + object, State: model.StepWaits})
}

// rollout is what a workload tells of its pods (apps/v1).
type rollout struct {
	object
	Spec   struct{ Replicas *int }
	Status struct {
		ObservedGeneration                                          int64
		Replicas, ReadyReplicas, UpdatedReplicas                    int
		DesiredNumberScheduled, NumberReady, UpdatedNumberScheduled int
		CurrentRevision, UpdateRevision                             string
	}
}

// progress tells how many pods are to be there and how many are ready as they are to be.
func (r *rollout) progress() (ready, want int) {
	st := r.Status
	if r.Spec.Replicas == nil { // a DaemonSet
		return min(st.NumberReady, st.UpdatedNumberScheduled), st.DesiredNumberScheduled
	}
	want = *r.Spec.Replicas
	updated := st.UpdatedReplicas
	if st.CurrentRevision != "" && st.CurrentRevision == st.UpdateRevision {
		updated = st.Replicas
	}
	ready = min(st.ReadyReplicas, updated)
	if st.Replicas > want { // old ones that are to go
		ready = min(ready, want-1)
	}
	return ready, want
}

// readyOp waits until a workload's pods are ready and as they are to be.
var readyOp = op{
	undo:     stays,
	rightsOf: workloadRights("", "get"),
	do: func(ctx context.Context, j *job, s *model.Step) error {
		path, err := workloadPath(s.Object)
		if err != nil {
			return err
		}
		return j.await(ctx, s, readyPatience, func() (string, bool, error) {
			r := &rollout{}
			if err := j.get(ctx, path, r); apierrors.IsNotFound(err) {
				return "", false, refuse("it is gone")
			} else if err != nil {
				return "", false, err
			}
			ready, want := r.progress()
			seen := r.Status.ObservedGeneration >= r.Metadata.Generation
			return fmt.Sprintf("%d of %s ready", max(0, ready), some(want, "pod")), seen && ready == want, nil
		})
	},
}
