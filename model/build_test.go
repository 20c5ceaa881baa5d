package model

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// moment is the time all test worlds are assembled at.
var moment = time.Date(2026, 3, 14, 3, 7, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return moment.Add(-d) }

// builder makes facts for tests: a healthy cluster that a test then spoils.
type builder struct{ c ClusterFacts }

func okSource(name string) Source {
	return Source{Cluster: "test", Name: name, Status: SourceOK, ObservedAt: ago(2 * time.Second)}
}

func newBuilder() *builder {
	b := &builder{ClusterFacts{Name: "test", Server: "https://192.0.2.1:6443", Version: "v1.36.3+k3s1", API: okSource(SourceAPI)}}
	b.c.Nodes.Source, b.c.Leases.Source, b.c.Pods.Source = okSource(SourceNodes), okSource(SourceLeases), okSource(SourcePods)
	b.c.APIServers.Source, b.c.NodeUsage.Source = okSource(SourceAPIServers), okSource(SourceNodeUsage)
	b.c.Leases.Source.Optional, b.c.NodeUsage.Source.Optional = true, true
	for _, k := range ControllerKinds {
		b.c.Controllers = append(b.c.Controllers, Section[Controller]{Source: okSource(k.Source)})
	}
	b.c.Events = []Section[Event]{{Source: okSource(SourceEvents)}, {Source: okSource(SourceNodeEvents)}}
	return b
}

// node adds a ready node with a fresh heartbeat.
func (b *builder) node(site, name string, roles ...string) *NodeFact {
	n := &NodeFact{
		Cluster: "test", Name: name, UID: "uid-" + name, Created: ago(100 * 24 * time.Hour),
		Labels:      map[string]string{"kubernetes.io/hostname": name},
		Conditions:  []Condition{{Type: string(corev1.NodeReady), Status: "True", Since: ago(time.Hour)}},
		Allocatable: Resources{MilliCPU: 4000, MemoryBytes: 8 << 30, Pods: 110},
		Addresses:   []Address{{string(corev1.NodeInternalIP), fmt.Sprintf("100.64.0.%d", len(b.c.Nodes.Items)+1)}},
		Kubelet:     "v1.36.3+k3s1",
	}
	if site != "" {
		n.Labels[zoneLabel] = site
	}
	for _, r := range roles {
		n.Labels[rolePrefix+r] = "true"
	}
	b.c.Nodes.Items = append(b.c.Nodes.Items, n)
	b.c.Leases.Items = append(b.c.Leases.Items, &Lease{
		Cluster: "test", Node: name, Duration: 40 * time.Second, Renewed: ago(5 * time.Second), Heard: ago(5 * time.Second), Watched: true,
	})
	return n
}

func (b *builder) lease(node string) *Lease {
	for _, l := range b.c.Leases.Items {
		if l.Node == node {
			return l
		}
	}
	return nil
}

// dark makes the node look as after a power cut of three minutes.
func dark(n *NodeFact, b *builder) {
	n.Conditions[0].Status, n.Conditions[0].Reason, n.Conditions[0].Since = "Unknown", "NodeStatusUnknown", ago(3*time.Minute)
	l := b.lease(n.Name)
	l.Renewed, l.Heard = ago(4*time.Minute), ago(4*time.Minute)
}

// houses is three houses of three nodes, the first of each a server.
func houses() *builder {
	b := newBuilder()
	for _, site := range []string{"moka", "curepipe", "flacq"} {
		b.node(site, site+"-1", "control-plane", "etcd")
		b.node(site, site+"-2")
		b.node(site, site+"-3")
	}
	return b
}

func (b *builder) controller(kind, name string, desired int, owner Owner) *Controller {
	c := &Controller{Cluster: "test", Kind: kind, Namespace: "web", Name: name, UID: "uid-" + kind + "-" + name, Desired: desired, Owner: owner, Created: ago(24 * time.Hour)}
	for i, k := range ControllerKinds {
		if k.Kind == kind {
			b.c.Controllers[i].Items = append(b.c.Controllers[i].Items, c)
		}
	}
	return c
}

// deployment adds a Deployment with its ReplicaSet and one ready pod per node.
func (b *builder) deployment(name string, nodes ...string) *Controller {
	d := b.controller("Deployment", name, len(nodes), Owner{})
	rs := b.controller("ReplicaSet", name+"-5d9", -1, Owner{"Deployment", name, d.UID})
	for i, n := range nodes {
		b.pod(fmt.Sprintf("%s-5d9-%d", name, i), n, Owner{"ReplicaSet", rs.Name, rs.UID})
	}
	return d
}

func (b *builder) pod(name, node string, owner Owner) *Pod {
	p := &Pod{
		Cluster: "test", Namespace: "web", Name: name, UID: "uid-" + name, Node: node, Owner: owner, Phase: corev1.PodRunning, Status: "Running",
		Ready: true, Up: 1, Containers: 1, Created: ago(2 * time.Hour), Spec: &PodSpec{Requests: Resources{MilliCPU: 100, MemoryBytes: 64 << 20}},
	}
	b.c.Pods.Items = append(b.c.Pods.Items, p)
	return p
}

func (b *builder) world() *World {
	return Assemble(Facts{Clusters: []ClusterFacts{b.c}}, moment, Options{})
}
