package memory

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/geotop/geotop/model"
)

// cordoned is facts() some time later, with its machine cordoned or not.
func cordoned(is bool, later time.Duration) *model.World {
	f := facts()
	c := &f.Clusters[0]
	c.Leases.Source = ok(model.SourceLeases)
	c.Leases.Items = []*model.Lease{{Cluster: "home", Node: "moka-1", Duration: 40 * time.Second, Renewed: moment.Add(later), Heard: moment.Add(later)}}
	for _, s := range []*model.Source{&c.API, &c.Nodes.Source, &c.Pods.Source, &c.Leases.Source} {
		s.ObservedAt = s.ObservedAt.Add(later)
	}
	n := *c.Nodes.Items[0]
	n.Unschedulable = is
	n.Conditions = []model.Condition{{Type: "Ready", Status: "True"}}
	c.Nodes.Items = []*model.NodeFact{&n}
	return model.Assemble(f, moment.Add(later), model.Options{})
}

func openTimeline(t *testing.T, dir string) *Timeline {
	t.Helper()
	tl, err := OpenTimeline(dir, "home", "https://a:6443", clock)
	if err != nil {
		t.Fatal(err)
	}
	return tl
}

// end lets a Timeline save and go.
func end(tl *Timeline) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	tl.Run(ctx, nil)
}

func changes(tl *Timeline) (list string, lookedAt time.Time) {
	var f model.Facts
	tl.Facts(&f)
	for _, c := range f.Changes {
		list += c.Name + " " + c.Was + " > " + c.Now + "\n"
	}
	return list, f.LookedAt
}

func TestTimelineGoesOnWhereItWas(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "geotop")
	first := openTimeline(t, dir)
	w := cordoned(false, 0)
	for range 2 { // the second time it is the same World
		if first.Follow(w) {
			t.Error("the first look finds news")
		}
	}
	first.Look()
	end(first)
	// Two at once, of which each sees what the other does not.
	second, third := openTimeline(t, dir), openTimeline(t, dir)
	if !second.Follow(cordoned(true, time.Hour)) {
		t.Error("what happened meanwhile is no news")
	}
	third.Follow(cordoned(true, time.Hour+time.Second))
	third.Follow(cordoned(false, 2*time.Hour))
	end(second)
	end(third)
	list, lookedAt := changes(openTimeline(t, dir))
	if list != "moka-1 open > cordoned\nmoka-1 cordoned > open\n" || !lookedAt.Equal(moment) {
		t.Errorf("looked at %s:\n%s", lookedAt, list)
	}
	if _, was := changes(first); !was.IsZero() {
		t.Error("the look that goes on is taken for the one before")
	}
}

func TestTimelinesThatCannotBeRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "geotop")
	first := openTimeline(t, dir)
	first.Follow(cordoned(false, 0))
	end(first)
	if info, err := os.Stat(first.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	if err := os.WriteFile(first.path, []byte("not gzip"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := OpenTimeline(dir, "home", "https://a:6443", clock)
	if err == nil || !strings.Contains(err.Error(), first.path) {
		t.Errorf("broken, and said: %v", err)
	}
	again.Follow(cordoned(false, time.Minute))
	again.Follow(cordoned(true, 2*time.Minute))
	end(again)
	if list, _ := changes(openTimeline(t, dir)); list != "moka-1 open > cordoned\n" {
		t.Errorf("after a broken one: %s", list)
	}
	bare := NewTimeline(clock)
	bare.Follow(cordoned(false, 0))
	bare.Follow(cordoned(true, time.Minute))
	end(bare)
	if list, _ := changes(bare); list != "moka-1 open > cordoned\n" {
		t.Errorf("without a file: %s", list)
	}
}
