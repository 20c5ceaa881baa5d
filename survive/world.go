// Package survive answers what breaks when sites are lost: it plays the loss
// through on a World, as the controllers and the scheduler of Kubernetes would,
// and says what of the control plane, the workloads, the volumes and the object
// store is left, for how long anything is away, and why.
//
// It is pure: no I/O, no clock, no goroutine; the World it is given stays as it is.
package survive

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/geotop/geotop/model"
)

// cluster is one cluster as placing sees it. It is made once of a World and does
// not change; what a loss does to it is in a state.
type cluster struct {
	world    *model.World
	model    *model.Cluster
	nodes    []*node
	names    map[string]*node
	pods     []*pod                  // on nodes, or waiting for one
	waiting  []*pod                  // on none
	claimers []*pod                  // with volumes
	ready    map[*model.Workload]int // pods that run and are ready
	owners   int                     // workloads
	losing   map[string]int          // by UID of a Job: its pods that were asked to go
	kinds    map[kindKey]*kind
	list     []*kind // by id
	rules    map[*model.PodSpec]*rules
	telling  []string // labels that anybody selects pods by, sorted
	terms    []*kind  // whose pods keep others away by required anti-affinity
	byLabel  map[string]*domains
	members  [][]*pod // by kind: its pods
	byOwner  map[string][]*kind
	claims   map[string]*model.PersistentVolume // by namespace and name
	ours     map[string]bool                    // claims that are volumes of Longhorn
	frees    map[string]bool                    // by kind of owner: Longhorn ends such pods on a machine that is down
	before   *state                             // how things are now; made when first needed
	avoided  bool                               // some node has a taint that pods had better avoid
	desk     desk
	sizes    map[request][]rating
	social   []*kind // with likings of their own for other pods
}

// node is one machine.
type node struct {
	*model.Node
	index int
	zone  string // as the node controller knows it
	api   corev1.Node
	room  amounts
	dead  bool // gives no sign of life already
}

// pod is one pod, or one that a controller would make in its place.
type pod struct {
	index int // in what is kept by pod
	fact  *model.Pod
	kind  *kind
	owner *model.Workload
	node  *node // nil while it waits
	ends  bool  // asked to go
}

// rules is what follows from a spec alone.
type rules struct {
	must    func(*corev1.Node) bool // of its node selector and required node affinity
	allowed []bool                  // by node: selector, affinity and taints, as of now
}

// kindKey is what pods of one kind share. Labels that nobody selects by do not
// count: each pod of a StatefulSet has one of its own.
type kindKey struct {
	namespace string
	spec      *model.PodSpec
	labels    string
	claims    string
	owner     string
	target    string // of a DaemonSet's pod that waits
}

// kind is what all pods of equal spec and labels have in common: where they may
// be placed at all, and what they ask for.
type kind struct {
	id        int
	namespace string
	spec      *model.PodSpec
	labels    labels.Set
	claims    []string
	owner     string // UID of what made the pods
	ownerKind string
	want      amounts
	size      []rating // by node: how its pods would fit as things are now; shared by kinds that ask for the same
	bound     []bool   // by node: its volumes can be used there; nil for everywhere
	unsure    string   // a claim of which nobody told where it can be used
	*rules
	lostToo   bool // it tolerates even a node that is lost
	spread    []spread
	soft      []spread
	likeness  []spread // of the scheduler's own, for pods without constraints
	attract   []term   // required pod affinity
	repel     []term   // required pod anti-affinity
	preferred []weighted
	likes     []int64  // by node: preferred node affinity; nil for none
	repelled  []keeper // whose pods keep it away
	ready     bool     // what depends on the other kinds is filled in
}

// keeper is a kind whose pods keep others out of their domain.
type keeper struct {
	kind *kind
	term term
}

// amounts is what is asked for or offered, as plain numbers.
type amounts struct {
	cpu, memory, disk, pods int64
	extended                map[string]int64
}

// request is the amounts that pods of most kinds ask for.
type request struct{ cpu, memory, disk int64 }

// rating is how a pod that asks for so much would fit on a node.
type rating struct {
	known bool
	short obstacle // what there is too little of
	score int64    // what the scheduler makes of the room, without the others' company
}

func amountsOf(r model.Resources) amounts {
	return amounts{r.MilliCPU, r.MemoryBytes, r.EphemeralBytes, r.Pods, r.Extended}
}

