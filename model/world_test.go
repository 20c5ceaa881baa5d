package model

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestHealthyClusterIsOK(t *testing.T) {
	b := houses()
	b.deployment("blog", "moka-2", "flacq-3")
	w := b.world()
	if w.Status != OK || len(w.Reasons) != 0 {
		t.Fatalf("status %v, reasons %+v", w.Status, w.Reasons)
	}
	if len(w.Sites) != 3 || w.Sites[0].Name != "curepipe" || w.Sites[2].Ready != 3 || w.Sites[2].ControlPlanes != 1 {
		t.Errorf("sites: %+v", w.Sites)
	}
	if c := w.Clusters[0]; c.Datastore != DatastoreEtcd || c.Voters != 3 || c.Quorum != 2 || c.VotersAlive != 3 {
		t.Errorf("cluster: %+v", c)
	}
}

func TestSiteOfANode(t *testing.T) {
	for _, tc := range []struct {
		name         string
		labels       map[string]string
		site, region string
	}{
		{"zone in region", map[string]string{zoneLabel: "moka", regionLabel: "mauritius"}, "moka", "mauritius"},
		{"region alone is a site without a parent", map[string]string{regionLabel: "dbl"}, "dbl", ""},
		{"legacy zone", map[string]string{legacyZoneLabel: "attic"}, "attic", ""},
		{"new label before legacy", map[string]string{zoneLabel: "new", legacyZoneLabel: "old"}, "new", ""},
		{"plain label", map[string]string{"site": "cabin"}, "cabin", ""},
		{"empty value does not count", map[string]string{zoneLabel: "", "site": "cabin"}, "cabin", ""},
		{"nothing", map[string]string{"a": "b"}, UnknownSite, ""},
	} {
		site, region := siteOf(&NodeFact{Labels: tc.labels}, SiteLabels)
		if site != tc.site || region != tc.region {
			t.Errorf("%s: %q in %q, want %q in %q", tc.name, site, region, tc.site, tc.region)
		}
	}
}

func TestEqualZonesOfTwoRegionsAreTwoSites(t *testing.T) {
	b := newBuilder()
	b.node("a", "n1").Labels[regionLabel] = "eu"
	b.node("a", "n2").Labels[regionLabel] = "us"
	b.node("b", "n3").Labels[regionLabel] = "us"
	w := b.world()
	var names []string
	for _, s := range w.Sites {
		names = append(names, s.Name)
	}
	if got := strings.Join(names, " "); got != "b eu/a us/a" {
		t.Errorf("sites %q", got)
	}
}

func TestNodesWithoutLabelGetASiteAndAHint(t *testing.T) {
	b := houses()
	b.node("", "stray")
	w := b.world()
	if last := w.Sites[len(w.Sites)-1]; last.Name != UnknownSite || last.Nodes != 1 {
		t.Errorf("last site %+v", last)
	}
	if w.Status != OK || len(w.Hints) != 1 || !strings.Contains(w.Hints[0], "kubectl label node stray topology.kubernetes.io/zone=") {
		t.Errorf("status %v, hints %q", w.Status, w.Hints)
	}
}

