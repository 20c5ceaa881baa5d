package kube

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/geotop/geotop/model"
)

// Fields of core/v1 PodSpec that model.PodSpec is made of. What differs from
// pod to pod of one workload is left out (nodeName, hostname, volumes with
// generated names): pods whose remaining fields are byte for byte equal share
// one model.PodSpec, and only the first of them is decoded.
var specFields = map[protowire.Number]bool{
	7:            true, // nodeSelector
	8:            true, // serviceAccountName
	11:           true, // hostNetwork
	specAffinity: true,
	19:           true, // schedulerName
	22:           true, // tolerations
	25:           true, // priority
	31:           true, // preemptionPolicy
	32:           true, // overhead
	33:           true, // topologySpreadConstraints
	38:           true, // schedulingGates
	40:           true, // resources (pod level)
}

// Fields of core/v1 Container that matter likewise.
var containerFields = map[protowire.Number]bool{
	1:  true, // name
	2:  true, // image
	6:  true, // ports
	8:  true, // resources
	24: true, // restartPolicy
}

const (
	specVolumes        = 1
	specContainers     = 2
	specNodeName       = 10
	specInitContainers = 20
)

const specAffinity = 18

// podSpec is what is read of one pod's spec.
type podSpec struct {
	node   string
	target string // of a DaemonSet's pod: the node it is for
	claims []string
	shared *model.PodSpec
}

// read walks a core/v1 PodSpec. Of the affinity of a DaemonSet's pods the node that
// each is for is kept apart: it would make no two of them equal.
func (s *podSpec) read(raw []byte, ofDaemonSet bool, names *interner) error {
	buf := names.buf[:0]
	var affinity *corev1.Affinity // a DaemonSet's, without the node
	err := eachField(raw, func(f protowire.Number, val []byte, number uint64) (err error) {
		switch {
		case f == specNodeName:
			s.node = names.string(val)
		case f == specVolumes:
			return s.readClaim(val)
		case f == specContainers || f == specInitContainers:
			buf, err = appendContainer(buf, f, val)
			return err
		case f == specAffinity && ofDaemonSet:
			if affinity, s.target, err = ofAnyNode(val); affinity != nil {
				var rest []byte
				if rest, err = affinity.Marshal(); err == nil {
					buf = appendField(buf, f, rest, 0)
				}
			}
			return err
		case specFields[f]:
			buf = appendField(buf, f, val, number)
		}
		return nil
	})
	names.buf = buf
	if err != nil {
		return err
	}
	if shared, ok := names.specs[string(buf)]; ok {
		s.shared = shared
		return nil
	}
	var full corev1.PodSpec
	if err := full.Unmarshal(raw); err != nil {
		return fmt.Errorf("pod spec: %w", err)
	}
	if ofDaemonSet {
		full.Affinity = affinity
	}
	s.shared = newPodSpec(&full)
	if len(names.specs) >= maxInterned {
		clear(names.specs)
	}
	names.specs[string(buf)] = s.shared
	return nil
}

// ofAnyNode takes the node that a DaemonSet's pod is for out of its affinity. It
// gives nil where nothing else is in there.
func ofAnyNode(raw []byte) (a *corev1.Affinity, node string, err error) {
	a = &corev1.Affinity{}
	if err := a.Unmarshal(raw); err != nil {
		return nil, "", fmt.Errorf("affinity: %w", err)
	}
	if n := a.NodeAffinity; n != nil && n.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		terms := n.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
		left := terms[:0]
		for _, t := range terms {
			for _, f := range t.MatchFields {
				if f.Key == metav1.ObjectNameField && len(f.Values) == 1 {
					node = f.Values[0]
				}
			}
			if t.MatchFields = nil; len(t.MatchExpressions) > 0 {
				left = append(left, t)
			}
		}
		if n.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms = left; len(left) == 0 {
			n.RequiredDuringSchedulingIgnoredDuringExecution = nil
		}
		if n.RequiredDuringSchedulingIgnoredDuringExecution == nil && len(n.PreferredDuringSchedulingIgnoredDuringExecution) == 0 {
			a.NodeAffinity = nil
		}
	}
	if a.NodeAffinity == nil && a.PodAffinity == nil && a.PodAntiAffinity == nil {
		return nil, node, nil
	}
	return a, node, nil
}

// appendField writes the field again, so that equal specs give equal bytes.
func appendField(buf []byte, f protowire.Number, val []byte, number uint64) []byte {
	if val == nil {
		return protowire.AppendVarint(protowire.AppendTag(buf, f, protowire.VarintType), number)
	}
	return protowire.AppendBytes(protowire.AppendTag(buf, f, protowire.BytesType), val)
}

// appendContainer writes the container's fields that count, marked with whether
// it is an init container and closed so that two containers cannot run into one.
func appendContainer(buf []byte, kind protowire.Number, raw []byte) ([]byte, error) {
	buf = protowire.AppendTag(buf, kind, protowire.StartGroupType)
	err := eachField(raw, func(f protowire.Number, val []byte, number uint64) error {
		if containerFields[f] {
			buf = appendField(buf, f, val, number)
		}
		return nil
	})
	return protowire.AppendTag(buf, kind, protowire.EndGroupType), err
}

// readClaim takes the claim's name out of a volume: volumeSource=2
// {persistentVolumeClaim=10 {claimName=1}}.
func (s *podSpec) readClaim(volume []byte) error {
	return descend(volume, func(name []byte) { s.claims = append(s.claims, string(name)) }, 2, 10, 1)
}

// descend follows a path of nested messages and calls found with its end.
func descend(raw []byte, found func([]byte), path ...protowire.Number) error {
	if len(path) == 0 {
		found(raw)
		return nil
	}
	return eachField(raw, func(f protowire.Number, val []byte, _ uint64) error {
		if f != path[0] {
			return nil
		}
		return descend(val, found, path[1:]...)
	})
}

// newPodSpec keeps what model.PodSpec holds.
func newPodSpec(s *corev1.PodSpec) *model.PodSpec {
	out := &model.PodSpec{
		Requests:       resources(resourcehelper.PodRequests(&corev1.Pod{Spec: *s}, resourcehelper.PodResourcesOptions{})),
		NodeSelector:   s.NodeSelector,
		Affinity:       s.Affinity,
		Tolerations:    s.Tolerations,
		Spread:         s.TopologySpreadConstraints,
		HostNetwork:    s.HostNetwork,
		Scheduler:      s.SchedulerName,
		ServiceAccount: s.ServiceAccountName,
	}
	if s.Priority != nil {
		out.Priority = *s.Priority
	}
	if s.PreemptionPolicy != nil {
		out.Preemption = *s.PreemptionPolicy
	}
	for _, g := range s.SchedulingGates {
		out.Gates = append(out.Gates, g.Name)
	}
	for i := range s.InitContainers {
		c := &s.InitContainers[i]
		out.Containers = append(out.Containers, model.Container{Name: c.Name, Image: c.Image, Init: true, Sidecar: restartable(c)})
	}
	for i := range s.Containers {
		c := &s.Containers[i]
		out.Containers = append(out.Containers, model.Container{Name: c.Name, Image: c.Image})
		for _, p := range c.Ports {
			if p.HostPort != 0 {
				out.HostPorts = append(out.HostPorts, model.HostPort{IP: p.HostIP, Port: p.HostPort, Protocol: p.Protocol})
			}
		}
	}
	return out
}

// restartable reports whether an init container is a sidecar: it runs on beside
// the others.
func restartable(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}
