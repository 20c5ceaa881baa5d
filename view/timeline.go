package view

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/themes"
)

// moment is a row of the timeline: what changed, or an event of Kubernetes; of each
// as many as came together, as when all machines of a house go at once.
type moment struct {
	at      time.Time
	place   string          // its site
	events  []*model.Event  // of one reason and kind; none where there are changes
	changes []*model.Change // of one kind, aspect and new state
}

// together is how far apart happenings of the same sort may be for one row.
const together = time.Minute

// moments joins changes and events, newest first.
func moments(w *model.World) []*moment {
	type sort struct{ cluster, site, kind, what, aspect string }
	all := make([]*moment, 0, len(w.Timeline)+len(w.Events))
	open := map[sort]*moment{}
	at := func(of sort, at time.Time) *moment {
		m := open[of]
		if m == nil || m.at.Sub(at) > together {
			m = &moment{at: at, place: of.site}
			open[of], all = m, append(all, m)
		}
		return m
	}
	for _, c := range w.Timeline {
		m := at(sort{c.Cluster, c.Site, c.Kind, c.Now, string(c.Aspect)}, c.At)
		m.changes = append(m.changes, c)
	}
	for _, e := range w.Events {
		m := at(sort{e.Cluster, w.EventSite(e), e.Kind, e.Reason, "event " + e.Type}, e.Last)
		m.events = append(m.events, e)
	}
	// What came at the same moment stays in order: causes before what follows.
	slices.SortStableFunc(all, func(a, b *moment) int { return b.at.Compare(a.at) })
	return all
}

// Timeline lists what happened, newest first: what changed, and Kubernetes' events.
func Timeline() List { return timelineList }

var timelineList = makeTimeline()

func makeTimeline() List {
	return &list[*moment]{
		info:     Info{Name: "timeline", Title: "Timeline", Short: "Time", Sources: []string{model.SourceAPI}, Tall: true},
		items:    moments,
		key:      (*moment).key,
		site:     func(_ *model.World, m *moment) string { return m.place },
		severity: func(_ *model.World, m *moment) model.Severity { return m.severity() },
		object:   (*moment).self,
		in: func(_ *model.World, m *moment, o Object) bool {
			if o.Kind == "Site" {
				return m.place == o.Name
			}
			return m.belongs(o)
		},
		words: func(m *moment) string {
			return m.namespace() + " " + m.object() + " " + m.what() + " " + m.message(time.Time{})
		},
		columns: []column[*moment]{
			mark(func(_ *model.World, m *moment) model.Severity { return m.severity() }),
			{ColumnInfo: ColumnInfo{Title: "AGE", Min: 4, Right: true}, cell: momentAge,
				compare: func(_ *model.World, a, b *moment) int { return b.at.Compare(a.at) }},
			{ColumnInfo: ColumnInfo{Title: "WHAT", Rank: 1, Min: 12, Ideal: 16, Max: 26}, cell: func(_ *model.World, m *moment) Cell { return alert(m.what(), m.severity()) }},
			{ColumnInfo: ColumnInfo{Title: "SITE", Rank: 4, Min: 6, Ideal: 9, Max: 20, Middle: true}, cell: func(_ *model.World, m *moment) Cell { return plain(m.place) }},
			{ColumnInfo: ColumnInfo{Title: "OBJECT", Rank: 1, Min: 10, Ideal: 22, Max: 44, Middle: true}, cell: func(_ *model.World, m *moment) Cell { return strong(m.object()) }},
			{ColumnInfo: ColumnInfo{Title: "×", Rank: 6, Min: 4, Right: true}, cell: func(_ *model.World, m *moment) Cell { return dim(m.times()) },
				compare: func(_ *model.World, a, b *moment) int { return cmp.Compare(a.count(), b.count()) }},
			{ColumnInfo: ColumnInfo{Title: "NAMESPACE", Rank: 7, Min: 9, Max: 20, Middle: true}, cell: func(_ *model.World, m *moment) Cell { return dim(m.namespace()) }},
			{ColumnInfo: ColumnInfo{Title: "MESSAGE", Rank: 2, Min: 20, Ideal: 26, Flex: true}, cell: func(w *model.World, m *moment) Cell { return plain(m.message(w.At)) }},
		},
		second:  func(w *model.World, m *moment) Line { return Line{dim(m.message(w.At))} },
		note:    func(w *model.World, m *moment) string { return m.message(w.At) },
		details: momentDetails,
	}
}

// Unseen counts what happened since somebody last looked, nought where that is not
// known.
func Unseen(w *model.World) (all int) {
	if w.LookedAt.IsZero() {
		return 0
	}
	for _, m := range moments(w) {
		if m.unseen(w) {
			all++
		}
	}
	return all
}

func (m *moment) unseen(w *model.World) bool {
	return !w.LookedAt.IsZero() && m.at.After(w.LookedAt)
}

// momentAge stars what came since somebody last looked.
func momentAge(w *model.World, m *moment) Cell {
	if m.unseen(w) {
		return plain("*" + aged(w, m.at))
	}
	return dim(aged(w, m.at))
}

// key is that of the eldest: others may yet join it.
func (m *moment) key() string {
	if n := len(m.events); n > 0 {
		return m.events[n-1].UID
	}
	c := m.changes[len(m.changes)-1]
	return strings.Join([]string{c.At.UTC().Format(time.RFC3339Nano), c.Cluster, c.Kind, c.Namespace, c.Name, string(c.Aspect)}, "/")
}

