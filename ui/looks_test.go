package ui

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// TestEveryPaneInEveryLook draws every pane in every scenario at every size. Its words
// are kept; the looks must say the same: themes differ in style alone, and ASCII in
// single characters.
func TestEveryPaneInEveryLook(t *testing.T) {
	panes := []struct {
		name string
		keys []string
	}{
		{"sites", nil}, {"nodes", []string{"2"}}, {"tailnet", []string{"3"}}, {"volumes", []string{"4"}}, {"backups", []string{"5"}},
		{"workloads", []string{"6"}}, {"pods", []string{"7"}}, {"timeline", []string{"8"}}, {"whatif", []string{"9"}}, {"plan", []string{"0"}}, {"help", []string{"?"}},
	}
	for _, m := range []moment{{"weak", 0}, dark, {"quorum", 2 * time.Minute}, {"rebuild", 20 * time.Second}} {
		w := worldOf(t, m)
		for _, p := range panes {
			t.Run(m.scenario+"."+p.name, func(t *testing.T) {
				var all strings.Builder
				for _, size := range [][2]int{{46, 19}, {80, 24}, {120, 40}, {200, 50}} {
					a := open(t, w, size[0], size[1])
					press(a, p.keys...)
					words := frame(a)
					fmt.Fprintf(&all, "== %dx%d\n%s\n", size[0], size[1], words)
					for _, look := range themes.Names() {
						a.theme, _ = themes.Load(look)
						a.redraw()
						if err := fits(a); err != nil {
							t.Errorf("%s: %v", look, err)
						}
						if bare(frame(a)) != bare(words) {
							t.Errorf("%s at %v says something else:\n%s", look, size, frame(a))
						}
					}
					a.cfg.ASCII = true
					a.redraw()
					if err := fits(a); err != nil {
						t.Errorf("ASCII: %v", err)
					}
					plain := strings.Split(frame(a), "\n")
					for i, l := range strings.Split(words, "\n") {
						if last := i == len(plain)-1; !last && p.name != "help" && strings.TrimRight(text.ASCII(l), " ") != strings.TrimRight(plain[i], " ") {
							t.Errorf("ASCII at %v, line %d: %q, not %q", size, i+1, plain[i], text.ASCII(l))
						}
						if strings.ContainsFunc(plain[i], func(r rune) bool { return r > '~' }) {
							t.Errorf("not ASCII: %q", plain[i])
						}
					}
				}
				equal(t, m.scenario+"."+p.name, strings.TrimSuffix(all.String(), "\n"))
			})
		}
	}
}

// bare leaves out spaces at the ends of lines, which a style may or may not cover.
func bare(frame string) string {
	lines := strings.Split(frame, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// TestLongUse presses keys in all scenarios, 2000 times or as often as GEOTOP_STEPS says.
func TestLongUse(t *testing.T) {
	steps := 2000
	if s := os.Getenv("GEOTOP_STEPS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		steps = n
	}
	scenarios := []moment{{"weak", 0}, {"healthy", 0}, {"powercut", 4 * time.Minute}, {"split", 0}, {"quorum", 2 * time.Minute}, {"rebuild", 20 * time.Second}}
	taken := 0
	for seed := uint64(1); taken < steps; seed++ {
		u := newUser(t, seed, scenarios...)
		for range 500 {
			u.step()
			taken++
		}
	}
	t.Logf("%d steps", taken)
}

// counted is a list that counts the rows that are made of it.
type counted struct {
	view.List
	rows *int
}

type countedRows struct {
	view.Rows
	rows *int
}

func (c counted) Rows(w *model.World, q view.Query) view.Rows {
	return countedRows{c.List.Rows(w, q), c.rows}
}

func (r countedRows) Cells(i int, columns []int) []view.Cell {
	*r.rows++
	return r.Rows.Cells(i, columns)
}

// However many there are: a pane makes no more rows than it shows.
func TestNoRowsAreMadeForNothing(t *testing.T) {
	a := open(t, worldOf(t, dark), 120, 10)
	for _, key := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		press(a, key)
		made := 0
		list := a.top().(*listScreen)
		list.list, list.rows = counted{list.list, &made}, nil
		for _, key := range []string{"G", "k", "ctrl+d", "g", "j"} {
			made = 0
			press(a, key)
			if many := list.rows.Len() > a.height; many && (made == 0 || made > a.height) {
				t.Errorf("%s, after %s: %d rows made for a screen of %d", list.crumb(), key, made, a.height)
			}
		}
	}
}
