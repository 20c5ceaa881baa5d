package objectstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/errgroup"

	"github.com/geotop/geotop/model"
)

const (
	dialTimeout  = 3 * time.Second
	replyTimeout = 10 * time.Second
	readTimeout  = 10 * time.Second
	pageSize     = 64   // keys a listing request: more than most volumes have backups
	strangePage  = 1000 // where many keys are none of Longhorn's
	headBytes    = 8192 // of a backup's file: everything before its blocks
	readers      = 6    // files read at a time
	maxObjects   = 200_000
)

// bucket is one S3 bucket under a backup target's URL.
type bucket struct {
	client                 *minio.Client
	transport              http.RoundTripper
	counter                *counter
	base                   string // URL of the endpoint
	tls                    bool
	endpoint, name, prefix string
	accessKey, secretKey   string
}

// counter counts requests by what they are for.
type counter struct {
	next         http.RoundTripper
	lists, reads atomic.Int64
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet && r.URL.Query().Has("list-type") {
		c.lists.Add(1)
	} else {
		c.reads.Add(1)
	}
	return c.next.RoundTrip(r)
}

// openBucket reads a target's URL (s3://bucket@region/path/) and the credentials
// Longhorn keeps for it. A transport of nil makes a real one.
func openBucket(target string, secret map[string][]byte, override string, transport http.RoundTripper) (*bucket, error) {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "s3" {
		return nil, fmt.Errorf("%w: %s", errTarget, model.Clean(target, 100))
	}
	b := &bucket{name: u.Host, prefix: strings.TrimPrefix(u.Path, "/")}
	region := "us-east-1"
	if u.User != nil { // bucket@region reads as user@host
		b.name, region = u.User.Username(), u.Host
	}
	if b.prefix != "" && !strings.HasSuffix(b.prefix, "/") {
		b.prefix += "/"
	}
	text := func(key string) string { return strings.TrimSpace(string(secret[key])) }
	endpoint := override
	if endpoint == "" {
		endpoint = text("AWS_ENDPOINTS")
	}
	lookup := minio.BucketLookupPath
	if endpoint == "" {
		endpoint, lookup = "https://s3."+region+".amazonaws.com", minio.BucketLookupDNS
	}
	if text("VIRTUAL_HOSTED_STYLE") == "true" {
		lookup = minio.BucketLookupDNS
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	e, err := url.Parse(endpoint)
	if err != nil || e.Host == "" {
		return nil, errors.New("the endpoint in the credentials is no URL")
	}
	if text("AWS_ACCESS_KEY_ID") == "" || text("AWS_SECRET_ACCESS_KEY") == "" {
		return nil, errors.New("the secret has no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	b.endpoint, b.base, b.tls = e.Host, e.Scheme+"://"+e.Host, e.Scheme == "https"
	own := newTransport()
	if ca := secret["AWS_CERT"]; len(ca) > 0 {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(ca) {
			return nil, errors.New("AWS_CERT in the secret is no PEM certificate")
		}
		own.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	if b.transport = transport; transport == nil {
		b.transport = own
	}
	b.counter = &counter{next: b.transport}
	b.accessKey, b.secretKey = text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY")
	b.client, err = minio.New(e.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(b.accessKey, b.secretKey, ""),
		Secure: b.tls, Region: region, BucketLookup: lookup, Transport: b.counter, MaxRetries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", e.Host, err)
	}
	return b, nil
}

func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		ResponseHeaderTimeout: replyTimeout, TLSHandshakeTimeout: dialTimeout, MaxIdleConnsPerHost: readers, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
	}
}

func (b *bucket) close() {
	if t, ok := b.transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

func (b *bucket) count() (lists, reads int) {
	return int(b.counter.lists.Load()), int(b.counter.reads.Load())
}

// root is where all volumes are, below the target's path.
const root = "backupstore/volumes/"

// found is what a listing shows.
type found struct {
	backups []model.StoredBackup
	locks   []model.StoreLock
	blocks  []string // volumes that have blocks
}

// orphans lists the volumes that have blocks and no backup that uses them.
func (f *found) orphans() []string {
	backed := map[string]bool{}
	for _, s := range f.backups {
		backed[s.Volume] = true
	}
	list := []string{}
	for _, v := range f.blocks {
		if !backed[v] {
			list = append(list, v)
		}
	}
	return list
}

// list finds all backups and locks without listing a single block: keys come in
// order, and the backups of a volume before its blocks. At the first block the
// listing is begun anew behind them, so that each request ends one volume and
// begins the next.
func (b *bucket) list(ctx context.Context) (*found, error) {
	f := &found{backups: []model.StoredBackup{}, locks: []model.StoreLock{}}
	root := b.prefix + root
	after, page := "", pageSize
	for n := 0; ; {
		again, strange := false, 0
		for o := range b.client.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: root, Recursive: true, StartAfter: after, MaxKeys: page}) {
			if o.Err != nil {
				return nil, o.Err
			}
			if n++; n > maxObjects {
				return nil, fmt.Errorf("more than %d objects beside blocks under %s", maxObjects, root)
			}
			if dir, _, ok := strings.Cut(o.Key, "/blocks/"); ok {
				f.blocks = append(f.blocks, dir[strings.LastIndexByte(dir, '/')+1:])
				after, again, page = dir+"/blocks0", true, pageSize // "0" follows "/"
				break
			}
			if f.take(strings.TrimPrefix(o.Key, root), o) {
				strange = 0
			} else if strange++; strange == pageSize && page == pageSize {
				after, again, page = o.Key, true, strangePage
				break
			}
		}
		if err := ctx.Err(); err != nil { // a listing that is cut short says nothing of it
			return nil, err
		}
		if !again {
			return f, nil
		}
	}
}

// relist brings an earlier listing up to date without listing what did not
// change: a volume's own file changes with every backup that ends, and its newest
// backup is looked at because people delete by hand, and what is claimed and was
// not there is looked for. marks remembers the files.
func (b *bucket) relist(ctx context.Context, before *found, marks map[string]string, claimed map[string][]string) (*found, error) {
	newest, there := map[string]model.StoredBackup{}, map[string]bool{}
	names := map[string]bool{}
	for v := range claimed {
		names[v] = true
	}
	for _, s := range before.backups {
		names[s.Volume], there[s.Volume+"/"+s.Name] = true, true
		if old, ok := newest[s.Volume]; !ok || s.Modified.After(old.Modified) {
			newest[s.Volume] = s
		}
	}
	volumes := slices.Sorted(maps.Keys(names))
	changed := make([]bool, len(volumes))
	now := make([]string, len(volumes))
	var g errgroup.Group
	g.SetLimit(readers)
	for i, v := range volumes {
		g.Go(func() (err error) {
			last, known := newest[v]
			old, marked := marks[v]
			lacks := slices.ContainsFunc(claimed[v], func(name string) bool { return !there[v+"/"+name] })
			if now[i], err = b.mark(ctx, b.prefix+volumeFolder(v)+"volume.cfg"); err != nil {
				return err
			}
			if changed[i] = !known || lacks || marked && now[i] != old; !changed[i] {
				changed[i], err = b.differs(ctx, last)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	f := &found{backups: []model.StoredBackup{}, locks: []model.StoreLock{}, blocks: before.blocks}
	anew := map[string]bool{}
	for i, v := range volumes {
		if marks[v] = now[i]; changed[i] {
			anew[v] = true
			if err := b.listVolume(ctx, v, f); err != nil {
				return nil, err
			}
		}
	}
	for _, s := range before.backups {
		if !anew[s.Volume] {
			f.backups = append(f.backups, s)
		}
	}
	for _, l := range before.locks {
		if !anew[l.Volume] {
			f.locks = append(f.locks, l)
		}
	}
	return f, ctx.Err()
}

// listVolume adds one volume's backups and locks to f.
func (b *bucket) listVolume(ctx context.Context, volume string, f *found) error {
	for _, part := range []string{"backups/", "locks/"} {
		for o := range b.client.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: b.prefix + volumeFolder(volume) + part, Recursive: true}) {
			if o.Err != nil {
				return o.Err
			}
			f.take(strings.TrimPrefix(o.Key, b.prefix+root), o)
		}
	}
	return nil
}

// differs reports whether a backup's file is not as it was listed, or gone.
func (b *bucket) differs(ctx context.Context, s model.StoredBackup) (bool, error) {
	o, err := b.client.StatObject(ctx, b.name, b.prefix+backupKey(s.Volume, s.Name), minio.StatObjectOptions{})
	if minio.ToErrorResponse(err).Code == "NoSuchKey" {
		return true, nil
	}
	return o.Size != s.Bytes || o.LastModified.Unix() != s.Modified.Unix(), err // a HEAD tells seconds
}

// find looks for objects one by one. What the credentials do not reach is left
// out: it may be there.
func (b *bucket) find(ctx context.Context, wanted []model.StoredObject) ([]model.StoredObject, error) {
	found := make([]model.StoredObject, len(wanted))
	told := make([]bool, len(wanted))
	var g errgroup.Group
	g.SetLimit(readers)
	for i, o := range wanted {
		g.Go(func() error {
			s, err := b.client.StatObject(ctx, o.Bucket, o.Key, minio.StatObjectOptions{})
			gone := minio.ToErrorResponse(err).Code == "NoSuchKey"
			if err == nil || gone {
				o.There, o.Bytes, o.Modified = !gone, s.Size, s.LastModified.UTC()
				found[i], told[i] = o, true
			}
			return ctx.Err()
		})
	}
	err := g.Wait()
	list := []model.StoredObject{}
	for i, o := range found {
		if told[i] {
			list = append(list, o)
		}
	}
	return list, err
}

// mark is what tells one state of a file from another, "" when there is none.
func (b *bucket) mark(ctx context.Context, key string) (string, error) {
	o, err := b.client.StatObject(ctx, b.name, key, minio.StatObjectOptions{})
	if minio.ToErrorResponse(err).Code == "NoSuchKey" {
		return "", nil
	}
	return o.ETag + " " + o.LastModified.String(), err
}

// take notes one object, "aa/bb/VOLUME/backups/backup_NAME.cfg" or a lock, and
// reports whether it is one of Longhorn's.
func (f *found) take(key string, o minio.ObjectInfo) bool {
	parts := strings.Split(key, "/")
	if len(parts) != 5 {
		return len(parts) == 4 && parts[3] == "volume.cfg"
	}
	volume, file := parts[2], parts[4]
	switch parts[3] {
	case "backups":
		name, ok := strings.CutPrefix(file, "backup_")
		if name, cfg := strings.CutSuffix(name, ".cfg"); ok && cfg {
			f.backups = append(f.backups, model.StoredBackup{Volume: volume, Name: name, Modified: o.LastModified.UTC(), Bytes: o.Size})
			return true
		}
	case "locks":
		f.locks = append(f.locks, model.StoreLock{Volume: volume, Name: file, Modified: o.LastModified.UTC()})
		return true
	}
	return false
}

// verify reads what was not read before: that a file is listed proves nothing.
// seen remembers by key, size and time.
func (b *bucket) verify(ctx context.Context, all []model.StoredBackup, seen map[string]model.StoredBackup) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, readers)
	for i := range all {
		s := &all[i]
		old, known := seen[s.Volume+"/"+s.Name]
		if known && old.Read && old.Done && old.Bytes == s.Bytes && old.Modified.Equal(s.Modified) {
			*s = old
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			b.read(ctx, s)
		})
	}
	wg.Wait()
	remember(seen, all)
}

