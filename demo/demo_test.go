package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

func scene(t testing.TB, scenario string) *Demo {
	t.Helper()
	d, err := New(scenario, 1)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func client(t testing.TB, d *Demo) kubernetes.Interface {
	t.Helper()
	c, err := kubernetes.NewForConfig(protobuf(d))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func protobuf(d *Demo) *rest.Config {
	cfg := d.RestConfig()
	cfg.QPS = -1
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	cfg.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return cfg
}

// body is what the demo answers, byte for byte.
func body(t testing.TB, d *Demo, path string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://demo.invalid"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := d.RestConfig().Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var everything = []string{"/api/v1/nodes", "/api/v1/pods", "/api/v1/events", "/apis/apps/v1/deployments", "/apis/coordination.k8s.io/v1/leases", "/apis/metrics.k8s.io/v1beta1/nodes", "/apis/batch/v1/jobs"}

func TestSameSeedSameAnswers(t *testing.T) {
	for _, scenario := range []string{"weak", "powercut"} {
		a, b := scene(t, scenario), scene(t, scenario)
		other, err := New(scenario, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []time.Duration{0, 95 * time.Second, 7 * time.Minute} {
			for _, d := range []*Demo{a, b, other} {
				d.Advance(start.Add(step))
			}
			differs := false
			for _, path := range everything {
				if !bytes.Equal(body(t, a, path), body(t, b, path)) {
					t.Errorf("%s after %v: %s differs", scenario, step, path)
				}
				differs = differs || !bytes.Equal(body(t, a, path), body(t, other, path))
			}
			if !differs {
				t.Errorf("%s after %v: another seed changes nothing", scenario, step)
			}
		}
	}
}

// The world at a moment does not depend on the steps in which one gets there.
func TestStepsDoNotMatter(t *testing.T) {
	a, b := scene(t, "powercut"), scene(t, "powercut")
	a.Advance(start.Add(6 * time.Minute))
	for at := start; !at.After(start.Add(6 * time.Minute)); at = at.Add(700 * time.Millisecond) {
		b.Advance(at)
	}
	b.Advance(start.Add(6 * time.Minute))
	for _, path := range everything {
		if !bytes.Equal(body(t, a, path), body(t, b, path)) {
			t.Errorf("%s differs", path)
		}
	}
}

// TestPowercutTimeline follows one cut as an operator would see it.
func TestPowercutTimeline(t *testing.T) {
	d := scene(t, "powercut")
	c := client(t, d)
	notReady := func() (names []string) {
		nodes, err := c.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes.Items {
			for _, cond := range n.Status.Conditions {
				if cond.Type == corev1.NodeReady && cond.Status != corev1.ConditionTrue {
					names = append(names, n.Name)
				}
			}
		}
		return names
	}
	want := []string{"curepipe-1", "curepipe-2", "curepipe-3"}
	if got := notReady(); !slices.Equal(got, want) {
		t.Fatalf("at first %v are not ready", got)
	}
	d.Advance(start.Add(3 * time.Minute))
	pods, err := c.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	leaving, replaced := 0, 0
	for _, p := range pods.Items {
		if p.DeletionTimestamp != nil {
			leaving++
			if !strings.HasPrefix(p.Spec.NodeName, "curepipe-") {
				t.Errorf("%s is leaving %s", p.Name, p.Spec.NodeName)
			}
		}
		if p.CreationTimestamp.After(start) {
			replaced++
		}
	}
	if leaving == 0 || replaced == 0 {
		t.Errorf("three minutes in: %d leaving, %d replaced", leaving, replaced)
	}
	d.Advance(start.Add(cutLength + time.Minute))
	if got := notReady(); len(got) > 0 {
		t.Errorf("after the power came back %v are not ready", got)
	}
	pods, err = c.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		if p.DeletionTimestamp != nil {
			t.Errorf("%s still hangs", p.Name)
		}
	}
}

// Paging, selectors, single objects and metadata answer as the real API's.
func TestAnswersAsAnAPI(t *testing.T) {
	d := scene(t, "weak")
	c := client(t, d)
	all, err := c.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var paged []string
	opt := metav1.ListOptions{Limit: 7}
	for {
		page, err := c.CoreV1().Pods("").List(t.Context(), opt)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Items) > 7 || page.ResourceVersion != all.ResourceVersion {
			t.Fatalf("page of %d at %s", len(page.Items), page.ResourceVersion)
		}
		for _, p := range page.Items {
			paged = append(paged, p.Namespace+"/"+p.Name)
		}
		if opt.Continue = page.Continue; opt.Continue == "" {
			break
		}
	}
	if len(paged) != len(all.Items) || !slices.IsSorted(paged) {
		t.Errorf("%d pods by pages, %d at once", len(paged), len(all.Items))
	}
	warnings, err := c.CoreV1().Events("").List(t.Context(), metav1.ListOptions{FieldSelector: "type!=Normal"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range warnings.Items {
		if e.Type == corev1.EventTypeNormal {
			t.Errorf("%s is Normal", e.Name)
		}
	}
	if len(warnings.Items) == 0 {
		t.Error("no warnings in a weak cluster")
	}
	in, err := c.CoreV1().Pods("db").List(t.Context(), metav1.ListOptions{LabelSelector: "app=postgres"})
	if err != nil || len(in.Items) != 3 {
		t.Errorf("%d postgres pods, %v", len(in.Items), err)
	}
	if n, err := c.CoreV1().Nodes().Get(t.Context(), "moka-1", metav1.GetOptions{}); err != nil || n.Name != "moka-1" {
		t.Errorf("get: %v", err)
	}
	if _, err := c.CoreV1().Nodes().Get(t.Context(), "mars-1", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a node that is not there: %v", err)
	}
	if err := c.CoreV1().Nodes().Delete(t.Context(), "moka-1", metav1.DeleteOptions{}); !apierrors.IsMethodNotSupported(err) {
		t.Errorf("delete: %v", err)
	}
	m, err := metadata.NewForConfig(protobuf(d))
	if err != nil {
		t.Fatal(err)
	}
	sets, err := m.Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(sets.Items) == 0 || len(sets.Items[0].OwnerReferences) == 0 {
		t.Errorf("replica sets by metadata: %v", err)
	}
}

// A client's own informer keeps up with the demo: list, watch, deletions.
func TestInformerKeepsUp(t *testing.T) {
	d := scene(t, "powercut")
	c := client(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	signal := make(chan struct{}, 1)
	ping := func(any) {
		select {
		case signal <- struct{}{}:
		default:
		}
	}
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (kruntime.Object, error) {
			return c.CoreV1().Pods("").List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return c.CoreV1().Pods("").Watch(ctx, o)
		},
	}
	inf := cache.NewSharedIndexInformer(lw, &corev1.Pod{}, 0, nil)
	if _, err := inf.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: ping, UpdateFunc: func(_, o any) { ping(o) }, DeleteFunc: ping}); err != nil {
		t.Fatal(err)
	}
	go inf.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), inf.HasSynced) {
		t.Fatal("not synced")
	}
	d.Advance(start.Add(cutLength + 2*time.Minute)) // through the whole cut
	want, err := c.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	same := func() bool {
		have := inf.GetStore().List()
		if len(have) != len(want.Items) {
			return false
		}
		versions := map[string]string{}
		for _, o := range have {
			p := o.(*corev1.Pod)
			versions[p.Namespace+"/"+p.Name] = p.ResourceVersion
		}
		for _, p := range want.Items {
			if versions[p.Namespace+"/"+p.Name] != p.ResourceVersion {
				return false
			}
		}
		return true
	}
	deadline := time.After(30 * time.Second)
	for !same() {
		select {
		case <-signal:
		case <-deadline:
			t.Fatalf("the informer holds %d pods, there are %d", len(inf.GetStore().List()), len(want.Items))
		}
	}
}

