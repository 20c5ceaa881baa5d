package ui

import (
	"fmt"
	"testing"

	"github.com/geotop/geotop/model"
)

func BenchmarkFrame(b *testing.B) {
	a := open(b, worldOf(b, dark), 80, 24)
	press(a, "7")
	b.ReportAllocs()
	for b.Loop() {
		a.redraw()
	}
}

// BenchmarkKey is from a key to its frame, with 1000 nodes in 50 sites and 20,000 pods.
func BenchmarkKey(b *testing.B) {
	w := worldOf(b, moment{"big", 0})
	for _, c := range []struct {
		name string
		to   []string // what is pressed first
		keys []string // what is measured, in turn
	}{
		{"home-down", nil, []string{"j", "k"}},
		{"nodes-down", []string{"2"}, []string{"j", "k"}},
		{"pods-down", []string{"7"}, []string{"j", "k"}},
		{"pods-end", []string{"7"}, []string{"G", "g"}},
		{"pods-problems", []string{"7"}, []string{"!"}},
		{"pods-sort", []string{"7"}, []string{"o"}},
		{"pods-filter", []string{"7", "/"}, []string{"a", "backspace"}},
		{"pods-site", []string{"7"}, []string{"]"}},
		{"timeline-down", []string{"8"}, []string{"j", "k"}},
		{"panes", nil, []string{"1", "2", "3", "4", "5", "6", "7", "8"}},
		{"details", []string{"7"}, []string{"d", "q"}},
	} {
		for _, size := range [][2]int{{46, 19}, {120, 40}} {
			b.Run(fmt.Sprintf("%s/%dx%d", c.name, size[0], size[1]), func(b *testing.B) {
				a := open(b, w, size[0], size[1])
				press(a, c.to...)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					press(a, c.keys[i%len(c.keys)])
				}
			})
		}
	}
}

// BenchmarkNews is a new World on the screen, as it comes every ten seconds at most.
func BenchmarkNews(b *testing.B) {
	w := worldOf(b, moment{"big", 0})
	for _, pane := range []string{"1", "2", "7", "8"} {
		b.Run(pane, func(b *testing.B) {
			a := open(b, w, 120, 40)
			press(a, pane)
			again := *w
			worlds := [2]*model.World{w, &again}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				a.Update(worldMsg{worlds[i%2]})
			}
		})
	}
}
