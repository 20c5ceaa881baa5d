package model

import (
	"fmt"
	"slices"
	"testing"
)

// large is a World's facts of the size the scale harness uses.
func large(sites, nodes, pods int) Facts {
	b := newBuilder()
	for i := range nodes {
		b.node(fmt.Sprintf("site-%02d", i%sites), fmt.Sprintf("node-%04d", i))
	}
	spec := &PodSpec{Requests: Resources{MilliCPU: 50, MemoryBytes: 32 << 20}}
	const perWorkload = 50
	for i := range pods / perWorkload {
		name := fmt.Sprintf("app-%04d", i)
		d := b.controller("Deployment", name, perWorkload, Owner{})
		rs := b.controller("ReplicaSet", name+"-5d9", -1, Owner{"Deployment", name, d.UID})
		for j := range perWorkload {
			p := b.pod(fmt.Sprintf("%s-5d9-%d", name, j), fmt.Sprintf("node-%04d", (i*perWorkload+j)%nodes), Owner{"ReplicaSet", rs.Name, rs.UID})
			p.Spec = spec
		}
	}
	slices.SortFunc(b.c.Pods.Items, ComparePods)
	return Facts{Clusters: []ClusterFacts{b.c}}
}

func BenchmarkAssemble(b *testing.B) {
	for _, size := range []struct{ sites, nodes, pods int }{{3, 9, 100}, {50, 1000, 20000}} {
		b.Run(fmt.Sprintf("%dnodes-%dpods", size.nodes, size.pods), func(b *testing.B) {
			f := large(size.sites, size.nodes, size.pods)
			b.ReportAllocs()
			for b.Loop() {
				Assemble(f, moment, Options{})
			}
		})
	}
}
