package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/geotop/geotop/collectors"
	"github.com/geotop/geotop/collectors/kube"
	"github.com/geotop/geotop/collectors/tailnet"
	"github.com/geotop/geotop/lab/longhorn"
	"github.com/geotop/geotop/lab/rig"
	"github.com/geotop/geotop/model"
)

// A clock that is off by more than any lease, on our side or on the cluster's: it
// makes ages wrong, and never a living house dark or a dead one alive.
func TestClocksThatDiffer(t *testing.T) {
	allWell(t)
	for name, off := range map[string]time.Duration{"ahead": 11 * time.Minute, "behind": -11 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			now := func() time.Time { return time.Now().Add(off) }
			cfg, err := rig.LoadConfig(shared.Kubeconfig("viewer"))
			if err != nil {
				t.Fatal(err)
			}
			c, err := kube.New(kube.Config{Name: "lab", Rest: cfg, Now: now})
			if err != nil {
				t.Fatal(err)
			}
			list := []collectors.Collector{c, tailnet.New(tailnet.Config{Transport: tailnet.Unix(shared.TailscaleSocket("moka-1")), PingEvery: 2 * time.Second, Now: now})}
			e := open(t, list...)
			look := func() *model.World { return e.set.World(now(), model.Options{SiteLabels: model.SiteLabels}) }
			wait := func(what string, right func(w *model.World) error) {
				t.Helper()
				ctx := within(t, patience)
				for {
					w := look()
					err := right(w)
					if err == nil {
						return
					}
					select {
					case <-ctx.Done():
						t.Fatalf("not %s: %v\n%s", what, err, describe(w))
					case <-e.set.Changed():
					case <-time.After(200 * time.Millisecond):
					}
				}
			}
			alive := func(w *model.World) error {
				for _, s := range w.Sites {
					if s.Status != model.SiteOK {
						return fmt.Errorf("%s is %s", s.Name, s.Status)
					}
				}
				if len(w.Sites) != 3 || !w.Settled() {
					return errors.New("not all there")
				}
				return nil
			}
			wait("all houses lit", alive)
			// They stay lit for longer than a lease lasts.
			for until := time.Now().Add(10 * time.Second); time.Now().Before(until); {
				if err := alive(look()); err != nil {
					t.Fatalf("a living house: %v\n%s", err, describe(look()))
				}
				select {
				case <-e.set.Changed():
				case <-time.After(300 * time.Millisecond):
				}
			}
			if err := shared.Cut(within(t, patience), "flacq"); err != nil {
				t.Fatal(err)
			}
			afterwards(t, allUp)
			afterwards(t, func(ctx context.Context) error { return shared.Restore(ctx, "flacq") })
			wait("one house dark", func(w *model.World) error {
				for _, s := range w.Sites {
					if (s.Status == model.SiteDark) != (s.Name == "flacq") {
						return fmt.Errorf("%s is %s", s.Name, s.Status)
					}
				}
				return nil
			})
		})
	}
}

