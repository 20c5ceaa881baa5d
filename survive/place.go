package survive

import (
	"maps"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/geotop/geotop/model"
)

// state is where everything is at one moment of a loss. It begins as the World
// is and is changed pod by pod.
type state struct {
	*cluster
	lost    []bool         // by node: gives no sign of life
	shut    []bool         // by node: the node controller has seen that, and shut it off
	used    []amounts      // by node: asked for by the pods on it
	asked   []amounts      // likewise, as scores count it: nobody asks for nothing
	pods    [][]*pod       // by node
	marks   []mark         // by pod
	changed []bool         // by node: others are on it than before the loss
	extra   map[int][]*pod // by kind: pods that were placed since the beginning
	next    int            // where the search for a node begins, in large clusters
	desk    *desk
	lots    *lots
}

// desk is room to count and score in, used for one pod after another.
type desk struct {
	ints                                       []int
	longs                                      []int64
	floats                                     []float64
	bools                                      []bool
	usedInts, usedLongs, usedFloats, usedBools int
}

func (d *desk) clear() { d.usedInts, d.usedLongs, d.usedFloats, d.usedBools = 0, 0, 0, 0 }

// lend gives n noughts out of a pile, which grows when it is too small; what was
// lent before stays as it is.
func lend[T int | int64 | float64 | bool](pile *[]T, used *int, n int) []T {
	if *used+n > len(*pile) {
		*pile, *used = make([]T, max(2*len(*pile), n, 1024)), 0
	}
	part := (*pile)[*used : *used+n : *used+n]
	clear(part)
	*used += n
	return part
}

func (s *state) lendInts(n int) []int       { return lend(&s.desk.ints, &s.desk.usedInts, n) }
func (s *state) lendLongs(n int) []int64    { return lend(&s.desk.longs, &s.desk.usedLongs, n) }
func (s *state) lendFloats(n int) []float64 { return lend(&s.desk.floats, &s.desk.usedFloats, n) }
func (s *state) lendBools(n int) []bool     { return lend(&s.desk.bools, &s.desk.usedBools, n) }

// mark is what has become of a pod since the beginning.
type mark uint8

const (
	out   mark = 1 << iota // taken off its node
	ended                  // asked to go
)

// begin is how things are now, but that the lost nodes are lost.
func (c *cluster) begin(lost []bool) *state {
	now := c.now()
	return &state{
		cluster: c, lost: lost, shut: make([]bool, len(c.nodes)), used: slices.Clone(now.used), asked: slices.Clone(now.asked),
		pods: slices.Clone(now.pods), marks: make([]mark, len(c.pods)), changed: make([]bool, len(c.nodes)), extra: map[int][]*pod{}, desk: &c.desk,
	}
}

// now is where everything is before any loss.
func (c *cluster) now() *state {
	if c.before != nil {
		return c.before
	}
	s := &state{
		cluster: c, used: make([]amounts, len(c.nodes)), asked: make([]amounts, len(c.nodes)),
		pods: make([][]*pod, len(c.nodes)), marks: make([]mark, len(c.pods)), changed: make([]bool, len(c.nodes)),
	}
	for _, p := range c.pods {
		if p.node != nil {
			s.put(p, p.node.index)
		}
	}
	for i := range s.pods {
		s.pods[i] = slices.Clip(s.pods[i]) // states add pods of their own
	}
	c.before = s
	return s
}

// What scores take a pod to ask for that asks for nothing (kube-scheduler).
const (
	leastCPU    = 100
	leastMemory = 200 << 20
)

func (k *kind) asks() amounts {
	a := k.want
	if a.cpu == 0 {
		a.cpu = leastCPU
	}
	if a.memory == 0 {
		a.memory = leastMemory
	}
	return a
}

// another makes a pod like p, which is on no node yet.
func (s *state) another(p *pod) *pod {
	s.marks = append(s.marks, 0)
	return &pod{index: len(s.marks) - 1, fact: p.fact, kind: p.kind, owner: p.owner}
}

func (s *state) put(p *pod, at int) {
	s.pods[at] = append(s.pods[at], p)
	s.used[at].add(p.kind.want, 1)
	s.asked[at].add(p.kind.asks(), 1)
	s.marks[p.index] &^= out
	s.changed[at] = true
}

// take takes a pod off its node.
func (s *state) take(p *pod, at int) {
	s.pods[at] = slices.DeleteFunc(slices.Clone(s.pods[at]), func(o *pod) bool { return o == p })
	s.used[at].add(p.kind.want, -1)
	s.asked[at].add(p.kind.asks(), -1)
	s.marks[p.index] |= out
	s.changed[at] = true
}

