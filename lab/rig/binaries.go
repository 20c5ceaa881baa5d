package rig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// module is a tool module beside this package and the commands built from it.
type module struct {
	dir      string
	packages map[string]string // binary's name to its package
	ldflags  string
	tags     string
}

const kubernetesVersion = "v1.36.3"

// versionFlags makes the components say their version; without it clients meet
// an unparsable v0.0.0-master.
var versionFlags = "-X k8s.io/component-base/version.gitVersion=" + kubernetesVersion +
	" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"

var modules = []module{
	{"controlplane", map[string]string{
		"etcd":                    "go.etcd.io/etcd/server/v3",
		"kube-apiserver":          "k8s.io/kubernetes/cmd/kube-apiserver",
		"kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
		"kube-scheduler":          "k8s.io/kubernetes/cmd/kube-scheduler",
	}, "-s -w " + versionFlags, ""},
	{"kwok", map[string]string{"kwok": "sigs.k8s.io/kwok/cmd/kwok"}, "-s -w", ""},
	{"tailnet", map[string]string{"labtailnet": "."}, "-s -w", ""},
	{"headscale", map[string]string{"headscale": "github.com/juanfont/headscale/cmd/headscale"}, "-s -w", ""},
	{"tailscale", map[string]string{"tailscaled": "tailscale.com/cmd/tailscaled", "tailscale": "tailscale.com/cmd/tailscale"}, "-s -w", ""},
	{"minio", map[string]string{"minio": "github.com/minio/minio"}, "-s -w", ""},
	{"versitygw", map[string]string{"versitygw": "github.com/versity/versitygw/cmd/versitygw"}, "-s -w", ""},
	{"prometheus", map[string]string{"prometheus": "github.com/prometheus/prometheus/cmd/prometheus"}, "-s -w", "remove_all_sd"},
	{"metricsserver", map[string]string{"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"}, "-s -w", ""},
}

// binaries finds every component's binary, built when need be.
func binaries(ctx context.Context, log func(string, ...any)) (map[string]string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("no cache folder for the components: %w", err)
	}
	found := map[string]string{}
	for _, m := range modules {
		if err := m.build(ctx, filepath.Join(cache, "geotop-lab"), log, found); err != nil {
			return nil, fmt.Errorf("build %s: %w", m.dir, err)
		}
	}
	return found, nil
}

// Build builds every component into the cache, where that is not done yet.
func Build(ctx context.Context, log func(format string, args ...any)) error {
	_, err := binaries(ctx, log)
	return err
}

// source is the module's folder in this checkout.
func (m module) source() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(file), "..", "binaries", m.dir)
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); !ok || err != nil {
		return "", fmt.Errorf("its sources are not at %s: the lab runs from a checkout, built without -trimpath", dir)
	}
	return dir, nil
}

// build makes the module's binaries in a cache folder named after all that goes
// into them. A lock lets two labs that start at once build only once.
func (m module) build(ctx context.Context, cache string, log func(string, ...any), found map[string]string) error {
	src, err := m.source()
	if err != nil {
		return err
	}
	sum := sha256.New()
	files, err := os.ReadDir(src)
	if err != nil {
		return err
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(src, f.Name()))
		if err != nil {
			return err
		}
		sum.Write(b)
	}
	fmt.Fprint(sum, runtime.Version(), runtime.GOARCH, m.ldflags+m.tags)
	dir := filepath.Join(cache, m.dir+"-"+hex.EncodeToString(sum.Sum(nil))[:16])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(dir, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	for name, pkg := range m.packages {
		found[name] = filepath.Join(dir, name)
		if _, err := os.Stat(found[name]); err == nil {
			continue
		}
		log("building %s (once; the control plane takes some minutes)", name)
		part := found[name] + ".part"
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", m.tags, "-ldflags", m.ldflags, "-o", part, pkg)
		cmd.Dir = src
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly -buildvcs=false")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, lastLines(string(out), 15))
		}
		if err := os.Rename(part, found[name]); err != nil {
			return err
		}
	}
	return nil
}

// lock takes a lock file for this process; the kernel frees it if we die.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
