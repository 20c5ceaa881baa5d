package survive_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/survive"
)

var moment = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

// town builds a cluster.
type town struct {
	c      model.ClusterFacts
	stores []model.StoreFacts
}

func ok(name string) model.Source {
	return model.Source{Cluster: "c", Name: name, Status: model.SourceOK, ObservedAt: moment}
}

// newTown has so many houses with so many nodes of 4 CPUs each, a server with an
// etcd voter in every house.
func newTown(houses, nodes int) *town {
	t := &town{model.ClusterFacts{Name: "c", Version: "v1.36.3+k3s1", API: ok(model.SourceAPI)}, nil}
	t.c.Nodes.Source, t.c.Leases.Source, t.c.Pods.Source = ok(model.SourceNodes), ok(model.SourceLeases), ok(model.SourcePods)
	for h := range houses {
		for n := range nodes {
			name := fmt.Sprintf("h%d-%d", h, n)
			f := &model.NodeFact{
				Cluster: "c", Name: name, Kubelet: "v1.36.3+k3s1", Allocatable: model.Resources{MilliCPU: 4000, MemoryBytes: 8 << 30, Pods: 110},
				Labels:     map[string]string{corev1.LabelHostname: name, corev1.LabelTopologyZone: fmt.Sprintf("h%d", h)},
				Conditions: []model.Condition{{Type: "Ready", Status: "True", Since: moment.Add(-time.Hour)}},
			}
			if n == 0 {
				f.Labels["node-role.kubernetes.io/control-plane"], f.Labels["node-role.kubernetes.io/etcd"] = "true", "true"
			}
			t.c.Nodes.Items = append(t.c.Nodes.Items, f)
			t.c.Leases.Items = append(t.c.Leases.Items, &model.Lease{Cluster: "c", Node: name, Duration: 40 * time.Second, Renewed: moment, Heard: moment})
		}
	}
	return t
}

func (t *town) node(name string) *model.NodeFact {
	i := slices.IndexFunc(t.c.Nodes.Items, func(n *model.NodeFact) bool { return n.Name == name })
	return t.c.Nodes.Items[i]
}

// dark has the machine give no sign of life.
func (t *town) dark(name string) {
	n := t.node(name)
	n.Conditions[0].Status = "Unknown"
	n.Taints = append(n.Taints, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoSchedule})
}

// usual is what admission gives every pod.
func usual() []corev1.Toleration {
	stay := int64(300)
	return []corev1.Toleration{{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &stay}}
}

// app adds a workload of the kind with a pod on each of the nodes; "" for a pod
// that waits for one.
func (t *town) app(kind, name string, spec *model.PodSpec, nodes ...string) {
	if spec.Tolerations == nil {
		spec.Tolerations = usual()
	}
	for i, n := range nodes {
		p := &model.Pod{
			Cluster: "c", Namespace: "d", Name: fmt.Sprintf("%s-%d", name, i), UID: fmt.Sprintf("%s-%d", name, i), Node: n, Phase: corev1.PodRunning, Ready: n != "",
			Owner: model.Owner{Kind: kind, Name: name, UID: kind + name}, Labels: map[string]string{"app": name}, Spec: spec, Created: moment.Add(-time.Hour),
		}
		if kind == "" {
			p.Owner = model.Owner{}
		}
		t.c.Pods.Items = append(t.c.Pods.Items, p)
	}
}

func (t *town) world() *model.World {
	slices.SortFunc(t.c.Pods.Items, model.ComparePods)
	return model.Assemble(model.Facts{Clusters: []model.ClusterFacts{t.c}, Stores: t.stores}, moment, model.Options{})
}

func cpu(milli int64) *model.PodSpec {
	return &model.PodSpec{Requests: model.Resources{MilliCPU: milli}}
}

func spread(s *model.PodSpec, key string, change func(*corev1.TopologySpreadConstraint)) *model.PodSpec {
	c := corev1.TopologySpreadConstraint{MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}}}
	if change != nil {
		change(&c)
	}
	s.Spread = []corev1.TopologySpreadConstraint{c}
	return s
}

func honorTaints(c *corev1.TopologySpreadConstraint) {
	honor := corev1.NodeInclusionPolicyHonor
	c.NodeTaintsPolicy = &honor
}

