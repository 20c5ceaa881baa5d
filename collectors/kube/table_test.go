package kube

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

type thing struct {
	k     key
	value int
}

// The table against a plain map, under random changes.
func TestTableFollowsItsChanges(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	tab := newTable(func(v *thing) key { return v.k })
	want := map[key]int{}
	for step := range 5000 {
		k := key{fmt.Sprint(rng.IntN(3)), fmt.Sprint(rng.IntN(40))}
		switch op := rng.IntN(20); {
		case op == 0:
			want = map[key]int{k: step}
			tab.replace([]*thing{{k, step}})
		case op < 12:
			want[k] = step
			tab.set(&thing{k, step})
		default:
			delete(want, k)
			tab.delete(k)
		}
		if v := tab.get(k); (v == nil) != (want[k] == 0 && !has(want, k)) || v != nil && v.value != want[k] {
			t.Fatalf("step %d: get %v", step, v)
		}
		if rng.IntN(4) > 0 {
			continue
		}
		got := tab.items()
		keys := slices.SortedFunc(maps.Keys(want), compareKeys)
		if len(got) != len(keys) {
			t.Fatalf("step %d: %d items, want %d", step, len(got), len(keys))
		}
		for i, k := range keys {
			if got[i].k != k || got[i].value != want[k] {
				t.Fatalf("step %d: item %d is %+v, want %v=%d", step, i, got[i], k, want[k])
			}
		}
	}
}

func has(m map[key]int, k key) bool { _, ok := m[k]; return ok }

// A slice handed out must not change under its reader.
func TestItemsStayAsTheyWere(t *testing.T) {
	tab := newTable(func(v *thing) key { return v.k })
	for i := range 10 {
		tab.set(&thing{key{"", fmt.Sprint(i)}, i})
	}
	before := tab.items()
	copied := slices.Clone(before)
	tab.delete(key{"", "3"})
	tab.set(&thing{key{"", "5"}, 99})
	tab.items()
	if !slices.Equal(before, copied) {
		t.Error("a slice that was handed out changed")
	}
}

func BenchmarkTableOneChangeOf20000(b *testing.B) {
	tab := newTable(func(v *thing) key { return v.k })
	all := make([]*thing, 20000)
	for i := range all {
		all[i] = &thing{key{"ns", fmt.Sprintf("pod-%05d", i)}, i}
	}
	tab.replace(all)
	b.ReportAllocs()
	for b.Loop() {
		tab.set(&thing{all[777].k, 1})
		tab.items()
	}
}
