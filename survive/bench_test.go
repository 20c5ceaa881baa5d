package survive_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/geotop/geotop/demo/still"
	"github.com/geotop/geotop/survive"
)

func BenchmarkEach(b *testing.B) {
	for _, scenario := range []string{"weak", "big"} {
		w, err := still.Of(b.Context(), scenario, 1, time.Minute)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(scenario, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				survive.New(w).Each()
			}
		})
	}
}

// After one pod changed: what is read of the World anew, and one house lost.
func BenchmarkOne(b *testing.B) {
	w, err := still.Of(b.Context(), "big", 1, time.Minute)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			survive.New(w)
		}
	})
	a := survive.New(w)
	b.Run("house", func(b *testing.B) {
		for b.Loop() {
			a.Of(w.Sites[7].Name)
		}
	})
}

// A large cluster that is full: everything that is lost waits.
func BenchmarkFull(b *testing.B) {
	t := newTown(50, 20)
	for app := range 500 {
		nodes := []string{}
		for i := range 40 {
			nodes = append(nodes, t.c.Nodes.Items[(app*40+i*25+i)%1000].Name)
		}
		t.app("ReplicaSet", fmt.Sprintf("app-%d", app), cpu(200), nodes...)
	}
	for _, n := range t.c.Nodes.Items {
		n.Allocatable.MilliCPU = 4000
	}
	a := survive.New(t.world())
	b.ReportAllocs()
	for b.Loop() {
		a.Each()
	}
}
