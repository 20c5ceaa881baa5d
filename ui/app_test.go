package ui

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
)

func TestBackLeavesOneThingAtATime(t *testing.T) {
	a := open(t, worldOf(t, dark), 80, 24)
	press(a, "2", "enter", "/", "m", "o", "enter")
	for _, want := range []struct{ shows, not string }{
		{"/mo", ""},                   // pods of a node, filtered
		{"› pods", "/mo"},             // the filter went
		{"2 Nodes", "› pods"},         // the list went
		{"Needs attention", "› pods"}, // the pane went: home
	} {
		if got := frame(a); !strings.Contains(got, want.shows) || want.not != "" && strings.Contains(got, want.not) {
			t.Fatalf("want %q without %q:\n%s", want.shows, want.not, got)
		}
		if cmd := press(a, "q"); quits(cmd) != strings.HasPrefix(want.shows, "Needs") {
			t.Fatalf("q at %q: quits %v", want.shows, quits(cmd))
		}
	}
}

func quits(cmd tea.Cmd) bool {
	if cmd == nil {
		return false
	}
	_, quit := cmd().(tea.QuitMsg)
	return quit
}

// Q and Ctrl-C end the program from wherever one is.
func TestQuitFromEverywhere(t *testing.T) {
	for _, way := range [][]string{{}, {"?"}, {"7", "d"}, {"2", "enter", "d"}, {"W"}} {
		for _, key := range []string{"Q", "ctrl+c"} {
			if len(way) == 1 && way[0] == "W" && key == "Q" {
				continue // a letter answers the question
			}
			a := open(t, worldOf(t, dark), 80, 24)
			press(a, way...)
			if !quits(press(a, key)) {
				t.Errorf("%s after %v does not quit", key, way)
			}
		}
	}
	a := open(t, worldOf(t, dark), 80, 24)
	press(a, "/", "x")
	if quits(press(a, "Q")) {
		t.Error("Q typed into a filter quits")
	}
	if !quits(press(a, "ctrl+c")) {
		t.Error("Ctrl-C while typing a filter does not quit")
	}
}

func TestFilterFollowsTheKeys(t *testing.T) {
	a := open(t, worldOf(t, dark), 80, 24)
	press(a, "7", "/", "p", "o", "s", "t")
	got := frame(a)
	if !strings.Contains(got, "postgres-0") || strings.Contains(got, "code-server") || !strings.Contains(got, "3 of 56") {
		t.Fatalf("filtered:\n%s", got)
	}
	if !strings.HasSuffix(got, "\n/post") {
		t.Errorf("the filter is not in the footer:\n%s", got)
	}
	press(a, "backspace", "backspace", "backspace", "backspace", "z", "z", "z")
	if got := frame(a); !strings.Contains(got, "no pods match") {
		t.Errorf("nothing matches:\n%s", got)
	}
	press(a, "esc")
	if got := frame(a); !strings.Contains(got, "code-server") {
		t.Errorf("cleared:\n%s", got)
	}
}

func TestPasteOnlyFeedsAFilter(t *testing.T) {
	a := open(t, worldOf(t, dark), 80, 24)
	before := frame(a)
	a.Update(tea.PasteMsg{Content: "qQ7W"})
	if frame(a) != before {
		t.Errorf("pasted text ran commands:\n%s", frame(a))
	}
	press(a, "7", "/")
	a.Update(tea.PasteMsg{Content: "redis"})
	if got := frame(a); !strings.Contains(got, "redis-0") || strings.Contains(got, "code-server") {
		t.Errorf("paste into the filter:\n%s", got)
	}
}

// The cursor stays on its object when rows come and go above it.
func TestCursorStaysOnItsObject(t *testing.T) {
	w := worldOf(t, dark)
	a := open(t, w, 80, 24)
	press(a, "2", "j", "j", "j", "j")
	list := a.top().(*listScreen)
	on := list.key
	fewer := *w
	fewer.Nodes = w.Nodes[2:]
	a.Update(worldMsg{&fewer})
	if list.key != on || list.rows.Key(list.at) != on || list.at != 2 {
		t.Errorf("cursor was on %s, is on %s at row %d", on, list.key, list.at)
	}
	fewer.Nodes = nil
	b := fewer
	a.Update(worldMsg{&b})
	if got := frame(a); !strings.Contains(got, "no nodes") {
		t.Errorf("all gone:\n%s", got)
	}
}

