package tailnet

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/geotop/geotop/model"
)

// daemon serves a stand-in for tailscaled on a socket; the lab's tests meet the
// real one.
func daemon(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gt") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); os.RemoveAll(dir) })
	return path
}

// collect runs a collector until the test ends and gives what tells its facts.
func collect(t *testing.T, cfg Config) (c *Collector, facts func() model.TailnetFacts, changed <-chan struct{}) {
	t.Helper()
	c = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	signal := make(chan struct{}, 1)
	var running sync.WaitGroup
	running.Go(func() {
		c.Run(ctx, func() {
			select {
			case signal <- struct{}{}:
			default:
			}
		})
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return c, func() model.TailnetFacts {
		var f model.Facts
		c.Facts(&f)
		return f.Tailnets[0]
	}, signal
}

// until waits for facts as wanted.
func until(t *testing.T, facts func() model.TailnetFacts, changed <-chan struct{}, what string, ok func(f model.TailnetFacts) bool) model.TailnetFacts {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		f := facts()
		if ok(f) {
			return f
		}
		select {
		case <-changed:
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			t.Fatalf("not %s: %+v", what, f)
		}
	}
}

const running = `{"Version":"1.102.5","BackendState":"Running","Self":{"ID":"n1","DNSName":"a.tn.","TailscaleIPs":["100.64.0.1"],"Online":true},
	"CurrentTailnet":{"Name":"me","MagicDNSSuffix":"tn"},
	"Peer":{"k2":{"ID":"n2","HostName":"b","DNSName":"b.tn.","TailscaleIPs":["100.64.0.2"],"Online":true,"RxBytes":%d,"OS":"linux"},
	"k3":{"ID":"n3","DNSName":"x.mullvad.ts.net."},"k4":{"ID":"n4","ShareeNode":true},"k5":null}}`

func TestDaemonsThatAreOfNoUse(t *testing.T) {
	silent, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed := filepath.Join(t.TempDir(), "c")
	if l, err := net.Listen("unix", closed); err == nil {
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		l.Close()
	}
	answer := func(code int, body string) string {
		return daemon(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); fmt.Fprint(w, body) })
	}
	for name, tc := range map[string]struct {
		socket string
		status model.SourceStatus
		text   string
	}{
		"none":            {"/nonexistent/tailscaled.sock", model.SourceAbsent, "no tailscaled on this machine"},
		"dead":            {closed, model.SourceFailed, "does not run"},
		"hanging":         {silent.Addr().String(), model.SourceFailed, "does not answer"},
		"logged out":      {answer(200, `{"BackendState":"NeedsLogin"}`), model.SourceFailed, "not logged in"},
		"off":             {answer(200, `{"BackendState":"Stopped"}`), model.SourceFailed, "switched off"},
		"not JSON":        {answer(200, "\x1b[31mhello"), model.SourceFailed, "status: invalid character"},
		"refusing":        {answer(403, "invalid host\x1b]0;owned\x07"), model.SourceForbidden, "refuses: 403 invalid host"},
		"something else":  {answer(404, "nope"), model.SourceFailed, "404 nope"},
		"JSON, but other": {answer(200, `{"Peer":[]}`), model.SourceFailed, "status: json"},
	} {
		t.Run(name, func(t *testing.T) {
			_, facts, changed := collect(t, Config{Transport: Unix(tc.socket), PingEvery: time.Second})
			f := until(t, facts, changed, "judged", func(f model.TailnetFacts) bool { return f.Local.Status.Settled() })
			if f.Local.Status != tc.status || !strings.Contains(f.Local.Error, strings.Replace(tc.text, "403 ", "", 1)) || strings.Contains(f.Local.Error, "\x1b") {
				t.Errorf("%s: %q (%s)", f.Local.Status, f.Local.Error, f.Local.Hint)
			}
			if f.Pings.Source.Status == model.SourcePending || f.Peers.Source.Status == model.SourcePending {
				t.Errorf("still waiting for peers (%s) or pings (%s)", f.Peers.Source.Status, f.Pings.Source.Status)
			}
		})
	}
}

