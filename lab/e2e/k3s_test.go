package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/geotop/geotop/model"
)

// k3s's own list of etcd snapshots, by its own CRD: fresh ones at first, then one
// that failed.
func TestEtcdSnapshots(t *testing.T) {
	allWell(t)
	e := look(t, shared.Kubeconfig("viewer"))
	w := e.until("snapshots", func(w *model.World) error {
		if len(w.EtcdSnapshots) != 3 || !w.Settled() {
			return fmt.Errorf("%d snapshots", len(w.EtcdSnapshots))
		}
		return nil
	})
	for _, s := range w.EtcdSnapshots {
		if !s.Ready || s.Size != 6385<<10 || s.Site == "" || !strings.HasPrefix(s.Node, s.Site) || w.At.Sub(s.At) > time.Hour {
			t.Errorf("%+v", s)
		}
	}
	c := w.Clusters[0]
	if len(c.Members) != 3 || c.Members[0].Address == "" || !c.Members[0].Voter || c.Heartbeat != 0.5 || c.Election != 5 || len(c.Kubelets) != 1 {
		t.Errorf("%+v", c)
	}
	server, err := client.CoreV1().Nodes().Get(t.Context(), "flacq-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	remove, err := shared.AddEtcdSnapshot(t.Context(), server, time.Now().Add(time.Second), "no space left on device")
	if err != nil {
		t.Fatal(err)
	}
	afterwards(t, func(ctx context.Context) error { return remove(ctx) })
	e.until("one failed", func(w *model.World) error {
		for _, r := range w.Reasons {
			if r.Object == "etcd/lab" && strings.HasSuffix(r.Text, "on flacq-1, failed: no space left on device") {
				return nil
			}
		}
		return fmt.Errorf("status %s", w.Status)
	})
}

// A snapshot that k3s keeps in the bucket is there, and then is not.
func TestEtcdSnapshotsInTheBucket(t *testing.T) {
	allWell(t)
	e := lookIn(t, nil)
	key, remove, err := shared.StoreEtcdSnapshot(t.Context(), "moka-1", time.Now().Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	afterwards(t, remove)
	is := func(want model.BackupState) func(w *model.World) error {
		return func(w *model.World) error {
			for _, s := range w.EtcdSnapshots {
				if s.Key() == key {
					if s.State == want && s.Site == "" {
						return nil
					}
					return fmt.Errorf("%+v", s)
				}
			}
			return errors.New("not listed")
		}
	}
	e.until("verified", is(model.BackupVerified))
	if err := bucketClient(t).RemoveObject(t.Context(), shared.BucketName(), key, minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	w := e.until("missing", is(model.BackupMissing))
	if !strings.Contains(describe(w), "1 etcd snapshots are not in the bucket") || w.Status != model.Warning {
		t.Error(describe(w))
	}
}