// The details beside a list follow one step at once, and a held key when it is let go.
func TestDetailsFollowACursorAtRest(t *testing.T) {
	a := open(t, worldOf(t, dark), 120, 40)
	title := func() string {
		_, beside, _ := strings.Cut(strings.Split(frame(a), "\n")[2], "│")
		return strings.Fields(beside)[1]
	}
	press(a, "2", "j")
	second := title()
	press(a, "j", "j")
	if title() != second {
		t.Errorf("while the key is held: %s, then %s", second, title())
	}
	for range 3 {
		a.Update(restMsg{})
	}
	if at := a.top().(*listScreen); title() == second || title() != at.rows.Object(at.at).Name {
		t.Errorf("at rest: details of %s", title())
	}
	press(a, "j", "3", "2") // another pane begins anew
	if at := a.top().(*listScreen); title() != at.rows.Object(at.at).Name {
		t.Errorf("after coming back: details of %s", title())
	}
}

func TestNextProblemGoesRound(t *testing.T) {
	a := open(t, worldOf(t, dark), 80, 24)
	press(a, "6", "n")
	list := a.top().(*listScreen)
	var seen []int
	for range 8 {
		seen = append(seen, list.at)
		press(a, "n")
	}
	problems := 0
	for i := range list.rows.Len() {
		if list.rows.Severity(i) != model.OK {
			problems++
		}
	}
	if problems < 3 || seen[0] != seen[problems] {
		t.Errorf("%d problems, visited rows %v", problems, seen)
	}
	press(a, "!")
	if list.rows.Len() != problems || !strings.Contains(frame(a), "only problems") {
		t.Errorf("only problems shows %d of %d rows:\n%s", list.rows.Len(), problems, frame(a))
	}
}

func TestSiteFilterHoldsInEveryPane(t *testing.T) {
	a := open(t, worldOf(t, dark), 120, 40)
	press(a, "2", "]", "]")
	for _, pane := range []string{"2", "7"} {
		press(a, pane)
		got := frame(a)
		if !strings.Contains(got, "site flacq") || strings.Contains(got, "moka-1 ") {
			t.Errorf("pane %s:\n%s", pane, got)
		}
	}
	press(a, "1")
	if got := frame(a); !strings.Contains(got, "moka") {
		t.Errorf("the sites pane hides sites:\n%s", got)
	}
}

func TestSortGoesThroughWhatIsShown(t *testing.T) {
	a := open(t, worldOf(t, dark), 80, 24)
	press(a, "2")
	list := a.top().(*listScreen)
	seen := map[int]bool{}
	for range len(list.shown) + 1 {
		press(a, "o")
		seen[list.query.Sort] = true
	}
	if len(seen) != len(list.shown)+1 {
		t.Errorf("sorted by %v, shown %v", seen, list.shown)
	}
	press(a, "O")
	if !list.query.Reverse {
		t.Error("O does not reverse")
	}
}

func TestWriteIsAskedForAndArmed(t *testing.T) {
	a := open(t, worldOf(t, dark), 46, 19)
	press(a, "W", "y")
	if a.write || a.question == nil {
		t.Fatal("a key that was on its way agreed")
	}
	a.Update(armMsg{})
	equal(t, "question-46x19", frame(a))
	press(a, "enter")
	if a.write || a.question != nil {
		t.Fatal("Enter must mean no")
	}
	press(a, "W")
	a.Update(armMsg{})
	press(a, "y")
	if !a.write || !strings.Contains(frame(a), " RW ") {
		t.Fatalf("not lifted:\n%s", frame(a))
	}
	press(a, "W")
	if a.write || strings.Contains(frame(a), "RW") {
		t.Error("W does not forbid again at once")
	}
}

func TestThemesKeepEveryWord(t *testing.T) {
	a := open(t, worldOf(t, dark), 80, 24)
	want := frame(a)
	for range 6 {
		press(a, "t")
		a.note = ""
		a.redraw()
		if got := frame(a); got != want {
			t.Errorf("theme %s changes the text:\n%s", a.theme.Name, got)
		}
	}
}