// Objects that pass the API server's checks and make no sense: each is shown as
// what is known of it, the rest as ever, and no escape sequence gets through.
func TestObjectsThatMakeNoSense(t *testing.T) {
	allWell(t)
	dyn := dynamicClient(t)
	const esc = "\x1b]0;owned\x07\x1b[2J"
	lh := func(plural string) dynamic.ResourceInterface { return longhornKind(dyn, plural) }
	snapshots := dyn.Resource(schema.GroupVersionResource{Group: "k3s.cattle.io", Version: "v1", Resource: "etcdsnapshotfiles"})
	for _, o := range []struct {
		at     dynamic.ResourceInterface
		kind   string
		name   string
		spec   map[string]any
		status map[string]any
	}{
		{lh("volumes"), "longhorn.io/v1beta2 Volume", "nonsense", map[string]any{"size": "-12", "numberOfReplicas": int64(-3), "nodeID": esc, "frontend": "blockdev"}, map[string]any{
			"state": esc, "robustness": strings.Repeat("x", 5000), "lastBackupAt": "the day before", "actualSize": int64(-1) << 62, "currentNodeID": "../../etc",
			"kubernetesStatus": map[string]any{"pvcName": esc, "namespace": strings.Repeat("é", 3000), "workloadsStatus": nil},
		}},
		{lh("replicas"), "longhorn.io/v1beta2 Replica", "nonsense-r-0", map[string]any{"volumeName": "nonsense", "volumeSize": "99999999999999999999", "healthyAt": "soon", "failedAt": "never"}, map[string]any{"currentState": "perhaps", "port": int64(-1)}},
		{lh("replicas"), "longhorn.io/v1beta2 Replica", "nonsense-r-1", map[string]any{"volumeName": "no such volume", "nodeID": "moka-1"}, nil},
		{lh("engines"), "longhorn.io/v1beta2 Engine", "nonsense-e-0", map[string]any{"volumeName": "nonsense"}, map[string]any{
			"replicaModeMap": map[string]any{"nonsense-r-0": "RW?", "ghost": "RW"}, "rebuildStatus": map[string]any{"tcp://": map[string]any{"progress": int64(-500), "isRebuilding": true}},
		}},
		{lh("backups"), "longhorn.io/v1beta2 Backup", "nonsense-backup", map[string]any{"labels": map[string]any{"a": esc}}, map[string]any{
			"state": "Completed", "progress": int64(1000), "size": "lots", "snapshotCreatedAt": "0000-99-99", "volumeName": "nonsense", "url": "::", "error": esc,
		}},
		{lh("backupvolumes"), "longhorn.io/v1beta2 BackupVolume", "nonsense-bv", map[string]any{"volumeName": ""}, map[string]any{"size": "NaN", "lastBackupAt": "-"}},
		{lh("settings"), "longhorn.io/v1beta2 Setting", "nonsense-setting", nil, nil},
		{lh("snapshots"), "longhorn.io/v1beta2 Snapshot", "nonsense-snap", map[string]any{"volume": "nonsense"}, map[string]any{"creationTime": "x", "size": int64(-1)}},
		{snapshots, "k3s.cattle.io/v1 ETCDSnapshotFile", "nonsense-etcd", map[string]any{"snapshotName": esc, "nodeName": esc, "location": "s3://" + esc + "?secret=1"}, nil},
	} {
		version, kind, _ := strings.Cut(o.kind, " ")
		obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": version, "kind": kind, "metadata": map[string]any{"name": o.name}}}
		if o.spec != nil {
			obj.Object["spec"] = o.spec
		}
		if kind == "Setting" {
			obj.Object["value"] = "}{"
		}
		if _, err := o.at.Create(t.Context(), obj, metav1.CreateOptions{}); err != nil {
			t.Fatalf("%s: %v", o.kind, err)
		}
		afterwards(t, func(ctx context.Context) error { return o.at.Delete(ctx, o.name, metav1.DeleteOptions{}) })
		if o.status != nil {
			patch, err := json.Marshal(map[string]any{"status": o.status})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := o.at.Patch(t.Context(), o.name, types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
				t.Fatalf("status of %s: %v", o.kind, err)
			}
		}
	}
	annotate(t, "moka-1", map[string]any{"k3s.io/node-args": `{"not":"a list"}` + esc, "etcd.k3s.cattle.io/node-address": "not an address"})

	e := look(t, shared.Kubeconfig("viewer"))
	w := e.until("all of it read", func(w *model.World) error {
		if !w.Settled() || len(w.Volumes) != 5 || volume(w, "code-home").Healthy != 2 {
			return fmt.Errorf("%d volumes", len(w.Volumes))
		}
		return nil
	})
	for _, s := range w.Sources {
		if s.Status != model.SourceOK && s.Status != model.SourceAbsent && !s.Optional {
			t.Errorf("%s suffers: %s %s", s.Name, s.Status, s.Error)
		}
	}
	for _, v := range w.Volumes {
		if v.Name == "nonsense" && (v.Severity() == model.OK || v.Healthy != 0) {
			t.Errorf("a volume without sense is well: %+v", v)
		}
		if v.Name != "nonsense" && v.Severity() != model.OK {
			t.Errorf("%s suffers: %v", v.PVC, v.Problems)
		}
	}
	for _, o := range []string{"table", "wide", "nagios", "name", "yaml", "json"} {
		out, errs, code := once(t, nil, "--kubeconfig", shared.Kubeconfig("viewer"), "--no-ping", "-o", o)
		if code != 0 || strings.ContainsRune(out, 0x1b) {
			t.Errorf("-o %s: exit code %d, %s; escape sequences: %v", o, code, errs, strings.ContainsRune(out, 0x1b))
		}
	}
	s := start(t, 120, 40, nil, "--kubeconfig", shared.Kubeconfig("viewer"), "--no-ping")
	shows(t, s, "curepipe")
	for _, key := range []string{"4", "5", "1"} {
		if err := s.Type(key); err != nil {
			t.Fatal(err)
		}
		shows(t, s, "RO")
	}
	leaves(t, s)
}

// annotate sets annotations of a node until the test is over.
func annotate(t *testing.T, node string, with map[string]any) {
	t.Helper()
	before, err := client.CoreV1().Nodes().Get(t.Context(), node, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	set := func(ctx context.Context, to map[string]any) error {
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": to}})
		if err != nil {
			return err
		}
		_, err = client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	}
	old := map[string]any{}
	for k := range with {
		old[k] = nil
		if v, ok := before.Annotations[k]; ok {
			old[k] = v
		}
	}
	afterwards(t, func(ctx context.Context) error { return set(ctx, old) })
	if err := set(t.Context(), with); err != nil {
		t.Fatal(err)
	}
}

func longhornKind(dyn dynamic.Interface, plural string) dynamic.ResourceInterface {
	return dyn.Resource(schema.GroupVersionResource{Group: "longhorn.io", Version: "v1beta2", Resource: plural}).Namespace(longhorn.Namespace)
}

func dynamicClient(t *testing.T) dynamic.Interface {
	t.Helper()
	cfg, err := shared.RestConfig("admin")
	if err != nil {
		t.Fatal(err)
	}
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return dyn
}
