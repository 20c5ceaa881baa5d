package view

import (
	"strings"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
)

// gap is the space between columns.
const gap = 1

// Layout is which columns are shown and how wide each is.
type Layout struct {
	Columns []int
	Widths  []int
	infos   []ColumnInfo
}

// Fit chooses columns for width cells. want is the natural width of each
// column's texts, titles included. Columns of high rank are left out first and
// whole; what room is left goes to those that want it, then to flexible ones.
func Fit(infos []ColumnInfo, want []int, width int) Layout {
	l := Layout{infos: infos}
	used := 0
	chosen := make([]bool, len(infos))
	for rank := 0; rank <= maxRank(infos); rank++ {
		for i, c := range infos {
			if c.Rank != rank {
				continue
			}
			need := c.Min
			if used > 0 {
				need += gap
			}
			if used+need <= width {
				chosen[i] = true
				used += need
			}
		}
	}
	for i, ok := range chosen {
		if ok {
			l.Columns = append(l.Columns, i)
			l.Widths = append(l.Widths, infos[i].Min)
		}
	}
	l.grow(want, width-used)
	return l
}

func maxRank(infos []ColumnInfo) int {
	most := 0
	for _, c := range infos {
		most = max(most, c.Rank)
	}
	return most
}

// grow hands out the spare cells: first what texts need, in rank order, then
// all to the flexible columns.
func (l *Layout) grow(want []int, spare int) {
	for rank := 0; rank <= maxRank(l.infos); rank++ {
		for j, i := range l.Columns {
			c := l.infos[i]
			if c.Rank != rank {
				continue
			}
			goal := want[i]
			if c.Max > 0 {
				goal = min(goal, c.Max)
			}
			more := min(spare, max(0, goal-l.Widths[j]))
			l.Widths[j] += more
			spare -= more
		}
	}
	for j, i := range l.Columns {
		if l.infos[i].Flex {
			l.Widths[j] += spare
			return
		}
	}
}

// Wants gives the natural width of every column over the given rows, never
// less than in before: a column does not shrink while one scrolls.
func Wants(infos []ColumnInfo, rows [][]Cell, before []int) []int {
	want := make([]int, len(infos))
	for i, c := range infos {
		want[i] = max(text.Width(c.Title), c.Min)
		if i < len(before) {
			want[i] = max(want[i], before[i])
		}
	}
	for _, row := range rows {
		for i, c := range row {
			w := text.Width(c.Text)
			if c.Whole > 0 {
				w += gaugeMin + 1
			}
			want[i] = max(want[i], w)
		}
	}
	return want
}

const (
	gaugeMin = 5
	gaugeMax = 12
)

// Head draws the titles of the columns; sort marks the sorted one.
func (l Layout) Head(th *themes.Theme, sort int, reverse bool) string {
	parts := make([]string, len(l.Columns))
	for j, i := range l.Columns {
		c := l.infos[i]
		title := c.Title
		if i == sort && title != "" {
			arrow := "↓"
			if reverse {
				arrow = "↑"
			}
			title = text.Cut(title, l.Widths[j]-1) + arrow
		}
		parts[j] = align(title, l.Widths[j], c)
	}
	return th.Paint(themes.Column, strings.TrimRight(strings.Join(parts, strings.Repeat(" ", gap)), " "))
}

// Row draws one row's cells. With paint false the text comes bare, for a
// selected or stale row that gets one style as a whole.
func (l Layout) Row(th *themes.Theme, cells []Cell, paint bool) string {
	if !paint {
		th = nil
	}
	var b strings.Builder
	for j, i := range l.Columns {
		if j > 0 {
			b.WriteString(strings.Repeat(" ", gap))
		}
		drawCell(&b, th, cells[j], l.Widths[j], l.infos[i], j == len(l.Columns)-1)
	}
	return b.String()
}

func drawCell(b *strings.Builder, th *themes.Theme, c Cell, width int, info ColumnInfo, last bool) {
	if c.Whole > 0 && width >= gaugeMin+1+text.Width(c.Text) {
		bar := min(gaugeMax, width-1-text.Width(c.Text))
		filled, empty := text.Gauge(c.Part, c.Whole, bar)
		b.WriteString(th.Paint(gaugeToken(c), strings.Repeat("━", filled)))
		b.WriteString(th.Paint(themes.Track, strings.Repeat("─", empty)))
		b.WriteString(th.Paint(c.Token, text.PadLeft(c.Text, width-bar)))
		return
	}
	s := align(c.Text, width, info)
	if last && !info.Right {
		s = strings.TrimRight(s, " ")
	}
	if trimmed := strings.TrimRight(s, " "); len(trimmed) < len(s) {
		b.WriteString(th.Paint(c.Token, trimmed))
		b.WriteString(s[len(trimmed):])
		return
	}
	b.WriteString(th.Paint(c.Token, s))
}

// gaugeToken colours a gauge by its cell's own meaning where it has one.
func gaugeToken(c Cell) themes.Token {
	if c.Token == themes.Warning || c.Token == themes.Critical || c.Token == themes.Dim {
		return c.Token
	}
	return themes.Bar
}

func align(s string, width int, c ColumnInfo) string {
	if c.Middle {
		s = text.Middle(s, width)
	} else {
		s = text.Cut(s, width)
	}
	if c.Right {
		return text.PadLeft(s, width)
	}
	return text.Pad(s, width)
}

// Draw writes a line's cells, cut to width.
func (l Line) Draw(th *themes.Theme, width int) string {
	var b strings.Builder
	left := width
	for _, c := range l {
		if left <= 0 {
			break
		}
		s := text.Cut(model.Clean(c.Text, 0), left)
		left -= text.Width(s)
		b.WriteString(th.Paint(c.Token, s))
	}
	return b.String()
}

// Text gives the line without styles.
func (l Line) Text() string {
	var b strings.Builder
	for _, c := range l {
		b.WriteString(c.Text)
	}
	return b.String()
}
