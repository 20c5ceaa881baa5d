// Package ui is the cockpit on a terminal: one Bubble Tea program over immutable
// Worlds.
//
// All state changes in Update, which does no I/O and never blocks; Worlds are
// built in commands, off the event loop. A frame is drawn once per change and
// kept: View hands out what is there, as it runs after every message. The
// package starts no goroutine.
package ui

import (
	"context"
	"os/exec"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// Feed gives the newest World.
type Feed interface {
	// Changed receives after something changed since the last receive.
	Changed() <-chan struct{}
	// World assembles the World of now. It may take some milliseconds.
	World() *model.World
}

// Config is how the operator wants the cockpit.
type Config struct {
	Context   context.Context // ends when the program does; stops waiting for the feed
	Feed      Feed
	Keys      *keymap.Map
	Theme     string        // name of a theme; "auto" asks the terminal for its background
	Site      string        // show only this site at first
	Namespace string        // only what is of this one, of what has any
	Write     bool          // changes to the cluster are allowed from the start
	Gate      time.Duration // least time between two frames nobody asked for
	NoQuery   bool          // send no questions to the terminal
	ASCII     bool          // draw with nothing else
	Braille   bool          // draw gauges and trends in Braille dots
	Aside     time.Duration // how much later than the news details and map are drawn anew; 400 ms when 0
	Whole     bool          // no details beside lists at first, no map and less of what was lately: they cost much on the wire
	// Lose says what breaks when sites go dark together. It may take a while.
	Lose func(w *model.World, sites []string) *model.Verdict
	// Actor carries out changes; nil where nothing can be changed.
	Actor Actor
	// Enter is a program that takes the terminal over: "shell" in a pod, or "forward" of
	// its ports. Logs begins to read logs. Nil where there are no containers.
	Enter func(command, namespace, pod string, args ...string) *exec.Cmd
	Logs  func(ask LogAsk) Lines
	// Kept is how the cluster was looked at the last time.
	Kept Kept
	// Greet tells those who look for the first time how to get about.
	Greet bool
	// Mouse has clicks and taps do something; the terminal's own selecting of text then
	// needs Shift.
	Mouse bool
	// Reel is the recording that Feed's Worlds come from; nil where they are live.
	Reel Reel
	// Recording says what ended the recording that is made; nil where none is.
	Recording func() error
	// Looked is told of every key: somebody looks. It may be nil.
	Looked func()
	// YAML gives an object as the API has it now; nil where there is none.
	YAML func(ctx context.Context, o view.Object) ([]string, error)
}

// tick is how often ages on the screen move on by themselves; slowTick with more
// than manyPods, whose World is half of what idling costs.
const (
	tick     = 5 * time.Second
	slowTick = 2 * tick
	manyPods = 5000
)

// hold is how long the first frame waits for the sources to have answered all:
// near an API server they do at once, and one frame costs half of two.
const hold = 250 * time.Millisecond

// loading is how long after the first frame the next comes as long as some source has not
// answered for the first time; further ones take twice that. What a screen that fills up
// piece by piece writes is written over at once.
const loading = 750 * time.Millisecond

// rest is how long the cursor must stay on a row before the details beside the list
// follow it: those of rows that a held key runs past are nobody's, and most of what
// running past them costs on the wire.
const rest = 150 * time.Millisecond

// settle is how long a terminal must keep a size before the screen follows.
const settle = 100 * time.Millisecond

// armAfter is how long a question takes no answer: keys already on their way
// when it opened were not meant for it.
const armAfter = 400 * time.Millisecond

// App is the one tea.Model.
type App struct {
	cfg   Config
	theme *themes.Theme
	named string // the theme's name as chosen: "auto" stays "auto"
	light bool   // the terminal's background, as far as it said
	world *model.World

	width, height int
	stack         []screen // the last one is on top
	before        string   // list shown before the current one
	site          string   // only this site, "" for all
	write         bool
	paused        bool
	held          *model.World // the newest that came while paused
	whole         bool         // lists take the whole width
	filter        *filterInput // nil unless a filter is being typed
	question      *question    // nil unless one is open
	palette       *palette     // nil unless it is open
	typed         *typedLine   // nil unless a name is being typed to agree, or an answer
	job           *running     // the plan carried out from here, or the last one
	awaiting      bool         // for news of it
	key           string       // pressed last
	note          string       // a word in the footer until the next key
	marked        []string     // sites to lose together
	together      *model.Verdict
	later         tea.Cmd // what a screen wants done
	kept          Kept
	newHere       bool // nobody looked before, and no key was pressed yet
	pieces        int  // Worlds that came while sources had yet to answer
	travels       int  // steps of the cursor that have not come to rest
	aside         asides

	frame  string
	resize resizeState
	reel   reelState
}

// screen is what fills the body: a list or a page.
type screen interface {
	scope() keymap.Scope
	crumb() string
	draw(a *App, width, height int) []string
	act(a *App, action keymap.Action) bool
}

// New makes the program's model.
func New(cfg Config) (*App, error) {
	a := &App{cfg: cfg, named: cfg.Theme, site: cfg.Site, write: cfg.Write, whole: cfg.Whole}
	if err := a.dress(); err != nil {
		return nil, err
	}
	a.stack = []screen{newList(view.Lists()[0], nil)}
	a.resume(cfg.Kept)
	if cfg.Reel != nil {
		a.note = a.reelHint()
	}
	return a, nil
}

// worldMsg brings a new World.
type worldMsg struct{ world *model.World }

// gateMsg allows the next World to be awaited.
type gateMsg struct{}

// restMsg ends the time that a step of the cursor counts as travelling.
type restMsg struct{}

// Init starts the feed.
func (a *App) Init() tea.Cmd {
	cmds := []tea.Cmd{a.awaitAll(hold)}
	if a.cfg.Reel != nil {
		cmds[0] = tea.Sequence(a.seek(0), a.awaitAll(hold))
	}
	if !a.cfg.NoQuery {
		// Over SSH Bubble Tea does not ask for synchronized output by itself;
		// a terminal that answers gets frames that cannot tear.
		cmds = append(cmds, tea.Raw(ansi.RequestModeSynchronizedOutput))
		cmds = append(cmds, tea.RequestBackgroundColor)
	}
	return tea.Batch(cmds...)
}

// awaitAll waits until every source has answered, but no longer than that, and builds
// the World. Whether they have is asked a World, so not more often than frames are drawn.
func (a *App) awaitAll(atMost time.Duration) tea.Cmd {
	return func() tea.Msg {
		timer, changed := time.NewTimer(atMost), a.cfg.Feed.Changed()
		defer timer.Stop()
		var again <-chan time.Time
		for {
			select {
			case <-a.cfg.Context.Done():
				return nil
			case <-changed:
				if w := a.cfg.Feed.World(); w.Settled() {
					return worldMsg{w}
				}
				changed, again = nil, time.After(a.cfg.Gate)
			case <-again:
				changed = a.cfg.Feed.Changed()
			case <-timer.C:
				return worldMsg{a.cfg.Feed.World()}
			}
		}
	}
}

// await waits for a change, or for ages to move on, and builds the World.
func (a *App) await() tea.Cmd {
	wait := tick
	switch {
	case a.world != nil && !a.world.Settled():
		a.pieces++
		return a.awaitAll(loading << min(a.pieces-1, 1))
	case a.world != nil && len(a.world.Pods) > manyPods:
		wait = slowTick
	}
	return func() tea.Msg {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-a.cfg.Context.Done():
			return nil
		case <-a.cfg.Feed.Changed():
		case <-timer.C:
		}
		return worldMsg{a.cfg.Feed.World()}
	}
}

