package ui

import (
	"fmt"
	"strings"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// drawHome is the sites with what needs attention below: the one screen that
// must answer "what is wrong" by itself.
func (a *App) drawHome(width, height int) []string {
	list := a.top().(*listScreen)
	list.refresh(a)
	left := width
	side := 0
	if a.splits(width) && list.rows.Len() > 0 {
		side = sideWidth(width)
		left = width - side - 3
	}
	rowHeight := 1
	if left < narrowWidth {
		rowHeight = 2
	}
	needed := a.drawNeeds(left, height)
	upper := min(1+list.rows.Len()*rowHeight, max(height-len(needed)-1, height*3/5))
	if list.rows.Len() == 0 {
		upper = height / 2
	}
	lines := list.drawOrEmpty(a, left, max(2, upper))
	// The map has its place at the foot, whatever is above it: neither the eye nor a
	// slow link has to follow it about.
	whole := height
	mapped := min((height-len(lines))*2/5, mapMost)
	if mapped < mapHeight || width < splitWidth || left < mapWidth || a.thrifty() || !hasMap(a.world) {
		mapped = 0
	}
	if height -= mapped; mapped > 0 {
		height--
	}
	if room := height - len(lines) - 1; room > 1 {
		lines = append(lines, "")
		lines = append(lines, a.drawNeeds(left, room)...)
	}
	if room := height - len(lines) - 1; room >= 4 && len(a.world.Events)+len(a.world.Timeline) > 0 && !a.world.Awaits(model.SourceEvents, model.SourceNodeEvents) {
		lines = append(lines, "")
		lines = append(lines, a.drawLately(left, room)...)
	}
	if height = whole; mapped > 0 {
		for len(lines) < height-mapped {
			lines = append(lines, "")
		}
		lines = append(lines, a.besides("map", func() []string { return a.drawMap(left, mapped) }, left, mapped)...)
	}
	if side == 0 {
		return lines
	}
	return beside(a.theme, lines, list.drawAside(a, side, height), left, height)
}

func (s *listScreen) drawOrEmpty(a *App, width, height int) []string {
	if s.rows.Len() == 0 {
		return s.drawEmpty(a, width)
	}
	return s.drawRows(a, width, height)
}

// drawNeeds lists what needs attention, worst first, in at most height lines.
func (a *App) drawNeeds(width, height int) []string {
	w := a.world
	if len(w.Reasons) == 0 {
		lines := []string{a.theme.Paint(themes.OK, allWell(w, width))}
		for _, h := range w.Hints {
			lines = append(lines, drawLines(a.theme, []view.Line{{{Text: "hint: ", Token: themes.Accent}, {Text: h, Token: themes.Dim}}}, width, 3)...)
		}
		return lines[:min(len(lines), height)]
	}
	lines := []string{a.theme.Paint(themes.Title, "Needs attention") + a.theme.Paint(themes.Dim, fmt.Sprintf("  %d", len(w.Reasons)))}
	for i, r := range w.Reasons {
		line := view.Line{view.Mark(r.Severity), {Text: " "}, {Text: reasonName(r), Token: themes.Strong}, {Text: " "}, {Text: r.Text}}
		drawn := wrapNeed(a.theme, line, width)
		if len(lines)+len(drawn) > height || (i < len(w.Reasons)-1 && len(lines)+len(drawn) == height) {
			if len(lines) < height {
				lines = append(lines, a.more(len(w.Reasons)-i))
			}
			break
		}
		lines = append(lines, drawn...)
	}
	return lines
}

func (a *App) more(n int) string { return a.theme.Paint(themes.Dim, fmt.Sprintf("and %d more", n)) }

// thrifty reports whether bytes count for more than what a wide screen could show.
func (a *App) thrifty() bool { return a.cfg.Whole && a.whole }

// lately is how much of the timeline the home screen shows at most.
func (a *App) lately() int {
	if a.thrifty() {
		return 4
	}
	return 8
}

// drawLately begins the timeline where there is room left.
func (a *App) drawLately(width, height int) []string {
	layout, cells := table(a.world, view.Timeline(), width, min(a.lately(), height-1))
	lines := []string{a.theme.Paint(themes.Title, "Lately")}
	if n := view.Unseen(a.world); n > 0 {
		since := fmt.Sprintf("  %d since you last looked, %s ago (*)", n, model.Ago(a.world.At.Sub(a.world.LookedAt)))
		lines[0] += a.theme.Paint(themes.Accent, text.Cut(since, width-len("Lately")))
	}
	for _, c := range cells {
		lines = append(lines, layout.Row(a.theme, layout.Pick(c), true))
	}
	return lines
}

// table lays out the first rows of a list, without a cursor.
func table(w *model.World, l view.List, width, most int) (view.Layout, [][]view.Cell) {
	rows := l.Rows(w, view.Query{Sort: -1})
	infos := l.Columns(w)
	all := make([]int, len(infos))
	for i := range infos {
		all[i] = i
	}
	var cells [][]view.Cell
	for i := range min(rows.Len(), most) {
		cells = append(cells, rows.Cells(i, all))
	}
	return view.Fit(infos, view.Wants(infos, cells, nil), width), cells
}

// wrapNeed gives a finding at most two lines, the second indented under the mark.
func wrapNeed(th *themes.Theme, l view.Line, width int) []string {
	if text.Width(l.Text()) <= width {
		return []string{l.Draw(th, width)}
	}
	lead := l[:3]
	words := model.Clean(l[len(l)-1].Text, 0)
	room := width - text.Width(lead.Text()) - 1
	if room >= 16 { // enough to begin beside the name
		first := text.Wrap(words, room)[0]
		out := []string{lead.Draw(th, width) + " " + first}
		if left := strings.TrimSpace(strings.TrimPrefix(words, first)); left != "" {
			out = append(out, "  "+text.Cut(left, width-2))
		}
		return out
	}
	return []string{lead.Draw(th, width), "  " + text.Cut(words, width-2)}
}

// allWell says so, with as many figures as there is room for.
func allWell(w *model.World, width int) string {
	ready, pods := 0, 0
	for _, s := range w.Sites {
		ready += s.Ready
		pods += s.PodsReady
	}
	line := fmt.Sprintf("● all is well: %d sites, %d nodes, %s pods", len(w.Sites), ready, text.Count(pods))
	switch more := " ready"; {
	case text.Width(line+more) <= width:
		return line + more
	case text.Width(line) <= width:
		return line
	default:
		return text.Cut(fmt.Sprintf("● all is well: %d sites, %d nodes", len(w.Sites), ready), width)
	}
}

// spokenKinds are those that a name does not tell by itself: most are called "default".
var spokenKinds = map[string]string{model.SourceStore: "object store ", "backuptarget": "backup target "}

// reasonName is the object's own name; its kind mostly goes without saying.
func reasonName(r model.Reason) string {
	kind, _, _ := strings.Cut(r.Object, "/")
	return model.Clean(spokenKinds[kind]+r.Object[strings.LastIndexByte(r.Object, '/')+1:], 60)
}
