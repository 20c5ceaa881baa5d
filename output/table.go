package output

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// endless is the width of a table that may be as wide as it comes.
const endless = 400

// writeTable prints what the home screen shows; wide adds the other lists.
func writeTable(out io.Writer, w *model.World, wide bool, opt Options) error {
	if opt.Width <= 0 || wide {
		opt.Width = endless
	}
	t := &printer{theme: opt.Theme, width: opt.Width}
	if opt.List != nil {
		if opt.Details {
			t.details(opt.List, w)
		} else {
			t.only(opt.List, w)
		}
		if opt.List.Info().Name == view.WhatIf().Info().Name && !opt.Details {
			t.fixes(w)
		}
		_, err := io.WriteString(out, t.b.String())
		return err
	}
	mark := view.Mark(w.Status)
	t.line(mark, view.Cell{Text: " " + strings.ToUpper(w.Status.String()), Token: mark.Token}, view.Cell{Text: "  " + summary(w)})
	lists := []view.List{view.Sites()}
	if wide {
		lists = []view.List{view.Sites(), view.Nodes(), view.Peers(), view.Volumes(), view.Workloads()}
	}
	for _, l := range lists {
		if l.Rows(w, view.Query{Sort: -1}).Len() > 0 {
			t.blank()
			t.list(l, w)
		}
	}
	t.reasons(w)
	t.sources(w, wide)
	for _, h := range w.Hints {
		t.blank()
		t.line(view.Cell{Text: "hint: ", Token: themes.Accent}, view.Cell{Text: h})
	}
	_, err := io.WriteString(out, t.b.String())
	return err
}

type printer struct {
	b     strings.Builder
	theme *themes.Theme
	width int
}

func (t *printer) line(cells ...view.Cell) { t.raw(view.Line(cells).Draw(t.theme, t.width)) }
func (t *printer) raw(s string)            { t.b.WriteString(strings.TrimRight(s, " ") + "\n") }
func (t *printer) blank()                  { t.b.WriteByte('\n') }

// details prints each row whole; what does not fit on a line goes on below.
func (t *printer) details(l view.List, w *model.World) {
	rows := l.Rows(w, view.Query{Sort: -1})
	for i := range rows.Len() {
		for _, line := range rows.Details(i) {
			if len(line) == 0 {
				t.blank()
				continue
			}
			if text.Width(line.Text()) <= t.width {
				t.line(line...)
				continue
			}
			t.wrapped(line)
		}
	}
}

// wrapped prints a line that is too long: its last cell goes on below, or begins
// there where the others leave it little room.
func (t *printer) wrapped(line view.Line) {
	lead, last := line[:len(line)-1], line[len(line)-1]
	indent := text.Width(lead.Text())
	if indent > t.width/2 {
		t.line(lead...)
		lead, indent = view.Line{{Text: "    "}}, 4
	}
	for _, part := range text.Wrap(model.Clean(last.Text, 0), max(20, t.width-indent)) {
		t.line(append(lead[:len(lead):len(lead)], view.Cell{Text: part, Token: last.Token})...)
		lead = view.Line{{Text: strings.Repeat(" ", indent)}}
	}
}

func (t *printer) list(l view.List, w *model.World) {
	rows := l.Rows(w, view.Query{Sort: -1})
	infos, all := []view.ColumnInfo{}, []int{}
	for i, c := range l.Columns(w) {
		if !c.Trend {
			c.Max = 0 // nothing is shortened while there is room
			c.Gauge = false
			infos, all = append(infos, c), append(all, i)
		}
	}
	cells := make([][]view.Cell, rows.Len())
	for i := range cells {
		cells[i] = rows.Cells(i, all)
		for j := range cells[i] {
			cells[i][j].Whole = 0
		}
	}
	layout := view.Fit(infos, view.Wants(infos, cells, nil), t.width)
	t.raw(layout.Head(t.theme, -1, false))
	for _, c := range cells {
		t.raw(layout.Row(t.theme, layout.Pick(c), t.theme != nil))
	}
}

