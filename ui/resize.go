package ui

import (
	"time"

	tea "charm.land/bubbletea/v2"
)

// A phone's keyboard sliding in and out, or a turned screen, sends sizes in a
// storm, and every one repaints everything. The first size is taken at once,
// later ones once they have stood still for a moment.

// resizeMsg is a size that waits to settle.
type resizeMsg struct{ width, height int }

// settledMsg says that the size of that number is the last for now.
type settledMsg struct{ number int }

type resizeState struct {
	seen   bool // the first size was taken
	last   resizeMsg
	number int
	due    bool // the next WindowSizeMsg is ours and passes
}

// Filter is to be given to the program with tea.WithFilter: it holds back sizes
// before the renderer sees them.
func Filter(m tea.Model, msg tea.Msg) tea.Msg {
	size, ok := msg.(tea.WindowSizeMsg)
	a, isApp := m.(*App)
	if !ok || !isApp {
		return msg
	}
	if !a.resize.seen || a.resize.due {
		a.resize.seen, a.resize.due = true, false
		return msg
	}
	return resizeMsg{size.Width, size.Height}
}

func (r *resizeState) wait(msg resizeMsg) tea.Cmd {
	r.last = msg
	r.number++
	n := r.number
	return tea.Tick(settle, func(time.Time) tea.Msg { return settledMsg{n} })
}

func (r *resizeState) settled(msg settledMsg) tea.Cmd {
	if msg.number != r.number {
		return nil
	}
	r.due = true
	size := r.last
	return func() tea.Msg { return tea.WindowSizeMsg{Width: size.width, Height: size.height} }
}
