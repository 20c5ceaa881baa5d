package demo

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// name identifies an object of one kind.
type name struct{ namespace, name string }

// change is one entry of the store's history.
type change struct {
	version uint64
	verb    string // ADDED, MODIFIED, DELETED
	kind    *kind
	object  object
}

// historyLength is how many changes a watch can be behind.
const historyLength = 20000

// store keeps the simulated API's objects with their history, as etcd and the
// API server's watch cache do. Objects are never changed once stored.
type store struct {
	mu      sync.Mutex
	version uint64
	objects map[*kind]map[name]object
	history []change
	dropped uint64        // version of the last change no longer in history
	changed chan struct{} // closed at the next change
}

func newStore() *store {
	return &store{version: 1000, dropped: 1000, objects: map[*kind]map[name]object{}, changed: make(chan struct{})}
}

// put stores obj, as new or in place of the one of its name. The store owns obj
// from now on.
func (s *store) put(obj object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := kindOf(obj)
	n := name{obj.GetNamespace(), obj.GetName()}
	if s.objects[k] == nil {
		s.objects[k] = map[name]object{}
	}
	verb := "MODIFIED"
	if _, ok := s.objects[k][n]; !ok {
		verb = "ADDED"
	}
	s.version++
	obj.SetResourceVersion(strconv.FormatUint(s.version, 10))
	if obj.GetUID() == "" {
		obj.SetUID(uid(k.resource, n.namespace, n.name, s.version))
	}
	s.objects[k][n] = obj
	s.record(change{s.version, verb, k, obj})
}

// remove deletes the object if it is there.
func (s *store) remove(obj object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := kindOf(obj)
	n := name{obj.GetNamespace(), obj.GetName()}
	old, ok := s.objects[k][n]
	if !ok {
		return
	}
	delete(s.objects[k], n)
	s.version++
	gone := old.DeepCopyObject().(object)
	gone.SetResourceVersion(strconv.FormatUint(s.version, 10))
	s.record(change{s.version, "DELETED", k, gone})
}

func (s *store) record(c change) {
	if len(s.history) >= historyLength {
		half := historyLength / 2
		s.dropped = s.history[half-1].version
		s.history = slices.Clone(s.history[half:])
	}
	s.history = append(s.history, c)
	close(s.changed)
	s.changed = make(chan struct{})
}

// forget drops the history: what a scenario was built from is not news.
func (s *store) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.history, s.dropped = nil, s.version
}

// get gives the object, or nil.
func (s *store) get(k *kind, n name) object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[k][n]
}

// list gives all objects of the kind by namespace and name, and the version.
func (s *store) list(k *kind) ([]object, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]object, 0, len(s.objects[k]))
	for _, o := range s.objects[k] {
		all = append(all, o)
	}
	slices.SortFunc(all, compareObjects)
	return all, s.version
}

func compareObjects(a, b object) int {
	return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
}

// since gives the changes of the kind after version, the newest version, and a
// channel closed when there is more. ok is false when version is too old.
func (s *store) since(k *kind, version uint64) (changes []change, newest uint64, more <-chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version < s.dropped {
		return nil, 0, nil, false
	}
	i, _ := slices.BinarySearchFunc(s.history, version+1, func(c change, v uint64) int { return cmp.Compare(c.version, v) })
	for _, c := range s.history[i:] {
		if c.kind == k {
			changes = append(changes, c)
		}
	}
	return changes, s.version, s.changed, true
}

// uid makes a stable identity out of what names an object.
func uid(parts ...any) types.UID {
	h := hash(parts...)
	g := hash(h, "second half")
	b := func(v uint64, shift, bits uint) string {
		s := strconv.FormatUint(v>>shift&(1<<bits-1), 16)
		for uint(len(s)) < bits/4 {
			s = "0" + s
		}
		return s
	}
	return types.UID(b(h, 32, 32) + "-" + b(h, 16, 16) + "-4" + b(h, 0, 12) + "-a" + b(g, 48, 12) + "-" + b(g, 0, 48))
}

func stamp(t time.Time) metav1.Time { return metav1.NewTime(t.Truncate(time.Second)) }
func microStamp(t time.Time) metav1.MicroTime {
	return metav1.NewMicroTime(t.Truncate(time.Microsecond))
}
