package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/geotop/geotop/lab/rig"
)

// A lab outlives the command that started it: "up" starts this program once
// more, detached, and that process owns the components. Verbs reach it through
// a socket in the lab's folder. If it is killed the kernel ends the components.

func socket(d string) string { return filepath.Join(d, "lab.sock") }

// pointer is the file that names the newest lab, so that verbs find it.
func pointer() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("geotop-lab-current-%d", os.Getuid()))
}

// current is the lab's folder that verbs are about.
func current() (string, error) {
	if dir != "" {
		return filepath.Abs(dir)
	}
	b, err := os.ReadFile(pointer())
	if err != nil {
		return "", errors.New("no lab is up; start one with: up")
	}
	d := strings.TrimSpace(string(b))
	if _, err := os.Stat(d); err != nil {
		return "", errors.New("no lab is up; start one with: up")
	}
	return d, nil
}

// up starts the owning process and follows its words until the lab is up.
func up(cfg rig.Config, ttl time.Duration) error {
	if cfg.Dir == "" {
		d, err := os.MkdirTemp("", "geotop-lab-")
		if err != nil {
			return err
		}
		cfg.Dir = d
	}
	d, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return err
	}
	if _, err := ask(d, "status", nil); err == nil {
		return fmt.Errorf("a lab is up in %s already", d)
	}
	cfg.Dir = d
	how, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "serve", string(how), ttl.String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	words, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	said, err := follow(words)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(said, "\nready\n") {
		return errors.New("the lab did not come up")
	}
	if err := os.WriteFile(pointer(), []byte(d+"\n"), 0o600); err != nil {
		return err
	}
	fmt.Printf("export KUBECONFIG=%s\n", filepath.Join(d, "kubeconfig-admin"))
	return nil
}

// follow passes on what the owning process says until it is ready or ends.
func follow(words io.Reader) (string, error) {
	var said strings.Builder
	said.WriteByte('\n')
	buf := make([]byte, 4096)
	for {
		n, err := words.Read(buf)
		said.Write(buf[:n])
		if strings.HasSuffix(said.String(), "\nready\n") {
			fmt.Fprint(os.Stderr, strings.TrimSuffix(string(buf[:n]), "ready\n"))
			return said.String(), nil
		}
		fmt.Fprint(os.Stderr, string(buf[:n]))
		if errors.Is(err, io.EOF) {
			return said.String(), nil
		}
		if err != nil {
			return "", err
		}
	}
}

func newServe() *cobra.Command {
	return &cobra.Command{Use: "serve CONFIG TTL", Hidden: true, Args: cobra.ExactArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
		var cfg rig.Config
		if err := json.Unmarshal([]byte(args[0]), &cfg); err != nil {
			return err
		}
		ttl, err := time.ParseDuration(args[1])
		if err != nil {
			return err
		}
		return serve(cmd.Context(), cfg, ttl)
	}}
}

// serve owns a lab until it is told to end, its time is over, or a signal comes.
func serve(ctx context.Context, cfg rig.Config, ttl time.Duration) error {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, ttl)
	defer cancel()
	cfg.Log = func(format string, args ...any) { fmt.Printf("lab: "+format+"\n", args...) }
	r, err := rig.Up(ctx, cfg)
	if err != nil {
		fmt.Printf("lab: %v\n", err)
		return err
	}
	defer r.Down()
	l, err := net.Listen("unix", socket(r.Dir))
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: &control{r, cancel, nil}, ReadHeaderTimeout: 10 * time.Second}
	go func() { <-ctx.Done(); _ = srv.Close() }()
	fmt.Println("ready")
	// Whoever started us goes away now, and with it the other end of stdout.
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		_ = syscall.Dup2(int(null.Fd()), 1)
	}
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// control answers verbs.
type control struct {
	rig   *rig.Rig
	end   func()
	proxy *rig.Proxy
}

func (c *control) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), 2*time.Minute)
	defer cancel()
	out, err := c.do(ctx, strings.Trim(req.URL.Path, "/"), req.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = w.Write(out)
}

func (c *control) do(ctx context.Context, verb string, q url.Values) ([]byte, error) {
	switch verb {
	case "status":
		return json.MarshalIndent(c.rig.Status(ctx), "", "  ")
	case "down":
		c.end()
		return nil, nil
	case "cut", "restore":
		return nil, c.power(ctx, verb == "restore", q.Get("node") == "true", q["name"])
	case "uplink":
		for _, name := range q["name"] {
			if err := c.rig.CutUplink(ctx, name, q.Get("on") != "true"); err != nil {
				return nil, err
			}
		}
		return nil, nil
	case "relay":
		return nil, c.rig.Relay(ctx, q.Get("a"), q.Get("b"), q.Get("on") == "true")
	case "cycle":
		return nil, c.rig.CycleAddress(ctx, q.Get("name"))
	case "api-stop":
		c.rig.StopAPI()
		return nil, nil
	case "api-start":
		return nil, c.rig.StartAPI(ctx)
	case "api-second":
		address, err := c.rig.StartSecondAPI(ctx)
		return []byte(address + "\n"), err
	case "slow":
		return c.slow(q)
	case "slow-etcd":
		var s rig.Slow
		if err := json.Unmarshal([]byte(q.Get("how")), &s); err != nil {
			return nil, err
		}
		return nil, c.rig.SlowEtcd(q.Get("house"), s)
	default:
		return nil, fmt.Errorf("no verb %q", verb)
	}
}

func (c *control) power(ctx context.Context, on, node bool, names []string) error {
	switch {
	case !node && on:
		return c.rig.Restore(ctx, names...)
	case !node:
		return c.rig.Cut(ctx, names...)
	case on:
		return c.rig.RestoreNodes(ctx, names...)
	default:
		return c.rig.CutNodes(ctx, names...)
	}
}

// slow sets the one proxy the command offers; tests make as many as they like.
func (c *control) slow(q url.Values) ([]byte, error) {
	var s rig.Slow
	if err := json.Unmarshal([]byte(q.Get("how")), &s); err != nil {
		return nil, err
	}
	if c.proxy == nil {
		p, err := c.rig.Proxy()
		if err != nil {
			return nil, err
		}
		c.proxy = p
	}
	c.proxy.Set(s)
	if q.Get("reset") == "true" {
		c.proxy.Reset()
	}
	path, err := c.rig.KubeconfigFor("admin", c.proxy.Address())
	return []byte(path + "\n"), err
}

// tell asks the lab for something that has no answer.
func tell(verb string, q url.Values) error {
	d, err := current()
	if err != nil {
		return err
	}
	_, err = ask(d, verb, q)
	return err
}

// ask sends a verb to the lab in d.
func ask(d, verb string, q url.Values) ([]byte, error) {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket(d))
	}}}
	resp, err := client.Get("http://lab/" + verb + "?" + q.Encode())
	if err != nil {
		return nil, fmt.Errorf("no lab answers in %s: %w", d, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(strings.TrimSpace(string(body)))
	}
	return body, nil
}

// waitGone waits until the lab's folder is removed: the last thing it does.
func waitGone(d string) error {
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		if _, err := os.Stat(d); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("%s is still there", d)
}
