package demo

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What the control plane goes by; k3s's defaults, but for the tolerations,
// which people at home like shorter than five minutes.
const (
	renewEvery   = 10 * time.Second
	grace        = 50 * time.Second
	evictEvery   = 10 * time.Second // one node of a zone after another
	tolerate     = 60 * time.Second
	podGrace     = 30 * time.Second
	monitorEvery = 5 * time.Second
)

// event is something that happens at a time. Equal times keep their order.
type event struct {
	at    time.Time
	order int
	do    func()
}

type queue []*event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return cmp.Or(q[i].at.Compare(q[j].at), cmp.Compare(q[i].order, q[j].order)) < 0
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*event)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

// sim plays kubelets and control plane on the store's objects.
type sim struct {
	stored   map[string]stored // the bucket, as it was made last
	storedAt time.Time

	demo *Demo

	mu        sync.Mutex // held while events play
	queue     queue
	order     int
	machines  []*machine
	workloads []*workload
	byName    map[string]*machine
	volumes   []*diskVolume
	restored  map[string]*restoredVolume // from backups
	dropped   map[string]bool            // backups that were deleted
	uplinks   map[string]*uplink         // by house
	relayed   map[[2]string]bool         // pairs of houses without a direct way
	split     map[[2]string]bool         // pairs of houses without any
	past      [][]Figure                 // by step
}

func newSim(d *Demo) *sim {
	return &sim{demo: d, byName: map[string]*machine{}, uplinks: map[string]*uplink{}, relayed: map[[2]string]bool{}, split: map[[2]string]bool{}}
}

func (s *sim) now() time.Time {
	s.demo.mu.Lock()
	defer s.demo.mu.Unlock()
	return s.demo.now
}

// at plays do at the given time.
func (s *sim) at(t time.Time, do func()) {
	s.order++
	heap.Push(&s.queue, &event{t, s.order, do})
}

func (s *sim) after(d time.Duration, do func()) { s.at(s.now().Add(d), do) }

// every plays do again and again, first after the given wait.
func (s *sim) every(wait, period time.Duration, do func()) {
	s.after(wait, func() {
		do()
		s.every(period, period, do)
	})
}

// next is when the next event is due.
func (s *sim) next() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return s.now().Add(time.Hour)
	}
	return s.queue[0].at
}

// chance gives a number below n that depends only on seed and parts.
func (s *sim) chance(n int, parts ...any) int {
	return int(hash(append([]any{s.demo.seed}, parts...)...) % uint64(n))
}

// renew is what a kubelet does every ten seconds while it lives.
func (s *sim) renew(m *machine) {
	if !m.alive || s.now().Before(m.quietUntil) {
		return
	}
	m.heard = s.now()
	seconds := int32(40)
	renewed := microStamp(s.now())
	s.demo.store.put(&coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: m.name, Namespace: corev1.NamespaceNodeLease, CreationTimestamp: stamp(m.born), UID: uid("lease", m.name)},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &m.name, LeaseDurationSeconds: &seconds, RenewTime: &renewed},
	})
}

// monitor is the node lifecycle controller: it marks nodes it no longer hears.
func (s *sim) monitor() {
	for _, m := range s.machines {
		lost := s.now().Sub(m.heard) > grace
		switch {
		case lost && !m.lost:
			m.lost, m.turned = true, s.now()
			s.putNode(m)
			s.event(m.object(), "Normal", "NodeNotReady", "Node "+m.name+" status is now: NodeNotReady", "")
			s.podsNotReady(m)
			s.queueEviction(m)
		case !lost && m.lost:
			m.lost, m.evicting, m.turned = false, false, s.now()
			s.putNode(m)
			s.event(m.object(), "Normal", "NodeReady", "Node "+m.name+" status is now: NodeReady", m.name)
			s.cameBack(m)
		}
	}
}

// queueEviction gives the node its NoExecute taint when its zone's turn comes.
func (s *sim) queueEviction(m *machine) {
	turn := s.now()
	for _, other := range s.machines {
		if other != m && other.site == m.site && other.evictAt.Add(evictEvery).After(turn) {
			turn = other.evictAt.Add(evictEvery)
		}
	}
	m.evictAt = turn
	s.at(turn, func() {
		if !m.lost {
			return
		}
		m.evicting = true
		s.putNode(m)
		s.after(tolerate, func() { s.evict(m) })
	})
}

// evict deletes the pods of a node that is still lost. No kubelet confirms, so
// they hang in Terminating.
func (s *sim) evict(m *machine) {
	if !m.lost || !m.evicting {
		return
	}
	for _, p := range s.podsOn(m) {
		if p.of.daemon || p.leaving {
			continue
		}
		p.leaving = true
		p.deleteAt = s.now().Add(podGrace)
		s.putPod(p)
		s.event(p.object(), "Normal", "TaintManagerEviction", "Marking for deletion Pod "+p.of.namespace+"/"+p.name, "")
	}
	s.reconcile()
}

