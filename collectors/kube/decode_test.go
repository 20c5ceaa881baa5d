package kube

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/geotop/geotop/model"
)

// marshaler is what generated API types offer.
type marshaler interface{ Marshal() ([]byte, error) }

func raw(t testing.TB, obj marshaler) []byte {
	t.Helper()
	b, err := obj.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// envelope wraps a message as the API server does.
func envelope(t testing.TB, msg []byte) []byte {
	t.Helper()
	return append(bytes.Clone(protobufMagic), raw(t, &runtime.Unknown{Raw: msg})...)
}

func newPodDecoder() *podDecoder { return &podDecoder{cluster: "test", names: newInterner()} }

// randomPod makes a pod whose every field that geotop reads may be set or not.
func randomPod(rng *rand.Rand) *corev1.Pod {
	some := func() bool { return rng.IntN(2) == 0 }
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: fmt.Sprintf("pod-%d", rng.IntN(1e6)), Namespace: "web", UID: types.UID(fmt.Sprint(rng.Uint64())), ResourceVersion: fmt.Sprint(rng.IntN(1e6)),
		CreationTimestamp: metav1.Unix(int64(rng.IntN(1e9)), 0),
		ManagedFields:     []metav1.ManagedFieldsEntry{{Manager: "kubelet", FieldsV1: metav1.NewFieldsV1(`{"f:status":{}}`)}},
		Annotations:       map[string]string{"a": "b"},
	}}
	if some() {
		p.Labels = map[string]string{"app": fmt.Sprint(rng.IntN(3)), "tier": "x"}
	}
	if some() {
		at := metav1.Unix(1e9, 0)
		p.DeletionTimestamp = &at
	}
	yes, no := true, false
	if some() {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "Other", Name: "o", UID: "1", Controller: &no}, {Kind: "ReplicaSet", Name: "rs", UID: "2", Controller: &yes}}
	}
	if some() {
		p.Spec.NodeName = "node-1"
	}
	if some() {
		p.Spec.Volumes = []corev1.Volume{
			{Name: "cfg", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
			{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-0"}}},
		}
	}
	always := corev1.ContainerRestartPolicyAlways
	p.Spec.InitContainers = []corev1.Container{{Name: "init"}, {Name: "side", RestartPolicy: &always}}[:rng.IntN(3)]
	p.Spec.Containers = []corev1.Container{{
		Name: "main", Image: fmt.Sprintf("app:%d", rng.IntN(3)), Ports: []corev1.ContainerPort{{HostPort: int32(rng.IntN(2) * 8080), Protocol: corev1.ProtocolTCP}},
		Env:       []corev1.EnvVar{{Name: "SECRET", Value: "never kept"}},
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("250m"), "memory": resource.MustParse("64Mi"), "example.com/coral": resource.MustParse("2")}},
	}}
	if some() {
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: "kubernetes.io/hostname"}}}}
		p.Spec.NodeSelector = map[string]string{"disk": "ssd"}
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: corev1.DoNotSchedule}}
		p.Spec.Tolerations = []corev1.Toleration{{Key: "k", Operator: corev1.TolerationOpExists}}
	}
	prio := int32(rng.IntN(3))
	p.Spec.Priority = &prio
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.42.0.7", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Unix(5e8, 0)}},
		ContainerStatuses: []corev1.ContainerStatus{{Name: "main", Ready: true, RestartCount: int32(rng.IntN(4)), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}}
	return p
}

