package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/geotop/geotop/collectors/objectstore"
	"github.com/geotop/geotop/lab/longhorn"
	"github.com/geotop/geotop/model"
)

// lookIn is look with the bucket; secret changes the credentials when not nil.
func lookIn(t testing.TB, secret func(map[string][]byte)) *eye {
	t.Helper()
	return lookDeep(t, 0, secret)
}

// lookDeep is lookIn that reads blocks, too.
func lookDeep(t testing.TB, blocks int, secret func(map[string][]byte)) *eye {
	t.Helper()
	c := reader(t, shared.Kubeconfig("viewer"))
	return open(t, c, objectstore.New(objectstore.Config{Every: time.Second, Deep: blocks, Secret: func(ctx context.Context, _, name string) (map[string][]byte, error) {
		data, err := c.Secret(ctx, name)
		if err == nil && secret != nil {
			secret(data)
		}
		return data, err
	}}))
}

func backupIs(claim string, want model.BackupState) func(w *model.World) error {
	return func(w *model.World) error {
		if got := volume(w, claim).Backup.State; got != want {
			return fmt.Errorf("the backup of %s is %q", claim, got)
		}
		return nil
	}
}

// object reads an object of the bucket and puts it back when the test ends.
func object(t *testing.T, key string) []byte {
	t.Helper()
	bucket := bucketClient(t)
	body := get(t, bucket, key)
	afterwards(t, func(ctx context.Context) error { return put(ctx, bucket, key, body) })
	return body
}

