package view

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/geotop/geotop/demo/still"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
)

func powercut(t testing.TB) *model.World {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w, err := still.Of(ctx, "powercut", 1, 3*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// At every width each list's rows fit, keep the columns that may not go, and
// lose one as it gets wider only to one that matters more.
func TestColumnsFitEveryWidth(t *testing.T) {
	w := powercut(t)
	for _, l := range Lists() {
		infos := l.Columns(w)
		rows := l.Rows(w, Query{Sort: -1})
		all := make([]int, len(infos))
		for i := range infos {
			all[i] = i
		}
		var cells [][]Cell
		for i := range rows.Len() {
			cells = append(cells, rows.Cells(i, all))
		}
		var before []int
		for width := 36; width <= 260; width++ {
			layout := Fit(infos, Wants(infos, cells, nil), width)
			for _, lost := range before {
				if slices.Contains(layout.Columns, lost) {
					continue
				}
				better := slices.ContainsFunc(layout.Columns, func(c int) bool {
					return (infos[c].Rank < infos[lost].Rank || infos[c].Rank == infos[lost].Rank && c < lost) && !slices.Contains(before, c)
				})
				if !better {
					t.Errorf("%s at %d lost column %q for nothing better", l.Info().Name, width, infos[lost].Title)
				}
			}
			before = layout.Columns
			for i, c := range infos {
				if c.Rank <= 1 && !slices.Contains(layout.Columns, i) {
					t.Errorf("%s at %d lacks column %q", l.Info().Name, width, c.Title)
				}
			}
			for _, c := range cells {
				if got := text.Width(layout.Row(nil, layout.Pick(c), false)); got > width {
					t.Fatalf("%s at %d: a row of %d", l.Info().Name, width, got)
				}
			}
			if got := text.Width(layout.Head(nil, 1, true)); got > width {
				t.Fatalf("%s at %d: a head of %d", l.Info().Name, width, got)
			}
		}
		if len(before) != len(infos) {
			t.Errorf("%s: %d of %d columns at 260", l.Info().Name, len(before), len(infos))
		}
	}
}

// A column that grew stays so wide while one scrolls to narrower rows.
func TestColumnsDoNotShrinkWhileScrolling(t *testing.T) {
	infos := []ColumnInfo{{Title: "NAME", Min: 4, Max: 30}}
	wide := Wants(infos, [][]Cell{{{Text: "a-rather-long-name"}}}, nil)
	if got := Wants(infos, [][]Cell{{{Text: "a"}}}, wide); got[0] != wide[0] {
		t.Errorf("was %d, is %d", wide[0], got[0])
	}
}

func TestQueries(t *testing.T) {
	w := powercut(t)
	total := Pods().Rows(w, Query{Sort: -1}).Len()
	for name, tc := range map[string]struct {
		query Query
		test  func(p *model.Pod) bool
	}{
		"site":     {Query{Site: "moka", Sort: -1}, func(p *model.Pod) bool { return w.PodSite(p) == "moka" }},
		"words":    {Query{Text: "REDIS jobs", Sort: -1}, func(p *model.Pod) bool { return p.Namespace == "jobs" && p.Name == "redis-0" }},
		"problems": {Query{Problems: true, Sort: -1}, func(p *model.Pod) bool { return w.PodSeverity(p) != model.OK }},
		"of a node": {Query{In: &Object{Kind: "Node", Cluster: "demo-powercut", Name: "moka-1"}, Sort: -1},
			func(p *model.Pod) bool { return p.Node == "moka-1" }},
	} {
		rows := Pods().Rows(w, tc.query)
		got := map[string]bool{}
		for i := range rows.Len() {
			got[rows.Key(i)] = true
		}
		all := Pods().Rows(w, Query{Sort: -1})
		for i := range all.Len() {
			o := all.Object(i)
			if want := tc.test(w.Pod(o.Cluster, o.Namespace, o.Name)); want != got[all.Key(i)] {
				t.Errorf("%s: %s is in it: %v", name, o.Name, got[all.Key(i)])
			}
		}
		if len(got) == 0 || len(got) == total {
			t.Errorf("%s gives %d of %d: tells nothing", name, len(got), total)
		}
	}
}

// Sorting by any column orders by what it shows, and reversing reverses.
func TestSorts(t *testing.T) {
	w := powercut(t)
	for _, l := range Lists() {
		for column := range l.Columns(w) {
			up, down := l.Rows(w, Query{Sort: column}), l.Rows(w, Query{Sort: column, Reverse: true})
			if up.Len() != down.Len() || up.Len() == 0 {
				t.Fatalf("%s: %d and %d rows", l.Info().Name, up.Len(), down.Len())
			}
			for i := range up.Len() {
				if up.Key(i) != down.Key(up.Len()-1-i) {
					t.Errorf("%s by column %d: reversing is not the reverse", l.Info().Name, column)
					break
				}
			}
		}
	}
	nodes := Nodes().Rows(w, Query{Sort: columnOf(t, Nodes(), w, "PODS")})
	last := -1
	for i := range nodes.Len() {
		n := w.Node("demo-powercut", nodes.Object(i).Name)
		if n.Pods < last {
			t.Errorf("%s with %d pods comes after %d", n.Name, n.Pods, last)
		}
		last = n.Pods
	}
}

func columnOf(t *testing.T, l List, w *model.World, title string) int {
	t.Helper()
	for i, c := range l.Columns(w) {
		if c.Title == title {
			return i
		}
	}
	t.Fatalf("%s has no column %s", l.Info().Name, title)
	return -1
}

// Every row has a key of its own by which it is found again, and details.
func TestRowsCanBeFoundAndTold(t *testing.T) {
	w := powercut(t)
	for _, l := range Lists() {
		rows := l.Rows(w, Query{Sort: -1})
		for i := range rows.Len() {
			if rows.Find(rows.Key(i)) != i {
				t.Errorf("%s: key %q is not its own", l.Info().Name, rows.Key(i))
			}
			if len(rows.Details(i)) < 3 {
				t.Errorf("%s: %q has no details", l.Info().Name, rows.Key(i))
			}
			if rows.Severity(i) > model.Warning && rows.Note(i).Text == "" {
				t.Errorf("%s: %q is %s and nothing says why", l.Info().Name, rows.Key(i), rows.Severity(i))
			}
		}
		if rows.Find("nothing of that key") != -1 {
			t.Errorf("%s finds what is not there", l.Info().Name)
		}
	}
}

func TestShortSitesStayApart(t *testing.T) {
	w := &model.World{}
	for _, name := range []string{"moka", "mokkabar", "flacq", "östermalm"} {
		w.Sites = append(w.Sites, &model.Site{Name: name})
	}
	for name, want := range map[string]string{"moka": "moka", "mokkabar": "mokk", "flacq": "f", "östermalm": "ö"} {
		if got := shortSite(w, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	got := workloadWhere(w, &model.Workload{BySite: model.SiteCounts{{Site: "", Pods: 2}, {Site: "flacq", Pods: 1, Ready: 1}}})
	if got.Short != "?2 f1" || !strings.Contains(got.Text, "no node") {
		t.Errorf("%+v", got)
	}
}

func BenchmarkPodRows(b *testing.B) {
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	w, err := still.Of(ctx, "big", 1, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		Pods().Rows(w, Query{Site: "moka", Sort: -1})
	}
}
