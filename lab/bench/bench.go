// Package bench measures the real geotop on a lab as a whole process on a
// terminal: time to what an operator waits for, CPU, memory, and bytes on both
// wires. Times are of one machine and moment, so each is printed beside a floor
// or a like measured in the same run.
package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/geotop/geotop/lab/rig"
	"github.com/geotop/geotop/lab/term"
)

// Config says what to measure.
type Config struct {
	Dir    string // the lab's folder
	API    string // host:port of its API server
	Geotop string // the binary
	Hello  string // the framework's least program
	Out    io.Writer
}

// Run measures and prints.
func Run(ctx context.Context, cfg Config) error {
	kubeconfig, err := rig.KubeconfigIn(cfg.Dir, "admin", cfg.API)
	if err != nil {
		return err
	}
	rc, err := rig.LoadConfig(kubeconfig)
	if err != nil {
		return err
	}
	sum, err := count(ctx, rc)
	if err != nil {
		return err
	}
	if err := calm(ctx, cfg.Out); err != nil {
		return err
	}
	fmt.Fprintf(cfg.Out, "cluster: %d nodes in %d sites, %d pods; load of this machine: %s\n", sum.nodes, sum.sites, sum.pods, loadAverage())
	floor, err := measureFloor(ctx, rc, cfg.Out)
	if err != nil {
		return err
	}
	if err := measureScreen(ctx, cfg, sum, floor); err != nil {
		return err
	}
	return measureStart(ctx, cfg)
}

// A lab that just came up is still at work, and would be measured along.
const (
	calmShare = 0.25 // of the processors at work, at most
	calmAfter = 3 * time.Minute
)

// calm waits until the machine has little else to do, and says what was left.
func calm(ctx context.Context, out io.Writer) error {
	began := time.Now()
	busy, total, err := processorTime()
	for err == nil {
		if err = until(ctx, time.Now().Add(3*time.Second)); err != nil {
			return err
		}
		var b, t int
		if b, t, err = processorTime(); err != nil {
			return err
		}
		share := float64(b-busy) / float64(max(1, t-total))
		if waited := time.Since(began); share < calmShare || waited > calmAfter {
			fmt.Fprintf(out, "waited %d s for the lab to come to rest: %.0f %% of this machine's processors are still at work\n", int(waited.Seconds()), share*100)
			return nil
		}
		busy, total = b, t
	}
	return err
}

// processorTime is how many ticks all processors have worked, and how many went by.
func processorTime() (busy, total int, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n") // cpu user nice system idle iowait irq softirq steal
	for i, field := range strings.Fields(line)[1:] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			return 0, 0, fmt.Errorf("/proc/stat: %w", err)
		}
		if total += ticks; i != 3 && i != 4 {
			busy += ticks
		}
	}
	return busy, total, nil
}

// size is what the cluster holds.
type size struct{ nodes, sites, pods int }

func count(ctx context.Context, rc *rest.Config) (size, error) {
	c, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return size{}, err
	}
	nodes, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return size{}, err
	}
	sites := map[string]bool{}
	for _, n := range nodes.Items {
		sites[n.Labels["topology.kubernetes.io/zone"]] = true
	}
	pods, err := c.CoreV1().Pods("").List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return size{}, err
	}
	total := len(pods.Items)
	if pods.RemainingItemCount != nil {
		total += int(*pods.RemainingItemCount)
	}
	return size{len(nodes.Items), len(sites), total}, nil
}

// floors is what the API server alone takes, with nobody decoding anything.
type floors struct{ nodes, pods, podsZipped time.Duration }

func measureFloor(ctx context.Context, rc *rest.Config, out io.Writer) (floors, error) {
	var f floors
	for _, m := range []struct {
		name, path, encoding string
		into                 *time.Duration
	}{
		{"all nodes, protobuf", "/api/v1/nodes?resourceVersion=0", "identity", &f.nodes},
		{"all pods, protobuf", "/api/v1/pods?resourceVersion=0", "identity", &f.pods},
		{"all pods, gzip", "/api/v1/pods?resourceVersion=0", "gzip", &f.podsZipped},
	} {
		var best time.Duration
		var bytes int64
		for range 3 {
			took, n, err := fetch(ctx, rc, m.path, m.encoding)
			if err != nil {
				return f, err
			}
			if best == 0 || took < best {
				best, bytes = took, n
			}
		}
		*m.into = best
		fmt.Fprintf(out, "floor  %-22s %6.2f s  %8.1f MB   (best of 3, nothing decoded)\n", m.name, best.Seconds(), float64(bytes)/1e6)
	}
	return f, nil
}

// fetch reads an answer and throws it away.
func fetch(ctx context.Context, rc *rest.Config, path, encoding string) (time.Duration, int64, error) {
	cfg, err := rest.TLSConfigFor(rc)
	if err != nil {
		return 0, 0, err
	}
	cfg.MinVersion = tls.VersionTLS12
	transport := &http.Transport{TLSClientConfig: cfg, DisableCompression: true, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rc.Host+path, nil)
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Accept", "application/vnd.kubernetes.protobuf")
	req.Header.Set("Accept-Encoding", encoding)
	began := time.Now()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, 0, fmt.Errorf("%s answered %s", path, resp.Status)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	return time.Since(began), n, err
}