func TestBackgroundChoosesTheTheme(t *testing.T) {
	a, err := New(Config{Context: context.Background(), Feed: fixed{}, Keys: keymap.Default(), Theme: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	a.Update(tea.BackgroundColorMsg{Color: white{}})
	if a.theme.Name != "light" {
		t.Errorf("on white: %s", a.theme.Name)
	}
	press(a, "t") // chosen by hand: stays
	chosen := a.theme.Name
	a.Update(tea.BackgroundColorMsg{Color: white{}})
	if a.theme.Name != chosen {
		t.Errorf("the terminal overrode %s by %s", chosen, a.theme.Name)
	}
}

type white struct{}

func (white) RGBA() (r, g, b, a uint32) { return 0xffff, 0xffff, 0xffff, 0xffff }

// sourceState gives a World whose kube sources are all in one state.
func sourceState(t *testing.T, status model.SourceStatus, err string, keep bool) *model.World {
	w := *worldOf(t, dark)
	w.Sources = append([]model.Source(nil), w.Sources...)
	for i := range w.Sources {
		s := &w.Sources[i]
		if s.Group() == "kube" {
			s.Status, s.Error, s.ObservedAt = status, err, w.At.Add(-time.Minute)
		}
	}
	if !keep {
		w.Sites, w.Nodes, w.Pods, w.Workloads, w.Events = nil, nil, nil, nil, nil
	}
	return &w
}

// Every reason for an empty list has words of its own, and what is old says so.
func TestEmptyAndStaleListsSayWhy(t *testing.T) {
	for _, tc := range []struct {
		status model.SourceStatus
		err    string
		keep   bool
		want   []string
	}{
		{model.SourcePending, "", false, []string{"loading nodes", "api …"}},
		{model.SourceForbidden, "user may not list nodes", false, []string{"not allowed: list nodes", "user may not list nodes", "api denied"}},
		{model.SourceFailed, "connection refused", false, []string{"cannot show nodes: connection refused", "api down"}},
		{model.SourceStale, "timed out", true, []string{"curepipe-1", "api 60s!"}},
	} {
		a := open(t, sourceState(t, tc.status, tc.err, tc.keep), 80, 24)
		press(a, "2")
		for _, want := range tc.want {
			if !strings.Contains(frame(a), want) {
				t.Errorf("%s lacks %q:\n%s", tc.status, want, frame(a))
			}
		}
	}
	a := open(t, nil, 80, 24)
	press(a, "2", "j", "↵", "d", "?", "!", "o")
	if got := frame(a); strings.TrimSpace(got) != "" {
		t.Errorf("drawn before anything is known:\n%s", got)
	}
}

// A stale list is dimmed as a whole: nothing in it may look like now.
func TestStaleRowsAreDim(t *testing.T) {
	a := open(t, sourceState(t, model.SourceStale, "timed out", true), 80, 24)
	press(a, "2", "G")
	dimmed := a.theme.Paint(0+2, "x") // themes.Dim
	start := dimmed[:strings.Index(dimmed, "x")]
	rows := 0
	for _, l := range strings.Split(a.frame, "\n") {
		if strings.Contains(l, "moka-1") || strings.Contains(l, "flacq-2") {
			rows++
			if !strings.HasPrefix(l, start) || strings.Count(l, "\x1b[") != 2 {
				t.Errorf("not dim as a whole: %q", l)
			}
		}
	}
	if rows != 2 {
		t.Fatalf("found %d of two rows:\n%s", rows, frame(a))
	}
}

func TestDetailsOfSomethingGone(t *testing.T) {
	w := worldOf(t, dark)
	a := open(t, w, 80, 24)
	press(a, "2", "d")
	fewer := *w
	fewer.Nodes = w.Nodes[1:]
	a.Update(worldMsg{&fewer})
	if got := frame(a); !strings.Contains(got, "no longer there; last seen:") || !strings.Contains(got, "curepipe-1") {
		t.Errorf("details of a node that went:\n%s", got)
	}
}

// Sizes that storm in are taken once they stand still.
func TestResizeSettles(t *testing.T) {
	a := open(t, worldOf(t, dark), 80, 24)
	first := tea.WindowSizeMsg{Width: 80, Height: 24}
	if Filter(a, first) != tea.Msg(first) {
		t.Fatal("the first size must pass at once")
	}
	var last tea.Cmd
	for i := range 5 {
		msg := Filter(a, tea.WindowSizeMsg{Width: 40 + i, Height: 20})
		if _, passed := msg.(tea.WindowSizeMsg); passed {
			t.Fatal("a later size passed unsettled")
		}
		_, last = a.Update(msg)
	}
	if a.width != 80 {
		t.Fatalf("drawn %d wide before it settled", a.width)
	}
	settled := last() // waits its moment
	_, cmd := a.Update(settled)
	a.Update(Filter(a, cmd()))
	if a.width != 44 || a.height != 20 {
		t.Errorf("settled on %dx%d", a.width, a.height)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	a, err := New(Config{Context: ctx, Feed: fixed{}, Keys: keymap.Default(), Theme: "dark"})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if msg := a.await()(); msg != nil {
		t.Errorf("after the end came %T", msg)
	}
}

func TestTinyTerminalTellsTheWorst(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {2, 1}, {10, 1}, {20, 2}, {29, 7}, {200, 7}} {
		a := open(t, worldOf(t, dark), size[0], size[1])
		if err := fits(a); err != nil {
			t.Error(err)
		}
		if got := frame(a); !strings.HasPrefix(got, "X") && size[0] > 1 {
			t.Errorf("%v: %q", size, got)
		}
	}
}

// The ui starts no goroutine and waits for nothing: the framework does.
func TestNoGoroutineInThePackage(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		src, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"\tgo func", "\tgo a.", "time.Sleep", "time.Now("} {
			if strings.Contains(string(src), bad) {
				t.Errorf("%s contains %q", f.Name(), strings.TrimSpace(bad))
			}
		}
	}
}

