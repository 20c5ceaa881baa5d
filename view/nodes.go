package view

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
)

// Nodes lists the machines.
func Nodes() List { return nodesList }

var nodesList = makeNodes()

func makeNodes() List {
	severity := func(_ *model.World, n *model.Node) model.Severity { return nodeSeverity(n) }
	return &list[*model.Node]{
		info:     Info{Name: "nodes", Title: "Nodes", Sources: []string{model.SourceNodes, model.SourceAPI}},
		items:    func(w *model.World) []*model.Node { return w.Nodes },
		key:      func(n *model.Node) string { return n.Cluster + "/" + n.Name },
		site:     func(_ *model.World, n *model.Node) string { return n.Site },
		severity: severity,
		object:   func(n *model.Node) Object { return Object{Kind: "Node", Cluster: n.Cluster, Name: n.Name} },
		in: func(_ *model.World, n *model.Node, o Object) bool {
			return (o.Kind == "Site" && n.Site == o.Name) || (o.Kind == "Node" && n.Name == o.Name && n.Cluster == o.Cluster)
		},
		words: func(n *model.Node) string {
			return strings.Join(append([]string{n.Name, NodeWord(n), n.Arch, n.Kubelet, n.OSImage, n.Address(string(corev1.NodeInternalIP))}, n.Roles...), " ")
		},
		columns: []column[*model.Node]{
			mark(severity),
			{ColumnInfo: ColumnInfo{Title: "NODE", Min: 8, Ideal: 14, Max: 30, Middle: true}, cell: func(_ *model.World, n *model.Node) Cell { return strong(n.Name) }},
			{ColumnInfo: ColumnInfo{Title: "SITE", Rank: 4, Min: 5, Ideal: 10, Max: 20, Middle: true}, cell: func(_ *model.World, n *model.Node) Cell { return plain(n.Site) }},
			{ColumnInfo: ColumnInfo{Title: "STATE", Rank: 1, Min: 8, Ideal: 11, Max: 21}, cell: func(_ *model.World, n *model.Node) Cell { return nodeState(n) }},
			{ColumnInfo: ColumnInfo{Title: "ROLES", Rank: 5, Min: 5, Ideal: 7, Max: 18}, cell: func(_ *model.World, n *model.Node) Cell { return dim(NodeRoles(n)) }},
			{ColumnInfo: ColumnInfo{Title: "PODS", Rank: 3, Min: 4, Right: true}, cell: nodePods,
				compare: func(_ *model.World, a, b *model.Node) int { return cmp.Compare(a.Pods, b.Pods) }},
			{ColumnInfo: ColumnInfo{Title: "CPU", Rank: 2, Min: 4, Ideal: 8, Max: 14, Right: true, Gauge: true}, titleOf: loadTitle("CPU"),
				cell:    func(w *model.World, n *model.Node) Cell { return nodeLoad(w, n, nodeCPU(n)) },
				compare: func(_ *model.World, a, b *model.Node) int { return compareLoad(nodeCPU, a, b) }},
			{ColumnInfo: ColumnInfo{Title: "MEM", Rank: 2, Min: 4, Ideal: 8, Max: 14, Right: true, Gauge: true}, titleOf: loadTitle("MEM"),
				cell:    func(w *model.World, n *model.Node) Cell { return nodeLoad(w, n, nodeMemory(n)) },
				compare: func(_ *model.World, a, b *model.Node) int { return compareLoad(nodeMemory, a, b) }},
			trend("CPU LATELY", 7, 1, func(n *model.Node) model.TrailOf { return nodeTrail(n, model.TrailCPU) }),
			{ColumnInfo: ColumnInfo{Title: "HEARD", Rank: 6, Min: 5, Right: true}, cell: nodeHeard,
				compare: func(_ *model.World, a, b *model.Node) int { return b.HeartbeatAt.Compare(a.HeartbeatAt) }},
			{ColumnInfo: ColumnInfo{Title: "ADDRESS", Rank: 7, Min: 12, Ideal: 13, Max: 15}, cell: func(_ *model.World, n *model.Node) Cell { return dim(n.Address(string(corev1.NodeInternalIP))) }},
			{ColumnInfo: ColumnInfo{Title: "VERSION", Rank: 8, Min: 12, Ideal: 13, Max: 20}, cell: func(_ *model.World, n *model.Node) Cell { return dim(n.Kubelet) }},
			{ColumnInfo: ColumnInfo{Title: "ARCH", Rank: 9, Min: 5}, cell: func(_ *model.World, n *model.Node) Cell { return dim(n.Arch) }},
			{ColumnInfo: ColumnInfo{Title: "AGE", Rank: 9, Min: 4, Right: true}, cell: func(w *model.World, n *model.Node) Cell { return dim(age(w, n.Created)) },
				compare: func(_ *model.World, a, b *model.Node) int { return b.Created.Compare(a.Created) }},
			{ColumnInfo: ColumnInfo{Title: "TROUBLE", Rank: 10, Min: 12, Ideal: 20, Flex: true}, cell: func(_ *model.World, n *model.Node) Cell {
				return alert(strings.Join(n.Problems, ", "), nodeSeverity(n))
			}},
		},
		note:    nodeNote,
		details: nodeDetails,
	}
}

func nodeSeverity(n *model.Node) model.Severity { return n.Severity() }

// NodeWord is the node's state as people say it.
func NodeWord(n *model.Node) string {
	word := strings.ReplaceAll(string(n.State), "-", " ")
	if n.Unschedulable {
		if n.State == model.NodeReady {
			return "cordoned"
		}
		return word + ", cordoned"
	}
	return word
}

