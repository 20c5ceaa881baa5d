package kube

import (
	"cmp"
	"maps"
	"slices"
	"sync"
)

// key identifies an object of one kind.
type key struct{ namespace, name string }

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

// table holds one kind's objects in key order. Writers change it object by
// object; items hands out a slice that is never changed afterwards, so that
// readers need no lock. The work of a change is done at the next read, once for
// all changes since the last.
type table[T any] struct {
	keyOf func(*T) key

	mu      sync.Mutex
	sorted  []*T
	pending map[key]*T // nil value: deleted
}

func newTable[T any](keyOf func(*T) key) *table[T] {
	return &table[T]{keyOf: keyOf, pending: map[key]*T{}}
}

func (t *table[T]) set(v *T) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending[t.keyOf(v)] = v
}

func (t *table[T]) delete(k key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending[k] = nil
}

// get gives the object as of now, or nil.
func (t *table[T]) get(k key) *T {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v, ok := t.pending[k]; ok {
		return v
	}
	if i, ok := t.search(t.sorted, k); ok {
		return t.sorted[i]
	}
	return nil
}

// replace makes the table hold exactly the given objects.
func (t *table[T]) replace(all []*T) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b *T) int { return compareKeys(t.keyOf(a), t.keyOf(b)) })
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sorted = all
	clear(t.pending)
}

// items gives all objects in key order; the slice stays as it is.
func (t *table[T]) items() []*T {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.pending) == 0 {
		return t.sorted
	}
	old := t.sorted
	out := make([]*T, 0, len(old)+len(t.pending))
	for _, k := range slices.SortedFunc(maps.Keys(t.pending), compareKeys) {
		i, found := t.search(old, k)
		out = append(out, old[:i]...)
		if found {
			i++
		}
		old = old[i:]
		if v := t.pending[k]; v != nil {
			out = append(out, v)
		}
	}
	t.sorted = append(out, old...)
	clear(t.pending)
	return t.sorted
}

func (t *table[T]) search(in []*T, k key) (int, bool) {
	return slices.BinarySearchFunc(in, k, func(v *T, k key) int { return compareKeys(t.keyOf(v), k) })
}