// podsNotReady marks the pods of a lost node, as the control plane does at once.
func (s *sim) podsNotReady(m *machine) {
	for _, p := range s.podsOn(m) {
		if p.ready {
			p.ready, p.since = false, s.now()
			s.putPod(p)
			s.event(p.object(), "Warning", "NodeNotReady", "Node is not ready", "")
		}
	}
	s.counts()
}

// cameBack is a returned kubelet: it lets go of pods that should be gone and
// starts the others again.
func (s *sim) cameBack(m *machine) {
	for _, p := range s.podsOn(m) {
		if p.leaving {
			s.dropPod(p)
			continue
		}
		p.restarts++
		p.restartedAt = s.now()
		s.putPod(p)
		s.startLater(p)
	}
	s.reconcile()
}

// startLater makes the pod ready after the few seconds a start takes.
func (s *sim) startLater(p *pod) {
	s.after(time.Duration(3+s.chance(6, "start", p.name))*time.Second, func() {
		if p.gone || p.leaving || p.node == nil || p.node.lost || !p.node.alive || p.trouble != "" {
			return
		}
		p.running, p.ready, p.since = true, true, s.now()
		s.putPod(p)
		s.counts()
	})
}

// reconcile gives every workload the pods it wants, as its controller would.
func (s *sim) reconcile() {
	for _, w := range s.workloads {
		for i := range w.replicas {
			if w.daemon && !s.machines[i].alive {
				continue
			}
			if p := s.holder(w, i); p == nil {
				s.addPod(w, i)
			} else if p.node == nil { // it waits for a machine
				s.bind(p)
			}
		}
	}
	s.counts()
}

// holder is the pod that fills the workload's place i. A StatefulSet's place is
// taken until its old pod is truly gone, a Deployment's only while it is wanted.
func (s *sim) holder(w *workload, i int) *pod {
	for _, p := range w.pods {
		if p.place == i && (!p.leaving || w.kind == "StatefulSet" || w.daemon) {
			return p
		}
	}
	return nil
}

// addPod makes a pod for the place and schedules it.
func (s *sim) addPod(w *workload, place int) *pod {
	w.made++
	p := &pod{of: w, place: place, born: s.now(), since: s.now(), name: w.podName(s.demo.seed, place)}
	p.uid = uid("pod", w.namespace, p.name, w.made)
	w.pods = append(w.pods, p)
	if !s.bind(p) {
		s.putPod(p)
		s.event(p.object(), "Warning", "FailedScheduling", w.misfit(s), "")
	}
	return p
}

// bind gives the pod a machine, if there is one for it.
func (s *sim) bind(p *pod) bool {
	if p.node = s.schedule(p); p.node == nil {
		return false
	}
	s.putPod(p)
	s.startLater(p)
	return true
}

// schedule finds a machine with room: the one that runs the fewest of the
// workload's pods, then the one with the most free memory.
func (s *sim) schedule(p *pod) *machine {
	if p.of.daemon {
		return s.machines[p.place]
	}
	var best *machine
	var bestScore [2]int64
	for _, m := range s.machines {
		if m.lost || m.cordoned || !p.of.allowed(m) {
			continue
		}
		cpu, mem, same := int64(0), int64(0), int64(0)
		for _, other := range s.podsOn(m) {
			cpu += other.of.milliCPU
			mem += other.of.memory
			if other.of == p.of && !other.leaving {
				same++
			}
		}
		if cpu+p.of.milliCPU > m.milliCPU || mem+p.of.memory > m.memory || p.of.apart && s.siteHas(p.of, m.site) {
			continue
		}
		score := [2]int64{-same, m.memory - mem}
		if best == nil || score[0] > bestScore[0] || score[0] == bestScore[0] && score[1] > bestScore[1] {
			best, bestScore = m, score
		}
	}
	return best
}

func (s *sim) siteHas(w *workload, site string) bool {
	return slices.ContainsFunc(w.pods, func(p *pod) bool { return p.node != nil && p.node.site == site })
}

func (s *sim) podsOn(m *machine) []*pod {
	return slices.SortedFunc(maps.Keys(m.pods), func(a, b *pod) int {
		return cmp.Or(cmp.Compare(a.of.namespace, b.of.namespace), cmp.Compare(a.name, b.name))
	})
}

// dropPod takes the pod out of the API for good.
func (s *sim) dropPod(p *pod) {
	p.gone = true
	p.of.pods = slices.DeleteFunc(p.of.pods, func(o *pod) bool { return o == p })
	if p.node != nil {
		delete(p.node.pods, p)
	}
	s.demo.store.remove(p.object())
}

// setPower switches a house off or on.
func (s *sim) setPower(site string, on bool) {
	for _, m := range s.machines {
		if m.site == site {
			m.alive = on
			if on {
				m.onAt = s.now()
				s.renew(m)
			} else {
				m.offAt = s.now()
			}
		}
	}
}
