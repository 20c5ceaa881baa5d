package memory

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/geotop/geotop/model"
)

var moment = time.Date(2026, 3, 14, 3, 7, 0, 0, time.UTC)

func clock() time.Time { return moment }

func ok(name string) model.Source {
	return model.Source{Cluster: "home", Name: name, Status: model.SourceOK, ObservedAt: moment.Add(-2 * time.Second)}
}

// facts is a cluster of one server.
func facts() model.Facts {
	c := model.ClusterFacts{Name: "home", Server: "https://a:6443", Configured: "https://a:6443", Version: "v1.36.3", API: ok(model.SourceAPI)}
	c.Nodes = model.Section[model.NodeFact]{Source: ok(model.SourceNodes), Items: []*model.NodeFact{{
		Cluster: "home", Name: "moka-1", UID: "u1", Labels: map[string]string{"topology.kubernetes.io/zone": "moka", "node-role.kubernetes.io/control-plane": "true"},
		Addresses: []model.Address{{Type: "InternalIP", Address: "100.64.0.1"}},
	}}}
	c.Pods = model.Section[model.Pod]{Source: ok(model.SourcePods), Items: []*model.Pod{{Cluster: "home", Namespace: "web", Name: "blog", UID: "u2", Node: "moka-1"}}}
	c.APIServers = model.Section[model.APIServer]{Source: ok(model.SourceAPIServers), Items: []*model.APIServer{{Cluster: "home", Address: "100.64.0.4", Port: 6444}}}
	return model.Facts{Clusters: []model.ClusterFacts{c}}
}

// dead is the same cluster when nothing of it answers.
func dead(status model.SourceStatus) model.Facts {
	f := facts()
	c := &f.Clusters[0]
	c.Version = ""
	for _, s := range []*model.Source{&c.API, &c.Nodes.Source, &c.Pods.Source, &c.APIServers.Source} {
		s.Status, s.Error, s.ObservedAt = status, "connection refused", time.Time{}
	}
	c.Nodes.Items, c.Pods.Items, c.APIServers.Items = nil, nil, nil
	return f
}

func open(t *testing.T, dir string) *Memory {
	t.Helper()
	m, err := Open(dir, "home", "https://a:6443", clock)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// kept is a folder that remembers facts().
func kept(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "geotop")
	m := open(t, dir)
	f := facts()
	m.Facts(&f)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m.Run(ctx, nil) // saves as it ends
	return dir
}

func TestAnOutageShowsWhatWas(t *testing.T) {
	dir := kept(t)
	for status, want := range map[model.SourceStatus]model.SourceStatus{
		model.SourceFailed: model.SourceStale, model.SourcePending: model.SourcePending,
	} {
		f := dead(status)
		open(t, dir).Facts(&f)
		c := &f.Clusters[0]
		if c.Nodes.Source.Status != want || len(c.Nodes.Items) != 1 || !c.Nodes.Source.ObservedAt.Equal(moment.Add(-2*time.Second)) || c.Version != "v1.36.3" {
			t.Errorf("%s: %+v", status, c.Nodes)
		}
		w := model.Assemble(f, moment.Add(5*time.Minute), model.Options{})
		if s := w.Site("moka"); s == nil || s.Status != model.SiteUnknown || w.Looked() || w.Status < model.Unknown {
			t.Errorf("%s: %+v, status %s", status, s, w.Status)
		}
	}
	f := dead(model.SourceForbidden)
	open(t, dir).Facts(&f)
	if len(f.Clusters[0].Nodes.Items) != 0 {
		t.Error("what is forbidden now must not be shown from before")
	}
}

func TestServersAreKnown(t *testing.T) {
	got := strings.Join(open(t, kept(t)).Servers(), " ")
	if got != "100.64.0.4:6444 100.64.0.1" {
		t.Errorf("%q", got)
	}
}

