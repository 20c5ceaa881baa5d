// Package term runs a program on a pseudo-terminal, as an operator would, and
// looks at its screen through a terminal emulator. It counts every byte the
// program writes and answers the questions it asks the terminal.
package term

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// Term is a running program and its screen.
type Term struct {
	Cmd *exec.Cmd

	pty     *os.File
	screen  *vt.SafeEmulator
	bytes   atomic.Int64
	drawing sync.Mutex // held while the screen is written to, or read cell by cell

	mu      sync.Mutex
	raw     []byte
	changed chan struct{} // closed at the next output
	done    chan struct{} // closed when the program has ended and all it wrote is read
	threads sync.WaitGroup
}

// keepRaw bounds how much output is kept byte for byte.
const keepRaw = 1 << 20

// Start runs argv on a terminal of width by height cells. env is added to a
// terminal's usual environment, in which nothing of ours shows through.
func Start(width, height int, env []string, argv ...string) (*Term, error) {
	t := &Term{screen: vt.NewSafeEmulator(width, height), changed: make(chan struct{}), done: make(chan struct{})}
	t.Cmd = exec.Command(argv[0], argv[1:]...)
	t.Cmd.Env = append([]string{
		"TERM=xterm-256color", "LANG=C.UTF-8", "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir(),
	}, env...)
	t.Cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	f, err := pty.StartWithSize(t.Cmd, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)})
	if err != nil {
		return nil, fmt.Errorf("start %s on a terminal: %w", argv[0], err)
	}
	t.pty = f
	t.threads.Go(t.read)
	t.threads.Go(func() { _, _ = io.Copy(f, t.screen) })
	return t, nil
}

// read feeds the emulator until the program has closed its terminal.
func (t *Term) read() {
	buf := make([]byte, 32<<10)
	for {
		n, err := t.pty.Read(buf)
		if n > 0 {
			t.drawing.Lock()
			_, _ = t.screen.Write(buf[:n])
			t.drawing.Unlock()
			t.bytes.Add(int64(n))
			t.mu.Lock()
			t.raw = append(t.raw, buf[:min(n, keepRaw-len(t.raw))]...)
			close(t.changed)
			t.changed = make(chan struct{})
			t.mu.Unlock()
		}
		if err != nil { // EIO once the program has ended
			_ = t.Cmd.Wait()
			// Close of the emulator races with its Read; the end of its input does not.
			if answers, ok := t.screen.InputPipe().(io.Closer); ok {
				_ = answers.Close()
			}
			close(t.done)
			return
		}
	}
}

// Screen is what the terminal shows, as text; lines end without spaces.
func (t *Term) Screen() string {
	t.drawing.Lock() // the emulator gives its own cells, not copies
	defer t.drawing.Unlock()
	var b strings.Builder
	for y := range t.screen.Height() {
		var line strings.Builder
		for x := 0; x < t.screen.Width(); {
			c := t.screen.CellAt(x, y)
			if c == nil || c.Content == "" {
				line.WriteByte(' ')
				x++
				continue
			}
			line.WriteString(c.Content)
			x += max(1, c.Width)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// Emulator is the screen with its colours; only what is quiet can be drawn from it.
func (t *Term) Emulator() *vt.SafeEmulator { return t.screen }

// Still hands out the screen with its colours while nothing is drawn on it.
func (t *Term) Still(do func(screen *vt.SafeEmulator)) {
	t.drawing.Lock()
	defer t.drawing.Unlock()
	do(t.screen)
}

// Bytes is how much the program has written so far.
func (t *Term) Bytes() int64 { return t.bytes.Load() }

// Raw is what the program wrote, up to the first megabyte.
func (t *Term) Raw() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.raw)
}

// Type sends text as if typed.
func (t *Term) Type(s string) error {
	_, err := t.pty.WriteString(s)
	return err
}

// Resize changes the terminal's size.
func (t *Term) Resize(width, height int) error {
	t.screen.Resize(width, height)
	return pty.Setsize(t.pty, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)})
}

// Wait looks at the screen at every output until it is as wanted. The error
// holds the screen as it was at the end.
func (t *Term) Wait(ctx context.Context, what string, wanted func(screen string) bool) error {
	for {
		t.mu.Lock()
		changed := t.changed
		t.mu.Unlock()
		if wanted(t.Screen()) {
			return nil
		}
		select {
		case <-changed:
		case <-t.done:
			if wanted(t.Screen()) {
				return nil
			}
			return fmt.Errorf("ended (%v) before it showed %s:\n%s", t.Cmd.ProcessState, what, t.Screen())
		case <-ctx.Done():
			return fmt.Errorf("did not show %s: %w\n%s", what, context.Cause(ctx), t.Screen())
		}
	}
}

// Shows waits until the screen contains all the texts.
func (t *Term) Shows(ctx context.Context, texts ...string) error {
	return t.Wait(ctx, fmt.Sprintf("%q", texts), func(s string) bool {
		for _, text := range texts {
			if !strings.Contains(s, text) {
				return false
			}
		}
		return true
	})
}

// Quiet waits until nothing was written for so long.
func (t *Term) Quiet(ctx context.Context, long time.Duration) error {
	for {
		t.mu.Lock()
		changed := t.changed
		t.mu.Unlock()
		select {
		case <-changed:
		case <-time.After(long):
			return nil
		case <-t.done:
			return errors.New("ended")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Ended gives the exit code once the program has ended.
func (t *Term) Ended(ctx context.Context) (int, error) {
	select {
	case <-t.done:
		return t.Cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return -1, fmt.Errorf("did not end: %w\n%s", context.Cause(ctx), t.Screen())
	}
}

// Close kills the program if it still runs and lets everything go.
func (t *Term) Close() {
	select {
	case <-t.done:
	default:
		_ = syscall.Kill(-t.Cmd.Process.Pid, syscall.SIGKILL) // with whatever has its terminal
	}
	<-t.done
	_ = t.pty.Close()
	t.threads.Wait()
}