// measureScreen runs geotop at 200x50 through a counting proxy.
func measureScreen(ctx context.Context, cfg Config, sum size, floor floors) error {
	proxy, err := rig.NewProxy(cfg.API)
	if err != nil {
		return err
	}
	defer proxy.Close()
	kubeconfig, err := rig.KubeconfigIn(cfg.Dir, "observer", proxy.Address())
	if err != nil {
		return err
	}
	before, err := rig.RequestsIn(cfg.Dir)
	if err != nil {
		return err
	}
	began := time.Now()
	t, err := term.Start(200, 50, nil, cfg.Geotop, "--kubeconfig", kubeconfig)
	if err != nil {
		return err
	}
	defer t.Close()
	row := regexp.MustCompile(`\b(\d+)/(\d+)\b`)
	rows := min(sum.sites, 40) // as many as the screen surely has room for
	if err := t.Wait(ctx, "the nodes by site", func(s string) bool { return len(row.FindAllString(s, -1)) >= rows }); err != nil {
		return err
	}
	first, firstBytes := time.Since(began), t.Bytes()
	if err := t.Type("7"); err != nil {
		return err
	}
	total := strconv.Itoa(sum.pods)
	if err := t.Wait(ctx, "all pods", func(s string) bool {
		lines := strings.SplitN(s, "\n", 3)
		return len(lines) > 1 && strings.HasSuffix(lines[1], " "+total)
	}); err != nil {
		return err
	}
	all := time.Since(began)
	if err := t.Type("1"); err != nil {
		return err
	}
	if err := until(ctx, began.Add(time.Minute)); err != nil {
		return err
	}
	minute, err := usageOf(t.Cmd.Process.Pid)
	if err != nil {
		return err
	}
	minuteBytes, minuteAPI := t.Bytes(), proxy.Down.Load()
	if err := until(ctx, time.Now().Add(time.Minute)); err != nil {
		return err
	}
	end, err := usageOf(t.Cmd.Process.Pid)
	if err != nil {
		return err
	}
	after, err := rig.RequestsIn(cfg.Dir)
	if err != nil {
		return err
	}
	idleBytes, idleAPI := t.Bytes()-minuteBytes, proxy.Down.Load()-minuteAPI
	asked := len(after) - len(before)

	line := func(what, value, aim, k9s string) {
		fmt.Fprintf(cfg.Out, "%-34s %14s   %-28s %s\n", what, value, aim, k9s)
	}
	fmt.Fprintln(cfg.Out)
	line("geotop at 200x50", "measured", "aim", "k9s v0.51 (measured before, two cores)")
	line("first frame, all nodes by site", secs(first), "< 0.5 s", "1.9 to 2.9 s (nodes view)")
	line("all pods", secs(all), "< 2.5 x floor = "+secs(floor.pods*5/2), "14 to 17 s (pods view)")
	line("  as a ratio to the floor", fmt.Sprintf("%.2f", all.Seconds()/floor.pods.Seconds()), "< 2.5", "")
	line("CPU in the first 60 s", secs(minute.cpu), "< 5 s", "31 to 39 s")
	line("CPU in 60 s idle", secs(end.cpu-minute.cpu), "< 0.5 s", "24 to 36 s")
	line("peak memory", fmt.Sprintf("%.0f MB", float64(end.peak)/1e6), "< 150 MB", "1060 (nodes), 2000 MB (pods)")
	line("to the terminal, first frame", fmt.Sprintf("%d B", firstBytes), "", "")
	line("to the terminal, 60 s idle", fmt.Sprintf("%d B", idleBytes), "< 6000 B", "")
	line("from the API server, first 60 s", fmt.Sprintf("%.2f MB", float64(minuteAPI)/1e6), "", "")
	line("from the API server, 60 s idle", fmt.Sprintf("%.2f MB", float64(idleAPI)/1e6), "", "")
	line("requests in 120 s", strconv.Itoa(asked), "", "")
	return nil
}

// until waits for a moment: what is measured is a span of time itself.
func until(ctx context.Context, at time.Time) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(time.Until(at)):
		return nil
	}
}

func secs(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// usage is what a process has used so far.
type usage struct {
	cpu  time.Duration
	peak int64 // resident bytes at most
}

// clockTicks is USER_HZ, 100 on every Linux geotop's lab runs on.
const clockTicks = 100

func usageOf(pid int) (usage, error) {
	var u usage
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, i := range []int{11, 12} { // utime, stime
		ticks, err := strconv.Atoi(f[i])
		if err != nil {
			return u, err
		}
		u.cpu += time.Duration(ticks) * time.Second / clockTicks
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	if m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status); m != nil {
		kb, _ := strconv.ParseInt(string(m[1]), 10, 64)
		u.peak = kb << 10
	}
	return u, nil
}

// measureStart compares the first frame of the demo with the framework's own.
func measureStart(ctx context.Context, cfg Config) error {
	var hello, demo []time.Duration
	for range 15 { // in turn, so that both meet the same moments
		d, err := firstText(ctx, "hello, world", cfg.Hello)
		if err != nil {
			return err
		}
		hello = append(hello, d)
		if d, err = firstText(ctx, "moka", cfg.Geotop, "--demo"); err != nil {
			return err
		}
		demo = append(demo, d)
	}
	h, g := median(hello), median(demo)
	fmt.Fprintf(cfg.Out, "\nfirst frame at 80x24, medians of 15: the framework's hello %.1f ms, geotop --demo with data %.1f ms: %.2f times (aim: 3)\n",
		float64(h.Microseconds())/1000, float64(g.Microseconds())/1000, g.Seconds()/h.Seconds())
	return nil
}

func firstText(ctx context.Context, text string, argv ...string) (time.Duration, error) {
	began := time.Now()
	t, err := term.Start(80, 24, nil, argv...)
	if err != nil {
		return 0, err
	}
	defer t.Close()
	err = t.Shows(ctx, text)
	return time.Since(began), err
}

func median(ds []time.Duration) time.Duration {
	slices.Sort(ds)
	return ds[len(ds)/2]
}

func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}
