package ui

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/geotop/geotop/demo/still"
	"github.com/geotop/geotop/internal/golden"
	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
)

// fixed is a Feed whose World never changes.
type fixed struct{ world *model.World }

func (fixed) Changed() <-chan struct{} { return nil }
func (f fixed) World() *model.World    { return f.world }

// moment is one point of a demo.
type moment struct {
	scenario string
	after    time.Duration
}

var (
	stillsMu sync.Mutex
	stills   = map[moment]*model.World{}
)

// worldOf gives the World of a demo's moment; each is made once.
func worldOf(t testing.TB, m moment) *model.World {
	t.Helper()
	stillsMu.Lock()
	defer stillsMu.Unlock()
	if w := stills[m]; w != nil {
		return w
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w, err := still.Of(ctx, m.scenario, 1, m.after)
	if err != nil {
		t.Fatal(err)
	}
	stills[m] = w
	return w
}

// dark is a house gone dark for a while: every pane has something to tell then.
var dark = moment{"powercut", 3 * time.Minute}

// open starts an App of that size on a World, without a terminal.
func open(t testing.TB, w *model.World, width, height int) *App {
	t.Helper()
	a, err := New(Config{Context: context.Background(), Feed: fixed{w}, Keys: keymap.Default(), Theme: "dark"})
	if err != nil {
		t.Fatal(err)
	}
	a.Update(tea.WindowSizeMsg{Width: width, Height: height})
	if w != nil {
		a.Update(worldMsg{w})
	}
	return a
}

// press sends keys as a keyboard would: "enter" and its like by name, all else
// letter by letter.
func press(a *App, keys ...string) (last tea.Cmd) {
	for _, k := range keys {
		_, last = a.Update(keyMsg(k))
	}
	return last
}

func keyMsg(k string) tea.KeyPressMsg {
	named := map[string]rune{
		"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft,
		"right": tea.KeyRight, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd, "backspace": tea.KeyBackspace,
	}
	if code, ok := named[k]; ok {
		return tea.KeyPressMsg{Code: code}
	}
	if k == "ctrl+c" {
		return tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl}
	}
	return tea.KeyPressMsg{Code: []rune(k)[0], Text: k}
}

// frame is the screen as plain text.
func frame(a *App) string { return ansi.Strip(a.frame) }

// equal compares a screen with its file in testdata.
func equal(t *testing.T, name, got string) {
	t.Helper()
	golden.Equal(t, filepath.Join("testdata", "golden", name+".txt"), got+"\n")
}

// fits reports lines that are too many or too wide for the screen.
func fits(a *App) error {
	lines := strings.Split(a.frame, "\n")
	if len(lines) > max(1, a.height) {
		return fmt.Errorf("%d lines on a screen of %d:\n%s", len(lines), a.height, ansi.Strip(a.frame))
	}
	for i, l := range lines {
		if w := ansi.StringWidth(l); w > a.width {
			return fmt.Errorf("line %d is %d wide on a screen of %d: %q", i+1, w, a.width, ansi.Strip(l))
		}
	}
	return nil
}

var sizes = [][2]int{{40, 16}, {46, 19}, {80, 24}, {120, 12}, {200, 50}}

func TestGoldenPanes(t *testing.T) {
	panes := map[string][]string{
		"sites": {}, "nodes": {"2"}, "tailnet": {"3"}, "peer-details": {"3", "d"}, "volumes": {"4"}, "volume-details": {"4", "d"}, "backups": {"5"}, "workloads": {"6"}, "pods": {"7"}, "timeline": {"8"}, "whatif": {"9"}, "whatif-details": {"9", "d"},
		"site-nodes": {"enter"}, "node-details": {"2", "d"}, "help": {"?"},
	}
	for name, keys := range panes {
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s-%dx%d", name, size[0], size[1]), func(t *testing.T) {
				a := open(t, worldOf(t, dark), size[0], size[1])
				press(a, keys...)
				if err := fits(a); err != nil {
					t.Error(err)
				}
				equal(t, fmt.Sprintf("%s-%dx%d", name, size[0], size[1]), frame(a))
			})
		}
	}
}

// Plans and the menu of actions, on phones and wide.
func TestGoldenActions(t *testing.T) {
	for name, keys := range map[string][]string{"menu": {"G", "a"}, "plan-outage": {"G", "a", "4"}, "plan-drain": {"2", "D"}, "plan-backups": {"B"}, "plan-refused": {"u"}} {
		for _, size := range [][2]int{{40, 16}, {46, 19}, {80, 24}, {120, 40}} {
			t.Run(fmt.Sprintf("%s-%dx%d", name, size[0], size[1]), func(t *testing.T) {
				a := open(t, worldOf(t, moment{"weak", 0}), size[0], size[1])
				a.cfg.Actor, a.write = &fakeActor{}, true
				a.settle(press(a, keys...))
				if err := fits(a); err != nil {
					t.Error(err)
				}
				equal(t, fmt.Sprintf("%s-%dx%d", name, size[0], size[1]), frame(a))
			})
		}
	}
}

// TestGoldenStates draws the home screen of every state a cluster can be in.
func TestGoldenStates(t *testing.T) {
	for _, m := range []moment{{"weak", 0}, {"healthy", 0}, {"split", 0}, {"quorum", 2 * time.Minute}} {
		for _, size := range [][2]int{{46, 19}, {80, 24}} {
			t.Run(fmt.Sprintf("%s-%dx%d", m.scenario, size[0], size[1]), func(t *testing.T) {
				a := open(t, worldOf(t, m), size[0], size[1])
				equal(t, fmt.Sprintf("home-%s-%dx%d", m.scenario, size[0], size[1]), frame(a))
			})
		}
	}
}
