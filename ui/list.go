package ui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// listScreen is a list with its cursor. The cursor stays on its row's object,
// wherever the row moves; only the rows on the screen are built.
type listScreen struct {
	list     view.List
	query    view.Query
	few      bool // only the most important columns
	recalled bool // how it was looked at before
	key      string
	at       int // the cursor's row
	first    int // the first row shown
	wants    []int
	shown    []int // columns of the last frame, for sorting by the next one

	head      string // as it was drawn, for finding rows on the screen
	drawn     int    // rows below it
	rowHeight int    // lines each

	marked map[string]view.Object // rows to act on together, by their keys
	beside string                 // key of the row whose details are beside the list

	rows      view.Rows
	rowsWorld *model.World // what rows was made of
	rowsQuery view.Query
}

func newList(l view.List, in *view.Object) *listScreen {
	return &listScreen{list: l, query: view.Query{Sort: -1, In: in}}
}

func (s *listScreen) scope() keymap.Scope { return keymap.List }

func (s *listScreen) crumb() string {
	if in := s.query.In; in != nil {
		return in.Called() + " › " + strings.ToLower(s.list.Info().Title)
	}
	return s.list.Info().Title
}

func (s *listScreen) setFilter(f string) { s.query.Text = f }

// refresh makes the rows of the current world and query, and finds the cursor's
// object in them.
func (s *listScreen) refresh(a *App) {
	a.recall(s)
	q := s.query
	q.Site, q.Space = a.site, a.cfg.Namespace
	if s.list.Info().Name == "sites" {
		q.Site = ""
	}
	if s.rows != nil && s.rowsWorld == a.world && s.rowsQuery == q {
		return
	}
	if s.rowsQuery != q {
		s.wants = nil // other rows: columns may be laid out anew
	}
	s.rows, s.rowsWorld, s.rowsQuery = s.list.Rows(a.world, q), a.world, q
	if i := s.rows.Find(s.key); s.key != "" && i >= 0 {
		s.at = i
	}
	s.move(0)
}

// move shifts the cursor and remembers what it is on.
func (s *listScreen) move(by int) { s.jump(s.at + by) }

func (s *listScreen) jump(to int) {
	s.at = max(0, min(to, s.rows.Len()-1))
	if s.rows.Len() > 0 {
		s.key = s.rows.Key(s.at)
	}
}

// problem moves to the next row that needs attention, round the end.
func (s *listScreen) problem(step int) bool {
	n := s.rows.Len()
	for i := 1; i <= n; i++ {
		at := ((s.at+i*step)%n + n) % n
		if s.rows.Severity(at) != model.OK {
			s.jump(at)
			return true
		}
	}
	return false
}

func (s *listScreen) act(a *App, action keymap.Action) bool {
	if a.world == nil {
		return false
	}
	s.refresh(a)
	if by := stride(action, a.bodyHeight()-2); by != 0 {
		rested := a.travel()
		if s.move(by); rested {
			s.beside = s.key
		}
		return true
	}
	switch action {
	case keymap.Top:
		s.jump(0)
	case keymap.Bottom:
		s.jump(s.rows.Len() - 1)
	case keymap.NextProblem, keymap.PrevProblem:
		step := 1
		if action == keymap.PrevProblem {
			step = -1
		}
		if !s.problem(step) {
			a.note = "no problem in this list"
		}
	case keymap.OnlyProblems:
		s.query.Problems = !s.query.Problems
	case keymap.Filter:
		a.startFilter(s.query.Text)
	case keymap.Sort:
		s.nextSort(a)
		a.keep(s)
	case keymap.Reverse:
		s.query.Reverse = !s.query.Reverse
		a.keep(s)
	case keymap.Columns:
		s.few = !s.few
		a.keep(s)
	case keymap.Open:
		s.open(a)
	case keymap.Details:
		s.details(a)
	case keymap.Mark:
		return s.mark(a)
	case keymap.Back:
		return s.leave()
	default:
		return s.change(a, action)
	}
	return true
}

