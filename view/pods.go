package view

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
)

// Pods lists the pods.
func Pods() List { return podsList }

var podsList = makePods()

func makePods() List {
	severity := func(w *model.World, p *model.Pod) model.Severity { return w.PodSeverity(p) }
	return &list[*model.Pod]{
		info:     Info{Name: "pods", Title: "Pods", Sources: []string{model.SourcePods, model.SourceAPI}},
		items:    func(w *model.World) []*model.Pod { return w.Pods },
		key:      func(p *model.Pod) string { return p.UID },
		site:     func(w *model.World, p *model.Pod) string { return w.PodSite(p) },
		severity: severity,
		object: func(p *model.Pod) Object {
			return Object{Kind: "Pod", Cluster: p.Cluster, Namespace: p.Namespace, Name: p.Name}
		},
		in: podIn,
		words: func(p *model.Pod) string {
			return p.Namespace + " " + p.Name + " " + p.Status + " " + p.Node + " " + p.IP
		},
		columns: []column[*model.Pod]{
			mark(severity),
			{ColumnInfo: ColumnInfo{Title: "POD", Min: 14, Ideal: 26, Max: 50, Middle: true}, cell: func(_ *model.World, p *model.Pod) Cell { return strong(p.Name) },
				compare: func(_ *model.World, a, b *model.Pod) int { return cmp.Compare(a.Name, b.Name) }},
			{ColumnInfo: ColumnInfo{Title: "NAMESPACE", Rank: 4, Min: 9, Ideal: 12, Max: 24, Middle: true}, cell: func(_ *model.World, p *model.Pod) Cell { return plain(p.Namespace) },
				compare: func(_ *model.World, a, b *model.Pod) int { return cmp.Compare(a.Namespace, b.Namespace) }},
			{ColumnInfo: ColumnInfo{Title: "STATUS", Rank: 1, Min: 9, Ideal: 12, Max: 26}, cell: podState,
				compare: func(_ *model.World, a, b *model.Pod) int { return cmp.Compare(a.Status, b.Status) }},
			{ColumnInfo: ColumnInfo{Title: "READY", Rank: 3, Min: 5, Right: true}, cell: podReady,
				compare: func(_ *model.World, a, b *model.Pod) int {
					return cmp.Or(cmp.Compare(a.Up, b.Up), cmp.Compare(a.Containers, b.Containers))
				}},
			{ColumnInfo: ColumnInfo{Title: "SITE", Rank: 2, Min: 6, Ideal: 9, Max: 20, Middle: true}, cell: func(w *model.World, p *model.Pod) Cell { return plain(w.PodSite(p)) },
				compare: func(w *model.World, a, b *model.Pod) int { return cmp.Compare(w.PodSite(a), w.PodSite(b)) }},
			{ColumnInfo: ColumnInfo{Title: "NODE", Rank: 5, Min: 8, Ideal: 12, Max: 30, Middle: true}, cell: func(_ *model.World, p *model.Pod) Cell { return plain(p.Node) },
				compare: func(_ *model.World, a, b *model.Pod) int { return cmp.Compare(a.Node, b.Node) }},
			{ColumnInfo: ColumnInfo{Title: "RESTARTS", Rank: 6, Min: 8, Max: 12, Right: true}, cell: podRestarts,
				compare: func(_ *model.World, a, b *model.Pod) int { return cmp.Compare(a.Restarts, b.Restarts) }},
			{ColumnInfo: ColumnInfo{Title: "AGE", Rank: 3, Min: 4, Right: true}, cell: func(w *model.World, p *model.Pod) Cell { return dim(age(w, p.Created)) },
				compare: func(_ *model.World, a, b *model.Pod) int { return b.Created.Compare(a.Created) }},
			{ColumnInfo: ColumnInfo{Title: "IP", Rank: 8, Min: 11, Max: 15}, cell: func(_ *model.World, p *model.Pod) Cell { return dim(p.IP) },
				compare: func(_ *model.World, a, b *model.Pod) int { return cmp.Compare(a.IP, b.IP) }},
			{ColumnInfo: ColumnInfo{Title: "WHY", Rank: 7, Min: 16, Ideal: 30, Flex: true}, cell: podWhy,
				compare: func(_ *model.World, a, b *model.Pod) int { return cmp.Compare(a.Message, b.Message) }},
		},
		note:    podTrouble,
		details: podDetails,
	}
}

