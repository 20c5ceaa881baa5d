package longhorn

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (s *Sim) alive(name string) bool { n := s.nodes[name]; return n != nil && n.alive }

// play is one volume's engine and replicas.
func (s *Sim) play(v *volume, now time.Time) {
	if v.seed.Detached {
		return
	}
	s.follow(v)
	if !s.alive(v.engineOn) {
		return // nobody writes: what was stays as it is, until the node is back
	}
	good := 0
	for _, r := range v.replicas {
		s.playReplica(v, r, now)
		if r.mode == "RW" {
			good++
		}
	}
	switch {
	case good >= v.seed.Replicas:
		v.degraded, v.short = time.Time{}, false
	case v.degraded.IsZero():
		v.degraded = now
	case good > 0 && now.Sub(v.degraded) > s.clock.Load().Replenish && !v.rebuilding():
		s.replenish(v, now)
	}
	if good > 0 {
		s.grow(v, now)
	}
}

// follow has the engine go where the pod of a drained machine would: to another with
// a copy. Which pods there are, the stand-in does not look at.
func (s *Sim) follow(v *volume) {
	if n := s.nodes[v.engineOn]; n == nil || !n.cordoned || !n.alive {
		return
	}
	for _, r := range v.replicas {
		if n := s.nodes[r.node]; n != nil && n.alive && !n.cordoned && r.mode == "RW" {
			v.engineOn = r.node
			return
		}
	}
}

func (v *volume) rebuilding() bool {
	return slices.ContainsFunc(v.replicas, func(r *replica) bool { return r.mode == "WO" })
}

func (s *Sim) playReplica(v *volume, r *replica, now time.Time) {
	alive := s.alive(r.node)
	switch {
	case !alive && r.goneFrom.IsZero():
		r.goneFrom = now
	case !alive && r.mode != "ERR" && now.Sub(r.goneFrom) > s.clock.Load().EngineTimeout:
		r.mode, r.failedAt, r.rebuildFrom = "ERR", now, time.Time{}
	case alive && r.mode == "ERR" && !v.rebuilding(): // its node is back: a delta rebuild
		r.mode, r.failedAt, r.healthyAt, r.goneFrom, r.rebuildFrom, r.percent = "WO", time.Time{}, time.Time{}, time.Time{}, now, 0
	case alive && r.mode == "WO":
		r.percent = int(100 * now.Sub(r.rebuildFrom) / s.clock.Load().Rebuild)
		if r.percent >= 100 {
			r.mode, r.percent, r.healthyAt, r.rebuildFrom = "RW", 100, now, time.Time{}
		}
	case alive:
		r.goneFrom = time.Time{}
	}
}

// replenish replaces a lost replica by a new one, if there is a place for it.
func (s *Sim) replenish(v *volume, now time.Time) {
	lost := slices.IndexFunc(v.replicas, func(r *replica) bool { return r.mode == "ERR" })
	n := s.place(v)
	if v.short = n == nil; v.short || lost < 0 {
		return
	}
	old := v.replicas[lost]
	s.free(old, v)
	_ = s.dyn.Resource(gvr("replicas")).Namespace(Namespace).Delete(context.Background(), old.name, metav1.DeleteOptions{})
	v.replicas = slices.Delete(v.replicas, lost, lost+1)
	v.removed = append(v.removed, old.name)
	s.add(v, n, now).mode = "WO"
	v.replicas[len(v.replicas)-1].rebuildFrom = now
}

// place is Longhorn's order: an unused node in an unused zone, then an unused
// node in a used one. A zone counts as used by nodes that are candidates only.
func (s *Sim) place(v *volume) *node {
	usedNode, usedZone := map[string]bool{}, map[string]bool{}
	for _, r := range v.replicas {
		usedNode[r.node] = true
		if n := s.nodes[r.node]; n != nil && n.alive && !n.cordoned && r.mode != "ERR" {
			usedZone[n.zone] = true
		}
	}
	var best *node
	better := func(a, b *node) bool {
		if usedZone[a.zone] != usedZone[b.zone] {
			return !usedZone[a.zone]
		}
		return a.scheduled < b.scheduled
	}
	for _, name := range s.names() {
		n := s.nodes[name]
		if !n.alive || n.cordoned || usedNode[name] || n.scheduled+v.size > diskBytes-reserved {
			continue
		}
		if best == nil || better(n, best) {
			best = n
		}
	}
	return best
}

func (s *Sim) add(v *volume, n *node, now time.Time) *replica {
	s.made++
	r := &replica{name: fmt.Sprintf("%s-r-%08x", v.seed.Name, hash(v.seed.Name, n.name, s.made)), node: n.name, mode: "RW", healthyAt: now, port: 10000 + s.made}
	v.replicas = append(v.replicas, r)
	n.scheduled += v.size
	n.replicas[r.name] = v.size
	return r
}

func (s *Sim) free(r *replica, v *volume) {
	if n := s.nodes[r.node]; n != nil {
		n.scheduled -= v.size
		delete(n.replicas, r.name)
	}
}
