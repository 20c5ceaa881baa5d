package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Chronicle is the memory behind the timeline: which state everything was last
// seen in, and what changed. It is told of each World, and may be kept on disk
// from one run to the next, so that it tells what happened while nobody looked.
type Chronicle struct {
	// Looked is when somebody last looked at a screen of it.
	Looked time.Time

	tracker Tracker
	changes []*Change // in the order they were noted
	states  map[subject]lastSeen
	whole   map[string]bool // kinds whose objects have all been known once
}

// lastSeen is the state a subject was last seen in, and when.
type lastSeen struct {
	site, now, why string
	at             time.Time
}

// Bounds of what is kept.
const (
	keptChanges = 2000
	keptFor     = 30 * 24 * time.Hour
)

// sameChange is how soon after a change for the worse one for still worse is the
// same: a house goes dark machine by machine.
const sameChange = time.Minute

// abrupt is how close two looks are for a change between them to have a moment.
const abrupt = 30 * time.Second

// Changes are those noted, oldest first. The slice is not changed later.
func (c *Chronicle) Changes() []*Change { return c.changes }

// Trails are how figures went lately; nil while nothing is known of that.
func (c *Chronicle) Trails() *Trails { return c.tracker.Trails() }

// Sample takes in what a figure was before the first World.
func (c *Chronicle) Sample(at time.Time, of TrailOf, value float64) { c.tracker.Sample(at, of, value) }

// Track takes in the figures of a World and reports whether the trails have grown.
func (c *Chronicle) Track(w *World) (news bool) { return c.tracker.Note(w) }

// Note takes in the states of a World and reports whether any changed. It never
// takes what could not be looked at for a change.
func (c *Chronicle) Note(w *World) (news bool) {
	if c.states == nil {
		c.states, c.whole = map[subject]lastSeen{}, map[string]bool{}
	}
	now := w.standing()
	before := len(c.changes)
	seen := make(map[subject]bool, len(now.states))
	for i := range now.states {
		s := &now.states[i]
		seen[s.subject()] = true
		news = c.note(s, w.At.UTC()) || news
	}
	for of, last := range c.states {
		if of.aspect != AspectThere || !now.whole[of.kind] || seen[of] {
			continue
		}
		gone := Change{At: w.At.UTC(), Cluster: of.cluster, Site: last.site, Kind: of.kind, Namespace: of.namespace, Name: of.name, Aspect: AspectThere, Now: ChangeGone}
		if of.kind == "Node" || of.kind == "Volume" {
			gone.Severity = Warning
		}
		if w.At.Sub(last.at) > abrupt {
			gone.After = last.at
		}
		c.changes = append(c.changes, &gone)
		c.forget(of)
		news = true
	}
	for kind := range now.whole {
		c.whole[kind] = true
	}
	if len(c.changes) > before { // goers come in no order
		slices.SortStableFunc(c.changes[before:], func(a, b *Change) int { return CompareChanges(b, a) })
	}
	c.trim(w.At)
	return news
}

// forget drops all states of an object.
func (c *Chronicle) forget(of subject) {
	for other := range c.states {
		if other.aspect = of.aspect; other == of {
			for _, aspect := range []Aspect{AspectState, AspectCordon, AspectVersion, AspectAddress, AspectBackup, AspectThere} {
				other.aspect = aspect
				delete(c.states, other)
			}
			return
		}
	}
}

// note compares one state with the one before, and keeps it.
func (c *Chronicle) note(s *Change, at time.Time) (news bool) {
	of := s.subject()
	last, known := c.states[of]
	c.states[of] = lastSeen{s.Site, s.Now, s.Why, at}
	same := last.now == s.Now && (s.Aspect != AspectBackup || last.why == s.Why)
	switch {
	case known && same:
		return false
	case !known && s.Aspect == AspectThere && !c.whole[s.Kind]:
		return false // it is we who are new
	case !known && s.Aspect != AspectThere && !s.news(at):
		return false
	}
	change := *s
	if known {
		change.Was = last.now
	}
	before := c.latest(of)
	told := !change.At.IsZero() && !change.At.After(at) && (before < 0 || change.At.After(c.changes[before].At))
	if !told {
		change.At = at
		if known && at.Sub(last.at) > abrupt {
			change.After = last.at
		}
	}
	if before >= 0 && change.goesOn(c.changes[before]) {
		old := c.changes[before]
		change.Was, change.At, change.After = old.Was, old.At, old.After
		c.changes = slices.Clone(c.changes)
		c.changes[before] = &change
		return true
	}
	c.changes = append(c.changes, &change)
	return true
}

