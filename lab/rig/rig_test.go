package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// TestMain runs this binary as a rig's owner when told to: what happens to a
// rig whose owner is killed takes another process to see.
func TestMain(m *testing.M) {
	if dir := os.Getenv("RIG_OWNER_DIR"); dir != "" {
		if _, err := Up(context.Background(), small(Config{Dir: dir})); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready")
		select {} // until killed
	}
	os.Exit(m.Run())
}

func small(c Config) Config {
	c.Houses, c.PerHouse, c.NoMetrics = 2, 1, true
	return c
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func up(t *testing.T, c Config) (*Rig, kubernetes.Interface) {
	t.Helper()
	c.Log = t.Logf
	r, err := Up(within(t, 30*time.Minute), c) // the first time the components are built
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Down)
	client, err := r.Client()
	if err != nil {
		t.Fatal(err)
	}
	return r, client
}

// processes lists the components of a rig by what it wrote down.
func processes(t *testing.T, dir string) []*Component {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "components.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []*Component
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// gone waits until none of the processes is left.
func gone(t *testing.T, all []*Component) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	for _, c := range all {
		for c.Up() {
			select {
			case <-ctx.Done():
				t.Fatalf("%s (%d) still runs", c.Name, c.PID)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

// TestTwoRigsSideBySide: each has its own folder, ports and processes, and
// ending one leaves the other alone and nothing of itself.
func TestTwoRigsSideBySide(t *testing.T) {
	a, _ := up(t, small(Config{}))
	b, clientB := up(t, small(Config{}))
	if a.APIAddress() == b.APIAddress() || a.Dir == b.Dir {
		t.Fatalf("they share %s or %s", a.APIAddress(), a.Dir)
	}
	ofA := processes(t, a.Dir)
	if len(ofA) < 6 {
		t.Errorf("%d processes", len(ofA))
	}
	a.Down()
	gone(t, ofA)
	if _, err := os.Stat(a.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder is left: %v", err)
	}
	if err := b.WaitNodes(within(t, 30*time.Second), clientB); err != nil {
		t.Errorf("the other rig suffered: %v", err)
	}
	for _, c := range processes(t, b.Dir) {
		if !c.Up() {
			t.Errorf("%s of the other rig ended", c.Name)
		}
	}
}

// owner runs a rig in a process of its own.
func owner(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RIG_OWNER_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	said := make([]byte, 4096)
	n, err := out.Read(said)
	if err != nil || string(said[:n]) != "ready\n" {
		t.Fatalf("the owner said %q, %v", said[:n], err)
	}
	return cmd
}

// An owner that is killed takes its components along: the kernel does it.
func TestKilledOwnerLeavesNothingRunning(t *testing.T) {
	dir := t.TempDir()
	cmd := owner(t, dir)
	all := processes(t, dir)
	for _, c := range all {
		if !c.Up() {
			t.Fatalf("%s is not up", c.Name)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	gone(t, all)
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("swept, but the folder is there: %v", err)
	}
}

// Sweep ends what it finds by process id and start time, and nothing that only
// has the same number.
func TestSweepKnowsItsOwn(t *testing.T) {
	left, stranger := exec.Command("sleep", "600"), exec.Command("sleep", "600")
	for _, c := range []*exec.Cmd{left, stranger} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { _ = c.Wait() }()
		t.Cleanup(func() { _ = c.Process.Kill() })
	}
	start, err := startTime(left.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	written := []*Component{
		{Name: "left", PID: left.Process.Pid, Start: start},
		{Name: "ended; its number went to another", PID: stranger.Process.Pid, Start: "1"},
	}
	b, err := json.Marshal(written)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "components.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if written[0].Up() {
		t.Error("what was left still runs")
	}
	if err := stranger.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a stranger was ended: %v", err)
	}
	if err := Sweep(t.TempDir()); err == nil {
		t.Error("a folder that is no lab's was swept")
	}
}

// TestCuts switches a house and a single machine of a large rig, where houses
// share a KWOK: exactly these go down, all others stay ready all the time.
func TestCuts(t *testing.T) {
	r, c := up(t, Config{Nodes: 24, Sites: 12, Pods: 40, NoMetrics: true})
	ctx := within(t, 3*time.Minute)
	watched, stop := context.WithCancel(ctx)
	defer stop()
	suffered := make(chan []string, 1)
	go func() { suffered <- r.everUnready(watched, c) }()
	victims := []string{"bambous-1", "bambous-2", "moka-2"}
	if err := r.Cut(ctx, "bambous"); err != nil {
		t.Fatal(err)
	}
	if err := r.CutNodes(ctx, "moka-2"); err != nil {
		t.Fatal(err)
	}
	if err := r.WaitNodes(ctx, c, victims...); err != nil {
		t.Fatal(err)
	}
	if err := r.Restore(ctx, "bambous"); err != nil {
		t.Fatal(err)
	}
	if err := r.RestoreNodes(ctx, "moka-2"); err != nil {
		t.Fatal(err)
	}
	if err := r.WaitNodes(ctx, c); err != nil {
		t.Fatal(err)
	}
	stop()
	for _, n := range <-suffered {
		if !slices.Contains(victims, n) {
			t.Errorf("%s was not cut, yet it was not ready for a while", n)
		}
	}
	if err := r.Cut(ctx, "atlantis"); err == nil || !strings.Contains(err.Error(), "moka") {
		t.Errorf("a house that is not there: %v", err)
	}
}

// everUnready watches the nodes until ctx ends and names those that were not ready.
func (r *Rig) everUnready(ctx context.Context, c kubernetes.Interface) (names []string) {
	for ctx.Err() == nil {
		nodes, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			break
		}
		for i := range nodes.Items {
			if n := &nodes.Items[i]; !ready(n) && !slices.Contains(names, n.Name) {
				names = append(names, n.Name)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	return names
}

// TestOneRig checks what a rig of the usual form offers.
func TestOneRig(t *testing.T) {
	r, c := up(t, Config{})
	t.Run("nodes look as k3s's on a tailnet", func(t *testing.T) { k3sNodes(t, c) })
	t.Run("rights", func(t *testing.T) { rights(t, r) })
	t.Run("usage is measured", func(t *testing.T) {
		if err := r.WaitMetrics(within(t, 2*time.Minute), c); err != nil {
			t.Error(err)
		}
	})
	t.Run("the API server dies and comes back with its data", func(t *testing.T) {
		before, err := c.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r.StopAPI()
		if _, err := c.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); err == nil {
			t.Error("it still answers")
		}
		ctx := within(t, time.Minute)
		if err := r.StartAPI(ctx); err != nil {
			t.Fatal(err)
		}
		if err := r.WaitNodes(ctx, c); err != nil {
			t.Error(err)
		}
		after, err := c.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
		if err != nil || len(after.Items) < len(before.Items) {
			t.Errorf("%d pods before, %d after, %v", len(before.Items), len(after.Items), err)
		}
	})
	t.Run("only the observer is counted", func(t *testing.T) {
		cfg, err := r.RestConfig("observer")
		if err != nil {
			t.Fatal(err)
		}
		o, err := kubernetes.NewForConfig(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
		all, err := r.Requests()
		if err != nil || len(all) != 1 || all[0].URI != "/api/v1/namespaces/default" || all[0].Verb != "get" || all[0].Code != 200 {
			t.Errorf("%+v, %v", all, err)
		}
	})
	t.Run("status", func(t *testing.T) {
		s := r.Status(t.Context())
		if s.Error != "" || len(s.Houses) != 3 || len(s.Components) < 8 {
			t.Errorf("%+v", s)
		}
		for _, h := range s.Houses {
			if h.Nodes != 3 || h.Ready != 3 || h.Cut != 0 {
				t.Errorf("%+v", h)
			}
		}
		for _, c := range s.Components {
			if !c.Up {
				t.Errorf("%s is not up", c.Name)
			}
		}
	})
}

func k3sNodes(t *testing.T, c kubernetes.Interface) {
	nodes, err := c.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	servers, arches := 0, map[string]int{}
	for i := range nodes.Items {
		n := &nodes.Items[i]
		if _, ok := n.Labels["node-role.kubernetes.io/etcd"]; ok {
			servers++
		}
		arches[n.Labels["kubernetes.io/arch"]]++
		ip := ""
		for _, a := range n.Status.Addresses {
			if a.Type == "InternalIP" {
				ip = a.Address
			}
		}
		_, tailnet, _ := net.ParseCIDR("100.64.0.0/10")
		if !tailnet.Contains(net.ParseIP(ip)) || n.Labels["topology.kubernetes.io/zone"] == "" || !strings.HasSuffix(n.Status.NodeInfo.KubeletVersion, "+k3s1") || !ready(n) {
			t.Errorf("%s: %s %v %s", n.Name, ip, n.Labels, n.Status.NodeInfo.KubeletVersion)
		}
	}
	if len(nodes.Items) != 9 || servers != 3 || len(arches) != 2 {
		t.Errorf("%d nodes, %d servers, %v", len(nodes.Items), servers, arches)
	}
}

func rights(t *testing.T, r *Rig) {
	for user, want := range map[string]struct{ nodes, pods func(error) bool }{
		"admin":      {none, none},
		"viewer":     {none, none},
		"nodes-only": {none, apierrors.IsForbidden},
		"none":       {apierrors.IsForbidden, apierrors.IsForbidden},
		"expired":    {apierrors.IsUnauthorized, apierrors.IsUnauthorized},
	} {
		cfg, err := r.RestConfig(user)
		if err != nil {
			t.Fatal(err)
		}
		c, err := kubernetes.NewForConfig(cfg)
		if err != nil {
			t.Fatal(err)
		}
		_, nodes := c.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		_, pods := c.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
		if !want.nodes(nodes) || !want.pods(pods) {
			t.Errorf("%s: nodes %v, pods %v", user, nodes, pods)
		}
	}
}

func none(err error) bool { return err == nil }

func TestBadConfigsAreRefused(t *testing.T) {
	for _, c := range []Config{{Houses: -1}, {Nodes: 2, Sites: 3}, {Lease: time.Millisecond}, {Grace: time.Second, Lease: 5 * time.Second}, {Pods: -1}} {
		if r, err := Up(t.Context(), c); err == nil {
			r.Down()
			t.Errorf("%+v was accepted", c)
		}
	}
}

// echo answers every connection with what it gets.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	return l.Addr().String()
}

func TestProxy(t *testing.T) {
	p, err := NewProxy(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", p.Address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	round := func(c net.Conn, text string) (time.Duration, error) {
		began := time.Now()
		if _, err := c.Write([]byte(text)); err != nil {
			return 0, err
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(c, got); err != nil {
			return 0, err
		}
		if !bytes.Equal(got, []byte(text)) {
			t.Errorf("sent %q, got %q", text, got)
		}
		return time.Since(began), nil
	}
	c := dial()
	if _, err := round(c, "plain"); err != nil {
		t.Fatal(err)
	}
	if p.Up.Load() != 5 || p.Down.Load() != 5 || p.Connections.Load() != 1 {
		t.Errorf("counted %d up, %d down, %d connections", p.Up.Load(), p.Down.Load(), p.Connections.Load())
	}
	p.Set(Slow{Delay: 150 * time.Millisecond})
	if took, err := round(c, "slow"); err != nil || took < 300*time.Millisecond {
		t.Errorf("150 ms each way took %v, %v", took, err)
	}
	p.Set(Slow{Bandwidth: 20000})
	if took, err := round(c, strings.Repeat("x", 8000)); err != nil || took < 400*time.Millisecond {
		t.Errorf("8000 bytes at 20000 a second took %v, %v", took, err)
	}
	p.Set(Slow{Hang: true})
	hung := make(chan error, 1)
	go func() { _, err := round(c, "hang"); hung <- err }()
	select {
	case err := <-hung:
		t.Errorf("hanging, yet it passed: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	p.Set(Slow{})
	if err := <-hung; err != nil {
		t.Errorf("released: %v", err)
	}
	p.Set(Slow{Refuse: true})
	if refused, err := net.Dial("tcp", p.Address()); err == nil { // or reset before it stood
		if _, err := round(refused, "refused"); err == nil {
			t.Error("a new connection passed although refused")
		}
		refused.Close()
	}
	if _, err := round(c, "old"); err != nil {
		t.Errorf("refusing cut an old connection: %v", err)
	}
	p.Reset()
	if _, err := round(c, "cut"); err == nil {
		t.Error("a connection outlived Reset")
	}
	p.Set(Slow{Drop: 1})
	if _, err := round(dial(), "dropped"); err == nil {
		t.Error("a chunk passed although all are dropped")
	}
	p.Set(Slow{Hang: true})
	_, _ = dial().Write([]byte("still under way when the proxy ends"))
}
