package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/themes"
)

// WhatIf lists what breaks when each house goes dark.
func WhatIf() List { return whatIfList }

var whatIfList = makeWhatIf()

func makeWhatIf() List {
	severity := func(_ *model.World, v *model.Verdict) model.Severity { return v.Outcome.Severity() }
	return &list[*model.Verdict]{
		info:     Info{Name: "whatif", Title: "What if", Short: "If", Sources: []string{model.SourcePods, model.SourceNodes}, Tall: true},
		items:    func(w *model.World) []*model.Verdict { return w.Verdicts },
		key:      lostNames,
		site:     func(_ *model.World, v *model.Verdict) string { return v.Lost[0] },
		severity: severity,
		object:   func(v *model.Verdict) Object { return Object{Kind: "Site", Name: v.Lost[0]} },
		in:       func(_ *model.World, v *model.Verdict, o Object) bool { return o.Kind != "Site" || v.Lost[0] == o.Name },
		words:    func(v *model.Verdict) string { return lostNames(v) + " " + v.Outcome.String() + " " + v.Why },
		columns: []column[*model.Verdict]{
			mark(severity),
			{ColumnInfo: ColumnInfo{Title: "IF LOST", Min: 7, Ideal: 22, Max: 40, Middle: true}, cell: func(_ *model.World, v *model.Verdict) Cell { return strong(lostNames(v)) }},
			{ColumnInfo: ColumnInfo{Title: "VERDICT", Rank: 1, Min: 11}, cell: func(_ *model.World, v *model.Verdict) Cell { return outcome(v.Outcome) },
				compare: func(_ *model.World, a, b *model.Verdict) int { return cmp.Compare(b.Outcome, a.Outcome) }},
			{ColumnInfo: ColumnInfo{Title: "CONTROL", Rank: 4, Min: 8, Ideal: 9, Max: 11}, cell: func(_ *model.World, v *model.Verdict) Cell { return worst(v.ControlPlane) }},
			{ColumnInfo: ColumnInfo{Title: "WORKLOADS", Rank: 2, Min: 9, Ideal: 16, Max: 24}, cell: func(_ *model.World, v *model.Verdict) Cell { return tally(v.Workloads) }},
			{ColumnInfo: ColumnInfo{Title: "VOLUMES", Rank: 3, Min: 9, Ideal: 14, Max: 24}, cell: func(_ *model.World, v *model.Verdict) Cell { return tally(v.Volumes) }},
			{ColumnInfo: ColumnInfo{Title: "STORE", Rank: 5, Min: 8, Ideal: 9, Max: 11}, cell: func(_ *model.World, v *model.Verdict) Cell { return worst(v.ObjectStore) }},
			{ColumnInfo: ColumnInfo{Title: "BACK", Rank: 3, Min: 5, Right: true}, cell: func(_ *model.World, v *model.Verdict) Cell { return span(v.Recovery) }},
			{ColumnInfo: ColumnInfo{Title: "LOSS", Rank: 5, Min: 5, Right: true}, cell: func(_ *model.World, v *model.Verdict) Cell { return span(v.DataLoss) }},
			{ColumnInfo: ColumnInfo{Title: "WHY", Rank: 6, Min: 16, Ideal: 30, Flex: true}, cell: func(_ *model.World, v *model.Verdict) Cell { return plain(v.Why) }},
		},
		second: func(_ *model.World, v *model.Verdict) Line {
			workloads, volumes := tally(v.Workloads), tally(v.Volumes)
			if survives := outcome(model.Survives).Text; workloads.Text == survives && volumes.Text == survives {
				return Line{dim("workloads and volumes survive")}
			}
			if len(workloads.Text)+len(volumes.Text) > 30 { // else a phone would cut a figure off
				workloads.Text, volumes.Text = cmp.Or(workloads.Short, workloads.Text), cmp.Or(volumes.Short, volumes.Text)
			}
			return Line{workloads, dim(", vols "), volumes}
		},
		note:    func(_ *model.World, v *model.Verdict) string { return v.Why },
		details: verdictDetails,
	}
}

func lostNames(v *model.Verdict) string { return strings.Join(v.Lost, " + ") }

// outcome is one word in the colour of how bad it is.
func outcome(o model.Outcome) Cell {
	c := Cell{Text: o.String()}
	switch o {
	case model.Survives:
		c.Token = themes.OK
	case model.Degraded, model.Interrupted:
		c.Token = themes.Warning
	case model.Undecided:
		c.Token = themes.Unknown
	default:
		c.Token = themes.Critical
	}
	return c
}

// worst is the worst of the parts; "-" for none.
func worst(parts []model.PartVerdict) Cell {
	if len(parts) == 0 {
		return dim("-")
	}
	return outcome(parts[0].Outcome) // they are in that order
}