// latest finds the newest change of a subject, -1 when there is none.
func (c *Chronicle) latest(of subject) int {
	for i := len(c.changes) - 1; i >= 0; i-- {
		if c.changes[i].subject() == of {
			return i
		}
	}
	return -1
}

// goesOn reports whether the change is but the next step of the one before.
func (c *Change) goesOn(before *Change) bool {
	return c.At.Sub(before.At) < sameChange && before.Severity != OK && c.Severity > before.Severity
}

func (c *Chronicle) trim(now time.Time) {
	drop := max(0, len(c.changes)-keptChanges)
	for drop < len(c.changes) && now.Sub(c.changes[drop].At) > keptFor {
		drop++
	}
	c.changes = c.changes[drop:]
}

// Join takes in what another Chronicle of the same cluster noted meanwhile, as two
// geotops do that run at once. What both saw is there once.
func (c *Chronicle) Join(other *Chronicle) {
	all := append(slices.Clone(c.changes), other.changes...)
	slices.SortStableFunc(all, func(a, b *Change) int { return a.At.Compare(b.At) })
	type told struct {
		now, why string
		at       time.Time
	}
	last := map[subject]told{}
	c.changes = slices.DeleteFunc(all, func(ch *Change) bool {
		of, now := ch.subject(), told{now: ch.Now}
		if ch.Aspect == AspectBackup {
			now.why = ch.Why
		}
		if old, known := last[of]; known && (old.now == now.now && old.why == now.why || old.at.Equal(ch.At)) {
			return true
		}
		now.at = ch.At
		last[of] = now
		return false
	})
	if other.Looked.After(c.Looked) {
		c.Looked = other.Looked
	}
	c.trim(time.Time{})
}

// chronicleJSON is a Chronicle on disk.
type chronicleJSON struct {
	SchemaVersion int         `json:"schemaVersion"`
	Looked        time.Time   `json:"looked,omitzero"`
	Changes       []*Change   `json:"changes"`
	States        []stateJSON `json:"states"`
	Whole         []string    `json:"whole"`
	Trails        *Trails     `json:"trails,omitempty"`
}

type stateJSON struct {
	Cluster   string    `json:"cluster,omitempty"`
	Site      string    `json:"site,omitempty"`
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name"`
	Aspect    Aspect    `json:"aspect"`
	Now       string    `json:"now"`
	Why       string    `json:"why,omitempty"`
	At        time.Time `json:"at"`
}

// MarshalJSON writes all of it.
func (c *Chronicle) MarshalJSON() ([]byte, error) {
	j := chronicleJSON{SchemaVersion: SchemaVersion, Looked: c.Looked, Changes: list(c.changes), States: []stateJSON{}, Whole: []string{}, Trails: c.Trails()}
	for of, s := range c.states {
		j.States = append(j.States, stateJSON{of.cluster, s.site, of.kind, of.namespace, of.name, of.aspect, s.now, s.why, s.at})
	}
	for kind := range c.whole {
		j.Whole = append(j.Whole, kind)
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (c *Chronicle) UnmarshalJSON(b []byte) error {
	var j chronicleJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	if j.SchemaVersion != SchemaVersion {
		return fmt.Errorf("schemaVersion is %d; this geotop reads %d", j.SchemaVersion, SchemaVersion)
	}
	if slices.Contains(j.Changes, nil) {
		return fmt.Errorf("changes has a hole")
	}
	*c = Chronicle{Looked: j.Looked, changes: j.Changes, states: map[subject]lastSeen{}, whole: map[string]bool{}}
	for _, s := range j.States {
		c.states[subject{s.Cluster, s.Kind, s.Namespace, s.Name, s.Aspect}] = lastSeen{s.Site, s.Now, s.Why, s.At}
	}
	for _, kind := range j.Whole {
		c.whole[kind] = true
	}
	if j.Trails != nil {
		j.Trails.tidy()
		c.tracker.Resume(j.Trails)
	}
	return nil
}
