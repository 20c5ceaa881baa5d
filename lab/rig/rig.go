package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/geotop/geotop/lab/longhorn"
)

// Rig is a running cluster.
type Rig struct {
	Dir string
	cfg Config
	bin map[string]string
	ca  *authority

	ports map[string]int

	mu         sync.Mutex
	components []*Component // in the order they were started
	houses     []*house
	members    []*member // of etcd
	proxies    []*Proxy
	ends       []func() // stop what runs in this process
	longhorn   *longhorn.Sim
	bucketKey  string // of the object store

	ending atomic.Bool // what ends is to end
}

// Up brings a rig up: all components answer, all nodes are ready, all pods
// placed and running. A rig that fails to come up leaves nothing behind.
func Up(ctx context.Context, cfg Config) (*Rig, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	bin, err := binaries(ctx, cfg.Log)
	if err != nil {
		return nil, err
	}
	if cfg.Dir == "" {
		if cfg.Dir, err = os.MkdirTemp("", "geotop-lab-"); err != nil {
			return nil, err
		}
	} else if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, err
	}
	r := &Rig{Dir: cfg.Dir, cfg: cfg, bin: bin, ports: map[string]int{}}
	if err := r.up(ctx); err != nil {
		r.Down()
		return nil, err
	}
	return r, nil
}

func (r *Rig) up(ctx context.Context) error {
	began := time.Now()
	if err := r.prepare(); err != nil {
		return err
	}
	var g errgroup.Group
	g.Go(func() error { return r.startTailnet(ctx) })
	g.Go(func() error { return r.startMinIO(ctx) })
	g.Go(func() error { return r.startCluster(ctx, began) })
	if err := g.Wait(); err != nil {
		return err
	}
	if err := r.startLonghorn(ctx); err != nil { // its backups go into the bucket
		return err
	}
	r.cfg.Log("up after %.1fs", time.Since(began).Seconds())
	return nil
}

// startCluster starts the control plane and fills the cluster.
func (r *Rig) startCluster(ctx context.Context, began time.Time) error {
	if err := r.startPlane(ctx); err != nil {
		return err
	}
	client, err := r.Client()
	if err != nil {
		return err
	}
	if err := r.grant(ctx, client); err != nil {
		return err
	}
	r.cfg.Log("control plane up after %.1fs", time.Since(began).Seconds())
	if err := r.startMetrics(ctx, client); err != nil {
		return err
	}
	if err := r.build(ctx, client); err != nil {
		return err
	}
	return r.startK3s(ctx)
}

// prepare makes keys, ports and files.
func (r *Rig) prepare() error {
	var err error
	if r.ca, err = newAuthority(filepath.Join(r.Dir, "pki")); err != nil {
		return err
	}
	if err := r.choosePorts("api", "scheduler", "metrics"); err != nil {
		return err
	}
	if err := r.planHouses(); err != nil {
		return err
	}
	if err := r.planEtcd(); err != nil {
		return err
	}
	if err := r.planMinIO(); err != nil {
		return err
	}
	kwok := kwokConfig + fmt.Sprintf(kwokInside, r.PodLog(), r.Dir)
	if !r.cfg.NoMetrics {
		kwok += kwokMetrics
	}
	for name, text := range map[string]string{
		"audit-policy.yaml": auditPolicy, "kwok.yaml": kwok, podLog: podSays,
		"scheduler.yaml": fmt.Sprintf(schedulerConfig, r.Kubeconfig("admin")),
	} {
		if err := os.WriteFile(filepath.Join(r.Dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return r.writeUsers()
}

// Ports are chosen below those that the kernel hands out by itself (from 32768):
// one of these could be taken by a connection, or by a component that asks for
// any, before the component it was meant for starts.
const (
	firstPort = 15000
	lastPort  = 32000
)

// handed are the ports that rigs of this process were given: one that is chosen is
// free until its component starts, and another rig must not choose it meanwhile.
var handed sync.Map

// choosePorts finds free ports, all held at once so that no two are the same.
func (r *Rig) choosePorts(names ...string) error {
	for _, name := range names {
		var l net.Listener
		var err error
		for range 1000 {
			port := firstPort + rand.IntN(lastPort-firstPort)
			if _, is := handed.LoadOrStore(port, true); is {
				continue
			}
			if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
				break
			}
		}
		if l == nil {
			return fmt.Errorf("no free port for %s: %w", name, err)
		}
		defer l.Close()
		r.ports[name] = l.Addr().(*net.TCPAddr).Port
	}
	return nil
}

func (r *Rig) address(port string) string { return fmt.Sprintf("127.0.0.1:%d", r.ports[port]) }

// launch starts a component and remembers it, on disk first: whoever cleans up
// after a crash goes by what is written there.
func (r *Rig) launch(name, house string, args ...string) (*Component, error) {
	return r.launchWith(nil, name, house, args...)
}

// launchWith is launch with more environment.
func (r *Rig) launchWith(env []string, name, house string, args ...string) (*Component, error) {
	c := &Component{Name: name, House: house, args: args, env: env, log: filepath.Join(r.Dir, fileName(name)+".log")}
	if err := c.start(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.components = append(r.components, c)
	r.mu.Unlock()
	return c, r.record()
}

// record writes what runs into the rig's folder.
func (r *Rig) record() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, err := json.MarshalIndent(r.components, "", "  ")
	if err != nil {
		return err
	}
	tmp := filepath.Join(r.Dir, "components.json.part")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(r.Dir, "components.json"))
}

// component gives the newest of that name, or nil.
func (r *Rig) component(name string) *Component {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.components) - 1; i >= 0; i-- {
		if r.components[i].Name == name {
			return r.components[i]
		}
	}
	return nil
}

// Proxy puts a proxy in front of the API server; it ends with the rig.
func (r *Rig) Proxy() (*Proxy, error) {
	p, err := NewProxy(r.APIAddress())
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.proxies = append(r.proxies, p)
	r.mu.Unlock()
	return p, nil
}

// CloseProxy ends a proxy before the rig does.
func (r *Rig) CloseProxy(p *Proxy) {
	p.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.proxies = slices.DeleteFunc(r.proxies, func(o *Proxy) bool { return o == p })
}

// Down stops everything the rig started, its clients first, and removes its folder.
func (r *Rig) Down() {
	r.ending.Store(true)
	r.mu.Lock()
	ends := r.ends
	r.mu.Unlock()
	for _, end := range ends {
		end()
	}
	for _, p := range r.proxies {
		p.Close()
	}
	r.mu.Lock()
	running := r.components
	r.mu.Unlock()
	var g errgroup.Group
	for _, c := range running {
		if !strings.HasPrefix(c.Name, "etcd") && c.Name != "kube-apiserver" {
			g.Go(func() error { c.kill(); return nil })
		}
	}
	_ = g.Wait()
	for i := len(running) - 1; i >= 0; i-- {
		running[i].kill()
	}
	_ = os.RemoveAll(r.Dir)
}

// Sweep ends what a rig that crashed may have left in dir, by process id and
// start time, and removes the folder.
func Sweep(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, "components.json"))
	if err != nil {
		return fmt.Errorf("%s is no lab's folder: %w", dir, err)
	}
	var left []*Component
	if err := json.Unmarshal(b, &left); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	for _, c := range left {
		c.kill()
		for c.Up() {
			time.Sleep(10 * time.Millisecond) // the kernel is still taking it down
		}
	}
	return os.RemoveAll(dir)
}

// fileName makes a name fit for a file.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == ':' {
			return '-'
		}
		return r
	}, s)
}
