package kube

import (
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/geotop/geotop/model"
)

// resources keeps the amounts geotop reckons with.
func resources(list corev1.ResourceList) model.Resources {
	var r model.Resources
	for name, q := range list {
		switch name {
		case corev1.ResourceCPU:
			r.MilliCPU = q.MilliValue()
		case corev1.ResourceMemory:
			r.MemoryBytes = q.Value()
		case corev1.ResourceEphemeralStorage:
			r.EphemeralBytes = q.Value()
		case corev1.ResourcePods:
			r.Pods = q.Value()
		default:
			if strings.HasPrefix(string(name), "hugepages-") && q.IsZero() {
				continue
			}
			if r.Extended == nil {
				r.Extended = map[string]int64{}
			}
			r.Extended[string(name)] = q.Value()
		}
	}
	return r
}

func nodeFact(cluster string, n *corev1.Node) *model.NodeFact {
	f := &model.NodeFact{
		Cluster: cluster, Name: n.Name, UID: string(n.UID), Created: utc(n.CreationTimestamp.Time),
		Labels: n.Labels, Annotations: nodeAnnotations(n.Annotations), Taints: n.Spec.Taints,
		Unschedulable: n.Spec.Unschedulable, PodCIDRs: n.Spec.PodCIDRs,
		Addresses: []model.Address{}, Conditions: []model.Condition{},
		Capacity: resources(n.Status.Capacity), Allocatable: resources(n.Status.Allocatable),
		OSImage: model.Clean(n.Status.NodeInfo.OSImage, maxText), Kernel: model.Clean(n.Status.NodeInfo.KernelVersion, maxText),
		Arch: n.Status.NodeInfo.Architecture, Kubelet: model.Clean(n.Status.NodeInfo.KubeletVersion, maxText),
		Runtime: model.Clean(n.Status.NodeInfo.ContainerRuntimeVersion, maxText),
	}
	for i := range f.Taints {
		if t := f.Taints[i].TimeAdded; t != nil {
			f.Taints[i].TimeAdded = &metav1.Time{Time: t.UTC()}
		}
	}
	for _, a := range n.Status.Addresses {
		f.Addresses = append(f.Addresses, model.Address{Type: string(a.Type), Address: model.Clean(a.Address, maxText)})
	}
	for _, c := range n.Status.Conditions {
		f.Conditions = append(f.Conditions, model.Condition{
			Type: string(c.Type), Status: string(c.Status), Reason: model.Clean(c.Reason, maxText),
			Message: model.Clean(c.Message, maxText), Since: utc(c.LastTransitionTime.Time),
		})
	}
	return f
}

// nodeAnnotations keeps those that tell about k3s, flannel and the tailnet.
func nodeAnnotations(all map[string]string) map[string]string {
	kept := maps.Clone(all)
	maps.DeleteFunc(kept, func(k, _ string) bool {
		return !strings.Contains(k, "k3s") && !strings.HasPrefix(k, "flannel.") && !strings.HasPrefix(k, "geotop")
	})
	return kept
}

func nodeKey(n *model.NodeFact) key { return key{"", n.Name} }

func sameNode(a, b *model.NodeFact) bool {
	return a.Unschedulable == b.Unschedulable && a.Kubelet == b.Kubelet && a.OSImage == b.OSImage && a.Kernel == b.Kernel &&
		maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Annotations, b.Annotations) &&
		slices.EqualFunc(a.Taints, b.Taints, func(x, y corev1.Taint) bool { return x.MatchTaint(&y) && x.Value == y.Value }) &&
		slices.Equal(a.Addresses, b.Addresses) && slices.Equal(a.Conditions, b.Conditions) &&
		sameResources(a.Allocatable, b.Allocatable) && sameResources(a.Capacity, b.Capacity)
}

func sameResources(a, b model.Resources) bool {
	return a.MilliCPU == b.MilliCPU && a.MemoryBytes == b.MemoryBytes && a.EphemeralBytes == b.EphemeralBytes &&
		a.Pods == b.Pods && maps.Equal(a.Extended, b.Extended)
}

// controller fills what all controllers have in common.
func controller(cluster, kind string, m metav1.Object) *model.Controller {
	c := &model.Controller{
		Cluster: cluster, Kind: kind, Namespace: m.GetNamespace(), Name: m.GetName(), UID: string(m.GetUID()),
		Created: utc(m.GetCreationTimestamp().Time), Desired: -1,
	}
	if o := metav1.GetControllerOf(m); o != nil {
		c.Owner = model.Owner{Kind: o.Kind, Name: o.Name, UID: string(o.UID)}
	}
	return c
}

func controllerKey(c *model.Controller) key { return key{c.Namespace, c.Name} }

func sameController(a, b *model.Controller) bool { return *a == *b }

// replicas gives what a spec.replicas wants; the API defaults it to 1.
func replicas(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}

func deployment(cluster string, d *appsv1.Deployment) *model.Controller {
	c := controller(cluster, "Deployment", d)
	c.Desired, c.Ready = replicas(d.Spec.Replicas), int(d.Status.ReadyReplicas)
	return c
}

