package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Component is one process of a rig.
type Component struct {
	Name  string `json:"name"`  // "kube-apiserver", "kwok-moka"
	House string `json:"house"` // the house it stands in; empty for the shared control plane
	PID   int    `json:"pid"`
	Start string `json:"start"` // kernel's start time of PID: tells it from a later process of the same number

	args []string
	env  []string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// startThread starts processes from one thread that lives as long as this
// process: the parent-death signal fires when the starting *thread* ends, and Go
// ends threads as it likes.
var startThread = sync.OnceValue(func() chan func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
})

// start runs the component; it dies with this process.
func (c *Component) start() error {
	out, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	c.cmd = exec.Command(c.args[0], c.args[1:]...)
	c.cmd.Stdout, c.cmd.Stderr = out, out
	c.cmd.Dir = filepath.Dir(c.log)
	c.cmd.Env = append(os.Environ(), c.env...)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	failed := make(chan error)
	startThread() <- func() { failed <- c.cmd.Start() }
	if err := <-failed; err != nil {
		return fmt.Errorf("start %s: %w", c.Name, err)
	}
	c.PID = c.cmd.Process.Pid
	c.Start, _ = startTime(c.PID)
	c.done = make(chan struct{})
	go func() { _ = c.cmd.Wait(); close(c.done) }()
	return nil
}

// Up reports whether the process runs.
func (c *Component) Up() bool {
	now, err := startTime(c.PID)
	return err == nil && now == c.Start
}

// kill ends the process as a power cut would, and waits until it is gone.
func (c *Component) kill() {
	if c.Up() {
		_ = syscall.Kill(c.PID, syscall.SIGKILL)
	}
	if c.done != nil {
		<-c.done
	}
}

// startTime is field 22 of /proc/PID/stat: clock ticks after boot.
func startTime(pid int) (string, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	rest := string(b[strings.LastIndexByte(string(b), ')')+1:])
	f := strings.Fields(rest)
	if len(f) < 20 || f[0] == "Z" {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	return f[19], nil
}

// failure describes why the component is not as it should be, with the end of
// what it logged.
func (c *Component) failure(what string) error {
	b, _ := os.ReadFile(c.log)
	return fmt.Errorf("%s %s; it last logged:\n%s", c.Name, what, lastLines(string(b), 12))
}

// await waits until ready gives nil, for as long as the component lives.
func (c *Component) await(ctx context.Context, within time.Duration, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-c.done:
			return c.failure("ended by itself")
		case <-ctx.Done():
			return c.failure(fmt.Sprintf("was not ready within %v (%v)", within, err))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
