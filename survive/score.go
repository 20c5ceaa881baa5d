package survive

import (
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Weights of the scheduler's default scores (kube-scheduler v1.36). Image
// locality is left out: which images a node has is not read.
const (
	full           = 100
	weightTaints   = 3
	weightAffinity = 2
	weightSpread   = 2
	weightPods     = 2
)

// best gives the node of the feasible ones that the scheduler would like most. Of
// equals, among which it draws lots, it is the first.
func (s *state) best(k *kind, feasible []int) int {
	if len(feasible) == 1 {
		return feasible[0]
	}
	total := s.lendLongs(len(feasible))
	for i, at := range feasible {
		total[i] = s.rated(k, at).score
	}
	add := func(weight int64, scores []int64) {
		for i := range scores {
			total[i] += weight * scores[i]
		}
	}
	if s.avoided {
		add(weightTaints, s.taintScores(k, feasible))
	}
	if scores := s.likeScores(k, feasible); scores != nil {
		add(weightAffinity, scores)
	}
	if scores := s.spreadScores(k, feasible); scores != nil {
		add(weightSpread, scores)
	}
	if scores := s.podScores(k, feasible); scores != nil {
		add(weightPods, scores)
	}
	best, equals := 0, 1
	for i := 1; i < len(total); i++ {
		switch {
		case total[i] > total[best]:
			best, equals = i, 1
		case total[i] == total[best]:
			if equals++; s.lots != nil && s.lots.draw(equals) == 0 {
				best = i
			}
		}
	}
	return feasible[best]
}

// rated says how a pod of the kind would fit on the node. As most nodes are as they
// were before the loss, that is worked out once for them and not for every loss.
func (s *state) rated(k *kind, at int) rating {
	before := k.size != nil && !s.changed[at]
	if before && k.size[at].known {
		return k.size[at]
	}
	r := rating{known: true, short: s.room(k, at)}
	if r.short == none {
		r.score = s.leastAllocated(k, at) + s.balanced(k, at)
	}
	if before {
		k.size[at] = r
	}
	return r
}

func (s *state) leastAllocated(k *kind, at int) int64 {
	asks, asked, room := k.asks(), &s.asked[at], &s.nodes[at].room
	free := func(used, all int64) int64 {
		if used > all {
			return 0
		}
		return (all - used) * full / all
	}
	sum, parts := int64(0), int64(0)
	if room.cpu > 0 {
		sum, parts = sum+free(asked.cpu+asks.cpu, room.cpu), parts+1
	}
	if room.memory > 0 {
		sum, parts = sum+free(asked.memory+asks.memory, room.memory), parts+1
	}
	if parts == 0 {
		return 0
	}
	return sum / parts
}

// balanced is how much evener CPU and memory are used with the pod than without.
func (s *state) balanced(k *kind, at int) int64 {
	if k.want.cpu == 0 && k.want.memory == 0 {
		return 0
	}
	used, room := &s.used[at], &s.nodes[at].room
	even := func(cpu, memory int64) int64 {
		if room.cpu == 0 || room.memory == 0 {
			return full
		}
		a := math.Min(1, float64(cpu)/float64(room.cpu))
		b := math.Min(1, float64(memory)/float64(room.memory))
		return int64((1 - math.Abs((a-b)/2)) * full)
	}
	with, without := even(used.cpu+k.want.cpu, used.memory+k.want.memory), even(used.cpu, used.memory)
	return full/2 + (full/2+with-without)/2
}

// taintScores prefers nodes without taints that pods had better avoid.
func (s *state) taintScores(k *kind, feasible []int) []int64 {
	scores := s.lendLongs(len(feasible))
	most := int64(0)
	for i, at := range feasible {
		for _, t := range s.nodes[at].Taints {
			if t.Effect == corev1.TaintEffectPreferNoSchedule && !toleratesOne(k.spec, t) {
				scores[i]++
			}
		}
		most = max(most, scores[i])
	}
	for i := range scores {
		if most == 0 {
			scores[i] = full
		} else {
			scores[i] = full - scores[i]*full/most
		}
	}
	return scores
}

// likeScores is preferred node affinity.
func (s *state) likeScores(k *kind, feasible []int) []int64 {
	if k.likes == nil {
		return nil
	}
	most := int64(0)
	for _, at := range feasible {
		most = max(most, k.likes[at])
	}
	if most == 0 {
		return nil
	}
	scores := s.lendLongs(len(feasible))
	for i, at := range feasible {
		scores[i] = k.likes[at] * full / most
	}
	return scores
}

// Constraints of pods that have none of their own (kube-scheduler's defaults).
const (
	defaultHostSkew = 3
	defaultZoneSkew = 5
)

// spreadScores prefers domains with fewer like pods.
func (s *state) spreadScores(k *kind, feasible []int) []int64 {
	constraints := k.soft
	need := true // nodes must have every label
	if len(k.spec.Spread) == 0 {
		constraints, need = k.likeness, false
	}
	if len(constraints) == 0 {
		return nil
	}
	ignored := s.lendBools(len(feasible))
	raw := s.lendFloats(len(feasible))
	left := 0
	for i, at := range feasible {
		ignored[i] = need && slices.ContainsFunc(constraints, func(c spread) bool { return c.domains.of[at] < 0 })
		if !ignored[i] {
			left++
		}
	}
	for c := range constraints {
		s.scoreSpread(&constraints[c], constraints, need, feasible, ignored, left, raw)
	}
	return turned(s.lendLongs(len(raw)), raw, ignored)
}

// scoreSpread adds what one constraint counts to raw.
func (s *state) scoreSpread(c *spread, all []spread, need bool, feasible []int, ignored []bool, left int, raw []float64) {
	counts := s.lendInts(c.domains.count)
	host := c.key == corev1.LabelHostname
	for _, o := range c.kinds {
		s.each(o, func(p *pod, at int) {
			if d := c.domains.of[at]; d >= 0 && s.runs(p) && (host || !need || s.counts(c, all, at)) {
				counts[d]++
			}
		})
	}
	size := left
	if !host {
		size = 0
		seen := s.lendInts(c.domains.count)
		for i, at := range feasible {
			if d := c.domains.of[at]; !ignored[i] && d >= 0 && seen[d] == 0 {
				seen[d] = 1
				size++
			}
		}
	}
	weight := math.Log(float64(size + 2))
	for i, at := range feasible {
		if d := c.domains.of[at]; !ignored[i] && d >= 0 {
			raw[i] += float64(counts[d])*weight + float64(c.skew-1)
		}
	}
}

// turned makes few good and many bad.
func turned(scores []int64, raw []float64, ignored []bool) []int64 {
	least, most := int64(math.MaxInt64), int64(0)
	for i := range raw {
		scores[i] = int64(math.Round(raw[i]))
		if !ignored[i] {
			least, most = min(least, scores[i]), max(most, scores[i])
		}
	}
	for i := range scores {
		switch {
		case ignored[i]:
			scores[i] = 0
		case most == 0:
			scores[i] = full
		default:
			scores[i] = full * (most + least - scores[i]) / most
		}
	}
	return scores
}

// defaultSpread is the scheduler's own constraints for pods of a ReplicaSet or
// StatefulSet: like pods are those of the same one.
func (c *cluster) defaultSpread(k *kind) []spread {
	if k.ownerKind != "ReplicaSet" && k.ownerKind != "StatefulSet" && k.ownerKind != "ReplicationController" {
		return nil
	}
	like := c.byOwner[k.owner]
	return []spread{
		{key: corev1.LabelHostname, skew: defaultHostSkew, domains: c.domains(corev1.LabelHostname), kinds: like},
		{key: corev1.LabelTopologyZone, skew: defaultZoneSkew, domains: c.domains(corev1.LabelTopologyZone), kinds: like},
	}
}

// podScores is what the pod and the others prefer of each other's company. A
// required affinity of the others counts as a little liking.
func (s *state) podScores(k *kind, feasible []int) []int64 {
	scores := s.lendLongs(len(feasible))
	some := false
	score := func(t *term, kinds []*kind, weight int64) {
		counts := s.countTerm(t.domains, kinds)
		for i, at := range feasible {
			if d := t.domains.of[at]; d >= 0 && counts[d] > 0 {
				scores[i] += weight * int64(counts[d])
				some = true
			}
		}
	}
	for i := range k.preferred {
		score(&k.preferred[i].term, k.preferred[i].kinds, k.preferred[i].weight)
	}
	for _, o := range s.social {
		s.prepare(o)
		for i := range o.preferred {
			if o.preferred[i].matches(k) {
				score(&o.preferred[i].term, []*kind{o}, o.preferred[i].weight)
			}
		}
		for i := range o.attract {
			if o.attract[i].matches(k) {
				score(&o.attract[i], []*kind{o}, 1)
			}
		}
	}
	if !some {
		return nil
	}
	least, most := scores[0], scores[0]
	for _, n := range scores {
		least, most = min(least, n), max(most, n)
	}
	for i := range scores {
		if most == least {
			scores[i] = 0
		} else {
			scores[i] = int64(full * float64(scores[i]-least) / float64(most-least))
		}
	}
	return scores
}
