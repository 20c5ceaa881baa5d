// Package view says what each list of the cockpit shows: its rows, columns,
// order, filter and details, computed from a World. Screens and --once print the
// same lists, so that both tell the same facts.
//
// It is pure: no I/O, no clock but the World's, nothing remembered between calls.
package view

import (
	"slices"
	"strings"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/themes"
)

// Cell is a piece of text with its meaning.
type Cell struct {
	Text  string
	Short string // says the same where Text does not fit; may be empty
	Token themes.Token
	// Part of Whole is drawn as a gauge in front of Text where there is room.
	Part, Whole int64
	// Trend is how a figure went, drawn in the place of Text: from nought to Top, or where
	// that is 0 to a round number above all of it.
	Trend []float64
	Top   float64
}

// Line is a row of cells written one behind the other.
type Line []Cell

// Object names what a row stands for, and bounds lists to what belongs to it.
type Object struct {
	Kind, Cluster, Namespace, Name string
	Title                          string // what people call it, where that is not its name
}

// Called is what people call the object.
func (o Object) Called() string {
	if o.Title != "" {
		return o.Title
	}
	return o.Name
}

// Query picks and orders a list's rows.
type Query struct {
	Site     string  // only rows of this site; "" for all
	Space    string  // of those that have a namespace only rows of this one; "" for all
	Text     string  // only rows that contain each of its words, case ignored
	Problems bool    // only rows that need attention
	In       *Object // only rows that belong to this object
	Sort     int     // column to sort by; -1 for the list's own order
	Reverse  bool
}

// ColumnInfo describes a column to whoever lays it out.
type ColumnInfo struct {
	Title  string
	Rank   int  // columns of high rank go first when it gets narrow; 0 and 1 never do
	Min    int  // cells it can be squeezed into
	Ideal  int  // cells it should have to be worth showing; Min when 0
	Max    int  // cells beyond which more would be waste; 0 for no limit
	Flex   bool // takes what is left
	Right  bool // aligned right: figures
	Gauge  bool // holds gauges: as wide before the first figure comes as after
	Middle bool // shortened in its middle: names
	Trend  bool // holds pictures of how a figure went: for screens only
}

// Info describes a list.
type Info struct {
	Name    string
	Title   string
	Short   string   // of Title, where there is little room; Title when empty
	Sources []string // the sources its rows come from, most telling first
	Tall    bool     // rows have a second line on narrow screens
}

// List is one kind of rows.
type List interface {
	Info() Info
	Columns(w *model.World) []ColumnInfo
	Rows(w *model.World, q Query) Rows
}

// Rows is a list's answer to a Query.
type Rows interface {
	Len() int
	Total() int // rows before the filter, within site and object
	Key(i int) string
	Find(key string) int // -1 when gone
	Severity(i int) model.Severity
	Site(i int) string
	Cells(i int, columns []int) []Cell
	Second(i int) Line // the second line of a Tall list
	Note(i int) Cell   // what is the matter with the row, empty when nothing is
	Object(i int) Object
	Details(i int) []Line
}

// Lists gives all lists in the order of their panes. Each is made once: a frame asks
// for them many times.
func Lists() []List {
	return []List{Sites(), Nodes(), Peers(), Volumes(), Backups(), Workloads(), Pods(), Timeline(), WhatIf()}
}

// column is one column of a list of T.
type column[T any] struct {
	ColumnInfo
	titleOf func(w *model.World) string // overrides Title
	cell    func(w *model.World, v T) Cell
	compare func(w *model.World, a, b T) int // nil: by the cell's text
}

// list implements List.
type list[T any] struct {
	info     Info
	items    func(w *model.World) []T
	key      func(v T) string
	site     func(w *model.World, v T) string
	severity func(w *model.World, v T) model.Severity
	object   func(v T) Object
	in       func(w *model.World, v T, o Object) bool
	words    func(v T) string // what the filter searches besides state and site
	columns  []column[T]
	second   func(w *model.World, v T) Line
	note     func(w *model.World, v T) string
	details  func(w *model.World, v T) []Line
}

func (l *list[T]) Info() Info { return l.info }

func (l *list[T]) Columns(w *model.World) []ColumnInfo {
	infos := make([]ColumnInfo, len(l.columns))
	for i, c := range l.columns {
		infos[i] = c.ColumnInfo
		if c.titleOf != nil {
			infos[i].Title = c.titleOf(w)
		}
	}
	return infos
}

func (l *list[T]) Rows(w *model.World, q Query) Rows {
	all := l.items(w)
	r := &rows[T]{list: l, world: w}
	if q == (Query{Sort: -1}) {
		r.items, r.total = all, len(all)
		return r
	}
	needles := strings.Fields(strings.ToLower(q.Text))
	r.items = make([]T, 0, len(all))
	for _, v := range all {
		if q.Site != "" && l.site(w, v) != q.Site {
			continue
		}
		if space := l.object(v).Namespace; q.Space != "" && space != "" && space != q.Space {
			continue
		}
		if q.In != nil && !l.in(w, v, *q.In) {
			continue
		}
		r.total++
		if q.Problems && l.severity(w, v) == model.OK {
			continue
		}
		if len(needles) > 0 && !l.matches(w, v, needles) {
			continue
		}
		r.items = append(r.items, v)
	}
	l.sort(w, r.items, q)
	return r
}