// Update routes one message.
func (a *App) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case worldMsg:
		a.receive(msg.world)
		cmd = tea.Tick(a.cfg.Gate, func(time.Time) tea.Msg { return gateMsg{} })
	case lostMsg:
		a.adoptLoss(msg.verdict)
	case checkedMsg, armedMsg, progressMsg, ranMsg, logMsg, linesMsg, yamlMsg, leftMsg:
		cmd = a.adoptAct(msg)
	case gateMsg:
		return a, a.await()
	case restMsg:
		a.travels = max(0, a.travels-1)
	case asideMsg:
		a.aside.waits = false
	case tea.WindowSizeMsg:
		a.width, a.height = msg.Width, msg.Height
	case resizeMsg:
		return a, a.resize.wait(msg)
	case settledMsg:
		return a, a.resize.settled(msg)
	case tea.BackgroundColorMsg:
		a.light = !msg.IsDark()
		_ = a.dress()
	case armMsg:
		a.arm()
	case tea.PasteMsg:
		if a.filter == nil {
			return a, nil // pasted text never runs commands
		}
		cmd = a.typeFilter(msg)
	case soughtMsg, playMsg:
		cmd = a.adoptReel(msg)
	case tea.MouseMsg:
		a.touched()
		cmd = a.point(msg)
	case tea.KeyPressMsg:
		a.touched()
		cmd = a.press(msg)
	default:
		return a, nil
	}
	if a.later != nil {
		cmd, a.later = tea.Batch(cmd, a.later), nil
	}
	a.redraw()
	return a, cmd
}

