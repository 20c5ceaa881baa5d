package ui

import (
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"github.com/geotop/geotop/keymap"
)

// filterInput is the line in which a filter is typed.
type filterInput struct{ input textinput.Model }

const filterPrompt = "/"

func newFilterInput(value string) *filterInput {
	in := textinput.New()
	in.Prompt = filterPrompt
	in.SetVirtualCursor(false)
	in.CharLimit = 200
	in.SetValue(value)
	in.CursorEnd()
	in.Focus()
	return &filterInput{in}
}

// cursor is the column the terminal's cursor belongs in.
func (f *filterInput) cursor(width int) int {
	if c := f.input.Cursor(); c != nil {
		return min(c.X, width-1)
	}
	return 0
}

// startFilter opens the input over the footer.
func (a *App) startFilter(now string) { a.filter = newFilterInput(now) }

// typeFilter edits the filter; the list follows every key.
func (a *App) typeFilter(msg tea.Msg) tea.Cmd {
	var cmd tea.Cmd
	a.filter.input, cmd = a.filter.input.Update(msg)
	if l, ok := a.top().(*listScreen); ok {
		l.setFilter(a.filter.input.Value())
	}
	return cmd
}

// endFilter closes the input, with its text kept or cleared.
func (a *App) endFilter(action keymap.Action) {
	if l, ok := a.top().(*listScreen); ok && action == keymap.Clear {
		l.setFilter("")
	}
	a.filter = nil
}
