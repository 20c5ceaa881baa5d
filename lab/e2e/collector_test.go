package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/geotop/geotop/lab/rig"
	"github.com/geotop/geotop/model"
)

// TestCollectsWhatThereIs compares every section with what a plain client lists.
func TestCollectsWhatThereIs(t *testing.T) {
	e := look(t, shared.Kubeconfig("viewer"))
	if err := shared.WaitMetrics(within(t, patience), client); err != nil {
		t.Fatal(err)
	}
	w := e.until("measured", func(w *model.World) error {
		if s := source(w, model.SourceNodeUsage); s.Items != 9 || !w.Settled() {
			return fmt.Errorf("usage of %d nodes", s.Items)
		}
		return nil
	})
	for _, s := range w.Sources {
		if s.Status != model.SourceOK {
			t.Errorf("source %s is %s: %s", s.Name, s.Status, s.Error)
		}
	}
	if len(w.Sites) != 3 || len(w.Nodes) != 9 || w.Clusters[0].Voters != 3 || w.Clusters[0].Version != "v1.36.3" {
		t.Errorf("%d sites, %d nodes, %+v", len(w.Sites), len(w.Nodes), w.Clusters[0])
	}
	pods, err := client.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) != len(w.Pods) {
		t.Errorf("%d pods collected, %d there", len(w.Pods), len(pods.Items))
	}
	for i := range pods.Items {
		want := &pods.Items[i]
		p := w.Pod("lab", want.Namespace, want.Name)
		if p == nil {
			t.Errorf("no pod %s/%s", want.Namespace, want.Name)
			continue
		}
		cpu := want.Spec.Containers[0].Resources.Requests.Cpu().MilliValue()
		if p.Node != want.Spec.NodeName || p.UID != string(want.UID) || p.Phase != want.Status.Phase || p.IP != want.Status.PodIP ||
			p.Spec.Requests.MilliCPU != cpu || !p.Created.Equal(want.CreationTimestamp.Time) {
			t.Errorf("pod %s/%s: %+v", want.Namespace, want.Name, p)
		}
	}
	for _, want := range []string{"Deployment/nextcloud/nextcloud", "StatefulSet/db/postgres", "DaemonSet/monitoring/node-exporter", "CronJob/db/dump", "Job/db/dump-now"} {
		if !slices.ContainsFunc(w.Workloads, func(wl *model.Workload) bool { return wl.Object() == want }) {
			t.Errorf("no workload %s", want)
		}
	}
	for _, n := range w.Nodes {
		if n.HeartbeatAt.IsZero() || n.Usage == nil || n.State != model.NodeReady || n.Site == "" {
			t.Errorf("node %s: %+v", n.Name, n)
		}
	}
}

// TestChangesComeByWatch changes objects one by one; nothing may be listed
// again for it.
func TestChangesComeByWatch(t *testing.T) {
	e := look(t, shared.Kubeconfig("observer"))
	e.settled()
	lists := func() int {
		all, err := shared.Requests()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, r := range all {
			if r.Verb == "list" && !strings.Contains(r.URI, "leases") && !strings.Contains(r.URI, "metrics") {
				n++
			}
		}
		return n
	}
	before := lists()
	ctx := t.Context()
	for _, on := range []bool{true, false} {
		cordon(t, "moka-2", on)
		e.until(fmt.Sprintf("cordoned %v", on), func(w *model.World) error {
			if n := w.Node("lab", "moka-2"); n.Unschedulable != on {
				return fmt.Errorf("unschedulable is %v", n.Unschedulable)
			}
			return nil
		})
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "visitor", Namespace: "default"},
		Spec:       corev1.PodSpec{NodeName: "flacq-2", Containers: []corev1.Container{{Name: "c", Image: "registry.example/visitor:1"}}},
	}
	if _, err := client.CoreV1().Pods("default").Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	e.until("a pod more, ready", func(w *model.World) error {
		if p := w.Pod("lab", "default", "visitor"); p == nil || !p.Ready {
			return fmt.Errorf("pod is %+v", p)
		}
		return nil
	})
	if err := client.CoreV1().Pods("default").Delete(ctx, "visitor", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.until("the pod gone", func(w *model.World) error {
		if p := w.Pod("lab", "default", "visitor"); p != nil {
			return fmt.Errorf("pod is %+v", p)
		}
		return nil
	})
	if after := lists(); after != before {
		t.Errorf("%d lists before the changes, %d after", before, after)
	}
}

