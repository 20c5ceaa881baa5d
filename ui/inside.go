package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// leftMsg says that a shell has ended and the screen is ours again.
type leftMsg struct {
	pod string
	err error
}

func (m leftMsg) words() string {
	if m.err != nil {
		return model.Clean("the shell in "+m.pod+" ended: "+m.err.Error(), 0)
	}
	return "back from " + model.Clean(m.pod, 80)
}

// linesMsg brings the last lines of a log.
type linesMsg struct {
	pod   string
	lines []string
	err   error
}

// enter opens a shell in the row's pod, or its log. A shell changes things: read-only,
// there is none.
func (s *listScreen) enter(a *App, action keymap.Action) {
	if s.rows.Len() == 0 || s.rows.Object(s.at).Kind != "Pod" {
		a.note = "that is for pods"
		return
	}
	o := s.rows.Object(s.at)
	switch {
	case action == keymap.Logs && a.cfg.Logs != nil:
		ctx, logs := a.cfg.Context, a.cfg.Logs
		a.note = "reading the log of " + model.Clean(o.Name, 80) + " …"
		a.later = func() tea.Msg {
			lines, err := logs(ctx, o.Namespace, o.Name)
			return linesMsg{o.Name, lines, err}
		}
	case action == keymap.Shell && a.cfg.Shell != nil && a.write:
		a.later = tea.ExecProcess(a.cfg.Shell(o.Namespace, o.Name), func(err error) tea.Msg { return leftMsg{o.Name, err} })
	case action == keymap.Shell && !a.write:
		a.note = "read-only: no shell; " + a.cfg.Keys.Key(keymap.Global, keymap.Write) + " allows changes"
	default:
		a.note = "there are no containers to go into here"
	}
}

// adoptLines shows a log, its end first.
func (a *App) adoptLines(msg linesMsg) {
	a.note = ""
	lines := []view.Line{}
	for _, l := range msg.lines {
		lines = append(lines, view.Line{{Text: strings.TrimRight(l, "\r\n")}})
	}
	switch {
	case msg.err != nil:
		lines = append(lines, view.Line{{Text: model.Clean(msg.err.Error(), 0), Token: themes.Warning}})
	case len(lines) == 0:
		lines = append(lines, view.Line{{Text: "it said nothing yet", Token: themes.Dim}})
	}
	a.push(&pageScreen{name: msg.pod + " › log", first: 1 << 30, lines: func(*model.World) []view.Line { return lines }})
}
