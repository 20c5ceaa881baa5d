package ui

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
)

// fakeActor notes what it is asked for, and does nothing.
type fakeActor struct {
	did   []string
	check error
	end   error
	log   []actions.Entry
	stop  <-chan struct{}
}

func (f *fakeActor) Check(_ context.Context, p *model.Plan) error {
	if f.check == nil {
		p.Steps[0].Effect = "asked"
	}
	return f.check
}

func (f *fakeActor) Run(_ context.Context, p *model.Plan, stop <-chan struct{}) error {
	f.did, f.stop = append(f.did, "run "+p.Title), stop
	return f.end
}

func (f *fakeActor) Resume(_ context.Context, undo bool, _ <-chan struct{}) error {
	f.did = append(f.did, map[bool]string{true: "undo", false: "finish"}[undo])
	return f.end
}

func (f *fakeActor) Forget(context.Context) error {
	f.did = append(f.did, "forget")
	return nil
}

func (f *fakeActor) Progress(context.Context) *model.Plan { return nil }
func (f *fakeActor) Log(int) ([]actions.Entry, error)     { return f.log, nil }

// acting opens an App that may change what its World shows.
func acting(t *testing.T, w *model.World, actor Actor, write bool) *App {
	t.Helper()
	a, err := New(Config{Context: t.Context(), Feed: fixed{w}, Keys: keymap.Default(), Theme: "dark", Actor: actor, Write: write})
	if err != nil {
		t.Fatal(err)
	}
	a.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	a.Update(worldMsg{w})
	return a
}

// settle plays out commands that do not wait.
func (a *App) settle(cmd tea.Cmd) {
	for _, msg := range all(cmd) {
		switch msg.(type) {
		case checkedMsg, ranMsg, logMsg:
			a.Update(msg)
		}
	}
}

// happen has something come of the plan on top, if there is one.
func (a *App) happen(rng *rand.Rand) {
	s, on := a.top().(*planScreen)
	l, reads := a.top().(*logScreen)
	switch {
	case reads:
		lines := make([]string, rng.IntN(200))
		for i := range lines {
			lines[i] = strings.Repeat("日本 \x1b[2J\tx", rng.IntN(40))
		}
		a.Update(linesMsg{l, l.log, lines, []error{nil, nil, nil, io.EOF}[rng.IntN(4)]})
	case !on:
	case s.asking:
		a.Update(checkedMsg{s, s.plan, []error{nil, errors.New("no \x1b[2J"), &actions.RefusedError{Why: []string{"\x1b]0;no\a", "nor"}}}[rng.IntN(3)]})
	case s.job == nil:
		arm(a)
	case !s.job.ended && rng.IntN(2) == 0:
		p := s.job.plan.Clone()
		step := p.Steps[rng.IntN(len(p.Steps))]
		step.State, step.Note = []model.StepState{model.StepRuns, model.StepDone, model.StepFailed, "\x1b[31m"}[rng.IntN(4)], "far \x1b[2J along"
		a.Update(progressMsg{p})
	case !s.job.ended:
		a.Update(ranMsg{s.job, []error{nil, actions.ErrStopped, errors.New("\x1b[2J")}[rng.IntN(3)]})
	}
}

// arm lets the plan on top be agreed to, as time would.
func arm(a *App) { a.Update(armedMsg{a.top().(*planScreen)}) }

func shows(t *testing.T, a *App, want string) {
	t.Helper()
	if frame := ansi.Strip(a.frame); !strings.Contains(strings.Join(strings.Fields(frame), " "), want) {
		t.Errorf("%q is not on the screen:\n%s", want, frame)
	}
}

var healthy = moment{"healthy", time.Minute}

// Read-only, plans are shown, and nothing is done whatever is pressed.
func TestReadOnlyShowsPlansAndDoesNothing(t *testing.T) {
	f := &fakeActor{}
	for _, keys := range [][]string{{"c"}, {"D"}, {"a", "1"}, {"a", "enter"}, {"2", "c"}, {"2", "D"}} {
		a := acting(t, worldOf(t, healthy), f, false)
		a.settle(press(a, keys...))
		shows(t, a, "asked")
		shows(t, a, "read-only")
		arm(a)
		a.settle(press(a, "y", "curepipe", "enter", "enter", "s", "f", "F"))
		if len(f.did) > 0 {
			t.Fatalf("%v, read-only: %v", keys, f.did)
		}
	}
}

