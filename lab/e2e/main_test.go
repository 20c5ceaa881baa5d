// Package e2e drives geotop's collector and its real binary against a real
// cluster: one lab of three houses, shared by all tests, which leave it as they
// found it.
package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/geotop/geotop/collectors"
	"github.com/geotop/geotop/collectors/kube"
	"github.com/geotop/geotop/collectors/tailnet"
	"github.com/geotop/geotop/lab/rig"
	"github.com/geotop/geotop/model"
)

var (
	shared *rig.Rig
	client kubernetes.Interface
	binary string // the real geotop, built from this checkout
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "geotop-e2e-")
	if err == nil {
		defer os.RemoveAll(dir)
		if err = os.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state")); err == nil {
			err = setUp(dir)
		}
	}
	if shared != nil {
		defer shared.Down()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return m.Run()
}

func setUp(dir string) error {
	binary = filepath.Join(dir, "geotop")
	build := exec.Command("go", "build", "-o", binary, "./cmd/geotop")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build geotop: %w\n%s", err, out)
	}
	if err := os.Setenv("GEOTOP_CONFIG", os.DevNull); err != nil { // not the account's own
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute) // the first build of the control plane
	defer cancel()
	var err error
	if shared, err = rig.Up(ctx, rig.Config{Log: func(format string, args ...any) { fmt.Fprintf(os.Stderr, "lab: "+format+"\n", args...) }}); err != nil {
		return err
	}
	client, err = shared.Client()
	return err
}

// patience bounds every wait; none is expected to take so long.
const patience = 3 * time.Minute

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// eye is a running collector one can ask for the World.
type eye struct {
	t   testing.TB
	set *collectors.Set
}

// reader collects what the user with that kubeconfig may see.
func reader(t testing.TB, user string, also ...string) *kube.Collector {
	t.Helper()
	cfg, err := rig.LoadConfig(user)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kube.New(kube.Config{Name: "lab", Rest: cfg, Also: also})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// look collects as the user with that kubeconfig until the test ends.
func look(t testing.TB, kubeconfig string) *eye {
	t.Helper()
	return open(t, reader(t, kubeconfig))
}

// lookFrom is look from a machine of the tailnet.
func lookFrom(t testing.TB, kubeconfig, machine string) *eye {
	t.Helper()
	return open(t, reader(t, kubeconfig), tailnet.New(tailnet.Config{Transport: tailnet.Unix(shared.TailscaleSocket(machine)), PingEvery: 2 * time.Second}))
}

func open(t testing.TB, list ...collectors.Collector) *eye {
	e := &eye{t, collectors.NewSet(list...)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { e.set.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return e
}

func (e *eye) world() *model.World {
	return e.set.World(time.Now(), model.Options{SiteLabels: model.SiteLabels})
}

// until waits for a World as wanted; problem says what is not yet right.
func (e *eye) until(what string, problem func(w *model.World) error) *model.World {
	e.t.Helper()
	ctx := within(e.t, patience)
	for {
		w := e.world()
		err := problem(w)
		if err == nil {
			return w
		}
		select {
		case <-ctx.Done():
			e.t.Fatalf("not %s: %v\n%s", what, err, describe(w))
		case <-e.set.Changed():
		case <-time.After(500 * time.Millisecond): // ages move on by themselves
		}
	}
}

func (e *eye) settled() *model.World {
	e.t.Helper()
	return e.until("settled", func(w *model.World) error {
		if !w.Settled() {
			return errors.New("some source is pending")
		}
		return nil
	})
}

func describe(w *model.World) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "status %s\n", w.Status)
	for _, r := range w.Reasons {
		fmt.Fprintf(&b, "  %s %s: %s\n", r.Severity, r.Object, r.Text)
	}
	for _, s := range w.Sources {
		fmt.Fprintf(&b, "  source %-20s %-9s %d items %s %s\n", s.Name, s.Status, s.Items, s.Error, s.Hint)
	}
	return b.String()
}

func source(w *model.World, name string) model.Source {
	for _, s := range w.Sources {
		if s.Name == name {
			return s
		}
	}
	return model.Source{}
}

// allWell waits until every node is ready again and every workload of the lab whole.
func allWell(t testing.TB) {
	t.Helper()
	if err := allUp(within(t, patience)); err != nil {
		t.Fatal(err)
	}
}

func allUp(ctx context.Context) error {
	if err := shared.WaitNodes(ctx, client); err != nil {
		return err
	}
	if err := shared.WaitWorkloads(ctx, client); err != nil {
		return err
	}
	return shared.WaitStore(ctx)
}

// afterwards does something once the test is over, when its own context is too.
func afterwards(t testing.TB, do func(ctx context.Context) error) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := do(ctx); err != nil {
			t.Error(err)
		}
	})
}

// readAll is everything in the files of a folder, unpacked.
func readAll(t testing.TB, dir string) string {
	t.Helper()
	var b bytes.Buffer
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		var in io.Reader = file
		if strings.HasSuffix(path, ".gz") {
			if in, err = gzip.NewReader(file); err != nil {
				return err
			}
		}
		_, err = io.Copy(&b, in)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
