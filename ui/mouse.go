package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/text"
)

// wheel is how many rows a notch of the wheel goes.
const wheel = 3

// point is whatever a mouse does.
func (a *App) point(msg tea.MouseMsg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.MouseClickMsg:
		return a.tap(msg.Mouse())
	case tea.MouseWheelMsg:
		a.roll(msg.Mouse())
	}
	return nil
}

// tap is a click or a tap on the screen: on a pane's name, a key in the footer, or a
// row; a second one on a row opens it. It agrees to nothing: where something is asked,
// typed or planned, it does nothing at all.
func (a *App) tap(m tea.Mouse) tea.Cmd {
	if m.Button != tea.MouseLeft || !a.tappable() {
		return nil
	}
	a.note = ""
	switch m.Y {
	case 1:
		return a.tapTab(m.X)
	case a.height - 1:
		return a.tapKey(m.X)
	default:
		a.tapRow(m.X, m.Y)
		return nil
	}
}

// tappable reports whether what is on the screen is there to be looked at only.
func (a *App) tappable() bool {
	if a.world == nil || a.width < minWidth || a.height < minHeight || a.typed != nil || a.palette != nil || a.question != nil || a.filter != nil {
		return false
	}
	switch a.top().scope() {
	case keymap.List, keymap.Page, keymap.Log:
		return true
	default:
		return false
	}
}

// line gives a line of the frame as it is read.
func (a *App) line(y int) string {
	lines := strings.Split(a.frame, "\n")
	if y >= len(lines) {
		return ""
	}
	return ansi.Strip(lines[y])
}

// under reports whether the words are in the line, and the cell x is on them.
func under(line, words string, x int) bool {
	i := strings.Index(line, words)
	if i < 0 {
		return false
	}
	from := text.Width(line[:i])
	return x >= from && x < from+text.Width(words)
}

func (a *App) tapTab(x int) tea.Cmd {
	line := a.line(1)
	for _, p := range paneOf {
		for _, short := range []bool{false, true} {
			if under(line, a.cfg.Keys.Key(keymap.Global, p.action)+" "+listTitle(p.list, short), x) {
				return a.act(p.action)
			}
		}
	}
	return nil
}

func (a *App) tapKey(x int) tea.Cmd {
	line := a.line(a.height - 1)
	for _, scope := range []keymap.Scope{a.top().scope(), keymap.Global} {
		for _, b := range a.cfg.Keys.In(scope) {
			short := b.Short
			if b.Action == keymap.Back && strings.Contains(line, a.keyName(b.Keys[0])+" back") {
				short = "back"
			}
			if short == "" || !under(line, a.keyName(b.Keys[0])+" "+short, x) {
				continue
			}
			if a.top().act(a, b.Action) {
				return nil
			}
			return a.act(b.Action)
		}
	}
	return nil
}

// tapRow puts the cursor on the row, or opens it when it is there.
func (a *App) tapRow(x, y int) {
	s, is := a.top().(*listScreen)
	if !is || s.head == "" || s.rows == nil || a.splits(a.width) && x >= a.width-sideWidth(a.width)-3 {
		return
	}
	head := -1
	for i, line := range strings.Split(a.frame, "\n") {
		if strings.HasPrefix(ansi.Strip(line), s.head) {
			head = i
			break
		}
	}
	row := (y - head - 1) / s.rowHeight
	if head < 0 || y <= head || row >= s.drawn {
		return
	}
	if at := s.first + row; at == s.at {
		s.open(a)
	} else if at < s.rows.Len() {
		s.jump(at)
	}
}

// roll goes up or down.
func (a *App) roll(m tea.Mouse) {
	if !a.tappable() {
		return
	}
	action := keymap.Down
	switch m.Button {
	case tea.MouseWheelUp:
		action = keymap.Up
	case tea.MouseWheelDown:
	default:
		return
	}
	for range wheel {
		a.top().act(a, action)
	}
}