// only prints one list, or why it is empty.
func (t *printer) only(l view.List, w *model.World) {
	if l.Rows(w, view.Query{Sort: -1}).Len() > 0 {
		t.list(l, w)
		return
	}
	why := view.Cell{Text: "no " + strings.ToLower(l.Info().Title)}
	for _, s := range w.Sources {
		if trouble := s.Trouble(); trouble != "" && slices.Contains(l.Info().Sources, s.Name) {
			why.Text += ": " + cmp.Or(s.Error, trouble)
			if s.Hint != "" {
				why.Text += "; " + s.Hint
			}
			break
		}
	}
	for _, line := range text.Wrap(model.Clean(why.Text, 0), t.width) {
		t.line(view.Cell{Text: line})
	}
}

// fixes says where the weakest link is, and what would help.
func (t *printer) fixes(w *model.World) {
	if l := view.WeakestLine(w); l != nil {
		t.blank()
		t.hanging(l)
	}
	if len(w.Fixes) == 0 {
		return
	}
	t.blank()
	t.line(view.Cell{Text: "WHAT WOULD HELP", Token: themes.Column})
	for _, f := range w.Fixes {
		t.hanging(view.FixLine(f))
	}
}

// reasons lists every finding behind the state.
func (t *printer) reasons(w *model.World) {
	if len(w.Reasons) == 0 {
		return
	}
	t.blank()
	t.line(view.Cell{Text: "NEEDS ATTENTION", Token: themes.Column})
	for _, r := range w.Reasons {
		t.hanging(view.Line{view.Mark(r.Severity), {Text: " "}, {Text: r.Object, Token: themes.Strong}, {Text: "  "}, {Text: r.Text}})
	}
}

// hanging prints a line whose last cell goes on below, a little indented.
func (t *printer) hanging(l view.Line) {
	lead, last := l[:len(l)-1], l[len(l)-1]
	words := model.Clean(last.Text, 0)
	lines := append(text.Wrap(words, max(20, t.width-text.Width(lead.Text()))), "")
	t.line(append(slices.Clone(lead), view.Cell{Text: lines[0], Token: last.Token})...)
	t.indented(strings.TrimSpace(strings.TrimPrefix(words, lines[0])))
}

// indented writes text under what it belongs to.
func (t *printer) indented(s string) {
	if s == "" {
		return
	}
	for _, l := range text.Wrap(s, max(20, t.width-4)) {
		t.raw("    " + l)
	}
}

// sources lists the sources that are not well; all of them when asked to.
func (t *printer) sources(w *model.World, all bool) {
	headed, hinted := false, ""
	lost := map[string]bool{} // groups whose server does not answer: their parts say the same
	same := map[string]bool{} // by cluster and error: it ails whole groups
	for _, s := range w.Sources {
		if !all && (s.Status == model.SourceOK || s.Status == model.SourceAbsent || lost[s.Cluster+"/"+s.Group()]) {
			continue
		}
		switch {
		case s.Status == model.SourceOK:
		case s.Name == s.Group():
			lost[s.Cluster+"/"+s.Name], same[s.Cluster+"/"+s.Error] = true, true
		case !all && same[s.Cluster+"/"+s.Error]:
			lost[s.Cluster+"/"+s.Group()] = true
			s.Name = s.Group()
		}
		if !headed {
			t.blank()
			t.line(view.Cell{Text: "SOURCES", Token: themes.Column})
			headed = true
		}
		age := ""
		if a := s.Age(w.At); a >= 0 {
			age = model.Ago(a)
		}
		tail := s.Trouble()
		if s.Status == model.SourceForbidden || tail == "" {
			tail = s.Error
		}
		t.line(view.Cell{Text: fmt.Sprintf("%-18s %-10s %5s  ", s.Name, s.Status, age)}, view.Cell{Text: tail, Token: themes.Dim})
		if s.Hint != hinted {
			t.indented(s.Hint)
			hinted = s.Hint
		}
	}
}