// Houses that are marked are lost together, in a row of their own; a new World has
// it anew, and a mark taken off takes it away.
func TestMarkedHousesAreLostTogether(t *testing.T) {
	w := worldOf(t, moment{"weak", 0})
	a := open(t, w, 80, 24)
	asked := []string{}
	a.cfg.Lose = func(_ *model.World, sites []string) *model.Verdict {
		asked = append(asked, strings.Join(sites, " "))
		return &model.Verdict{Lost: sites, Outcome: model.DataLost, Why: "both are gone"}
	}
	press(a, "9", "m")
	if strings.Contains(frame(a), " + ") || len(asked) > 0 {
		t.Fatalf("one house is not several:\n%s", frame(a))
	}
	answer := func(cmd tea.Cmd) {
		for _, msg := range all(cmd) {
			if _, is := msg.(lostMsg); is {
				a.Update(msg)
			}
		}
	}
	answer(press(a, "j", "m"))
	if !strings.Contains(frame(a), "curepipe + flacq") || !slices.Equal(asked, []string{"curepipe flacq"}) {
		t.Fatalf("asked %v:\n%s", asked, frame(a))
	}
	press(a, "G", "d")
	if !strings.Contains(frame(a), "without curepipe + flacq") || !strings.Contains(frame(a), "both are gone") {
		t.Errorf("details:\n%s", frame(a))
	}
	press(a, "q")
	_, cmd := a.Update(worldMsg{w})
	if !strings.Contains(frame(a), "curepipe + flacq") {
		t.Errorf("with a new World it is gone:\n%s", frame(a))
	}
	answer(cmd)
	if len(asked) != 2 || strings.Count(frame(a), "curepipe + flacq") != 1 {
		t.Errorf("asked %v:\n%s", asked, frame(a))
	}
	press(a, "g", "m")
	if strings.Contains(frame(a), "curepipe + flacq") {
		t.Errorf("with one mark left:\n%s", frame(a))
	}
	press(a, "1", "m") // nothing to mark there
}

// all runs a command and those it is made of.
func all(cmd tea.Cmd) []tea.Msg {
	if cmd == nil {
		return nil
	}
	msg := cmd()
	if batch, is := msg.(tea.BatchMsg); is {
		list := []tea.Msg{}
		for _, c := range batch {
			list = append(list, all(c)...)
		}
		return list
	}
	return []tea.Msg{msg}
}

