package ui

import (
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"github.com/geotop/geotop/text"
)

// tapOn taps the first cell of the words on the screen.
func tapOn(t *testing.T, a *App, words string) tea.Cmd {
	t.Helper()
	for y, line := range strings.Split(frame(a), "\n") {
		if before, _, found := strings.Cut(line, words); found {
			_, cmd := a.Update(tea.MouseClickMsg{X: text.Width(before), Y: y, Button: tea.MouseLeft})
			return cmd
		}
	}
	t.Fatalf("no %q to tap on:\n%s", words, frame(a))
	return nil
}

func TestTaps(t *testing.T) {
	for _, size := range [][2]int{{46, 19}, {80, 24}, {120, 40}} {
		a := open(t, worldOf(t, dark), size[0], size[1])
		a.cfg.Mouse = true
		cursor := func() string {
			l := a.top().(*listScreen)
			return l.rows.Object(l.at).Name
		}
		if a.View().MouseMode != tea.MouseModeCellMotion {
			t.Error("the terminal is not asked for clicks")
		}
		if tapOn(t, a, "moka     ok"); cursor() != "moka" || len(a.stack) != 1 {
			t.Fatalf("%v: a tap on moka leaves the cursor on %s", size, cursor())
		}
		tapOn(t, a, "moka     ok")
		if !strings.Contains(frame(a), "moka › nodes") {
			t.Fatalf("%v: a second tap does not open it:\n%s", size, frame(a))
		}
		if tapOn(t, a, "moka-2"); cursor() != "moka-2" {
			t.Errorf("%v: a tap on moka-2 leaves the cursor on %s", size, cursor())
		}
		tapOn(t, a, "q back")
		if len(a.stack) != 1 {
			t.Errorf("%v: a tap on q does not go back:\n%s", size, frame(a))
		}
		tapOn(t, a, "? help")
		if !strings.Contains(frame(a), "this help") {
			t.Errorf("%v: a tap on ? opens no help", size)
		}
		press(a, "q")
		if size[0] >= 80 {
			if tapOn(t, a, "2 Nodes"); a.pane() != "nodes" {
				t.Errorf("%v: a tap on a pane's name leaves %s", size, a.pane())
			}
		}
		press(a, "7", "g")
		first := cursor()
		a.Update(tea.MouseWheelMsg{X: 3, Y: 5, Button: tea.MouseWheelDown})
		if l := a.top().(*listScreen); l.at != wheel {
			t.Errorf("%v: the wheel goes to row %d", size, l.at)
		}
		if a.Update(tea.MouseWheelMsg{X: 3, Y: 5, Button: tea.MouseWheelUp}); cursor() != first {
			t.Errorf("%v: and back to %s", size, cursor())
		}
	}
}

// Where something is asked, typed or planned a tap does nothing; nor does it anywhere
// where there is nothing.
func TestTapsAgreeToNothing(t *testing.T) {
	for name, keys := range map[string][]string{"a question": {"W"}, "a filter": {"2", "/"}, "the palette": {":"}, "home": nil, "details": {"2", "d"}, "nodes": {"2"}} {
		a := open(t, worldOf(t, dark), 80, 24)
		press(a, keys...)
		before := frame(a)
		asked := !a.tappable()
		for y := range 24 {
			for x := range 80 {
				if !asked && (y == 1 || y == 23 || y < 20 && name != "details") {
					continue
				}
				if _, cmd := a.Update(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft}); cmd != nil || frame(a) != before || a.write {
					t.Fatalf("%s: a tap at %d,%d does something:\n%s", name, x, y, frame(a))
				}
			}
		}
		if asked != strings.HasPrefix(name, "a ") && asked != strings.HasPrefix(name, "the ") {
			t.Errorf("%s: may be tapped on: %v", name, !asked)
		}
	}
}

// Those who look for the first time are told how to get about, until they press a key.
func TestGreeting(t *testing.T) {
	w := *worldOf(t, dark)
	a := open(t, nil, 46, 19)
	a.cfg.Greet = true
	a.Update(worldMsg{&w})
	if got := frame(a); !strings.Contains(got, "? help  q quit  new here") {
		t.Errorf("not greeted:\n%s", got)
	}
	if press(a, "j"); strings.Contains(frame(a), "new here") {
		t.Errorf("after a key:\n%s", frame(a))
	}
	w.LookedAt = w.At
	b := open(t, nil, 46, 19)
	b.cfg.Greet = true
	if b.Update(worldMsg{&w}); strings.Contains(frame(b), "new here") {
		t.Errorf("somebody looked before:\n%s", frame(b))
	}
}