func apart(s *model.PodSpec, key string) *model.PodSpec {
	s.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
		{TopologyKey: key, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}}},
	}}}
	return s
}

// fates is the words of the pods of app a, in order.
func fates(w *model.World, sites ...string) string {
	words := []string{}
	for _, f := range survive.New(w).Fates(0, sites...) {
		if strings.HasPrefix(f.Pod, "a-") {
			words = append(words, f.Word)
		}
	}
	return strings.Join(words, " ")
}

func TestPodsOfALostHouse(t *testing.T) {
	const zone, host = corev1.LabelTopologyZone, corev1.LabelHostname
	for name, c := range map[string]struct {
		build func(*town)
		want  string
	}{
		"of a Deployment, room elsewhere": {func(b *town) { b.app("ReplicaSet", "a", cpu(100), "h0-0", "h1-0") }, "moves stays"},
		"of a StatefulSet":                {func(b *town) { b.app("StatefulSet", "a", cpu(100), "h0-0", "h1-0") }, "hangs stays"},
		"of a DaemonSet, for ever": {func(b *town) {
			s := cpu(1)
			s.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
			b.app("DaemonSet", "a", s, "h0-0", "h1-0")
		}, "away stays"},
		"of nobody":                       {func(b *town) { b.app("", "a", cpu(100), "h0-0") }, "ends"},
		"too large for what is left":      {func(b *town) { b.app("ReplicaSet", "a", cpu(3000), "h0-0", "h0-1", "h1-0", "h1-1", "h2-0") }, "moves pends stays stays stays"},
		"apart by house":                  {func(b *town) { b.app("ReplicaSet", "a", apart(cpu(1), zone), "h0-0", "h1-0", "h2-0") }, "pends stays stays"},
		"apart by machine":                {func(b *town) { b.app("ReplicaSet", "a", apart(cpu(1), host), "h0-0", "h1-0", "h2-0") }, "moves stays stays"},
		"spread, the dead house counts":   {func(b *town) { b.app("ReplicaSet", "a", spread(cpu(1), zone, nil), "h0-0", "h1-0", "h2-0") }, "pends stays stays"},
		"spread, the dead house does not": {func(b *town) { b.app("ReplicaSet", "a", spread(cpu(1), zone, honorTaints), "h0-0", "h1-0", "h2-0") }, "moves stays stays"},
		"spread, too few houses are left": {func(b *town) {
			three := int32(3)
			b.app("ReplicaSet", "a", spread(cpu(1), zone, func(c *corev1.TopologySpreadConstraint) { honorTaints(c); c.MinDomains = &three }), "h0-0", "h1-0", "h2-0")
		}, "pends stays stays"},
		"spread, if possible": {func(b *town) {
			b.app("ReplicaSet", "a", spread(cpu(1), zone, func(c *corev1.TopologySpreadConstraint) { c.WhenUnsatisfiable = corev1.ScheduleAnyway }), "h0-0", "h1-0", "h2-0")
		}, "moves stays stays"},
		"bound to the house by a selector": {func(b *town) {
			s := cpu(1)
			s.NodeSelector = map[string]string{zone: "h0"}
			b.app("ReplicaSet", "a", s, "h0-0")
		}, "pends"},
		"a port that is taken everywhere": {func(b *town) {
			s := cpu(1)
			s.HostPorts = []model.HostPort{{Port: 80}}
			b.app("ReplicaSet", "a", s, "h0-0", "h0-1", "h1-0", "h1-1", "h2-0", "h2-1")
		}, "pends pends stays stays stays stays"},
		"others are cordoned": {func(b *town) {
			for _, n := range []string{"h1-0", "h1-1", "h2-0", "h2-1"} {
				b.node(n).Unschedulable = true
			}
			b.app("ReplicaSet", "a", cpu(1), "h0-0")
		}, "pends"},
		"others are tainted, one tolerates": {func(b *town) {
			for _, n := range []string{"h1-0", "h1-1", "h2-0", "h2-1"} {
				b.node(n).Taints = []corev1.Taint{{Key: "dedicated", Effect: corev1.TaintEffectNoSchedule}}
			}
			s := cpu(1)
			s.Tolerations = append(usual(), corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpExists})
			b.app("ReplicaSet", "a", s, "h0-0")
			b.app("ReplicaSet", "b", cpu(1), "h0-0")
		}, "moves"},
		"waits, and still does": {func(b *town) { b.app("ReplicaSet", "a", cpu(9000), "") }, "waited"},
		"the first toleration counts": {func(b *town) {
			s := cpu(1)
			s.Tolerations = append([]corev1.Toleration{{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists}}, usual()...)
			b.app("ReplicaSet", "a", s, "h0-0")
		}, "away"},
		"stays with what it wants to be near": {func(b *town) {
			b.app("ReplicaSet", "b", cpu(1), "h2-1")
			s := cpu(1)
			s.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: host, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "b"}}}}}}
			b.app("ReplicaSet", "a", s, "h0-0")
		}, "moves"},
	} {
		b := newTown(3, 2)
		c.build(b)
		if got := fates(b.world(), "h0"); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

// The node controller's rules: one node after another, and none at all where a
// zone is half dead or everything is.
func TestEvictions(t *testing.T) {
	after := func(b *town, sites ...string) string {
		words := []string{}
		for _, f := range survive.New(b.world()).Fates(0, sites...) {
			words = append(words, fmt.Sprintf("%s %v", f.Word, f.After))
		}
		return strings.Join(words, ", ")
	}
	b := newTown(3, 3)
	b.app("ReplicaSet", "a", cpu(1), "h0-0", "h0-1", "h0-2")
	if got := after(b, "h0"); got != "moves 5m48.5s, moves 5m58.5s, moves 6m8.5s" {
		t.Errorf("by default: %s", got)
	}
	b.node("h1-0").Annotations = map[string]string{"k3s.io/node-args": `["server","--kube-controller-manager-arg","node-monitor-grace-period=20s","--kube-controller-manager-arg=node-eviction-rate=1","--kube-controller-manager-arg=node-monitor-period=1s"]`}
	if got := after(b, "h0"); got != "moves 5m16.5s, moves 5m17.5s, moves 5m18.5s" {
		t.Errorf("as the servers were told: %s", got)
	}
	half := newTown(3, 4)
	half.app("ReplicaSet", "a", cpu(1), "h0-1")
	for _, n := range []string{"h0-1", "h0-2", "h0-3"} {
		half.dark(n)
	}
	if got := after(half); got != "away 0s" {
		t.Errorf("a house that is dark but for one of four: %s", got)
	}
	all := newTown(1, 2)
	all.app("ReplicaSet", "a", cpu(1), "h0-1")
	all.dark("h0-1")
	if got := after(all); got != "moves 5m48.5s" {
		t.Errorf("one of two machines: %s", got)
	}
	jobs := newTown(3, 1)
	jobs.app("Job", "a", func() *model.PodSpec {
		s := cpu(1)
		stay := int64(2)
		s.Tolerations = usual()
		s.Tolerations[0].TolerationSeconds = &stay
		return s
	}(), "h0-0")
	if got := after(jobs, "h0"); got != "moves 58.5s" {
		t.Errorf("a Job backs off: %s", got)
	}
}

// Which machine of a house is given up first is chance: what is told is when it is a
// machine's turn on the average.
func TestBackOnTheAverage(t *testing.T) {
	const first = 50*time.Second - 5*time.Second + 2500*time.Millisecond + 300*time.Second + time.Second // heartbeats, patience, placing
	for _, c := range []struct {
		on   []string
		want time.Duration
	}{
		{[]string{"h0-0"}, first + 10*time.Second},                 // the first, second or third
		{[]string{"h0-2"}, first + 10*time.Second},                 // whatever it is called
		{[]string{"h0-0", "h0-0"}, first + 10*time.Second},         // both at its turn
		{[]string{"h0-0", "h0-1"}, first + 50*time.Second/3},       // the later of two among three
		{[]string{"h0-0", "h0-1", "h0-2"}, first + 20*time.Second}, // the last
		{[]string{"h1-0"}, 0},                                      // not there
		{[]string{"h0-1", "h1-0", "h2-0"}, first + 10*time.Second}, // others stay
	} {
		b := newTown(3, 3)
		b.app("ReplicaSet", "a", cpu(1), c.on...)
		if got := survive.New(b.world()).Back("h0"); got.Round(time.Millisecond) != c.want.Round(time.Millisecond) {
			t.Errorf("pods on %v: back after %v, want %v", c.on, got, c.want)
		}
		if v := survive.New(b.world()).Of("h0").Workloads; len(v) > 0 && v[0].Recovery != nil && math.Abs(*v[0].Recovery-c.want.Seconds()) > 0.01 {
			t.Errorf("pods on %v: the verdict says %v s, want %v", c.on, *v[0].Recovery, c.want)
		}
	}
}

// Every set of houses out of two to five: the control plane is left when a
// majority of the voters is.
func TestControlPlaneOfEverySet(t *testing.T) {
	for houses := 2; houses <= 5; houses++ {
		a := survive.New(newTown(houses, 1).world())
		for lost := range 1 << houses {
			sites, left := []string{}, 0
			for h := range houses {
				if lost&(1<<h) != 0 {
					sites = append(sites, fmt.Sprintf("h%d", h))
				} else {
					left++
				}
			}
			got := a.Of(sites...).ControlPlane[0].Outcome
			if want := left < houses/2+1; (got == model.Down) != want {
				t.Errorf("%d houses without %v: %s", houses, sites, got)
			}
		}
	}
}

// Every set of houses with a MinIO server and two drives in each: it is read with
// all but its parity, and written with one more where the parity is half.
func TestObjectStoreOfEverySet(t *testing.T) {
	for houses := 2; houses <= 5; houses++ {
		drives := 2 * houses
		for parity := 1; parity <= drives/2; parity++ {
			b := newTown(houses, 1)
			cluster := &model.StoreCluster{Mode: "online", Parity: parity}
			for h := range houses {
				s := &model.StoreServer{Endpoint: fmt.Sprintf("h%d-0:9000", h), Online: true}
				for d := range 2 {
					s.Drives = append(s.Drives, model.StoreDrive{Path: fmt.Sprint(d), State: "ok"})
				}
				cluster.Servers = append(cluster.Servers, s)
			}
			b.stores = []model.StoreFacts{{Cluster: "c", Target: "default", Source: ok("store/default"), MinIO: cluster}}
			a := survive.New(b.world())
			for lost := range 1 << houses {
				sites := []string{}
				for h := range houses {
					if lost&(1<<h) != 0 {
						sites = append(sites, fmt.Sprintf("h%d", h))
					}
				}
				left, read := drives-2*len(sites), drives-parity
				write := read
				if 2*parity == drives {
					write++
				}
				want := model.Survives
				if left < write {
					want = model.Degraded
				}
				if left < read {
					want = model.Down
				}
				if got := a.Of(sites...).ObjectStore[0]; got.Outcome != want {
					t.Errorf("%d drives, parity %d, without %v: %s, not %s (%s)", drives, parity, sites, got.Outcome, want, got.Why)
				}
			}
		}
	}
}

// random is a town with apps of every kind.
func random(r *rand.Rand) *town {
	b := newTown(2+r.IntN(3), 1+r.IntN(3))
	for i := range 2 + r.IntN(6) {
		s := cpu(int64(100 * r.IntN(20)))
		if r.IntN(3) == 0 {
			spread(s, corev1.LabelTopologyZone, nil)
		}
		nodes := []string{}
		for range 1 + r.IntN(4) {
			nodes = append(nodes, b.c.Nodes.Items[r.IntN(len(b.c.Nodes.Items))].Name)
		}
		b.app([]string{"ReplicaSet", "StatefulSet", "Job"}[r.IntN(3)], string(rune('a'+i)), s, nodes...)
	}
	return b
}

// A pod of higher priority takes the room of lesser ones, of as few as it needs.
func TestPreemption(t *testing.T) {
	important := func() *model.PodSpec { s := cpu(3000); s.Priority = 1000; return s }
	spare := func(milli int64) *model.PodSpec { return cpu(milli) }
	word := func(w *model.World, pod string) string {
		for _, f := range survive.New(w).Fates(0, "h0") {
			if f.Pod == pod {
				return f.Word
			}
		}
		return "not there"
	}
	b := newTown(3, 1)
	b.node("h2-0").Allocatable.MilliCPU = 100
	b.app("ReplicaSet", "a", important(), "h0-0")
	b.app("ReplicaSet", "b", spare(2500), "h1-0")
	b.app("ReplicaSet", "c", spare(500), "h1-0")
	w := b.world()
	if word(w, "a-0") != "moves" || word(w, "b-0") != "pends" || word(w, "c-0") != "stays" {
		t.Errorf("a %s, b %s, c %s", word(w, "a-0"), word(w, "b-0"), word(w, "c-0"))
	}
	b.c.Pods.Items[0].Spec.Preemption = corev1.PreemptNever
	if w := b.world(); word(w, "a-0") != "pends" || word(w, "b-0") != "stays" {
		t.Errorf("one that never preempts: a %s, b %s", word(w, "a-0"), word(w, "b-0"))
	}
}

// A volume on a machine's own disk goes with it, and its pod finds no other place.
func TestLocalVolumes(t *testing.T) {
	build := func(known bool) *model.World {
		b := newTown(3, 1)
		b.app("ReplicaSet", "a", cpu(1), "h0-0")
		b.c.Pods.Items[0].Claims = []string{"data"}
		if known {
			b.c.PersistentVolumes.Source = ok(model.SourcePersistentVolumes)
			b.c.PersistentVolumes.Items = []*model.PersistentVolume{{Cluster: "c", Name: "pv", Namespace: "d", Claim: "data", Affinity: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{"h0-0"}}},
			}}}}}
		} else {
			b.c.PersistentVolumes.Source = model.Source{Cluster: "c", Name: model.SourcePersistentVolumes, Status: model.SourceForbidden, Optional: true}
		}
		return b.world()
	}
	w := build(true)
	if got := fates(w, "h0"); got != "pends" {
		t.Errorf("its pod %s", got)
	}
	v := survive.New(w).Of("h0")
	if v.Workloads[0].Outcome != model.Down || !strings.Contains(v.Workloads[0].Why, "its volume, which is bound to other nodes (2)") {
		t.Errorf("%+v", v)
	}
	if v := survive.New(build(false)).Of("h0"); v.Workloads[0].Outcome != model.Undecided || !strings.Contains(v.Workloads[0].Why, "may not list persistentvolumes") {
		t.Errorf("where nobody may look: %+v", v.Workloads)
	}
}

