package view

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
)

// Sites lists the houses: the home pane.
func Sites() List { return sitesList }

var sitesList = makeSites()

func makeSites() List {
	severity := func(_ *model.World, s *model.Site) model.Severity { return s.Severity() }
	return &list[*model.Site]{
		info:     Info{Name: "sites", Title: "Sites", Sources: []string{model.SourceNodes, model.SourceAPI}, Tall: true},
		items:    func(w *model.World) []*model.Site { return w.Sites },
		key:      func(s *model.Site) string { return s.Name },
		site:     func(_ *model.World, s *model.Site) string { return s.Name },
		severity: severity,
		object:   func(s *model.Site) Object { return Object{Kind: "Site", Name: s.Name} },
		in:       func(_ *model.World, s *model.Site, o Object) bool { return o.Kind != "Site" || o.Name == s.Name },
		words: func(s *model.Site) string {
			return s.Name + " " + s.Region + " " + string(s.Status) + " " + s.Cause.Words()
		},
		columns: []column[*model.Site]{
			mark(severity),
			{ColumnInfo: ColumnInfo{Title: "SITE", Min: 6, Ideal: 12, Max: 24, Middle: true}, cell: func(_ *model.World, s *model.Site) Cell { return strong(s.Name) }},
			{ColumnInfo: ColumnInfo{Title: "STATE", Rank: 1, Min: 8}, cell: func(_ *model.World, s *model.Site) Cell { return alert(SiteWord(s), s.Severity()) }},
			{ColumnInfo: ColumnInfo{Title: "NODES", Rank: 1, Min: 5, Right: true}, cell: siteNodes,
				compare: func(_ *model.World, a, b *model.Site) int {
					return cmp.Or(cmp.Compare(a.Ready, b.Ready), cmp.Compare(a.Nodes, b.Nodes))
				}},
			{ColumnInfo: ColumnInfo{Title: "CP", Rank: 4, Min: 2, Right: true},
				cell:    func(_ *model.World, s *model.Site) Cell { return plain(strconv.Itoa(s.ControlPlanes)) },
				compare: func(_ *model.World, a, b *model.Site) int { return cmp.Compare(a.ControlPlanes, b.ControlPlanes) }},
			{ColumnInfo: ColumnInfo{Title: "PEERS", Rank: 5, Min: 5, Right: true}, cell: sitePeers},
			{ColumnInfo: ColumnInfo{Title: "PODS", Rank: 2, Min: 7, Right: true}, cell: sitePods,
				compare: func(_ *model.World, a, b *model.Site) int { return cmp.Compare(a.Pods, b.Pods) }},
			{ColumnInfo: ColumnInfo{Title: "CPU", Rank: 3, Min: 4, Ideal: 8, Max: 14, Right: true, Gauge: true}, titleOf: loadTitle("CPU"),
				cell:    func(w *model.World, s *model.Site) Cell { return siteLoad(w, s, siteCPU(s)) },
				compare: func(_ *model.World, a, b *model.Site) int { return compareLoad(siteCPU, a, b) }},
			{ColumnInfo: ColumnInfo{Title: "MEM", Rank: 3, Min: 4, Ideal: 8, Max: 14, Right: true, Gauge: true}, titleOf: loadTitle("MEM"),
				cell:    func(w *model.World, s *model.Site) Cell { return siteLoad(w, s, siteMemory(s)) },
				compare: func(_ *model.World, a, b *model.Site) int { return compareLoad(siteMemory, a, b) }},
			{ColumnInfo: ColumnInfo{Title: "IF LOST", Rank: 1, Min: 6, Ideal: 11}, cell: func(w *model.World, s *model.Site) Cell { return siteVerdict(w, s.Name) }},
			{ColumnInfo: ColumnInfo{Title: "REGION", Rank: 8, Min: 6, Ideal: 9, Max: 14}, cell: func(_ *model.World, s *model.Site) Cell { return dim(s.Region) }},
			{ColumnInfo: ColumnInfo{Title: "SINCE", Rank: 6, Min: 5, Right: true}, cell: func(w *model.World, s *model.Site) Cell { return dim(age(w, s.Since)) },
				compare: func(_ *model.World, a, b *model.Site) int { return b.Since.Compare(a.Since) }},
			{ColumnInfo: ColumnInfo{Title: "CAUSE", Rank: 5, Min: 10, Ideal: 24, Flex: true}, cell: func(w *model.World, s *model.Site) Cell { return alert(s.Words(w.At), s.Severity()) }},
		},
		second:  siteSecond,
		note:    func(w *model.World, s *model.Site) string { return s.Words(w.At) },
		details: siteDetails,
	}
}

