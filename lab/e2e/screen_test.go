package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/geotop/geotop/lab/rig"
	"github.com/geotop/geotop/lab/term"
)

// start opens geotop on a terminal; it is gone when the test ends.
func start(t *testing.T, width, height int, env []string, args ...string) *term.Term {
	t.Helper()
	s, err := term.Start(width, height, env, append([]string{binary}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func shows(t *testing.T, s *term.Term, texts ...string) {
	t.Helper()
	if err := s.Shows(within(t, patience), texts...); err != nil {
		t.Fatal(err)
	}
}

// leaves types q until the program has ended, and tells how long that took.
func leaves(t *testing.T, s *term.Term) {
	t.Helper()
	began := time.Now()
	if err := s.Type("q"); err != nil {
		t.Fatal(err)
	}
	code, err := s.Ended(within(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("q ended it after %d ms", time.Since(began).Milliseconds())
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	raw := s.Raw()
	if !strings.Contains(raw, "\x1b[?1049l") || !strings.Contains(raw, "\x1b[?25h") {
		t.Error("the terminal was not put back as it was")
	}
}

func once(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(within(t, patience), binary, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// startBudget is how many bytes a start may write at 80x24.
const startBudget = 4000

func TestStartCostsLittle(t *testing.T) {
	for _, scenario := range []string{"weak", "powercut", "healthy"} {
		s := start(t, 80, 24, nil, "--demo="+scenario)
		shows(t, s, "curepipe", " ok  RO")
		if err := s.Quiet(within(t, patience), 600*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", scenario, s.Bytes())
		if s.Bytes() > startBudget {
			t.Errorf("%s: the start wrote %d bytes", scenario, s.Bytes())
		}
		leaves(t, s)
	}
}

func TestIdleCostsLittle(t *testing.T) {
	s := start(t, 80, 24, nil, "--kubeconfig", shared.Kubeconfig("viewer"))
	shows(t, s, "● ok", "curepipe", "flacq", "moka", "3/3", "api ok")
	began := s.Bytes()
	const span = 20 * time.Second
	if began > startBudget {
		t.Errorf("the start wrote %d bytes: %q", began, s.Raw()[:began])
	}
	if err := shared.WaitMetrics(within(t, patience), client); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(within(t, patience), "measured load", func(text string) bool { return !strings.Contains(text, "req") }); err != nil {
		t.Fatal(err)
	}
	settled, written := s.Bytes(), len(s.Raw())
	select { // nothing to wait for: how much is written in a span is what is asked
	case <-time.After(span):
	case <-t.Context().Done():
	}
	idle := s.Bytes() - settled
	t.Logf("start %d bytes; %d bytes in %v of idling\n%q", began, idle, span, s.Raw()[written:])
	if idle > int64(100*span.Seconds()) {
		t.Errorf("%d bytes in %v of idling: %q", idle, span, s.Raw()[written:])
	}
	leaves(t, s)
}

// A saved World stands still: not one byte after its frame.
func TestNothingChangedNothingWritten(t *testing.T) {
	doc, _, code := once(t, nil, "--demo=weak", "-o", "json")
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	file := filepath.Join(t.TempDir(), "world.json")
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, 80, 24, nil, "--from", file)
	shows(t, s, "demo-weak", "curepipe")
	if err := s.Quiet(within(t, patience), time.Second); err != nil {
		t.Fatal(err)
	}
	before := s.Bytes()
	select {
	case <-time.After(12 * time.Second): // more than two age ticks
	case <-t.Context().Done():
	}
	if n := s.Bytes() - before; n != 0 {
		t.Errorf("%d bytes although nothing changed", n)
	}
	leaves(t, s)
}

// TestAPIServerDiesUnderTheScreen is the outage of moment one: the screen stays,
// greys, tells the age, and recovers by itself; near, and over a slow link.
func TestAPIServerDiesUnderTheScreen(t *testing.T) {
	t.Run("near", func(t *testing.T) { diesUnderTheScreen(t, shared.Kubeconfig("viewer")) })
	t.Run("1500 ms away", func(t *testing.T) {
		p, kubeconfig := proxied(t, "viewer")
		p.Set(rig.Slow{Delay: 1500 * time.Millisecond})
		diesUnderTheScreen(t, kubeconfig)
	})
}

func diesUnderTheScreen(t *testing.T, kubeconfig string) {
	s := start(t, 80, 24, nil, "--kubeconfig", kubeconfig)
	shows(t, s, "● ok", "api ok", "curepipe")
	shared.StopAPI()
	t.Cleanup(func() { _ = shared.StartAPI(context.Background()) })
	age := regexp.MustCompile(`api \d+s!`)
	if err := s.Wait(within(t, patience), "the API's age", func(text string) bool {
		return age.MatchString(text) && strings.Contains(text, "curepipe") && strings.Contains(text, "unknown")
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Type("2"); err != nil {
		t.Fatal(err)
	}
	shows(t, s, "moka-1", "flacq-3") // what was known can still be read
	if err := shared.StartAPI(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	shows(t, s, "● ok", "api ok")
	if err := s.Type("1"); err != nil {
		t.Fatal(err)
	}
	shows(t, s, "all is well")
	leaves(t, s)
	allWell(t)
}

// q answers at once whatever the network does.
func TestQuitInEveryState(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	hanging, err := shared.KubeconfigFor("viewer", silent.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nobody, err := shared.KubeconfigFor("viewer", closedPort(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("connecting to one that says nothing", func(t *testing.T) {
		s := start(t, 46, 19, nil, "--kubeconfig", hanging)
		shows(t, s, "q quit")
		leaves(t, s)
	})
	t.Run("refused", func(t *testing.T) {
		s := start(t, 46, 19, nil, "--kubeconfig", nobody)
		shows(t, s, "connection refused", "api down")
		leaves(t, s)
	})
	t.Run("slow", func(t *testing.T) {
		p, kubeconfig := proxied(t, "viewer")
		p.Set(rig.Slow{Delay: 1500 * time.Millisecond})
		s := start(t, 46, 19, nil, "--kubeconfig", kubeconfig)
		shows(t, s, "● ok", "curepipe")
		leaves(t, s)
	})
	t.Run("hanging while it runs", func(t *testing.T) {
		p, kubeconfig := proxied(t, "viewer")
		s := start(t, 46, 19, nil, "--kubeconfig", kubeconfig)
		shows(t, s, "● ok", "curepipe")
		p.Set(rig.Slow{Hang: true})
		shows(t, s, "unknown", "s!", "curepipe")
		p.Set(rig.Slow{})
		shows(t, s, "● ok", "curepipe")
		p.Set(rig.Slow{Hang: true})
		shows(t, s, "unknown", "s!", "curepipe")
		leaves(t, s)
	})
	t.Run("demo", func(t *testing.T) {
		s := start(t, 46, 19, nil, "--demo")
		shows(t, s, "curepipe")
		leaves(t, s)
	})
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestScriptsSeeTheCut is what a script relies on: exit codes and who is named.
func TestScriptsSeeTheCut(t *testing.T) {
	check := func() (string, int) {
		out, _, code := once(t, nil, "--kubeconfig", shared.Kubeconfig("viewer"), "--once", "--check")
		return out, code
	}
	allWell(t)
	if out, code := check(); code != 0 {
		t.Fatalf("well, yet exit code %d:\n%s", code, out)
	}
	ctx := within(t, 3*time.Minute)
	if err := shared.Cut(ctx, "curepipe"); err != nil {
		t.Fatal(err)
	}
	if err := shared.WaitNodes(ctx, client, "curepipe-1", "curepipe-2", "curepipe-3"); err != nil {
		t.Fatal(err)
	}
	if out, code := check(); code != 2 || !strings.Contains(out, "curepipe") || !strings.Contains(out, "DARK") {
		t.Errorf("dark, yet exit code %d:\n%s", code, out)
	}
	if out, _, code := once(t, nil, "--kubeconfig", shared.Kubeconfig("viewer"), "-o", "nagios", "--check"); code != 2 || !strings.HasPrefix(out, "GEOTOP CRITICAL - site/curepipe") {
		t.Errorf("nagios, exit code %d: %s", code, out)
	}
	if err := shared.Restore(ctx, "curepipe"); err != nil {
		t.Fatal(err)
	}
	look(t, shared.Kubeconfig("viewer")).until("well again", wellAgain)
	allWell(t)
	if out, code := check(); code != 0 {
		t.Errorf("restored, yet exit code %d:\n%s", code, out)
	}
}

func TestBadInputIsToldClearly(t *testing.T) {
	nobody, err := shared.KubeconfigFor("viewer", closedPort(t))
	if err != nil {
		t.Fatal(err)
	}
	viewer := shared.Kubeconfig("viewer")
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("{]"), 0o600); err != nil {
		t.Fatal(err)
	}
	token := clientcmdapi.NewConfig()
	token.Clusters["c"] = &clientcmdapi.Cluster{Server: "https://" + shared.APIAddress(), CertificateAuthority: filepath.Join(shared.Dir, "pki", "ca.crt")}
	token.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: "expired-and-secret"}
	token.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	token.CurrentContext = "x"
	stale := filepath.Join(t.TempDir(), "stale-token")
	if err := clientcmd.WriteToFile(*token, stale); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		args []string
		code int
		says []string
	}{
		{"no such kubeconfig", []string{"--kubeconfig", "/nowhere/config"}, 64, []string{"kubeconfig", "/nowhere/config"}},
		{"broken kubeconfig", []string{"--kubeconfig", broken, "--once"}, 64, []string{"kubeconfig", broken}},
		{"no such context", []string{"--kubeconfig", viewer, "--context", "mars", "--once"}, 64, []string{`no context "mars"`, "lab"}},
		{"unreachable", []string{"--kubeconfig", nobody, "--once"}, 3, []string{"connection refused"}},
		{"expired certificate", []string{"--kubeconfig", shared.Kubeconfig("expired"), "--once"}, 3, []string{"expired"}},
		{"stale token", []string{"--kubeconfig", stale, "--once"}, 3, []string{"credentials"}},
		{"only nodes", []string{"--kubeconfig", shared.Kubeconfig("nodes-only"), "--once", "--check"}, 3, []string{"not allowed to list", "curepipe"}},
		{"nothing allowed", []string{"--kubeconfig", shared.Kubeconfig("none"), "--once"}, 3, []string{"not allowed"}},
		{"no such site", []string{"--kubeconfig", viewer, "--once", "--site", "mars"}, 64, []string{`no site "mars"`, "moka"}},
		{"unknown flag", []string{"--frobnicate"}, 64, []string{"--frobnicate", "--help"}},
		{"unknown format", []string{"--demo", "-o", "xml"}, 64, []string{`"xml"`, "json"}},
		{"unknown scenario", []string{"--demo=sunny"}, 64, []string{`"sunny"`, "powercut"}},
		{"no such document", []string{"--from", "/nowhere/world.json"}, 64, []string{"/nowhere/world.json"}},
		{"broken document", []string{"--from", broken}, 64, []string{broken}},
		{"an argument", []string{"moka"}, 64, []string{"moka"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, errs, code := once(t, nil, tc.args...)
			if code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			for _, want := range tc.says {
				if !strings.Contains(out+errs, want) {
					t.Errorf("does not say %q", want)
				}
			}
			if strings.Contains(out+errs, "expired-and-secret") {
				t.Error("a token came out")
			}
			if t.Failed() {
				t.Logf("stdout:\n%s\nstderr:\n%s", out, errs)
			}
		})
	}
}

var colours = regexp.MustCompile(`\x1b\[[0-9;]*(3[0-7]|4[0-7]|9[0-7]|38|48)[0-9;]*m`)

func TestPlainFallbacks(t *testing.T) {
	t.Run("TERM=dumb", func(t *testing.T) {
		s := start(t, 80, 24, []string{"TERM=dumb"}, "--demo")
		shows(t, s, "geotop>")
		if err := s.Type("only moka\r"); err != nil {
			t.Fatal(err)
		}
		shows(t, s, "Only moka.")
		if err := s.Type("quit\r"); err != nil {
			t.Fatal(err)
		}
		if code, err := s.Ended(within(t, patience)); err != nil || code != 0 {
			t.Fatalf("exit code %d, %v", code, err)
		}
		if raw := s.Raw(); strings.Contains(raw, "\x1b") || !strings.Contains(raw, "curepipe") {
			t.Errorf("printed %q", raw)
		}
	})
	t.Run("no terminal", func(t *testing.T) {
		out, errs, code := once(t, nil, "--demo")
		if code != 0 || strings.Contains(out, "\x1b") || !strings.Contains(out, "curepipe") || !strings.Contains(errs, "no terminal") {
			t.Errorf("exit code %d\n%s%s", code, out, errs)
		}
	})
	t.Run("NO_COLOR", func(t *testing.T) {
		s := start(t, 80, 24, []string{"NO_COLOR=yes"}, "--demo")
		shows(t, s, "curepipe")
		if found := colours.FindString(s.Raw()); found != "" {
			t.Errorf("a colour came out: %q", found)
		}
		leaves(t, s)
		coloured := start(t, 80, 24, nil, "--demo")
		shows(t, coloured, "curepipe")
		if !colours.MatchString(coloured.Raw()) {
			t.Error("no colour without NO_COLOR either: the test sees nothing")
		}
	})
	for _, size := range [][2]int{{1, 1}, {5, 2}, {30, 8}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			s := start(t, size[0], size[1], nil, "--demo=powercut")
			shows(t, s, "X")
			leaves(t, s)
		})
	}
}

func TestScreenFollowsTheTerminal(t *testing.T) {
	s := start(t, 200, 50, nil, "--demo=powercut")
	shows(t, s, "all 3 nodes unreachable", "REGION")
	if err := s.Resize(46, 19); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(within(t, patience), "the small screen", func(text string) bool {
		return strings.Contains(text, "curepipe DARK") && strings.Contains(text, "? help  q quit") && !strings.Contains(text, "REGION")
	}); err != nil {
		t.Fatal(err)
	}
	leaves(t, s)
}

// Text that any user of the cluster may write must not reach the terminal as
// anything but text.
func TestHostileTextStaysText(t *testing.T) {
	evil := "\x1b]0;owned\a\x1b[2J\x1b[31mred 日本語 \u202egnp.exe \x9b5n"
	ev := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: "hostile", Namespace: "default"},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: "who\x1b[5m"},
		Reason:         "Evil\x1b[7m", Message: evil, Type: corev1.EventTypeWarning, LastTimestamp: metav1.Now(), FirstTimestamp: metav1.Now(), Count: 1,
	}
	ctx := t.Context()
	if _, err := client.CoreV1().Events("default").Create(ctx, ev, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.CoreV1().Events("default").Delete(context.Background(), "hostile", metav1.DeleteOptions{})
	})
	for _, width := range []int{46, 80, 200} {
		s := start(t, width, 24, nil, "--kubeconfig", shared.Kubeconfig("viewer"))
		shows(t, s, "● ok")
		if err := s.Type("8/evil"); err != nil {
			t.Fatal(err)
		}
		shows(t, s, "Evil [7m", "1 of ")
		if err := s.Type("\rd"); err != nil {
			t.Fatal(err)
		}
		shows(t, s, "red 日本語 gnp.exe")
		raw := s.Raw()
		for _, bad := range []string{"\x1b]0;owned", "\x1b[31mred", "\x1b[5m", "\u202e", "\u009b", "\x9b"} {
			if strings.Contains(raw, bad) {
				t.Errorf("at %d columns %q reached the terminal", width, bad)
			}
		}
		s.Close()
	}
	for _, format := range []string{"wide", "name", "nagios"} {
		out, _, _ := once(t, nil, "--kubeconfig", shared.Kubeconfig("viewer"), "-o", format)
		if strings.Contains(out, "\x1b") {
			t.Errorf("-o %s printed an escape: %q", format, out)
		}
	}
}

// What the first client of --watch prints, a second line follows on a change.
func TestWatchPrintsAgainOnChange(t *testing.T) {
	cmd := exec.CommandContext(within(t, patience), binary, "--kubeconfig", shared.Kubeconfig("viewer"), "--watch", "-o", "jsonpath={.nodes[?(@.unschedulable==true)].name}")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		buf := make([]byte, 1<<16)
		for {
			n, err := out.Read(buf)
			if n > 0 {
				lines <- string(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	if got := <-lines; got != "\n" {
		t.Fatalf("at first %q", got)
	}
	cordon(t, "moka-3", true)
	defer cordon(t, "moka-3", false)
	if got := <-lines; got != "moka-3\n" {
		t.Errorf("after the cordon %q", got)
	}
	_ = cmd.Process.Signal(os.Interrupt)
	for range lines { //nolint:revive // until it has ended
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("an interrupt ends --watch in good order: %v", err)
	}
}