// A whole house takes its name; a machine takes a key that was not pressed before
// the plan was there; Enter agrees to nothing.
func TestPlansAreAgreedTo(t *testing.T) {
	for _, c := range []struct {
		keys []string // before it is armed
		then []string
		did  string
	}{
		{[]string{"c"}, []string{"y", "curepipe", "enter"}, "run cordon curepipe"},
		{[]string{"c"}, []string{"y", "curepip", "enter"}, ""},
		{[]string{"c"}, []string{"y", "enter"}, ""},
		{[]string{"c"}, []string{"y", "curepipe", "esc", "enter"}, ""},
		{[]string{"c"}, []string{"enter", "enter"}, ""},
		{[]string{"2", "c", "y"}, nil, ""},
		{[]string{"2", "c"}, []string{"y"}, "run cordon curepipe-1"},
		{[]string{"2", "c"}, []string{"enter"}, ""},
		{[]string{"2", "D"}, []string{"y"}, "run drain curepipe-1"},
		{[]string{"2", "a", "3"}, []string{"y"}, "run drain curepipe-1"},
		{[]string{"2", "a", "9"}, []string{"esc"}, ""},
	} {
		f := &fakeActor{}
		a := acting(t, worldOf(t, healthy), f, true)
		a.settle(press(a, c.keys...))
		if _, on := a.top().(*planScreen); on {
			arm(a)
		}
		for _, k := range c.then {
			a.settle(press(a, k))
		}
		if got := strings.Join(f.did, " "); got != c.did {
			t.Errorf("%v then %v: did %q, not %q", c.keys, c.then, got, c.did)
		}
		if c.did != "" {
			shows(t, a, "done")
		}
	}
}

func TestPastedTextAgreesToNothing(t *testing.T) {
	f := &fakeActor{}
	a := acting(t, worldOf(t, healthy), f, true)
	a.settle(press(a, "c"))
	arm(a)
	press(a, "y")
	a.Update(tea.PasteMsg{Content: "curepipe\r"})
	a.settle(press(a, "enter"))
	if len(f.did) > 0 {
		t.Errorf("did %v", f.did)
	}
}

// What is not to be had says why: from the World, and from the cluster.
func TestRefusalsSayWhy(t *testing.T) {
	f := &fakeActor{check: &actions.RefusedError{Why: []string{"this account may not patch nodes"}}}
	a := acting(t, worldOf(t, healthy), f, true)
	a.settle(press(a, "u"))
	shows(t, a, "curepipe is not cordoned")
	a.settle(press(a, "esc", "c"))
	shows(t, a, "may not patch nodes")
	arm(a)
	a.settle(press(a, "y", "curepipe", "enter"))
	if len(f.did) > 0 {
		t.Errorf("did %v", f.did)
	}
	shows(t, a, "nothing was done")
	a = acting(t, worldOf(t, dark), f, true)
	press(a, "a")
	shows(t, a, "its kubelet cannot end pods")
}

// While a plan runs it is in the header, can be stopped, and leaving is asked about.
func TestPlanUnderWay(t *testing.T) {
	f := &fakeActor{}
	a := acting(t, worldOf(t, healthy), f, true)
	a.settle(press(a, "c"))
	arm(a)
	press(a, "y")
	press(a, "curepipe")
	cmd := press(a, "enter") // not played out: it goes on
	if a.job == nil || cmd == nil {
		t.Fatal("nothing was begun")
	}
	p := a.job.plan.Clone()
	p.Steps[0].State, p.Steps[1].State, p.Steps[1].Note = model.StepDone, model.StepRuns, "2 pods left"
	a.Update(progressMsg{p})
	shows(t, a, "› cordon 1/3")
	shows(t, a, "2 pods left")
	a.settle(press(a, "1", "2", "c"))
	arm(a)
	press(a, "y")
	shows(t, a, "one plan at a time")
	press(a, "1")
	if cmd := press(a, "q"); quits(cmd) {
		t.Error("q left a plan under way without a word")
	}
	shows(t, a, "Leave?")
	a.question.armed = true
	press(a, "n")
	press(a, "0", "s")
	select {
	case <-a.job.stop:
	default:
		t.Error("s does not stop it")
	}
	press(a, "s") // once more does no harm
	a.Update(ranMsg{a.job, actions.ErrStopped})
	shows(t, a, "may be finished or undone")
	press(a, "1")
	if cmd := press(a, "q"); !quits(cmd) {
		t.Error("q does not leave once it is over")
	}
}