func cordon(t *testing.T, node string, on bool) {
	t.Helper()
	patch := fmt.Sprintf(`{"spec":{"unschedulable":%v}}`, on)
	if _, err := client.CoreV1().Nodes().Patch(t.Context(), node, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

func wellAgain(w *model.World) error {
	if w.Status != model.OK {
		return fmt.Errorf("status %s", w.Status)
	}
	return nil
}

// TestPowerCut cuts a house for real and follows it until it is back.
func TestPowerCut(t *testing.T) {
	e := look(t, shared.Kubeconfig("viewer"))
	if w := e.settled(); w.Status != model.OK {
		t.Fatalf("not well at first:\n%s", describe(w))
	}
	ctx := within(t, 3*time.Minute)
	began := time.Now()
	if err := shared.Cut(ctx, "curepipe"); err != nil {
		t.Fatal(err)
	}
	w := e.until("dark", func(w *model.World) error {
		if s := w.Site("curepipe"); s.LastKnown != model.SiteDark {
			return fmt.Errorf("curepipe is %s", s.Status)
		}
		return nil
	})
	seen := time.Since(began)
	if w.Status != model.Critical || w.Reasons[0].Object != "site/curepipe" {
		t.Errorf("dark, yet\n%s", describe(w))
	}
	// The heartbeat tells before the control plane does: that waits for its grace period.
	if err := shared.WaitNodes(ctx, client, "curepipe-1", "curepipe-2", "curepipe-3"); err != nil {
		t.Fatal(err)
	}
	t.Logf("seen dark after %.1fs, NotReady after %.1fs", seen.Seconds(), time.Since(began).Seconds())
	w = e.until("unreachable", func(w *model.World) error {
		for _, n := range w.Nodes {
			if dark := n.Site == "curepipe"; dark != (n.State == model.NodeUnreachable) {
				return fmt.Errorf("%s is %s", n.Name, n.State)
			}
		}
		return nil
	})
	for _, s := range w.Sites {
		if s.Name != "curepipe" && s.Status != model.SiteOK {
			t.Errorf("%s suffers too: %s", s.Name, s.Status)
		}
	}
	if c := w.Clusters[0]; c.VotersAlive != 2 || c.Quorum != 2 {
		t.Errorf("voters: %+v", c)
	}
	if err := shared.Restore(ctx, "curepipe"); err != nil {
		t.Fatal(err)
	}
	e.until("well again", wellAgain)
}

// TestAPIServerDiesAndReturns: what was known stays, with its age, and the
// collector finds its way back by itself.
func TestAPIServerDiesAndReturns(t *testing.T) {
	e := look(t, shared.Kubeconfig("viewer"))
	before := e.settled()
	shared.StopAPI()
	t.Cleanup(func() { _ = shared.StartAPI(context.Background()) })
	w := e.until("stale", func(w *model.World) error {
		if s := source(w, model.SourceAPI); s.Status != model.SourceStale {
			return fmt.Errorf("the API is %s", s.Status)
		}
		return nil
	})
	if len(w.Nodes) != len(before.Nodes) || len(w.Pods) != len(before.Pods) || w.Status == model.OK {
		t.Errorf("%d nodes and %d pods kept, status %s", len(w.Nodes), len(w.Pods), w.Status)
	}
	for _, s := range w.Sites {
		if s.Status != model.SiteUnknown {
			t.Errorf("site %s is %s while nobody can look", s.Name, s.Status)
		}
	}
	if s := source(w, model.SourceAPI); !strings.Contains(s.Error, "refused") {
		t.Errorf("the API's error: %q", s.Error)
	}
	ctx := within(t, patience)
	if err := shared.StartAPI(ctx); err != nil {
		t.Fatal(err)
	}
	e.until("well again", func(w *model.World) error {
		for _, s := range w.Sources {
			if s.Status != model.SourceOK && !s.Optional {
				return fmt.Errorf("%s is %s: %s", s.Name, s.Status, s.Error)
			}
		}
		return nil
	})
	allWell(t)
}

// TestMissedChangesAreFound cuts the way to the API, restarts the API server
// and changes things meanwhile: its watch cache no longer knows the version the
// collector comes back with (410 Gone).
func TestMissedChangesAreFound(t *testing.T) {
	p, kubeconfig := proxied(t, "viewer")
	e := look(t, kubeconfig)
	e.settled()
	p.Set(rig.Slow{Refuse: true})
	p.Reset()
	ctx := within(t, patience)
	shared.StopAPI()
	if err := shared.StartAPI(ctx); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"missed-1", "missed-2"} {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
			Spec:       corev1.PodSpec{NodeName: "flacq-2", Containers: []corev1.Container{{Name: "c", Image: "registry.example/missed:1"}}},
		}
		if _, err := client.CoreV1().Pods("default").Create(ctx, pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	p.Set(rig.Slow{})
	e.until("found", func(w *model.World) error {
		for _, name := range []string{"missed-1", "missed-2"} {
			if w.Pod("lab", "default", name) == nil {
				return fmt.Errorf("no pod %s", name)
			}
		}
		return nil
	})
	atOnce := int64(0) // no kubelet is waited for: KWOK, just started anew, may not know these pods
	for _, name := range []string{"missed-1", "missed-2"} {
		if err := client.CoreV1().Pods("default").Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &atOnce}); err != nil {
			t.Fatal(err)
		}
	}
	e.until("gone", func(w *model.World) error {
		for _, name := range []string{"missed-1", "missed-2"} {
			if w.Pod("lab", "default", name) != nil {
				_, err := client.CoreV1().Pods("default").Get(t.Context(), name, metav1.GetOptions{})
				return fmt.Errorf("%s is still there; a plain client finds it: %v", name, err == nil)
			}
		}
		return nil
	})
	allWell(t)
}

