package survive_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/survive"
)

// storage gives every machine a disk, and the town Longhorn.
func (t *town) storage() {
	l := &t.c.Longhorn
	for _, s := range []*model.Source{&l.Volumes.Source, &l.Replicas.Source, &l.Engines.Source, &l.Nodes.Source, &l.Settings.Source, &l.Targets.Source} {
		*s = ok(model.SourceVolumes)
	}
	for _, n := range t.c.Nodes.Items {
		l.Nodes.Items = append(l.Nodes.Items, &model.StorageNode{
			Cluster: "c", Name: n.Name, Ready: true, Schedulable: true, Scheduling: true,
			Disks: []model.Disk{{Name: "d", Max: 100 << 30, Available: 90 << 30, Ready: true, Schedulable: true, Scheduling: true}},
		})
	}
}

// volume adds a volume of 10 GiB with a copy on each of the machines, attached to
// the first, claimed by the app's first pod.
func (t *town) volume(app string, on ...string) {
	l := &t.c.Longhorn
	l.Volumes.Items = append(l.Volumes.Items, &model.VolumeFact{
		Cluster: "c", Name: "v-" + app, Namespace: "d", PVC: app, Size: 10 << 30, ActualSize: 5 << 30, Wanted: len(on), State: "attached", Robustness: "healthy", Node: on[0],
	})
	e := &model.Engine{Cluster: "c", Name: "v-" + app + "-e", Volume: "v-" + app, Node: on[0], Active: true, State: "running", Modes: map[string]string{}}
	for i, n := range on {
		name := fmt.Sprintf("v-%s-r-%d", app, i)
		l.Replicas.Items = append(l.Replicas.Items, &model.ReplicaFact{Cluster: "c", Name: name, Volume: "v-" + app, Node: n, State: "running", HealthyAt: moment, Active: true})
		e.Modes[name] = "RW"
	}
	l.Engines.Items = append(l.Engines.Items, e)
	for _, p := range t.c.Pods.Items {
		if p.Owner.Name == app {
			p.Claims = []string{app}
			break
		}
	}
}

// told is the fixes in a line each.
func told(fixes []*model.Fix) string {
	lines := []string{}
	for _, f := range fixes {
		lines = append(lines, fmt.Sprintf("%s %s: %s (%d better, %d worse)", f.Kind, f.Object, f.Change, len(f.Improves), len(f.Worsens)))
	}
	return strings.Join(lines, "\n")
}

// Each trouble has the change that cures it among those found, and it is the first.
func TestFixes(t *testing.T) {
	for name, c := range map[string]struct {
		build func() *town
		first string // of the fixes
	}{
		"both copies in one house": {func() *town {
			b := newTown(3, 2)
			b.storage()
			b.app("ReplicaSet", "a", cpu(100), "h0-0")
			b.volume("a", "h0-0", "h0-1")
			return b
		}, "moveCopy volume/d/a: move a copy from h0 to h"},
		"one copy": {func() *town {
			b := newTown(2, 1)
			b.storage()
			b.app("ReplicaSet", "a", cpu(100), "h0-0")
			b.volume("a", "h0-0")
			return b
		}, "copy volume/d/a: keep a copy in h1, too"},
		"one copy, no room elsewhere": {func() *town {
			b := newTown(2, 1)
			b.storage()
			b.c.Longhorn.Nodes.Items[1].Disks[0].Available = 20 << 30 // a quarter must stay free
			b.c.Longhorn.Targets.Items = []*model.BackupTarget{{Cluster: "c", Name: "default", URL: "s3://b@r/"}}
			b.app("ReplicaSet", "a", cpu(100), "h0-0")
			b.volume("a", "h0-0")
			return b
		}, "backup volume/d/a: back it up"},
		"a database that would hang": {func() *town {
			b := newTown(3, 1)
			b.storage()
			b.app("StatefulSet", "a", cpu(100), "h0-0")
			b.volume("a", "h0-0", "h1-0")
			return b
		}, "policy setting/node-down-pod-deletion-policy: have Longhorn free what hangs"},
		"all pods in one house": {func() *town {
			b := newTown(3, 2)
			b.app("ReplicaSet", "a", cpu(100), "h0-0", "h0-1")
			return b
		}, "spread ReplicaSet/d/a: spread it over houses"},
		"one pod": {func() *town {
			b := newTown(3, 1)
			b.app("ReplicaSet", "a", cpu(100), "h0-0")
			return b
		}, "replicas ReplicaSet/d/a: run 2, spread"},
		"held by a selector": {func() *town {
			b := newTown(3, 1)
			b.node("h0-0").Labels["disk"] = "ssd"
			s := cpu(100)
			s.NodeSelector = map[string]string{"disk": "ssd"}
			b.app("ReplicaSet", "a", s, "h0-0", "h0-0")
			return b
		}, "selector ReplicaSet/d/a: let it run on other machines"},
		"two voters in one house": {func() *town {
			b := newTown(3, 2)
			move(b.node("h2-0"), b.node("h0-1"))
			return b
		}, "voter cluster/c: move the etcd member of h0-1 to h2-0, in h2"},
		"one server": {func() *town {
			b := newTown(3, 1)
			for _, n := range []string{"h1-0", "h2-0"} {
				delete(b.node(n).Labels, "node-role.kubernetes.io/control-plane")
				delete(b.node(n).Labels, "node-role.kubernetes.io/etcd")
			}
			return b
		}, "voter cluster/c: three servers with etcd: h1-0 and h2-0 beside the one there is"},
		"no room": {func() *town {
			b := newTown(3, 1)
			b.app("ReplicaSet", "a", cpu(3000), "h0-0")
			b.app("ReplicaSet", "b", cpu(3000), "h1-0")
			b.app("ReplicaSet", "c", cpu(3000), "h2-0")
			return b
		}, "machine site/h0: one machine more, with 4 CPUs and 8 GiB"},
		"half of the store in one house": {func() *town {
			b := newTown(5, 2)
			cluster := &model.StoreCluster{Mode: "online", Parity: 2}
			for _, n := range []string{"h0-0", "h0-1", "h1-0", "h2-0"} {
				cluster.Servers = append(cluster.Servers, &model.StoreServer{Endpoint: n + ":9000", Online: true, Drives: []model.StoreDrive{{State: "ok"}}})
			}
			b.stores = []model.StoreFacts{{Cluster: "c", Target: "default", Source: ok("store/default"), MinIO: cluster}}
			return b
		}, "server store/default: move h0-0:9000 from h0 to h3 (1 better, 0 worse)"},
		"nothing": {func() *town { return newTown(3, 1) }, ""},
	} {
		_, fixes := survive.Ask(c.build().world(), 100)
		if got := told(fixes); !strings.HasPrefix(got, c.first) || c.first == "" && got != "" {
			t.Errorf("%s: wanted %q first of:\n%s", name, c.first, got)
		}
	}
}

