// Package model holds geotop's domain as plain values: what the sources said
// (Facts), and the World that Assemble makes of it for one moment.
//
// It does no I/O, reads no clock and starts no goroutine; time comes in as a
// value. A World and everything it points to is immutable once assembled, so it
// may be read from any goroutine.
package model

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Facts is everything the sources said, unjudged.
type Facts struct {
	Clusters []ClusterFacts
	Tailnets []TailnetFacts
	Stores   []StoreFacts
	Ways     []WayFacts
	// Changes are what was recorded to have changed, in any order.
	Changes []*Change
	// LookedAt is when somebody last looked at a screen, before this start.
	LookedAt time.Time
	// Trails are how figures went lately; nil when nobody kept them.
	Trails *Trails
}

// ClusterFacts is what is known of one cluster.
type ClusterFacts struct {
	Name        string
	Server      string // in use
	Configured  string // the kubeconfig's; another one than Server after a fail-over
	Version     string
	API         Source // the API server itself: does it answer
	Nodes       Section[NodeFact]
	Leases      Section[Lease]
	Pods        Section[Pod] // sorted by namespace and name
	Controllers []Section[Controller]
	APIServers  Section[APIServer]
	Events      []Section[Event]
	NodeUsage   Section[Usage]
	Longhorn    LonghornFacts
	// EtcdSnapshots are k3s's.
	EtcdSnapshots     Section[EtcdSnapshot]
	PersistentVolumes Section[PersistentVolume]
	Plans             Section[PlanRun]
}

// sources lists the cluster's sources in the order they are shown.
func (f *ClusterFacts) sources() []Source {
	list := []Source{f.API, f.Nodes.Source, f.Leases.Source, f.Pods.Source}
	for _, c := range f.Controllers {
		list = append(list, c.Source)
	}
	list = append(list, f.APIServers.Source, f.PersistentVolumes.Source, f.EtcdSnapshots.Source, f.Plans.Source)
	for _, e := range f.Events {
		list = append(list, e.Source)
	}
	list = append(list, f.Longhorn.sources()...)
	list = append(list, f.NodeUsage.Source)
	return slices.DeleteFunc(list, func(s Source) bool { return s.Name == "" })
}

// Options are the choices of the operator that shape a World.
type Options struct {
	SiteLabels []string      // node labels that name the site, first match wins; SiteLabels when nil
	StaleAfter time.Duration // how long an answer counts as current; 20 s when 0
	// Locations is where sites are, by name; it goes before LocationAnnotation.
	Locations map[string]Location
	// Limits are from where on figures are findings, where the operator set any.
	Limits Thresholds
}

// World is the joined state of all clusters at one moment.
type World struct {
	At        time.Time
	Clusters  []*Cluster
	Tailnets  []*Tailnet
	Sources   []Source
	Sites     []*Site     // by name, "?" last
	Nodes     []*Node     // by site and name
	Pods      []*Pod      // by cluster, namespace and name
	Workloads []*Workload // by cluster, namespace, name and kind
	Peers     []*Peer     // by site and name, those of no site last
	Links     []*Link     // by site
	Volumes   []*Volume   // by namespace and claim
	Events    []*Event    // newest first
	Timeline  []*Change   // newest first: what was recorded, and what the present states tell of the past
	LookedAt  time.Time   // when somebody last looked at a screen, before this start; zero when never

	Trails *Trails // how figures went lately; nil when nobody kept them

	PersistentVolumes []*PersistentVolume

	// Plans are those under way, or left before their end.
	Plans []*PlanRun

	StorageNodes  []*StorageNode
	Backups       []*Backup // newest first
	BackupTargets []*BackupTarget
	RecurringJobs []*RecurringJob
	Stores        []*StoreFacts
	EtcdSnapshots []*EtcdSnapshot // newest first

	// Verdicts is what breaks when each site is lost, in the order of Sites; nil
	// until that was asked (package survive).
	Verdicts []*Verdict
	// Fixes is what would make them better, the best first.
	Fixes []*Fix

	Status  Severity // the worst of Reasons
	Reasons []Reason // most severe first
	Hints   []string // advice that is no trouble, e.g. unlabelled nodes

	facts  Facts // what it was made of, for writing it out
	limits Thresholds
	nodes  map[objectKey]*Node
	sites  map[string]*Site
	// owners finds a pod's workload by the UID of its direct owner, or its own.
	owners map[string]*Workload
}

type objectKey struct{ cluster, name string }

