// Package soak has geotop live through a long run of troubles: houses that lose
// their power or uplink, links that are relayed, addresses that change, an API
// server that goes. In between, when all is well again, it looks at what geotop
// holds: that must not grow.
package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/geotop/geotop/lab/rig"
	"github.com/geotop/geotop/lab/term"
)

// Config says how long and with what.
type Config struct {
	Rig  *rig.Rig
	For  time.Duration
	Seed uint64
	// Plain is the binary as released, whose memory is measured; Raced one built
	// with the race detector and the soak tag, which tells its goroutines and heap.
	Plain, Raced string
	Dir          string // for what they write
	Out          io.Writer
}

// patience is how long geotop and the cluster may take to be well again.
const patience = 5 * time.Minute

// Sample is what geotop held at one moment of calm.
type Sample struct {
	Goroutines int
	Heap       int64 // live bytes of the raced binary, after a collection
	RSS        int64 // resident bytes of the plain binary
}

// BuildRaced builds the binary that tells races, goroutines and heap from the
// checkout at root.
func BuildRaced(ctx context.Context, root, out string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-race", "-tags", "soak", "-o", out, "./cmd/geotop")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build geotop with the race detector: %w\n%s", err, said)
	}
	return nil
}

// soak is one run.
type soak struct {
	Config
	client       kubernetes.Interface
	plain, raced *term.Term
	tell         string // the file the raced binary appends to
	rand         *rand.Rand
}

// Run troubles the rig and gives the samples in between. It fails when geotop
// ends, races, or does not see that all is well again.
func Run(ctx context.Context, cfg Config) ([]Sample, error) {
	s := &soak{Config: cfg, tell: filepath.Join(cfg.Dir, "held"), rand: rand.New(rand.NewPCG(cfg.Seed, 1))}
	var err error
	if s.client, err = cfg.Rig.Client(); err != nil {
		return nil, err
	}
	args := []string{"--kubeconfig", cfg.Rig.Kubeconfig("viewer"), "--tailscale-socket", cfg.Rig.TailscaleSocket("moka-1")}
	start := func(binary, state string, env ...string) (*term.Term, error) {
		env = append(env, "XDG_STATE_HOME="+filepath.Join(cfg.Dir, state))
		return term.Start(120, 40, env, append([]string{binary}, args...)...)
	}
	if s.plain, err = start(cfg.Plain, "state-plain"); err != nil {
		return nil, err
	}
	defer s.plain.Close()
	races := filepath.Join(cfg.Dir, "race")
	if s.raced, err = start(cfg.Raced, "state-raced", "GEOTOP_SOAK="+s.tell, "GORACE=log_path="+races); err != nil {
		return nil, err
	}
	defer s.raced.Close()
	samples, err := s.live(ctx)
	if found, _ := filepath.Glob(races + "*"); len(found) > 0 {
		report, _ := os.ReadFile(found[0])
		return samples, fmt.Errorf("the race detector found something:\n%s", report)
	}
	return samples, err
}

func (s *soak) live(ctx context.Context) ([]Sample, error) {
	var samples []Sample
	for end := time.Now().Add(s.For); ; {
		if err := s.calm(ctx); err != nil {
			return samples, err
		}
		now, err := s.sample(ctx)
		if err != nil {
			return samples, err
		}
		samples = append(samples, now)
		fmt.Fprintf(s.Out, "%s  %d goroutines  heap %.2f MB  resident %.1f MB\n", time.Now().Format("15:04:05"), now.Goroutines, mb(now.Heap), mb(now.RSS))
		if time.Now().After(end) {
			return samples, nil
		}
		if err := s.trouble(ctx); err != nil {
			return samples, err
		}
	}
}

func mb(n int64) float64 { return float64(n) / 1e6 }

// trouble does something bad, lets it last while somebody looks around, and undoes it.
func (s *soak) trouble(ctx context.Context) error {
	houses := s.Rig.Houses()
	a := houses[1+s.rand.IntN(len(houses)-1)] // geotop itself is in the first
	b := houses[0]
	kinds := []struct {
		name     string
		do, undo func() error
	}{
		{"power cut in " + a, func() error { return s.Rig.Cut(ctx, a) }, func() error { return s.Rig.Restore(ctx, a) }},
		{"uplink cut in " + a, func() error { return s.Rig.CutUplink(ctx, a, true) }, func() error { return s.Rig.CutUplink(ctx, a, false) }},
		{"relay between " + a + " and " + b, func() error { return s.Rig.Relay(ctx, a, b, true) }, func() error { return s.Rig.Relay(ctx, a, b, false) }},
		{"new address for " + a, func() error { return s.Rig.CycleAddress(ctx, a) }, func() error { return nil }},
		{"no API server", func() error { s.Rig.StopAPI(); return nil }, func() error { return s.Rig.StartAPI(ctx) }},
	}
	k := kinds[s.rand.IntN(len(kinds))]
	lasts := time.Duration(5+s.rand.IntN(20)) * time.Second
	fmt.Fprintf(s.Out, "          %s for %s\n", k.name, lasts)
	if err := k.do(); err != nil {
		return fmt.Errorf("%s: %w", k.name, err)
	}
	err := s.lookAround(ctx, lasts)
	if err := k.undo(); err != nil {
		return fmt.Errorf("after %s: %w", k.name, err)
	}
	return err
}

