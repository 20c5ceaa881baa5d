package model

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// at assembles the builder's World some time after moment, its sources fresh then.
func (b *builder) at(later time.Duration, past *Chronicle) *World {
	c := b.c
	fresh := func(s *Source) { s.ObservedAt = s.ObservedAt.Add(later) }
	for _, s := range []*Source{&c.API, &c.Nodes.Source, &c.Leases.Source, &c.Pods.Source} {
		fresh(s)
	}
	c.Controllers = nil
	for _, s := range b.c.Controllers {
		fresh(&s.Source)
		c.Controllers = append(c.Controllers, s)
	}
	f := Facts{Clusters: []ClusterFacts{c}}
	if past != nil {
		f.Changes, f.LookedAt = past.Changes(), past.Looked
	}
	return Assemble(f, moment.Add(later), Options{})
}

// live renews all heartbeats as of so much later.
func (b *builder) live(later time.Duration) {
	for _, l := range b.c.Leases.Items {
		if l.Heard.Equal(l.Renewed) {
			fresh := *l
			fresh.Renewed, fresh.Heard = moment.Add(later-time.Second), moment.Add(later-time.Second)
			*l = fresh
		}
	}
}

func lines(changes []*Change) string {
	var b strings.Builder
	for _, c := range changes {
		after := ""
		if !c.After.IsZero() {
			after = " after " + c.After.Format("15:04:05")
		}
		fmt.Fprintf(&b, "%s%s %s %s/%s: %s > %s\n", c.At.Format("15:04:05"), after, c.Severity, c.Kind, c.Name, c.Was, c.Now)
	}
	return b.String()
}

func wantChanges(t *testing.T, c *Chronicle, want string) {
	t.Helper()
	want = strings.TrimPrefix(strings.ReplaceAll(want, "\t", ""), "\n")
	if got := lines(c.Changes()); got != want {
		t.Errorf("noted:\n%swant:\n%s", got, want)
	}
}

func TestFirstLookTellsWhenStatesBegan(t *testing.T) {
	b := houses()
	c := &Chronicle{}
	if !c.Note(b.at(0, c)) {
		t.Error("nothing noted")
	}
	w := b.at(0, c)
	if len(w.Timeline) != 9 || w.Timeline[0].Now != "ready" || !w.Timeline[0].At.Equal(ago(time.Hour)) {
		t.Errorf("nine machines came up an hour ago:\n%s", lines(w.Timeline))
	}
	if c.Note(b.at(time.Second, c)) {
		t.Errorf("nothing changed, yet noted:\n%s", lines(c.Changes()))
	}
	// Without anything recorded the present alone tells as much.
	if bare := b.at(0, nil); lines(bare.Timeline) != lines(w.Timeline) {
		t.Errorf("not recorded:\n%srecorded:\n%s", lines(bare.Timeline), lines(w.Timeline))
	}
	b.c.Nodes.Items[0].Created = ago(time.Hour + time.Minute)
	if w := b.at(0, nil); len(w.Timeline) != 8 {
		t.Errorf("that a new machine became ready is no news:\n%s", lines(w.Timeline))
	}
}

func TestHouseGoesDarkAndComesBack(t *testing.T) {
	b := houses()
	b.deployment("blog", "moka-1", "flacq-1")
	c := &Chronicle{}
	c.Note(b.at(0, c))
	c.changes = nil
	// One machine after the other falls silent; their last heartbeats were at 5 s before moment.
	for i, later := range []time.Duration{42 * time.Second, 46 * time.Second, 50 * time.Second} {
		b.live(later)
		for j := range i + 1 {
			l := b.lease(fmt.Sprintf("moka-%d", j+1))
			l.Renewed, l.Heard = ago(5*time.Second), ago(5*time.Second)
		}
		c.Note(b.at(later, c))
	}
	wantChanges(t, c, `
		03:06:55 critical Node/moka-1: ready > no sign of life
		03:06:55 critical Site/moka: ok > dark
		03:07:42 after 03:07:00 warning Deployment/blog: ok > degraded
		03:06:55 critical Node/moka-2: ready > no sign of life
		03:06:55 critical Node/moka-3: ready > no sign of life
	`)
	// What the control plane says later is no other state.
	for i := range 3 {
		n := *b.c.Nodes.Items[i]
		n.Conditions = []Condition{{Type: "Ready", Status: "Unknown", Since: moment.Add(60 * time.Second)}}
		b.c.Nodes.Items[i] = &n
	}
	b.live(70 * time.Second)
	c.changes = nil
	if c.Note(b.at(70*time.Second, c)) {
		t.Errorf("the same again: %s", lines(c.Changes()))
	}
	// Nobody can look: nothing is said to have changed but that.
	silent := *b
	silent.c.API.Status, silent.c.Nodes.Source.Status, silent.c.Leases.Source.Status, silent.c.Pods.Source.Status = SourceStale, SourceStale, SourceStale, SourceStale
	c.Note(silent.at(80*time.Second, c))
	wantChanges(t, c, `
		03:08:18 unknown Source/kube: answers > silent
	`)
	c.changes = nil
	for i := range 3 {
		n := *b.c.Nodes.Items[i]
		n.Conditions = []Condition{{Type: "Ready", Status: "True", Since: moment.Add(4 * time.Minute)}}
		b.c.Nodes.Items[i] = &n
		l := b.lease(n.Name)
		l.Renewed = l.Heard
	}
	b.live(5 * time.Minute)
	c.Note(b.at(5*time.Minute, c))
	wantChanges(t, c, `
		03:11:00 ok Node/moka-3: no sign of life > ready
		03:11:00 ok Node/moka-2: no sign of life > ready
		03:11:00 ok Node/moka-1: no sign of life > ready
		03:11:00 ok Site/moka: dark > ok
		03:12:00 after 03:08:10 ok Deployment/blog: degraded > ok
		03:12:00 after 03:08:20 ok Source/kube: silent > answers
	`)
}

