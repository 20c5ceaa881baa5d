package e2e

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/lifecycle"

	"github.com/geotop/geotop/collectors/objectstore"
	"github.com/geotop/geotop/lab/longhorn"
	"github.com/geotop/geotop/lab/rig"
	"github.com/geotop/geotop/model"
)

// A bucket that others use too: what is theirs neither hides our backups nor
// makes finding them dear.
func TestForeignKeys(t *testing.T) {
	const foreign, name = 100_000, "shared-with-others"
	bucket := bucketClient(t)
	if err := bucket.MakeBucket(t.Context(), name, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	const like = "photos/first.jpg"
	if _, err := bucket.PutObject(t.Context(), name, like, strings.NewReader("x"), 1, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := shared.PlantObjects(name, like, func(yield func(string) bool) {
		for i := range foreign {
			key := fmt.Sprintf("photos/%03d/%05d.jpg", i%100, i)
			if i%2 == 0 { // in the midst of ours
				key = fmt.Sprintf("backupstore/volumes/de/strange-%05d", i)
			}
			if !yield(key) {
				return
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	c := reader(t, shared.Kubeconfig("viewer"))
	// The newest backup of each is known when all have been read and none is under way.
	w := open(t, c).until("settled, with no backup under way", func(w *model.World) error {
		if !w.Settled() || len(w.Volumes) != 4 {
			return fmt.Errorf("%d volumes", len(w.Volumes))
		}
		for _, v := range w.Volumes {
			if v.Backup.Name == "" || v.Running != nil {
				return fmt.Errorf("%s: newest backup %q, under way: %v", v.PVC, v.Backup.Name, v.Running != nil)
			}
		}
		return nil
	})
	for _, v := range w.Volumes {
		key := longhorn.BackupKey(v.Name, v.Backup.Name)
		body := get(t, bucket, key)
		if _, err := bucket.PutObject(t.Context(), name, key, bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	store := objectstore.New(objectstore.Config{Every: time.Second, Secret: func(ctx context.Context, _, name string) (map[string][]byte, error) { return c.Secret(ctx, name) }})
	w = open(t, reader(t, shared.Kubeconfig("viewer")), elsewhere{store, "s3://" + name + "@us-east-1/"}).until("verified", func(w *model.World) error {
		if len(w.Volumes) != 4 || len(w.Stores) != 1 {
			return fmt.Errorf("%d volumes, %d stores", len(w.Volumes), len(w.Stores))
		}
		for _, v := range w.Volumes {
			if v.Backup.State != model.BackupVerified {
				return fmt.Errorf("%s is %s", v.PVC, v.Backup.State)
			}
		}
		return nil
	})
	f := w.Stores[0]
	t.Logf("%d foreign keys: %d listings, %d reads", foreign, f.Lists, f.Reads)
	if f.Lists < 50 || f.Lists > 70 || len(f.Backups) != 4 {
		t.Errorf("%d listings for %d backups", f.Lists, len(f.Backups))
	}
}

// A store behind TLS is believed only when its certificate is signed by whom the
// Secret names.
func TestStoreBehindTLS(t *testing.T) {
	to, err := url.Parse(shared.StoreEndpoint(0))
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host }}
	srv := httptest.NewUnstartedServer(proxy)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	there := func(d map[string][]byte) { d["AWS_ENDPOINTS"] = []byte(srv.URL) }
	e := lookIn(t, there)
	w := e.until("refused", func(w *model.World) error {
		if s := source(w, "store/default"); s.Status != model.SourceFailed || !strings.Contains(s.Error, "unknown authority") {
			return fmt.Errorf("%s: %s", s.Status, s.Error)
		}
		return nil
	})
	if w.Status != model.Unknown || source(w, model.SourceVolumes).Status != model.SourceOK {
		t.Error(describe(w))
	}
	e = lookIn(t, func(d map[string][]byte) {
		there(d)
		d["AWS_CERT"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	})
	w = e.until("verified", backupIs("code-home", model.BackupVerified))
	if h := w.Stores[0].Health; !w.Stores[0].TLS || h == nil || !h.Writable {
		t.Errorf("%+v, health %+v", w.Stores[0], h)
	}
}

// A store, and a daemon, that take every connection and never say a word: the
// rest is on the screen while they are still waited for, and stays.
func TestSourcesThatHang(t *testing.T) {
	allWell(t)
	proxy, err := rig.NewProxy(strings.TrimPrefix(shared.StoreEndpoint(0), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	proxy.Set(rig.Slow{Hang: true})
	socket := mute(t)
	s := start(t, 120, 40, nil, "--kubeconfig", shared.Kubeconfig("viewer"), "--s3-endpoint", "http://"+proxy.Address(), "--tailscale-socket", socket)
	shows(t, s, "curepipe", "24 pods ready", "store …", "tailnet …")
	shows(t, s, "store down", "tailnet down", "no answer in time", "api ok", "longhorn ok")
	if strings.Contains(s.Screen(), "all is well") {
		t.Errorf("all is well, it says:\n%s", s.Screen())
	}
	leaves(t, s)
	proxy.Set(rig.Slow{})
	out, errs, code := once(t, nil, "--kubeconfig", shared.Kubeconfig("viewer"), "--s3-endpoint", "http://"+proxy.Address(), "--no-ping", "-o", "jsonpath={.volumes[*].lastBackup.state}")
	if code != 0 || out != "verified verified verified verified\n" {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
}

// mute is a socket that takes connections and never answers.
func mute(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gt") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); os.RemoveAll(dir) })
	return l.Addr().String() // the kernel takes connections by itself
}

// A store that is not MinIO tells what plain S3 tells: whether backups are there
// and whole. Its health is not known, and not made up.
func TestStoreThatIsNotMinIO(t *testing.T) {
	allWell(t)
	lookIn(t, nil).until("verified", backupIs("code-home", model.BackupVerified))
	plain, url, err := shared.StartPlainStore(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	e := lookDeep(t, 4, func(d map[string][]byte) { d["AWS_ENDPOINTS"] = []byte(url) })
	w := e.until("every backup verified", func(w *model.World) error {
		if len(w.Volumes) != 4 {
			return fmt.Errorf("%d volumes", len(w.Volumes))
		}
		for _, v := range w.Volumes {
			if v.Backup.State != model.BackupVerified {
				return fmt.Errorf("%s: %s", v.PVC, v.Backup.State)
			}
		}
		return nil
	})
	if s := w.Stores[0]; s.Health != nil || s.MinIO != nil || s.Lists > 2*4+1 { // once more for each volume, for its blocks
		t.Errorf("health %+v, servers %+v, %d listings", s.Health, s.MinIO, s.Lists)
	}
	if s := source(w, "store/default"); s.Status != model.SourceOK || s.Error != "" || w.Status != model.OK {
		t.Error(describe(w))
	}
	v := volume(w, "code-home")
	if err := plain.RemoveObject(t.Context(), shared.BucketName(), longhorn.BackupKey(v.Name, v.Backup.Name), minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	lookIn(t, func(d map[string][]byte) { d["AWS_ENDPOINTS"] = []byte(url) }).until("missing", backupIs("code-home", model.BackupMissing))
}

// A rule of the bucket that tidies up by age deletes blocks that new backups need.
func TestLifecycleRules(t *testing.T) {
	allWell(t)
	bucket := bucketClient(t)
	none := lifecycle.NewConfiguration()
	afterwards(t, func(ctx context.Context) error { return bucket.SetBucketLifecycle(ctx, shared.BucketName(), none) })
	w := lookIn(t, nil).until("scanned", backupIs("code-home", model.BackupVerified))
	if r := w.Stores[0].Rules; r == nil || r.Versioned || len(r.Expiry) != 0 {
		t.Errorf("no rules at first: %+v", r)
	}
	cfg := lifecycle.NewConfiguration()
	cfg.Rules = []lifecycle.Rule{
		{ID: "tidy", Status: "Enabled", Expiration: lifecycle.Expiration{Days: 90}},
		{ID: "off", Status: "Disabled", Expiration: lifecycle.Expiration{Days: 1}},
		{ID: "photos", Status: "Enabled", RuleFilter: lifecycle.Filter{Prefix: "photos/"}, Expiration: lifecycle.Expiration{Days: 1}},
	}
	if err := bucket.SetBucketLifecycle(t.Context(), shared.BucketName(), cfg); err != nil {
		t.Fatal(err)
	}
	w = lookIn(t, nil).until("scanned", backupIs("code-home", model.BackupVerified))
	said := 0
	for _, r := range w.Reasons {
		if strings.Contains(r.Text, `lifecycle rule "tidy"`) && strings.Contains(r.Text, "90 days old") {
			said++
		}
	}
	if said != 1 || len(w.Reasons) != 1 {
		t.Error(describe(w))
	}
}