func nodeState(n *model.Node) Cell {
	if n.State == model.NodeReady && n.Unschedulable && len(n.Problems) == 0 {
		return Cell{Text: NodeWord(n), Token: themes.Accent}
	}
	return alert(NodeWord(n), n.Severity())
}

// NodeRoles is the roles in the few letters there is room for.
func NodeRoles(n *model.Node) string {
	short := []string{}
	for _, r := range n.Roles {
		switch r {
		case "control-plane":
			short = append(short, "cp")
		case "master": // the old name of control-plane; k3s sets both
			if !slices.Contains(n.Roles, "control-plane") {
				short = append(short, "cp")
			}
		default:
			short = append(short, r)
		}
	}
	if len(short) == 0 {
		return "agent"
	}
	return strings.Join(short, ",")
}

func nodeCPU(n *model.Node) share {
	if n.Usage != nil {
		return share{n.Usage.MilliCPU, n.Allocatable.MilliCPU, true}
	}
	return share{n.Requested.MilliCPU, n.Allocatable.MilliCPU, false}
}

func nodeMemory(n *model.Node) share {
	if n.Usage != nil {
		return share{n.Usage.MemoryBytes, n.Allocatable.MemoryBytes, true}
	}
	return share{n.Requested.MemoryBytes, n.Allocatable.MemoryBytes, false}
}

// nodeLoad shows no load for a machine that gives no sign of life.
func nodeLoad(w *model.World, n *model.Node, s share) Cell {
	if !n.Alive() {
		return dim("-")
	}
	return loadIn(w, s)
}

func nodePods(w *model.World, n *model.Node) Cell {
	if !w.Knows(model.SourcePods) {
		return unknown
	}
	return plain(strconv.Itoa(n.Pods))
}

// nodeHeard is the age of the last sign of life, shown once it is late.
func nodeHeard(w *model.World, n *model.Node) Cell {
	if n.HeartbeatAt.IsZero() {
		return dim("-")
	}
	if n.Alive() {
		return dim("ok")
	}
	return alert(age(w, n.HeartbeatAt), n.Severity())
}

// nodeNote says what is the matter with the node: for how long nothing has been
// heard of it, or what it says itself.
func nodeNote(w *model.World, n *model.Node) string {
	if n.Alive() {
		return strings.Join(n.Problems, ", ")
	}
	note := NodeWord(n)
	if !n.Since.IsZero() {
		note += " for " + age(w, n.Since)
	}
	if !n.HeartbeatAt.IsZero() && !n.HeartbeatAt.Equal(n.Since) {
		note += ", last heartbeat " + age(w, n.HeartbeatAt) + " ago"
	}
	return note
}

// addressName is a NodeAddressType as people say it.
func addressName(t string) string {
	switch corev1.NodeAddressType(t) {
	case corev1.NodeInternalIP:
		return "address"
	case corev1.NodeExternalIP:
		return "outside"
	case corev1.NodeInternalDNS:
		return "inner name"
	case corev1.NodeExternalDNS:
		return "outer name"
	default:
		return strings.ToLower(t)
	}
}

// nodeTrail names a figure of the node's.
func nodeTrail(n *model.Node, figure string) model.TrailOf {
	return model.TrailOf{Cluster: n.Cluster, Kind: "Node", Name: n.Name, Figure: figure}
}

func nodeDetails(w *model.World, n *model.Node) []Line {
	d := newDoc(w)
	d.title(Mark(n.Severity()), n.Name, NodeWord(n))
	for _, p := range n.Problems {
		d.note(p, n.Severity())
	}
	d.field("site", n.Site)
	d.field("since", agoOr(w, n.Since))
	d.field("heartbeat", agoOr(w, n.HeartbeatAt))
	d.field("roles", NodeRoles(n))
	if n.ControlPlane {
		d.field("etcd", map[bool]string{true: "voter", false: "no vote"}[n.Voter])
	}
	for _, a := range n.Addresses {
		d.field(addressName(a.Type), a.Address)
	}
	d.field("system", strings.Join([]string{n.OSImage, n.Arch, n.Kernel}, ", "))
	d.field("kubelet", n.Kubelet+", "+n.Runtime)
	d.field("cpu", amounts(nodeCPU(n), n.Requested.MilliCPU, n.Allocatable.MilliCPU, text.CPU))
	d.trend(nodeTrail(n, model.TrailCPU), percent)
	d.field("memory", amounts(nodeMemory(n), n.Requested.MemoryBytes, n.Allocatable.MemoryBytes, text.Bytes))
	d.trend(nodeTrail(n, model.TrailMemory), percent)
	d.field("pods", fmt.Sprintf("%d of %d", n.Pods, n.Allocatable.Pods))
	d.field("pod network", strings.Join(n.PodCIDRs, ", "))
	d.field("created", agoOr(w, n.Created))
	for _, t := range n.Taints {
		d.field("taint", t.ToString())
	}
	d.section("Pods")
	for _, p := range w.Pods {
		if p.Node == n.Name && p.Cluster == n.Cluster {
			d.pod(p)
		}
	}
	d.end(100)
	d.section("Conditions")
	for _, c := range n.Conditions {
		d.row(plain(c.Type), plain(c.Status), dim(age(w, c.Since)), dim(c.Message))
	}
	d.end(20)
	d.events(func(e *model.Event) bool { return e.Kind == "Node" && e.Object == n.Name && e.Cluster == n.Cluster })
	d.section("Labels")
	for _, k := range slices.Sorted(maps.Keys(n.Labels)) {
		d.row(dim(k), plain(n.Labels[k]))
	}
	d.end(60)
	return d.lines
}
