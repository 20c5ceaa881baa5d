package model

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// told is the text of the reasons about the object.
func told(w *World, object string) string {
	var texts []string
	for _, r := range w.Reasons {
		if r.Object == object {
			texts = append(texts, r.Severity.String()+": "+r.Text)
		}
	}
	return strings.Join(texts, "; ")
}

func TestEtcdSnapshots(t *testing.T) {
	fresh := EtcdSnapshot{Name: "a", Node: "moka-1", At: ago(time.Hour), Ready: true}
	elsewhere := EtcdSnapshot{Name: "b", Node: "flacq-1", At: ago(2 * time.Hour), Ready: true}
	remote := EtcdSnapshot{Name: "c", Bucket: "backups", At: ago(2 * time.Hour), Ready: true}
	old := EtcdSnapshot{Name: "d", Node: "moka-1", At: ago(3 * 24 * time.Hour), Ready: true}
	failed := EtcdSnapshot{Name: "e", Node: "flacq-1", At: ago(time.Minute), Error: "no space left on device"}
	for _, tc := range []struct {
		name         string
		list         []EtcdSnapshot
		reason, hint string
	}{
		{"two houses", []EtcdSnapshot{fresh, elsewhere}, "", ""},
		{"in a bucket too", []EtcdSnapshot{fresh, remote}, "", ""},
		{"one house only", []EtcdSnapshot{fresh}, "", "every recent etcd snapshot of c lies in moka alone"},
		{"none", nil, "warning: there is no etcd snapshot", ""},
		{"old", []EtcdSnapshot{old}, "warning: the newest etcd snapshot is 3d old", ""},
		{"the last failed", []EtcdSnapshot{failed, fresh, elsewhere}, "warning: the newest etcd snapshot, on flacq-1, failed: no space left on device", ""},
		{"failed long ago", []EtcdSnapshot{fresh, elsewhere, {Name: "f", At: ago(5 * time.Hour), Error: "x"}}, "", ""},
	} {
		b := houses()
		b.c.EtcdSnapshots.Source = okSource(SourceEtcdSnapshots)
		for _, s := range tc.list {
			s.Cluster, s.Object = b.c.Name, "local-"+s.Name
			b.c.EtcdSnapshots.Items = append(b.c.EtcdSnapshots.Items, &s)
		}
		w := b.world()
		if got := told(w, "etcd/"+b.c.Name); !strings.HasPrefix(got, tc.reason) || (tc.reason == "") != (got == "") {
			t.Errorf("%s: %q", tc.name, got)
		}
		hints := strings.Join(w.Hints, "; ")
		if want := strings.Replace(tc.hint, " c ", " "+b.c.Name+" ", 1); !strings.HasPrefix(hints, want) || (want == "") != (hints == "") {
			t.Errorf("%s: hints %q", tc.name, hints)
		}
		if len(w.EtcdSnapshots) > 0 && w.EtcdSnapshots[0].Node == "moka-1" && w.EtcdSnapshots[0].Site != "moka" {
			t.Errorf("%s: not placed: %+v", tc.name, w.EtcdSnapshots[0])
		}
	}
	b := houses()
	b.c.EtcdSnapshots.Source = Source{Name: SourceEtcdSnapshots, Status: SourceForbidden, Optional: true}
	if w := b.world(); w.Status != OK {
		t.Errorf("what may not be read is not missing: %+v", w.Reasons)
	}
}

func TestDatastores(t *testing.T) {
	for _, tc := range []struct {
		args, role string
		want       Datastore
	}{
		{`["server"]`, "etcd", DatastoreEtcd},
		{`["server"]`, "", DatastoreSQLite},
		{`["server","--datastore-endpoint","********"]`, "", DatastoreExternal},
		{`["server","--datastore-endpoint=postgres://"]`, "", DatastoreExternal},
		{`["server","--datastore-endpoint=sqlite:///x"]`, "", DatastoreSQLite},
		{"", "", DatastoreKine},
		{`{"not":"a list"}`, "", DatastoreKine},
	} {
		b := newBuilder()
		roles := []string{"control-plane"}
		if tc.role != "" {
			roles = append(roles, tc.role)
		}
		n := b.node("moka", "moka-1", roles...)
		n.Kubelet, n.Annotations = "v1.36.3+k3s1", map[string]string{k3sArgs: tc.args}
		if got := b.world().Clusters[0].Datastore; got != tc.want {
			t.Errorf("%s with role %q is %s, not %s", tc.args, tc.role, got, tc.want)
		}
	}
}

