package ui

import (
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// planScreen is one plan: before it is agreed to, while it is carried out, and what
// came of it.
type planScreen struct {
	title   string
	plan    *model.Plan
	asking  bool // the cluster is being asked
	armed   bool // keys that were on their way when it opened are past
	refused []string
	job     *running // once it is carried out from here
	left    bool     // it is the one that was found in the cluster
	scroll
}

// running is a plan that this geotop carries out.
type running struct {
	plan    *model.Plan
	stop    chan struct{}
	ended   bool
	stopped bool
	err     error
}

// checkedMsg brings the cluster's answer about a plan.
type checkedMsg struct {
	screen *planScreen
	plan   *model.Plan
	err    error
}

// armedMsg lets a plan be agreed to.
type armedMsg struct{ screen *planScreen }

// progressMsg brings how far the plan is that is carried out.
type progressMsg struct{ plan *model.Plan }

// ranMsg says that the plan is over.
type ranMsg struct {
	job *running
	err error
}

func (s *planScreen) scope() keymap.Scope { return keymap.Plan }
func (s *planScreen) crumb() string       { return model.Clean(s.title, 60) }

// adoptCheck shows what the cluster said of a plan.
func (a *App) adoptCheck(msg checkedMsg) tea.Cmd {
	s := msg.screen
	s.asking = false
	if msg.err != nil {
		s.refused = actions.Why(msg.err)
		return nil
	}
	s.plan = msg.plan
	return tea.Tick(armAfter, func(time.Time) tea.Msg { return armedMsg{s} })
}

// adoptProgress shows how far the plan is, and waits for more.
func (a *App) adoptProgress(p *model.Plan) tea.Cmd {
	a.awaiting = false
	if a.job == nil || p == nil {
		return nil
	}
	a.job.plan = p
	if a.job.ended {
		return nil
	}
	return a.awaitProgress()
}

// awaitProgress waits for news of the plan under way, once at a time.
func (a *App) awaitProgress() tea.Cmd {
	if a.awaiting {
		return nil
	}
	a.awaiting = true
	ctx, actor := a.cfg.Context, a.cfg.Actor
	return func() tea.Msg { return progressMsg{actor.Progress(ctx)} }
}

func (a *App) adoptEnd(msg ranMsg) {
	msg.job.ended, msg.job.err = true, msg.err
	a.note = planEnd(msg.job)
}

// planEnd says in a line what came of it.
func planEnd(j *running) string {
	switch {
	case j.err == nil:
		return j.plan.Title + ": done"
	case errors.Is(j.err, actions.ErrStopped):
		return j.plan.Title + ": stopped; it may be finished or undone"
	default:
		return model.Clean(j.plan.Title+": "+j.err.Error(), 0)
	}
}

// busy reports whether a plan is carried out from here.
func (a *App) busy() bool { return a.job != nil && !a.job.ended }

// begin carries something out, off the event loop.
func (a *App) begin(s *planScreen, do func(stop <-chan struct{}) error) {
	job := &running{plan: s.plan.Clone(), stop: make(chan struct{})}
	s.job, a.job = job, job
	a.later = tea.Batch(func() tea.Msg { return ranMsg{job, do(job.stop)} }, a.awaitProgress())
}

func (s *planScreen) act(a *App, action keymap.Action) bool {
	if s.turn(a, action) {
		return true
	}
	switch action {
	case keymap.Agree:
		s.agree(a)
	case keymap.Stop:
		if j := s.job; j != nil && !j.ended && !j.stopped {
			j.stopped = true
			close(j.stop)
		}
	case keymap.Finish, keymap.Undo, keymap.Forget:
		s.resume(a, action)
	default:
		return false
	}
	return true
}

// may says in the footer why nothing may be carried out now.
func (a *App) may() bool {
	switch {
	case !a.write:
		a.note = readOnly(a)
	case a.busy():
		a.note = a.job.plan.Title + " is under way; one plan at a time"
	default:
		return true
	}
	return false
}

// offers reports whether a key of plans is of use now.
func (s *planScreen) offers(a *App, action keymap.Action) bool {
	switch action {
	case keymap.Agree:
		return s.plan != nil && !s.asking && len(s.refused) == 0 && s.job == nil && !s.left && a.write
	case keymap.Stop:
		return s.job != nil && !s.job.ended && !s.job.stopped
	case keymap.Finish, keymap.Undo, keymap.Forget:
		if s.job != nil {
			return s.job.ended && s.job.err != nil && a.write
		}
		return s.left && len(a.world.Plans) > 0 && !a.world.Plans[0].Held(a.world.At) && a.write
	default:
		return true
	}
}

func (s *planScreen) agree(a *App) {
	switch {
	case s.plan == nil || s.asking || len(s.refused) > 0 || s.job != nil || s.left || !s.armed:
	case !a.may():
	case s.plan.Wide():
		a.typed = newTyped("type "+model.Clean(s.plan.Confirm, 60), "", s.confirmed)
	default:
		s.run(a)
	}
}

func (s *planScreen) run(a *App) {
	ctx, actor, p := a.cfg.Context, a.cfg.Actor, s.plan
	a.begin(s, func(stop <-chan struct{}) error { return actor.Run(ctx, p, stop) })
}

// resume goes on with a plan that was left, after a question: it is somebody else's,
// perhaps.
func (s *planScreen) resume(a *App, action keymap.Action) {
	if !s.offers(a, action) {
		if s.left || s.job != nil && s.job.ended && s.job.err != nil {
			a.may()
		}
		return
	}
	if !a.may() {
		return
	}
	ctx, actor := a.cfg.Context, a.cfg.Actor
	q := map[keymap.Action]*question{
		keymap.Finish: {title: "Finish it?", text: "The steps that are left are carried out.", yes: func(a *App) {
			a.begin(s, func(stop <-chan struct{}) error { return actor.Resume(ctx, false, stop) })
		}},
		keymap.Undo: {title: "Undo it?", text: "What was done is taken back, the last step first, as far as it can be.", yes: func(a *App) {
			a.begin(s, func(stop <-chan struct{}) error { return actor.Resume(ctx, true, stop) })
		}},
		keymap.Forget: {title: "Forget it?", text: "The cluster stays as it is now, and nobody is told of the plan any more.", yes: func(a *App) {
			a.begin(s, func(<-chan struct{}) error { return actor.Forget(ctx) })
		}},
	}[action]
	a.later = a.ask(q)
}

// showPlans opens the plan under way or left; from there, or without one, the log.
func (a *App) showPlans() {
	if a.cfg.Actor == nil {
		a.note = "nothing is done from here"
		return
	}
	if s, on := a.top().(*planScreen); !on || s == nil {
		switch {
		case a.job != nil && (!a.job.ended || a.job.err != nil && len(a.world.Plans) > 0):
			a.push(&planScreen{title: a.job.plan.Title, plan: a.job.plan, job: a.job})
			return
		case a.world != nil && len(a.world.Plans) > 0:
			a.push(&planScreen{title: a.world.Plans[0].Plan.Title, plan: &a.world.Plans[0].Plan, left: true})
			return
		}
	}
	if a.top().crumb() == logName {
		return
	}
	actor := a.cfg.Actor
	a.later = func() tea.Msg {
		entries, err := actor.Log(200)
		return logMsg{entries, err}
	}
}

const logName = "Log"

// logMsg brings the audit log.
type logMsg struct {
	entries []actions.Entry
	err     error
}

func (a *App) adoptLog(msg logMsg) {
	lines := []view.Line{}
	if msg.err != nil {
		lines = append(lines, view.Line{{Text: "the log cannot be read: " + msg.err.Error(), Token: themes.Warning}})
	}
	for i := len(msg.entries) - 1; i >= 0; i-- {
		lines = append(lines, logLine(msg.entries[i]))
	}
	if len(lines) == 0 {
		lines = append(lines, view.Line{{Text: "nothing was done from here yet", Token: themes.Dim}})
	}
	a.push(&pageScreen{name: logName, lines: func(*model.World) []view.Line { return lines }})
}

func logLine(e actions.Entry) view.Line {
	token := themes.Text
	switch e.Result {
	case "done":
		token = themes.OK
	case "failed", "refused":
		token = themes.Critical
	case "stopped":
		token = themes.Warning
	}
	words := fmt.Sprintf("%s %s", e.Action, e.Target)
	if e.How != "run" {
		words = e.How + " " + words
	}
	if e.Steps > 1 {
		words += fmt.Sprintf("  %d/%d", e.Done, e.Steps)
	}
	if e.Error != "" {
		words += "  " + e.Error
	}
	return view.Line{{Text: e.At.Local().Format("01-02 15:04") + " ", Token: themes.Dim}, {Text: text.Pad(e.Result, 8), Token: token}, {Text: words}}
}

// stepMarks are the shapes of a step's state.
var stepMarks = map[model.StepState]view.Cell{
	model.StepWaits: {Text: "○", Token: themes.Dim}, model.StepRuns: {Text: "›", Token: themes.Accent}, model.StepDone: {Text: "●", Token: themes.OK},
	model.StepFailed: {Text: "X", Token: themes.Critical}, model.StepUndone: {Text: "-", Token: themes.Dim}, model.StepSkipped: {Text: "-", Token: themes.Dim},
}

// shown is the plan as it is now.
func (s *planScreen) shown(a *App) *model.Plan {
	switch {
	case s.job != nil:
		return s.job.plan
	case s.left && len(a.world.Plans) > 0:
		return &a.world.Plans[0].Plan
	default:
		return s.plan
	}
}

func (s *planScreen) draw(a *App, width, height int) []string {
	foot, now := []string{}, 0
	for _, l := range s.state(a) {
		foot = append(foot, wrapLine(a.theme, l, width)...)
	}
	lines := []string{}
	for _, l := range s.lines(a, width) {
		if len(l) > 0 && l[0].Text == stepMarks[model.StepRuns].Text {
			now = len(lines)
		}
		lines = append(lines, wrapLine(a.theme, l, width)...)
	}
	room := max(1, height-len(foot)-1)
	s.count = len(lines)
	if s.job != nil && !s.job.ended && !s.moved { // what is under way stays in sight
		s.first = now - room/2
	}
	s.first = max(0, min(s.first, s.count-room))
	if below := s.count - s.first - room; below > 0 {
		lines = lines[s.first : s.first+room]
		lines[room-1] = a.theme.Paint(themes.Dim, text.Cut(fmt.Sprintf("%s shows %d more lines", a.cfg.Keys.Key(keymap.Plan, keymap.Down), below+1), width))
	} else {
		lines = lines[s.first:]
	}
	for len(lines) < room && s.count > room {
		lines = append(lines, "")
	}
	return append(append(lines, ""), foot...)
}

func (s *planScreen) lines(a *App, width int) []view.Line {
	lines := []view.Line{}
	for _, why := range s.refused {
		lines = append(lines, view.Line{view.Mark(model.Critical), {Text: " "}, {Text: why}})
	}
	p := s.shown(a)
	if p == nil {
		return lines
	}
	if s.job == nil {
		for _, g := range p.Guards {
			lines = append(lines, view.Line{view.Mark(model.Critical), {Text: " "}, {Text: g}})
		}
		for _, w := range p.Warnings {
			lines = append(lines, view.Line{view.Mark(model.Warning), {Text: " "}, {Text: w}})
		}
		if len(lines) > 0 {
			lines = append(lines, nil)
		}
	}
	for _, step := range p.Steps {
		mark, known := stepMarks[step.State]
		if !known {
			mark = view.Mark(model.Unknown)
		}
		words := []string{}
		for _, of := range []string{step.Effect, step.Note} {
			ahead := of == step.Effect && step.Note != "" && step.State.Over() // what it came to says more
			if of != "" && !ahead {
				words = append(words, of)
			}
		}
		line := view.Line{mark, {Text: " "}, {Text: step.Text, Token: themes.Strong}}
		more := view.Cell{Text: strings.Join(words, "; ")}
		switch {
		case more.Text == "":
			lines = append(lines, line)
		case text.Width(line.Text())+2+text.Width(more.Text) <= width:
			more.Text = ": " + more.Text
			lines = append(lines, append(line, more))
		default:
			lines = append(lines, line, view.Line{{Text: "    "}, more})
		}
	}
	return lines
}

// state is the last lines: what it waits for, or what came of it.
func (s *planScreen) state(a *App) []view.Line {
	keys := a.cfg.Keys
	key := func(action keymap.Action) string { return keys.Key(keymap.Plan, action) }
	line := func(token themes.Token, format string, args ...any) view.Line {
		return view.Line{{Text: fmt.Sprintf(format, args...), Token: token}}
	}
	say := func(token themes.Token, format string, args ...any) []view.Line {
		return []view.Line{line(token, format, args...)}
	}
	goOn := line(themes.Accent, "%s finishes it, %s undoes it, %s forgets it", key(keymap.Finish), key(keymap.Undo), key(keymap.Forget))
	if !a.write {
		goOn = line(themes.Dim, "%s", readOnly(a))
	}
	switch p := s.shown(a); {
	case len(s.refused) > 0:
		return say(themes.Dim, "nothing was done")
	case s.asking:
		return say(themes.Dim, "asking the cluster what it would come to …")
	case s.job != nil && s.job.ended && s.job.err == nil:
		return say(themes.OK, "● done")
	case s.job != nil && s.job.ended:
		return []view.Line{line(themes.Warning, "%s", planEnd(s.job)), goOn}
	case s.job != nil && s.job.stopped:
		return say(themes.Warning, "stopping after what is under way …")
	case s.job != nil:
		if len(p.Steps) == 0 { // what was left is being taken over, which takes a while
			return say(themes.Accent, "%s …", strings.Join(p.Warnings, "; "))
		}
		return say(themes.Accent, "%d of %d steps; %s stops it", p.Done(), len(p.Steps), key(keymap.Stop))
	case s.left && len(a.world.Plans) == 0:
		return say(themes.Dim, "it is over")
	case s.left:
		r := a.world.Plans[0]
		head := line(themes.Warning, "%s; begun by %s %s ago", r.State(a.world.At), r.By, model.Ago(a.world.At.Sub(r.Began)))
		if r.Held(a.world.At) {
			return []view.Line{head}
		}
		return []view.Line{head, goOn}
	case !a.write:
		return say(themes.Dim, "%s", readOnly(a))
	case p.Wide():
		return say(themes.Accent, "%s and the name %s have it done", key(keymap.Agree), p.Confirm)
	default:
		return say(themes.Accent, "%s has it done", key(keymap.Agree))
	}
}

// confirmed has the plan done if its name was typed; only the right one agrees.
func (s *planScreen) confirmed(a *App, name string) {
	if name != s.plan.Confirm {
		a.note = "nothing was done: that is not " + model.Clean(s.plan.Confirm, 60)
	} else if a.may() {
		s.run(a)
	}
}

// typedLine is the line in which something is typed that was asked for.
type typedLine struct {
	*filterInput
	done func(a *App, value string)
}

func newTyped(prompt, value string, done func(*App, string)) *typedLine {
	f := newFilterInput(value)
	f.input.Prompt = prompt + ": "
	return &typedLine{f, done}
}

// typeLine edits the line, or ends it.
func (a *App) typeLine(msg tea.KeyPressMsg) tea.Cmd {
	t := a.typed
	switch action, _ := a.cfg.Keys.Lookup(msg.String(), keymap.Typed); action {
	case keymap.Clear:
		a.typed = nil
	case keymap.Done:
		a.typed = nil
		t.done(a, strings.TrimSpace(t.input.Value()))
	default:
		var cmd tea.Cmd
		t.input, cmd = t.input.Update(msg)
		return cmd
	}
	return nil
}