// expected is what the API's own decoder says of the pod.
func checkPod(t *testing.T, got *model.Pod, p *corev1.Pod) {
	t.Helper()
	spec := newPodSpec(&p.Spec)
	want := &model.Pod{
		Cluster: "test", Namespace: p.Namespace, Name: p.Name, UID: string(p.UID), Node: p.Spec.NodeName,
		Phase: p.Status.Phase, Status: got.Status, Ready: true, Up: 1, Restarts: int(p.Status.ContainerStatuses[0].RestartCount),
		Created: p.CreationTimestamp.UTC(), ReadySince: time.Unix(5e8, 0).UTC(), IP: p.Status.PodIP, Labels: p.Labels, Spec: spec,
	}
	if o := metav1.GetControllerOf(p); o != nil {
		want.Owner = model.Owner{Kind: o.Kind, Name: o.Name, UID: string(o.UID)}
	}
	if p.DeletionTimestamp != nil {
		want.DeleteAt = p.DeletionTimestamp.UTC()
	}
	if len(p.Spec.Volumes) > 0 {
		want.Claims = []string{"data-0"}
	}
	for _, c := range spec.Containers {
		if !c.Init || c.Sidecar {
			want.Containers++
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nspec %+v\nwant %+v\nspec %+v", got, got.Spec, want, want.Spec)
	}
}

func TestPodDecodesAsTheAPIsOwnDecoderWould(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	d := newPodDecoder()
	for range 500 {
		p := randomPod(rng)
		got, rv, err := d.decode(raw(t, p))
		if err != nil {
			t.Fatal(err)
		}
		if rv != p.ResourceVersion {
			t.Errorf("resourceVersion %q, want %q", rv, p.ResourceVersion)
		}
		checkPod(t, got, p)
	}
	// 3 init variants, 3 images, host port or not, scheduling fields or not, 3 priorities.
	if n := len(d.names.specs); n > 3*3*2*2*3 {
		t.Errorf("%d different specs stored", n)
	}
}

func TestEqualPodsShareSpecAndLabels(t *testing.T) {
	d := newPodDecoder()
	rng := rand.New(rand.NewPCG(1, 1))
	p := randomPod(rng)
	p.Labels = map[string]string{"app": "blog", "tier": "web"}
	first, _, _ := d.decode(raw(t, p))
	p.Name, p.UID, p.Spec.NodeName, p.Spec.Hostname = "other", "other", "node-9", "other"
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "kube-api-access-x7x2"})
	p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "kube-api-access-x7x2"}}
	second, _, err := d.decode(raw(t, p))
	if err != nil {
		t.Fatal(err)
	}
	if first.Spec != second.Spec {
		t.Error("specs that differ only in generated names are stored twice")
	}
	if reflect.ValueOf(first.Labels).Pointer() != reflect.ValueOf(second.Labels).Pointer() {
		t.Error("equal labels are stored twice")
	}
	p.Spec.Containers[0].Image = "another"
	third, _, _ := d.decode(raw(t, p))
	if third.Spec == first.Spec {
		t.Error("pods of different images share a spec")
	}
}

func TestDaemonSetPodsShareTheirSpec(t *testing.T) {
	d := newPodDecoder()
	yes := true
	var specs []*model.PodSpec
	for _, node := range []string{"a", "b"} {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "agent-" + node, OwnerReferences: []metav1.OwnerReference{{Kind: "DaemonSet", Name: "agent", UID: "1", Controller: &yes}}}}
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: "In", Values: []string{node}}}}}}}}
		got, _, err := d.decode(raw(t, p))
		if err != nil {
			t.Fatal(err)
		}
		if got.For != node {
			t.Errorf("the pod for %s is for %q", node, got.For)
		}
		specs = append(specs, got.Spec)
	}
	if specs[0] != specs[1] || specs[0].Affinity != nil {
		t.Error("each pod of a DaemonSet stores its own spec")
	}
}

func TestInternerForgetsRatherThanGrows(t *testing.T) {
	in := newInterner()
	for i := range maxInterned + 10 {
		in.string(fmt.Appendf(nil, "name-%d", i))
	}
	if n := len(in.strings); n > maxInterned {
		t.Errorf("%d strings kept", n)
	}
}

func TestReadList(t *testing.T) {
	list := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "42", Continue: "next"}}
	rng := rand.New(rand.NewPCG(3, 3))
	for range 5 {
		list.Items = append(list.Items, *randomPod(rng))
	}
	d := newPodDecoder()
	var names []string
	rv, next, err := readList(envelope(t, raw(t, list)), func(item []byte) error {
		p, _, err := d.decode(item)
		names = append(names, p.Name)
		return err
	})
	if err != nil || rv != "42" || next != "next" || len(names) != 5 || names[4] != list.Items[4].Name {
		t.Errorf("rv %q, continue %q, names %v, err %v", rv, next, names, err)
	}
}

