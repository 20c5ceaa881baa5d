package actions

import (
	"context"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/geotop/geotop/model"
)

const (
	opDeletePod = "delete pod"

	argUID = "uid"
)

// DeletePod plans to end one pod ("pod/NAMESPACE/NAME"), whatever budgets say.
func DeletePod(w *model.World, what string) (*model.Plan, error) {
	parts := strings.SplitN(strings.TrimPrefix(what, "pod/"), "/", 2)
	if len(parts) != 2 {
		return nil, unknown("a pod is named as NAMESPACE/NAME, not %q", model.Clean(what, 80))
	}
	at := slices.IndexFunc(w.Pods, func(p *model.Pod) bool { return p.Namespace == parts[0] && p.Name == parts[1] })
	if at < 0 {
		return nil, unknown("there is no pod %s", model.Clean(parts[0]+"/"+parts[1], 160))
	}
	pod := w.Pods[at]
	name := pod.Namespace + "/" + pod.Name
	p := &model.Plan{Cluster: pod.Cluster, Action: "delete", Target: "pod/" + name, Title: "delete pod " + name, Warnings: []string{}, Guards: []string{}, Steps: []*model.Step{{
		Op: opDeletePod, Object: "pod/" + name, Text: "delete pod " + name, State: model.StepWaits, Args: map[string]string{argUID: pod.UID},
		Command: "kubectl -n " + pod.Namespace + " delete pod " + pod.Name,
	}}}
	switch wl := w.WorkloadOf(pod); {
	case pod.Owner.Kind == "":
		guard(p, pod.Name, "it has no controller: nothing makes it anew")
	case pod.Owner.Kind == "Node":
		return nil, refuse("it is a static pod: its kubelet makes it again, whatever is deleted")
	case wl != nil && wl.Desired == 1 && pod.Ready:
		warn(p, "it is the only pod of %s: that is away until another is ready", wl.Object())
	}
	if n := w.Node(pod.Cluster, pod.Node); n != nil && !n.Alive() {
		warn(p, "%s is %s: the pod cannot end there, and hangs", n.Name, n.State)
	}
	return p, nil
}

var deletePodOp = op{
	atomic: true,
	rightsOf: func(s *model.Step) []right {
		namespace, _, _ := strings.Cut(nameOf(s.Object), "/")
		return []right{{verb: "delete", resource: "pods", namespace: namespace}}
	},
	do: func(ctx context.Context, j *job, s *model.Step) error {
		namespace, name, _ := strings.Cut(nameOf(s.Object), "/")
		err := j.remove(ctx, "/api/v1/namespaces/"+namespace+"/pods/"+name, meta{UID: s.Args[argUID]})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return &skipped{"it is gone already"}
		}
		return err
	},
	undo: stays,
}
