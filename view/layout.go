package view

import (
	"slices"
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
// column's texts, titles included. Columns of rank 0 and 1 always stay; others
// are shown, in order of rank, where all shown have their ideal width. Which
// columns there are thus depends on the width alone and does not change while
// one scrolls. Room left over goes to those that want it, then to a flexible one.
func Fit(infos []ColumnInfo, want []int, width int) Layout {
	l := Layout{infos: infos}
	used := -gap
	for rank := 0; rank <= maxRank(infos); rank++ {
		for i, c := range infos {
			if c.Rank != rank {
				continue
			}
			if need := gap + c.ideal(); rank <= 1 || used+need <= width {
				l.Columns = append(l.Columns, i)
				used += need
			}
		}
	}
	slices.Sort(l.Columns)
	spare := width + gap
	for _, i := range l.Columns {
		l.Widths = append(l.Widths, infos[i].Min)
		spare -= infos[i].Min + gap
	}
	spare = l.grow(spare, func(i int) int { return min(want[i], infos[i].ideal()) })
	spare = l.grow(spare, func(i int) int {
		if infos[i].Max > 0 {
			return min(want[i], infos[i].Max)
		}
		return want[i]
	})
	for j, i := range l.Columns {
		if infos[i].Flex {
			l.Widths[j] += spare
			break
		}
	}
	return l
}

func (c ColumnInfo) ideal() int { return max(c.Ideal, c.Min) }

func maxRank(infos []ColumnInfo) int {
	most := 0
	for _, c := range infos {
		most = max(most, c.Rank)
	}
	return most
}

// grow widens columns to their goals, those of low rank first, and gives what
// is left.
func (l *Layout) grow(spare int, goal func(column int) int) int {
	for rank := 0; rank <= maxRank(l.infos); rank++ {
		for j, i := range l.Columns {
			if l.infos[i].Rank != rank {
				continue
			}
			more := max(0, min(spare, goal(i)-l.Widths[j]))
			l.Widths[j] += more
			spare -= more
		}
	}
	return max(0, spare)
}

// Wants gives the natural width of every column over the given rows, never
// less than in before: a column does not shrink while one scrolls.
func Wants(infos []ColumnInfo, rows [][]Cell, before []int) []int {
	want := make([]int, len(infos))
	for i, c := range infos {
		want[i] = max(text.Width(c.Title), c.Min)
		if c.Gauge {
			want[i] = max(want[i], gaugeMin+1+len("99%"))
		}
		if i < len(before) {
			want[i] = max(want[i], before[i])
		}
	}
	for _, row := range rows {
		for i, c := range row {
			w := max(text.Width(c.Text), len(c.Trend))
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

// Pick takes the layout's columns out of a row of all columns.
func (l Layout) Pick(all []Cell) []Cell {
	picked := make([]Cell, len(l.Columns))
	for j, col := range l.Columns {
		picked[j] = all[col]
	}
	return picked
}

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
	fine := th.Fine()
	if !paint {
		th = nil
	}
	var b strings.Builder
	for j, i := range l.Columns {
		if j > 0 {
			b.WriteString(strings.Repeat(" ", gap))
		}
		drawCell(&b, th, cells[j], l.Widths[j], l.infos[i], j == len(l.Columns)-1, fine)
	}
	return b.String()
}

func drawCell(b *strings.Builder, th *themes.Theme, c Cell, width int, info ColumnInfo, last, fine bool) {
	if len(c.Trend) > 0 {
		b.WriteString(th.Paint(themes.Bar, text.Spark(c.Trend, c.top(), width, fine)))
		return
	}
	if c.Whole > 0 && width >= gaugeMin+1+text.Width(c.Text) {
		bar := min(gaugeMax, width-1-text.Width(c.Text))
		drawGauge(b, th, c, bar, fine)
		b.WriteString(th.Paint(c.Token, text.PadLeft(c.Text, width-bar)))
		return
	}
	if c.Short != "" && text.Width(c.Text) > width {
		c.Text = c.Short
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

// top is the upper end of a trend's scale.
func (c Cell) top() float64 {
	if c.Top > 0 {
		return c.Top
	}
	return text.Top(c.Trend)
}

// drawGauge draws how much of the whole there is; finely in half cells.
func drawGauge(b *strings.Builder, th *themes.Theme, c Cell, width int, fine bool) {
	if !fine {
		filled, empty := text.Gauge(c.Part, c.Whole, width)
		b.WriteString(th.Paint(gaugeToken(c), strings.Repeat("━", filled)))
		b.WriteString(th.Paint(themes.Track, strings.Repeat("─", empty)))
		return
	}
	filled, empty := text.Gauge(c.Part, c.Whole, 2*width)
	b.WriteString(th.Paint(gaugeToken(c), strings.Repeat("⠶", filled/2)+strings.Repeat("⠆", filled%2)))
	b.WriteString(th.Paint(themes.Track, strings.Repeat("⠤", empty/2)))
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

// lineGauge is the width of a gauge within a line of text.
const lineGauge = 6

// How wide a trend within a line is.
const (
	trendMin = 8
	trendMax = 30
)

// Draw writes a line's cells, cut to width.
func (l Line) Draw(th *themes.Theme, width int) string {
	var b strings.Builder
	left := width
	for i, c := range l {
		if c.Whole > 0 && left > lineGauge {
			drawGauge(&b, th, c, lineGauge, th.Fine())
			b.WriteByte(' ')
			left -= lineGauge + 1
		}
		if room := min(left-text.Width(l[i+1:].Text()), trendMax); len(c.Trend) > 0 && room >= trendMin {
			room = min(room, len(c.Trend))
			b.WriteString(th.Paint(themes.Bar, text.Spark(c.Trend, c.top(), room, th.Fine())))
			left -= room
			continue
		}
		s := text.Cut(model.Strip(c.Text), left)
		left -= text.Width(s)
		b.WriteString(th.Paint(c.Token, s))
		if left <= 0 {
			break
		}
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