// lookAround goes through panes, rows and details for so long.
func (s *soak) lookAround(ctx context.Context, lasts time.Duration) error {
	keys := []string{"1", "2", "3", "4", "5", "6", "7", "8", "j", "j", "k", "G", "g", "o", "!", "!", "n", "]", "[", "d\x1b", "\r\x1b", "?\x1b", "t"}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		key := keys[s.rand.IntN(len(keys))]
		for _, t := range []*term.Term{s.plain, s.raced} {
			if err := t.Type(key); err != nil {
				return fmt.Errorf("geotop is gone: %w\n%s", err, t.Screen())
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}

// calm waits until the cluster is well and both geotops say so.
func (s *soak) calm(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("not well again in time"))
	defer cancel()
	if err := errors.Join(s.Rig.WaitNodes(ctx, s.client), s.Rig.WaitWorkloads(ctx, s.client)); err != nil {
		return err
	}
	for _, t := range []*term.Term{s.plain, s.raced} {
		if err := t.Type("1"); err != nil {
			return fmt.Errorf("geotop is gone: %w\n%s", err, t.Screen())
		}
		if err := t.Wait(ctx, "that all is well", func(screen string) bool {
			header, _, _ := strings.Cut(screen, "\n")
			return strings.HasPrefix(strings.TrimLeft(header, "● "), "ok ") && strings.Contains(header, "api ok") && strings.Contains(header, "tailnet ok")
		}); err != nil {
			return err
		}
	}
	return nil
}

func (s *soak) sample(ctx context.Context) (Sample, error) {
	var now Sample
	before, err := s.told()
	if err != nil {
		return now, err
	}
	if err := s.raced.Cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		return now, fmt.Errorf("geotop is gone: %w\n%s", err, s.raced.Screen())
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		lines, err := s.told()
		if err != nil {
			return now, err
		}
		if len(lines) > len(before) {
			if _, err := fmt.Sscan(lines[len(lines)-1], &now.Goroutines, &now.Heap); err != nil {
				return now, fmt.Errorf("what geotop tells of itself: %w", err)
			}
			break
		}
		select {
		case <-ctx.Done():
			return now, context.Cause(ctx)
		case <-tick.C:
		}
	}
	now.RSS, err = resident(s.plain.Cmd.Process.Pid)
	return now, err
}

// told is what the raced binary has told of itself, a line for each time.
func (s *soak) told() ([]string, error) {
	body, err := os.ReadFile(s.tell)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return slices.DeleteFunc(strings.Split(string(body), "\n"), func(l string) bool { return l == "" }), nil
}

// resident is a process' memory that is not in files.
func resident(pid int) (int64, error) {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(body)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "RssAnon: %d kB", &kb); err == nil {
			return kb << 10, nil
		}
	}
	return 0, fmt.Errorf("/proc/%d/status tells no RssAnon", pid)
}

// Grown says what the later half of the samples holds more than the earlier,
// beyond what is allowed: goroutines none, memory a tenth. Medians, since one
// sample may fall into a moment's work. Goroutines come and go by some at any time
// (frames under way, connections kept), so of them the fewest of the later half count:
// what leaks is there then, too.
func Grown(samples []Sample) error {
	if len(samples) < 4 {
		return fmt.Errorf("%d samples tell nothing of growth", len(samples))
	}
	early, late := samples[:len(samples)/2], samples[len(samples)/2:]
	var errs []error
	for _, m := range []struct {
		what  string
		allow float64
		of    func(Sample) float64
		rank  float64 // which of the later half counts: 0 for the least, 0.5 for the median
	}{
		{"goroutines", 1, func(s Sample) float64 { return float64(s.Goroutines) }, 0},
		{"heap", 1.1, func(s Sample) float64 { return float64(s.Heap) }, 0.5},
		{"resident memory", 1.1, func(s Sample) float64 { return float64(s.RSS) }, 0.5},
	} {
		if a, b := ranked(early, m.of, 0.5), ranked(late, m.of, m.rank); b > a*m.allow {
			errs = append(errs, fmt.Errorf("%s grew from %.0f to %.0f", m.what, a, b))
		}
	}
	return errors.Join(errs...)
}

func ranked(samples []Sample, of func(Sample) float64, rank float64) float64 {
	v := make([]float64, len(samples))
	for i, s := range samples {
		v[i] = of(s)
	}
	slices.Sort(v)
	return v[int(float64(len(v)-1)*rank)]
}
