package demo

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// machine is one node's state in the simulation.
type machine struct {
	name, site string
	index      int // among all machines: makes its addresses
	arch, os   string
	version    string
	milliCPU   int64
	memory     int64
	server     bool
	cordoned   bool
	born       time.Time

	alive      bool
	quietUntil time.Time // its uplink drops its heartbeats until then
	heard      time.Time
	lost       bool      // the control plane no longer hears it
	turned     time.Time // when lost last changed
	evicting   bool      // it carries the NoExecute taint
	evictAt    time.Time
	pods       map[*pod]bool
	labels     map[string]string

	offAt     time.Time // when its power went, and came back
	onAt      time.Time
	keyExpiry time.Time // of its key on the tailnet; zero: never
}

func (m *machine) object() *corev1.ObjectReference {
	return &corev1.ObjectReference{Kind: "Node", Name: m.name, UID: types.UID(m.name)}
}

// address is its place on the tailnet.
func (m *machine) address() string { return fmt.Sprintf("100.64.%d.%d", m.index/250, m.index%250+1) }

// podCIDR is the part of 10.42.0.0/16 it gives pods from.
func (m *machine) podCIDR() string { return fmt.Sprintf("10.42.%d.0/24", m.index%256) }

// putNode writes the machine's Node as the control plane sees it now.
func (s *sim) putNode(m *machine) {
	s.demo.store.put(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: m.name, UID: uid("node", m.name), CreationTimestamp: stamp(m.born), Labels: s.nodeLabels(m), Annotations: nodeAnnotations(m),
		},
		Spec:   corev1.NodeSpec{PodCIDR: m.podCIDR(), PodCIDRs: []string{m.podCIDR()}, Unschedulable: m.cordoned, Taints: s.taints(m)},
		Status: s.nodeStatus(m),
	})
}

func (s *sim) nodeLabels(m *machine) map[string]string {
	if m.labels != nil {
		return m.labels
	}
	m.labels = map[string]string{
		"beta.kubernetes.io/arch": m.arch, "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/instance-type": "k3s",
		"kubernetes.io/arch": m.arch, "kubernetes.io/os": "linux", "kubernetes.io/hostname": m.name,
		"node.kubernetes.io/instance-type": "k3s",
		"topology.kubernetes.io/region":    "mauritius", "topology.kubernetes.io/zone": m.site,
	}
	if m.server {
		for _, role := range []string{"control-plane", "etcd", "master"} {
			m.labels["node-role.kubernetes.io/"+role] = "true"
		}
	}
	return m.labels
}

// places are where the demo's houses are: villages of Mauritius.
var places = map[string]string{"curepipe": "-20.3188,57.5263", "flacq": "-20.1897,57.7144", "moka": "-20.2290,57.4960"}

func nodeAnnotations(m *machine) map[string]string {
	a := map[string]string{
		"flannel.alpha.coreos.com/backend-type": "vxlan", "flannel.alpha.coreos.com/public-ip": m.address(),
		"flannel.alpha.coreos.com/public-ip-overwrite": m.address(), "k3s.io/hostname": m.name, "k3s.io/internal-ip": m.address(),
		"k3s.io/node-args": `["agent","--flannel-iface","tailscale0"]`,
	}
	if at := places[m.site]; at != "" {
		a["geotop.io/location"] = at
	}
	if m.server {
		a["k3s.io/node-args"] = `["server","--flannel-iface","tailscale0","--etcd-expose-metrics"]`
		a["etcd.k3s.cattle.io/node-address"] = m.address()
		a["etcd.k3s.cattle.io/node-name"] = fmt.Sprintf("%s-%08x", m.name, uint32(hash("etcd", m.name)))
	}
	return a
}

func (s *sim) taints(m *machine) []corev1.Taint {
	var taints []corev1.Taint
	if m.cordoned {
		taints = append(taints, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
	}
	if m.lost {
		taints = append(taints, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoSchedule})
	}
	if m.evicting {
		at := stamp(m.evictAt)
		taints = append(taints, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute, TimeAdded: &at})
	}
	return taints
}

func (s *sim) nodeStatus(m *machine) corev1.NodeStatus {
	capacity := amounts(m.milliCPU, m.memory, 110)
	kernel := "6.12.48+deb13-" + m.arch
	if strings.HasPrefix(m.os, "Raspberry") {
		kernel = "6.12.47+rpt-rpi-2712"
	}
	st := corev1.NodeStatus{
		Capacity: capacity, Allocatable: capacity,
		Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: m.address()}, {Type: corev1.NodeHostName, Address: m.name}},
		NodeInfo: corev1.NodeSystemInfo{
			Architecture: m.arch, OperatingSystem: "linux", OSImage: m.os, KernelVersion: kernel, KubeletVersion: m.version,
			ContainerRuntimeVersion: "containerd://2.1.5-k3s1",
		},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: 10250}},
	}
	since := m.born
	if !m.turned.IsZero() {
		since = m.turned
	}
	status, reason, message := corev1.ConditionFalse, "KubeletHasSufficient", "kubelet has sufficient resources"
	ready, readyReason, readyMessage := corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status"
	if m.lost {
		status, reason, message = corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status."
		ready, readyReason, readyMessage = status, reason, message
	}
	for _, t := range []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
		st.Conditions = append(st.Conditions, condition(t, status, reason, message, since))
	}
	st.Conditions = append(st.Conditions, condition(corev1.NodeReady, ready, readyReason, readyMessage, since))
	if m.server {
		st.Conditions = append(st.Conditions, condition("EtcdIsVoter", corev1.ConditionTrue, "MemberNotLearner", "Node is a voting member of the etcd cluster", m.born))
	}
	return st
}

