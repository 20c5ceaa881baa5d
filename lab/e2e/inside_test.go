package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/geotop/geotop/lab/term"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/session"
)

// somePod is a running pod of the lab.
func somePod(t *testing.T) (namespace, name string) {
	t.Helper()
	list, err := client.CoreV1().Pods("db").List(within(t, patience), metav1.ListOptions{FieldSelector: "status.phase=Running"})
	if err != nil || len(list.Items) == 0 {
		t.Fatalf("%d pods, %v", len(list.Items), err)
	}
	return list.Items[0].Namespace, list.Items[0].Name
}

func TestLogsOnTheCommandLine(t *testing.T) {
	allWell(t)
	ns, pod := somePod(t)
	out, errs, code := once(t, nil, "logs", "-n", ns, pod, "--kubeconfig", shared.Kubeconfig("admin"))
	if code != 0 || !strings.Contains(out, "listening on :8080\n") {
		t.Errorf("exit code %d: %q %s", code, out, errs)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"logs", "-n", ns, "nobody"}, 3, "not found"},
		{[]string{"logs", ns + "/" + pod, "-c", "nothing"}, 64, "has no container \"nothing\"; it has: "},
		{[]string{"logs", ns + "/" + pod, "--tail", "1"}, 0, "surprise"},
		{[]string{"shell", ns + "/" + pod}, 64, "needs a terminal"},
	} {
		out, errs, code := once(t, nil, append(c.args, "--kubeconfig", shared.Kubeconfig("admin"))...)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("%v: exit code %d: %s%s", c.args, code, out, errs)
		}
	}
	out, errs, code = once(t, nil, "logs", ns+"/"+pod, "--kubeconfig", shared.Kubeconfig("viewer"))
	if code == 0 {
		t.Errorf("an account that may not read logs: %s%s", out, errs)
	}
}

// What a log says cannot move the cursor, and following it ends with the context.
func TestLogsAreCleanedAndFollowed(t *testing.T) {
	allWell(t)
	ns, pod := somePod(t)
	ctx, cancel := context.WithCancel(within(t, patience))
	var out safeBuffer
	done := make(chan error, 1)
	api := reader(t, shared.Kubeconfig("admin"))
	choice, err := session.Containers(ctx, api, ns, pod)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		done <- session.Logs(ctx, api, []session.Target{{Namespace: ns, Pod: pod, Container: choice.Default}}, session.LogOptions{Follow: true, Clean: true, Prefix: true, Tail: -1}, &out)
	}()
	f, err := os.OpenFile(shared.PodLog(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e := look(t, shared.Kubeconfig("admin"))
	e.until("the first lines", func(*model.World) error {
		if s := out.String(); !strings.Contains(s, "surprise") {
			return fmt.Errorf("%q", s)
		}
		return nil
	})
	if _, err := fmt.Fprintf(f, "%s stdout F said later\n", time.Now().UTC().Format(time.RFC3339Nano)); err != nil {
		t.Fatal(err)
	}
	e.until("what was said later", func(*model.World) error {
		if s := out.String(); !strings.Contains(s, "["+pod+" "+choice.Default+"] said later") {
			return fmt.Errorf("%q", s)
		}
		return nil
	})
	if s := out.String(); strings.Contains(s, "\x1b") {
		t.Errorf("%q", s)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("following ended with %v", err)
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A shell runs what is typed, follows the terminal's size, leaves the terminal whole,
// and one that hangs is left.
func TestShell(t *testing.T) {
	allWell(t)
	ns, pod := somePod(t)
	start := func() *term.Term {
		t.Helper()
		s, err := term.Start(80, 24, []string{"XDG_STATE_HOME=" + t.TempDir()}, binary, "shell", "-n", ns, pod, "--kubeconfig", shared.Kubeconfig("admin"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	shows := func(s *term.Term, what string) {
		t.Helper()
		if err := s.Wait(within(t, patience), what, func(screen string) bool { return strings.Contains(screen, what) }); err != nil {
			t.Fatal(err)
		}
	}
	write := func(s *term.Term, keys string) {
		t.Helper()
		if err := s.Type(keys); err != nil {
			t.Fatal(err)
		}
	}
	s := start()
	shows(s, "pod "+ns+"/"+pod+", container ")
	write(s, "echo lab=$LAB; ls | grep -c pki\r")
	shows(s, "lab=inside")
	if err := s.Resize(100, 30); err != nil {
		t.Fatal(err)
	}
	deadline := within(t, patience)
	for { // the size arrives some time after the terminal has it
		write(s, "stty size\r")
		short, cancel := context.WithTimeout(deadline, time.Second)
		err := s.Wait(short, "the size", func(screen string) bool { return strings.Contains(screen, "30 100") })
		cancel()
		if err == nil {
			break
		}
		if deadline.Err() != nil {
			t.Fatal(err)
		}
	}
	write(s, "printf '\\033[?1049h\\033[?25l'; exit\r") // KWOK does not tell exit codes but this one
	if code, err := s.Ended(within(t, patience)); err != nil || code != 0 {
		t.Errorf("exit code %d, %v\n%s", code, err, s.Screen())
	}
	if raw := s.Raw(); !strings.Contains(raw, "\x1b[?25h") || !strings.Contains(raw, "\x1b[?1049l") {
		t.Error("the terminal was not put back into order")
	}
	s = start()
	shows(s, "leaves")
	write(s, "sleep 1000\r")
	shows(s, "sleep 1000")
	write(s, "\r~.")
	if code, err := s.Ended(within(t, patience)); err != nil || code != 0 {
		t.Errorf("left with exit code %d, %v", code, err)
	}
}
