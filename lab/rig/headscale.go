package rig

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Headscale is a real Headscale with real tailscaled processes, all in a network
// namespace of their own: tailscaled listens on every interface there is.
type Headscale struct {
	URL string // within the namespace
	Key string // of its API
	dir string
	cmd *exec.Cmd
	in  io.Closer

	once sync.Once
}

var (
	//go:embed headscale.yaml
	headscaleConfig string
	//go:embed headscale.sh
	headscaleScript string
)

// ErrNoNamespace says that this machine lets us make no network namespace.
var ErrNoNamespace = errors.New("no network namespace can be made here")

// StartHeadscale starts it with these machines on its tailnet, and waits until
// all are up.
func StartHeadscale(ctx context.Context, dir string, machines ...string) (*Headscale, error) {
	if out, err := exec.CommandContext(ctx, "unshare", "-Urn", "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %w %s", ErrNoNamespace, err, out)
	}
	bin, err := binaries(ctx, func(string, ...any) {})
	if err != nil {
		return nil, err
	}
	h := &Headscale{URL: "http://127.0.0.1:18080", dir: dir}
	for name, text := range map[string]string{"config.yaml": headscaleConfig, "run.sh": headscaleScript} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	h.cmd = exec.Command("unshare", append([]string{"-Urn", "/bin/sh", "run.sh"}, machines...)...)
	h.cmd.Dir = dir
	h.cmd.Env = []string{"PATH=" + filepath.Dir(bin["headscale"]) + ":" + filepath.Dir(bin["tailscaled"]) + ":" + os.Getenv("PATH"), "HOME=" + dir}
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.Create(filepath.Join(dir, "run.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	h.cmd.Stderr = log
	in, err := h.cmd.StdinPipe() // its end, be it by our crash, ends them all
	if err != nil {
		return nil, err
	}
	h.in = in
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, h.Stop)
	defer stop()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		h.Stop()
		said, _ := os.ReadFile(filepath.Join(dir, "run.log"))
		return nil, fmt.Errorf("headscale did not come up: %w\n%s", err, said)
	}
	h.Key = strings.TrimSpace(line)
	return h, nil
}

// Socket is the LocalAPI of a machine; it can be opened from anywhere.
func (h *Headscale) Socket(machine string) string { return filepath.Join(h.dir, machine+".sock") }

// Inside gives the command line that runs argv in the namespace.
func (h *Headscale) Inside(argv ...string) []string {
	return append([]string{"nsenter", "-t", strconv.Itoa(h.cmd.Process.Pid), "-U", "-n", "--preserve-credentials"}, argv...)
}

// StopMachine kills a machine's tailscaled.
func (h *Headscale) StopMachine(machine string) error {
	b, err := os.ReadFile(filepath.Join(h.dir, machine+".pid"))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// Stop ends everything it started.
func (h *Headscale) Stop() {
	h.once.Do(func() {
		_ = h.in.Close()
		_ = syscall.Kill(-h.cmd.Process.Pid, syscall.SIGKILL)
		_ = h.cmd.Wait()
	})
}
