package actions_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/demo/still"
	"github.com/geotop/geotop/model"
)

func world(t *testing.T, scenario string) *model.World {
	t.Helper()
	w, err := still.Of(t.Context(), scenario, 1, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// with gives a copy of the World in which some nodes are otherwise.
func with(w *model.World, edit func(*model.Node)) *model.World {
	c := *w
	c.Nodes = nil
	for _, n := range w.Nodes {
		fact, node := *n.NodeFact, *n
		node.NodeFact = &fact
		edit(&node)
		c.Nodes = append(c.Nodes, &node)
	}
	return &c
}

func steps(p *model.Plan) string {
	list := []string{}
	for _, s := range p.Steps {
		list = append(list, s.Text)
	}
	return strings.Join(list, ", ")
}

func TestTargets(t *testing.T) {
	w := world(t, "healthy")
	for what, want := range map[string]string{
		"moka": "site/moka", "site/moka": "site/moka", "moka-1": "node/moka-1", "node/moka-1": "node/moka-1",
	} {
		p, err := actions.Cordon(w, what)
		if err != nil || p.Target != want {
			t.Errorf("%s: %v, %v", what, p, err)
		}
	}
	for what, why := range map[string]string{
		"atlantis": "no site and no machine is called", "site/moka-1": "no site and no machine", "node/moka": "no site and no machine", "": "no site and no machine", "pod/x": "no site and no machine", "\x1b[2J": "no site and no machine",
	} {
		_, err := actions.Cordon(w, what)
		var r *actions.RefusedError
		if !errors.As(err, &r) || !r.Unknown || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %v", what, err)
		}
	}
	both := with(w, func(n *model.Node) {
		if n.Name == "moka-1" {
			n.Name = "moka"
		}
	})
	if _, err := actions.Cordon(both, "moka"); err == nil || !strings.Contains(err.Error(), "site/moka or node/moka") {
		t.Errorf("a site and a machine of one name: %v", err)
	}
	if _, err := actions.Cordon(&model.World{}, "moka"); err == nil || !strings.Contains(err.Error(), "could not be read") {
		t.Errorf("a World nobody has seen: %v", err)
	}
}

// Whole houses are agreed to by name, a machine by a key; the last house that takes
// pods is guarded, and what is so already needs no plan.
func TestCordonPlan(t *testing.T) {
	w := world(t, "healthy")
	p, err := actions.Cordon(w, "moka")
	if err != nil || steps(p) != "cordon moka-1, cordon moka-2, cordon moka-3" || p.Confirm != "moka" || len(p.Guards) > 0 {
		t.Errorf("a house: %+v, %v", p, err)
	}
	if p, err = actions.Cordon(w, "moka-1"); err != nil || p.Wide() {
		t.Errorf("a machine: %+v, %v", p, err)
	}
	last := with(w, func(n *model.Node) { n.Unschedulable = n.Site != "moka" })
	if p, err = actions.Cordon(last, "moka"); err != nil || len(p.Guards) != 1 || !strings.Contains(p.Guards[0], "no other house") {
		t.Errorf("the last house: %+v, %v", p, err)
	}
	away := with(w, func(n *model.Node) {
		if n.Site != "moka" {
			n.State = model.NodeUnreachable
		}
	})
	if p, err = actions.Cordon(away, "moka"); err != nil || len(p.Guards) != 1 {
		t.Errorf("the others are dark: %+v, %v", p, err)
	}
	var r *actions.RefusedError
	if _, err = actions.Cordon(last, "flacq"); !errors.As(err, &r) || !r.Nothing {
		t.Errorf("cordoned already: %v", err)
	}
	if _, err = actions.Uncordon(w, "flacq"); !errors.As(err, &r) || !r.Nothing {
		t.Errorf("not cordoned: %v", err)
	}
	if p, err = actions.Uncordon(last, "flacq"); err != nil || len(p.Steps) != 3 || p.Wide() {
		t.Errorf("uncordon: %+v, %v", p, err)
	}
}

// What Longhorn makes of a cordon by itself is said before.
func TestLonghornsTrapsOfCordon(t *testing.T) {
	w := world(t, "healthy")
	policy := func(value string) *model.World { return w.WithSetting(w.Clusters[0].Name, "node-drain-policy", value) }
	p, err := actions.Cordon(policy("block-for-eviction"), "moka")
	if err != nil || len(p.Guards) != 1 || !strings.Contains(p.Guards[0], "over the uplink") || !strings.Contains(p.Guards[0], "67G") {
		t.Errorf("block-for-eviction: %+v, %v", p, err)
	}
	if p, err = actions.Cordon(policy("block-if-contains-last-replica"), "moka"); err != nil || len(p.Guards) > 0 {
		t.Errorf("the default: %+v, %v", p, err)
	}
	doubled := world(t, "weak") // all copies of a volume in moka
	doubled = doubled.WithSetting(doubled.Clusters[0].Name, "node-drain-policy", "block-for-eviction-if-contains-last-replica")
	if p, err = actions.Cordon(doubled, "moka"); err != nil || !slices.ContainsFunc(p.Warnings, func(s string) bool { return strings.Contains(s, "only good copy is here") }) {
		t.Errorf("the last copies: %+v, %v", p, err)
	}
	holder := ""
	for _, v := range w.Volumes {
		for _, r := range v.Replicas {
			if r.Site == "moka" {
				holder = r.Node
			}
		}
	}
	if p, err = actions.Cordon(w, holder); err != nil || !slices.ContainsFunc(p.Warnings, func(s string) bool { return strings.Contains(s, "a new one may land in the same house") }) {
		t.Errorf("half a house: %+v, %v", p, err)
	}
}

// Servers are drained after the others, and a machine that is dark is not drained.
func TestDrainPlan(t *testing.T) {
	w := world(t, "weak")
	p, err := actions.Drain(w, "moka")
	if err != nil {
		t.Fatal(err)
	}
	if all := steps(p); !strings.HasSuffix(all, "drain moka-1") || strings.Index(all, "drain") < strings.LastIndex(all, "cordon") {
		t.Errorf("moka-1 is the server: %s", all)
	}
	if !slices.ContainsFunc(p.Warnings, func(s string) bool { return strings.Contains(s, "gitea-data keeps its only good copy here") }) {
		t.Errorf("volumes: %q", p.Warnings)
	}
	if _, err := actions.Drain(world(t, "powercut"), "curepipe"); err == nil || !strings.Contains(err.Error(), "out of service") {
		t.Errorf("a dark house: %v", err)
	}
}

// A house that lives is not given up; one that is dark takes its name.
func TestDeadPlan(t *testing.T) {
	w := world(t, "powercut")
	if _, err := actions.Dead(w, "moka"); err == nil || !strings.Contains(err.Error(), "must not be given up") {
		t.Errorf("a house that lives: %v", err)
	}
	off := with(w, func(n *model.Node) {
		if n.Site == "curepipe" {
			n.State = model.NodeUnreachable
		}
	})
	p, err := actions.Dead(off, "curepipe")
	if err != nil || len(p.Steps) != 3 || p.Confirm != "curepipe" || len(p.Guards) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	if p, err = actions.Dead(off, "curepipe-1"); err != nil || p.Confirm != "curepipe-1" {
		t.Errorf("a machine takes its name, too: %+v, %v", p, err)
	}
}

// The steps of an outage come in the order in which nothing is lost by stopping
// between any two.
func TestOutagePlan(t *testing.T) {
	p, err := actions.Outage(world(t, "weak"), "moka")
	if err != nil {
		t.Fatal(err)
	}
	order := []string{}
	for _, s := range p.Steps {
		if len(order) == 0 || order[len(order)-1] != s.Op {
			order = append(order, s.Op)
		}
	}
	if got := strings.Join(order, ", "); got != "backup, move replica, cordon, drain, all clear" {
		t.Errorf("the steps: %s", got)
	}
	if p.Confirm != "moka" || !slices.ContainsFunc(p.Warnings, func(s string) bool { return strings.Contains(s, "gitea-data would be lost") }) {
		t.Errorf("%+v", p)
	}
	if _, err := actions.Outage(world(t, "weak"), "node/moka-1"); err == nil {
		t.Error("an outage of a machine")
	}
}

// Every action offered on an object of any demo can be planned, or says why not, and
// no plan has a step nobody knows or a word that could move the cursor.
func TestOffers(t *testing.T) {
	for _, scenario := range []string{"healthy", "weak", "powercut", "split", "rebuild", "quorum"} {
		w := world(t, scenario)
		objects := []string{}
		for _, s := range w.Sites {
			objects = append(objects, "site/"+s.Name)
		}
		for _, n := range w.Nodes {
			objects = append(objects, "node/"+n.Name)
		}
		for _, v := range w.Volumes {
			objects = append(objects, "volume/"+v.Name)
		}
		for _, p := range w.Pods {
			objects = append(objects, "pod/"+p.Namespace+"/"+p.Name)
		}
		for _, wl := range w.Workloads {
			objects = append(objects, wl.Object())
		}
		for _, b := range w.Backups {
			objects = append(objects, "backup/"+b.Name)
		}
		for _, o := range objects {
			for _, offer := range actions.Offers(w, o) {
				answer := offer.Answer
				if offer.Action == "scale" { // as many as there are is no plan
					answer += "1"
				}
				p, err := actions.PlanFor(w, offer.Action, []string{o}, answer)
				if (err == nil) != (offer.Why == "") || offer.Words == "" {
					t.Fatalf("%s: %s of %s: %v, %+v", scenario, offer.Action, o, err, offer)
				}
				if err != nil {
					continue
				}
				if len(p.Steps) == 0 || p.Title == "" || p.Target == "" || p.Cluster == "" || len(p.Guards) > 0 && p.Confirm == "" {
					t.Errorf("%s: %s of %s: %+v", scenario, offer.Action, o, p)
				}
				for _, s := range p.Steps {
					if s.Text == "" || s.Object == "" || s.State != model.StepWaits || s.Text != model.Clean(s.Text, 0) {
						t.Errorf("%s: %s of %s: %+v", scenario, offer.Action, o, s)
					}
				}
			}
		}
	}
}
