package model

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Of what a Trail tells.
const (
	TrailCPU    = "cpu"    // what of the allocatable is used, 0 to 1
	TrailMemory = "memory" // likewise
	TrailRTT    = "rtt"    // seconds
	TrailLoss   = "loss"   // of packets, 0 to 1
)

const (
	// TrailStep is how long each value of a Trail stands for.
	TrailStep = 30 * time.Second
	// TrailKept is how many values a Trail has at most.
	TrailKept = 60
	// NotKnown stands in a Trail for a time of which nothing is known.
	NotKnown = -1.0
)

// TrailOf names a figure: of which object, and which.
type TrailOf struct {
	Cluster string `json:"cluster,omitempty"`
	Kind    string `json:"kind"` // Node, Site or Link
	Name    string `json:"name"` // of a link, "from>to>source"
	Figure  string `json:"figure"`
}

func compareTrails(a, b TrailOf) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Figure, b.Figure))
}

// Trail is how a figure went: its mean over each step, the newest last, NotKnown
// where it was not.
type Trail struct {
	TrailOf
	Values []float64 `json:"values"`
}

// Trails is how figures went lately. It is immutable.
type Trails struct {
	End    time.Time `json:"end"` // of the last step
	Step   float64   `json:"stepSeconds"`
	Series []Trail   `json:"series"` // by kind, cluster, name and figure
}

// Of gives the values of a figure, nil when there are none. It may be asked of nil.
func (t *Trails) Of(of TrailOf) []float64 {
	if t == nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(t.Series, of, func(s Trail, of TrailOf) int { return compareTrails(s.TrailOf, of) })
	if !found {
		return nil
	}
	return t.Series[i].Values
}

// keep gives those that are of the wanted.
func (t *Trails) keep(wanted func(TrailOf) bool) *Trails {
	if t == nil {
		return nil
	}
	kept := *t
	kept.Series = slices.DeleteFunc(slices.Clone(t.Series), func(s Trail) bool { return !wanted(s.TrailOf) })
	return &kept
}

// tidy brings what was read from a file into the order and the bounds of Trails.
func (t *Trails) tidy() {
	slices.SortStableFunc(t.Series, func(a, b Trail) int { return compareTrails(a.TrailOf, b.TrailOf) })
	t.Series = slices.CompactFunc(t.Series, func(a, b Trail) bool { return a.TrailOf == b.TrailOf })
	for i := range t.Series {
		t.Series[i].Values = list(t.Series[i].Values[max(0, len(t.Series[i].Values)-TrailKept):])
	}
}

// Tracker makes Trails of the Worlds it is told of. Its zero value is ready.
type Tracker struct {
	done *Trails
	step time.Time // when the one under way began
	last time.Time // World that was taken in
	now  map[TrailOf]mean
}

type mean struct {
	sum   float64
	count int
}

// apart is how far apart Worlds are that are both taken in.
const apart = time.Second

// Trails are those of the steps that are over, nil before the first is.
func (t *Tracker) Trails() *Trails { return t.done }

// Note takes in the figures of a World and reports whether a step is over.
func (t *Tracker) Note(w *World) (news bool) {
	if d := w.At.Sub(t.last); d >= 0 && d < apart {
		return false
	}
	news = t.reach(w.At)
	t.last = w.At
	measured := map[string]bool{}
	for _, s := range w.Sources {
		if s.Name == SourceNodeUsage && s.Status == SourceOK && !s.Remembered {
			measured[s.Cluster] = true
		}
	}
	for _, n := range w.Nodes {
		if n.Alive() && n.Usage != nil && measured[n.Cluster] {
			t.load(TrailOf{Cluster: n.Cluster, Kind: "Node", Name: n.Name}, n.Usage, n.Allocatable)
		}
	}
	for _, s := range w.Sites {
		if s.Ready > 0 && s.Usage != nil && len(measured) == len(w.Clusters) {
			t.load(TrailOf{Kind: "Site", Name: s.Name}, s.Usage, s.Capacity)
		}
	}
	for _, l := range w.Links {
		of := l.Trail()
		if l.Answering > 0 {
			of.Figure = TrailRTT
			t.add(of, l.RTT)
		}
		if l.Loss != nil {
			of.Figure = TrailLoss
			t.add(of, *l.Loss)
		}
	}
	return news
}