// gather reads one cluster out of the World.
func gather(w *model.World, of *model.Cluster) *cluster {
	c := &cluster{
		world: w, model: of, names: map[string]*node{}, kinds: map[kindKey]*kind{}, rules: map[*model.PodSpec]*rules{}, byLabel: map[string]*domains{}, byOwner: map[string][]*kind{}, sizes: map[request][]rating{},
		ready: map[*model.Workload]int{}, claims: map[string]*model.PersistentVolume{}, ours: map[string]bool{}, losing: map[string]int{}, frees: frees(w.Setting(of.Name, model.SettingPodDeletion)),
	}
	for _, n := range w.Nodes {
		if n.Cluster == of.Name {
			c.addNode(n)
		}
	}
	for _, v := range w.PersistentVolumes {
		if v.Cluster == of.Name && v.Claim != "" {
			c.claims[v.Namespace+"/"+v.Claim] = v
		}
	}
	for _, v := range w.Volumes {
		if v.Cluster == of.Name {
			c.ours[v.Namespace+"/"+v.PVC] = true
		}
	}
	here := func(p *model.Pod) bool { return p.Cluster == of.Name && !p.Finished() && p.Spec != nil }
	for _, p := range w.Pods {
		if here(p) {
			c.readRules(p.Spec)
		}
	}
	for _, p := range w.Pods {
		if here(p) {
			c.addPod(p)
		}
	}
	for _, wl := range w.Workloads {
		if wl.Cluster == of.Name {
			c.owners++
		}
	}
	for _, k := range c.list {
		if len(k.repel) > 0 {
			c.terms = append(c.terms, k)
		}
	}
	return c
}

func (c *cluster) addNode(n *model.Node) {
	at := &node{Node: n, index: len(c.nodes), room: amountsOf(n.Allocatable), dead: !n.Alive(), zone: controllerZone(n)}
	at.api = corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: n.Labels}}
	at.api.Spec.Taints, at.api.Spec.Unschedulable = n.Taints, n.Unschedulable
	c.nodes = append(c.nodes, at)
	c.names[n.Name] = at
	c.avoided = c.avoided || slices.ContainsFunc(n.Taints, func(t corev1.Taint) bool { return t.Effect == corev1.TaintEffectPreferNoSchedule })
}

func (c *cluster) addPod(p *model.Pod) {
	at := &pod{index: len(c.pods), fact: p, kind: c.kind(p), owner: c.world.WorkloadOf(p), node: c.names[p.Node], ends: p.Terminating()}
	c.pods = append(c.pods, at)
	for len(c.members) < len(c.list) {
		c.members = append(c.members, nil)
	}
	c.members[at.kind.id] = append(c.members[at.kind.id], at)
	if at.ends && p.Owner.Kind == "Job" {
		c.losing[p.Owner.UID]++
	}
	if len(p.Claims) > 0 {
		c.claimers = append(c.claimers, at)
	}
	switch {
	case at.node == nil:
		c.waiting = append(c.waiting, at)
	case at.owner != nil && p.Ready && !at.ends:
		c.ready[at.owner]++
	}
}

// readRules reads a spec, once: where its pods may be, and by which labels they
// select others.
func (c *cluster) readRules(spec *model.PodSpec) {
	if c.rules[spec] != nil {
		return
	}
	r := &rules{must: mustMatch(spec), allowed: make([]bool, len(c.nodes))}
	for i, n := range c.nodes {
		r.allowed[i] = r.must(&n.api) && tolerates(spec, n.api.Spec.Taints, n.Unschedulable)
	}
	c.rules[spec] = r
	for _, name := range selectedBy(spec) {
		if i, has := slices.BinarySearch(c.telling, name); !has {
			c.telling = slices.Insert(c.telling, i, name)
		}
	}
}

// kind gives the pod's kind, made when it is the first of it.
func (c *cluster) kind(p *model.Pod) *kind {
	key := kindKey{namespace: p.Namespace, spec: p.Spec, owner: p.Owner.UID, target: p.For}
	for _, name := range c.telling {
		if value, has := p.Labels[name]; has {
			key.labels += name + "=" + value + ","
		}
	}
	for _, name := range p.Claims {
		key.claims += name + " "
	}
	if k := c.kinds[key]; k != nil {
		return k
	}
	k := &kind{id: len(c.kinds), namespace: p.Namespace, spec: p.Spec, labels: labels.Set(p.Labels), rules: c.rules[p.Spec], claims: p.Claims, owner: p.Owner.UID, ownerKind: p.Owner.Kind, want: amountsOf(p.Spec.Requests)}
	k.readAffinity()
	k.readSpread()
	k.lostToo = tolerates(p.Spec, unreachable, false)
	c.bind(k)
	if p.For != "" {
		own, before := make([]bool, len(c.nodes)), k.bound
		if n := c.names[p.For]; n != nil {
			own[n.index] = before == nil || before[n.index]
		}
		k.bound = own
	}
	if len(k.want.extended) == 0 {
		asks := request{k.want.cpu, k.want.memory, k.want.disk}
		if c.sizes[asks] == nil {
			c.sizes[asks] = make([]rating, len(c.nodes))
		}
		k.size = c.sizes[asks]
	}
	c.kinds[key] = k
	c.list = append(c.list, k)
	c.byOwner[k.owner] = append(c.byOwner[k.owner], k)
	if len(k.preferred)+len(k.attract) > 0 {
		c.social = append(c.social, k)
	}
	return k
}