func remember(seen map[string]model.StoredBackup, all []model.StoredBackup) {
	clear(seen)
	for _, s := range all {
		seen[s.Volume+"/"+s.Name] = s
	}
}

// read gets the head of a backup's file.
func (b *bucket) read(ctx context.Context, s *model.StoredBackup) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	opts := minio.GetObjectOptions{}
	if err := opts.SetRange(0, headBytes-1); err != nil {
		s.Error = err.Error()
		return
	}
	o, err := b.client.GetObject(ctx, b.name, b.prefix+backupKey(s.Volume, s.Name), opts)
	if err != nil {
		_, s.Error, _ = describe(err)
		return
	}
	defer o.Close()
	head, err := io.ReadAll(io.LimitReader(o, headBytes))
	if err != nil {
		_, s.Error, _ = describe(err)
		return
	}
	h, err := parseHead(head)
	switch {
	case err != nil:
		s.Error = "its file is damaged: " + model.Clean(err.Error(), 100)
	case h.Name != s.Name || h.VolumeName != s.Volume:
		s.Error = "its file is of another backup: " + model.Clean(h.VolumeName+"/"+h.Name, 100)
	default:
		s.Read, s.Done = true, h.CreatedTime != ""
		s.CreatedAt, s.SnapshotAt = parseTime(h.CreatedTime), parseTime(h.SnapshotCreatedAt)
		s.Size, _ = strconv.ParseInt(h.Size, 10, 64)
	}
}

