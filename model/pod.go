package model

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Pod is what the API server says of a pod (core/v1 Pod), cut down to the
// fields geotop uses. Labels and Spec are shared between equal pods: read only.
type Pod struct {
	Cluster    string
	Namespace  string
	Name       string
	UID        string
	Node       string // empty until scheduled
	For        string // of a DaemonSet's pod that waits: the only node it may go to
	Owner      Owner  // the controller that made it; zero for a bare pod
	Phase      corev1.PodPhase
	Status     string // one word as in kubectl's STATUS column
	Message    string // why it is not ready, when the API says
	Ready      bool   // the pod's Ready condition
	Up         int    // containers ready
	Containers int    // containers wanted
	Restarts   int    // of all its containers
	RestartAt  time.Time
	Created    time.Time
	ReadySince time.Time // last transition of the Ready condition
	DeleteAt   time.Time // deletionTimestamp: its grace period ends here; zero while it is wanted
	IP         string
	Claims     []string // names of the PersistentVolumeClaims it mounts
	Labels     map[string]string
	Spec       *PodSpec // nil when the decoder had none
}

// Owner names the controller of an object (its ownerReference with controller=true).
type Owner struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// PodSpec is what placing a pod depends on, and what describes it; stored once
// for all pods of equal spec. It mirrors fields of core/v1 PodSpec.
type PodSpec struct {
	ID             int                               `json:"id"` // its place in a document's podSpecs; 0 elsewhere
	Requests       Resources                         `json:"requests"`
	NodeSelector   map[string]string                 `json:"nodeSelector,omitempty"`
	Affinity       *corev1.Affinity                  `json:"affinity,omitempty"`
	Tolerations    []corev1.Toleration               `json:"tolerations,omitempty"`
	Spread         []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`
	HostPorts      []HostPort                        `json:"hostPorts,omitempty"`
	HostNetwork    bool                              `json:"hostNetwork,omitempty"`
	Priority       int32                             `json:"priority,omitempty"`
	Preemption     corev1.PreemptionPolicy           `json:"preemptionPolicy,omitempty"`
	Scheduler      string                            `json:"schedulerName,omitempty"`
	Gates          []string                          `json:"schedulingGates,omitempty"`
	ServiceAccount string                            `json:"serviceAccount,omitempty"`
	Containers     []Container                       `json:"containers"`
}

// HostPort is a port of the node that a container takes for itself.
type HostPort struct {
	IP       string          `json:"ip,omitempty"`
	Port     int32           `json:"port"`
	Protocol corev1.Protocol `json:"protocol,omitempty"`
}

// Container is one container of a pod's spec.
type Container struct {
	Name    string `json:"name"`
	Image   string `json:"image"`
	Init    bool   `json:"init,omitempty"`
	Sidecar bool   `json:"sidecar,omitempty"` // an init container that stays up (restartPolicy Always)
}

// Finished reports whether the pod ran to its end; it holds no resources then.
func (p *Pod) Finished() bool {
	return p.Phase == corev1.PodSucceeded || p.Phase == corev1.PodFailed
}

// Terminating reports whether the pod was asked to go.
func (p *Pod) Terminating() bool { return !p.DeleteAt.IsZero() }

// Counts reports whether the pod is one its workload can count on: wanted and
// not finished.
func (p *Pod) Counts() bool { return !p.Finished() && !p.Terminating() }

const (
	// startupGrace is how long a pod may take to start before it is a problem.
	startupGrace = time.Minute
	// stuckAfter is how long past its grace period a pod may stay.
	stuckAfter = 30 * time.Second
)

// Severity ranks the pod at the given time.
func (p *Pod) Severity(now time.Time) Severity {
	switch {
	case p.Terminating():
		if now.Sub(p.DeleteAt) > stuckAfter {
			return Warning
		}
		return OK
	case p.Phase == corev1.PodFailed:
		return Warning
	case p.Phase == corev1.PodSucceeded || p.Ready:
		return OK
	case now.Sub(p.Created) < startupGrace && !p.failing():
		return OK
	case p.Phase == corev1.PodUnknown:
		return Unknown
	case p.Phase == corev1.PodPending || p.failing():
		return Critical
	default:
		return Warning
	}
}

// failing reports whether a container says by itself that it cannot start or stay up.
func (p *Pod) failing() bool {
	switch p.Status {
	case "CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull",
		"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "OOMKilled", "Error", "Evicted":
		return true
	}
	return false
}

// State is the pod's STATUS word, made honest by the clock: a pod that should
// be gone is stuck.
func (p *Pod) State(now time.Time) string {
	if p.Terminating() && now.Sub(p.DeleteAt) > stuckAfter {
		return "Stuck"
	}
	return p.Status
}