// The order in which sources list things is nobody's, and must not matter.
func TestOrderDoesNotMatter(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		b := random(r)
		first, err := json.Marshal(survive.New(b.world()).Each())
		if err != nil {
			t.Fatal(err)
		}
		r.Shuffle(len(b.c.Nodes.Items), func(i, j int) { b.c.Nodes.Items[i], b.c.Nodes.Items[j] = b.c.Nodes.Items[j], b.c.Nodes.Items[i] })
		second, err := json.Marshal(survive.New(b.world()).Each())
		if err != nil {
			t.Fatal(err)
		}
		if string(first) != string(second) {
			t.Fatalf("seed %d:\n%s\n%s", seed, first, second)
		}
	}
}

// Who loses more never has more of the control plane, and no pod runs on that did
// not with less lost.
func TestLosingMoreIsNeverBetter(t *testing.T) {
	for seed := range uint64(200) {
		b := stored(rand.New(rand.NewPCG(seed, 4)))
		w := b.world()
		a := survive.New(w)
		for i := range w.Sites {
			some, more := []string{}, []string{}
			for j, s := range w.Sites {
				if j < i {
					some = append(some, s.Name)
				}
				if j <= i {
					more = append(more, s.Name)
				}
			}
			less, all := a.Of(some...), a.Of(more...)
			if x, y := less.ControlPlane[0].Outcome, all.ControlPlane[0].Outcome; y < x {
				t.Errorf("seed %d: the control plane is %s without %v, and %s without %v", seed, x, some, y, more)
			}
			if all.Outcome < less.Outcome {
				t.Errorf("seed %d: %s without %v (%s), and %s without %v", seed, less.Outcome, some, less.Why, all.Outcome, more)
			}
			worse := map[string]model.Outcome{}
			for _, p := range all.Volumes {
				worse[p.Object] = p.Outcome
			}
			for _, p := range less.Volumes {
				if worse[p.Object] < p.Outcome {
					t.Errorf("seed %d: %s is %s without %v, and %s without %v", seed, p.Object, p.Outcome, some, worse[p.Object], more)
				}
			}
			before, after := a.Fates(0, some...), a.Fates(0, more...)
			for k := range before {
				if after[k].Word == "stays" && before[k].Word != "stays" {
					t.Errorf("seed %d: %s %s without %v, and stays without %v", seed, before[k].Pod, before[k].Word, some, more)
				}
			}
		}
	}
}