// Trail names the link's figures but for which it is.
func (l *Link) Trail() TrailOf {
	return TrailOf{Kind: "Link", Name: l.From + ">" + l.To + ">" + l.Source}
}

func (t *Tracker) load(of TrailOf, u *Usage, all Resources) {
	if all.MilliCPU > 0 {
		of.Figure = TrailCPU
		t.add(of, float64(u.MilliCPU)/float64(all.MilliCPU))
	}
	if all.MemoryBytes > 0 {
		of.Figure = TrailMemory
		t.add(of, float64(u.MemoryBytes)/float64(all.MemoryBytes))
	}
}

// Sample takes in one figure of a moment that is not before the last.
func (t *Tracker) Sample(at time.Time, of TrailOf, value float64) {
	t.reach(at)
	t.add(of, value)
}

func (t *Tracker) add(of TrailOf, value float64) {
	if t.now == nil {
		t.now = map[TrailOf]mean{}
	}
	m := t.now[of]
	t.now[of] = mean{m.sum + value, m.count + 1}
}

// reach ends the step under way when the moment is of a later one.
func (t *Tracker) reach(at time.Time) (news bool) {
	step := at.Truncate(TrailStep)
	switch {
	case t.step.IsZero() || step.Before(t.step): // a clock that was put back begins anew
		t.step, t.now = step, nil
		return false
	case step.Equal(t.step):
		return false
	}
	t.end()
	t.step, t.now = step, nil
	t.silence(step)
	return true
}

// end has the step under way be over.
func (t *Tracker) end() {
	t.silence(t.step)
	next := &Trails{End: t.step.Add(TrailStep).UTC(), Step: TrailStep.Seconds()}
	steps := 0
	if t.done != nil {
		for _, s := range t.done.Series {
			value := NotKnown
			if m, known := t.now[s.TrailOf]; known {
				value = m.value()
				delete(t.now, s.TrailOf)
			}
			next.push(s, value)
			steps = max(steps, len(s.Values))
		}
	}
	for of, m := range t.now {
		s := Trail{TrailOf: of, Values: slices.Repeat([]float64{NotKnown}, min(steps, TrailKept-1))}
		s.Values = append(s.Values, m.value())
		next.Series = append(next.Series, s)
	}
	slices.SortFunc(next.Series, func(a, b Trail) int { return compareTrails(a.TrailOf, b.TrailOf) })
	t.done = next
}

// push adds a trail with one more value; one of which nothing is known any more goes.
func (t *Trails) push(s Trail, value float64) {
	old := s.Values[max(0, len(s.Values)+1-TrailKept):]
	s.Values = append(append(make([]float64, 0, len(old)+1), old...), value)
	if slices.ContainsFunc(s.Values, func(v float64) bool { return v >= 0 }) {
		t.Series = append(t.Series, s)
	}
}

// silence fills the steps until one begins in which there was no World.
func (t *Tracker) silence(until time.Time) {
	if t.done == nil {
		return
	}
	if until.Sub(t.done.End) >= TrailKept*TrailStep {
		t.done = nil
		return
	}
	for t.done.End.Before(until) {
		next := &Trails{End: t.done.End.Add(TrailStep), Step: t.done.Step}
		for _, s := range t.done.Series {
			next.push(s, NotKnown)
		}
		t.done = next
	}
}

// Resume goes on from Trails that were kept.
func (t *Tracker) Resume(kept *Trails) {
	if kept == nil || kept.Step != TrailStep.Seconds() || !kept.End.Equal(kept.End.Truncate(TrailStep)) {
		return
	}
	t.done = kept
}

// value is the mean with three digits: more would only fill files.
func (m mean) value() float64 {
	v := m.sum / float64(m.count)
	if v <= 0 {
		return 0
	}
	scale := math.Pow(10, 2-math.Floor(math.Log10(v)))
	return math.Round(v*scale) / scale
}