// A watch from before the history is told so, as 410 Gone.
func TestTooOldAWatchIsTold(t *testing.T) {
	d := scene(t, "weak")
	w, err := client(t, d).CoreV1().Pods("").Watch(t.Context(), metav1.ListOptions{ResourceVersion: "1"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	ev := <-w.ResultChan()
	if ev.Type != watch.Error || !apierrors.IsResourceExpired(apierrors.FromObject(ev.Object)) {
		t.Errorf("got %s %v", ev.Type, ev.Object)
	}
}

func TestLostControlPlaneRefuses(t *testing.T) {
	d := scene(t, "quorum")
	c := client(t, d)
	w, err := c.CoreV1().Nodes().Watch(t.Context(), metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	d.Advance(start.Add(time.Minute))
	for range w.ResultChan() { //nolint:revive // drained until the server is gone
	}
	_, err = c.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("listing: %v", err)
	}
}

// Nothing of a request outlives its context.
func TestNoGoroutineStays(t *testing.T) {
	d := scene(t, "weak")
	c := client(t, d)
	before := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	var open []watch.Interface
	for i := range 10 {
		w, err := c.CoreV1().Pods("").Watch(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		<-w.ResultChan()
		if i%2 == 0 {
			w.Stop() // the others end with the context
			continue
		}
		open = append(open, w)
	}
	cancel()
	<-done
	for _, w := range open {
		for range w.ResultChan() { //nolint:revive // a client reads until the end
		}
	}
	goleak.VerifyNone(t, before)
}

func TestUnknownScenarioNamesTheOthers(t *testing.T) {
	_, err := New("sunny", 1)
	if err == nil || !strings.Contains(err.Error(), "powercut") {
		t.Errorf("got %v", err)
	}
}

func TestBigIsBig(t *testing.T) {
	d := scene(t, "big")
	nodes, _ := d.store.list(kindNamed("", "v1", "nodes"))
	pods, _ := d.store.list(kindNamed("", "v1", "pods"))
	if len(nodes) != 1000 || len(pods) != 20000 {
		t.Errorf("%d nodes, %d pods", len(nodes), len(pods))
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := New("weak", 1); err != nil {
			b.Fatal(err)
		}
	}
}