// leave undoes what narrows the list before the list itself is left.
func (s *listScreen) leave() bool {
	switch {
	case len(s.marked) > 0:
		s.marked = nil
	case s.query.Text != "":
		s.query.Text = ""
	case s.query.Problems:
		s.query.Problems = false
	default:
		return false
	}
	return true
}

// nextSort goes through the columns on the screen, then back to the list's own order.
func (s *listScreen) nextSort(a *App) {
	next, infos := -1, s.list.Columns(a.world)
	for _, c := range s.shown {
		if c > s.query.Sort && !infos[c].Trend {
			next = c
			break
		}
	}
	s.query.Sort = next
	s.query.Reverse = false
	a.note = "sorted in its own order"
	if next >= 0 {
		a.note = "sorted by " + firstWord(infos[next].Title, "state")
	}
}

func firstWord(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return strings.ToLower(s)
}

// open goes to what belongs to the row: a site's nodes, a node's or a
// workload's pods; where nothing does, to its details.
func (s *listScreen) open(a *App) {
	if s.rows.Len() == 0 {
		return
	}
	o := s.rows.Object(s.at)
	switch s.list.Info().Name {
	case "sites":
		a.push(newList(view.Nodes(), &o))
	case "nodes", "workloads":
		a.push(newList(view.Pods(), &o))
	case "volumes":
		a.push(newList(view.Backups(), &o))
	default:
		s.details(a)
	}
}

func (s *listScreen) details(a *App) {
	if s.rows.Len() > 0 {
		a.push(newDetails(s.list, s.key, s.rows.Object(s.at).Called()))
	}
}

// draw gives the list's lines: heads, rows, and on wide screens the details of
// the row under the cursor beside them.
func (s *listScreen) draw(a *App, width, height int) []string {
	s.refresh(a)
	if s.rows.Len() == 0 {
		return s.drawEmpty(a, width)
	}
	if s.noteLine(a) {
		height--
	}
	if !a.splits(width) {
		return s.drawRows(a, width, height)
	}
	side := sideWidth(width)
	left := s.drawRows(a, width-side-3, height)
	return beside(a.theme, left, s.drawAside(a, side, height), width-side-3, height)
}

// drawAside draws the details beside the list.
func (s *listScreen) drawAside(a *App, width, height int) []string {
	at := s.detailed(a)
	return a.besides("details", func() []string { return drawLines(a.theme, s.rows.Details(at), width, height) },
		s.list.Info().Name, s.rows.Key(at), width, height)
}

// detailed is the row whose details are beside the list: the one under the cursor,
// but while that travels the one it left.
func (s *listScreen) detailed(a *App) int {
	if at := s.rows.Find(s.beside); a.travels > 0 && s.beside != "" && at >= 0 {
		return at
	}
	return s.at
}

// noteLine reports whether the list keeps a line for what is the matter with
// the row under the cursor: where there are rows enough, and no details beside
// them that say it.
func (s *listScreen) noteLine(a *App) bool {
	s.refresh(a)
	return s.rows.Len() > 0 && !a.splits(a.width) && a.bodyHeight() >= 8
}

// sideWidth is how much of the width details beside a list take.
func sideWidth(width int) int { return min(max(width*2/5, 44), 90) }

// splitWidth is from where on a list has room for details beside it.
const splitWidth = 110

// narrowWidth is up to where tall lists take two lines a row.
const narrowWidth = 60