func (m *moment) severity() (worst model.Severity) {
	for _, e := range m.events {
		worst = max(worst, e.Severity())
	}
	for _, c := range m.changes {
		worst = max(worst, c.Severity)
	}
	return worst
}

func (m *moment) what() string {
	if len(m.events) > 0 {
		return m.events[0].Reason
	}
	return m.changes[0].Now
}

// names are those of what it happened to, each once.
func (m *moment) names() []string {
	names := []string{}
	for _, e := range m.events {
		names = append(names, e.Object)
	}
	for _, c := range m.changes {
		name := c.Name
		if c.Kind == "Peer" { // its tailnet goes without saying
			name, _, _ = strings.Cut(name, ".")
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (m *moment) kind() string {
	if len(m.events) > 0 {
		return strings.ToLower(m.events[0].Kind)
	}
	return strings.ToLower(m.changes[0].Kind)
}

// namespace is that of all of it, empty where they are in several.
func (m *moment) namespace() string {
	all := []string{}
	for _, e := range m.events {
		all = append(all, e.Namespace)
	}
	for _, c := range m.changes {
		all = append(all, c.Namespace)
	}
	slices.Sort(all)
	if all = slices.Compact(all); len(all) > 1 {
		return ""
	}
	return all[0]
}

// object is what it happened to: "node/moka-1", or "3 nodes".
func (m *moment) object() string {
	names := m.names()
	if len(names) > 1 {
		return plural(len(names), m.kind())
	}
	return m.kind() + "/" + names[0]
}

// count is how often events came; 0 for changes.
func (m *moment) count() (n int) {
	for _, e := range m.events {
		n += e.Count
	}
	return n
}

// self is what the row itself is: an Event, or a Change.
func (m *moment) self() Object {
	kind := "Change"
	if len(m.events) > 0 {
		kind = "Event"
	}
	return Object{Kind: kind, Name: m.key(), Title: m.object()}
}

// times tells how often events came, where that is more than what they name.
func (m *moment) times() string {
	if n := m.count(); n > len(m.names()) {
		return strconv.Itoa(n)
	}
	return ""
}

// message says what else there is to say; with a time, how sure its moment is.
func (m *moment) message(now time.Time) string {
	parts := []string{}
	names := m.names()
	if len(names) > 1 {
		parts = append(parts, strings.Join(names, ", "))
	}
	if len(m.events) > 0 {
		said := m.events[0].Message
		if len(names) == 1 || !slices.ContainsFunc(m.events, func(e *model.Event) bool { return e.Message != said }) {
			parts = append(parts, said)
		}
		return strings.Join(parts, ": ")
	}
	c := m.changes[0]
	if len(names) == 1 && c.Why != "" {
		parts = append(parts, c.Why)
	}
	if c.Was != "" {
		parts = append(parts, "was "+c.Was)
	}
	if !c.After.IsZero() && !now.IsZero() {
		parts = append(parts, "some time in "+model.Ago(c.At.Sub(c.After)))
	}
	return strings.Join(parts, "; ")
}

// belongs reports whether any of it happened to the object.
func (m *moment) belongs(o Object) bool {
	return slices.ContainsFunc(m.events, func(e *model.Event) bool {
		return e.Kind == o.Kind && e.Object == o.Name && e.Namespace == o.Namespace && e.Cluster == o.Cluster
	}) || slices.ContainsFunc(m.changes, func(c *model.Change) bool {
		return c.Kind == o.Kind && c.Name == o.Called() && c.Namespace == o.Namespace && c.Cluster == o.Cluster
	})
}

// moments are shown in UTC like all of geotop's times.
const (
	dayClock = "2006-01-02 15:04:05 UTC"
	clock    = "15:04:05"
)

func momentDetails(w *model.World, m *moment) []Line {
	d := newDoc(w)
	d.title(Mark(m.severity()), m.what(), m.object())
	if m.unseen(w) {
		d.note("since you last looked, "+agoOr(w, w.LookedAt), model.OK)
	}
	d.field("when", m.at.UTC().Format(dayClock)+", "+agoOr(w, m.at))
	d.field("site", m.place)
	d.field("namespace", m.namespace())
	if len(m.events) > 0 {
		m.eventDetails(d)
		return d.lines
	}
	c := m.changes[0]
	if !c.After.IsZero() {
		d.field("not before", c.After.UTC().Format(dayClock))
	}
	d.field("was", c.Was)
	d.field("why", c.Why)
	if len(m.changes) > 1 {
		d.section("What changed so")
		for _, c := range m.changes {
			d.row(Mark(c.Severity), dim(c.At.UTC().Format(clock)), strong(c.Name), plain(c.Why))
		}
		d.end(len(m.changes))
	}
	return d.lines
}

func (m *moment) eventDetails(d *doc) {
	if len(m.events) > 1 {
		d.section("Events")
		for _, e := range m.events {
			d.row(Mark(e.Severity()), dim(e.Last.UTC().Format(clock)), strong(e.Object), plain(e.Message))
		}
		d.end(len(m.events))
		return
	}
	e := m.events[0]
	if n := d.world.EventNode(e); n != nil {
		d.field("node", n.Name)
	}
	d.field("first", agoOr(d.world, e.First))
	d.field("seen", strconv.Itoa(e.Count)+" times")
	d.field("type", e.Type)
	d.field("reported by", e.Host)
	d.lines = append(d.lines, nil, Line{{Text: e.Message, Token: themes.Text}})
}