// frame writes one watch event with the API server's own encoder.
func frame(t testing.TB, kind string, obj marshaler) []byte {
	t.Helper()
	info, ok := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), runtime.ContentTypeProtobuf)
	if !ok {
		t.Fatal("no protobuf serializer")
	}
	var out bytes.Buffer
	ev := &metav1.WatchEvent{Type: kind, Object: runtime.RawExtension{Raw: envelope(t, raw(t, obj))}}
	if err := info.StreamSerializer.Encode(ev, info.StreamSerializer.NewFrameWriter(&out)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFrames(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", ResourceVersion: "7"}}
	first := frame(t, "ADDED", pod)
	stream := append(bytes.Clone(first), frame(t, "DELETED", pod)...)
	in := &frames{r: bytes.NewReader(stream)}
	for _, want := range []string{"ADDED", "DELETED"} {
		ev, err := in.next()
		if err != nil || ev.kind != want {
			t.Fatalf("%q, %v; want %s", ev.kind, err, want)
		}
		p, rv, err := newPodDecoder().decode(ev.object)
		if err != nil || p.Name != "p" || rv != "7" {
			t.Errorf("%+v %q %v", p, rv, err)
		}
	}
	if _, err := in.next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
	for n := 1; n < len(first); n++ {
		if _, err := (&frames{r: bytes.NewReader(stream[:n])}).next(); err == nil {
			t.Fatalf("a frame cut after %d bytes was accepted", n)
		}
	}
}

func TestHugeFrameIsRefused(t *testing.T) {
	in := &frames{r: bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff})}
	if _, err := in.next(); err == nil {
		t.Error("accepted")
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(frame(f, "ADDED", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}}))
	f.Add(frame(f, "ERROR", &metav1.Status{Code: 410}))
	f.Fuzz(func(_ *testing.T, b []byte) {
		in := &frames{r: bytes.NewReader(b)}
		for {
			ev, err := in.next()
			if err != nil {
				return
			}
			_, _, _ = newPodDecoder().decode(ev.object)
			_, _ = ev.status()
		}
	})
}

func FuzzPod(f *testing.F) {
	f.Add(raw(f, randomPod(rand.New(rand.NewPCG(1, 2)))))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _, _ = newPodDecoder().decode(b) })
}

func TestPodStatusWord(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	waiting := func(r string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: r}}
	}
	ended := func(code int32, r string) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: r}}
	}
	yes := true
	always := corev1.ContainerRestartPolicyAlways
	now := metav1.Now()
	one := []corev1.ContainerStatus{{Name: "c", State: running, Ready: true}}
	for _, tc := range []struct {
		want string
		pod  corev1.Pod
	}{
		{"Running", corev1.Pod{Status: corev1.PodStatus{Phase: "Running", ContainerStatuses: one}}},
		{"Pending", corev1.Pod{Status: corev1.PodStatus{Phase: "Pending"}}},
		{"Evicted", corev1.Pod{Status: corev1.PodStatus{Phase: "Failed", Reason: "Evicted"}}},
		{"CrashLoopBackOff", corev1.Pod{Status: corev1.PodStatus{Phase: "Running", ContainerStatuses: []corev1.ContainerStatus{{Name: "c", State: waiting("CrashLoopBackOff")}}}}},
		{"ContainerCreating", corev1.Pod{Status: corev1.PodStatus{Phase: "Pending", ContainerStatuses: []corev1.ContainerStatus{{Name: "c", State: waiting("ContainerCreating")}}}}},
		{"OOMKilled", corev1.Pod{Status: corev1.PodStatus{Phase: "Running", ContainerStatuses: []corev1.ContainerStatus{{Name: "c", State: ended(137, "OOMKilled")}}}}},
		{"ExitCode:3", corev1.Pod{Status: corev1.PodStatus{Phase: "Failed", ContainerStatuses: []corev1.ContainerStatus{{Name: "c", State: ended(3, "")}}}}},
		{"Completed", corev1.Pod{Status: corev1.PodStatus{Phase: "Succeeded", ContainerStatuses: []corev1.ContainerStatus{{Name: "c", State: ended(0, "Completed")}}}}},
		{"Init:0/2", corev1.Pod{Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: "a"}, {Name: "b"}}},
			Status: corev1.PodStatus{Phase: "Pending", InitContainerStatuses: []corev1.ContainerStatus{{Name: "a", State: running}, {Name: "b", State: waiting("PodInitializing")}}}}},
		{"Init:1/2", corev1.Pod{Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: "a"}, {Name: "b"}}},
			Status: corev1.PodStatus{Phase: "Pending", InitContainerStatuses: []corev1.ContainerStatus{{Name: "a", State: ended(0, "Completed")}, {Name: "b", State: running}}}}},
		{"Init:Error", corev1.Pod{Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: "a"}}},
			Status: corev1.PodStatus{Phase: "Pending", InitContainerStatuses: []corev1.ContainerStatus{{Name: "a", State: ended(1, "Error")}}}}},
		{"Init:ImagePullBackOff", corev1.Pod{Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: "a"}}},
			Status: corev1.PodStatus{Phase: "Pending", InitContainerStatuses: []corev1.ContainerStatus{{Name: "a", State: waiting("ImagePullBackOff")}}}}},
		{"Running", corev1.Pod{Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: "side", RestartPolicy: &always}}},
			Status: corev1.PodStatus{Phase: "Running", InitContainerStatuses: []corev1.ContainerStatus{{Name: "side", State: running, Started: &yes}}, ContainerStatuses: one}}},
		{"SchedulingGated", corev1.Pod{Status: corev1.PodStatus{Phase: "Pending", Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonSchedulingGated}}}}},
		{"Terminating", corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}, Status: corev1.PodStatus{Phase: "Running", ContainerStatuses: one}}},
		{"Unknown", corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}, Status: corev1.PodStatus{Phase: "Running", Reason: "NodeLost"}}},
		{"Completed", corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}, Status: corev1.PodStatus{Phase: "Succeeded", ContainerStatuses: []corev1.ContainerStatus{{Name: "c", State: ended(0, "Completed")}}}}},
	} {
		got, _, err := newPodDecoder().decode(raw(t, &tc.pod))
		if err != nil {
			t.Fatal(err)
		}
		if got.Status != tc.want {
			t.Errorf("%q, want %q", got.Status, tc.want)
		}
	}
}

