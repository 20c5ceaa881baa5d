package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// startMetrics runs metrics-server over the stand-in kubelets and registers it.
// The API server reaches it through a Service of type ExternalName: the
// aggregator follows such a name without any cluster network.
func (r *Rig) startMetrics(ctx context.Context, c kubernetes.Interface) error {
	if r.cfg.NoMetrics {
		return nil
	}
	if _, err := r.ca.valid("metrics", "localhost", []string{"localhost", "127.0.0.1", "metrics-server.kube-system.svc"}); err != nil {
		return err
	}
	_, err := r.launch("metrics-server", "", r.bin["metrics-server"], "--kubeconfig="+r.Kubeconfig("admin"),
		"--authentication-kubeconfig="+r.Kubeconfig("admin"), "--authorization-kubeconfig="+r.Kubeconfig("admin"),
		"--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(r.ports["metrics"]), "--tls-cert-file="+r.file("pki/metrics.crt"), "--tls-private-key-file="+r.file("pki/metrics.key"),
		"--kubelet-certificate-authority="+r.ca.file(), "--kubelet-preferred-address-types=InternalDNS", "--kubelet-use-node-status-port",
		"--metric-resolution=10s", "--kubelet-request-timeout=5s")
	if err != nil {
		return err
	}
	return r.registerMetrics(ctx, c)
}

// WaitMetrics waits until usage is served for every node; it takes two rounds
// of measuring, about twenty seconds after Up.
func (r *Rig) WaitMetrics(ctx context.Context, c kubernetes.Interface) error {
	m := r.component("metrics-server")
	if m == nil {
		return errors.New("this rig runs no metrics-server")
	}
	want := 0
	for _, h := range r.houses {
		want += len(h.nodes)
	}
	return m.await(ctx, 90*time.Second, func(ctx context.Context) error {
		body, err := c.Discovery().RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/nodes").SetHeader("Accept", "application/json").DoRaw(ctx)
		if err != nil {
			return err
		}
		var list struct{ Items []any }
		if err := json.Unmarshal(body, &list); err != nil {
			return err
		}
		if len(list.Items) < want {
			return fmt.Errorf("%d of %d nodes measured", len(list.Items), want)
		}
		return nil
	})
}

func (r *Rig) registerMetrics(ctx context.Context, c kubernetes.Interface) error {
	_, err := c.CoreV1().Services("kube-system").Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "metrics-server", Namespace: "kube-system"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("service metrics-server: %w", err)
	}
	// The typed client for API services lives in a module of its own.
	body, err := json.Marshal(map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": "v1beta1.metrics.k8s.io"},
		"spec": map[string]any{
			"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100, "caBundle": r.ca.pem,
			"service": map[string]any{"name": "metrics-server", "namespace": "kube-system", "port": r.ports["metrics"]},
		},
	})
	if err != nil {
		return err
	}
	err = c.Discovery().RESTClient().Post().AbsPath("/apis/apiregistration.k8s.io/v1/apiservices").
		SetHeader("Content-Type", "application/json").Body(body).Do(ctx).Error()
	if err != nil {
		return fmt.Errorf("APIService of metrics-server: %w", err)
	}
	return nil
}
