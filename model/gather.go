package model

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// gathering follows pods up to the owner at the top.
type gathering struct {
	facts       *ClusterFacts
	controllers map[string]*Controller // by UID
	tops        map[string]*Workload   // by UID of the pod's direct owner or of the top itself
	root        map[*Workload]*Controller
	lastJob     map[*Workload]*Controller // of a CronJob
	list        []*Workload
}

func newGathering(c *ClusterFacts) *gathering {
	n := 0
	for _, s := range c.Controllers {
		n += len(s.Items)
	}
	g := &gathering{
		facts:       c,
		controllers: make(map[string]*Controller, n),
		tops:        make(map[string]*Workload, n),
		root:        make(map[*Workload]*Controller, n),
		lastJob:     map[*Workload]*Controller{},
	}
	for _, s := range c.Controllers {
		for _, ctl := range s.Items {
			g.controllers[ctl.UID] = ctl
		}
	}
	for _, s := range c.Controllers {
		for _, ctl := range s.Items {
			// A workload without pods is shown too, unless it is an old
			// ReplicaSet: those are kept by the dozen for rollbacks.
			if ctl.Owner.UID == "" && (ctl.Kind != "ReplicaSet" || ctl.Desired > 0) {
				g.top(Owner{Kind: ctl.Kind, Name: ctl.Name, UID: ctl.UID}, ctl.Namespace)
			}
			if ctl.Kind == "Job" && ctl.Owner.UID != "" {
				w := g.top(ctl.Owner, ctl.Namespace)
				if last := g.lastJob[w]; last == nil || ctl.Created.After(last.Created) {
					g.lastJob[w] = ctl
				}
			}
		}
	}
	return g
}

// workload gives the workload a pod belongs to; a bare pod is its own.
func (g *gathering) workload(p *Pod) *Workload {
	if p.Owner.UID == "" {
		return g.add(Owner{Kind: "Pod", Name: p.Name, UID: p.UID}, p.Namespace, nil)
	}
	return g.top(p.Owner, p.Namespace)
}

// maxOwners bounds the climb: owner references may form a circle.
const maxOwners = 8

// top climbs from the owner to the one that has no owner we know of.
func (g *gathering) top(o Owner, namespace string) *Workload {
	if w := g.tops[o.UID]; w != nil {
		return w
	}
	at, ctl := o, g.controllers[o.UID]
	for range maxOwners {
		if ctl == nil || ctl.Owner.UID == "" {
			break
		}
		at, ctl = ctl.Owner, g.controllers[ctl.Owner.UID]
	}
	w := g.tops[at.UID]
	if w == nil {
		w = g.add(at, namespace, ctl)
	}
	g.tops[o.UID] = w
	return w
}

func (g *gathering) add(o Owner, namespace string, ctl *Controller) *Workload {
	w := &Workload{Cluster: g.facts.Name, Kind: o.Kind, Namespace: namespace, Name: o.Name, Desired: -1}
	if ctl != nil {
		w.Desired, w.Created = ctl.Desired, ctl.Created
		w.Schedule, w.LastRun, w.Suspended = ctl.Schedule, ctl.LastRun, ctl.Suspended
		g.root[w] = ctl
	}
	g.tops[o.UID] = w
	g.list = append(g.list, w)
	return w
}

// finish judges the workloads and sorts them.
func (g *gathering) finish(now time.Time) []*Workload {
	for _, w := range g.list {
		if w.Desired < 0 {
			w.Desired = w.Pods // its API does not say: what runs is what is wanted
		}
		w.judge(g.root[w], g.lastJob[w], g.facts.unread(w.Kind), now)
	}
	slices.SortFunc(g.list, func(a, b *Workload) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	return g.list
}

// between is the kind that stands between a workload and its pods.
var between = map[string]string{"Deployment": "ReplicaSet", "CronJob": "Job"}

// unread names what was not read of what workloads of the kind are judged by,
// "" when everything was: without it their pods would seem to be missing.
func (f *ClusterFacts) unread(kind string) string {
	sources := []Source{f.Pods.Source, f.Nodes.Source}
	for _, k := range ControllerKinds {
		for _, c := range f.Controllers {
			if k.Kind == between[kind] && k.Source == c.Source.Name {
				sources = append(sources, c.Source)
			}
		}
	}
	for _, s := range sources {
		if s.Name != "" && !s.Holds() {
			_, part, _ := strings.Cut(s.Name, "/")
			return part
		}
	}
	return ""
}
