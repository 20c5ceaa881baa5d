package ui

import (
	"maps"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// isWhatIf reports whether the pane of what breaks is on top.
func (a *App) isWhatIf() bool { return len(a.stack) == 1 && a.pane() == view.WhatIf().Info().Name }

// drawWhatIf is the losses, and below them what would help most.
func (a *App) drawWhatIf(width, height int) []string {
	list := a.top().(*listScreen)
	list.refresh(a)
	if list.rows.Len() == 0 {
		return list.draw(a, width, height)
	}
	if list.noteLine(a) {
		height--
	}
	side, left := 0, width
	if a.splits(width) {
		side = min(max(width*2/5, 44), 90)
		left = width - side - 3
	}
	rowHeight := 1
	if left < narrowWidth {
		rowHeight = 2
	}
	upper := min(1+list.rows.Len()*rowHeight, max(height*3/5, height-len(a.world.Fixes)*2-4))
	lines := list.drawRows(a, left, max(2, upper))
	if room := height - len(lines) - 1; room > 2 {
		lines = append(append(lines, ""), a.drawFixes(left, room)...)
	}
	if side == 0 {
		return lines
	}
	return beside(a.theme, lines, drawLines(a.theme, list.rows.Details(list.at), side, height), left, height)
}

// drawFixes says where the weakest link is and what would help, in at most height
// lines.
func (a *App) drawFixes(width, height int) []string {
	lines := []string{}
	if l := view.WeakestLine(a.world); l != nil {
		lines = append(append(lines, wrapNeed(a.theme, l, width)...), "")
	}
	fixes := a.world.Fixes
	if len(fixes) > 0 && height-len(lines) > 2 {
		head := view.Line{{Text: "What would help", Token: themes.Title}, {Text: "  most first, each tried on a copy", Token: themes.Dim}}
		lines = append(lines, head.Draw(a.theme, width))
		for i, f := range fixes {
			drawn := wrapNeed(a.theme, view.FixLine(f), width)
			if len(lines)+len(drawn)+1 > height && i < len(fixes)-1 || len(lines)+len(drawn) > height {
				lines = append(lines, a.more(len(fixes)-i))
				break
			}
			lines = append(lines, drawn...)
		}
	}
	if len(lines)+2 <= height && a.cfg.Lose != nil && len(a.marked) < 2 {
		hint := a.cfg.Keys.Key(keymap.List, keymap.Mark) + " marks houses, to lose them together"
		lines = append(lines, "", a.theme.Paint(themes.Dim, text.Cut(hint, width)))
	}
	return lines[:min(len(lines), height)]
}

// lostMsg says what breaks when the marked sites are lost together.
type lostMsg struct{ verdict *model.Verdict }

// mark marks the row, or no longer: a volume, to act on several together, or a site, to
// lose several together; the row of several sites takes all marks off.
func (s *listScreen) mark(a *App) bool {
	if s.list.Info().Name == view.Volumes().Info().Name && s.rows.Len() > 0 {
		s.markRow()
		return true
	}
	if a.cfg.Lose == nil || s.list.Info().Name != view.WhatIf().Info().Name || s.rows.Len() == 0 {
		return false
	}
	site := s.rows.Site(s.at)
	switch i := slices.Index(a.marked, site); {
	case s.rows.Key(s.at) != site:
		a.marked = nil
	case i >= 0:
		a.marked = slices.Delete(slices.Clone(a.marked), i, i+1)
	default:
		a.marked = append(slices.Clone(a.marked), site)
	}
	slices.Sort(a.marked)
	if a.world = withoutLoss(a.world, a.together); len(a.marked) < 2 {
		a.together = nil
	}
	if len(a.marked) == 1 {
		a.note = "mark another, and both are lost together"
	}
	a.later = a.lose()
	return true
}

func (s *listScreen) markRow() {
	marked, key := maps.Clone(s.marked), s.rows.Key(s.at)
	if marked == nil {
		marked = map[string]view.Object{}
	}
	if _, on := marked[key]; on {
		delete(marked, key)
	} else {
		marked[key] = s.rows.Object(s.at)
	}
	s.marked = marked
	s.move(1)
}

// lose asks what breaks when the marked sites are lost together, off the event loop.
func (a *App) lose() tea.Cmd {
	if len(a.marked) < 2 || a.world == nil {
		return nil
	}
	w, sites := a.world, slices.Clone(a.marked)
	return func() tea.Msg { return lostMsg{a.cfg.Lose(w, sites)} }
}

// adopt takes a new World; what breaks with several houses is asked of it anew,
// and said as before until then.
func (a *App) adopt(w *model.World) {
	a.world = w
	a.later = tea.Batch(a.later, a.lose())
	if a.together != nil {
		a.world = w.Together(a.together)
	}
}

func (a *App) adoptLoss(v *model.Verdict) {
	if !slices.Equal(v.Lost, a.marked) {
		return // marks have changed since
	}
	a.world = withoutLoss(a.world, a.together).Together(v)
	a.together = v
}

// withoutLoss takes the verdict back out.
func withoutLoss(w *model.World, v *model.Verdict) *model.World {
	if v == nil {
		return w
	}
	with := *w
	with.Verdicts = slices.DeleteFunc(slices.Clone(w.Verdicts), func(o *model.Verdict) bool { return o == v })
	return &with
}

// isMarked reports whether the row is one of those to be lost together.
func (a *App) isMarked(l view.List, key string) bool {
	return len(a.marked) > 0 && l.Info().Name == view.WhatIf().Info().Name && (slices.Contains(a.marked, key) || key == strings.Join(a.marked, " + "))
}
