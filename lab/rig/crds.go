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

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// definitions are the CRDs that a system's own Go module brings along.
type definitions struct {
	dir    string // of the tool module that requires it
	module string
	file   string // in the module
	served string // the API group and version they make
}

var (
	longhornCRDs = definitions{"longhorn", "github.com/longhorn/longhorn-manager", "k8s/crds.yaml", "longhorn.io/v1beta2"}
	snapshotCRD  = definitions{"k3s", "github.com/k3s-io/api", "pkg/crds/yaml/generated/k3s.cattle.io_etcdsnapshotfiles.yaml", "k3s.cattle.io/v1"}
)

// helmLabels is a line of a Helm template in place of labels; what follows is a
// child of it.
var helmLabels = regexp.MustCompile(`(?m)^(\s*labels:)\s*\{\{.*\}\}\s*$`)

// read gives the CRDs, each as JSON. Longhorn's are a Helm template.
func (d definitions) read(ctx context.Context) ([][]byte, error) {
	src, err := module{dir: d.dir}.source()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", d.module)
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
	text, err := os.ReadFile(filepath.Join(m.Dir, filepath.FromSlash(d.file)))
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

// install creates the CRDs and waits until all are served.
func (d definitions) install(ctx context.Context, cfg *rest.Config) error {
	if err := d.create(ctx, cfg); err != nil {
		return fmt.Errorf("the CRDs of %s: %w", d.module, err)
	}
	return nil
}

func (d definitions) create(ctx context.Context, cfg *rest.Config) error {
	all, err := d.read(ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errors.New("found none")
	}
	quiet := rest.CopyConfig(cfg)
	quiet.WarningHandler = rest.NoWarnings{} // of formats in them that the API server does not know
	c, err := kubernetes.NewForConfig(quiet)
	if err != nil {
		return err
	}
	const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	client := c.Discovery().RESTClient()
	for _, b := range all {
		if err := client.Post().AbsPath(path).SetHeader("Content-Type", "application/json").Body(b).Do(ctx).Error(); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	for {
		body, err := client.Get().AbsPath("/apis/"+d.served).SetHeader("Accept", "application/json").DoRaw(ctx)
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
