package survive

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	schedulingapi "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
)

// fate is what becomes of one pod.
type fate string

// What may become of a pod.
const (
	stays  fate = "stays"  // it runs on
	moves  fate = "moves"  // another takes its place, and runs
	pends  fate = "pends"  // another takes its place, and waits: there is no node for it
	hangs  fate = "hangs"  // it cannot end, so no other takes its place
	away   fate = "away"   // it is out of reach, and nothing is done about it
	ends   fate = "ends"   // nobody takes its place
	waited fate = "waited" // it had no node before, and has none now
	starts fate = "starts" // it had no node before, and finds one now
)

// end is one pod's fate.
type end struct {
	pod   *pod
	fate  fate
	node  *node         // where it, or what takes its place, is
	after time.Duration // from the loss on until that is decided; 0 for what stays
	turn  *turn         // of the machine that after follows from; nil when from something else
	why   string
	freed bool // it made room for another, on a node that lives
}

// played is a loss played through to its end.
type played struct {
	state *state
	ends  []*end // of pods that a loss may change something for: those that wait, and those on lost nodes
	live  bool   // the control plane can write
	zones map[string]*zone
	clock clocks
	byPod map[*pod]*end // of those in ends, and of what took their place
	freed []*end        // pods that had to make room, and wait
	now   time.Duration // since the loss
	turn  *turn         // what that follows from
}

// leave is one pod that is asked to go, and when.
type leave struct {
	pod  *pod
	at   time.Duration
	turn *turn
}

const (
	// settling is how long it takes until a new pod is made and placed.
	settling = time.Second
	// A Job makes another pod so long after one is no longer ready, twice as long
	// for every further one it lost, but no longer than that (kube-controller-manager).
	jobBackOff     = 10 * time.Second
	longestBackOff = 10 * time.Minute
	// ending is how long a pod may take to end, when it does not say; only after
	// that Longhorn deletes one for good whose machine is down.
	ending = 30 * time.Second
)

func backOff(lost int) time.Duration {
	d := jobBackOff
	for range lost - 1 {
		d = min(2*d, longestBackOff)
	}
	return d
}

// play loses the nodes. live says whether the control plane is left.
func (c *cluster) play(lost []bool, live bool, t clocks, chance *lots) *played {
	p := &played{state: c.begin(lost), live: live, clock: t, zones: c.evictions(lost, t), byPod: map[*pod]*end{}}
	for _, o := range c.waiting {
		p.ends = append(p.ends, &end{pod: o, fate: waited})
	}
	for i := range c.nodes {
		if !lost[i] {
			continue
		}
		for _, o := range p.state.pods[i] {
			e := &end{pod: o, fate: away, node: o.node, why: p.whyAway(o)}
			p.byPod[o] = e
			p.ends = append(p.ends, e)
		}
	}
	if !live {
		return p
	}
	copy(p.state.shut, lost)
	p.state.lots = chance
	waiting := []*end{} // pods to place: those that waited already, first
	for _, e := range p.ends {
		if e.fate == waited && e.pod.waits() {
			waiting = append(waiting, e)
		}
	}
	// In large clusters pods of a kind that found no node are tried once more at the
	// end, not after each that leaves.
	many, hopeless := len(c.nodes) > enough, map[*kind]bool{}
	for _, s := range p.steps() {
		switch e := s.end; {
		case s.leaves:
			p.state.marks[e.pod.index] |= ended
			e.after, e.turn = s.at, s.turn
			p.leave(e)
		default:
			e.after, e.turn = s.at+settling, s.turn
			if many && hopeless[e.pod.kind] || !p.settle(e) {
				e.fate, e.node, hopeless[e.pod.kind] = pends, nil, true
				waiting = append(waiting, e)
			}
			waiting = append(waiting, p.freed...)
			p.freed = nil
		}
		if p.now, p.turn = s.at, s.turn; !many {
			waiting = p.again(waiting)
		}
	}
	p.again(waiting)
	return p
}

// step is one thing that happens to a pod that is lost: it is asked to go, or
// another is made in its place.
type step struct {
	end    *end
	at     time.Duration
	leaves bool
	turn   *turn
}

// steps lists what happens, in its order.
func (p *played) steps() []step {
	leaving := p.leaving()
	ofJob := maps.Clone(p.state.losing) // pods it loses, with those that it lost before
	for _, l := range leaving {
		if l.pod.fact.Owner.Kind == "Job" {
			ofJob[l.pod.fact.Owner.UID]++
		}
	}
	steps := make([]step, 0, 2*len(leaving))
	for _, l := range leaving {
		e := p.byPod[l.pod]
		steps = append(steps, step{e, l.at, true, l.turn})
		made, by := l.at, l.turn
		switch owner := l.pod.fact.Owner; owner.Kind {
		case "ReplicaSet", "ReplicationController":
		case "Job":
			if patient := p.clock.notice() + backOff(ofJob[owner.UID]); patient > made {
				made, by = patient, nil
			}
		case "StatefulSet":
			if !p.state.freed(l.pod) {
				continue
			}
			made += ending
		default:
			continue
		}
		steps = append(steps, step{e, made, false, by})
	}
	// Pods that go at the same moment have all gone before the first is replaced.
	slices.SortStableFunc(steps, func(a, b step) int {
		switch {
		case a.at != b.at:
			return cmp.Compare(a.at, b.at)
		case a.leaves == b.leaves:
			return 0
		case a.leaves:
			return -1
		default:
			return 1
		}
	})
	return steps
}