func TestEtcdIsHeldAgainstItsLinks(t *testing.T) {
	for _, tc := range []struct {
		args    string
		rtt     float64
		problem string
	}{
		{`["server"]`, 0.4, ""},
		{`["server"]`, 0.6, "etcd voters 600 ms apart, more than a heartbeat (500 ms)"},
		{`["server","--etcd-arg","heartbeat-interval=1000","--etcd-arg=election-timeout=10000"]`, 0.6, ""},
		{`["server","--etcd-arg=heartbeat-interval=100"]`, 0.2, "etcd voters 200 ms apart, more than a heartbeat (100 ms)"},
		{`["server","--etcd-arg=election-timeout=1000"]`, 0.2, "etcd voters 200 ms apart, and an election timeout (1000 ms) of less than ten round trips"},
		{`["server","--etcd-arg=heartbeat-interval=soon","--etcd-arg"]`, 0.4, ""},
	} {
		b := houses()
		f := onTailnet(b)
		for _, n := range b.c.Nodes.Items {
			n.Annotations = map[string]string{k3sArgs: tc.args}
		}
		for _, p := range f.Peers.Items {
			f.answer(p.ID, tc.rtt)
		}
		w := b.worldOn(f)
		i := slices.IndexFunc(w.Links, func(l *Link) bool { return l.From != l.To })
		if i < 0 || w.Links[i].Problem != tc.problem {
			t.Errorf("%s at %v s: %+v", tc.args, tc.rtt, w.Links[max(0, i)])
		}
	}
}

func TestVersionSkew(t *testing.T) {
	for kubelet, want := range map[string]string{
		"v1.36.3+k3s1": "", "v1.36.1": "", "v1.33.9+k3s1": "", "nonsense": "", "": "",
		"v1.37.0+k3s1": "warning: its kubelet v1.37.0+k3s1 is newer than the API server's v1.36.3+k3s1: upgrade the servers first",
		"v1.32.9+k3s1": "warning: its kubelet v1.32.9+k3s1 is too old for the API server's v1.36.3+k3s1",
	} {
		b := houses()
		last := b.c.Nodes.Items[len(b.c.Nodes.Items)-1]
		last.Kubelet = kubelet
		w := b.world()
		if got := told(w, "node/"+last.Name); got != want {
			t.Errorf("kubelet %q: %q", kubelet, got)
		}
		if c := w.Clusters[0]; kubelet == "v1.36.1" && !slices.Equal(c.Kubelets, []KubeletVersion{{"v1.36.1", 1}, {"v1.36.3+k3s1", 8}}) {
			t.Errorf("kubelets: %+v", c.Kubelets)
		}
	}
	b := houses()
	b.c.Nodes.Items[0].Kubelet = "v1.36.2+k3s1"
	if w := b.world(); len(w.Hints) != 1 || w.Hints[0] != "the servers of test run different versions: v1.36.2+k3s1, v1.36.3+k3s1" {
		t.Errorf("hints %q", w.Hints)
	}
}

func TestEtcdSnapshotsAreHeldAgainstTheBucket(t *testing.T) {
	b := houses()
	b.c.EtcdSnapshots.Source = okSource(SourceEtcdSnapshots)
	add := func(name, endpoint string, ready bool) {
		b.c.EtcdSnapshots.Items = append(b.c.EtcdSnapshots.Items, &EtcdSnapshot{
			Cluster: "test", Object: "s3-" + name, Name: name, Bucket: "b", Endpoint: endpoint, Location: "s3://b/k3s/" + name, At: ago(time.Hour), Ready: ready,
		})
	}
	f := stored()
	f.Endpoint = "store:9000"
	for _, name := range []string{"there", "gone", "empty", "unasked", "failed"} {
		add(name, "store:9000", name != "failed")
	}
	add("there-too", "elsewhere:9000", true)
	for _, o := range []StoredObject{{Key: "k3s/there", There: true, Bytes: 9}, {Key: "k3s/gone"}, {Key: "k3s/empty", There: true}, {Key: "k3s/there-too", There: true, Bytes: 9}} {
		o.Bucket = "b"
		f.Objects = append(f.Objects, o)
	}
	w := Assemble(Facts{Clusters: []ClusterFacts{b.c}, Stores: []StoreFacts{f}}, moment, Options{})
	for _, s := range w.EtcdSnapshots {
		want := map[string]BackupState{"there": BackupVerified, "gone": BackupMissing, "failed": BackupNone}[s.Name]
		if want == "" {
			want = BackupClaimed
		}
		if s.State != want {
			t.Errorf("%s is %s", s.Name, s.State)
		}
	}
	if got := told(w, "etcd/test"); !strings.Contains(got, "1 etcd snapshots are not in the bucket") {
		t.Errorf("told %q", got)
	}
	if list := w.EtcdObjects("test"); len(list) != 5 || list[0].Key == "" {
		t.Errorf("%+v", list)
	}
}