// A screen that is held says so, and for how long; what came meanwhile is there at once
// when it goes on.
func TestPause(t *testing.T) {
	a := open(t, worldOf(t, healthy), 80, 24)
	press(a, "p")
	was := frame(a)
	if !strings.Contains(was, "paused 0s") {
		t.Errorf("it does not say so:\n%s", was)
	}
	now := *worldOf(t, dark)
	now.At = worldOf(t, healthy).At.Add(3 * time.Minute)
	a.Update(worldMsg{&now})
	if got := frame(a); strings.Contains(got, "DARK") || !strings.Contains(got, "paused 3m") {
		t.Errorf("held, yet\n%s", got)
	}
	press(a, "p")
	if got := frame(a); !strings.Contains(got, "DARK") || strings.Contains(got, "paused") {
		t.Errorf("going on:\n%s", got)
	}
	if empty := open(t, nil, 80, 24); press(empty, "p") != nil || empty.paused {
		t.Error("nothing to hold, yet held")
	}
}

func TestZoom(t *testing.T) {
	a := open(t, worldOf(t, dark), 200, 50)
	press(a, "2")
	if !strings.Contains(frame(a), "│") {
		t.Fatalf("no details beside the list:\n%s", frame(a))
	}
	press(a, "z")
	if strings.Contains(frame(a), "│") || !strings.Contains(frame(a), "VERSION") {
		t.Errorf("not over the whole width:\n%s", frame(a))
	}
	press(a, "z")
	if !strings.Contains(frame(a), "│") {
		t.Error("z does not bring them back")
	}
}

// Help, and details, show only what one looks for.
func TestPagesAreSearched(t *testing.T) {
	a := open(t, worldOf(t, healthy), 80, 24)
	press(a, "?", "/", "c", "o", "r", "d", "o", "n")
	if got := frame(a); !strings.Contains(got, "uncordon it") || strings.Contains(got, "this help") {
		t.Errorf("cordon was looked for:\n%s", got)
	}
	press(a, "enter")
	if got := frame(a); !strings.Contains(got, "/cordon") {
		t.Errorf("it is not said what narrows the page:\n%s", got)
	}
	press(a, "q")
	if got := frame(a); !strings.Contains(got, "this help") || strings.Contains(got, "/cordon") {
		t.Errorf("q does not show all again:\n%s", got)
	}
	press(a, "/", "x", "y", "z", "z", "y", "enter")
	if got := frame(a); !strings.Contains(got, "nothing here has that") {
		t.Errorf("what is nowhere was looked for:\n%s", got)
	}
	press(a, "q", "q")
	if len(a.stack) != 1 {
		t.Error("q twice does not leave")
	}
}

// changing gives one World after another, each after a change.
type changing struct {
	changed chan struct{}
	worlds  []*model.World
}

func (c *changing) Changed() <-chan struct{} { return c.changed }
func (c *changing) World() *model.World {
	w := c.worlds[0]
	c.worlds = c.worlds[1:]
	return w
}

// As long as sources have not answered, what they say piece by piece is one frame.
func TestLoadingIsOneFrame(t *testing.T) {
	part, whole := sourceState(t, model.SourcePending, "", true), worldOf(t, dark)
	c := &changing{make(chan struct{}, 3), []*model.World{part, part, whole}}
	a, err := New(Config{Context: t.Context(), Feed: c, Keys: keymap.Default(), Theme: "dark"})
	if err != nil {
		t.Fatal(err)
	}
	a.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	a.Update(worldMsg{part})
	for range 3 {
		c.changed <- struct{}{}
	}
	if msg, ok := a.await()().(worldMsg); !ok || msg.world != whole {
		t.Errorf("came %T of a World that is not whole", msg)
	}
	// Whether all have answered is looked at no more often than frames are drawn.
	a.cfg.Gate, c.worlds = time.Hour, []*model.World{part, part}
	for range 3 {
		c.changed <- struct{}{}
	}
	if msg, ok := a.await()().(worldMsg); !ok || msg.world != part || len(c.worlds) != 0 {
		t.Errorf("%d Worlds were not asked for, and %T came", len(c.worlds), msg)
	}
	for range 2 {
		<-c.changed
	}
	a.Update(worldMsg{whole})
	c.worlds = []*model.World{part}
	c.changed <- struct{}{}
	if msg, ok := a.await()().(worldMsg); !ok || msg.world != part {
		t.Errorf("a change after that did not come: %T", msg)
	}
}
