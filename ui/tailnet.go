package ui

import (
	"slices"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// isTailnet reports whether the tailnet's own pane is on top.
func (a *App) isTailnet() bool { return len(a.stack) == 1 && a.pane() == view.Peers().Info().Name }

// drawTailnet is the links between sites, and below them the machines: first
// whether houses see each other, then who of each.
func (a *App) drawTailnet(width, height int) []string {
	peers := a.top().(*listScreen)
	lines := a.drawMatrix(width, height/2)
	if lines == nil {
		lines = a.drawLinks(width, height/3)
	}
	if len(lines) == 0 || height < 8 {
		return peers.draw(a, width, height)
	}
	lines = append(lines, "")
	return append(lines, peers.draw(a, width, height-len(lines))...)
}

// drawMatrix is the links as a table, with what is wrong with any, or nil where
// that does not fit.
func (a *App) drawMatrix(width, height int) []string {
	infos, rows := view.Matrix(a.world)
	if len(rows) == 0 || len(rows)+2 > height {
		return nil
	}
	for _, c := range infos {
		width -= c.Min + 1
	}
	if width < -1 {
		return nil
	}
	layout := view.Fit(infos, view.Wants(infos, rows, nil), a.width)
	lines := []string{layout.Head(a.theme, -1, false)}
	for _, cells := range rows {
		lines = append(lines, layout.Row(a.theme, layout.Pick(cells), true))
	}
	for _, l := range a.world.Links {
		if l.Problem != "" && l.Answering > 0 && len(lines)+1 < height {
			lines = append(lines, a.theme.Paint(view.Token(l.Severity()), text.Cut("▲ "+l.From+" to "+l.To+": "+l.Problem, a.width)))
		}
	}
	return append(lines, a.theme.Paint(themes.Dim, text.Cut(view.MatrixKey(a.world), a.width)))
}

// drawLinks is the links as a list, one for each pair of sites.
func (a *App) drawLinks(width, height int) []string {
	w := *a.world
	w.Links = slices.DeleteFunc(slices.Clone(w.Links), func(l *model.Link) bool { return w.Link(l.From, l.To) != l })
	shown := min(len(w.Links), height)
	if shown == 0 {
		return nil
	}
	if shown < len(w.Links) {
		shown-- // the last line tells of the others
	}
	layout, cells := table(&w, view.Links(), width, shown)
	lines := []string{layout.Head(a.theme, -1, false)}
	for _, c := range cells {
		lines = append(lines, layout.Row(a.theme, layout.Pick(c), true))
	}
	if more := len(w.Links) - len(cells); more > 0 {
		lines = append(lines, a.more(more))
	}
	return lines
}
