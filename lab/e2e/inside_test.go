package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/geotop/geotop/lab/rig"
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
	write := func(s *term.Term, keys string) {
		t.Helper()
		if err := s.Type(keys); err != nil {
			t.Fatal(err)
		}
	}
	s := start()
	shows(t, s, "pod "+ns+"/"+pod+", container ")
	write(s, "echo lab=$LAB; ls | grep -c pki\r")
	shows(t, s, "lab=inside")
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
	shows(t, s, "leaves")
	write(s, "sleep 1000\r")
	shows(t, s, "sleep 1000")
	write(s, "\r~.")
	if code, err := s.Ended(within(t, patience)); err != nil || code != 0 {
		t.Errorf("left with exit code %d, %v", code, err)
	}
}

// A port leads into a pod, leads there again after the connection was cut, and ends
// with the pod.
func TestForward(t *testing.T) {
	allWell(t)
	e := look(t, shared.Kubeconfig("admin"))
	e.settled()
	var namespace, pod string
	for _, p := range e.world().Pods {
		if p.Namespace == "web" && strings.HasPrefix(p.Name, "blog-") && p.Ready {
			namespace, pod = p.Namespace, p.Name
		}
	}
	p, kubeconfig := proxied(t, "admin")
	var says safeBuffer
	ctx, stop := context.WithCancel(within(t, patience))
	defer stop()
	cmd := exec.CommandContext(ctx, binary, "forward", namespace+"/"+pod, ":7", "--kubeconfig", kubeconfig)
	cmd.Env, cmd.Stderr = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir()), &says
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`)
	e.until("an open port", func(*model.World) error {
		if address.FindString(says.String()) == "" {
			return errors.New(says.String())
		}
		return nil
	})
	at := address.FindString(says.String())
	echo := func() error {
		c, err := net.DialTimeout("tcp", at, time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
			return err
		}
		if _, err := io.WriteString(c, "into the pod\n"); err != nil {
			return err
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		if err == nil && line != "into the pod\n" {
			err = fmt.Errorf("%q came back", line)
		}
		return err
	}
	e.until("what was sent", func(*model.World) error { return echo() })
	p.Reset()
	e.until("that the connection was lost", func(*model.World) error {
		if !strings.Contains(says.String(), "trying again") {
			return errors.New(says.String())
		}
		return nil
	})
	e.until("what was sent, by the same port", func(*model.World) error { return echo() })
	p.Set(rig.Slow{Refuse: true})
	p.Reset()
	if err := client.CoreV1().Pods(namespace).Delete(within(t, patience), pod, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.until("the pod gone", func(w *model.World) error {
		if w.Pod("lab", namespace, pod) != nil {
			return errors.New("it is still there")
		}
		return nil
	})
	p.Set(rig.Slow{})
	if err := <-ended; err == nil || !strings.Contains(says.String(), "is gone") {
		t.Errorf("it ended with %v: %s", err, says.String())
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"forward", "web/x", "80a"}, 64, "is no port"},
		{[]string{"forward", namespace + "/" + pod, "80"}, 3, "not found"},
		{[]string{"forward"}, 64, "requires at least 1 arg"},
	} {
		out, errs, code := once(t, nil, append(c.args, "--kubeconfig", shared.Kubeconfig("admin"))...)
		if code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%v: exit code %d: %s%s", c.args, code, out, errs)
		}
	}
	allWell(t)
}

// A shell whose machine loses its power ends, and leaves the terminal as it was.
func TestShellOnAMachineThatVanishes(t *testing.T) {
	allWell(t)
	ns, pod := somePod(t)
	p, err := client.CoreV1().Pods(ns).Get(within(t, patience), pod, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	house, _, _ := strings.Cut(p.Spec.NodeName, "-")
	s, err := term.Start(80, 24, []string{"XDG_STATE_HOME=" + t.TempDir()}, binary, "shell", "-n", ns, pod, "--kubeconfig", shared.Kubeconfig("admin"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	shows(t, s, "leaves")
	if err := s.Type("printf '\\033[?1049h\\033[?25l'; echo in the middle\r"); err != nil {
		t.Fatal(err)
	}
	shows(t, s, "in the middle")
	if err := shared.Cut(within(t, patience), house); err != nil {
		t.Fatal(err)
	}
	afterwards(t, allUp)
	afterwards(t, func(ctx context.Context) error { return shared.Restore(ctx, house) })
	if _, err := s.Ended(within(t, patience)); err != nil {
		t.Fatalf("%v\n%s", err, s.Screen())
	}
	if raw := s.Raw(); !strings.Contains(raw, "\x1b[?25h") || !strings.Contains(raw, "\x1b[?1049l") {
		t.Errorf("the terminal was not put back into order: %q", raw)
	}
}

// A container with a shell is put beside one without, once; a shell on a machine is one
// in a pod there, which is gone afterwards.
func TestShellsWhereThereAreNone(t *testing.T) {
	allWell(t)
	ns, pod := somePod(t)
	open := func(args ...string) *term.Term {
		t.Helper()
		s, err := term.Start(100, 24, []string{"XDG_STATE_HOME=" + t.TempDir()}, append([]string{binary, "shell", "--kubeconfig", shared.Kubeconfig("admin")}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	for range 2 {
		s := open(ns+"/"+pod, "--debug", "--image", "nowhere.invalid/tools")
		shows(t, s, " beside ")
		if err := s.Type("echo lab=$LAB\r"); err != nil {
			t.Fatal(err)
		}
		shows(t, s, "lab=inside") // before exit: what is said last the server may lose
		if err := s.Type("exit\r"); err != nil {
			t.Fatal(err)
		}
		if code, err := s.Ended(within(t, patience)); err != nil || code != 0 {
			t.Errorf("exit code %d, %v\n%s", code, err, s.Screen())
		}
	}
	p, err := client.CoreV1().Pods(ns).Get(within(t, patience), pod, metav1.GetOptions{})
	if err != nil || len(p.Spec.EphemeralContainers) != 1 || p.Spec.EphemeralContainers[0].TargetContainerName != p.Spec.Containers[0].Name {
		t.Errorf("%+v, %v", p.Spec.EphemeralContainers, err)
	}

	onNode := func() (pods []corev1.Pod) {
		list, err := client.CoreV1().Pods("kube-system").List(within(t, patience), metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=geotop"})
		if err != nil {
			t.Fatal(err)
		}
		return list.Items
	}
	// What nsenter may do here, this test does not know: the shell may end at once, and
	// its pod with it.
	seen, err := client.CoreV1().Pods("kube-system").Watch(within(t, patience), metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=geotop"})
	if err != nil {
		t.Fatal(err)
	}
	defer seen.Stop()
	s := open("node/flacq-2", "--image", "nowhere.invalid/tools")
	shows(t, s, "on flacq-2, as root")
	made, _ := (<-seen.ResultChan()).Object.(*corev1.Pod)
	if made == nil || made.Spec.NodeName != "flacq-2" || !made.Spec.HostPID || *made.Spec.ActiveDeadlineSeconds != 3600 {
		t.Errorf("%+v", made)
	}
	_ = s.Type("exit\r") // it may have ended
	if _, err := s.Ended(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	deadline := within(t, patience)
	for len(onNode()) > 0 {
		if deadline.Err() != nil {
			t.Fatal("the pod for the shell is still there")
		}
	}
	if out, errs, code := once(t, nil, "shell", "node/nowhere", "--kubeconfig", shared.Kubeconfig("admin")); code != 64 || !strings.Contains(errs, "needs a terminal") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
}

// On the screen a workload's log is followed and searched, an object is shown as the
// API has it, and a shell gives the screen back.
func TestInsideOnTheScreen(t *testing.T) {
	allWell(t)
	s := start(t, 120, 24, nil, "--kubeconfig", shared.Kubeconfig("admin"), "--write", "--no-ping")
	write := func(keys ...string) {
		t.Helper()
		for _, k := range keys {
			if err := s.Type(k); err != nil {
				t.Fatal(err)
			}
		}
	}
	shows(t, s, "curepipe")
	write("6", "/", "blog", "\r")
	shows(t, s, "/blog", "kind          Deployment")
	write("l")
	shows(t, s, "blog › log", "listening on :8080", "surprise", "follows")
	f, err := os.OpenFile(shared.PodLog(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s stdout F said on the screen\n", time.Now().UTC().Format(time.RFC3339Nano)); err != nil {
		t.Fatal(err)
	}
	shows(t, s, "said on the screen")
	write("/", "listening", "\r")
	shows(t, s, "/listening", "listening on :8080")
	if strings.Contains(s.Screen(), "said on the screen") {
		t.Errorf("a search shows other lines:\n%s", s.Screen())
	}
	write("q", "q", "7", "/", "blog", "\r")
	shows(t, s, "/blog", "blog-")
	write("Y")
	shows(t, s, "› yaml", "apiVersion: v1", "kind: Pod")
	if strings.Contains(s.Screen(), "managedFields") {
		t.Errorf("what only machines read is shown:\n%s", s.Screen())
	}
	write("q", "s")
	shows(t, s, "at the beginning of a line leaves")
	write("echo lab=$LAB\r")
	shows(t, s, "lab=inside")
	write("exit\r")
	shows(t, s, "back from the shell in blog-", "Pods")
	write("F")
	shows(t, s, "port, LOCAL:PORT, or none:")
	write(":9\r")
	shows(t, s, "leads to port 9 of web/blog-")
	write("\x03")
	shows(t, s, "forwarding to blog-", "Pods")
	write("q", "q")
	shows(t, s, "curepipe")
	leaves(t, s)
}
