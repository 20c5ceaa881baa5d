package view

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/themes"
)

// Workloads lists what runs, by its owner at the top, and where.
func Workloads() List { return workloadsList }

var workloadsList = makeWorkloads()

func makeWorkloads() List {
	severity := func(_ *model.World, wl *model.Workload) model.Severity { return wl.Severity() }
	return &list[*model.Workload]{
		info:     Info{Name: "workloads", Title: "Workloads", Short: "Work", Sources: []string{model.SourcePods, "kube/deployments", model.SourceAPI}},
		items:    func(w *model.World) []*model.Workload { return w.Workloads },
		key:      func(wl *model.Workload) string { return wl.Cluster + "/" + wl.Object() },
		site:     workloadSite,
		severity: severity,
		object: func(wl *model.Workload) Object {
			return Object{Kind: wl.Kind, Cluster: wl.Cluster, Namespace: wl.Namespace, Name: wl.Name}
		},
		in: func(_ *model.World, wl *model.Workload, o Object) bool {
			return o.Kind == "Site" && wl.BySite.Has(o.Name)
		},
		words: func(wl *model.Workload) string {
			return strings.Join([]string{wl.Namespace, wl.Name, wl.Kind, string(wl.State), wl.Why, wl.BySite.String()}, " ")
		},
		columns: []column[*model.Workload]{
			mark(severity),
			{ColumnInfo: ColumnInfo{Title: "WORKLOAD", Min: 10, Ideal: 18, Max: 40, Middle: true}, cell: func(_ *model.World, wl *model.Workload) Cell { return strong(wl.Name) }},
			{ColumnInfo: ColumnInfo{Title: "NAMESPACE", Rank: 4, Min: 9, Ideal: 12, Max: 24, Middle: true}, cell: func(_ *model.World, wl *model.Workload) Cell { return plain(wl.Namespace) }},
			{ColumnInfo: ColumnInfo{Title: "KIND", Rank: 7, Min: 10, Ideal: 11, Max: 16}, cell: func(_ *model.World, wl *model.Workload) Cell { return dim(wl.Kind) }},
			{ColumnInfo: ColumnInfo{Title: "READY", Rank: 1, Min: 5, Right: true}, cell: workloadReady,
				compare: func(_ *model.World, a, b *model.Workload) int {
					return cmp.Or(cmp.Compare(a.Ready, b.Ready), cmp.Compare(a.Desired, b.Desired))
				}},
			{ColumnInfo: ColumnInfo{Title: "STATE", Rank: 1, Min: 8}, cell: func(_ *model.World, wl *model.Workload) Cell { return workloadState(wl) }},
			{ColumnInfo: ColumnInfo{Title: "WHERE", Rank: 2, Min: 6, Ideal: 9, Max: 40}, cell: workloadWhere},
			{ColumnInfo: ColumnInfo{Title: "RESTARTS", Rank: 8, Min: 8, Right: true}, cell: func(_ *model.World, wl *model.Workload) Cell { return count(wl.Restarts) },
				compare: func(_ *model.World, a, b *model.Workload) int { return cmp.Compare(a.Restarts, b.Restarts) }},
			{ColumnInfo: ColumnInfo{Title: "AGE", Rank: 5, Min: 4, Right: true}, cell: func(w *model.World, wl *model.Workload) Cell { return dim(age(w, wl.Created)) },
				compare: func(_ *model.World, a, b *model.Workload) int { return b.Created.Compare(a.Created) }},
			{ColumnInfo: ColumnInfo{Title: "WHY", Rank: 6, Min: 12, Ideal: 30, Flex: true}, cell: func(_ *model.World, wl *model.Workload) Cell { return alert(wl.Why, wl.Severity()) }},
		},
		note:    func(_ *model.World, wl *model.Workload) string { return wl.Why },
		details: workloadDetails,
	}
}

// workloadSite is the one site the workload runs in, "" for several.
func workloadSite(_ *model.World, wl *model.Workload) string {
	if len(wl.BySite) == 1 {
		return wl.BySite[0].Site
	}
	return ""
}

func workloadReady(_ *model.World, wl *model.Workload) Cell {
	if wl.State == model.WorkloadUnknown {
		return unknown
	}
	s := fmt.Sprintf("%d/%d", wl.Ready, wl.Desired)
	switch wl.State {
	case model.WorkloadIdle, model.WorkloadDone:
		return dim(s)
	default:
		return alert(s, worseThan(wl.Ready < wl.Desired && wl.State != model.WorkloadStarting, wl.Severity()))
	}
}

func workloadState(wl *model.Workload) Cell {
	switch wl.State {
	case model.WorkloadIdle, model.WorkloadDone:
		return dim(string(wl.State))
	case model.WorkloadStarting:
		return Cell{Text: string(wl.State), Token: themes.Accent}
	default:
		return alert(string(wl.State), wl.Severity())
	}
}

// workloadWhere lists the sites it runs in; in short, by their first letters,
// and with "?" for pods that are nowhere.
func workloadWhere(w *model.World, wl *model.Workload) Cell {
	c := plain(wl.BySite.String())
	for i, s := range wl.BySite {
		if i > 0 {
			c.Short += " "
		}
		if s.Site == "" {
			c.Short += "?" + strconv.Itoa(s.Pods)
			continue
		}
		c.Short += shortSite(w, s.Site) + strconv.Itoa(s.Ready)
	}
	return c
}

// shortSite is as much of a site's name as tells it from the others.
func shortSite(w *model.World, name string) string {
	n := 1
	for _, s := range w.Sites {
		if s.Name != name {
			n = max(n, common(s.Name, name)+1)
		}
	}
	for n < len(name) && !utf8.RuneStart(name[n]) {
		n++
	}
	return name[:min(n, len(name))]
}

// common is how many bytes two names have in common at their start.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// count shows a number whose nought is nothing to see.
func count(n int) Cell {
	if n == 0 {
		return dim("0")
	}
	return plain(strconv.Itoa(n))
}

func workloadDetails(w *model.World, wl *model.Workload) []Line {
	d := newDoc(w)
	d.title(Mark(wl.Severity()), wl.Name, string(wl.State))
	if wl.Why != "" {
		d.note(wl.Why, wl.Severity())
	}
	d.field("kind", wl.Kind)
	d.field("namespace", wl.Namespace)
	if wl.State != model.WorkloadUnknown {
		d.field("ready", fmt.Sprintf("%d of %d", wl.Ready, wl.Desired))
	}
	d.field("where", wl.BySite.String())
	d.field("restarts", strconv.Itoa(wl.Restarts))
	d.field("schedule", wl.Schedule)
	d.field("last run", agoOr(w, wl.LastRun))
	if wl.Suspended {
		d.field("suspended", "yes")
	}
	d.field("created", agoOr(w, wl.Created))
	d.section("Pods")
	for _, p := range w.PodsOf(wl) {
		d.pod(p, plain(p.Node))
	}
	d.end(100)
	d.events(func(e *model.Event) bool {
		return e.Cluster == wl.Cluster && e.Namespace == wl.Namespace &&
			(e.Object == wl.Name && e.Kind == wl.Kind || e.Kind == "Pod" && w.OwnsPod(wl, e.Object))
	})
	return d.lines
}