func get(t testing.TB, bucket *minio.Client, key string) []byte {
	t.Helper()
	o, err := bucket.GetObject(t.Context(), shared.BucketName(), key, minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(o)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func bucketClient(t testing.TB) *minio.Client {
	t.Helper()
	bucket, err := shared.Bucket()
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

func put(ctx context.Context, bucket *minio.Client, key string, body []byte) error {
	_, err := bucket.PutObject(ctx, shared.BucketName(), key, bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{})
	return err
}

// A backup deleted from the bucket by hand, and one that is damaged there.
func TestBackupsAreLookedFor(t *testing.T) {
	allWell(t)
	e := lookIn(t, nil)
	w := e.until("verified", func(w *model.World) error {
		if len(w.Volumes) != 4 {
			return fmt.Errorf("%d volumes", len(w.Volumes))
		}
		for _, v := range w.Volumes {
			if v.Backup.State != model.BackupVerified {
				return fmt.Errorf("%s is %s", v.PVC, v.Backup.State)
			}
		}
		return nil
	})
	if h := w.Stores[0].Health; h == nil || !h.Writable || !h.Readable || h.WriteQuorum != 2 {
		t.Errorf("health of the store: %+v", h)
	}
	v := volume(w, "code-home")
	key := longhorn.BackupKey(v.Name, v.Backup.Name)
	whole := object(t, key)
	bucket := bucketClient(t)
	if err := bucket.RemoveObject(t.Context(), shared.BucketName(), key, minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	w = e.until("missing", backupIs("code-home", model.BackupMissing))
	if w.Status != model.Critical || volume(w, "nextcloud-data").Backup.State != model.BackupVerified {
		t.Errorf("%s", describe(w))
	}
	out, errs, code := once(t, nil, "--kubeconfig", shared.Kubeconfig("viewer"), "--check", "-o", `jsonpath={range .volumes[*]}{.pvc}={.lastBackup.state} {end}`)
	if code != 2 || !strings.Contains(out, "code-home=missing") || !strings.Contains(out, "data-redis-0=verified") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	for what, body := range map[string][]byte{
		"cut off": whole[:60], "of another volume": bytes.ReplaceAll(whole, []byte(v.Name), []byte("pvc-other")), "noise": []byte("\x1b[31m not JSON"),
	} {
		if err := put(t.Context(), bucket, key, body); err != nil {
			t.Fatal(err)
		}
		w = e.until(what, backupIs("code-home", model.BackupUnreadable))
		if text := volume(w, "code-home").Backup.Error; text == "" || strings.Contains(text, "\x1b") {
			t.Errorf("%s: %q", what, text)
		}
		if err := put(t.Context(), bucket, key, whole); err != nil {
			t.Fatal(err)
		}
		e.until("verified again", backupIs("code-home", model.BackupVerified))
	}
}

// A backup whose file is whole and whose blocks are not, which only a deep look
// tells; and blocks that no backup needs.
func TestBlocksAreLookedFor(t *testing.T) {
	allWell(t)
	e := lookDeep(t, objectstore.All, nil)
	blocks := func(claim string, want model.BlockCheck) func(w *model.World) error {
		return func(w *model.World) error {
			v := volume(w, claim)
			for _, b := range w.Backups {
				if b.Name != v.Backup.Name {
					continue
				}
				if c := w.BlocksSeen(b); c != nil {
					got := *c
					if got.At = (time.Time{}); got == want {
						return nil
					}
					return fmt.Errorf("%+v, %s", got, v.Backup.Error)
				}
			}
			return errors.New("not looked at")
		}
	}
	w := e.until("all there", blocks("code-home", model.BlockCheck{Blocks: 8, Read: 8}))
	v := volume(w, "code-home")
	bucket := bucketClient(t)
	var keys []string
	for o := range bucket.ListObjectsIter(t.Context(), shared.BucketName(), minio.ListObjectsOptions{Prefix: longhorn.VolumeFolder(v.Name) + "blocks/", Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		keys = append(keys, o.Key)
	}
	if len(keys) != 8 {
		t.Fatalf("%d blocks in the bucket", len(keys))
	}
	whole := object(t, keys[0])
	other := object(t, keys[1])
	if err := put(t.Context(), bucket, keys[0], other); err != nil {
		t.Fatal(err)
	}
	e = lookDeep(t, objectstore.All, nil) // what was well within the hour is not looked at again
	e.until("damaged", blocks("code-home", model.BlockCheck{Blocks: 8, Read: 8, Damaged: 1}))
	w = e.until("told", backupIs("code-home", model.BackupUnreadable))
	if text := volume(w, "code-home").Backup.Error; !strings.Contains(text, "holds something else") || w.Status != model.Critical {
		t.Errorf("%q, %s", text, w.Status)
	}
	if err := put(t.Context(), bucket, keys[0], []byte("noise")); err != nil {
		t.Fatal(err)
	}
	e.until("noise", func(w *model.World) error {
		if text := volume(w, "code-home").Backup.Error; !strings.Contains(text, "cannot be unpacked") {
			return errors.New(text)
		}
		return nil
	})
	if err := bucket.RemoveObject(t.Context(), shared.BucketName(), keys[0], minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	e.until("missing", blocks("code-home", model.BlockCheck{Blocks: 8, Missing: 1, Read: 7}))
	out, errs, code := once(t, nil, "--kubeconfig", shared.Kubeconfig("viewer"), "--deep", "--check", "-o", `jsonpath={range .volumes[?(@.pvc=="code-home")]}{.lastBackup.state}: {.lastBackup.error}{end}`)
	if code != 2 || strings.TrimSpace(out) != "unreadable: 1 of its 8 blocks are not in the bucket" {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	if err := put(t.Context(), bucket, keys[0], whole); err != nil {
		t.Fatal(err)
	}
	e.until("well again", backupIs("code-home", model.BackupVerified))

	stray := longhorn.BlockKey("pvc-long-gone", strings.Repeat("ab", 32))
	if err := put(t.Context(), bucket, stray, whole); err != nil {
		t.Fatal(err)
	}
	afterwards(t, func(ctx context.Context) error {
		return bucket.RemoveObject(ctx, shared.BucketName(), stray, minio.RemoveObjectOptions{})
	})
	lookIn(t, nil).until("orphans", func(w *model.World) error {
		if !slices.ContainsFunc(w.Hints, func(h string) bool { return strings.Contains(h, "of pvc-long-gone") }) {
			return fmt.Errorf("hints %q", w.Hints)
		}
		return nil
	})
}

// A new backup is claimed first and verified soon after.
func TestNewBackupIsVerified(t *testing.T) {
	e := lookIn(t, nil)
	w := e.until("verified", backupIs("data-redis-0", model.BackupVerified))
	old := volume(w, "data-redis-0")
	dyn := dynamicClient(t)
	for _, err := range []error{
		made(t, dyn, "snapshots", "Snapshot", "geotop-test-1", nil, map[string]any{"volume": old.Name, "createSnapshot": true}),
		made(t, dyn, "backups", "Backup", "backup-geotop-test-1", map[string]string{"backup-volume": old.Name, "backup-target": "default"},
			map[string]any{"snapshotName": "geotop-test-1", "backupMode": "incremental"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	e.until("under way", func(w *model.World) error {
		if v := volume(w, "data-redis-0"); v.Running == nil && v.Backup.Name == old.Backup.Name {
			return errors.New("no backup runs")
		}
		return nil
	})
	e.until("whole and verified", func(w *model.World) error {
		v := volume(w, "data-redis-0")
		if v.Backup.Name != "backup-geotop-test-1" || v.Backup.State != model.BackupVerified {
			return fmt.Errorf("%s is %s", v.Backup.Name, v.Backup.State)
		}
		if s := v.Snapshots; s == nil || s.Count != 1 || s.Size == 0 || s.Newest.IsZero() {
			return fmt.Errorf("snapshots: %+v", s)
		}
		return nil
	})
}

// MinIO's own word on its servers, and on which of them it could do without.
func TestServersOfTheStore(t *testing.T) {
	allWell(t)
	e := lookIn(t, nil)
	servers := func(online int, spare bool) func(w *model.World) error {
		return func(w *model.World) error {
			if len(w.Stores) == 0 || w.Stores[0].MinIO == nil {
				return errors.New("nothing is told")
			}
			c := w.Stores[0].MinIO
			if len(c.Servers) != 3 || c.Online() != online || c.Parity != 1 {
				return fmt.Errorf("%d of %d servers online, parity %d", c.Online(), len(c.Servers), c.Parity)
			}
			for _, s := range c.Servers {
				if s.Online && (s.Spare == nil || *s.Spare != spare || len(s.Drives) != 1 || !s.Drives[0].Good() || s.Drives[0].Total <= s.Drives[0].Available) {
					return fmt.Errorf("%+v", s)
				}
			}
			return nil
		}
	}
	e.until("all there", servers(3, true))
	house := shared.Houses()[2]
	if err := shared.StopStore(house); err != nil {
		t.Fatal(err)
	}
	afterwards(t, func(context.Context) error { return shared.StartStore(house) })
	w := e.until("one away", servers(2, false))
	gone := strings.TrimPrefix(shared.StoreEndpoint(2), "http://")
	if !slices.ContainsFunc(w.Reasons, func(r model.Reason) bool {
		return r.Object == "store/default" && r.Text == "its server "+gone+" is offline"
	}) {
		t.Error(describe(w))
	}
	if err := shared.StartStore(house); err != nil {
		t.Fatal(err)
	}
	e.until("all there again", servers(3, true))
}

// The store loses its quorum: that is said, and hides nothing else.
func TestStoreLosesItsQuorum(t *testing.T) {
	allWell(t)
	e := lookIn(t, nil)
	e.until("verified", backupIs("code-home", model.BackupVerified))
	for _, house := range shared.Houses()[1:] {
		if err := shared.StopStore(house); err != nil {
			t.Fatal(err)
		}
		afterwards(t, func(context.Context) error { return shared.StartStore(house) })
	}
	w := e.until("without quorum", func(w *model.World) error {
		if h := w.Stores[0].Health; h == nil || h.Readable || h.Writable {
			return fmt.Errorf("health %+v, %s", h, w.Stores[0].Source.Error)
		}
		return nil
	})
	if s := source(w, model.SourceVolumes); s.Status != model.SourceOK || w.Status != model.Critical {
		t.Errorf("%s", describe(w))
	}
	if v := volume(w, "code-home"); v.Backup.State == model.BackupMissing {
		t.Error("what cannot be looked at must not be called missing")
	}
	for _, house := range shared.Houses()[1:] {
		if err := shared.StartStore(house); err != nil {
			t.Fatal(err)
		}
	}
	e.until("well again", func(w *model.World) error {
		if h := w.Stores[0].Health; h == nil || !h.Readable || w.Stores[0].Source.Status != model.SourceOK {
			return fmt.Errorf("health %+v, %s", h, w.Stores[0].Source.Error)
		}
		return backupIs("code-home", model.BackupVerified)(w)
	})
}

// Credentials that are wrong, missing, or lead nowhere.
func TestStoresThatCannotBeLookedAt(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil  func(map[string][]byte)
		status model.SourceStatus
		text   string
	}{
		"wrong key": {func(d map[string][]byte) { d["AWS_SECRET_ACCESS_KEY"] = []byte("planted-wrong-key") }, model.SourceForbidden, "refuses our credentials"},
		"no key":    {func(d map[string][]byte) { delete(d, "AWS_SECRET_ACCESS_KEY") }, model.SourceFailed, "has no AWS_ACCESS_KEY_ID"},
		"closed":    {func(d map[string][]byte) { d["AWS_ENDPOINTS"] = []byte("http://" + closedPort(t)) }, model.SourceFailed, "connection refused"},
		"not TLS": {func(d map[string][]byte) {
			d["AWS_ENDPOINTS"] = []byte(strings.Replace(shared.StoreEndpoint(0), "http:", "https:", 1))
		}, model.SourceFailed, "HTTPS"},
		"bad CA": {func(d map[string][]byte) { d["AWS_CERT"] = []byte("nonsense") }, model.SourceFailed, "no PEM certificate"},
		"no URL": {func(d map[string][]byte) { d["AWS_ENDPOINTS"] = []byte("http://[::") }, model.SourceFailed, "no URL"},
	} {
		t.Run(name, func(t *testing.T) {
			e := lookIn(t, tc.spoil)
			w := e.until("judged", func(w *model.World) error {
				if s := source(w, "store/default"); s.Name == "" || !w.Settled() {
					return errors.New("not yet")
				}
				return nil
			})
			s := source(w, "store/default")
			if s.Status != tc.status || !strings.Contains(s.Error, tc.text) || strings.Contains(s.Error, "planted") {
				t.Errorf("%s: %q", s.Status, s.Error)
			}
			if w.Status != model.Unknown || volume(w, "code-home").Backup.State != model.BackupClaimed {
				t.Errorf("%s: %s", volume(w, "code-home").Backup.State, describe(w))
			}
		})
	}
}

// A hundred volumes of thirty backups each are found in little more than a
// hundred listings, however many blocks they have.
func TestFewListings(t *testing.T) {
	const volumes, backups, blocks, prefix = 100, 30, 4, "many/"
	bucket := bucketClient(t)
	var g errgroup.Group
	g.SetLimit(8)
	for v := range volumes {
		name := fmt.Sprintf("pvc-%04d", v)
		dir := prefix + longhorn.VolumeFolder(name)
		keys := []string{dir + "volume.cfg"}
		for b := range backups {
			keys = append(keys, fmt.Sprintf("%sbackups/backup_backup-%04d.cfg", dir, b))
		}
		for b := range blocks {
			keys = append(keys, fmt.Sprintf("%sblocks/%02x/%02x/%064x.blk", dir, b, v, b))
		}
		for _, key := range keys {
			g.Go(func() error {
				body := "{}"
				if file, ok := strings.CutPrefix(key, dir+"backups/backup_"); ok {
					body = fmt.Sprintf(`{"Name":%q,"VolumeName":%q,"SnapshotCreatedAt":"2026-03-01T00:00:00Z","CreatedTime":"2026-03-01T00:01:00Z","Size":"1"}`, strings.TrimSuffix(file, ".cfg"), name)
				}
				return put(t.Context(), bucket, key, []byte(body))
			})
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	afterwards(t, func(ctx context.Context) error {
		for err := range bucket.RemoveObjects(ctx, shared.BucketName(), bucket.ListObjects(ctx, shared.BucketName(), minio.ListObjectsOptions{Prefix: prefix, Recursive: true}), minio.RemoveObjectsOptions{}) {
			return err.Err
		}
		return nil
	})
	c := reader(t, shared.Kubeconfig("viewer"))
	store := objectstore.New(objectstore.Config{Every: time.Second, Secret: func(ctx context.Context, _, name string) (map[string][]byte, error) { return c.Secret(ctx, name) }})
	e := open(t, c, elsewhere{store, "s3://" + shared.BucketName() + "@us-east-1/" + prefix})
	w := e.until("scanned", func(w *model.World) error {
		if len(w.Stores) == 0 || len(w.Stores[0].Backups) != volumes*backups {
			return errors.New("not yet")
		}
		return nil
	})
	f := w.Stores[0]
	t.Logf("%d volumes of %d backups: %d listings, %d reads", volumes, backups, f.Lists, f.Reads)
	if f.Lists > 110 || slices.ContainsFunc(f.Backups, func(b model.StoredBackup) bool { return !b.Read || !b.Done }) {
		t.Errorf("%d listings", f.Lists)
	}
	cold := f.Scanned
	w = e.until("scanned again", func(w *model.World) error {
		if !w.Stores[0].Scanned.After(cold) {
			return errors.New("not yet")
		}
		return nil
	})
	again := w.Stores[0]
	t.Logf("again: %d listings, %d reads", again.Lists, again.Reads)
	if again.Lists > 20 || again.Reads > 3*volumes || len(again.Backups) != volumes*backups {
		t.Errorf("%d listings, %d reads, %d backups although nothing changed", again.Lists, again.Reads, len(again.Backups))
	}
}

// elsewhere has a store's collector look at another target.
type elsewhere struct {
	*objectstore.Collector
	url string
}

func (s elsewhere) Follow(w *model.World) bool {
	other := *w
	other.BackupTargets = nil
	for _, t := range w.BackupTargets {
		moved := *t
		moved.URL = s.url
		other.BackupTargets = append(other.BackupTargets, &moved)
	}
	return s.Collector.Follow(&other)
}