func TestPeersAndPings(t *testing.T) {
	var mu sync.Mutex
	asked, rx, lose, pinged := 0, 1000, false, 0
	socket := daemon(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Host != "local-tailscaled.sock" {
			t.Errorf("host %q", r.Host)
		}
		switch {
		case strings.HasSuffix(r.URL.Path, "/status"):
			asked++
			rx += 5000
			fmt.Fprintf(w, running, rx)
		case strings.HasSuffix(r.URL.Path, "/ping"):
			if r.Method != http.MethodPost || r.FormValue("ip") != "100.64.0.2" || r.FormValue("type") != "disco" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			pinged++
			if lose {
				fmt.Fprint(w, `{"Err":"no answer"}`)
				return
			}
			fmt.Fprint(w, `{"LatencySeconds":0.025,"Endpoint":"198.51.100.7:41641"}`)
		case strings.HasSuffix(r.URL.Path, "/whois"):
			fmt.Fprint(w, `{"Node":{"Endpoints":["192.168.1.4:41641","198.51.100.7:41641"],"Hostinfo":{"IPNVersion":"1.98"}}}`)
		default:
			http.NotFound(w, r) // a daemon without a bus is polled
		}
	})
	c, facts, changed := collect(t, Config{Transport: Unix("/nonexistent", socket), PingEvery: 20 * time.Millisecond, PingAgain: time.Millisecond})
	f := until(t, facts, changed, "read", func(f model.TailnetFacts) bool { return f.Peers.Source.Status == model.SourceOK })
	if len(f.Peers.Items) != 2 || f.Name != "tn" || !f.Peers.Items[0].Self || f.Peers.Items[1].Name != "b.tn" {
		t.Fatalf("%+v", f.Peers.Items)
	}
	if f.Pings.Source.Status != model.SourceOK || len(f.Pings.Items) != 0 {
		t.Errorf("pinged without being told to: %+v", f.Pings)
	}
	if !c.Target([]string{"n2"}) || c.Target([]string{"n2"}) {
		t.Error("a target is news once")
	}
	f = until(t, facts, changed, "pinged", func(f model.TailnetFacts) bool {
		return len(f.Pings.Items) == 1 && f.Peers.Items[1].PublicAddress() != "" && f.Pings.Items[0].Sent >= 3
	})
	if g := f.Pings.Items[0]; g.RTT != 0.025 || g.Path != model.PathDirect || g.Failures != 0 {
		t.Errorf("%+v", g)
	}
	if p := f.Peers.Items[1]; p.PublicAddress() != "198.51.100.7" || p.Endpoints[0] != "198.51.100.7:41641" {
		t.Errorf("%+v", p)
	}
	mu.Lock()
	lose = true
	mu.Unlock()
	f = until(t, facts, changed, "lost", func(f model.TailnetFacts) bool { return f.Pings.Items[0].Failures >= 3 })
	if g := f.Pings.Items[0]; g.Lost < 3 || g.Error != "no answer" || g.RTT != 0.025 {
		t.Errorf("%+v", g)
	}
	mu.Lock()
	lose = false
	mu.Unlock()
	until(t, facts, changed, "back", func(f model.TailnetFacts) bool { return f.Pings.Items[0].Failures == 0 && f.Pings.Items[0].Lost > 0 })
	c.Target(nil)
	until(t, facts, changed, "let go", func(f model.TailnetFacts) bool { return len(f.Pings.Items) == 0 })
}

// No goroutine outlives its context, whatever the daemon does.
func TestNothingIsLeftRunning(t *testing.T) {
	hang := make(chan struct{})
	socket := daemon(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/status") {
			fmt.Fprintf(w, running, 1)
			return
		}
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	before := goleak.IgnoreCurrent()
	defer goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("net/http.(*conn).serve")) // the stand-in's own
	defer close(hang)
	c := New(Config{Transport: Unix(socket), PingEvery: time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	ready := make(chan struct{}, 100)
	go func() { c.Run(ctx, func() { ready <- struct{}{} }); close(done) }()
	<-ready
	c.Target([]string{"n2"})
	cancel()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("Run does not end")
	}
}

func TestOutageIsNoLoss(t *testing.T) {
	for history, want := range map[string]string{
		"":                     "",
		"1111":                 "1111",
		"0011111111":           "11111111",
		"100011111111":         "111111111",
		"10001111111":          "10001111111", // not over for sure
		"101101011111111":      "101101011111111",
		"10010111111110":       "10010111111110",
		"01001111111111111111": "011111111111111111",
	} {
		in := []bool{}
		for _, c := range history {
			in = append(in, c == '1')
		}
		got := ""
		for _, ok := range withoutOutage(in) {
			got += map[bool]string{true: "1", false: "0"}[ok]
		}
		if got != want {
			t.Errorf("%s became %s, not %s", history, got, want)
		}
	}
}