// Assemble joins the facts into the World of the given moment. It is
// deterministic: equal facts, time and options give an equal World.
func Assemble(f Facts, now time.Time, opt Options) *World {
	if opt.SiteLabels == nil {
		opt.SiteLabels = SiteLabels
	}
	if opt.StaleAfter == 0 {
		opt.StaleAfter = 20 * time.Second
	}
	f.Clusters = slices.SortedFunc(slices.Values(f.Clusters), func(a, b ClusterFacts) int { return cmp.Compare(a.Name, b.Name) })
	w := &World{At: now, facts: f, limits: opt.Limits, Clusters: []*Cluster{}, Tailnets: []*Tailnet{}, Sources: []Source{}, nodes: map[objectKey]*Node{}, sites: map[string]*Site{}, owners: map[string]*Workload{}}
	nodeSource := map[string]Source{}
	for i := range f.Clusters {
		c := &f.Clusters[i]
		for _, s := range c.sources() {
			w.Sources = append(w.Sources, s.aged(now, opt.StaleAfter))
		}
		nodeSource[c.Name] = c.Nodes.Source.aged(now, opt.StaleAfter)
		w.addNodes(c)
	}
	assignSites(w.Nodes, opt.SiteLabels)
	for i := range f.Tailnets {
		t := &f.Tailnets[i]
		for _, s := range t.sources() {
			w.Sources = append(w.Sources, s.aged(now, opt.StaleAfter))
		}
		w.addTailnet(t, opt)
	}
	for i := range f.Clusters {
		w.addPods(&f.Clusters[i])
		w.PersistentVolumes = append(w.PersistentVolumes, f.Clusters[i].PersistentVolumes.Items...)
		w.addLonghorn(&f.Clusters[i])
		w.addEtcdSnapshots(&f.Clusters[i])
		w.addEvents(&f.Clusters[i])
		w.addPlans(&f.Clusters[i])
	}
	w.finishSites(nodeSource, opt.Locations)
	for i := range f.Clusters {
		c := &f.Clusters[i]
		w.Clusters = append(w.Clusters, newCluster(c, w.clusterNodes(c.Name)))
	}
	w.addPings()
	for i := range f.Ways {
		w.addWays(&f.Ways[i], opt.StaleAfter)
	}
	w.sortLinks()
	for i := range f.Stores {
		s := f.Stores[i]
		w.addStore(&s, opt.StaleAfter)
		w.Sources = append(w.Sources, s.Source)
	}
	w.judgeVolumes()
	w.addTimeline(f.Changes)
	w.LookedAt, w.Trails = f.LookedAt, f.Trails
	w.judge()
	return w
}

func (w *World) addNodes(c *ClusterFacts) {
	leases := make(map[string]*Lease, len(c.Leases.Items))
	for _, l := range c.Leases.Items {
		leases[l.Node] = l
	}
	usage := make(map[string]*Usage, len(c.NodeUsage.Items))
	for _, u := range c.NodeUsage.Items {
		usage[u.Name] = u
	}
	// A heartbeat is judged as of the moment the leases were read: when nobody
	// reads them any more they say nothing about the nodes.
	heard := w.At
	if at := c.Leases.Source.ObservedAt; !at.IsZero() {
		heard = at
	}
	for _, f := range c.Nodes.Items {
		n := newNode(f, leases[f.Name], heard)
		n.Usage = usage[f.Name]
		w.Nodes = append(w.Nodes, n)
		w.nodes[objectKey{c.Name, f.Name}] = n
	}
}

// addPods counts pods into nodes and gathers them into workloads.
func (w *World) addPods(c *ClusterFacts) {
	w.Pods = append(w.Pods, c.Pods.Items...)
	g := newGathering(c)
	for _, p := range c.Pods.Items {
		node := w.nodes[objectKey{c.Name, p.Node}]
		if node != nil && !p.Finished() {
			node.Pods++
			if p.Spec != nil {
				node.Requested = node.Requested.Add(p.Spec.Requests)
			}
		}
		g.workload(p).add(p, node, w.At)
	}
	w.Workloads = append(w.Workloads, g.finish(w.At)...)
	maps.Copy(w.owners, g.tops)
}

func (w *World) addEvents(c *ClusterFacts) {
	for _, s := range c.Events {
		w.Events = append(w.Events, s.Items...)
	}
	slices.SortFunc(w.Events, func(a, b *Event) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Object, b.Object), cmp.Compare(a.UID, b.UID))
	})
}