// move moves the server with its voter to another machine.
func move(from, to *model.NodeFact) {
	for _, role := range []string{"control-plane", "etcd"} {
		delete(from.Labels, "node-role.kubernetes.io/"+role)
		to.Labels["node-role.kubernetes.io/"+role] = "true"
	}
}

// What a fix is said to do is all it does: it gains in sum, does not touch the World
// it was tried for, and asking twice says the same.
func TestFixesByRandomSearch(t *testing.T) {
	found := 0
	for seed := range uint64(150) {
		b := stored(rand.New(rand.NewPCG(seed, 5)))
		w := b.world()
		before, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		verdicts, fixes := survive.Ask(w, 50)
		if after, _ := json.Marshal(w); string(after) != string(before) {
			t.Fatalf("seed %d: trying changed the World", seed)
		}
		again, same := survive.Ask(b.world(), 50)
		x, _ := json.Marshal([]any{verdicts, fixes})
		y, _ := json.Marshal([]any{again, same})
		if string(x) != string(y) {
			t.Fatalf("seed %d: asked twice:\n%s\n%s", seed, x, y)
		}
		for _, f := range fixes {
			found++
			if len(f.Improves) == 0 {
				t.Errorf("seed %d: %s improves nothing", seed, f.Change)
			}
			for _, e := range slices.Concat(f.Improves, f.Worsens) {
				if e.From == e.To && e.Fewer == 0 && !e.Restorable {
					t.Errorf("seed %d: %s: %+v is no effect", seed, f.Change, e)
				}
			}
			for _, e := range f.Improves {
				if e.To > e.From {
					t.Errorf("seed %d: %s makes %s worse and calls it better", seed, f.Change, e.Object)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no fix was found anywhere")
	}
}

// How much is tried is bounded by who asks.
func TestTriesAreBounded(t *testing.T) {
	b := newTown(3, 2)
	for i := range 10 {
		b.app("ReplicaSet", string(rune('a'+i)), cpu(10), "h0-0", "h0-1")
	}
	for _, tries := range []int{-1, 0, 3} {
		if _, fixes := survive.Ask(b.world(), tries); len(fixes) > max(0, tries) {
			t.Errorf("%d fixes of %d tries", len(fixes), tries)
		}
	}
}

// Longhorn's policy frees pods that would hang, 30 s after they were asked to go.
func TestPodDeletionPolicy(t *testing.T) {
	for policy, want := range map[string]string{"do-nothing": "hangs", "delete-deployment-pod": "hangs", "delete-statefulset-pod": "moves", model.FreesBoth: "moves"} {
		b := newTown(3, 1)
		b.storage()
		b.c.Longhorn.Settings.Items = []*model.Setting{{Cluster: "c", Name: model.SettingPodDeletion, Value: policy}}
		b.app("StatefulSet", "a", cpu(100), "h0-0")
		b.volume("a", "h0-0", "h1-0")
		w := b.world()
		if got := fates(w, "h0"); got != want {
			t.Errorf("%s: %s, wanted %s", policy, got, want)
		}
		v := survive.New(w).Of("h0").Volumes[0]
		if want == "hangs" && (v.Outcome != model.Down || v.Recovery != nil) || want == "moves" && (v.Outcome != model.Interrupted || v.Recovery == nil || *v.Recovery != 50-5+2.5+300+30+1) {
			t.Errorf("%s: %+v", policy, v)
		}
	}
}

// stored is a random town with Longhorn, and volumes for some of its apps.
func stored(r *rand.Rand) *town {
	b := random(r)
	b.storage()
	if r.IntN(2) == 0 {
		b.c.Longhorn.Targets.Items = []*model.BackupTarget{{Cluster: "c", Name: "default", URL: "s3://b@r/"}}
	}
	apps := map[string]bool{}
	for _, p := range b.c.Pods.Items {
		if name := p.Owner.Name; !apps[name] && r.IntN(2) == 0 && p.Node != "" {
			on := []string{p.Node}
			for _, n := range b.c.Nodes.Items {
				if n.Name != p.Node && r.IntN(4) == 0 {
					on = append(on, n.Name)
				}
			}
			b.volume(name, on...)
		}
		apps[p.Owner.Name] = true
	}
	return b
}