// A plan that was left is shown, and gone on with after a question.
func TestPlanThatWasLeft(t *testing.T) {
	w := *worldOf(t, healthy)
	p, err := actions.Cordon(&w, "moka")
	if err != nil {
		t.Fatal(err)
	}
	p.Steps[0].State, p.Steps[1].State, p.Steps[1].Note = model.StepDone, model.StepFailed, "it \x1b[2Jbroke"
	w.Plans = []*model.PlanRun{{Plan: *p, By: "pi@moka", Began: w.At.Add(-time.Hour)}}
	for key, want := range map[string]string{"f": "finish", "u": "undo", "F": "forget"} {
		f := &fakeActor{}
		a := acting(t, &w, f, true)
		press(a, "0")
		shows(t, a, "left after 1 of 3 steps: cordon moka-2: it [2Jbroke; begun by pi@moka 60m ago")
		press(a, key)
		a.question.armed = true
		press(a, "n")
		if len(f.did) > 0 {
			t.Fatalf("%s, and no: %v", key, f.did)
		}
		press(a, key)
		a.question.armed = true
		a.settle(press(a, "y"))
		if got := strings.Join(f.did, " "); got != want {
			t.Errorf("%s: did %q", key, got)
		}
		shows(t, a, "done")
	}
	// It takes half a minute to be sure that nobody carries it out any more.
	slow := acting(t, &w, &fakeActor{}, true)
	press(slow, "0", "f")
	slow.question.armed = true
	press(slow, "y")
	slow.Update(progressMsg{&model.Plan{Title: "the plan that was left", Warnings: []string{"making sure that pi@moka is gone (30s)"}}})
	shows(t, slow, "making sure that pi@moka is gone (30s) …")
	shows(t, slow, "› taking over")
	f := &fakeActor{}
	a := acting(t, &w, f, false)
	a.settle(press(a, "0", "f", "y"))
	if len(f.did) > 0 || a.question != nil {
		t.Errorf("read-only: %v", f.did)
	}
	held := w
	run := *w.Plans[0]
	run.Holder, run.Renewed, run.Lasts = "pi@moka 1", w.At, 30
	held.Plans = []*model.PlanRun{&run}
	a = acting(t, &held, f, true)
	press(a, "0", "f")
	if a.question != nil {
		t.Error("a plan that somebody carries out may be finished by others")
	}
	shows(t, a, "under way after 1 of 3 steps")
}

func TestLog(t *testing.T) {
	f := &fakeActor{log: []actions.Entry{
		{At: time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC), Action: "drain", Target: "site/moka", Result: "failed", Steps: 6, Done: 2, Error: "no \x1b[31mpod left"},
		{At: time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC), Action: "cordon", Target: "node/moka-1", Result: "done", How: "run", Steps: 1, Done: 1},
	}}
	a := acting(t, worldOf(t, healthy), f, false)
	a.settle(press(a, "0"))
	a.settle(press(a, "0"))
	shows(t, a, "done cordon node/moka-1")
	shows(t, a, "drain site/moka 2/6 no [31mpod left")
	if len(a.stack) != 2 {
		t.Errorf("%d screens", len(a.stack))
	}
	if err := escapes(a.frame); err != nil {
		t.Error(err)
	}
}

// Errors that no plan foresaw are words, too.
func TestPlanThatFails(t *testing.T) {
	f := &fakeActor{end: errors.New("drain moka-1: no pod left for 15m")}
	a := acting(t, worldOf(t, healthy), f, true)
	a.settle(press(a, "2", "c"))
	arm(a)
	a.settle(press(a, "y"))
	shows(t, a, "no pod left for 15m")
	if !slices.Equal(f.did, []string{"run cordon curepipe-1"}) {
		t.Errorf("did %v", f.did)
	}
}
