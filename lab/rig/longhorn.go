package rig

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
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
	if err := installCRDs(ctx, cfg); err != nil {
		return fmt.Errorf("the CRDs of Longhorn: %w", err)
	}
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
	run, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); sim.Run(run) }()
	r.mu.Lock()
	r.ends = append(r.ends, func() { cancel(); <-done })
	r.mu.Unlock()
	return nil
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

// helmLabels is a line of a Helm template in place of labels; what follows is a
// child of it.
var helmLabels = regexp.MustCompile(`(?m)^(\s*labels:)\s*\{\{.*\}\}\s*$`)

// crds reads the CRDs out of Longhorn's own module, which holds them as a Helm template.
func crds(ctx context.Context) ([][]byte, error) {
	src, err := module{dir: "longhorn"}.source()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", "github.com/longhorn/longhorn-manager")
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("download: %w", err)
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(out, &m); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(m.Dir, "k8s", "crds.yaml"))
	if err != nil {
		return nil, err
	}
	dec := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(helmLabels.ReplaceAll(text, []byte("$1")))))
	all := [][]byte{}
	for {
		doc, err := dec.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		b, err := yaml.ToJSON(doc)
		if err != nil {
			return nil, err
		}
		if len(b) > len("null") {
			all = append(all, b)
		}
	}
}

// installCRDs creates the CRDs and waits until all are served.
func installCRDs(ctx context.Context, cfg *rest.Config) error {
	all, err := crds(ctx)
	if err != nil {
		return err
	}
	quiet := rest.CopyConfig(cfg)
	quiet.WarningHandler = rest.NoWarnings{} // of formats in them that the API server does not know
	c, err := kubernetes.NewForConfig(quiet)
	if err != nil {
		return err
	}
	if len(all) < 20 {
		return fmt.Errorf("found only %d", len(all))
	}
	const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	client := c.Discovery().RESTClient()
	for _, b := range all {
		if err := client.Post().AbsPath(path).SetHeader("Content-Type", "application/json").Body(b).Do(ctx).Error(); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	for {
		body, err := client.Get().AbsPath("/apis/longhorn.io/v1beta2").SetHeader("Accept", "application/json").DoRaw(ctx)
		if err == nil && served(body) >= len(all) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not served: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// served counts the kinds in an APIResourceList, without their subresources.
func served(body []byte) int {
	var list struct{ Resources []struct{ Name string } }
	if json.Unmarshal(body, &list) != nil {
		return 0
	}
	n := 0
	for _, r := range list.Resources {
		if !strings.Contains(r.Name, "/") {
			n++
		}
	}
	return n
}
