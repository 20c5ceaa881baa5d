package ui

import (
	"cmp"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"
)

// asideLater is how much later, where Config does not say, than the news what stands beside and below them is drawn
// anew. On a slow link the first thing to arrive is then what happened, in under 2 kB,
// and not all that is known of a house that just went dark, and the map of it.
const asideLater = 400 * time.Millisecond

// asideMsg ends the time that what is aside waits.
type asideMsg struct{}

// asides is what was drawn aside of the news the last time.
type asides struct {
	waits bool
	drawn map[string]aside
}

type aside struct {
	of    string
	lines []string
}

// news has what is aside wait a moment; there must have been a frame before.
func (a *App) news() {
	if a.aside.waits || a.world == nil || !a.splits(a.width) {
		return
	}
	a.aside.waits = true
	a.later = tea.Batch(a.later, tea.Tick(cmp.Or(a.cfg.Aside, asideLater), func(time.Time) tea.Msg { return asideMsg{} }))
}

// besides draws what is aside: while that waits the lines it had, as long as they are of
// the same thing at the same size.
func (a *App) besides(what string, draw func() []string, of ...any) []string {
	key := fmt.Sprint(append(of, a.theme.Name, a.theme.Fine(), a.light)...)
	if kept, is := a.aside.drawn[what]; a.aside.waits && is && kept.of == key {
		return kept.lines
	}
	if a.aside.drawn == nil {
		a.aside.drawn = map[string]aside{}
	}
	lines := draw()
	a.aside.drawn[what] = aside{key, lines}
	return lines
}