func condition(t corev1.NodeConditionType, status corev1.ConditionStatus, reason, message string, since time.Time) corev1.NodeCondition {
	return corev1.NodeCondition{Type: t, Status: status, Reason: reason, Message: message, LastTransitionTime: stamp(since), LastHeartbeatTime: stamp(since)}
}

func amounts(milliCPU, memory, pods int64) corev1.ResourceList {
	list := corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(milliCPU, resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(memory, resource.BinarySI),
	}
	if pods > 0 {
		list[corev1.ResourcePods] = *resource.NewQuantity(pods, resource.DecimalSI)
	}
	return list
}

// pod is one pod's state in the simulation.
type pod struct {
	of          *workload
	place       int // which of the workload's replicas it is
	name        string
	uid         types.UID
	node        *machine
	born        time.Time
	since       time.Time // its Ready condition last changed
	running     bool
	ready       bool
	restarts    int
	restartedAt time.Time
	trouble     string // why its container waits
	leaving     bool
	deleteAt    time.Time
	gone        bool
}

func (p *pod) object() *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: p.name, Namespace: p.of.namespace, UID: p.uid}}
}

// putPod writes the pod as the API has it now.
func (s *sim) putPod(p *pod) {
	if p.node != nil {
		p.node.pods[p] = true
	}
	o := p.object()
	o.CreationTimestamp = stamp(p.born)
	o.Labels = p.labels()
	o.OwnerReferences = p.of.ownerOfPods()
	o.Spec = p.of.podSpec()
	if p.of.claim != "" {
		o.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: p.claimName()}}}}
	}
	if p.leaving {
		at, seconds := stamp(p.deleteAt), int64(podGrace/time.Second)
		o.DeletionTimestamp, o.DeletionGracePeriodSeconds = &at, &seconds
	}
	o.Status = s.podStatus(p)
	if p.node != nil {
		o.Spec.NodeName = p.node.name
	}
	s.demo.store.put(o)
}

func (p *pod) labels() map[string]string {
	if p.of.kind != "StatefulSet" {
		return p.of.labels
	}
	l := map[string]string{"statefulset.kubernetes.io/pod-name": p.name, "apps.kubernetes.io/pod-index": fmt.Sprint(p.place)}
	for k, v := range p.of.labels {
		l[k] = v
	}
	return l
}

func (p *pod) claimName() string {
	if p.of.kind == "StatefulSet" {
		return p.of.claim + "-" + p.name
	}
	return p.of.claim
}

func (s *sim) podStatus(p *pod) corev1.PodStatus {
	st := corev1.PodStatus{Phase: corev1.PodPending, QOSClass: corev1.PodQOSBurstable}
	if p.node == nil {
		st.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
			Message: p.of.misfit(s), LastTransitionTime: stamp(p.born)}}
		return st
	}
	started := stamp(p.born)
	st.StartTime, st.HostIP = &started, p.node.address()
	yes := true
	c := corev1.ContainerStatus{Name: p.of.name, Image: p.of.image, RestartCount: int32(p.restarts), Ready: p.ready, Started: &yes}
	switch {
	case p.trouble != "":
		c.State.Waiting = &corev1.ContainerStateWaiting{Reason: p.trouble, Message: troubleMessage(p)}
	case p.running:
		at := p.born
		if !p.restartedAt.IsZero() {
			at = p.restartedAt
		}
		c.State.Running = &corev1.ContainerStateRunning{StartedAt: stamp(at)}
	default:
		c.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
	}
	if p.restarts > 0 {
		c.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", FinishedAt: stamp(p.restartedAt)}
	}
	if p.running || p.restarts > 0 {
		st.Phase = corev1.PodRunning
		st.PodIP = fmt.Sprintf("10.42.%d.%d", p.node.index%256, hash("ip", p.name)%250+2)
	}
	st.ContainerStatuses = []corev1.ContainerStatus{c}
	ready := corev1.ConditionFalse
	if p.ready {
		ready = corev1.ConditionTrue
	}
	st.Conditions = []corev1.PodCondition{
		{Type: corev1.PodReady, Status: ready, LastTransitionTime: stamp(p.since)},
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: stamp(p.born)},
	}
	return st
}

func troubleMessage(p *pod) string {
	switch p.trouble {
	case "ImagePullBackOff":
		return fmt.Sprintf("Back-off pulling image %q: manifest unknown", p.of.image)
	case "CrashLoopBackOff":
		return fmt.Sprintf("back-off 5m0s restarting failed container=%s pod=%s", p.of.name, p.name)
	default:
		return ""
	}
}

// event writes a Kubernetes event about an object; about is an object of the
// API or a reference to one.
func (s *sim) event(about any, kind, reason, message, host string) {
	var ref corev1.ObjectReference
	switch o := about.(type) {
	case *corev1.ObjectReference:
		ref = *o
	case *corev1.Pod:
		ref = corev1.ObjectReference{Kind: "Pod", Namespace: o.Namespace, Name: o.Name, UID: o.UID}
	}
	namespace := ref.Namespace
	if namespace == "" {
		namespace = "default"
	}
	at := stamp(s.now())
	s.demo.store.put(&corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("%s.%016x", ref.Name, hash(ref.Name, reason, s.now().UnixNano())), CreationTimestamp: at},
		InvolvedObject: ref, Reason: reason, Message: message, Type: kind, Count: 1, FirstTimestamp: at, LastTimestamp: at,
		Source: corev1.EventSource{Component: "demo", Host: host},
	})
}

// eventsLive is how long the API server keeps events by default.
const eventsLive = time.Hour

func (s *sim) expireEvents() {
	all, _ := s.demo.store.list(kindNamed("", "v1", "events"))
	for _, o := range all {
		if s.now().Sub(o.GetCreationTimestamp().Time) > eventsLive {
			s.demo.store.remove(o)
		}
	}
}