func (a *amounts) add(o amounts, sign int64) {
	a.cpu += sign * o.cpu
	a.memory += sign * o.memory
	a.disk += sign * o.disk
	a.pods += sign
	if len(o.extended) > 0 {
		sum := maps.Clone(a.extended)
		if sum == nil {
			sum = map[string]int64{}
		}
		for name, n := range o.extended {
			sum[name] += sign * n
		}
		a.extended = sum
	}
}

// obstacle is why a pod cannot be on a node.
type obstacle int

// The obstacles, in the order they are looked for.
const (
	none obstacle = iota
	notAllowed
	nodeIsLost
	elsewhere
	noPods
	noCPU
	noMemory
	noDisk
	noExtended
	portTaken
	spreadWorse
	repelledBy
	notNear
	allObstacles
)

// obstacleWords is how they are told.
var obstacleWords = [allObstacles]string{
	notAllowed: "its node selector, affinity or the nodes' taints", elsewhere: "its volume, which is bound to other nodes",
	noPods: "the number of pods a node may have", noCPU: "CPU", noMemory: "memory", noDisk: "ephemeral storage", noExtended: "an extended resource",
	portTaken: "a host port", spreadWorse: "its topology spread constraint", repelledBy: "anti-affinity", notNear: "pod affinity",
}

// tallied is on how many nodes each obstacle stands in the way.
type tallied [allObstacles]int

// view is what placing one pod looks at in the others, counted once.
type view struct {
	spread  [][]int // by constraint and domain: pods that match; -1 where no node counts
	least   []int
	attract [][]int
	alone   bool // no pod anywhere matches what it wants to be near, but it itself does
	repel   [][]int
	kept    [][]int // by keeper and domain
}

// count looks at the others.
func (s *state) count(k *kind) *view {
	s.prepare(k)
	v := &view{}
	for i := range k.spread {
		counts, least := s.countSpread(&k.spread[i], k.spread)
		v.spread, v.least = append(v.spread, counts), append(v.least, least)
	}
	if len(k.attract) > 0 {
		v.attract, v.alone = s.countAttract(k)
	}
	for _, t := range k.repel {
		v.repel = append(v.repel, s.countTerm(t.domains, t.kinds))
	}
	for _, o := range k.repelled {
		v.kept = append(v.kept, s.countTerm(o.term.domains, []*kind{o.kind}))
	}
	return v
}

// each calls do with every pod of the kind that is on a node.
func (s *state) each(k *kind, do func(p *pod, at int)) {
	for _, p := range s.members[k.id] {
		if p.node != nil && s.marks[p.index]&out == 0 {
			do(p, p.node.index)
		}
	}
	for _, p := range s.extra[k.id] {
		if s.marks[p.index]&out == 0 {
			do(p, p.node.index)
		}
	}
}

// countSpread counts, by domain, the pods that a constraint is about. Pods that
// are asked to go no longer count; nodes that lack a label of any of the pod's
// constraints never do. A domain whose nodes are all dark counts as long as the
// constraint does not look at taints.
func (s *state) countSpread(c *spread, all []spread) (counts []int, least int) {
	counts = s.lendInts(c.domains.count)
	for i := range counts {
		counts[i] = -1
	}
	for i := range s.nodes {
		if s.counts(c, all, i) && counts[c.domains.of[i]] < 0 {
			counts[c.domains.of[i]] = 0
		}
	}
	for _, k := range c.kinds {
		s.each(k, func(p *pod, at int) {
			if s.runs(p) && s.counts(c, all, at) {
				counts[c.domains.of[at]]++
			}
		})
	}
	least = math.MaxInt
	domains := 0
	for _, n := range counts {
		if n >= 0 {
			domains++
			least = min(least, n)
		}
	}
	if domains < c.minDomains {
		least = 0
	}
	return counts, least
}

// runs reports whether nobody has asked the pod to go.
func (s *state) runs(p *pod) bool { return !p.ends && s.marks[p.index]&ended == 0 }

func (s *state) counts(c *spread, all []spread, at int) bool {
	if !c.counted[at] || c.taints && s.shut[at] {
		return false
	}
	for i := range all {
		if all[i].domains.of[at] < 0 {
			return false
		}
	}
	return true
}

func (s *state) countTerm(d *domains, kinds []*kind) []int {
	counts := s.lendInts(d.count)
	for _, k := range kinds {
		s.each(k, func(_ *pod, at int) {
			if d.of[at] >= 0 {
				counts[d.of[at]]++
			}
		})
	}
	return counts
}

// countAttract counts pods that match every term at once, as the scheduler does.
func (s *state) countAttract(k *kind) (counts [][]int, alone bool) {
	matching := []*kind{}
	for _, o := range s.list {
		if all(k.attract, o) {
			matching = append(matching, o)
		}
	}
	found := false
	for _, t := range k.attract {
		n := s.countTerm(t.domains, matching)
		for _, m := range n {
			found = found || m > 0
		}
		counts = append(counts, n)
	}
	return counts, !found && all(k.attract, k)
}