// siteVerdict is what breaks when the site goes dark, in a word.
func siteVerdict(w *model.World, site string) Cell {
	if v := w.Verdict(site); v != nil {
		return outcome(v.Outcome)
	}
	return dim("?")
}

// SiteWord is the site's state as one word for people.
func SiteWord(s *model.Site) string {
	switch {
	case s.Status == model.SiteDark:
		return "DARK"
	case s.Status == model.SiteDown:
		return "DOWN"
	case s.Status == model.SiteUnknown && s.LastKnown == model.SiteDark:
		return "?was dark"
	case s.Status == model.SiteUnknown:
		return "unknown"
	case s.Status == model.SiteOK && s.Cordoned == s.Nodes:
		return "cordoned"
	default:
		return string(s.Status)
	}
}

func siteNodes(_ *model.World, s *model.Site) Cell {
	if s.Inferred() {
		return Cell{Text: fmt.Sprintf("?/%d", s.Nodes), Token: themes.Unknown}
	}
	return alert(fmt.Sprintf("%d/%d", s.Ready, s.Nodes), worseThan(s.Ready < s.Nodes, s.Severity()))
}

// sitePeers is how many of the site's machines answer on the tailnet, of those asked.
func sitePeers(_ *model.World, s *model.Site) Cell {
	if s.PeersOnline == nil {
		return dim("-")
	}
	return alert(fmt.Sprintf("%d/%d", *s.PeersOnline, s.PeersAsked), worseThan(*s.PeersOnline < s.PeersAsked, s.Severity()))
}

func sitePods(w *model.World, s *model.Site) Cell {
	if !w.Knows(model.SourcePods) || s.Inferred() {
		return unknown
	}
	return alert(text.Count(s.PodsReady)+"/"+text.Count(s.Pods), worseThan(s.PodsReady < s.Pods, model.Warning))
}

// worseThan gives the severity when there is trouble, OK otherwise.
func worseThan(trouble bool, sev model.Severity) model.Severity {
	if trouble {
		return max(sev, model.Warning)
	}
	return model.OK
}

// share is how much of something is used, and whether that was measured or is
// only what pods asked for.
type share struct {
	part, whole int64
	measured    bool
}

func siteCPU(s *model.Site) share {
	if s.Usage != nil {
		return share{s.Usage.MilliCPU, s.Capacity.MilliCPU, true}
	}
	return share{s.Requested.MilliCPU, s.Capacity.MilliCPU, false}
}

func siteMemory(s *model.Site) share {
	if s.Usage != nil {
		return share{s.Usage.MemoryBytes, s.Capacity.MemoryBytes, true}
	}
	return share{s.Requested.MemoryBytes, s.Capacity.MemoryBytes, false}
}

const (
	highLoad = 80 // per cent
	fullLoad = 95
)

// load draws a share as a gauge with its per cent.
func load(s share) Cell {
	c := Cell{Text: text.Percent(s.part, s.whole), Part: s.part, Whole: s.whole}
	switch {
	case !s.measured:
		c.Token = themes.Dim
	case s.whole > 0 && s.part*100 >= fullLoad*s.whole:
		c.Token = themes.Critical
	case s.whole > 0 && s.part*100 >= highLoad*s.whole:
		c.Token = themes.Warning
	}
	return c
}

// loadIn is load where the figures are known: what pods ask for is not when the
// pods could not be read, nor meant while the measured load may still come.
func loadIn(w *model.World, s share) Cell {
	if !s.measured && (!w.Knows(model.SourcePods) || w.Awaits(model.SourceNodeUsage)) {
		return unknown
	}
	return load(s)
}

func siteLoad(w *model.World, s *model.Site, load share) Cell {
	if s.Inferred() {
		return unknown
	}
	return loadIn(w, load)
}

// unknown stands for a figure nobody could look up.
var unknown = Cell{Text: "?", Token: themes.Unknown}

func compareLoad[T any](of func(T) share, a, b T) int {
	x, y := of(a), of(b)
	return cmp.Compare(float64(x.part)/float64(max(1, x.whole)), float64(y.part)/float64(max(1, y.whole)))
}

// loadTitle says whether a load column shows what was measured or requested.
func loadTitle(what string) func(*model.World) string {
	return func(w *model.World) string {
		for _, s := range w.Sources {
			if s.Name == model.SourceNodeUsage && (s.Items > 0 || !s.Status.Settled()) {
				return what
			}
		}
		return what + " req"
	}
}

// siteSecond is the second line on a phone: the cause when there is one, else
// the load.
func siteSecond(w *model.World, s *model.Site) Line {
	if words := s.Words(w.At); words != "" {
		return Line{alert(words, s.Severity())}
	}
	pods := dim("  " + text.Count(s.Pods) + " pods")
	if !w.Knows(model.SourcePods) {
		pods = dim("  pods unknown")
	}
	return Line{dim("cpu "), loadIn(w, siteCPU(s)), dim("  mem "), loadIn(w, siteMemory(s)), pods}
}

