package model

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// measured gives a World of one node that uses so much of its 4 cores and 8 GiB.
func measured(at time.Time, milliCPU int64) *World {
	b := newBuilder()
	b.node("moka", "moka-1")
	b.c.NodeUsage.Items = []*Usage{{Name: "moka-1", MilliCPU: milliCPU, MemoryBytes: 4 << 30}}
	for _, l := range b.c.Leases.Items {
		l.Renewed, l.Heard = at, at
	}
	for _, s := range []*Source{&b.c.API, &b.c.Nodes.Source, &b.c.Leases.Source, &b.c.Pods.Source, &b.c.NodeUsage.Source} {
		s.ObservedAt = at
	}
	return Assemble(Facts{Clusters: []ClusterFacts{b.c}}, at, Options{})
}

var moka1 = TrailOf{Cluster: "test", Kind: "Node", Name: "moka-1", Figure: TrailCPU}

func TestTrails(t *testing.T) {
	var k Tracker
	if k.Trails().Of(moka1) != nil {
		t.Error("a trail of nothing")
	}
	for i, milli := range []int64{1000, 3000, 400, 400} { // two Worlds a step
		if news := k.Note(measured(moment.Add(time.Duration(i)*TrailStep/2), milli)); news != (i == 2) {
			t.Errorf("World %d is news: %v", i, news)
		}
	}
	if got := k.Trails().Of(moka1); !slices.Equal(got, []float64{0.5}) {
		t.Errorf("the mean of 25 and 75 per cent is %v", got)
	}
	first := k.Trails()
	k.Note(measured(moment.Add(4*TrailStep), 4000)) // nobody looked for two steps
	k.Note(measured(moment.Add(5*TrailStep), 4000))
	if got := k.Trails().Of(moka1); !slices.Equal(got, []float64{0.5, 0.1, NotKnown, NotKnown, 1}) {
		t.Errorf("with a gap: %v", got)
	}
	if got := first.Of(moka1); !slices.Equal(got, []float64{0.5}) {
		t.Errorf("what was handed out became %v", got)
	}
	site := TrailOf{Kind: "Site", Name: "moka", Figure: TrailMemory}
	if got := k.Trails().Of(site); !slices.Equal(got, []float64{0.5, 0.5, NotKnown, NotKnown, 0.5}) {
		t.Errorf("the site's memory: %v", got)
	}
	if end := k.Trails().End; !end.Equal(moment.Add(5 * TrailStep)) {
		t.Errorf("it ends %s", end)
	}
}

// What is old, or of a machine nobody hears, is not taken for what is.
func TestTrailsTakeOnlyWhatIsMeasured(t *testing.T) {
	var k Tracker
	for i := range 4 {
		w := measured(moment.Add(time.Duration(i)*TrailStep), 2000)
		switch i {
		case 1:
			for j := range w.Sources {
				if w.Sources[j].Name == SourceNodeUsage {
					w.Sources[j].Status = SourceStale
				}
			}
		case 2:
			w.Nodes[0].State, w.Sites[0].Ready = NodeUnreachable, 0
		}
		k.Note(w)
	}
	if got := k.Trails().Of(moka1); !slices.Equal(got, []float64{0.5, NotKnown, NotKnown}) {
		t.Error(got)
	}
}

func TestTrailsAreBounded(t *testing.T) {
	var k Tracker
	other := TrailOf{Kind: "Link", Name: "a>b>ping", Figure: TrailRTT}
	k.Sample(moment, other, 0.5)
	for i := range 3 * TrailKept {
		k.Sample(moment.Add(time.Duration(i)*TrailStep), moka1, float64(i)/1000)
		if n := len(k.Trails().Of(moka1)); n > TrailKept {
			t.Fatalf("%d values", n)
		}
	}
	if len(k.Trails().Series) != 1 {
		t.Errorf("what nobody knows any more is still there: %v", k.Trails().Series)
	}
	k.Sample(moment.Add(1000*time.Hour), moka1, 1)
	if k.Trails() != nil {
		t.Error("of a thousand hours ago")
	}
	k.Sample(moment, moka1, 1) // the clock was put back
	k.Sample(moment.Add(TrailStep), moka1, 1)
	if got := k.Trails().Of(moka1); !slices.Equal(got, []float64{1}) {
		t.Error("after the clock was put back", got)
	}
}

func TestTrailsInDocuments(t *testing.T) {
	var k Tracker
	k.Note(measured(moment, 1234))
	last := measured(moment.Add(TrailStep), 1234)
	k.Note(last)
	facts := last.facts
	facts.Trails = k.Trails()
	w := Assemble(facts, last.At, Options{})
	doc, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	back, at, err := Read(strings.NewReader(string(doc)))
	if err != nil {
		t.Fatal(err)
	}
	again, _ := json.Marshal(Assemble(back, at, Options{}))
	if string(again) != string(doc) {
		t.Errorf("read back: %s\nwas: %s", again, doc)
	}
	if got := w.InSite("moka").Trails.Of(moka1); !slices.Equal(got, []float64{0.309}) {
		t.Errorf("in its site, and rounded: %v", got)
	}
	for _, bad := range []string{`{"end":"2026-03-14T03:07:00Z","stepSeconds":30,"series":null}`, `{"series":[{"values":null},{"values":null}]}`} {
		text := strings.Replace(string(doc), `"trails":`, `"trails":`+bad+`,"was":`, 1)
		facts, at, err := Read(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", bad, err)
		}
		if got := Assemble(facts, at, Options{}).Trails.Of(moka1); got != nil {
			t.Errorf("%s: %v", bad, got)
		}
	}
}

func TestTrailsAreKept(t *testing.T) {
	var c Chronicle
	for i := range 3 {
		c.Track(measured(moment.Add(time.Duration(i)*TrailStep), 1000))
	}
	b, err := json.Marshal(&c)
	if err != nil {
		t.Fatal(err)
	}
	var back Chronicle
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	for i := 5; i < 7; i++ {
		back.Track(measured(moment.Add(time.Duration(i)*TrailStep), 2000))
	}
	got := back.Trails().Of(moka1)
	want := []float64{0.25, 0.25, NotKnown, NotKnown, NotKnown, 0.5}
	if !slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) {
		t.Errorf("%v, want %v", got, want)
	}
}
