package kube

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	corev1 "k8s.io/api/core/v1"

	"github.com/geotop/geotop/model"
)

// maxText bounds what is kept of a message: a few lines of a screen.
const maxText = 400

// podDecoder turns core/v1 Pod messages into model.Pods. It belongs to one
// goroutine.
type podDecoder struct {
	cluster string
	names   *interner
}

// decode walks a Pod: metadata=1, spec=2, status=3.
func (d *podDecoder) decode(raw []byte) (*model.Pod, string, error) {
	var meta objectMeta
	var spec podSpec
	var rawSpec []byte
	var status corev1.PodStatus
	err := eachField(raw, func(f protowire.Number, val []byte, _ uint64) error {
		switch f {
		case 1:
			return meta.read(val, d.names)
		case 2:
			rawSpec = val
		case 3:
			return status.Unmarshal(val)
		}
		return nil
	})
	if err == nil {
		err = spec.read(rawSpec, meta.owner.Kind == "DaemonSet", d.names)
	}
	if err != nil {
		return nil, "", fmt.Errorf("pod %s/%s: %w", meta.namespace, meta.name, err)
	}
	p := &model.Pod{
		Cluster: d.cluster, Namespace: meta.namespace, Name: meta.name, UID: meta.uid,
		Node: spec.node, Owner: meta.owner, Phase: status.Phase,
		Created: meta.created, DeleteAt: meta.deleteAt, IP: status.PodIP,
		Claims: spec.claims, Spec: spec.shared,
	}
	if p.Node == "" {
		p.For = spec.target
	}
	if p.Labels, err = d.names.labelSet(meta.labels); err != nil {
		return nil, "", err
	}
	d.fill(p, &status)
	return p, meta.resourceVersion, nil
}

// fill reads the pod's status.
func (d *podDecoder) fill(p *model.Pod, st *corev1.PodStatus) {
	for i := range st.Conditions {
		c := &st.Conditions[i]
		switch {
		case c.Type == corev1.PodReady:
			p.Ready = c.Status == corev1.ConditionTrue
			p.ReadySince = c.LastTransitionTime.UTC()
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse:
			p.Message = c.Message
		}
	}
	for _, c := range p.Spec.Containers {
		if !c.Init || c.Sidecar {
			p.Containers++
		}
	}
	for i := range st.ContainerStatuses {
		d.count(p, &st.ContainerStatuses[i])
	}
	for i := range st.InitContainerStatuses {
		s := &st.InitContainerStatuses[i]
		if sidecar(p.Spec, s.Name) {
			d.count(p, s)
		}
	}
	if p.Message == "" && !p.Ready {
		p.Message = cmp.Or(waitingMessage(st.InitContainerStatuses), waitingMessage(st.ContainerStatuses), st.Message)
	}
	p.Message = model.Clean(p.Message, maxText)
	p.Status = d.names.string([]byte(model.Clean(podStatus(p, st), 64)))
}

// count adds one running container's readiness and restarts.
func (d *podDecoder) count(p *model.Pod, s *corev1.ContainerStatus) {
	if s.Ready {
		p.Up++
	}
	p.Restarts += int(s.RestartCount)
	if t := s.LastTerminationState.Terminated; t != nil && t.FinishedAt.After(p.RestartAt) {
		p.RestartAt = t.FinishedAt.UTC()
	}
}

func sidecar(spec *model.PodSpec, name string) bool {
	for _, c := range spec.Containers {
		if c.Name == name && c.Init {
			return c.Sidecar
		}
	}
	return false
}

func waitingMessage(statuses []corev1.ContainerStatus) string {
	for i := range statuses {
		if w := statuses[i].State.Waiting; w != nil && w.Message != "" {
			return w.Message
		}
	}
	return ""
}

// podStatus gives the one word kubectl shows as STATUS: the phase, replaced by
// what the containers say when that tells more.
func podStatus(p *model.Pod, st *corev1.PodStatus) string {
	word := cmp.Or(st.Reason, string(st.Phase))
	for i := range st.Conditions {
		if c := &st.Conditions[i]; c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonSchedulingGated {
			word = corev1.PodReasonSchedulingGated
		}
	}
	if init := initStatus(p, st); init != "" {
		word = init
	} else {
		word = containerStatus(word, p, st)
	}
	switch {
	case !p.Terminating():
		return word
	case st.Reason == "NodeLost":
		return "Unknown"
	case p.Finished():
		return word
	default:
		return "Terminating"
	}
}

// initStatus describes the first init container that has not done its part, or
// gives "" when all have.
func initStatus(p *model.Pod, st *corev1.PodStatus) string {
	total := 0
	for _, c := range p.Spec.Containers {
		if c.Init {
			total++
		}
	}
	for i := range st.InitContainerStatuses {
		s := &st.InitContainerStatuses[i]
		switch t, w := s.State.Terminated, s.State.Waiting; {
		case t != nil && t.ExitCode == 0:
			continue
		case sidecar(p.Spec, s.Name) && s.Started != nil && *s.Started:
			continue
		case t != nil:
			return "Init:" + ended(t)
		case w != nil && w.Reason != "" && w.Reason != "PodInitializing":
			return "Init:" + w.Reason
		default:
			return "Init:" + strconv.Itoa(i) + "/" + strconv.Itoa(total)
		}
	}
	return ""
}

// containerStatus replaces the word by the last listed container's trouble.
func containerStatus(word string, p *model.Pod, st *corev1.PodStatus) string {
	running := false
	for i := len(st.ContainerStatuses) - 1; i >= 0; i-- {
		s := &st.ContainerStatuses[i]
		switch {
		case s.State.Waiting != nil && s.State.Waiting.Reason != "":
			word = s.State.Waiting.Reason
		case s.State.Terminated != nil:
			word = ended(s.State.Terminated)
		case s.Ready && s.State.Running != nil:
			running = true
		}
	}
	if word == "Completed" && running {
		if p.Ready {
			return "Running"
		}
		return "NotReady"
	}
	return word
}

func ended(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.Signal != 0:
		return "Signal:" + strconv.Itoa(int(t.Signal))
	default:
		return "ExitCode:" + strconv.Itoa(int(t.ExitCode))
	}
}

func podKey(p *model.Pod) key { return key{p.Namespace, p.Name} }

// utc gives the time in UTC; an unset one stays unset.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}