func TestAnotherClusterIsAnother(t *testing.T) {
	dir := kept(t)
	for _, other := range [][2]string{{"home", "https://b:6443"}, {"Home", "https://a:6443"}, {"../home", "https://a:6443"}} {
		m, err := Open(dir, other[0], other[1], clock)
		if err != nil || len(m.before.Clusters) != 0 || filepath.Dir(m.path) != dir {
			t.Errorf("%v: %v %s", other, err, m.path)
		}
	}
}

func TestOnlyTheOwnerReads(t *testing.T) {
	dir := kept(t)
	for path, want := range map[string]os.FileMode{dir: 0o700, open(t, dir).path: 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
}

// A file that cannot be read is as good as none, and is written anew.
func TestHowItWasLookedAt(t *testing.T) {
	dir := t.TempDir()
	open := func() *Memory {
		m, err := Open(dir, "a", "b", time.Now)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	kept := map[string]string{"theme": "light"}
	if err := open().View(&kept); err != nil || kept["theme"] != "light" {
		t.Errorf("nothing kept: %v, %v", err, kept)
	}
	if err := open().KeepView(map[string]string{"theme": "mono"}); err != nil {
		t.Fatal(err)
	}
	if err := open().View(&kept); err != nil || kept["theme"] != "mono" {
		t.Errorf("kept: %v, %v", err, kept)
	}
	if err := os.WriteFile(open().viewPath(), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open().View(&kept); err == nil {
		t.Error("a broken file is no error")
	}
}

func TestBrokenFiles(t *testing.T) {
	dir := kept(t)
	path := open(t, dir).path
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"empty": nil, "cut": whole[:len(whole)/2], "noise": []byte("\x1f\x8bnoise"), "text": []byte("{}")} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := Open(dir, "home", "https://a:6443", clock)
		if err == nil || m == nil {
			t.Errorf("%s: read as if whole", name)
			continue
		}
		f := facts()
		m.Facts(&f)
		if err := m.save(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(open(t, dir).before.Clusters) != 1 {
			t.Errorf("%s: not written anew", name)
		}
	}
}

func TestNothingIncompleteIsKept(t *testing.T) {
	dir := kept(t)
	m := open(t, dir)
	for _, status := range []model.SourceStatus{model.SourceFailed, model.SourcePending} {
		f := dead(status)
		m.Facts(&f)
		if m.fresh {
			t.Errorf("%s: to be saved", status)
		}
	}
}

func TestOldStatesGo(t *testing.T) {
	dir := kept(t)
	for i := range maxStates + 5 {
		path := filepath.Join(dir, string(rune('a'+i))+".json.gz")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		past := moment.Add(-time.Duration(i) * time.Hour)
		if err := os.Chtimes(path, past, past); err != nil {
			t.Fatal(err)
		}
	}
	left := filepath.Join(dir, partPrefix+"crashed")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(left, moment, moment); err != nil {
		t.Fatal(err)
	}
	if err := tidy(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != maxStates {
		t.Errorf("%d files left: %v", len(entries), err)
	}
	if _, err := os.Stat(open(t, dir).path); err != nil {
		t.Error("the newest went")
	}
}

// Of a very large cluster the pods are left out, and the rest is remembered.
func TestVeryManyPodsAreLeftOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "geotop")
	m := open(t, dir)
	f := facts()
	c := &f.Clusters[0]
	for len(c.Pods.Items) <= maxPods {
		c.Pods.Items = append(c.Pods.Items, c.Pods.Items[0])
	}
	m.Facts(&f)
	if len(c.Pods.Items) <= maxPods {
		t.Error("they were taken out of what is shown, too")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m.Run(ctx, nil)
	f = dead(model.SourceFailed)
	open(t, dir).Facts(&f)
	if c := f.Clusters[0]; len(c.Nodes.Items) != 1 || len(c.Pods.Items) != 0 || c.Pods.Source.Status != model.SourceFailed {
		t.Errorf("%d nodes, %d pods, %s", len(c.Nodes.Items), len(c.Pods.Items), c.Pods.Source.Status)
	}
}
