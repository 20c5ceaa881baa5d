package survive

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// offer is a node and the pods that would have to leave it.
type offer struct {
	at      int
	victims []*pod
}

// preempt makes room for a pod by taking pods of lower priority off a node, as
// few and as unimportant ones as the scheduler would. It gives those it took, none
// when that helps nowhere. Disruption budgets, which the scheduler heeds where it
// can, are not counted.
func (s *state) preempt(k *kind) []*pod {
	if k.spec.Preemption == corev1.PreemptNever {
		return nil
	}
	var best *offer
	offers := 0
	for i := range s.nodes {
		if offers == enough {
			break
		}
		if !k.allowed[i] || s.shut[i] && !k.lostToo || k.bound != nil && !k.bound[i] {
			continue // whoever leaves, it could not be there
		}
		o := s.offer(k, i)
		if o == nil {
			continue
		}
		if offers++; best == nil {
			best = o
			continue
		}
		switch c := milder(o.victims, best.victims); {
		case c < 0, c == 0 && s.lots != nil && s.lots.draw(2) == 0:
			best = o
		}
	}
	if best == nil {
		return nil
	}
	for _, v := range best.victims {
		s.take(v, best.at)
	}
	return best.victims
}

// offer says who would have to leave the node, nil when nobody need or it would
// not help.
func (s *state) offer(k *kind, at int) *offer {
	lower := []*pod{}
	for _, p := range s.pods[at] {
		if p.kind.spec.Priority < k.spec.Priority {
			lower = append(lower, p)
		}
	}
	if len(lower) == 0 {
		return nil
	}
	s.rank(lower)
	for _, p := range lower {
		s.take(p, at)
	}
	o := &offer{at: at}
	if !s.would(k, at) {
		o = nil
	}
	// Whoever can stay does, the more important first.
	for _, p := range lower {
		s.put(p, at)
		if o != nil && !s.would(k, at) {
			s.take(p, at)
			o.victims = append(o.victims, p)
		}
	}
	if o != nil {
		for _, p := range o.victims {
			s.put(p, at)
		}
	}
	return o
}

func (s *state) would(k *kind, at int) bool {
	s.desk.clear()
	return s.fits(k, s.count(k), at) == none
}

// rank sorts pods by how important the scheduler takes them, the most first: of equal
// priority the older. It goes by when they started, to the second, which is not read:
// of those made together, either may be the older.
func (s *state) rank(pods []*pod) {
	since := func(p *pod) time.Time { return p.fact.Created }
	if s.lots != nil {
		drawn := make(map[*pod]time.Time, len(pods))
		for _, p := range pods {
			drawn[p] = p.fact.Created.Add(time.Duration(s.lots.draw(int(together/time.Millisecond))) * time.Millisecond)
		}
		since = func(p *pod) time.Time { return drawn[p] }
	}
	slices.SortStableFunc(pods, func(a, b *pod) int {
		return cmp.Or(cmp.Compare(b.kind.spec.Priority, a.kind.spec.Priority), since(a).Compare(since(b)))
	})
}

// together is how near to each other pods may be made for the scheduler to take
// either for the older.
const together = 3 * time.Second

// milder says whether losing a is less bad than losing b; both are in order of
// importance.
func milder(a, b []*pod) int {
	sum := func(pods []*pod) (n int64) {
		for _, p := range pods {
			n += int64(p.kind.spec.Priority) + 1<<31
		}
		return n
	}
	younger := b[0].fact.Created.Compare(a[0].fact.Created)
	if b[0].fact.Created.Sub(a[0].fact.Created).Abs() < together {
		younger = 0
	}
	return cmp.Or(
		cmp.Compare(a[0].kind.spec.Priority, b[0].kind.spec.Priority), cmp.Compare(sum(a), sum(b)), cmp.Compare(len(a), len(b)), younger)
}