func TestNodeStates(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(*NodeFact, *Lease)
		want  NodeState
	}{
		{"well", func(*NodeFact, *Lease) {}, NodeReady},
		{"kubelet says no", func(n *NodeFact, _ *Lease) { n.Conditions[0].Status = "False" }, NodeNotReady},
		{"control plane lost it", func(n *NodeFact, _ *Lease) { n.Conditions[0].Status = "Unknown" }, NodeUnreachable},
		{"no Ready condition at all", func(n *NodeFact, _ *Lease) { n.Conditions = nil }, NodeUnreachable},
		{"two renewals missed", func(_ *NodeFact, l *Lease) { l.Heard = ago(30 * time.Second) }, NodeSilent},
		{"late, but only by its own clock", func(_ *NodeFact, l *Lease) { l.Heard, l.Watched = ago(30*time.Second), false }, NodeReady},
		{"nobody could renew for a while", func(_ *NodeFact, l *Lease) { l.Heard, l.CountFrom = ago(time.Minute), ago(5*time.Second) }, NodeReady},
		{"nor has it since", func(_ *NodeFact, l *Lease) { l.Heard, l.CountFrom = ago(2*time.Minute), ago(time.Minute) }, NodeSilent},
		{"lease run out by its own clock", func(_ *NodeFact, l *Lease) { l.Heard, l.Watched = ago(50*time.Second), false }, NodeSilent},
	} {
		b := newBuilder()
		n := b.node("moka", "n")
		tc.spoil(n, b.c.Leases.Items[0])
		if got := b.world().Nodes[0].State; got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// Leases that are no longer read must not make every node look silent.
func TestOldLeasesDoNotSilenceNodes(t *testing.T) {
	b := newBuilder()
	b.node("moka", "n")
	b.c.Leases.Source.ObservedAt = ago(10 * time.Minute)
	b.c.Leases.Items[0].Heard = ago(10*time.Minute + 5*time.Second)
	if got := b.world().Nodes[0].State; got != NodeReady {
		t.Errorf("state %s", got)
	}
}

func TestSiteStatusAndCause(t *testing.T) {
	for _, tc := range []struct {
		name   string
		spoil  func(*builder)
		status SiteStatus
		cause  Cause
		sev    Severity
	}{
		{"all well", func(*builder) {}, SiteOK, CauseNone, OK},
		{"all gone", func(b *builder) {
			for i := range 3 {
				dark(b.c.Nodes.Items[i], b)
			}
		}, SiteDark, CauseDark, Critical},
		{"all silent, the control plane has not noticed", func(b *builder) {
			for i := range 3 {
				b.c.Leases.Items[i].Heard = ago(30 * time.Second)
			}
		}, SiteDark, CauseDark, Critical},
		{"one gone", func(b *builder) { dark(b.c.Nodes.Items[1], b) }, SiteDegraded, CauseNodes, Warning},
		{"kubelets not ready", func(b *builder) { b.c.Nodes.Items[1].Conditions[0].Status = "False" }, SiteDegraded, CauseKubelet, Warning},
		{"short of memory", func(b *builder) {
			n := b.c.Nodes.Items[2]
			n.Conditions = append(n.Conditions, Condition{Type: string(corev1.NodeMemoryPressure), Status: "True"})
		}, SiteDegraded, CausePressure, Warning},
		{"a good condition of k3s", func(b *builder) {
			n := b.c.Nodes.Items[0]
			n.Conditions = append(n.Conditions, Condition{Type: etcdVoter, Status: "True"})
		}, SiteOK, CauseNone, OK},
		{"nobody can look", func(b *builder) { b.c.Nodes.Source.ObservedAt = ago(time.Minute) }, SiteUnknown, CauseAPI, Unknown},
	} {
		b := houses()
		tc.spoil(b)
		w := b.world()
		s := w.Site("moka")
		if s.Status != tc.status || s.Cause != tc.cause {
			t.Errorf("%s: %s because %q, want %s because %q", tc.name, s.Status, s.Cause, tc.status, tc.cause)
		}
		if w.Status != tc.sev {
			t.Errorf("%s: world is %v, want %v: %+v", tc.name, w.Status, tc.sev, w.Reasons)
		}
	}
}

func TestUnknownSiteKeepsWhatWasKnown(t *testing.T) {
	b := houses()
	for i := range 3 {
		dark(b.c.Nodes.Items[i], b)
	}
	b.c.API.Status, b.c.API.Error = SourceStale, "connection refused"
	b.c.Nodes.Source.Status = SourceStale
	w := b.world()
	s := w.Site("moka")
	if s.Status != SiteUnknown || s.LastKnown != SiteDark || s.Ready != 0 {
		t.Errorf("%+v", s)
	}
	if flacq := w.Site("flacq"); flacq.Status != SiteUnknown || flacq.LastKnown != SiteOK {
		t.Errorf("a site nobody can see counts as %s", flacq.Status)
	}
}

func TestDarkSiteIsNamedOnce(t *testing.T) {
	b := houses()
	for i := range 3 {
		dark(b.c.Nodes.Items[i], b)
	}
	b.deployment("blog", "moka-2", "flacq-2")
	ds := b.controller("DaemonSet", "agent", 9, Owner{})
	for _, n := range b.c.Nodes.Items {
		b.pod("agent-"+n.Name, n.Name, Owner{"DaemonSet", "agent", ds.UID})
	}
	w := b.world()
	if w.Status != Critical {
		t.Fatalf("status %v", w.Status)
	}
	if r := w.Reasons[0]; r.Object != "site/moka" || r.Site != "moka" || !strings.Contains(r.Text, "house dark or uplink down") {
		t.Errorf("first reason %+v", r)
	}
	for _, r := range w.Reasons {
		if strings.HasPrefix(r.Object, "node/") || strings.HasPrefix(r.Object, "DaemonSet/") {
			t.Errorf("a symptom is listed: %+v", r)
		}
	}
	blog := w.Workloads[slicesIndex(w, "Deployment/web/blog")]
	if blog.Ready != 1 || blog.State != WorkloadDegraded {
		t.Errorf("a pod on a dead node counts as ready: %+v", blog)
	}
}

func slicesIndex(w *World, object string) int {
	for i, wl := range w.Workloads {
		if wl.Object() == object {
			return i
		}
	}
	return -1
}

func TestQuorum(t *testing.T) {
	for lost, want := range []Severity{OK, Warning, Critical} {
		b := houses()
		if lost == 2 {
			b.c.API.Status = SourceStale
		}
		for i := range lost {
			dark(b.c.Nodes.Items[i*3], b)
		}
		w := b.world()
		var got Severity
		for _, r := range w.Reasons {
			if r.Object == "cluster/test" {
				got = r.Severity
			}
		}
		if got != want {
			t.Errorf("%d of 3 voters lost: %v, want %v", lost, got, want)
		}
	}
}

// An API server that says it is ready has its etcd: silent voters are then only
// a warning.
func TestReadyServerHasItsQuorum(t *testing.T) {
	b := houses()
	dark(b.c.Nodes.Items[0], b)
	dark(b.c.Nodes.Items[3], b)
	for _, r := range b.world().Reasons {
		if r.Object == "cluster/test" && (r.Severity != Warning || strings.Contains(r.Text, "lost")) {
			t.Errorf("%+v", r)
		}
	}
}

func TestLearnerDoesNotVote(t *testing.T) {
	b := houses()
	n := b.c.Nodes.Items[0]
	n.Conditions = append(n.Conditions, Condition{Type: etcdVoter, Status: "False"})
	if c := b.world().Clusters[0]; c.Voters != 2 {
		t.Errorf("%d voters", c.Voters)
	}
}

func TestServersWithoutEtcdUseKine(t *testing.T) {
	b := newBuilder()
	b.node("moka", "moka-1", "control-plane")
	if c := b.world().Clusters[0]; c.Datastore != DatastoreKine || c.Quorum != 0 {
		t.Errorf("%+v", c)
	}
}

func TestAPIServersAreJoinedToNodes(t *testing.T) {
	b := houses()
	b.c.APIServers.Items = []*APIServer{{Cluster: "test", Address: "100.64.0.4", Port: 6443, Ready: true}, {Cluster: "test", Address: "198.51.100.9", Port: 6443}}
	got := b.world().Clusters[0].APIServers
	if got[0].Node != "curepipe-1" || got[0].Site != "curepipe" || got[1].Node != "" {
		t.Errorf("%+v %+v", got[0], got[1])
	}
	if b.c.APIServers.Items[0].Node != "" {
		t.Error("Assemble changed a fact")
	}
}

func TestSilentAPIIsOneReason(t *testing.T) {
	b := houses()
	b.c.API = Source{Cluster: "test", Name: SourceAPI, Status: SourceFailed, Error: "connection refused by 192.0.2.1:6443"}
	for _, s := range []*Source{&b.c.Nodes.Source, &b.c.Pods.Source} {
		s.Status = SourceFailed
	}
	w := b.world()
	if len(w.Reasons) != 1 || w.Reasons[0].Severity != Unknown || w.Reasons[0].Object != "source/kube" {
		t.Errorf("%+v", w.Reasons)
	}
}

func TestMissingRightsAreOneReason(t *testing.T) {
	b := houses()
	b.c.Pods.Source.Status, b.c.Controllers[0].Source.Status, b.c.NodeUsage.Source.Status = SourceForbidden, SourceForbidden, SourceForbidden
	w := b.world()
	if w.Status != Unknown || len(w.Reasons) != 1 || w.Reasons[0].Text != "not allowed to list pods, deployments" {
		t.Errorf("%v %+v", w.Status, w.Reasons)
	}
}

func TestAbsentMetricsAreNoTrouble(t *testing.T) {
	b := houses()
	b.c.NodeUsage.Source.Status = SourceAbsent
	if w := b.world(); w.Status != OK {
		t.Errorf("%+v", w.Reasons)
	}
}

func TestSourceTurnsStaleByTheClock(t *testing.T) {
	s := Source{Status: SourceOK, ObservedAt: ago(25 * time.Second)}
	if got := s.aged(moment, 20*time.Second).Status; got != SourceStale {
		t.Errorf("watched source: %s", got)
	}
	s.Interval = 30 * time.Second
	if got := s.aged(moment, 20*time.Second).Status; got != SourceOK {
		t.Errorf("source polled every 30 s: %s", got)
	}
	s.Status = SourceForbidden
	if got := s.aged(moment, time.Second).Status; got != SourceForbidden {
		t.Errorf("forbidden source: %s", got)
	}
}

func TestDisagreeingZoneLabelsAreReported(t *testing.T) {
	b := houses()
	b.c.Nodes.Items[0].Labels[legacyZoneLabel] = "elsewhere"
	w := b.world()
	if w.Status != Warning || !strings.Contains(w.Reasons[0].Text, "moka here, elsewhere for the node controller") {
		t.Errorf("%+v", w.Reasons)
	}
}

// Equal facts in any order give an equal World, and Assemble changes none of them.
func TestOrderOfFactsDoesNotMatter(t *testing.T) {
	b := houses()
	b.deployment("blog", "moka-2", "flacq-2")
	b.deployment("wiki", "curepipe-2")
	dark(b.c.Nodes.Items[4], b)
	for i := range 20 {
		b.c.Events[0].Items = append(b.c.Events[0].Items, &Event{Cluster: "test", UID: string(rune('a' + i)), Kind: "Pod", Object: "x", Last: ago(time.Minute)})
	}
	want := encode(t, b.world())
	before, _ := json.Marshal(b.c)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		shuffle(rng, b.c.Nodes.Items)
		shuffle(rng, b.c.Leases.Items)
		shuffle(rng, b.c.Events[0].Items)
		for i := range b.c.Controllers {
			shuffle(rng, b.c.Controllers[i].Items)
		}
		got := encode(t, b.world())
		if !bytes.Equal(stripControllers(got), stripControllers(want)) {
			t.Fatalf("order of facts changed the World:\n%s\n%s", got, want)
		}
	}
	b2 := houses()
	_ = b2.world()
	if after, _ := json.Marshal(b.c); len(after) != len(before) {
		t.Error("Assemble changed facts")
	}
}

