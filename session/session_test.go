package session

import (
	"context"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// answers is an API that gives the same object to everyone.
type answers string

func (a answers) Request(context.Context, string, string, url.Values, string, []byte) ([]byte, error) {
	return []byte(a), nil
}

func (a answers) Stream(context.Context, string, url.Values) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(a))), nil
}

// keys gives what is typed in pieces.
type keys struct{ pieces []string }

func (k *keys) Read(p []byte) (int, error) {
	if len(k.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, k.pieces[0])
	k.pieces = k.pieces[1:]
	return n, nil
}

// Only ~. at the beginning of a line leaves, however it arrives.
func TestEscape(t *testing.T) {
	for typed, leaves := range map[string]bool{
		"~.": true, "ls\r~.": true, "ls\n~.": true, "~~.": false, "a~.": false, "~a.": false, "ls ~.\r": false, "~\r.": false, "\r~\r~.": true, "": false, "~": false, "~ .": false, "\r\r~.more": true, ".~": false,
	} {
		for split := range len(typed) + 1 {
			left := false
			e := &escapable{in: &keys{[]string{typed[:split], typed[split:]}}, leave: func() { left = true }}
			for {
				if _, err := e.Read(make([]byte, 64)); err != nil {
					break
				}
			}
			if left != leaves {
				t.Errorf("%q in two at %d: left %v", typed, split, left)
			}
		}
	}
}

func TestKindOfTerminal(t *testing.T) {
	if got := plain("xterm-256color; rm -rf $HOME\x1b\n"); got != "xterm-256colorrm-rfHOME" {
		t.Errorf("%q", got)
	}
}

// What only machines read is left out, values that look like secrets are hidden, and
// nothing moves the cursor.
func TestYAML(t *testing.T) {
	const pod = `{"kind":"Pod","metadata":{"name":"x\u001b[2J","managedFields":[{"manager":"m"}],"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"hunter2","a":"b"}},
		"spec":{"containers":[{"name":"main","env":[{"name":"DB_PASSWORD","value":"hunter2"},{"name":"S3_ACCESS_KEY","value":"hunter2"},{"name":"GREETING","value":"hello"},{"name":"TOKEN","valueFrom":{"secretKeyRef":{"name":"s","key":"token"}}}]}]}}`
	lines, err := YAML(t.Context(), answers(pod), "Pod", "n", "x")
	text := strings.Join(lines, "\n")
	if err != nil || strings.Contains(text, "hunter2") || strings.Contains(text, "managedFields") || strings.ContainsRune(text, 0x1b) || strings.Count(text, hidden) != 2 {
		t.Errorf("%v\n%s", err, text)
	}
	for _, want := range []string{"value: hello", "key: token", "a: b"} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	if _, err := YAML(t.Context(), answers(pod), "Site", "", "moka"); err == nil {
		t.Error("a site is an object of the API")
	}
	for _, bad := range []string{"", "[]", "null", "{\"metadata\":7}"} {
		if lines, err := YAML(t.Context(), answers(bad), "Node", "", "x"); err == nil && len(lines) > 1 {
			t.Errorf("%q: %q", bad, lines)
		}
	}
}

func TestContainers(t *testing.T) {
	c, err := Containers(t.Context(), answers(`{"metadata":{"annotations":{"kubectl.kubernetes.io/default-container":"b"}},"spec":{"nodeName":"n","initContainers":[{"name":"i"}],
		"containers":[{"name":"a","ports":[{"containerPort":80},{"containerPort":53,"protocol":"UDP"}]},{"name":"b","ports":[{"containerPort":443,"protocol":"TCP"}]}]}}`), "n", "p")
	if err != nil || c.Default != "b" || c.Node != "n" || !slices.Equal(c.Containers, []string{"a", "b", "i"}) || !slices.Equal(c.Ports, []string{"80", "443"}) {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := Containers(t.Context(), answers("no JSON"), "n", "p"); err == nil {
		t.Error("what cannot be read is a pod")
	}
}

// A line has no bound: a long one comes in parts, and none is lost.
func TestLongLines(t *testing.T) {
	var out strings.Builder
	long := strings.Repeat("x", 200<<10)
	err := Logs(t.Context(), answers("first\n"+long+"\nlast without an end"), []Target{{"n", "p", "c", nil}}, LogOptions{Tail: -1}, &out)
	if err != nil || strings.Count(out.String(), "x") != len(long) || !strings.HasPrefix(out.String(), "first\n") || !strings.HasSuffix(out.String(), "\nlast without an end\n") {
		t.Errorf("%v, %d bytes", err, out.Len())
	}
}

// What keeps a container from running is said, and what never will run is an error.
func TestStateOfAContainer(t *testing.T) {
	with := func(st corev1.ContainerState) *corev1.Pod {
		return &corev1.Pod{Status: corev1.PodStatus{EphemeralContainerStatuses: []corev1.ContainerStatus{{Name: "other"}, {Name: "c", State: st}}}}
	}
	for name, c := range map[string]struct {
		pod   *corev1.Pod
		runs  bool
		waits string
		err   bool
	}{
		"runs":    {with(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}), true, "", false},
		"waits":   {with(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}), false, "ImagePullBackOff", false},
		"ended":   {with(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error"}}), false, "", true},
		"unknown": {&corev1.Pod{}, false, "its kubelet has not begun", false},
		"failed":  {&corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed}}, false, "", true},
	} {
		if runs, waits, err := state(c.pod, "c"); runs != c.runs || waits != c.waits || (err != nil) != c.err {
			t.Errorf("%s: %v, %q, %v", name, runs, waits, err)
		}
	}
	pod := with(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "c", Image: "i", Command: sleep()}, TargetContainerName: "main"}}
	for beside, want := range map[string]string{"main": "c", "other": ""} {
		if got := ours(pod, beside, "i"); got != want {
			t.Errorf("beside %s: %q", beside, got)
		}
	}
	if ours(pod, "main", "another image") != "" {
		t.Error("a container of another image is taken for ours")
	}
}

// A pod that is gone ends the waiting at once.
func TestWaitingForAContainerEnds(t *testing.T) {
	said := ""
	err := await(t.Context(), answers(`{"status":{"phase":"Failed","reason":"Evicted"}}`), Target{Pod: "p", Container: "c"}, func(s string) { said = s })
	if err == nil || !strings.Contains(err.Error(), "Evicted") {
		t.Errorf("%v, said %q", err, said)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("left"))
	if err := await(ctx, answers(`{}`), Target{Pod: "p", Container: "c"}, func(string) {}); err == nil {
		t.Error("it waits on after its end")
	}
}
