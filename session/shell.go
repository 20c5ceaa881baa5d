package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
)

// shells is what is tried in a container, the best first.
const shells = "for s in bash ash sh; do command -v $s >/dev/null 2>&1 && exec $s; done; exec sh"

// Terminal is where a shell appears.
type Terminal struct {
	In   io.Reader
	Out  io.Writer
	Term string                     // kind of terminal ($TERM)
	Size func() (width, height int) // of it now
}

// escape ends a session that hangs, typed at the beginning of a line.
const escape = "~."

// Shell runs a shell in a container until it ends, and gives its exit code. The
// terminal must be in raw mode.
func Shell(ctx context.Context, cfg *rest.Config, t Target, term Terminal) (code int, err error) {
	q := url.Values{"container": {t.Container}, "stdin": {"true"}, "stdout": {"true"}, "tty": {"true"}, "command": append(slices.Clone(t.Enter), "sh", "-c", "export TERM="+plain(term.Term)+"; "+shells)}
	u, err := url.Parse(cfg.Host)
	if err != nil {
		return 0, err
	}
	u = u.JoinPath(podPath(t.Namespace, t.Pod), "exec")
	u.RawQuery = q.Encode()
	web, err := remotecommand.NewWebSocketExecutor(cfg, http.MethodGet, u.String())
	if err != nil {
		return 0, err
	}
	spdy, err := remotecommand.NewSPDYExecutor(cfg, http.MethodPost, u)
	if err != nil {
		return 0, err
	}
	run, err := remotecommand.NewFallbackExecutor(web, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return 0, err
	}
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	err = run.StreamWithContext(ctx, remotecommand.StreamOptions{
		Stdin: &escapable{in: term.In, leave: func() { leave(ErrLeft) }}, Stdout: term.Out, Tty: true, TerminalSizeQueue: &sizes{ctx: ctx, size: term.Size},
	})
	var exit exec.CodeExitError
	switch {
	case errors.As(err, &exit):
		return exit.Code, nil
	case errors.Is(context.Cause(ctx), ErrLeft):
		return 0, ErrLeft
	case err != nil:
		return 0, fmt.Errorf("shell in %s/%s, container %s: %w", t.Namespace, t.Pod, t.Container, err)
	}
	return 0, nil
}

// plain keeps of a terminal's kind what can be in one.
func plain(kind string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '+' {
			return r
		}
		return -1
	}, kind)
}

// ErrLeft says that the operator left a session that went on.
var ErrLeft = errors.New("left by its escape sequence")

// escapable watches what is typed for the escape sequence.
type escapable struct {
	in    io.Reader
	leave func()
	seen  string // of a line so far, as much as matters; "\n" before the first key
	began bool
}

func (e *escapable) Read(p []byte) (int, error) {
	n, err := e.in.Read(p)
	for _, c := range p[:n] {
		switch {
		case c == '\r' || c == '\n':
			e.seen, e.began = "", false
		case !e.began && e.seen+string(c) == escape:
			e.leave()
			return 0, io.EOF
		case !e.began && e.seen+string(c) == escape[:len(e.seen)+1]:
			e.seen += string(c)
		default:
			e.began = true
		}
	}
	return n, err
}

// sizes tells the size of the terminal, and each time it has become another.
type sizes struct {
	ctx           context.Context
	size          func() (int, int)
	width, height int
}

// Next waits for another size; nil once the session is over.
func (s *sizes) Next() *remotecommand.TerminalSize {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		if w, h := s.size(); (w != s.width || h != s.height) && w > 0 && h > 0 {
			s.width, s.height = w, h
			return &remotecommand.TerminalSize{Width: uint16(w), Height: uint16(h)}
		}
		select {
		case <-s.ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