// podIn reports whether the pod belongs to a site, a node or a workload.
func podIn(w *model.World, p *model.Pod, o Object) bool {
	switch o.Kind {
	case "Site":
		return w.PodSite(p) == o.Name
	case "Node":
		return p.Node == o.Name && p.Cluster == o.Cluster
	default:
		wl := w.WorkloadOf(p)
		return wl != nil && wl.Kind == o.Kind && wl.Name == o.Name && wl.Namespace == o.Namespace && wl.Cluster == o.Cluster
	}
}

func podState(w *model.World, p *model.Pod) Cell {
	word, sev := w.PodWord(p), w.PodSeverity(p)
	switch {
	case sev == model.OK && p.Finished():
		return dim(word)
	case sev == model.OK && !p.Ready:
		return Cell{Text: word, Token: themes.Accent}
	default:
		return alert(word, sev)
	}
}

func podReady(w *model.World, p *model.Pod) Cell {
	s := fmt.Sprintf("%d/%d", p.Up, p.Containers)
	if p.Finished() {
		return dim(s)
	}
	return alert(s, w.PodSeverity(p))
}

func podRestarts(w *model.World, p *model.Pod) Cell {
	if p.Restarts > 0 && !p.RestartAt.IsZero() {
		return plain(fmt.Sprintf("%d %s", p.Restarts, age(w, p.RestartAt)))
	}
	return count(p.Restarts)
}

func podWhy(w *model.World, p *model.Pod) Cell { return alert(podTrouble(w, p), w.PodSeverity(p)) }

// podTrouble says why the pod is not ready, "" when it is.
func podTrouble(w *model.World, p *model.Pod) string {
	if w.PodSeverity(p) == model.OK || p.Finished() {
		return ""
	}
	if n := w.Node(p.Cluster, p.Node); n != nil && !n.Alive() {
		return n.Name + " is " + NodeWord(n)
	}
	return p.Message
}

func podDetails(w *model.World, p *model.Pod) []Line {
	d := newDoc(w)
	sev := w.PodSeverity(p)
	d.title(Mark(sev), p.Name, w.PodWord(p))
	if why := podTrouble(w, p); why != "" {
		d.note(why, sev)
	}
	d.field("namespace", p.Namespace)
	if wl := w.WorkloadOf(p); wl != nil && wl.Kind != "Pod" {
		d.field("part of", wl.Kind+" "+wl.Name)
	}
	d.field("site", w.PodSite(p))
	d.field("node", p.Node)
	d.field("ip", p.IP)
	d.field("ready", fmt.Sprintf("%d of %d containers", p.Up, p.Containers))
	d.field("restarts", strings.TrimSpace(strconv.Itoa(p.Restarts)+" "+bracket(agoOr(w, p.RestartAt))))
	d.field("created", agoOr(w, p.Created))
	if p.Terminating() {
		d.field("to be gone", agoOr(w, p.DeleteAt))
	}
	d.field("claims", strings.Join(p.Claims, ", "))
	if p.Spec != nil {
		podSpecDetails(d, p.Spec)
	}
	d.events(func(e *model.Event) bool {
		return e.Kind == "Pod" && e.Object == p.Name && e.Namespace == p.Namespace && e.Cluster == p.Cluster
	})
	d.section("Labels")
	for _, k := range slices.Sorted(maps.Keys(p.Labels)) {
		d.row(dim(k), plain(p.Labels[k]))
	}
	d.end(40)
	return d.lines
}

func podSpecDetails(d *doc, s *model.PodSpec) {
	d.field("requests", fmt.Sprintf("%s cpu, %s memory", text.CPU(s.Requests.MilliCPU), text.Bytes(s.Requests.MemoryBytes)))
	for _, k := range slices.Sorted(maps.Keys(s.NodeSelector)) {
		d.field("node selector", k+"="+s.NodeSelector[k])
	}
	for _, c := range s.Spread {
		d.field("spread", fmt.Sprintf("by %s, skew %d, %s", c.TopologyKey, c.MaxSkew, c.WhenUnsatisfiable))
	}
	d.section("Containers")
	for _, c := range s.Containers {
		kind := ""
		switch {
		case c.Sidecar:
			kind = "sidecar"
		case c.Init:
			kind = "init"
		}
		d.row(strong(c.Name), dim(kind), plain(c.Image))
	}
	d.end(30)
}

func bracket(s string) string {
	if s == "" {
		return ""
	}
	return "(last " + s + ")"
}