func (s *listScreen) drawRows(a *App, width, height int) []string {
	tall := s.list.Info().Tall && width < narrowWidth
	rowHeight := 1
	if tall {
		rowHeight = 2
	}
	infos := s.list.Columns(a.world)
	room := max(1, (height-1)/rowHeight)
	s.first = max(0, min(s.first, s.rows.Len()-room))
	s.first = min(s.first, s.at)
	s.first = max(s.first, s.at-room+1)
	last := min(s.rows.Len(), s.first+room)

	all := make([]int, len(infos))
	for i := range infos {
		all[i] = i
		if tall && infos[i].Rank > 1 || s.few && infos[i].Rank > 4 {
			infos[i].Ideal, infos[i].Rank = 1<<20, 99 // no room for it
		}
	}
	cells := make([][]view.Cell, 0, last-s.first)
	for i := s.first; i < last; i++ {
		row := s.rows.Cells(i, all)
		if _, marked := s.marked[s.rows.Key(i)]; marked || a.isMarked(s.list, s.rows.Key(i)) {
			row[0] = view.Cell{Text: "+", Token: themes.Accent}
		}
		cells = append(cells, row)
	}
	if len(s.wants) != len(infos) {
		s.wants = nil
	}
	s.wants = view.Wants(infos, cells, s.wants)
	layout := view.Fit(infos, s.wants, width)
	s.shown = layout.Columns

	lines := []string{layout.Head(a.theme, s.query.Sort, s.query.Reverse)}
	s.head, s.drawn, s.rowHeight = strings.TrimRight(ansi.Strip(lines[0]), " "), len(cells), rowHeight
	stale := !a.fresh(s.list.Info().Sources)
	for i, c := range cells {
		selected := s.first+i == s.at
		lines = append(lines, rowStyle(a.theme, layout, layout.Pick(c), width, selected, stale))
		if tall {
			second := "  " + s.rows.Second(s.first+i).Draw(a.theme, width-2)
			lines = append(lines, second)
		}
	}
	return lines
}

// rowStyle draws a row; the selected one and stale ones get one style as a whole,
// but that the selected one keeps its mark's colour.
func rowStyle(th *themes.Theme, l view.Layout, cells []view.Cell, width int, selected, stale bool) string {
	switch {
	case selected:
		row, mark := text.Fit(l.Row(th, cells, false), width), cells[0].Text
		rest, led := strings.CutPrefix(row, mark)
		if !led || stale {
			return th.Paint(themes.Selected, row)
		}
		return th.Paint(cells[0].Token, mark) + th.Paint(themes.Selected, rest)
	case stale:
		return th.Paint(themes.Dim, l.Row(th, cells, false))
	default:
		return l.Row(th, cells, true)
	}
}

// drawEmpty says why there is nothing: each reason has its own words.
func (s *listScreen) drawEmpty(a *App, width int) []string {
	what := strings.ToLower(s.list.Info().Title)
	lines := []string{""}
	add := func(tok themes.Token, sentence string) {
		for _, l := range text.Wrap(model.Clean(sentence, 0), max(1, width-2)) {
			lines = append(lines, "  "+a.theme.Paint(tok, l))
		}
	}
	src := a.source(s.list.Info().Sources)
	switch {
	case s.rows.Total() > 0:
		add(themes.Dim, "no "+what+" match; "+a.cfg.Keys.Key(keymap.Filtered, keymap.Clear)+" shows all again")
	case s.list.Info().Name == view.WhatIf().Info().Name && a.world.Verdicts == nil && src.Status == model.SourceOK:
		add(themes.Dim, "losing each house in thought …")
	case src.Status == model.SourcePending:
		add(themes.Dim, "loading "+what+" … "+src.Error)
	case src.Status == model.SourceForbidden:
		add(themes.Unknown, "not allowed: list "+what)
		add(themes.Dim, src.Error)
	case src.Status != model.SourceOK && src.Status != "":
		add(themes.Unknown, "cannot show "+what+": "+src.Error)
		add(themes.Dim, src.Hint)
	case a.site != "" && s.list.Info().Name != "sites":
		add(themes.Dim, "no "+what+" in "+a.site)
	default:
		add(themes.Dim, "no "+what)
	}
	return lines
}