// receive takes in a new World, or keeps it for later while the screen is held.
func (a *App) receive(w *model.World) {
	if a.world == nil {
		a.newHere = a.cfg.Greet && w.LookedAt.IsZero()
	}
	if a.paused {
		a.held = w
	} else {
		a.news()
		a.adopt(w)
	}
}

// touched notes that somebody is there.
func (a *App) touched() {
	a.newHere, a.aside.waits = false, false
	if a.cfg.Looked != nil {
		a.cfg.Looked()
	}
}

// arm has an open question take answers from now on.
func (a *App) arm() {
	if a.question != nil {
		a.question.armed = true
	}
}

// View hands out the frame.
func (a *App) View() tea.View {
	v := tea.NewView(a.frame)
	v.AltScreen = true
	if a.cfg.Mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	v.WindowTitle = a.windowTitle()
	if a.filter != nil && a.height >= minHeight && a.width >= minWidth {
		v.Cursor = tea.NewCursor(a.filter.cursor(a.width), a.height-1)
	}
	if a.palette != nil && a.height >= minHeight && a.width >= minWidth {
		v.Cursor = tea.NewCursor(a.palette.cursor(a.width), a.height-1)
	}
	if a.typed != nil && a.height >= minHeight && a.width >= minWidth {
		v.Cursor = tea.NewCursor(a.typed.cursor(a.width), a.height-1)
	}
	return v
}

func (a *App) windowTitle() string {
	if a.world == nil || a.world.Status == model.OK {
		return "geotop"
	}
	return "geotop: " + a.world.Status.String()
}

// dress puts the chosen theme on, as it is on this background.
func (a *App) dress() error {
	load := themes.Load
	if a.light {
		load = themes.LoadOnLight
	}
	th, err := load(a.named)
	if err != nil {
		return err
	}
	if a.cfg.Braille && !a.cfg.ASCII {
		th = th.Finely()
	}
	a.theme = th
	return nil
}

// top is the screen on top of the stack.
func (a *App) top() screen { return a.stack[len(a.stack)-1] }

func (a *App) push(s screen) { a.stack = append(a.stack, s) }

// travel notes a step of the cursor, and reports whether it was at rest before: then
// the details follow at once, else when it has come to rest.
func (a *App) travel() (rested bool) {
	rested = a.travels == 0
	if a.splits(a.width) {
		a.travels++
		a.later = tea.Batch(a.later, tea.Tick(rest, func(time.Time) tea.Msg { return restMsg{} }))
	}
	return rested
}

// pop leaves the screen on top.
func (a *App) pop() { a.leave(len(a.stack) - 1) }

// leave keeps the first so many screens; those that hold something let go of it.
func (a *App) leave(keep int) {
	for _, s := range a.stack[keep:] {
		if held, holds := s.(interface{ close() }); holds {
			held.close()
		}
	}
	a.stack = a.stack[:keep]
}