// tally counts the parts by outcome, worst first: "2 down, 3 interrupted"; for short the
// worst and how many more: "2 down +3".
func tally(parts []model.PartVerdict) Cell {
	words, more := []string{}, 0
	for o := model.DataLost; o > model.Survives; o-- {
		n := 0
		for i := range parts {
			if parts[i].Outcome == o {
				n++
			}
		}
		if n == 0 {
			continue
		}
		if words = append(words, fmt.Sprintf("%d %s", n, o)); len(words) > 1 {
			more += n
		}
	}
	if len(words) == 0 {
		return outcome(model.Survives)
	}
	c := outcome(parts[0].Outcome)
	c.Text, c.Short = strings.Join(words, ", "), words[0]
	if more > 0 {
		c.Short += fmt.Sprintf(" +%d", more)
	}
	return c
}

func span(seconds *float64) Cell {
	if seconds == nil {
		return dim("-")
	}
	return plain(model.Ago(time.Duration(*seconds * float64(time.Second))))
}

func verdictDetails(w *model.World, v *model.Verdict) []Line {
	d := newDoc(w)
	word := outcome(v.Outcome)
	d.lines = append(d.lines, Line{Mark(v.Outcome.Severity()), plain(" "), {Text: "without " + lostNames(v), Token: themes.Title}, plain("  "), word})
	if v.Why != "" {
		d.note(v.Why, v.Outcome.Severity())
	}
	if v.Recovery != nil {
		d.field("back after", span(v.Recovery).Text+", what comes back by itself")
	}
	if v.DataLoss != nil {
		d.field("restored from", span(v.DataLoss).Text+" ago at the oldest")
	}
	if helps, advice := helping(w, v), advised(w, v); len(helps)+len(advice) > 0 {
		d.lines = append(d.lines, nil, Line{{Text: "What would help", Token: themes.Title}, dim(fmt.Sprintf("  %d", len(helps)+len(advice)))})
		for _, f := range helps {
			d.lines = append(d.lines, FixLine(f), Line{plain("  "), dim(f.How)})
		}
		for _, a := range advice {
			d.lines = append(d.lines, Line{plain("+ "), plain(a)})
		}
	}
	for _, s := range v.Sections() {
		d.section(s.Title)
		for _, p := range s.Parts {
			_, name, _ := strings.Cut(p.Object, "/")
			d.row(outcome(p.Outcome), strong(name), dim(p.Why))
		}
		d.end(30)
	}
	d.lines = append(d.lines, nil, Line{dim(fmt.Sprintf("%d workloads and volumes do not notice", v.Untouched))})
	return d.lines
}

// helping lists the fixes that make the loss hurt less.
func helping(w *model.World, v *model.Verdict) []*model.Fix {
	return slices.DeleteFunc(slices.Clone(w.Fixes), func(f *model.Fix) bool {
		return !slices.ContainsFunc(f.Improves, func(e model.Effect) bool { return slices.Equal(e.Lost, v.Lost) })
	})
}

// advised lists what else is advised for parts of the loss, each once.
func advised(w *model.World, v *model.Verdict) []string {
	list := []string{}
	for _, s := range v.Sections() {
		for _, p := range s.Parts {
			tried := slices.ContainsFunc(w.Fixes, func(f *model.Fix) bool { return f.Words(p.Object) == p.Fix })
			if p.Fix != "" && !tried && !slices.Contains(list, p.Fix) {
				list = append(list, p.Fix)
			}
		}
	}
	return list
}

// FixLine says in a line what would help, and how much.
func FixLine(f *model.Fix) Line {
	_, name, _ := strings.Cut(f.Object, "/")
	if f.Kind == model.FixPolicy {
		name = "Longhorn"
	}
	return Line{plain("+ "), strong(name), plain(" "), plain(f.Change + "; " + gains(f))}
}

// gains says what comes of a fix: the greatest gain, how many more, and the price.
func gains(f *model.Fix) string {
	text := effects(f, f.Improves)
	if len(f.Worsens) > 0 {
		text += "; but " + effects(f, f.Worsens)
	}
	return text
}

// effects tells the first, and how many more there are.
func effects(f *model.Fix, list []model.Effect) string {
	e := list[0]
	text := "without " + strings.Join(e.Lost, " + ") + " "
	if e.Object != f.Object {
		_, name, _ := strings.Cut(e.Object, "/")
		text += name + " "
	}
	switch {
	case e.From != e.To:
		text += e.To.String() + ", not " + e.From.String()
	case e.Restorable:
		text += "restorable"
	case e.Fewer > 0:
		text += plural(e.Fewer, "pod") + " fewer missing"
	default:
		text += plural(-e.Fewer, "pod") + " more missing"
	}
	if more := len(list) - 1; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}

// WeakestLine says whose loss hurts most, and how; nil when no house's does.
func WeakestLine(w *model.World) Line {
	v := w.Weakest()
	if v == nil {
		return nil
	}
	return Line{plain("weakest link: "), strong(lostNames(v)), plain(" "), {Text: v.Outcome.String() + ": " + v.Why, Token: outcome(v.Outcome).Token}}
}
