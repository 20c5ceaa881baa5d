package ui

import (
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"github.com/charmbracelet/x/ansi"

	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
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

// line is what is typed, with its end in sight.
func (f *filterInput) line(width int) string {
	prompt, value := f.input.Prompt, model.Clean(f.input.Value(), 0)
	room := width - text.Width(prompt) - 1 // for the cursor
	if room < 4 || text.Width(value) <= room {
		return text.Cut(prompt+value, width)
	}
	return prompt + "…" + ansi.TruncateLeft(value, text.Width(value)-room+1, "")
}

// startFilter opens the input over the footer.
func (a *App) startFilter(now string) { a.filter = newFilterInput(now) }

// typeFilter edits the filter; the screen follows every key.
func (a *App) typeFilter(msg tea.Msg) tea.Cmd {
	var cmd tea.Cmd
	a.filter.input, cmd = a.filter.input.Update(msg)
	if s, ok := a.top().(interface{ setFilter(text string) }); ok {
		s.setFilter(a.filter.input.Value())
	}
	return cmd
}

// endFilter closes the input, with its text kept or cleared.
func (a *App) endFilter(action keymap.Action) {
	if s, ok := a.top().(interface{ setFilter(text string) }); ok && action == keymap.Clear {
		s.setFilter("")
	}
	a.filter = nil
}
