package ui

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
)

// wire counts what is written to the terminal.
type wire struct {
	mu      sync.Mutex
	out     bytes.Buffer
	written chan struct{}
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out.Write(p)
	select {
	case w.written <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (w *wire) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.out.Reset()
	return w.out.String()
}

// live is a Feed a test changes.
type live struct {
	mu      sync.Mutex
	world   *model.World
	changed chan struct{}
}

func (l *live) Changed() <-chan struct{} { return l.changed }

func (l *live) World() *model.World {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.world
}

func (l *live) set(w *model.World) {
	l.mu.Lock()
	l.world = w
	l.mu.Unlock()
	l.changed <- struct{}{}
}

// changedCells is what three cells of the nodes pane that change may cost on
// the wire, escape sequences included.
const changedCells = 60

// wired runs an App on a wire that counts.
type wired struct {
	t    *testing.T
	feed *live
	out  *wire
	p    *tea.Program
}

func newWired(t *testing.T, w *model.World, width, height int, with ...func(*Config)) *wired {
	t.Helper()
	feed := &live{world: w, changed: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	cfg := Config{Context: ctx, Feed: feed, Keys: keymap.Default(), Theme: "dark", NoQuery: true}
	for _, set := range with {
		set(&cfg)
	}
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	out := &wire{written: make(chan struct{}, 1)}
	p := tea.NewProgram(a, tea.WithContext(ctx), tea.WithOutput(out), tea.WithInput(nil), tea.WithoutSignals(), tea.WithWindowSize(width, height),
		tea.WithColorProfile(colorprofile.ANSI256), tea.WithFPS(60))
	ended := make(chan struct{})
	go func() { defer close(ended); _, _ = p.Run() }()
	t.Cleanup(func() { cancel(); <-ended })
	return &wired{t, feed, out, p}
}

// after gives what is written until nothing comes for a while.
func (w *wired) after() string {
	w.t.Helper()
	select {
	case <-w.out.written:
	case <-time.After(20 * time.Second):
		w.t.Fatal("nothing was written")
	}
	return w.rest()
}

// rest gives what is written until nothing comes for a while; it may be nothing.
func (w *wired) rest() string {
	for {
		select {
		case <-w.out.written:
		case <-time.After(300 * time.Millisecond):
			return w.out.take()
		}
	}
}

// dyingHouse is what a house that goes dark may cost on the wire at most, by the size of
// the screen, and what then follows aside of it: a wide one tells more of it, in the
// details and on the map, unless it is to be thrifty.
var dyingHouse = []struct {
	width, height int
	thrifty       bool
	most, aside   int
}{{46, 19, false, 1024, 0}, {80, 24, false, 2048, 0}, {120, 40, true, 2048, 0}, {120, 40, false, 2048, 2048}}

func TestHouseDyingCostsLittle(t *testing.T) {
	for _, c := range dyingHouse {
		before, after := worldOf(t, moment{"powercut", 6*time.Minute + 30*time.Second}), worldOf(t, moment{"powercut", 8 * time.Minute})
		if before.Site("curepipe").Status != model.SiteOK || after.Site("curepipe").Status != model.SiteDark {
			t.Fatalf("%s, then curepipe is %s", before.Status, after.Site("curepipe").Status)
		}
		w := newWired(t, before, c.width, c.height, func(cfg *Config) { cfg.Whole, cfg.Aside = c.thrifty, 3*time.Second })
		w.feed.changed <- struct{}{}
		first := w.after()
		w.feed.set(after)
		cost, more := w.after(), ""
		if c.aside > 0 {
			more = w.after()
		}
		t.Logf("%+v: first frame %d bytes, a house dies %d, then %d", c, len(first), len(cost), len(more))
		if len(more) > c.aside {
			t.Errorf("%+v: what is aside costs %d bytes: %q", c, len(more), more)
		}
		if len(cost) > c.most {
			t.Errorf("%+v: a house dies in %d bytes: %q", c, len(cost), cost)
		}
	}
}

// TestLivingClusterCostsLittle has a minute of each demo on the screen, one World every
// five seconds: bytes a second, by the size of the screen.
func TestLivingClusterCostsLittle(t *testing.T) {
	for _, scenario := range []string{"healthy", "rebuild"} {
		for _, c := range []struct {
			width, height int
			thrifty       bool
			most          int
		}{{46, 19, true, 100}, {120, 40, false, 300}} {
			first := worldOf(t, moment{scenario, 0})
			w := newWired(t, first, c.width, c.height, func(cfg *Config) { cfg.Whole = c.thrifty })
			w.feed.changed <- struct{}{}
			w.after()
			cost := 0
			for at := 5 * time.Second; at <= time.Minute; at += 5 * time.Second {
				w.feed.set(worldOf(t, moment{scenario, at}))
				cost += len(w.rest())
			}
			t.Logf("%s at %dx%d: %d bytes in a minute", scenario, c.width, c.height, cost)
			if cost > 60*c.most {
				t.Errorf("%s at %dx%d: %d bytes in a minute, at most %d a second are wanted", scenario, c.width, c.height, cost, c.most)
			}
		}
	}
}

func TestThreeCellsCostLittle(t *testing.T) {
	w := *worldOf(t, moment{"healthy", 0})
	on := newWired(t, &w, 80, 24)
	feed, out, p, after := on.feed, on.out, on.p, on.after
	feed.changed <- struct{}{}
	first := after()
	if len(first) > 4000 {
		t.Errorf("the first frame is %d bytes", len(first))
	}
	p.Send(keyMsg("2"))
	after()

	next := w
	next.Nodes = append([]*model.Node(nil), w.Nodes...)
	for _, i := range []int{1, 4, 8} { // none is under the cursor
		n := *next.Nodes[i]
		n.Pods = (n.Pods + 1) % 10
		next.Nodes[i] = &n
	}
	feed.set(&next)
	cost := after()
	t.Logf("first frame %d bytes; three cells %d: %q", len(first), len(cost), cost)
	if len(cost) > changedCells {
		t.Errorf("three cells cost %d bytes: %q", len(cost), cost)
	}
	feed.set(&next) // the same again
	select {
	case <-out.written:
		t.Errorf("nothing changed, yet this was written: %q", after())
	case <-time.After(500 * time.Millisecond):
	}
}
