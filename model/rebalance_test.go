package model

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// shop is a random cluster with disks and volumes.
func shop(seed uint64) *World {
	r := rand.New(rand.NewPCG(seed, 9))
	b := newBuilder()
	houses := 2 + r.IntN(4)
	l := &b.c.Longhorn
	type place struct{ site, node string }
	places := []place{}
	for h := range houses {
		for i := range 1 + r.IntN(3) {
			site := fmt.Sprintf("h%d", h)
			name := fmt.Sprintf("%s-%d", site, i)
			if n := b.node(site, name); r.IntN(12) == 0 {
				dark(n, b)
			}
			places = append(places, place{site, name})
			d := Disk{Name: "d", UUID: "disk-" + name, Max: 100 << 30, Available: int64(10+r.IntN(90)) << 30, Scheduled: int64(r.IntN(60)) << 30, Reserved: 10 << 30, Ready: true, Schedulable: true, Scheduling: r.IntN(8) > 0}
			if r.IntN(5) == 0 {
				d.Tags = []string{"fast"}
			}
			l.Nodes.Items = append(l.Nodes.Items, &StorageNode{Cluster: b.c.Name, Name: name, Zone: site, Ready: true, Schedulable: true, Scheduling: r.IntN(10) > 0, Disks: []Disk{d}})
		}
	}
	for i := range 2 + r.IntN(12) {
		v := &VolumeFact{Cluster: b.c.Name, Name: fmt.Sprintf("pvc-%d", i), Namespace: "d", PVC: fmt.Sprintf("claim-%d", i), Size: int64(1+r.IntN(20)) << 30, State: "attached", Robustness: "healthy"}
		v.ActualSize = v.Size / int64(1+r.IntN(4))
		if r.IntN(8) == 0 {
			v.DiskSelector = []string{"fast"}
		}
		if r.IntN(10) == 0 {
			v.State = "detached"
		}
		if r.IntN(12) == 0 {
			v.Robustness = "degraded"
		}
		e := &Engine{Cluster: b.c.Name, Name: v.Name + "-e", Volume: v.Name, Active: true, State: "running", Modes: map[string]string{}}
		order := r.Perm(len(places))
		for k := range min(1+r.IntN(4), len(places)) {
			p := places[order[k]]
			name := fmt.Sprintf("%s-r-%d", v.Name, k)
			l.Replicas.Items = append(l.Replicas.Items, &ReplicaFact{Cluster: b.c.Name, Name: name, Volume: v.Name, Node: p.node, Disk: "disk-" + p.node, HealthyAt: moment, Active: true})
			e.Modes[name] = "RW"
			v.Wanted++
			v.Node = p.node
		}
		e.Node = v.Node
		l.Volumes.Items = append(l.Volumes.Items, v)
		l.Engines.Items = append(l.Engines.Items, e)
	}
	for _, s := range []*Source{&l.Volumes.Source, &l.Replicas.Source, &l.Engines.Source, &l.Nodes.Source} {
		*s = okSource(SourceVolumes)
	}
	return b.world()
}

// Whatever the cluster, a plan adds a copy before one goes, fits every disk at every
// moment, puts no two copies of a volume on a machine, moves no bytes for nothing, and
// leaves no volume with two copies in a house while another has room.
func TestRebalanceByRandomSearch(t *testing.T) {
	moved, leftAlone := 0, 0
	for seed := range uint64(400) {
		w := shop(seed)
		moves, left := w.Rebalance(nil, "")
		leftAlone += len(left)
		at := map[string][]string{} // machines by volume
		for _, v := range w.Volumes {
			for _, r := range v.Replicas {
				at[v.Name] = append(at[v.Name], r.Node)
			}
		}
		scheduled, used := map[string]int64{}, map[string]int64{}
		for _, m := range moves {
			moved++
			v := m.Volume
			sites := func() map[string]int {
				in := map[string]int{}
				for _, n := range at[v.Name] {
					in[w.Node(w.Clusters[0].Name, n).Site]++
				}
				return in
			}
			before := sites()
			if before[m.From] < 2 || before[m.To] > 0 {
				t.Fatalf("seed %d: %s goes from %s to %s: %v", seed, v.Name, m.From, m.To, before)
			}
			if slices.Contains(at[v.Name], m.Node) || w.Node(w.Clusters[0].Name, m.Node).Site != m.To || !w.Node(w.Clusters[0].Name, m.Node).Alive() {
				t.Fatalf("seed %d: %s goes onto %s: %v", seed, v.Name, m.Node, at[v.Name])
			}
			if m.Copy.Site != m.From || !slices.Contains(at[v.Name], m.Copy.Node) {
				t.Fatalf("seed %d: %s gives up %+v", seed, v.Name, m.Copy)
			}
			for _, s := range w.StorageNodes {
				if d := s.Disks[0]; s.Name == m.Node {
					scheduled[s.Name], used[s.Name] = scheduled[s.Name]+v.Size, used[s.Name]+v.ActualSize
					if !s.Scheduling || !d.Scheduling || !hasTags(d.Tags, v.DiskSelector) || d.Scheduled+scheduled[s.Name] > d.Max-d.Reserved || d.Available-used[s.Name] <= d.Max/4 {
						t.Fatalf("seed %d: no room for %s on %s: %+v, %d planned", seed, v.Name, s.Name, d, scheduled[s.Name])
					}
				}
				if s.Name == m.Copy.Node {
					scheduled[s.Name], used[s.Name] = scheduled[s.Name]-v.Size, used[s.Name]-v.ActualSize
				}
			}
			at[v.Name] = append(slices.DeleteFunc(at[v.Name], func(n string) bool { return n == m.Copy.Node }), m.Node)
			if after := sites(); len(after) != len(before)+1 {
				t.Fatalf("seed %d: %s: %v became %v", seed, v.Name, before, after)
			}
		}
		why := map[string]string{}
		for _, l := range left {
			why[l.Volume.Name] = l.Why
		}
		for _, v := range w.Volumes {
			in := map[string]bool{}
			for _, n := range at[v.Name] {
				in[w.Node(w.Clusters[0].Name, n).Site] = true
			}
			if len(in) < len(at[v.Name]) && why[v.Name] == "" {
				t.Fatalf("seed %d: %s has two copies in a house, and nobody says why: %v", seed, v.Name, at[v.Name])
			}
		}
		again, _ := shop(seed).Rebalance(nil, "")
		if words(again) != words(moves) {
			t.Fatalf("seed %d: asked twice:\n%s\n%s", seed, words(moves), words(again))
		}
	}
	if moved < 100 || leftAlone < 20 {
		t.Errorf("%d moves, %d left alone: the search found little", moved, leftAlone)
	}
}

func words(moves []Move) string {
	list := []string{}
	for _, m := range moves {
		list = append(list, fmt.Sprintf("%s %s>%s on %s for %s", m.Volume.Name, m.From, m.To, m.Node, m.Copy.Name))
	}
	return strings.Join(list, "\n")
}
