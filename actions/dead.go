package actions

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/geotop/geotop/model"
)

const (
	opOutOfService = "out of service"
	opInService    = "in service"
)

// outOfServiceTaint says that a machine is off for sure: Kubernetes then forgets its
// pods at once and takes its volumes off it.
var outOfServiceTaint = corev1.Taint{Key: corev1.TaintNodeOutOfService, Value: "nodeshutdown", Effect: corev1.TaintEffectNoExecute}

func outOfService(n *model.Node) bool {
	return slices.ContainsFunc(n.Taints, func(t corev1.Taint) bool { return t.Key == outOfServiceTaint.Key })
}

// Dead plans to give up the machines of a house that is dark and stays so: pods that
// hang there are forgotten, and volumes may be attached elsewhere.
func Dead(w *model.World, what string) (*model.Plan, error) {
	t, err := aim(w, what)
	if err != nil {
		return nil, err
	}
	p := t.newPlan("dead")
	p.Title = "give " + t.name() + " up"
	hang := 0
	for _, n := range t.nodes {
		switch {
		case n.State == model.NodeReady || n.State == model.NodeNotReady:
			return nil, refuse("%s is %s: a machine that runs must not be given up, its pods would run twice", n.Name, n.State)
		case n.State == model.NodeSilent:
			return nil, refuse("%s is silent for a moment only: wait until Kubernetes has given it up", n.Name)
		case !outOfService(n):
			p.Steps = append(p.Steps, serviceStep(opOutOfService, n))
		}
		for _, pod := range w.Pods {
			if pod.Cluster == n.Cluster && pod.Node == n.Name && !pod.Finished() && pod.Owner.Kind != "DaemonSet" {
				hang++
			}
		}
	}
	if len(p.Steps) == 0 {
		return nil, nothing("%s is out of service already", t.name())
	}
	guard(p, t.name(), "be sure that %s is off and stays off: where its machines run on behind a cut uplink, two pods may write to the same data", t.name())
	if hang > 0 {
		warn(p, "%s there end at once for Kubernetes, and are made anew elsewhere where they fit", some(hang, "pod"))
	}
	for _, v := range w.Volumes {
		if v.Attached() && v.Site != "" && slices.ContainsFunc(t.nodes, func(n *model.Node) bool { return n.Name == v.Node }) {
			words := "it can be attached elsewhere then"
			if v.Healthy == 0 {
				words = "no other copy of it can be reached: it stays away"
			}
			warn(p, "%s is attached there: %s", v.Object(), words)
		}
	}
	warn(p, "when power is back, bring it back with geotop return %s: the taint stays until then", t.object())
	return p, nil
}

func serviceStep(op string, n *model.Node) *model.Step {
	sign := ""
	text := "take " + n.Name + " out of service"
	if op == opInService {
		sign, text = "-", "put "+n.Name+" back into service"
	}
	return &model.Step{Op: op, Object: "node/" + n.Name, Text: text, State: model.StepWaits, Command: "kubectl taint node " + n.Name + " " + outOfServiceTaint.ToString() + sign}
}

// tainted is a core/v1 Node, as far as it is changed here.
type tainted struct {
	object
	Spec struct {
		Taints []corev1.Taint `json:"taints"`
	} `json:"spec"`
	Status struct {
		Conditions []corev1.NodeCondition `json:"conditions"`
	} `json:"status"`
}

// serviceOp sets or takes away the out-of-service taint.
func serviceOp(out bool) op {
	return op{
		atomic: true,
		rights: []right{{verb: "get", resource: "nodes"}, {verb: "patch", resource: "nodes"}},
		do:     func(ctx context.Context, j *job, s *model.Step) error { return j.setService(ctx, s, out, true) },
		undo: func(ctx context.Context, j *job, s *model.Step) error {
			if s.Args[argWas] != "no" {
				return &skipped{"was so before"}
			}
			return j.setService(ctx, s, !out, false)
		},
	}
}

func (j *job) setService(ctx context.Context, s *model.Step, out, first bool) error {
	n := &tainted{}
	if err := j.get(ctx, nodesPath+nameOf(s.Object), n); err != nil {
		return err
	}
	at := slices.IndexFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == outOfServiceTaint.Key })
	if (at >= 0) == out {
		if first && s.Args[argWas] != "no" {
			return &skipped{"was so already"}
		}
		return nil
	}
	if out && slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	}) {
		return refuse("%s is back: it is ready", n.Metadata.Name)
	}
	if first {
		if err := j.keep(ctx, s, argWas, "no"); err != nil {
			return err
		}
	}
	taints := slices.Clone(n.Spec.Taints)
	if out {
		taints = append(taints, outOfServiceTaint)
	} else {
		taints = slices.Delete(taints, at, at+1)
	}
	if err := j.mine(ctx); err != nil {
		return err
	}
	return j.merge(ctx, nodesPath+n.Metadata.Name, map[string]any{
		"metadata": map[string]any{"resourceVersion": n.Metadata.ResourceVersion}, "spec": map[string]any{"taints": taints},
	})
}