func TestComingAndGoing(t *testing.T) {
	b := houses()
	b.deployment("blog", "moka-1")
	c := &Chronicle{}
	c.Note(b.at(0, c))
	c.changes = nil
	b.node("moka", "moka-4").Conditions[0].Since = moment
	b.c.Nodes.Items = append(b.c.Nodes.Items[:2:2], b.c.Nodes.Items[3:]...)
	b.live(10 * time.Second)
	b.c.Nodes.Items[1].Unschedulable = true
	b.c.Nodes.Items[3].Kubelet = "v1.37.0+k3s1"
	c.Note(b.at(10*time.Second, c))
	wantChanges(t, c, `
		03:07:00 ok Node/moka-4:  > ready
		03:07:10 ok Node/moka-4:  > new
		03:07:10 warning Node/moka-3:  > gone
		03:07:10 ok Node/moka-2: open > cordoned
		03:07:10 ok Node/curepipe-2: runs v1.36.3+k3s1 > runs v1.37.0+k3s1
	`)
	for of := range c.states {
		if of.name == "moka-3" {
			t.Errorf("%v of what is gone is still known", of)
		}
	}
}

func TestChronicleIsKeptAndJoined(t *testing.T) {
	b := houses()
	one := &Chronicle{}
	one.Note(b.at(0, one))
	doc, err := json.Marshal(one)
	if err != nil {
		t.Fatal(err)
	}
	two := &Chronicle{}
	if err := json.Unmarshal(doc, two); err != nil {
		t.Fatal(err)
	}
	if two.Note(b.at(time.Second, two)) {
		t.Errorf("read back, it finds news: %s", lines(two.Changes()))
	}
	b.c.Nodes.Items[0].Unschedulable = true
	b.live(10 * time.Second)
	one.Note(b.at(10*time.Second, one))
	b.live(12 * time.Second)
	two.Note(b.at(12*time.Second, two)) // sees the same a moment later
	b.c.Nodes.Items[1].Unschedulable = true
	two.Looked = moment
	b.live(14 * time.Second)
	two.Note(b.at(14*time.Second, two))
	one.changes, two.changes = one.changes[9:], two.changes[9:]
	one.Join(two)
	wantChanges(t, one, `
		03:07:10 ok Node/moka-1: open > cordoned
		03:07:14 ok Node/moka-2: open > cordoned
	`)
	if !one.Looked.Equal(moment) {
		t.Error("who looked is forgotten")
	}
	one.Join(two)
	if len(one.Changes()) != 2 {
		t.Errorf("joined again:\n%s", lines(one.Changes()))
	}
	for _, bad := range []string{`{"schemaVersion":1,"changes":[null]}`, `{"schemaVersion":9}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), &Chronicle{}); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// TestChronicleIsBounded has a link flap for days.
func TestChronicleIsBounded(t *testing.T) {
	b := houses()
	c := &Chronicle{}
	for i := range keptChanges + 50 {
		n := *b.c.Nodes.Items[0]
		n.Unschedulable = i%2 == 0
		b.c.Nodes.Items[0] = &n
		later := time.Duration(i) * time.Minute
		b.live(later)
		c.Note(b.at(later, c))
	}
	if len(c.Changes()) != keptChanges {
		t.Errorf("%d changes are kept", len(c.Changes()))
	}
	b.live(60 * 24 * time.Hour)
	c.Note(b.at(60*24*time.Hour, c))
	for _, ch := range c.Changes() {
		if ch.Aspect == AspectCordon {
			t.Fatalf("kept for too long: %s", lines(c.Changes()))
		}
	}
}
