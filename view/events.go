package view

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/themes"
)

// Events lists what happened, newest first.
func Events() List {
	severity := func(_ *model.World, e *model.Event) model.Severity { return e.Severity() }
	return &list[*model.Event]{
		info:     Info{Name: "events", Title: "Events", Sources: []string{model.SourceEvents, model.SourceAPI}, Tall: true},
		items:    func(w *model.World) []*model.Event { return w.Events },
		key:      func(e *model.Event) string { return e.UID },
		site:     func(w *model.World, e *model.Event) string { return w.EventSite(e) },
		severity: severity,
		object: func(e *model.Event) Object {
			return Object{Kind: "Event", Cluster: e.Cluster, Namespace: e.Namespace, Name: e.UID}
		},
		in: func(w *model.World, e *model.Event, o Object) bool {
			if o.Kind == "Site" {
				return w.EventSite(e) == o.Name
			}
			return e.Kind == o.Kind && e.Object == o.Name && e.Namespace == o.Namespace && e.Cluster == o.Cluster
		},
		words: func(e *model.Event) string {
			return e.Namespace + " " + e.Kind + "/" + e.Object + " " + e.Reason + " " + e.Message
		},
		columns: []column[*model.Event]{
			mark(severity),
			{ColumnInfo: ColumnInfo{Title: "AGE", Min: 4, Right: true}, cell: func(w *model.World, e *model.Event) Cell { return dim(age(w, e.Last)) },
				compare: func(_ *model.World, a, b *model.Event) int { return b.Last.Compare(a.Last) }},
			{ColumnInfo: ColumnInfo{Title: "REASON", Rank: 1, Min: 12, Ideal: 16, Max: 26}, cell: func(_ *model.World, e *model.Event) Cell { return alert(e.Reason, e.Severity()) }},
			{ColumnInfo: ColumnInfo{Title: "SITE", Rank: 4, Min: 6, Ideal: 9, Max: 20, Middle: true}, cell: func(w *model.World, e *model.Event) Cell { return plain(w.EventSite(e)) }},
			{ColumnInfo: ColumnInfo{Title: "OBJECT", Rank: 1, Min: 10, Ideal: 22, Max: 44, Middle: true}, cell: func(_ *model.World, e *model.Event) Cell { return strong(strings.ToLower(e.Kind) + "/" + e.Object) }},
			{ColumnInfo: ColumnInfo{Title: "×", Rank: 6, Min: 4, Right: true}, cell: eventCount,
				compare: func(_ *model.World, a, b *model.Event) int { return cmp.Compare(a.Count, b.Count) }},
			{ColumnInfo: ColumnInfo{Title: "NAMESPACE", Rank: 7, Min: 9, Max: 20, Middle: true}, cell: func(_ *model.World, e *model.Event) Cell { return dim(e.Namespace) }},
			{ColumnInfo: ColumnInfo{Title: "MESSAGE", Rank: 2, Min: 20, Ideal: 26, Flex: true}, cell: func(_ *model.World, e *model.Event) Cell { return plain(e.Message) }},
		},
		second:  func(_ *model.World, e *model.Event) Line { return Line{dim(e.Message)} },
		note:    func(_ *model.World, e *model.Event) string { return e.Message },
		details: eventDetails,
	}
}

func eventCount(_ *model.World, e *model.Event) Cell {
	if e.Count < 2 {
		return plain("")
	}
	return dim(strconv.Itoa(e.Count))
}

func eventDetails(w *model.World, e *model.Event) []Line {
	d := newDoc(w)
	d.title(Mark(e.Severity()), e.Reason, e.Kind+"/"+e.Object)
	d.lines = append(d.lines, Line{{Text: e.Message, Token: themes.Text}})
	d.field("namespace", e.Namespace)
	d.field("site", w.EventSite(e))
	if n := w.EventNode(e); n != nil {
		d.field("node", n.Name)
	}
	d.field("last", agoOr(w, e.Last))
	d.field("first", agoOr(w, e.First))
	d.field("seen", strconv.Itoa(e.Count)+" times")
	d.field("type", e.Type)
	d.field("reported by", e.Host)
	return d.lines
}