func all(terms []term, k *kind) bool {
	for _, t := range terms {
		if !t.matches(k) {
			return false
		}
	}
	return true
}

// fits says what keeps a pod of the kind off the node, none if nothing does.
func (s *state) fits(k *kind, v *view, at int) obstacle {
	switch {
	case !k.allowed[at]:
		return notAllowed
	case s.shut[at] && !k.lostToo:
		return nodeIsLost
	case k.bound != nil && !k.bound[at]:
		return elsewhere
	}
	if o := s.rated(k, at).short; o != none {
		return o
	}
	if s.portTaken(k, at) {
		return portTaken
	}
	return s.company(k, v, at)
}

// company says what keeps a pod of the kind off the node because of the others.
func (s *state) company(k *kind, v *view, at int) obstacle {
	for i := range k.spread {
		c := &k.spread[i]
		d := c.domains.of[at]
		if d < 0 {
			return spreadWorse
		}
		own := 0
		if c.self {
			own = 1
		}
		if max(v.spread[i][d], 0)+own-v.least[i] > c.skew {
			return spreadWorse
		}
	}
	for i := range k.repelled {
		if d := k.repelled[i].term.domains.of[at]; d >= 0 && v.kept[i][d] > 0 {
			return repelledBy
		}
	}
	for i := range k.repel {
		if d := k.repel[i].domains.of[at]; d >= 0 && v.repel[i][d] > 0 {
			return repelledBy
		}
	}
	for i := range k.attract {
		if d := k.attract[i].domains.of[at]; d < 0 || !v.alone && v.attract[i][d] == 0 {
			return notNear
		}
	}
	return none
}

// room says what of the node's room is short.
func (s *state) room(k *kind, at int) obstacle {
	used, all, want := &s.used[at], &s.nodes[at].room, &k.want
	switch {
	case used.pods+1 > all.pods:
		return noPods
	case want.cpu > 0 && want.cpu > all.cpu-used.cpu:
		return noCPU
	case want.memory > 0 && want.memory > all.memory-used.memory:
		return noMemory
	case want.disk > 0 && want.disk > all.disk-used.disk:
		return noDisk
	}
	for name, n := range want.extended {
		if n > all.extended[name]-used.extended[name] {
			return noExtended
		}
	}
	return none
}

func (s *state) portTaken(k *kind, at int) bool {
	for _, want := range k.spec.HostPorts {
		for _, p := range s.pods[at] {
			for _, have := range p.kind.spec.HostPorts {
				if clash(want, have) {
					return true
				}
			}
		}
	}
	return false
}

func clash(a, b model.HostPort) bool {
	any := func(ip string) bool { return ip == "" || ip == "0.0.0.0" }
	protocol := func(p corev1.Protocol) corev1.Protocol {
		if p == "" {
			return corev1.ProtocolTCP
		}
		return p
	}
	return a.Port == b.Port && protocol(a.Protocol) == protocol(b.Protocol) && (a.IP == b.IP || any(a.IP) || any(b.IP))
}

// enough is after how many feasible nodes the search for a better one ends.
const enough = 100

// place puts the pod where the scheduler would, and says why not if it cannot.
func (s *state) place(p *pod) (at int, why tallied) {
	s.desk.clear()
	v := s.count(p.kind)
	feasible := s.lendInts(len(s.nodes))[:0]
	// In a large cluster the scheduler, too, looks at some of the nodes only, and
	// goes on from there the next time.
	for n, i := 0, s.next; n < len(s.nodes); n, i = n+1, i+1 {
		if i == len(s.nodes) {
			i = 0
		}
		o := s.fits(p.kind, v, i)
		if why[o]++; o == none {
			if feasible = append(feasible, i); len(feasible) == enough {
				s.next = (i + 1) % len(s.nodes)
				break
			}
		}
	}
	if len(feasible) == 0 {
		return -1, why
	}
	if len(feasible) < enough {
		slices.Sort(feasible)
	}
	at = s.best(p.kind, feasible)
	p.node = s.nodes[at]
	s.extra[p.kind.id] = append(s.extra[p.kind.id], p)
	s.put(p, at)
	return at, why
}

// likes is what the pod's preferences say of each node by itself, in the
// scheduler's weights: preferred node affinity and taints it would rather avoid.
func (c *cluster) likes(k *kind) []int64 {
	a := k.spec.Affinity
	if a == nil || a.NodeAffinity == nil || len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) == 0 {
		return nil
	}
	terms, err := nodeaffinity.NewPreferredSchedulingTerms(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
	if err != nil {
		return nil
	}
	likes := make([]int64, len(c.nodes))
	for i, n := range c.nodes {
		likes[i] = terms.Score(&n.api)
	}
	return likes
}
