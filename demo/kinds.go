package demo

import (
	"fmt"
	"hash/fnv"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// object is what every kind's Go type can do.
type object interface {
	runtime.Object
	metav1.Object
	Marshal() ([]byte, error)
}

// kind is one kind of object the simulated API serves.
type kind struct {
	resource string
	gvk      schema.GroupVersionKind
	fields   func(object) fields.Set // what field selectors can ask for
}

// kinds is the table of all: to serve one more, add a line.
var kinds = map[reflect.Type]*kind{
	reflect.TypeFor[*corev1.Node]():                  {"nodes", gvk("", "Node"), nil},
	reflect.TypeFor[*corev1.Pod]():                   {"pods", gvk("", "Pod"), podFields},
	reflect.TypeFor[*corev1.Event]():                 {"events", gvk("", "Event"), eventFields},
	reflect.TypeFor[*corev1.Namespace]():             {"namespaces", gvk("", "Namespace"), nil},
	reflect.TypeFor[*corev1.PersistentVolumeClaim](): {"persistentvolumeclaims", gvk("", "PersistentVolumeClaim"), nil},
	reflect.TypeFor[*corev1.PersistentVolume]():      {"persistentvolumes", gvk("", "PersistentVolume"), nil},
	reflect.TypeFor[*corev1.Service]():               {"services", gvk("", "Service"), nil},
	reflect.TypeFor[*appsv1.Deployment]():            {"deployments", gvk("apps", "Deployment"), nil},
	reflect.TypeFor[*appsv1.StatefulSet]():           {"statefulsets", gvk("apps", "StatefulSet"), nil},
	reflect.TypeFor[*appsv1.DaemonSet]():             {"daemonsets", gvk("apps", "DaemonSet"), nil},
	reflect.TypeFor[*appsv1.ReplicaSet]():            {"replicasets", gvk("apps", "ReplicaSet"), nil},
	reflect.TypeFor[*batchv1.Job]():                  {"jobs", gvk("batch", "Job"), nil},
	reflect.TypeFor[*batchv1.CronJob]():              {"cronjobs", gvk("batch", "CronJob"), nil},
	reflect.TypeFor[*coordinationv1.Lease]():         {"leases", gvk("coordination.k8s.io", "Lease"), nil},
	reflect.TypeFor[*discoveryv1.EndpointSlice]():    {"endpointslices", gvk("discovery.k8s.io", "EndpointSlice"), nil},
	reflect.TypeFor[*policyv1.PodDisruptionBudget](): {"poddisruptionbudgets", gvk("policy", "PodDisruptionBudget"), nil},
	reflect.TypeFor[*storagev1.StorageClass]():       {"storageclasses", gvk("storage.k8s.io", "StorageClass"), nil},
}

func gvk(group, k string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: group, Version: "v1", Kind: k}
}

func kindOf(obj object) *kind { return kinds[reflect.TypeOf(obj)] }

// kindNamed finds a kind by its place in the API, or gives nil.
func kindNamed(group, version, resource string) *kind {
	for _, k := range kinds {
		if k.gvk.Group == group && k.gvk.Version == version && k.resource == resource {
			return k
		}
	}
	return nil
}

func podFields(o object) fields.Set {
	p := o.(*corev1.Pod)
	return fields.Set{"spec.nodeName": p.Spec.NodeName, "status.phase": string(p.Status.Phase)}
}

func eventFields(o object) fields.Set {
	e := o.(*corev1.Event)
	return fields.Set{
		"type": e.Type, "reason": e.Reason, "involvedObject.kind": e.InvolvedObject.Kind,
		"involvedObject.name": e.InvolvedObject.Name, "involvedObject.namespace": e.InvolvedObject.Namespace,
	}
}

// hash mixes the parts into a number that is the same on every machine.
func hash(parts ...any) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		fmt.Fprint(h, p, "\x00")
	}
	// FNV alone changes little in its high bits for short inputs.
	v := h.Sum64()
	v ^= v >> 33
	v *= 0xff51afd7ed558ccd
	v ^= v >> 33
	return v
}