func statefulSet(cluster string, s *appsv1.StatefulSet) *model.Controller {
	c := controller(cluster, "StatefulSet", s)
	c.Desired, c.Ready = replicas(s.Spec.Replicas), int(s.Status.ReadyReplicas)
	return c
}

func daemonSet(cluster string, d *appsv1.DaemonSet) *model.Controller {
	c := controller(cluster, "DaemonSet", d)
	c.Desired, c.Ready = int(d.Status.DesiredNumberScheduled), int(d.Status.NumberReady)
	return c
}

// replicaSet knows only the metadata: enough to find the Deployment above.
func replicaSet(cluster string, m *metav1.PartialObjectMetadata) *model.Controller {
	return controller(cluster, "ReplicaSet", m)
}

func job(cluster string, j *batchv1.Job) *model.Controller {
	c := controller(cluster, "Job", j)
	c.Desired = 1
	if j.Spec.Parallelism != nil {
		c.Desired = int(*j.Spec.Parallelism)
	}
	if j.Spec.Completions != nil {
		c.Desired = min(c.Desired, int(*j.Spec.Completions)-int(j.Status.Succeeded))
	}
	if j.Status.Ready != nil {
		c.Ready = int(*j.Status.Ready)
	}
	for _, cond := range j.Status.Conditions {
		if cond.Status != corev1.ConditionTrue {
			continue
		}
		switch cond.Type {
		case batchv1.JobComplete:
			c.Finished = true
		case batchv1.JobFailed:
			c.Failed = true
		}
	}
	if j.Spec.Suspend != nil && *j.Spec.Suspend {
		c.Suspended, c.Desired = true, 0
	}
	return c
}

func cronJob(cluster string, j *batchv1.CronJob) *model.Controller {
	c := controller(cluster, "CronJob", j)
	c.Desired = len(j.Status.Active)
	c.Schedule = model.Clean(j.Spec.Schedule, maxText)
	c.Suspended = j.Spec.Suspend != nil && *j.Spec.Suspend
	if j.Status.LastScheduleTime != nil {
		c.LastRun = utc(j.Status.LastScheduleTime.Time)
	}
	return c
}

func event(cluster string, e *corev1.Event) *model.Event {
	ev := &model.Event{
		Cluster: cluster, Namespace: e.Namespace, UID: string(e.UID), Kind: model.Clean(e.InvolvedObject.Kind, maxText), Object: model.Clean(e.InvolvedObject.Name, maxText),
		Type: e.Type, Reason: model.Clean(e.Reason, maxText), Message: model.Clean(e.Message, maxText), Count: int(e.Count),
		First: utc(e.FirstTimestamp.Time), Last: utc(e.LastTimestamp.Time), Host: e.Source.Host,
	}
	// Events of the newer API carry eventTime and a series instead.
	if ev.First.IsZero() {
		ev.First = utc(e.EventTime.Time)
	}
	if ev.First.IsZero() {
		ev.First = utc(e.CreationTimestamp.Time)
	}
	if e.Series != nil {
		ev.Count = int(e.Series.Count)
		ev.Last = utc(e.Series.LastObservedTime.Time)
	}
	if ev.Last.IsZero() {
		ev.Last = ev.First
	}
	ev.Count = max(1, ev.Count)
	if ev.Host == "" && strings.HasPrefix(e.ReportingController, "kubelet") {
		ev.Host = e.ReportingInstance
	}
	return ev
}

// eventKey is by UID: an event's name is long and says nothing.
func eventKey(e *model.Event) key { return key{e.Namespace, e.UID} }

// defaultLease is the kubelet's node-lease-duration-seconds default.
const defaultLease = 40 * time.Second

func lease(cluster string, l *coordinationv1.Lease) *model.Lease {
	out := &model.Lease{Cluster: cluster, Node: l.Name, Duration: defaultLease}
	if l.Spec.LeaseDurationSeconds != nil {
		out.Duration = time.Duration(*l.Spec.LeaseDurationSeconds) * time.Second
	}
	if l.Spec.RenewTime != nil {
		out.Renewed = utc(l.Spec.RenewTime.Time)
	}
	return out
}

// endpoints gives the addresses of one EndpointSlice.
func endpoints(cluster string, s *discoveryv1.EndpointSlice) []*model.APIServer {
	port := 0
	for _, p := range s.Ports {
		if p.Port != nil && (port == 0 || (p.Name != nil && *p.Name == "https")) {
			port = int(*p.Port)
		}
	}
	list := []*model.APIServer{}
	for _, e := range s.Endpoints {
		for _, a := range e.Addresses {
			ready := e.Conditions.Ready == nil || *e.Conditions.Ready
			list = append(list, &model.APIServer{Cluster: cluster, Address: a, Port: port, Ready: ready})
		}
	}
	return list
}

func persistentVolume(cluster string, o *corev1.PersistentVolume) *model.PersistentVolume {
	v := &model.PersistentVolume{Cluster: cluster, Name: o.Name, Class: o.Spec.StorageClassName}
	if c := o.Spec.ClaimRef; c != nil {
		v.Namespace, v.Claim = c.Namespace, c.Name
	}
	if c := o.Spec.CSI; c != nil {
		v.Driver = c.Driver
	}
	if a := o.Spec.NodeAffinity; a != nil {
		v.Affinity = a.Required
	}
	return v
}
