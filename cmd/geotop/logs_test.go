package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/ui"
)

func TestLabels(t *testing.T) {
	for _, c := range [][2]string{
		{"", ""}, {"postgres-0", ""}, {"postgres-0 postgres-1 postgres-2", "0 1 2"},
		{"blog-5b787d7cf6-v5sq4 blog-5b787d7cf6-x2aa1", "v5sq4 x2aa1"}, {"blog-5b787d7cf6-v5sq4 blog-77aa-x2aa1", "5b787d7cf6-v5sq4 77aa-x2aa1"}, {"a b", "a b"}, {"ab abc", "ab abc"},
	} {
		pods := []*model.Pod{}
		for _, name := range strings.Fields(c[0]) {
			p := &model.Pod{}
			p.Name = name
			pods = append(pods, p)
		}
		if got := strings.Join(labels(pods), " "); got != c[1] {
			t.Errorf("%q: %q, not %q", c[0], got, c[1])
		}
	}
}

// spoken are logs by pod, as the API gives them.
type spoken map[string]string

func (s spoken) Request(_ context.Context, _, path string, _ url.Values, _ string, _ []byte) ([]byte, error) {
	return fmt.Appendf(nil, `{"spec":{"containers":[{"name":"main"}]},"metadata":{"name":%q}}`, path[strings.LastIndexByte(path, '/')+1:]), nil
}

func (s spoken) Stream(_ context.Context, path string, q url.Values) (io.ReadCloser, error) {
	if q.Get("timestamps") != "true" {
		return nil, errors.New("without times nothing can be put into order")
	}
	name := strings.Split(path, "/")[6]
	if s[name] == "" {
		return nil, errors.New("it does not run yet")
	}
	return io.NopCloser(strings.NewReader(s[name])), nil
}

// Lines of several pods come in the order in which they were said; one that cannot be
// read says so.
func TestLogsOfSeveralPodsAreInOrder(t *testing.T) {
	api := spoken{
		"w-0": "2026-01-01T00:00:01Z a\n2026-01-01T00:00:03.5Z c\nno time d\n",
		"w-1": "2026-01-01T00:00:02Z b\n2026-01-01T00:00:04Z e \x1b[2J\n",
	}
	ask := ui.LogAsk{Previous: true}
	for _, name := range []string{"w-0", "w-1", "w-2"} {
		p := &model.Pod{}
		p.Namespace, p.Name = "n", name
		ask.Pods = append(ask.Pods, p)
	}
	log := logsOf(t.Context(), api)(ask)
	defer log.Close()
	lines, err := log.Next(t.Context())
	at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "-- ") })
	if !errors.Is(err, io.EOF) || at < 0 || !strings.Contains(lines[at], "it does not run yet") {
		t.Fatalf("%q, %v", lines, err)
	}
	lines = slices.Delete(lines, at, at+1)
	if want := []string{"[0] a", "[1] b", "[0] c", "[0] no time d", "[1] e  [2J"}; !slices.Equal(lines, want) {
		t.Errorf("%q, not %q", lines, want)
	}
}

// A pod without a namespace is in the one that the kubeconfig's context names.
func TestThePodsNamespace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	for _, c := range []struct {
		space string
		args  []string
		want  string
	}{
		{"web", []string{"blog"}, "pod web/blog:"},
		{"", []string{"blog"}, "pod default/blog:"},
		{"web", []string{"db/blog"}, "pod db/blog:"},
		{"web", []string{"-n", "dev", "blog"}, "pod dev/blog:"},
	} {
		content := `{"apiVersion": "v1", "kind": "Config", "current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u", "namespace": "` + c.space + `"}}],
			"clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}], "users": [{"name": "u", "user": {"token": "x"}}]}`
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, errs, code := geotop(t, append([]string{"--kubeconfig", file, "--no-state", "logs"}, c.args...)...); code != 3 || !strings.Contains(errs, c.want) {
			t.Errorf("%v in %q: exit code %d, %s", c.args, c.space, code, errs)
		}
	}
}