// matches reports whether the row contains all words; it searches what the row
// says of its state too, so that "down" or "moka" find rows.
func (l *list[T]) matches(w *model.World, v T, needles []string) bool {
	hay := strings.ToLower(l.words(v) + " " + l.site(w, v) + " " + l.severity(w, v).String())
	return !slices.ContainsFunc(needles, func(n string) bool { return !strings.Contains(hay, n) })
}

func (l *list[T]) sort(w *model.World, items []T, q Query) {
	if q.Sort >= 0 && q.Sort < len(l.columns) {
		c := l.columns[q.Sort]
		compare := c.compare
		if compare == nil {
			compare = func(w *model.World, a, b T) int { return strings.Compare(c.cell(w, a).Text, c.cell(w, b).Text) }
		}
		slices.SortStableFunc(items, func(a, b T) int { return compare(w, a, b) })
	}
	if q.Reverse {
		slices.Reverse(items)
	}
}

// rows implements Rows.
type rows[T any] struct {
	list  *list[T]
	world *model.World
	items []T
	total int
}

func (r *rows[T]) Len() int                      { return len(r.items) }
func (r *rows[T]) Total() int                    { return r.total }
func (r *rows[T]) Key(i int) string              { return r.list.key(r.items[i]) }
func (r *rows[T]) Severity(i int) model.Severity { return r.list.severity(r.world, r.items[i]) }
func (r *rows[T]) Site(i int) string             { return r.list.site(r.world, r.items[i]) }
func (r *rows[T]) Object(i int) Object           { return r.list.object(r.items[i]) }
func (r *rows[T]) Details(i int) []Line          { return r.list.details(r.world, r.items[i]) }

func (r *rows[T]) Second(i int) Line {
	if r.list.second == nil {
		return nil
	}
	return r.list.second(r.world, r.items[i])
}

func (r *rows[T]) Note(i int) Cell {
	return Cell{Text: model.Clean(r.list.note(r.world, r.items[i]), 0), Token: Token(r.Severity(i))}
}

func (r *rows[T]) Find(key string) int {
	return slices.IndexFunc(r.items, func(v T) bool { return r.list.key(v) == key })
}

func (r *rows[T]) Cells(i int, columns []int) []Cell {
	cells := make([]Cell, len(columns))
	for j, c := range columns {
		cells[j] = r.list.columns[c].cell(r.world, r.items[i])
		cells[j].Text = model.Strip(cells[j].Text)
	}
	return cells
}

// Mark is the shape that carries a state without colour.
func Mark(s model.Severity) Cell {
	switch s {
	case model.OK:
		return Cell{Text: "●", Token: themes.OK}
	case model.Warning:
		return Cell{Text: "!", Token: themes.Warning}
	case model.Critical:
		return Cell{Text: "X", Token: themes.Critical}
	default:
		return Cell{Text: "?", Token: themes.Unknown}
	}
}

// Token is the style of a severity.
func Token(s model.Severity) themes.Token { return Mark(s).Token }

// mark is the first column of every list: it has no title and no width to spare.
func mark[T any](severity func(w *model.World, v T) model.Severity) column[T] {
	return column[T]{
		ColumnInfo: ColumnInfo{Title: "", Min: 1, Max: 1},
		cell:       func(w *model.World, v T) Cell { return Mark(severity(w, v)) },
		compare:    func(w *model.World, a, b T) int { return int(severity(w, b) - severity(w, a)) },
	}
}

// trend is a column of how a figure went; it has no order of its own. With a top all
// its rows have one scale.
func trend[T any](title string, rank int, top float64, of func(v T) model.TrailOf) column[T] {
	return column[T]{
		ColumnInfo: ColumnInfo{Title: title, Rank: rank, Min: 10, Ideal: 15, Max: 30, Trend: true},
		cell:       func(w *model.World, v T) Cell { return Cell{Trend: w.Trails.Of(of(v)), Top: top} },
		compare:    func(*model.World, T, T) int { return 0 },
	}
}

func plain(s string) Cell  { return Cell{Text: s} }
func dim(s string) Cell    { return Cell{Text: s, Token: themes.Dim} }
func strong(s string) Cell { return Cell{Text: s, Token: themes.Strong} }

// alert gives the text in the style of the severity, plain when it is OK.
func alert(s string, sev model.Severity) Cell {
	if sev == model.OK {
		return plain(s)
	}
	return Cell{Text: s, Token: Token(sev)}
}
