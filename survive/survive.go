package survive

import (
	"cmp"
	"slices"
	"time"

	"github.com/geotop/geotop/model"
)

// Analysis is a World made ready to be asked about losses, by one goroutine at a
// time.
type Analysis struct {
	world    *model.World
	clusters []*cluster
	clocks   []clocks
}

// New makes a World ready. The World must not change, as none does.
func New(w *model.World) *Analysis {
	a := &Analysis{world: w}
	for _, c := range w.Clusters {
		a.clusters = append(a.clusters, gather(w, c))
		a.clocks = append(a.clocks, clocksOf(w, c))
	}
	return a
}

// Ask says what breaks at each of the losses, or when each site is lost where none is
// named, and what would help: so many changes at most are tried for that.
func Ask(w *model.World, tries int, losses ...[]string) ([]*model.Verdict, []*model.Fix) {
	a := New(w)
	verdicts := []*model.Verdict{}
	for _, sites := range losses {
		verdicts = append(verdicts, a.Of(sites...))
	}
	if len(losses) == 0 {
		verdicts = a.Each()
	}
	fixes := a.Fixes(verdicts, tries)
	Advise(verdicts, fixes)
	return verdicts, fixes
}

// Each gives the loss of each site by itself, in the order of the World. A site
// that is dark already is lost in all of them.
func (a *Analysis) Each() []*model.Verdict {
	list := []*model.Verdict{}
	for _, s := range a.world.Sites {
		list = append(list, a.Of(s.Name))
	}
	return list
}

// Of says what breaks when the sites go dark together, beside those that are
// dark already. Sites that there are not lose nothing.
func (a *Analysis) Of(sites ...string) *model.Verdict {
	v := &model.Verdict{
		Lost: slices.Clone(sites), ControlPlane: []model.PartVerdict{}, Workloads: []model.PartVerdict{}, Volumes: []model.PartVerdict{}, ObjectStore: []model.PartVerdict{},
	}
	slices.Sort(v.Lost)
	for i, c := range a.clusters {
		lost := c.lost(v.Lost)
		plane := c.controlPlane(lost)
		v.ControlPlane = append(v.ControlPlane, plane)
		disks := c.volumes(lost)
		touched := c.play(lost, plane.Outcome < model.Down, a.clocks[i], nil).workloads(disks)
		for _, d := range disks {
			if d.touched {
				v.Volumes = append(v.Volumes, d.PartVerdict)
			} else {
				v.Untouched++
			}
		}
		v.Workloads = append(v.Workloads, touched...)
		v.Untouched += c.owners - len(touched)
	}
	v.ObjectStore = a.stores(v.Lost)
	finish(v)
	return v
}

// Fate is what becomes of one pod.
type Fate struct {
	Cluster, Namespace, Pod string
	Workload                string        // the object at the top of it
	Word                    string        // stays, moves, pends, hangs, away, ends or waited
	Node                    string        // where it, or what takes its place, is
	After                   time.Duration // from the loss on, until that is so
	Why                     string
	Freed                   bool // it had to make room for another; its node lives, so it has ended
}

// Fates says what becomes of every pod when the sites go dark together. What
// Kubernetes leaves to chance falls as lots draws it; 0 takes the first of equals.
func (a *Analysis) Fates(lots uint64, sites ...string) []Fate {
	list := []Fate{}
	for i, c := range a.clusters {
		lost := c.lost(sites)
		changed := map[*pod]*end{}
		for _, e := range c.play(lost, c.controlPlane(lost).Outcome < model.Down, a.clocks[i], newLots(lots)).ends {
			changed[e.pod] = e
		}
		for _, p := range c.pods {
			e := changed[p]
			if e == nil {
				e = &end{pod: p, fate: stays, node: p.node}
			}
			f := Fate{Cluster: c.model.Name, Namespace: p.fact.Namespace, Pod: p.fact.Name, Word: string(e.fate), After: e.after, Why: e.why, Freed: e.freed}
			if p.owner != nil {
				f.Workload = p.owner.Object()
			}
			if e.node != nil {
				f.Node = e.node.Name
			}
			list = append(list, f)
		}
	}
	return list
}

// Back is when the last pod that another takes the place of is back, from the moment on
// that the sites go dark together; 0 when there is none.
func (a *Analysis) Back(sites ...string) time.Duration {
	var last time.Duration
	for i, c := range a.clusters {
		lost := c.lost(sites)
		var when timing
		for _, e := range c.play(lost, c.controlPlane(lost).Outcome < model.Down, a.clocks[i], nil).ends {
			if e.fate == moves {
				when.add(e)
			}
		}
		if s := when.seconds(); s != nil {
			last = max(last, time.Duration(*s*float64(time.Second)))
		}
	}
	return last
}

// part is a verdict on one thing, and whether the loss has to do with it at all.
type part struct {
	model.PartVerdict
	touched bool
	back    *float64 // of a volume: when a pod that comes back has it
	kept    string   // of a volume: why the pod that uses it does not come back
	user    *tally   // of a volume: the workload of that pod
}

// finish sorts the parts and sums them up.
func finish(v *model.Verdict) {
	sections := v.Sections()
	for _, at := range []int{0, 2, 1, 3} { // of equals, a volume says more than who uses it
		parts := sections[at].Parts
		slices.SortStableFunc(parts, func(a, b model.PartVerdict) int {
			return cmp.Or(cmp.Compare(b.Outcome, a.Outcome), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Object, b.Object))
		})
		for i := range parts {
			p := &parts[i]
			if p.Outcome > v.Outcome {
				v.Outcome, v.Why = p.Outcome, p.Object+": "+p.Why
			}
			v.Weight += sections[at].Weight * p.Hurt()
			v.Recovery, v.DataLoss = longer(v.Recovery, p.Recovery), longer(v.DataLoss, p.DataLoss)
		}
	}
}

func longer(a, b *float64) *float64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

// lost marks the nodes that are away: those of the sites, and those that give no
// sign of life already.
func (c *cluster) lost(sites []string) []bool {
	lost := make([]bool, len(c.nodes))
	for i, n := range c.nodes {
		lost[i] = n.dead || slices.Contains(sites, n.Site)
	}
	return lost
}