// What no API server would let through, and documents may hold all the same, must
// do no harm.
func TestOddObjects(t *testing.T) {
	bad := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "///", Operator: "Perhaps", Values: []string{"\x00"}}}}
	huge, none := int32(1<<31-1), int32(-5)
	negative := int64(-1 << 62)
	odd := &model.PodSpec{
		Requests: model.Resources{MilliCPU: -1 << 62, MemoryBytes: 1<<63 - 1, Extended: map[string]int64{"": -1}}, NodeSelector: map[string]string{"": "\x1b"},
		Tolerations: []corev1.Toleration{{}, {Operator: "Perhaps", TolerationSeconds: &negative}},
		Spread: []corev1.TopologySpreadConstraint{
			{}, {MaxSkew: none, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: bad, MinDomains: &huge, MatchLabelKeys: []string{"", "///", "app"}},
		},
		HostPorts: []model.HostPort{{IP: "not an address", Port: -1}},
		Affinity: &corev1.Affinity{
			NodeAffinity:    &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "a", Operator: "Gt", Values: nil}}}}}, PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: -1 << 31}}},
			PodAffinity:     &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{}, {LabelSelector: bad, NamespaceSelector: bad}}},
			PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: 1<<31 - 1, PodAffinityTerm: corev1.PodAffinityTerm{LabelSelector: &metav1.LabelSelector{}}}}},
		},
		Priority: -1 << 31,
	}
	b := newTown(3, 2)
	b.node("h1-0").Allocatable = model.Resources{}
	b.node("h1-1").Labels = nil
	b.node("h2-0").Allocatable = model.Resources{MilliCPU: -5, MemoryBytes: -5, Pods: -5}
	for i, kind := range []string{"ReplicaSet", "StatefulSet", "Job", "", "Fleet"} {
		b.app(kind, fmt.Sprintf("odd%d", i), odd, "h0-0", "nowhere", "", "h1-1")
		b.app(kind, fmt.Sprintf("plain%d", i), cpu(100), "h0-0", "h1-0")
	}
	b.c.Pods.Items[0].Claims, b.c.Pods.Items[1].Spec = []string{"", "x"}, nil
	b.c.PersistentVolumes.Source = ok(model.SourcePersistentVolumes)
	b.c.PersistentVolumes.Items = []*model.PersistentVolume{{Cluster: "c", Name: "pv", Namespace: "d", Claim: "x", Affinity: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{}}}}}
	w := b.world()
	a := survive.New(w)
	if got := len(a.Each()); got != len(w.Sites) {
		t.Errorf("%d verdicts of %d sites", got, len(w.Sites))
	}
	a.Of()
	a.Of("h0", "h1", "h2", "?", "h0", "\x1b[2J")
	for lots := range uint64(20) {
		a.Fates(lots, "h0")
	}
	survive.New(model.Assemble(model.Facts{}, moment, model.Options{})).Each()
}

// What nine machines cost is bounded, so that every World may be asked.
func TestSmallClustersCostLittle(t *testing.T) {
	b := newTown(3, 3)
	for i := range 10 {
		b.app("ReplicaSet", string(rune('a'+i)), cpu(100), "h0-0", "h1-1", "h2-2")
	}
	w := b.world()
	if n := testing.AllocsPerRun(20, func() { survive.New(w).Each() }); n > 1500 {
		t.Errorf("%.0f allocations for ten workloads on nine machines", n)
	}
}

// A pod of a DaemonSet that waits goes to its own machine as soon as there is room,
// and nowhere else.
func TestWaitingDaemonSet(t *testing.T) {
	for room, want := range map[int64]string{100: "away waited stays", 1000: "away starts stays"} {
		b := newTown(3, 1)
		b.node("h1-0").Allocatable.MilliCPU = room
		s := cpu(500)
		s.Tolerations = []corev1.Toleration{{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists}}
		b.app("DaemonSet", "a", s, "h0-0", "", "h2-0")
		b.c.Pods.Items[1].For = "h1-0"
		w := b.world()
		if got := fates(w, "h0"); got != want {
			t.Errorf("with room for %dm: %s, wanted %s", room, got, want)
		}
	}
}