// leave says what becomes of a pod that is asked to go, as long as no other is made.
func (p *played) leave(e *end) {
	switch owner := e.pod.fact.Owner.Kind; owner {
	case "ReplicaSet", "ReplicationController", "Job":
		e.fate, e.why = hangs, "another is made only later"
	case "StatefulSet":
		e.fate, e.why = hangs, "its node cannot confirm that it ended, and a StatefulSet makes no second one before that"
	case "":
		e.fate, e.why = ends, "nothing owns it, so nothing makes another"
	default:
		e.fate, e.why = hangs, "whether its "+owner+" makes another before it has ended is not known"
	}
}

// again tries those that wait once more, as long as that helps. Where one found no
// node, others of its kind find none either.
func (p *played) again(waiting []*end) []*end {
	for {
		hopeless := map[*kind]bool{}
		left := slices.DeleteFunc(slices.Clone(waiting), func(e *end) bool {
			if hopeless[e.pod.kind] {
				if e.fate != waited {
					e.fate, e.node = pends, nil
				}
				return false
			}
			settled := p.settle(e)
			if hopeless[e.pod.kind] = !settled; settled {
				if by := p.now + settling; by > e.after {
					e.after, e.turn = by, p.turn
				}
			}
			return settled
		})
		if len(left) == len(waiting) {
			return left
		}
		waiting = append(left, p.freed...)
		p.freed = nil
	}
}

// settle tries to place what takes the pod's place.
func (p *played) settle(e *end) bool {
	next := p.state.another(e.pod)
	at, why := p.state.place(next)
	if at < 0 {
		if victims := p.state.preempt(next.kind); len(victims) > 0 {
			for _, v := range victims {
				p.free(v, e)
			}
			at, why = p.state.place(next)
		}
	}
	p.byPod[next] = e
	if at < 0 {
		if e.fate != waited {
			e.fate, e.node = pends, nil
		}
		e.why = obstacles(why)
		return false
	}
	if e.fate == waited {
		e.fate = starts
	} else {
		e.fate = moves
	}
	e.node, e.why = p.state.nodes[at], ""
	return true
}

// free has a pod that made room wait for another node: its node lives, so it
// ends at once, and what owns it makes another.
func (p *played) free(v *pod, by *end) {
	e := p.byPod[v]
	if e == nil {
		e = &end{pod: v}
		p.ends = append(p.ends, e)
	}
	if e.fate, e.node = pends, nil; by.after > e.after {
		e.after, e.turn = by.after, by.turn
	}
	e.after += settling
	e.freed = e.pod.node == nil || !p.state.lost[e.pod.node.index] // else the one it stands for still cannot end
	e.why = "it has to make room for " + by.pod.fact.Namespace + "/" + by.pod.fact.Name
	switch v.fact.Owner.Kind {
	case "":
		e.fate = ends
	case "DaemonSet": // it belongs on that node, which is full
	default:
		p.freed = append(p.freed, e)
	}
}

// waits reports whether the scheduler looks for a node for the pod: not while
// somebody gates it, and for a DaemonSet's only where it is known for which node.
func (p *pod) waits() bool {
	return !p.ends && len(p.kind.spec.Gates) == 0 && (p.fact.Owner.Kind != "DaemonSet" || p.fact.For != "")
}

// obstacles puts into words what keeps a pod off the nodes that are left, the
// commonest first.
func obstacles(why tallied) string {
	met := []obstacle{}
	for o := none + 1; o < allObstacles; o++ {
		if why[o] > 0 && obstacleWords[o] != "" {
			met = append(met, o)
		}
	}
	if len(met) == 0 {
		return "no node is left"
	}
	slices.SortStableFunc(met, func(a, b obstacle) int { return cmp.Compare(why[b], why[a]) })
	words := []string{}
	for _, o := range met {
		words = append(words, fmt.Sprintf("%s (%d)", obstacleWords[o], why[o]))
	}
	return "no node fits: " + strings.Join(words, ", ")
}

// leaving lists the pods that the node controller has deleted, in that order.
// Nodes of a zone are given up one after another.
func (p *played) leaving() []leave {
	list := make([]leave, 0, len(p.byPod))
	for _, n := range shuffled(p.state.lots, p.state.nodes) {
		i, z := n.index, p.zones[n.zone]
		if !p.state.lost[i] || z.rate <= 0 {
			continue
		}
		its := &turn{z, z.given}
		from := p.clock.notice() + z.wait(float64(z.given))
		z.given++
		for _, o := range shuffled(p.state.lots, p.state.pods[i]) {
			if stay, ever := patience(o.kind.spec.Tolerations); !ever && !o.ends {
				list = append(list, leave{o, from + stay, its})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b leave) int { return cmp.Compare(a.at, b.at) })
	return list
}

// patience is how long a pod stays on a node that is not reached; ever when it
// does for good. The first toleration that fits counts, as for the controller.
func patience(tolerations []corev1.Toleration) (stay time.Duration, ever bool) {
	taint := unreachable[1]
	for _, t := range tolerations {
		switch {
		case !schedulingapi.TolerationsTolerateTaint(klog.Logger{}, []corev1.Toleration{t}, &taint, false):
		case t.TolerationSeconds == nil:
			return 0, true
		default:
			return time.Duration(max(0, *t.TolerationSeconds)) * time.Second, false
		}
	}
	return 0, false
}

func (p *played) whyAway(o *pod) string {
	switch z := p.zones[o.node.zone]; {
	case !p.live:
		return "nobody is left to replace it"
	case z.why != "":
		return z.why
	case o.ends:
		return "it was asked to go, and its node cannot confirm that"
	default:
		return "it tolerates that for ever, as pods of DaemonSets do"
	}
}