// stripControllers takes out the lists a document carries in the order they came.
func stripControllers(doc []byte) []byte {
	var m map[string]any
	_ = json.Unmarshal(doc, &m)
	delete(m, "controllers")
	delete(m, "leases")
	out, _ := json.Marshal(m)
	return out
}

func shuffle[T any](rng *rand.Rand, s []T) {
	rng.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
}

func encode(t *testing.T, w *World) []byte {
	t.Helper()
	b, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestInSite(t *testing.T) {
	b := houses()
	b.deployment("blog", "moka-2", "flacq-2")
	dark(b.c.Nodes.Items[4], b) // curepipe-2
	w := b.world()
	in := w.InSite("moka")
	if len(in.Sites) != 1 || len(in.Nodes) != 3 || len(in.Pods) != 1 || len(in.Workloads) != 1 {
		t.Errorf("%d sites, %d nodes, %d pods, %d workloads", len(in.Sites), len(in.Nodes), len(in.Pods), len(in.Workloads))
	}
	if w.Status != Warning || in.Status != OK {
		t.Errorf("whole %v, moka %v", w.Status, in.Status)
	}
	if w.InSite("nowhere") != nil {
		t.Error("a site that is not there was found")
	}
}

func TestPodIsFoundByName(t *testing.T) {
	b := houses()
	b.deployment("blog", "moka-2", "flacq-2")
	w := b.world()
	for _, p := range w.Pods {
		if got := w.Pod(p.Cluster, p.Namespace, p.Name); got != p {
			t.Errorf("%s not found", p.Name)
		}
	}
	if w.Pod("test", "web", "zzz") != nil {
		t.Error("found a pod that is not there")
	}
}

func TestEventsFindTheirSite(t *testing.T) {
	b := houses()
	b.deployment("blog", "flacq-2")
	pod := b.c.Pods.Items[0].Name
	for _, tc := range []struct {
		event Event
		want  string
	}{
		{Event{Kind: "Node", Object: "moka-1"}, "moka"},
		{Event{Kind: "Pod", Namespace: "web", Object: pod}, "flacq"},
		{Event{Kind: "Pod", Namespace: "web", Object: "long-gone", Host: "curepipe-3"}, "curepipe"},
		{Event{Kind: "Deployment", Object: "blog"}, ""},
	} {
		tc.event.Cluster = "test"
		if got := b.world().EventSite(&tc.event); got != tc.want {
			t.Errorf("%s/%s is in %q, want %q", tc.event.Kind, tc.event.Object, got, tc.want)
		}
	}
}

func TestSeverityRoundTrip(t *testing.T) {
	for s := OK; s <= Critical; s++ {
		b, _ := s.MarshalText()
		var got Severity
		if err := got.UnmarshalText(b); err != nil || got != s {
			t.Errorf("%v became %v: %v", s, got, err)
		}
	}
	if got := []int{OK.CheckCode(), Warning.CheckCode(), Critical.CheckCode(), Unknown.CheckCode()}; !reflect.DeepEqual(got, []int{0, 1, 2, 3}) {
		t.Errorf("exit codes %v", got)
	}
}

func TestInNamespace(t *testing.T) {
	w := *Assemble(Facts{}, moment, Options{})
	w.Pods = []*Pod{{Namespace: "db", Name: "a"}, {Namespace: "web", Name: "b"}}
	w.Workloads = []*Workload{{Namespace: "web", Name: "b"}}
	w.Volumes = []*Volume{{VolumeFact: &VolumeFact{Namespace: "db", Name: "v"}}}
	w.Events = []*Event{{Namespace: "web"}, {Object: "node"}}
	w.Reasons = []Reason{{Severity: Critical, Object: "Deployment/web/b"}, {Severity: Warning, Object: "volume/db/v"}, {Severity: Warning, Object: "link/a/b"}, {Object: "site/moka"}}
	w.Status = Critical
	in := w.InNamespace("db")
	if len(in.Pods) != 1 || in.Pods[0].Name != "a" || len(in.Workloads) != 0 || len(in.Volumes) != 1 || len(in.Events) != 1 || len(in.Reasons) != 3 || in.Status != Warning {
		t.Errorf("%+v", in)
	}
	if len(w.Pods) != 2 || len(w.Reasons) != 4 || w.Status != Critical {
		t.Error("the World it came from was changed")
	}
}
