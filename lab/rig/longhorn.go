package rig

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	admission "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/geotop/geotop/lab/longhorn"
)

// longhornUpTo is up to how many machines a rig has Longhorn by itself.
const longhornUpTo = 30

// startLonghorn installs Longhorn's own CRDs and has its part played.
func (r *Rig) startLonghorn(ctx context.Context) error {
	if r.cfg.NoLonghorn {
		return nil
	}
	c, err := r.Client()
	if err != nil {
		return err
	}
	_, err = c.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: longhorn.Namespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	cfg, err := r.RestConfig("admin")
	if err != nil {
		return err
	}
	if err := longhornCRDs.install(ctx, cfg); err != nil {
		return err
	}
	cfg.WarningHandler = rest.NoWarnings{} // about the name of Longhorn's finalizer
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return err
	}
	target, bucket := "", longhorn.Bucket(nil)
	if r.hasMinIO() {
		if err := r.makeBackupSecret(ctx, c); err != nil {
			return err
		}
		target, bucket = backupTarget, files{r}
	}
	sim, err := longhorn.New(ctx, c, dyn, longhorn.Fast, target, bucket, r.volumes())
	if err != nil {
		return fmt.Errorf("the stand-in for Longhorn: %w", err)
	}
	r.mu.Lock()
	r.longhorn = sim
	r.mu.Unlock()
	if err := r.startAdmission(ctx, c, sim.Admission()); err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); sim.Run(run) }()
	r.mu.Lock()
	r.ends = append(r.ends, func() { cancel(); <-done })
	r.mu.Unlock()
	return nil
}

// PaceLonghorn changes how long things take there, and gives what sets it back.
func (r *Rig) PaceLonghorn(c longhorn.Clock) (back func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sim := r.longhorn
	sim.Pace(c)
	return func() { sim.Pace(longhorn.Fast) }
}

// startAdmission has Longhorn's webhook play its part: the API server asks it
// before anybody changes a Longhorn object.
func (r *Rig) startAdmission(ctx context.Context, c kubernetes.Interface, handler http.Handler) error {
	keys, err := r.ca.valid("longhorn-webhook", "longhorn-webhook", []string{"127.0.0.1"})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.ServeTLS(l, keys.cert, keys.key) }()
	r.mu.Lock()
	r.ends = append(r.ends, func() { _ = srv.Close(); <-done })
	r.mu.Unlock()
	url, fail, none := "https://"+l.Addr().String()+"/v1/webhook/validation", admission.Fail, admission.SideEffectClassNone
	_, err = c.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx, &admission.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "longhorn-webhook-validator"},
		Webhooks: []admission.ValidatingWebhook{{
			Name: "validator.longhorn.io", ClientConfig: admission.WebhookClientConfig{URL: &url, CABundle: r.ca.pem},
			FailurePolicy: &fail, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
			Rules: []admission.RuleWithOperations{
				{Operations: []admission.OperationType{admission.Create}, Rule: longhornKinds("backups", "snapshots", "volumes")},
				{Operations: []admission.OperationType{admission.Update}, Rule: longhornKinds("nodes", "volumes")},
				{Operations: []admission.OperationType{admission.Delete}, Rule: longhornKinds("nodes", "replicas")},
			},
		}},
	}, metav1.CreateOptions{})
	return err
}

func longhornKinds(plurals ...string) admission.Rule {
	return admission.Rule{APIGroups: []string{"longhorn.io"}, APIVersions: []string{"v1beta2"}, Resources: plurals}
}

// volumes are those of the homelab, each in up to three houses.
func (r *Rig) volumes() []longhorn.Seed {
	n := min(3, len(r.houses))
	return []longhorn.Seed{
		{Name: "pvc-0f1e2d3c-0001", Namespace: "db", Claim: "data-postgres-0", Workload: "postgres", Kind: "StatefulSet", GiB: 10, Replicas: n},
		{Name: "pvc-0f1e2d3c-0002", Namespace: "nextcloud", Claim: "nextcloud-data", Workload: "nextcloud", Kind: "Deployment", GiB: 40, Replicas: n},
		{Name: "pvc-0f1e2d3c-0003", Namespace: "dev", Claim: "code-home", Workload: "code-server", Kind: "Deployment", GiB: 20, Replicas: min(2, n)},
		{Name: "pvc-0f1e2d3c-0004", Namespace: "nextcloud", Claim: "data-redis-0", Workload: "redis", Kind: "StatefulSet", GiB: 2, Replicas: min(2, n)},
	}
}