// bind says on which nodes the pods' volumes can be used.
func (c *cluster) bind(k *kind) {
	for _, name := range k.claims {
		v := c.claims[k.namespace+"/"+name]
		switch {
		case v == nil && !c.ours[k.namespace+"/"+name] && !c.world.Knows(model.SourcePersistentVolumes):
			k.unsure = name
		case v == nil || v.Affinity == nil:
		default:
			if k.bound == nil {
				k.bound = slices.Repeat([]bool{true}, len(c.nodes))
			}
			for i, usable := range c.usable(v) {
				k.bound[i] = k.bound[i] && usable
			}
		}
	}
}

// usable is where a volume can be used, by node.
func (c *cluster) usable(v *model.PersistentVolume) []bool {
	on := make([]bool, len(c.nodes))
	sel, err := nodeaffinity.NewNodeSelector(v.Affinity)
	for i, n := range c.nodes {
		on[i] = err == nil && sel.Match(&n.api)
	}
	return on
}

// frees reads Longhorn's setting of which pods it ends, so that their volumes can
// be used elsewhere, when their machine is down.
func frees(policy string) map[string]bool {
	sets, deployments := model.FreesPods(policy)
	return map[string]bool{"StatefulSet": sets, "ReplicaSet": deployments}
}

// freed reports whether Longhorn ends the pod when its machine is down.
func (c *cluster) freed(p *pod) bool {
	return c.frees[p.fact.Owner.Kind] && slices.ContainsFunc(p.kind.claims, func(claim string) bool { return c.ours[p.kind.namespace+"/"+claim] })
}

// unreachable is what the node controller puts on a node that it no longer hears.
var unreachable = []corev1.Taint{
	{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoSchedule},
	{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute},
}

// prepare fills in what a kind has to do with the others, before its first pod is
// placed.
func (c *cluster) prepare(k *kind) {
	if k.ready {
		return
	}
	k.ready = true
	for i := range k.spread {
		c.prepareSpread(k, &k.spread[i])
	}
	for i := range k.soft {
		c.prepareSpread(k, &k.soft[i])
	}
	for _, terms := range [][]term{k.attract, k.repel} {
		for i := range terms {
			c.prepareTerm(&terms[i])
		}
	}
	for i := range k.preferred {
		c.prepareTerm(&k.preferred[i].term)
	}
	for _, other := range c.terms {
		for _, t := range other.repel {
			if t.matches(k) {
				c.prepareTerm(&t)
				k.repelled = append(k.repelled, keeper{other, t})
			}
		}
	}
	k.likes = c.likes(k)
	k.likeness = c.defaultSpread(k)
}

func (c *cluster) prepareSpread(k *kind, s *spread) {
	s.domains = c.domains(s.key)
	for _, o := range c.list {
		if o.namespace == k.namespace && s.selector.Matches(o.labels) {
			s.kinds = append(s.kinds, o)
		}
	}
	s.self = s.selector.Matches(k.labels)
	s.counted = make([]bool, len(c.nodes))
	for i, n := range c.nodes {
		s.counted[i] = (!s.affinity || k.must(&n.api)) && (!s.taints || tolerates(k.spec, n.api.Spec.Taints, n.Unschedulable))
	}
}

func (c *cluster) prepareTerm(t *term) {
	t.domains = c.domains(t.key)
	t.kinds = nil
	for _, o := range c.list {
		if t.matches(o) {
			t.kinds = append(t.kinds, o)
		}
	}
}

// domains numbers the values that nodes have for a label; -1 for none. Equal
// labels give the same slice.
func (c *cluster) domains(label string) *domains {
	if d := c.byLabel[label]; d != nil {
		return d
	}
	d := &domains{of: make([]int, len(c.nodes))}
	numbers := map[string]int{}
	for i, n := range c.nodes {
		v, ok := n.Labels[label]
		if !ok {
			d.of[i] = -1
			continue
		}
		if _, known := numbers[v]; !known {
			numbers[v] = len(numbers)
		}
		d.of[i] = numbers[v]
	}
	d.count = len(numbers)
	c.byLabel[label] = d
	return d
}

// domains is the nodes by the value of a label.
type domains struct {
	of    []int // by node
	count int
}

// controllerZone is the zone the node controller counts a node in: region and
// zone together, the legacy labels before the new ones.
func controllerZone(n *model.Node) string {
	first := func(names ...string) string {
		for _, name := range names {
			if v := n.Labels[name]; v != "" {
				return v
			}
		}
		return ""
	}
	return first("failure-domain.beta.kubernetes.io/region", corev1.LabelTopologyRegion) + "\x00" +
		first("failure-domain.beta.kubernetes.io/zone", corev1.LabelTopologyZone)
}
