package ui

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// press handles a key: the open question first, then the filter being typed,
// then the screen, then what works everywhere.
func (a *App) press(msg tea.KeyPressMsg) tea.Cmd {
	a.note = ""
	key := msg.String()
	a.key = key
	switch {
	case key == "ctrl+c":
		return tea.Quit
	case a.typed != nil:
		return a.typeLine(msg)
	case a.palette != nil:
		return a.typePalette(msg)
	case a.question != nil:
		action, _ := a.cfg.Keys.Lookup(key, keymap.Question)
		return a.answer(action)
	case a.filter != nil:
		if action, ok := a.cfg.Keys.Lookup(key, keymap.Filtered); ok {
			a.endFilter(action)
			return nil
		}
		return a.typeFilter(msg)
	}
	action, ok := a.cfg.Keys.Lookup(key, a.top().scope(), keymap.Global)
	if !ok {
		return nil
	}
	if a.top().act(a, action) {
		return nil
	}
	return a.act(action)
}

// act carries out what works everywhere.
func (a *App) act(action keymap.Action) tea.Cmd {
	switch action {
	case keymap.Quit:
		return tea.Quit
	case keymap.Back:
		return a.back()
	case keymap.Help:
		a.push(newHelp(a))
	case keymap.Sites, keymap.Nodes, keymap.Tailnet, keymap.Volumes, keymap.Backups, keymap.Workloads, keymap.Pods, keymap.Timeline:
		a.show(paneName(action))
	case keymap.WhatIf:
		a.showWhatIf()
	case keymap.Plans:
		a.showPlans()
	case keymap.Find:
		a.openPalette()
	case keymap.NextPane:
		a.nextPane()
	case keymap.Previous:
		if a.before != "" {
			a.show(a.before)
		}
	case keymap.NextSite, keymap.PrevSite:
		a.turnSite(action == keymap.NextSite)
	case keymap.Theme:
		a.nextTheme()
	case keymap.Write:
		return a.askWrite()
	case keymap.Redraw:
		return tea.ClearScreen
	case keymap.Pause:
		if a.cfg.Reel != nil {
			return a.play()
		}
		a.pause()
	case keymap.StepBack:
		return a.step(-1)
	case keymap.StepOn:
		return a.step(1)
	case keymap.Zoom:
		a.whole = !a.whole
		whole := a.whole
		a.kept.Whole = &whole
	}
	return nil
}

// pause holds the world as it is, or goes on with the one of now.
func (a *App) pause() {
	a.paused = !a.paused && a.world != nil
	if held := a.held; !a.paused && held != nil {
		a.held = nil
		a.adopt(held)
	}
}

// splits reports whether there are details beside a list on a screen so wide.
func (a *App) splits(width int) bool { return width >= splitWidth && !a.whole }

// paneOf lists the panes and the key that opens each.
var paneOf = []struct {
	action keymap.Action
	list   string
}{
	{keymap.Sites, "sites"}, {keymap.Nodes, "nodes"}, {keymap.Tailnet, "tailnet"}, {keymap.Volumes, "volumes"}, {keymap.Backups, "backups"}, {keymap.Workloads, "workloads"}, {keymap.Pods, "pods"}, {keymap.Timeline, "timeline"}, {keymap.WhatIf, "whatif"},
}

func paneName(action keymap.Action) string {
	for _, p := range paneOf {
		if p.action == action {
			return p.list
		}
	}
	return ""
}

// show makes the named pane the bottom of the stack.
func (a *App) show(name string) {
	for _, l := range view.Lists() {
		if l.Info().Name == name {
			if now := a.pane(); now != name {
				a.before = now
			}
			a.leave(0)
			a.push(newList(l, nil))
			return
		}
	}
}

// showWhatIf opens that pane at the site of the row under the cursor.
func (a *App) showWhatIf() {
	site := ""
	if l, ok := a.top().(*listScreen); ok && a.world != nil {
		if l.refresh(a); l.rows.Len() > 0 {
			site = l.rows.Site(l.at)
		}
	}
	a.show(view.WhatIf().Info().Name)
	a.top().(*listScreen).key = site
}

// pane is the name of the list at the bottom of the stack.
func (a *App) pane() string { return a.stack[0].(*listScreen).list.Info().Name }

func (a *App) nextPane() {
	lists := view.Lists()
	i := slices.IndexFunc(lists, func(l view.List) bool { return l.Info().Name == a.pane() })
	a.show(lists[(i+1)%len(lists)].Info().Name)
}

// back leaves the screen on top; at the home pane's bottom it quits.
func (a *App) back() tea.Cmd {
	home := view.Lists()[0].Info().Name
	switch {
	case len(a.stack) > 1:
		a.pop()
	case a.pane() != home:
		a.show(home)
	case a.busy():
		return a.ask(&question{
			title: "Leave?",
			text:  a.job.plan.Title + " is under way. It stops where it is, stays written down in the cluster, and any geotop can finish or undo it.",
			yes:   func(a *App) { a.later = tea.Quit },
		})
	default:
		return tea.Quit
	}
	return nil
}

// turnSite goes through the sites and "all".
func (a *App) turnSite(forward bool) {
	if a.world == nil {
		return
	}
	names := []string{""}
	for _, s := range a.world.Sites {
		names = append(names, s.Name)
	}
	i := max(0, slices.Index(names, a.site))
	step := 1
	if !forward {
		step = len(names) - 1
	}
	a.site = names[(i+step)%len(names)]
}

func (a *App) nextTheme() {
	names := themes.Names()[1:]
	i := slices.Index(names, a.theme.Name)
	a.setTheme(names[(i+1)%len(names)])
	a.kept.Theme = a.named
}

func (a *App) setTheme(name string) {
	before := a.named
	a.named = name
	if a.dress() != nil { // a name from a file of another time
		a.named = before
		return
	}
	a.note = "theme " + name
}

// question asks before something that should not happen by a slip.
type question struct {
	title, text string
	armed       bool
	yes         func(*App)
}

type armMsg struct{}

func (a *App) ask(q *question) tea.Cmd {
	a.question = q
	return tea.Tick(armAfter, func(time.Time) tea.Msg { return armMsg{} })
}

// answer closes the question. Only an armed one can be agreed to; every other
// known key means no.
func (a *App) answer(action keymap.Action) tea.Cmd {
	q := a.question
	switch {
	case !q.armed || action == "":
	case action == keymap.Accept:
		a.question = nil
		q.yes(a)
	default:
		a.question = nil
	}
	return nil
}

func (a *App) askWrite() tea.Cmd {
	if a.write {
		a.write = false
		a.note = "read-only again"
		return nil
	}
	return a.ask(&question{
		title: "Allow changes?",
		text:  "geotop may then change the cluster until it ends. Every change still shows its plan and asks first.",
		yes:   func(a *App) { a.write = true },
	})
}
