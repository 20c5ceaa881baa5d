package ui

import (
	"errors"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
)

// shelf is a recording of a few Worlds.
type shelf struct {
	worlds  []*model.World
	at      int
	broken  int // moment that cannot be read
	changed chan struct{}
}

func (s *shelf) Changed() <-chan struct{} { return s.changed }
func (s *shelf) World() *model.World      { return s.worlds[s.at] }

func (s *shelf) Times() (times []time.Time) {
	for _, w := range s.worlds {
		times = append(times, w.At)
	}
	return times
}

func (s *shelf) Seek(i int) error {
	if i == s.broken {
		return errors.New("the disk is \x1b[31mtorn")
	}
	s.at = i
	return nil
}

// follow runs a command, and those that come of it, as long as they are about the reel.
func follow(a *App, s *shelf, cmd tea.Cmd) {
	for _, msg := range all(cmd) {
		switch msg.(type) {
		case soughtMsg, playMsg:
			_, next := a.Update(msg)
			a.Update(worldMsg{s.World()})
			follow(a, s, next)
		}
	}
}

func TestRecordingIsSteppedThrough(t *testing.T) {
	s := &shelf{broken: -1, changed: make(chan struct{}, 1)}
	for i, at := range []time.Duration{0, 3 * time.Minute, 6*time.Minute + 30*time.Second} {
		w := *worldOf(t, moment{"powercut", at})
		w.At = w.At.Add(time.Duration(i)*time.Millisecond - at) // so that playing it takes no time
		s.worlds = append(s.worlds, &w)
	}
	a, err := New(Config{Context: t.Context(), Feed: s, Reel: s, Keys: keymap.Default(), Theme: "dark"})
	if err != nil {
		t.Fatal(err)
	}
	a.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	a.Update(worldMsg{s.World()})
	shows := func(want ...string) {
		t.Helper()
		for _, w := range want {
			if got := frame(a); !strings.Contains(got, w) {
				t.Fatalf("no %q in:\n%s", w, got)
			}
		}
	}
	shows("replay", "1/3", "> on, < back")
	follow(a, s, press(a, ">"))
	shows("2/3", "DARK")
	follow(a, s, press(a, ">", ">"))
	shows("3/3", "last moment")
	follow(a, s, press(a, "<"))
	shows("2/3", "DARK")
	follow(a, s, press(a, "<"))
	follow(a, s, press(a, "<"))
	shows("1/3", "first moment")
	follow(a, s, press(a, "p")) // to its end
	shows("replay", "3/3")
	follow(a, s, press(a, "p")) // from its start
	shows("replay", "3/3")

	s.broken = 1
	follow(a, s, press(a, "<"))
	shows("cannot read that moment", "torn")
	if strings.Contains(a.frame, "\x1b[31mtorn") {
		t.Error("what the disk says is not cleaned")
	}

	b := open(t, worldOf(t, dark), 80, 24)
	if press(b, ">"); !strings.Contains(frame(b), "no recording") {
		t.Errorf("nothing to step through, and nothing said:\n%s", frame(b))
	}
}

// While one is made it says so, and when it has stopped.
func TestRecordingIsOnTheScreen(t *testing.T) {
	var trouble error
	w := worldOf(t, dark)
	a, err := New(Config{Context: t.Context(), Feed: fixed{w}, Recording: func() error { return trouble }, Keys: keymap.Default(), Theme: "dark"})
	if err != nil {
		t.Fatal(err)
	}
	a.Update(tea.WindowSizeMsg{Width: 46, Height: 19})
	a.Update(worldMsg{w})
	if got := frame(a); !strings.Contains(got, "REC") || strings.Contains(got, "stopped") {
		t.Errorf("while it is made:\n%s", got)
	}
	trouble = errors.New("no space left on device")
	a.Update(worldMsg{w})
	if got := frame(a); !strings.Contains(got, "REC stopped") {
		t.Errorf("when it has stopped:\n%s", got)
	}
}
