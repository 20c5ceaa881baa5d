package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
)

// doc builds the details of a row as lines.
type doc struct {
	world *model.World
	lines []Line
	head  string   // title of the section under way
	rows  [][]Cell // its rows, aligned when it ends
}

func newDoc(w *model.World) *doc { return &doc{world: w} }

// fieldWidth is the room for a field's name.
const fieldWidth = 14

func (d *doc) title(mark Cell, name, state string) {
	d.lines = append(d.lines, Line{mark, plain(" "), {Text: name, Token: themes.Title}, plain("  "), {Text: state, Token: mark.Token}})
}

// note is a sentence that must be seen.
func (d *doc) note(s string, sev model.Severity) {
	d.lines = append(d.lines, Line{plain("  "), alert(s, sev)})
}

// field is one fact; one that is empty is left out.
func (d *doc) field(name, value string) {
	if strings.Trim(value, ", ") != "" {
		d.lines = append(d.lines, Line{dim(text.Pad(name, fieldWidth)), plain(value)})
	}
}

// trend is how a figure went, and between what; nothing where that is not known.
func (d *doc) trend(of model.TrailOf, format func(float64) string) {
	values := d.world.Trails.Of(of)
	low, high, known := 0.0, 0.0, false
	for _, v := range values {
		switch {
		case v < 0:
		case !known:
			low, high, known = v, v, true
		default:
			low, high = min(low, v), max(high, v)
		}
	}
	if !known {
		return
	}
	words := format(low)
	if most := format(high); most != words {
		words += " to " + most
	}
	words += " in " + model.Ago(time.Duration(len(values))*model.TrailStep)
	d.lines = append(d.lines, Line{dim(text.Pad("  lately", fieldWidth)), {Trend: values}, dim(" " + words)})
}

func percent(share float64) string { return fmt.Sprintf("%.0f%%", share*100) }

// section begins a titled block of rows; it shows only when it has any.
func (d *doc) section(title string) { d.head, d.rows = title, nil }

func (d *doc) row(cells ...Cell) { d.rows = append(d.rows, cells) }

// end writes the section, its columns aligned, at most most rows of it.
func (d *doc) end(most int) {
	if len(d.rows) == 0 {
		return
	}
	d.lines = append(d.lines, nil, Line{{Text: d.head, Token: themes.Title}, dim(fmt.Sprintf("  %d", len(d.rows)))})
	left := len(d.rows) - most
	if left > 0 {
		d.rows = d.rows[:most]
	}
	widths := []int{}
	for _, r := range d.rows {
		for i, c := range r[:len(r)-1] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = min(max(widths[i], text.Width(c.Text)), 40)
		}
	}
	for _, r := range d.rows {
		line := Line{}
		for i, c := range r {
			if i < len(r)-1 {
				c.Text = text.Fit(c.Text, widths[i]) + " "
			}
			line = append(line, c)
		}
		d.lines = append(d.lines, line)
	}
	if left > 0 {
		d.lines = append(d.lines, Line{dim(fmt.Sprintf("and %d more", left))})
	}
	d.rows = nil
}

// pod lists one pod by its state.
func (d *doc) pod(p *model.Pod, more ...Cell) {
	sev := d.world.PodSeverity(p)
	row := []Cell{Mark(sev), strong(p.Name), alert(d.world.PodWord(p), sev)}
	d.row(append(append(row, more...), dim(p.Namespace))...)
}

// eventsOfMany lists the newest events that match, with what each is about; what
// happened to many objects of a kind is one row.
func (d *doc) eventsOfMany(match func(*model.Event) bool, most int) {
	type alike struct{ kind, reason string }
	first, objects := map[alike]*model.Event{}, map[alike]map[string]bool{}
	order := []alike{}
	for _, e := range d.world.Events {
		if !match(e) {
			continue
		}
		of := alike{e.Kind, e.Reason}
		if first[of] == nil {
			first[of], objects[of] = e, map[string]bool{}
			order = append(order, of)
		}
		objects[of][e.Namespace+"/"+e.Object] = true
	}
	d.section("Events")
	for _, of := range order {
		e, about := first[of], first[of].Object
		if n := len(objects[of]); n > 1 {
			about = plural(n, strings.ToLower(of.kind))
		}
		d.row(Mark(e.Severity()), dim(text.PadLeft(aged(d.world, e.Last), 4)), strong(about), plain(e.Reason), dim(e.Message))
	}
	d.end(most)
}

// mostEvents is how many events details show.
const mostEvents = 10

// events lists the newest events that match.
func (d *doc) events(match func(*model.Event) bool) {
	d.section("Events")
	for _, e := range d.world.Events {
		if match(e) {
			d.row(Mark(e.Severity()), dim(text.PadLeft(aged(d.world, e.Last), 4)), plain(e.Reason), dim(e.Message))
		}
	}
	d.end(mostEvents)
}

// plural gives "1 server", "2 servers".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// quarter is how finely the age of what has just happened is told in lists of such
// things: each step of each is sent to the terminal.
const quarter = 15 * time.Second

// aged is age for lists of what happened.
func aged(w *model.World, t time.Time) string {
	switch d := w.At.Sub(t); {
	case t.IsZero():
	case d < quarter:
		return "now"
	case d < 2*time.Minute:
		return model.Ago(d.Truncate(quarter))
	}
	return age(w, t)
}

// age is how long ago t was, "" when never.
func age(w *model.World, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return model.Ago(w.At.Sub(t))
}

func agoOr(w *model.World, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return age(w, t) + " ago"
}