// proxied gives a bad way to the API and a kubeconfig that takes it.
func proxied(t *testing.T, user string) (*rig.Proxy, string) {
	t.Helper()
	p, err := shared.Proxy()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shared.CloseProxy(p) })
	kubeconfig, err := shared.KubeconfigFor(user, p.Address())
	if err != nil {
		t.Fatal(err)
	}
	return p, kubeconfig
}

func TestRightsDecideWhatIsSeen(t *testing.T) {
	for _, tc := range []struct {
		user    string
		nodes   int
		status  model.Severity
		pods    model.SourceStatus
		message string
	}{
		{"viewer", 9, model.OK, model.SourceOK, ""},
		{"nodes-only", 9, model.Unknown, model.SourceForbidden, "not allowed to list"},
		{"none", 0, model.Unknown, model.SourceForbidden, "not allowed to list nodes"},
		{"expired", 0, model.Unknown, model.SourceFailed, "client certificate expired"},
	} {
		t.Run(tc.user, func(t *testing.T) {
			e := look(t, shared.Kubeconfig(tc.user))
			e.settled()
			w := e.until("as "+tc.user+" may see it", func(w *model.World) error { // an earlier test's wounds may still be healing
				if len(w.Nodes) != tc.nodes || w.Status != tc.status {
					return fmt.Errorf("%d nodes, status %s", len(w.Nodes), w.Status)
				}
				return nil
			})
			if s := source(w, model.SourcePods); s.Status != tc.pods {
				t.Errorf("pods: %s, %s", s.Status, s.Error)
			}
			if tc.message != "" && !strings.Contains(describe(w), tc.message) {
				t.Errorf("nothing says %q", tc.message)
			}
			if t.Failed() {
				t.Log(describe(w))
			}
		})
	}
}

// TestFarAway looks through 1500 ms each way: slow, but all of it and no error.
func TestFarAway(t *testing.T) {
	p, kubeconfig := proxied(t, "viewer")
	p.Set(rig.Slow{Delay: 1500 * time.Millisecond})
	e := look(t, kubeconfig)
	w := e.settled()
	if len(w.Nodes) != 9 || len(w.Pods) < 20 || w.Status == model.Unknown {
		t.Errorf("%d nodes, %d pods\n%s", len(w.Nodes), len(w.Pods), describe(w))
	}
}

// TestHangingConnections: everything stands open and nothing passes. What is
// known turns stale within the deadlines; it heals once the way is open.
func TestHangingConnections(t *testing.T) {
	p, kubeconfig := proxied(t, "viewer")
	e := look(t, kubeconfig)
	e.settled()
	p.Set(rig.Slow{Hang: true})
	w := e.until("stale", func(w *model.World) error {
		if s := source(w, model.SourceAPI); s.Status != model.SourceStale {
			return fmt.Errorf("the API is %s", s.Status)
		}
		return nil
	})
	if len(w.Nodes) != 9 || w.Status != model.Unknown {
		t.Errorf("%d nodes, status %s", len(w.Nodes), w.Status)
	}
	p.Set(rig.Slow{})
	e.until("well again", func(w *model.World) error {
		if s := source(w, model.SourceAPI); s.Status != model.SourceOK || source(w, model.SourcePods).Status != model.SourceOK {
			return fmt.Errorf("the API is %s: %s", s.Status, s.Error)
		}
		return nil
	})
}