// finishSites gathers the nodes into sites, judges them and counts pods.
func (w *World) finishSites(nodeSource map[string]Source, at map[string]Location) {
	slices.SortFunc(w.Nodes, func(a, b *Node) int {
		return cmp.Or(cmp.Compare(a.Site, b.Site), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Cluster, b.Cluster))
	})
	w.Sites = gatherSites(w.Nodes, at)
	worst := map[string]Source{}
	for _, n := range w.Nodes {
		src := nodeSource[n.Cluster]
		if old, ok := worst[n.Site]; !ok || old.Status == SourceOK {
			worst[n.Site] = src
		}
	}
	offline := w.Offline()
	for _, s := range w.Sites {
		s.judge(worst[s.Name], offline)
		w.sites[s.Name] = s
	}
	for _, wl := range w.Workloads {
		for _, c := range wl.BySite {
			if s := w.sites[c.Site]; s != nil {
				s.Pods += c.Pods
				s.PodsReady += c.Ready
			}
		}
	}
}

func (w *World) clusterNodes(cluster string) []*Node {
	nodes := []*Node{}
	for _, n := range w.Nodes {
		if n.Cluster == cluster {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Node gives the node of the cluster by name, or nil.
func (w *World) Node(cluster, name string) *Node { return w.nodes[objectKey{cluster, name}] }

// Site gives the site by name, or nil.
func (w *World) Site(name string) *Site { return w.sites[name] }

// PodSite gives the site the pod runs in, "" when it is on no known node.
func (w *World) PodSite(p *Pod) string {
	if n := w.nodes[objectKey{p.Cluster, p.Node}]; n != nil {
		return n.Site
	}
	return ""
}

// Pod gives the pod by name, or nil.
func (w *World) Pod(cluster, namespace, name string) *Pod {
	i, ok := slices.BinarySearchFunc(w.Pods, Pod{Cluster: cluster, Namespace: namespace, Name: name},
		func(p *Pod, key Pod) int { return ComparePods(p, &key) })
	if !ok {
		return nil
	}
	return w.Pods[i]
}

// ComparePods is the order of World.Pods.
func ComparePods(a, b *Pod) int {
	return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// EventNode gives the node an event concerns: its object, the pod's node, or
// the node that reported it; nil when unknown.
func (w *World) EventNode(e *Event) *Node {
	name := e.Host
	switch e.Kind {
	case "Node":
		name = e.Object
	case "Pod":
		if p := w.Pod(e.Cluster, e.Namespace, e.Object); p != nil && p.Node != "" {
			name = p.Node
		}
	}
	return w.Node(e.Cluster, name)
}

// EventSite gives the site an event concerns, or "".
func (w *World) EventSite(e *Event) string {
	if n := w.EventNode(e); n != nil {
		return n.Site
	}
	return ""
}

// WorkloadOf gives the workload the pod belongs to, or nil.
func (w *World) WorkloadOf(p *Pod) *Workload {
	uid := p.Owner.UID
	if uid == "" {
		uid = p.UID
	}
	return w.owners[uid]
}

// PodsOf gives the workload's pods in order.
func (w *World) PodsOf(wl *Workload) []*Pod {
	var pods []*Pod
	for _, p := range w.Pods {
		if w.WorkloadOf(p) == wl {
			pods = append(pods, p)
		}
	}
	return pods
}

// OwnsPod reports whether the pod of that name, in the workload's namespace, is
// one of the workload's.
func (w *World) OwnsPod(wl *Workload, pod string) bool {
	p := w.Pod(wl.Cluster, wl.Namespace, pod)
	return p != nil && w.WorkloadOf(p) == wl
}

// Settled reports whether every source has said all it can say for now.
func (w *World) Settled() bool {
	return !slices.ContainsFunc(w.Sources, func(s Source) bool { return !s.Status.Settled() })
}

// Offline reports whether it is us who are cut off: neither an API server nor
// any machine of the tailnet outside this house answers, though both were asked.
func (w *World) Offline() bool {
	asked, here := false, w.Here()
	for _, p := range w.Peers {
		if p.Self || p.Site == here {
			continue
		}
		if p.Answers() {
			return false
		}
		asked = asked || p.State == PeerUnreachable
	}
	return asked && !slices.ContainsFunc(w.Sources, func(s Source) bool { return s.Name == SourceAPI && s.Status == SourceOK })
}

// Awaits reports whether any of the sources of these names has not answered yet
// and not failed yet either.
func (w *World) Awaits(sources ...string) bool {
	return slices.ContainsFunc(w.Sources, func(s Source) bool {
		return !s.Status.Settled() && slices.Contains(sources, s.Name)
	})
}

// Knows reports whether the source of that name gave anything, in every cluster
// that has it: without, its counts are not noughts but unknown.
func (w *World) Knows(source string) bool {
	return !slices.ContainsFunc(w.Sources, func(s Source) bool { return s.Name == source && !s.Holds() })
}

// Looked reports whether any source gave anything, be it old, but not from before
// this start: without, the World is no snapshot of anything. That a server answers is not enough when it
// lets us read nothing.
func (w *World) Looked() bool {
	return slices.ContainsFunc(w.Sources, func(s Source) bool {
		return s.Name != s.Group() && s.Holds() && !s.Remembered
	})
}

// InSite gives the World cut down to one site: what is there, and what is the
// matter there or with the whole. It is nil when there is no such site.
func (w *World) InSite(site string) *World {
	if w.sites[site] == nil {
		return nil
	}
	in := *w
	in.Sites = keep(w.Sites, func(s *Site) bool { return s.Name == site })
	in.Nodes = keep(w.Nodes, func(n *Node) bool { return n.Site == site })
	in.Pods = keep(w.Pods, func(p *Pod) bool { return w.PodSite(p) == site })
	in.Workloads = keep(w.Workloads, func(wl *Workload) bool { return wl.BySite.Has(site) })
	in.Volumes = keep(w.Volumes, func(v *Volume) bool {
		return v.Site == site || slices.ContainsFunc(v.Replicas, func(r *Replica) bool { return r.Site == site })
	})
	in.StorageNodes = keep(w.StorageNodes, func(s *StorageNode) bool {
		n := w.Node(s.Cluster, s.Name)
		return n != nil && n.Site == site
	})
	in.Peers = keep(w.Peers, func(p *Peer) bool { return p.Site == site })
	if w.Verdicts != nil {
		in.Verdicts = keep(w.Verdicts, func(v *Verdict) bool { return slices.Contains(v.Lost, site) })
	}
	in.Links = keep(w.Links, func(l *Link) bool { return l.From == site || l.To == site })
	in.Events = keep(w.Events, func(e *Event) bool { return w.EventSite(e) == site })
	in.Trails = w.Trails.keep(func(of TrailOf) bool {
		switch of.Kind {
		case "Site":
			return of.Name == site
		case "Node":
			return slices.ContainsFunc(in.Nodes, func(n *Node) bool { return n.Cluster == of.Cluster && n.Name == of.Name })
		default:
			return slices.ContainsFunc(in.Links, func(l *Link) bool { return l.Trail().Name == of.Name })
		}
	})
	in.Timeline = keep(w.Timeline, func(c *Change) bool { return c.Site == site })
	in.Reasons = keep(w.Reasons, func(r Reason) bool { return r.Site == site || r.Site == "" })
	in.Status = OK
	for _, r := range in.Reasons {
		in.Status = max(in.Status, r.Severity)
	}
	return &in
}

// InNamespace gives the World cut down to what is in one namespace, of what is in any.
func (w *World) InNamespace(name string) *World {
	in := *w
	in.Pods = keep(w.Pods, func(p *Pod) bool { return p.Namespace == name })
	in.Workloads = keep(w.Workloads, func(wl *Workload) bool { return wl.Namespace == name })
	in.Volumes = keep(w.Volumes, func(v *Volume) bool { return v.Namespace == name })
	in.Events = keep(w.Events, func(e *Event) bool { return e.Namespace == name || e.Namespace == "" })
	in.Timeline = keep(w.Timeline, func(c *Change) bool { return c.Namespace == name || c.Namespace == "" })
	in.Reasons = keep(w.Reasons, func(r Reason) bool {
		parts := strings.Split(r.Object, "/")
		return len(parts) != 3 || parts[0] == "link" || parts[1] == name
	})
	in.Status = OK
	for _, r := range in.Reasons {
		in.Status = max(in.Status, r.Severity)
	}
	return &in
}

func keep[T any](items []T, want func(T) bool) []T {
	kept := []T{}
	for _, it := range items {
		if want(it) {
			kept = append(kept, it)
		}
	}
	return kept
}

// PodSeverity ranks the pod, its node's state taken into account: a pod on a
// machine that gives no sign of life is not well, whatever its status says.
func (w *World) PodSeverity(p *Pod) Severity {
	sev := p.Severity(w.At)
	if w.onDeadNode(p) {
		return max(sev, Warning)
	}
	return sev
}

// PodWord is the pod's state in one word, its node's state taken into account.
func (w *World) PodWord(p *Pod) string {
	if w.onDeadNode(p) && !p.Terminating() {
		return "NodeDown"
	}
	return p.State(w.At)
}

func (w *World) onDeadNode(p *Pod) bool {
	n := w.nodes[objectKey{p.Cluster, p.Node}]
	return n != nil && !n.Alive() && !p.Finished()
}