func TestHostileTextIsCleaned(t *testing.T) {
	p := &corev1.Pod{Status: corev1.PodStatus{Phase: "Pending", Conditions: []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "no \x1b]52;c;ZXZpbA==\x07room\nhere"}}}}
	got, _, err := newPodDecoder().decode(raw(t, p))
	if err != nil || got.Message != "no ]52;c;ZXZpbA== room here" {
		t.Errorf("%q %v", got.Message, err)
	}
}

func TestNodeFact(t *testing.T) {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "moka-1", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{
			"etcd.k3s.cattle.io/node-name": "moka-1-9b1c2d3e", "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
		Spec: corev1.NodeSpec{Unschedulable: true},
		Status: corev1.NodeStatus{
			Allocatable: corev1.ResourceList{"cpu": resource.MustParse("3900m"), "memory": resource.MustParse("4Gi"), "pods": resource.MustParse("110"), "hugepages-2Mi": resource.MustParse("0")},
			Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now()}},
		},
	}
	decode := decoder(func(n *corev1.Node) *model.NodeFact { return nodeFact("test", n) })
	a, _, err := decode(raw(t, n))
	if err != nil {
		t.Fatal(err)
	}
	if a.Allocatable.MilliCPU != 3900 || a.Allocatable.MemoryBytes != 4<<30 || a.Allocatable.Extended != nil || !a.Unschedulable {
		t.Errorf("%+v", a)
	}
	if !maps.Equal(a.Annotations, map[string]string{"etcd.k3s.cattle.io/node-name": "moka-1-9b1c2d3e"}) {
		t.Errorf("annotations %v", a.Annotations)
	}
	// A heartbeat alone changes nothing; a cordon does.
	n.Status.Conditions[0].LastHeartbeatTime = metav1.NewTime(time.Now().Add(time.Hour))
	b, _, _ := decode(raw(t, n))
	if !sameNode(a, b) {
		t.Error("a heartbeat counts as a change")
	}
	n.Spec.Unschedulable = false
	c, _, _ := decode(raw(t, n))
	if sameNode(a, c) {
		t.Error("an uncordon does not count as a change")
	}
}

func TestEventTimes(t *testing.T) {
	at := metav1.NewMicroTime(time.Unix(1000, 0))
	later := metav1.NewMicroTime(time.Unix(2000, 0))
	e := event("test", &corev1.Event{EventTime: at, Series: &corev1.EventSeries{Count: 5, LastObservedTime: later}})
	if !e.First.Equal(at.Time) || !e.Last.Equal(later.Time) || e.Count != 5 {
		t.Errorf("%+v", e)
	}
	e = event("test", &corev1.Event{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.Unix(500, 0)}})
	if e.First.Unix() != 500 || e.Last.Unix() != 500 || e.Count != 1 {
		t.Errorf("%+v", e)
	}
}

func TestReadUsage(t *testing.T) {
	got, err := readUsage("test", []byte(`{"items":[{"metadata":{"name":"moka-1"},"usage":{"cpu":"250m","memory":"1Gi"}}]}`))
	if err != nil || len(got) != 1 || got[0].MilliCPU != 250 || got[0].MemoryBytes != 1<<30 {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := readUsage("test", []byte(`<html>`)); err == nil {
		t.Error("HTML was taken for metrics")
	}
}

func BenchmarkDecodePod(b *testing.B) {
	msg := raw(b, randomPod(rand.New(rand.NewPCG(7, 7))))
	b.Run("geotop", func(b *testing.B) {
		d := newPodDecoder()
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := d.decode(msg); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("api", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var p corev1.Pod
			if err := p.Unmarshal(msg); err != nil {
				b.Fatal(err)
			}
		}
	})
}
