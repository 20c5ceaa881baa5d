package linear

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/geotop/geotop/demo/still"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/survive"
)

// feed is a Feed a test changes.
type feed struct {
	mu      sync.Mutex
	world   *model.World
	changed chan struct{}
}

func (f *feed) Changed() <-chan struct{} { return f.changed }

func (f *feed) World() *model.World {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.world
}

// heard is what was said, for a test to wait on.
type heard struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case h.more <- struct{}{}:
	default:
	}
	return h.text.Write(p)
}

func (h *heard) all() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

func worldOf(t *testing.T, scenario string, after time.Duration) *model.World {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w, err := still.Of(ctx, scenario, 1, after)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// says types lines and gives what was said from the first prompt on.
func says(t *testing.T, w *model.World, typed ...string) string {
	t.Helper()
	lines := make(chan string, len(typed))
	for _, l := range typed {
		lines <- l
	}
	close(lines)
	h := &heard{more: make(chan struct{}, 1)}
	err := Run(t.Context(), w, Config{
		Feed: &feed{world: w}, Lines: lines, Out: h, Width: 80, Every: time.Millisecond,
		Lose: func(w *model.World, sites []string) *model.Verdict { return survive.New(w).Of(sites...) },
	})
	if err != nil {
		t.Fatal(err)
	}
	_, said, _ := strings.Cut(h.all(), "geotop> ")
	for _, l := range strings.Split(h.all(), "\n") {
		if n := len([]rune(strings.TrimPrefix(l, "geotop> "))); n > 80 {
			t.Errorf("a line of %d: %q", n, l)
		}
		if strings.ContainsAny(l, "\x1b\t") {
			t.Errorf("a control character: %q", l)
		}
	}
	return strings.Join(strings.Fields(said), " ")
}

func TestWhatIsAskedIsSaid(t *testing.T) {
	w := worldOf(t, "weak", 0)
	for _, c := range []struct {
		typed []string
		want  []string
	}{
		{[]string{"nodes moka"}, []string{"Nodes: 3. moka-1: site moka, ready, roles cp,etcd"}},
		{[]string{"2"}, []string{"Nodes: 9."}},
		{[]string{"no moka-2"}, []string{"Nodes: 1. moka-2:"}},
		{[]string{"pods", "", "", "", "", ""}, []string{"more: press Enter.", "That was all."}},
		{[]string{"vol postgres", "details data-postgres-1"}, []string{"Volumes: 3.", "ok: data-postgres-1 attached on curepipe-1", "copies 2 of 2 healthy"}},
		{[]string{"what if moka"}, []string{"without moka lost", "restored from"}},
		{[]string{"whatif"}, []string{"What if:"}},
		{[]string{"whatif atlantis"}, []string{"There is no house atlantis."}},
		{[]string{"only flacq", "nodes", "only", "nodes"}, []string{"Only flacq. geotop> Nodes: 3.", "All houses. geotop> Nodes: 9."}},
		{[]string{"problems"}, []string{"Problem 1 of 9, critical: volume/monitoring/data-prometheus-0"}},
		{[]string{"timeline"}, []string{"warning: 5m ago: BackOff, site curepipe, 2 pods"}},
		{[]string{"\x1b[2Jxyzzy\a"}, []string{"is nothing geotop knows. Type help"}},
		{[]string{"more"}, []string{"That was all."}},
		{[]string{"details nonesuch"}, []string{"No row of sites has that."}},
		{[]string{"help"}, []string{"Lists: sites, nodes, tailnet"}},
	} {
		said := says(t, w, c.typed...)
		for _, want := range c.want {
			if !strings.Contains(said, want) {
				t.Errorf("%q: lacks %q:\n%s", c.typed, want, said)
			}
		}
	}
}

// TestWhatChangesIsSaid has a house go dark while nobody types.
func TestWhatChangesIsSaid(t *testing.T) {
	before, after := worldOf(t, "healthy", 0), worldOf(t, "powercut", 3*time.Minute)
	f := &feed{world: before, changed: make(chan struct{}, 1)}
	h := &heard{more: make(chan struct{}, 1)}
	lines := make(chan string)
	done := make(chan error, 1)
	go func() {
		done <- Run(t.Context(), before, Config{Feed: f, Lines: lines, Out: h, Width: 80, Every: time.Millisecond})
	}()
	wait := func(want string) {
		t.Helper()
		for !strings.Contains(strings.Join(strings.Fields(h.all()), " "), want) {
			select {
			case <-h.more:
			case <-time.After(20 * time.Second):
				t.Fatalf("%q is not said:\n%s", want, h.all())
			}
		}
	}
	wait("Nothing needs attention. Sites: 3.")
	f.mu.Lock()
	f.world = after
	f.mu.Unlock()
	f.changed <- struct{}{}
	wait("ago: dark, site curepipe, site/curepipe, house dark or uplink down.")
	wait("The whole is critical now. geotop>")
	told := h.all()
	f.changed <- struct{}{} // the same again: nothing to say
	lines <- "sites"
	wait("critical: curepipe: DARK")
	if n := strings.Count(h.all(), "site/curepipe"); n != strings.Count(told, "site/curepipe") {
		t.Errorf("said twice:\n%s", h.all())
	}
	lines <- "q"
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, worldOf(t, "healthy", 0), Config{Feed: &feed{}, Lines: make(chan string), Out: &heard{}, Width: 80}); err != nil {
		t.Error(err)
	}
}
