package model

import (
	"cmp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// NodeFact is what the API server says of a Kubernetes node (core/v1 Node),
// cut down to the fields geotop uses.
type NodeFact struct {
	Cluster       string            `json:"cluster"`
	Name          string            `json:"name"`
	UID           string            `json:"uid"`
	Created       time.Time         `json:"created"`
	Labels        map[string]string `json:"labels"`
	Annotations   map[string]string `json:"annotations,omitempty"` // only k3s, flannel and geotop ones
	Taints        []corev1.Taint    `json:"taints,omitempty"`
	Unschedulable bool              `json:"unschedulable"` // cordoned
	Addresses     []Address         `json:"addresses"`
	PodCIDRs      []string          `json:"podCIDRs,omitempty"`
	Conditions    []Condition       `json:"conditions"`
	Capacity      Resources         `json:"capacity"`
	Allocatable   Resources         `json:"allocatable"`
	OSImage       string            `json:"osImage"`
	Kernel        string            `json:"kernel"`
	Arch          string            `json:"arch"`
	Kubelet       string            `json:"kubelet"` // version, e.g. "v1.36.3+k3s1"
	Runtime       string            `json:"runtime"`
}

// Address is one of a node's addresses; Type as in core/v1 (InternalIP, Hostname, ...).
type Address struct {
	Type    string `json:"type"`
	Address string `json:"address"`
}

// Condition is one entry of a node's status.conditions.
type Condition struct {
	Type    string    `json:"type"`
	Status  string    `json:"status"` // True, False, Unknown
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Since   time.Time `json:"since"` // lastTransitionTime
}

// Lease is a node's heartbeat (coordination/v1 Lease in kube-node-lease): the
// freshest sign of life there is.
type Lease struct {
	Cluster  string
	Node     string
	Duration time.Duration // leaseDurationSeconds
	Renewed  time.Time     // renewTime, by the node's own clock
	// Heard is when we saw Renewed change, by our clock; for a lease seen only
	// once it is Renewed, or the moment we looked if that lies in our future.
	Heard time.Time
	// Watched says that Heard is by our own clock, so that a node whose clock is
	// off is not taken for silent.
	Watched bool
	// CountFrom is when the API was found answering again after a gap, zero
	// without one: kubelets could not renew either, so silence counts from here.
	CountFrom time.Time
}

// Silent reports whether the node has missed so many heartbeats that it must be
// doubted.
func (l *Lease) Silent(now time.Time) bool { return l.silence(now) > l.silentAfter() }

// silence is for how long the node could have been heard and was not.
func (l *Lease) silence(now time.Time) time.Duration {
	if l.CountFrom.After(l.Heard) {
		return now.Sub(l.CountFrom)
	}
	return now.Sub(l.Heard)
}

// Renewal is how often the node's kubelet renews its lease; 0 when it has none.
func (n *Node) Renewal() time.Duration {
	if n.lease == nil {
		return 0
	}
	return n.lease.Duration / renewals
}

// renewals is how often kubelets renew a lease in the time it lasts.
const renewals = 4

// silentAfter is how long without a heartbeat until a node counts as silent:
// two missed renewals (kubelets renew at a quarter of the lease's duration) and
// some slack; the whole duration when only the node's clock tells.
func (l *Lease) silentAfter() time.Duration {
	if l.Watched {
		return l.Duration * 5 / 8
	}
	return l.Duration
}

// NodeState is geotop's one word for a node.
type NodeState string

// The states a node can be in, best first.
const (
	NodeReady       NodeState = "ready"
	NodeSilent      NodeState = "silent"      // still Ready by its condition, but its heartbeats stopped
	NodeNotReady    NodeState = "not-ready"   // its kubelet says so itself
	NodeUnreachable NodeState = "unreachable" // the control plane no longer hears its kubelet
)

// Node is a NodeFact joined with what the other sources say of the machine.
type Node struct {
	*NodeFact
	Site         string    `json:"site"`
	Region       string    `json:"region"`
	State        NodeState `json:"state"`
	Since        time.Time `json:"since,omitzero"`     // State began
	HeartbeatAt  time.Time `json:"heartbeat,omitzero"` // last sign of life (Lease.Heard)
	Roles        []string  `json:"roles"`              // sorted: "control-plane", "etcd", ...
	ControlPlane bool      `json:"controlPlane"`
	Voter        bool      `json:"voter"` // holds an etcd member
	Pods         int       `json:"pods"`  // not finished, bound to it
	Requested    Resources `json:"requested"`
	Usage        *Usage    `json:"usage"`              // nil when nobody measured it
	Problems     []string  `json:"problems,omitempty"` // in plain words, worst first

	lease *Lease
	peer  *Peer // the machine on the tailnet; nil when none is known
}

const rolePrefix = "node-role.kubernetes.io/"

// Address gives the node's first address of the type, or "".
func (n *NodeFact) Address(kind string) string {
	for _, a := range n.Addresses {
		if a.Type == kind {
			return a.Address
		}
	}
	return ""
}

// ServerAddresses lists where the node's API server may listen, were it one of
// the control plane: its addresses as the node and k3s tell them.
func (n *NodeFact) ServerAddresses() []string {
	node := &Node{NodeFact: n, Roles: n.roles()}
	if !slices.Contains(node.Roles, "control-plane") && !slices.Contains(node.Roles, "master") {
		return nil
	}
	all := []string{}
	for _, ip := range append(nodeAddresses(node), nodeNotes(node)...) {
		if !slices.Contains(all, ip) {
			all = append(all, ip)
		}
	}
	return all
}

// Condition gives the node's condition of the type, or nil.
func (n *NodeFact) Condition(kind string) *Condition {
	for i := range n.Conditions {
		if n.Conditions[i].Type == kind {
			return &n.Conditions[i]
		}
	}
	return nil
}

// roles reads the role labels as kubectl does, sorted.
func (n *NodeFact) roles() []string {
	roles := []string{}
	for label, value := range n.Labels {
		if role, ok := strings.CutPrefix(label, rolePrefix); ok && role != "" {
			roles = append(roles, role)
		} else if label == "kubernetes.io/role" && value != "" {
			roles = append(roles, value)
		}
	}
	slices.Sort(roles)
	return slices.Compact(roles)
}

// newNode joins the fact with its lease; site, pods and usage are the caller's.
func newNode(f *NodeFact, lease *Lease, now time.Time) *Node {
	n := &Node{NodeFact: f, Roles: f.roles(), lease: lease}
	n.ControlPlane = slices.Contains(n.Roles, "control-plane") || slices.Contains(n.Roles, "master")
	if slices.Contains(n.Roles, "etcd") {
		c := n.Condition(etcdVoter)
		n.Voter = c == nil || c.Status != string(corev1.ConditionFalse)
	}
	if lease != nil {
		n.HeartbeatAt = lease.Heard
	}
	n.judge(now)
	return n
}

// judge sets State, Since and Problems from conditions and heartbeat.
func (n *Node) judge(now time.Time) {
	ready := n.Condition(string(corev1.NodeReady))
	switch {
	case ready == nil || ready.Status == string(corev1.ConditionUnknown):
		n.State = NodeUnreachable
		n.Problems = append(n.Problems, "kubelet unreachable")
	case ready.Status != string(corev1.ConditionTrue):
		n.State = NodeNotReady
		n.Problems = append(n.Problems, cmp.Or(ready.Message, ready.Reason, "kubelet says not ready"))
	case n.lease != nil && n.lease.Silent(now):
		n.State, n.Since = NodeSilent, n.lease.Heard
		n.Problems = append(n.Problems, "no heartbeat for "+Ago(now.Sub(n.lease.Heard)))
	default:
		n.State = NodeReady
	}
	if ready != nil && n.State != NodeSilent {
		n.Since = ready.Since
	}
	for _, c := range n.Conditions {
		if words := badWhenTrue[c.Type]; words != "" && c.Status == string(corev1.ConditionTrue) {
			n.Problems = append(n.Problems, words)
		}
	}
}

// badWhenTrue puts condition types into words: the kubelet's own and those of
// node-problem-detector. A type that is not here says nothing about health
// (k3s's EtcdIsVoter is good when true).
var badWhenTrue = map[string]string{
	string(corev1.NodeMemoryPressure):     "memory pressure",
	string(corev1.NodeDiskPressure):       "disk pressure",
	string(corev1.NodePIDPressure):        "too many processes",
	string(corev1.NodeNetworkUnavailable): "network not configured",
	"KernelDeadlock":                      "kernel deadlock",
	"ReadonlyFilesystem":                  "read-only filesystem",
	"FrequentKubeletRestart":              "kubelet restarts often",
	"FrequentContainerdRestart":           "containerd restarts often",
}

// etcdVoter is the condition by which k3s tells a voting etcd member from a
// learner that is still catching up.
const etcdVoter = "EtcdIsVoter"

// Severity ranks the node's state for lists and reasons.
func (n *Node) Severity() Severity {
	switch {
	case n.State == NodeUnreachable || n.State == NodeNotReady:
		return Critical
	case n.State == NodeSilent || len(n.Problems) > 0:
		return Warning
	default:
		return OK
	}
}

// Alive reports whether the node works as far as anyone can tell.
func (n *Node) Alive() bool { return n.State == NodeReady }