// head is what precedes the blocks in a backup's file.
type head struct {
	Name, VolumeName, SnapshotCreatedAt, CreatedTime, Size string
}

// parseHead reads the fields before Blocks; the rest may be cut off.
func parseHead(b []byte) (head, error) {
	var h head
	dec := json.NewDecoder(strings.NewReader(string(b)))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return h, errors.New("no JSON object")
	}
	fields := map[string]*string{
		"Name": &h.Name, "VolumeName": &h.VolumeName, "SnapshotCreatedAt": &h.SnapshotCreatedAt, "CreatedTime": &h.CreatedTime, "Size": &h.Size,
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return h, err
		}
		name, _ := t.(string)
		if name == "Blocks" {
			return h, nil
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return h, err
		}
		if into := fields[name]; into != nil {
			if err := json.Unmarshal(value, into); err != nil {
				return h, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	_, err := dec.Token() // the closing brace; else the file is cut off
	return h, err
}

func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// health asks MinIO's endpoints that need no credentials; nil when this is none.
func (b *bucket) health(ctx context.Context) *model.StoreHealth {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	ask := func(path string) (code int, header http.Header) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.base+path, nil)
		if err != nil {
			return 0, nil
		}
		resp, err := b.transport.RoundTrip(req)
		if err != nil {
			return 0, nil
		}
		defer resp.Body.Close()
		return resp.StatusCode, resp.Header
	}
	if code, header := ask("/minio/health/live"); code != http.StatusOK || !strings.HasPrefix(header.Get("Server"), "MinIO") {
		return nil
	}
	write, writing := ask("/minio/health/cluster")
	read, reading := ask("/minio/health/cluster/read")
	if write == 0 || read == 0 {
		return nil // it is deciding: a peer does not answer it
	}
	h := &model.StoreHealth{Server: "MinIO", Writable: write == http.StatusOK, Readable: read == http.StatusOK}
	h.WriteQuorum, _ = strconv.Atoi(writing.Get("X-Minio-Write-Quorum"))
	h.ReadQuorum, _ = strconv.Atoi(reading.Get("X-Minio-Read-Quorum"))
	return h
}