// siteTrail names a figure of the site's.
func siteTrail(s *model.Site, figure string) model.TrailOf {
	return model.TrailOf{Kind: "Site", Name: s.Name, Figure: figure}
}

// siteDetails keeps its facts in their places when the house dies: on a slow link what
// moves is paid for anew.
func siteDetails(w *model.World, s *model.Site) []Line {
	d := newDoc(w)
	d.title(Mark(s.Severity()), s.Name, SiteWord(s))
	if words := s.Words(w.At); words != "" {
		d.note(words, s.Severity())
	} else {
		d.field("region", s.Region)
		d.field("since", agoOr(w, s.Since))
	}
	d.field("nodes", fmt.Sprintf("%d of %d ready, %d cordoned", s.Ready, s.Nodes, s.Cordoned))
	d.field("control plane", plural(s.ControlPlanes, "server")+", "+plural(s.Voters, "etcd voter"))
	if s.PeersOnline != nil {
		d.field("tailnet", fmt.Sprintf("%d of %d machines answer", *s.PeersOnline, s.PeersAsked))
	}
	d.field("public", strings.Join(w.PublicAddresses(s.Name), ", "))
	d.field("pods", fmt.Sprintf("%d of %d ready", s.PodsReady, s.Pods))
	if used, capacity := w.SiteStorage(s.Name); capacity > 0 {
		d.field("storage", text.Bytes(used)+" used of "+text.Bytes(capacity))
	}
	d.siteFigures(s)
	if v := w.Verdict(s.Name); v != nil {
		why := ""
		if v.Outcome != model.Survives {
			why = ": " + v.Why
		}
		d.field("if lost", v.Outcome.String()+why)
	}
	d.section("Nodes")
	for _, n := range w.Nodes {
		if n.Site == s.Name {
			d.row(Mark(nodeSeverity(n)), strong(n.Name), alert(NodeWord(n), nodeSeverity(n)), dim(strings.Join(nodeTrouble(n), ", ")))
		}
	}
	d.end(20)
	d.section("Not well here")
	for _, p := range w.Pods {
		if w.PodSite(p) == s.Name && w.PodSeverity(p) != model.OK && (s.Status != model.SiteDark || !onDead(w, p)) {
			d.pod(p)
		}
	}
	d.end(20)
	d.eventsOfMany(func(e *model.Event) bool {
		return w.EventSite(e) == s.Name && (s.Status == model.SiteOK || e.Severity() != model.OK)
	}, 10)
	return d.lines
}

// siteFigures are how much of the site is used and how far it is, now and lately.
func (d *doc) siteFigures(s *model.Site) {
	w := d.world
	d.field("cpu", amounts(siteCPU(s), s.Requested.MilliCPU, s.Capacity.MilliCPU, text.CPU))
	if s.Ready > 0 {
		d.trend(siteTrail(s, model.TrailCPU), percent)
	}
	d.field("memory", amounts(siteMemory(s), s.Requested.MemoryBytes, s.Capacity.MemoryBytes, text.Bytes))
	if s.Ready > 0 {
		d.trend(siteTrail(s, model.TrailMemory), percent)
	}
	for _, l := range w.Links {
		if l.To == s.Name && l.Answering > 0 && w.Link(l.From, l.To) == l {
			how := "by " + l.Source
			if l.Path != model.PathUnknown {
				how = pathCell(l.Path, strings.Join(l.Via, " ")).Text
			}
			d.field("from "+l.From, millis(l.RTT)+" "+how)
			d.linkTrends(l)
		}
	}
}

// onDead reports whether the pod is on a machine that gives no sign of life: what it
// lacks then is the machine.
func onDead(w *model.World, p *model.Pod) bool {
	n := w.Node(p.Cluster, p.Node)
	return n != nil && !n.Alive()
}

// nodeTrouble is what is the matter with a machine besides what its state says.
func nodeTrouble(n *model.Node) []string {
	if n.Alive() {
		return n.Problems
	}
	return nil
}

// amounts says in one line what is used, asked for and there.
func amounts(s share, requested, capacity int64, format func(int64) string) string {
	out := ""
	if s.measured {
		out = fmt.Sprintf("%s used (%s), ", format(s.part), text.Percent(s.part, s.whole))
	}
	if capacity == 0 {
		return format(requested) + " requested, no machine alive to give it"
	}
	return out + fmt.Sprintf("%s requested (%s) of %s", format(requested), text.Percent(requested, capacity), format(capacity))
}
