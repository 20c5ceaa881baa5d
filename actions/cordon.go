package actions

import (
	"context"
	"slices"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
)

const (
	opCordon   = "cordon"
	opUncordon = "uncordon"

	nodesPath = "/api/v1/nodes/"
	argWas    = "was" // how it was before: "yes" when it was as wanted already
)

// node is a core/v1 Node, as far as it is changed here.
type node struct {
	object
	Spec struct {
		Unschedulable bool `json:"unschedulable"`
	} `json:"spec"`
}

// Cordon plans to let no new pods onto a machine or a whole site.
func Cordon(w *model.World, what string) (*model.Plan, error) {
	t, err := aim(w, what)
	if err != nil {
		return nil, err
	}
	p := t.newPlan("cordon")
	t.cordon(w, p)
	if len(p.Steps) == 0 {
		return nil, nothing("%s is cordoned already", t.name())
	}
	t.trapsOfCordon(w, p)
	return p, nil
}

// Uncordon plans to let pods onto a machine or a site again.
func Uncordon(w *model.World, what string) (*model.Plan, error) {
	t, err := aim(w, what)
	if err != nil {
		return nil, err
	}
	p := t.newPlan("uncordon")
	p.Confirm = "" // nothing gets worse
	for _, n := range t.nodes {
		if n.Unschedulable {
			p.Steps = append(p.Steps, cordonStep(opUncordon, n))
		}
	}
	if len(p.Steps) == 0 {
		return nil, nothing("%s is not cordoned", t.name())
	}
	return p, nil
}

// cordon adds a step for each machine that is not cordoned yet, and guards the last
// site on which pods may be placed.
func (t *target) cordon(w *model.World, p *model.Plan) {
	for _, n := range t.nodes {
		if !n.Unschedulable {
			p.Steps = append(p.Steps, cordonStep(opCordon, n))
		}
	}
	if len(p.Steps) > 0 && !elsewhere(w, t) {
		guard(p, t.name(), "no other house has a machine that takes pods: nothing could be placed any more")
	}
}

func cordonStep(op string, n *model.Node) *model.Step {
	return &model.Step{Op: op, Object: "node/" + n.Name, Text: op + " " + n.Name, Command: "kubectl " + op + " " + n.Name, State: model.StepWaits}
}

// elsewhere reports whether pods could be placed on any machine of another site,
// or, when t is a machine, on any other machine.
func elsewhere(w *model.World, t *target) bool {
	return slices.ContainsFunc(w.Nodes, func(n *model.Node) bool {
		return n.Cluster == t.cluster() && !n.Unschedulable && n.State == model.NodeReady && !slices.Contains(t.nodes, n)
	})
}

// trapsOfCordon warns of what Longhorn makes of a cordon by itself.
func (t *target) trapsOfCordon(w *model.World, p *model.Plan) {
	if len(w.StorageNodes) == 0 {
		return
	}
	here := map[string]bool{}
	for _, n := range t.nodes {
		here[n.Name] = true
	}
	all, last, bytes := 0, 0, int64(0)
	for _, v := range w.Volumes {
		in, safe := 0, 0
		for _, r := range v.Replicas {
			n := w.Node(v.Cluster, r.Node)
			switch {
			case here[r.Node]:
				in++
			case r.Healthy && n != nil && !n.Unschedulable:
				safe++
			}
		}
		if all += in; in > 0 {
			bytes += int64(in) * v.ActualSize
			if safe == 0 {
				last++
			}
		}
	}
	switch policy := w.Setting(t.cluster(), "node-drain-policy"); {
	case all == 0:
	case policy == "block-for-eviction":
		guard(p, t.name(), "Longhorn's node-drain-policy is block-for-eviction: it will move all %s of %s to other houses at once, %s over the uplink", some(all, "replica"), t.name(), text.Bytes(bytes))
	case policy == "block-for-eviction-if-contains-last-replica" && last > 0:
		warn(p, "Longhorn's node-drain-policy is %s: it will copy %s whose only good copy is here to other houses", policy, some(last, "volume"))
	}
	if t.site == "" && w.Setting(t.cluster(), "disable-scheduling-on-cordoned-node") != "false" {
		t.halfCordoned(w, p)
	}
}

// halfCordoned warns of Longhorn's accounting: a zone counts as used only by
// replicas on machines that are candidates themselves, so a new replica may land
// beside an old one in the same house.
func (t *target) halfCordoned(w *model.World, p *model.Plan) {
	n := t.nodes[0]
	holds := slices.ContainsFunc(w.Volumes, func(v *model.Volume) bool {
		return slices.ContainsFunc(v.Replicas, func(r *model.Replica) bool { return r.Node == n.Name })
	})
	open := slices.ContainsFunc(w.StorageNodes, func(s *model.StorageNode) bool {
		o := w.Node(s.Cluster, s.Name)
		return o != nil && o != n && o.Site == n.Site && !o.Unschedulable && s.Scheduling
	})
	if holds && open {
		warn(p, "while only part of %s is cordoned, Longhorn does not see the replicas of %s there: a new one may land in the same house", n.Site, n.Name)
	}
}

// cordonOp sets spec.unschedulable.
func cordonOp(on bool) op {
	other := !on
	return op{
		atomic: true,
		rights: []right{{verb: "get", resource: "nodes"}, {verb: "patch", resource: "nodes"}},
		check: func(ctx context.Context, c client, _ *model.Plan, s *model.Step) error {
			return c.wouldMerge(ctx, nodesPath+nameOf(s.Object), map[string]any{"spec": map[string]any{"unschedulable": on}})
		},
		do: func(ctx context.Context, j *job, s *model.Step) error {
			n, err := j.node(ctx, s)
			if err != nil {
				return err
			}
			if n.Spec.Unschedulable == on {
				if s.Args[argWas] == "no" {
					return nil // we did, and did not hear of it
				}
				return &skipped{"was so already"}
			}
			if on && j.last(n.Metadata.Name) {
				return refuse("meanwhile no other machine takes pods: nothing could be placed any more")
			}
			if err := j.keep(ctx, s, argWas, "no"); err != nil {
				return err
			}
			return j.setUnschedulable(ctx, n, on)
		},
		undo: func(ctx context.Context, j *job, s *model.Step) error {
			if s.Args[argWas] != "no" {
				return &skipped{"was so before"}
			}
			n, err := j.node(ctx, s)
			if err != nil || n.Spec.Unschedulable == other {
				return err
			}
			return j.setUnschedulable(ctx, n, other)
		},
	}
}

// last reports whether no machine would take pods any more without this one, and the
// operator was not told so when the plan was agreed to.
func (j *job) last(name string) bool {
	w := j.World()
	if w == nil || len(j.plan.Guards) > 0 {
		return false
	}
	n := w.Node(j.plan.Cluster, name)
	return n != nil && !elsewhere(w, &target{nodes: []*model.Node{n}})
}

func (j *job) node(ctx context.Context, s *model.Step) (*node, error) {
	n := &node{}
	return n, j.get(ctx, nodesPath+nameOf(s.Object), n)
}

func (j *job) setUnschedulable(ctx context.Context, n *node, on bool) error {
	if err := j.mine(ctx); err != nil {
		return err
	}
	return j.merge(ctx, nodesPath+n.Metadata.Name, map[string]any{
		"metadata": map[string]any{"resourceVersion": n.Metadata.ResourceVersion},
		"spec":     map[string]any{"unschedulable": on},
	})
}
