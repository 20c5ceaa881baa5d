package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/geotop/geotop/model"
)

// DebugImage is small, and has a shell for every processor a house may have.
const DebugImage = "docker.io/library/busybox:stable"

const (
	// stays is for how long what was started for a shell lives when nobody ends it.
	stays = time.Hour
	// runsWithin is how long an image may take to be there: houses have slow links.
	runsWithin = 5 * time.Minute
	lookEvery  = time.Second

	nodeShellNamespace = "kube-system"
)

// tag makes a name of our own.
func tag(prefix string) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix + hex.EncodeToString(b[:])
}

// sleep keeps a container there, and ends by itself.
func sleep() []string { return []string{"sleep", fmt.Sprint(int(stays.Seconds()))} }

// Debug puts an ephemeral container of an image beside a pod's container and waits until
// it runs: for pods that have no shell. It sees the container's processes. One that is
// there already is used again. A pod's ephemeral containers stay listed in it for good;
// this one ends by itself after an hour. say gets what is waited for.
func Debug(ctx context.Context, api API, t Target, image string, say func(string)) (Target, error) {
	pod, err := readPod(ctx, api, t.Namespace, t.Pod)
	if err != nil {
		return t, err
	}
	beside := t.Container
	if t.Container = ours(pod, beside, image); t.Container == "" {
		t.Container = tag("geotop-")
		patch, err := json.Marshal(map[string]any{"spec": map[string]any{"ephemeralContainers": []corev1.EphemeralContainer{{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: t.Container, Image: image, Command: sleep(), ImagePullPolicy: corev1.PullIfNotPresent},
			TargetContainerName:      beside,
		}}}})
		if err != nil {
			return t, err
		}
		if _, err := api.Request(ctx, http.MethodPatch, podPath(t.Namespace, t.Pod)+"/ephemeralcontainers", nil, string(types.StrategicMergePatchType), patch); err != nil {
			return t, fmt.Errorf("put a container into %s/%s: %w", t.Namespace, t.Pod, err)
		}
	}
	return t, await(ctx, api, t, say)
}

// ours is a container that was put beside that one before and runs still, "" for none.
func ours(pod *corev1.Pod, beside, image string) string {
	for _, c := range pod.Spec.EphemeralContainers {
		if c.TargetContainerName != beside || c.Image != image || !slices.Equal(c.Command, sleep()) {
			continue
		}
		for _, st := range pod.Status.EphemeralContainerStatuses {
			if st.Name == c.Name && st.State.Running != nil {
				return c.Name
			}
		}
	}
	return ""
}

// NodeShell starts a pod on a machine that may do everything there, and waits until it
// runs; end takes it away again. It ends by itself after an hour. A shell in it with
// the Target's Enter before it is one on the machine.
func NodeShell(ctx context.Context, api API, node, image string, say func(string)) (t Target, end func(context.Context) error, err error) {
	if _, err := api.Request(ctx, http.MethodGet, "/api/v1/nodes/"+url.PathEscape(node), nil, "", nil); err != nil {
		return t, nil, fmt.Errorf("node %s: %w", model.Clean(node, 80), err)
	}
	yes, no, most := true, false, int64(stays.Seconds())
	grace := int64(0)
	t = Target{Namespace: nodeShellNamespace, Pod: tag("geotop-shell-"), Container: "shell", Enter: []string{"nsenter", "-t", "1", "-m", "-u", "-i", "-n", "-p", "--"}}
	body, err := json.Marshal(&corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: t.Pod, Namespace: t.Namespace, Labels: map[string]string{"app.kubernetes.io/managed-by": "geotop"},
		},
		Spec: corev1.PodSpec{
			NodeName: node, HostPID: true, HostNetwork: true, HostIPC: true, RestartPolicy: corev1.RestartPolicyNever,
			AutomountServiceAccountToken: &no, ActiveDeadlineSeconds: &most, TerminationGracePeriodSeconds: &grace,
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers: []corev1.Container{{
				Name: t.Container, Image: image, Command: sleep(), ImagePullPolicy: corev1.PullIfNotPresent,
				SecurityContext: &corev1.SecurityContext{Privileged: &yes},
			}},
		},
	})
	if err != nil {
		return t, nil, err
	}
	if _, err := api.Request(ctx, http.MethodPost, "/api/v1/namespaces/"+t.Namespace+"/pods", nil, "application/json", body); err != nil {
		return t, nil, fmt.Errorf("start a pod on %s: %w", node, err)
	}
	end = func(ctx context.Context) error {
		_, err := api.Request(ctx, http.MethodDelete, podPath(t.Namespace, t.Pod), nil, "", nil)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	return t, end, await(ctx, api, t, say)
}

func readPod(ctx context.Context, api API, namespace, name string) (*corev1.Pod, error) {
	raw, err := api.Request(ctx, http.MethodGet, podPath(namespace, name), nil, "", nil)
	if err != nil {
		return nil, err
	}
	pod := &corev1.Pod{}
	if err := json.Unmarshal(raw, pod); err != nil {
		return nil, fmt.Errorf("pod %s/%s cannot be read: %w", namespace, name, err)
	}
	return pod, nil
}

// await waits until a container runs.
func await(ctx context.Context, api API, t Target, say func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, runsWithin)
	defer cancel()
	said := ""
	for {
		pod, err := readPod(ctx, api, t.Namespace, t.Pod)
		if err != nil && (apierrors.IsNotFound(err) || ctx.Err() != nil) {
			return fmt.Errorf("container %s of %s/%s does not run (%s): %w", t.Container, t.Namespace, t.Pod, said, err)
		}
		waits := "the API server does not answer"
		if err == nil {
			var runs bool
			if runs, waits, err = state(pod, t.Container); err != nil || runs {
				return err
			}
		}
		if waits != said {
			said = waits
			say("waiting for the container: " + model.Clean(said, 200))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("container %s of %s/%s does not run: %s", t.Container, t.Namespace, t.Pod, said)
		case <-time.After(lookEvery):
		}
	}
}

// state says whether a container runs, or what keeps it; an error when it never will.
func state(pod *corev1.Pod, name string) (runs bool, waits string, err error) {
	if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return false, "", fmt.Errorf("pod %s/%s has ended: %s", pod.Namespace, pod.Name, model.Clean(pod.Status.Reason+" "+pod.Status.Message, 200))
	}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.EphemeralContainerStatuses, pod.Status.ContainerStatuses} {
		for _, st := range list {
			switch {
			case st.Name != name:
			case st.State.Running != nil:
				return true, "", nil
			case st.State.Terminated != nil:
				return false, "", fmt.Errorf("container %s ended at once: %s", name, model.Clean(st.State.Terminated.Reason+" "+st.State.Terminated.Message, 200))
			case st.State.Waiting != nil:
				return false, st.State.Waiting.Reason, nil
			}
		}
	}
	return false, "its kubelet has not begun", nil
}
