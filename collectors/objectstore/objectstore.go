// Package objectstore looks into the buckets that hold Longhorn's backups, with
// the cluster's own credentials: what the cluster claims to have is there, and
// can be read, or is not. It only reads.
//
// Plain S3 is enough; what MinIO says of its health besides is asked without
// credentials.
package objectstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/geotop/geotop/collectors"
	"github.com/geotop/geotop/model"
)

// Secret reads a Secret's data; it is called with the name a BackupTarget gives.
type Secret func(ctx context.Context, cluster, name string) (map[string][]byte, error)

// Config says what a Collector goes by.
type Config struct {
	Secret Secret
	Now    func() time.Time // the clock ages are judged by; time.Now when nil
	// Endpoint replaces the one in the credentials, which may be a name that only
	// the cluster knows; empty for none.
	Endpoint string
	Every    time.Duration // between scans; 5 min when 0
	// Deep has so many blocks of each volume's newest backup read, or All of all
	// backups; 0 for none.
	Deep int
	// AccessKey and SecretKey are used when the Secret cannot be read, as when no
	// API server answers; empty for none.
	AccessKey, SecretKey string
	// Transport replaces the connection to every store; nil for a real one.
	Transport http.RoundTripper
}

const (
	scanEvery   = 5 * time.Minute
	retryEvery  = 20 * time.Second // after a scan that failed
	scanTimeout = 60 * time.Second
	listEvery   = time.Hour // how often everything is listed, changed or not
)

// Collector scans one bucket per backup target. It is a collectors.Collector.
type Collector struct {
	cfg  Config
	now  func() time.Time
	wake chan struct{}

	mu      sync.Mutex
	claimed map[string]map[string][]string // by store, then volume: names of backups
	stores  map[string]*store
}

// store is one target's bucket.
type store struct {
	target model.BackupTarget
	facts  model.StoreFacts
	seen   map[string]model.StoredBackup // by volume and name: what was read already
	marks  map[string]string             // by volume: the state of its own file
	listed time.Time                     // when everything was listed; zero when never
	secret map[string][]byte             // the credentials last read, in memory only
	wanted []model.StoredObject          // to look for besides backups
	cancel context.CancelFunc
	wake   chan struct{}
}

// New makes a collector; it connects when Run is called, once it knows targets.
func New(cfg Config) *Collector {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Every <= 0 {
		cfg.Every = scanEvery
	}
	now := cfg.Now
	return &Collector{
		cfg: cfg, now: func() time.Time { return now().UTC() }, wake: make(chan struct{}, 1),
		stores: map[string]*store{}, claimed: map[string]map[string][]string{},
	}
}

// Follow learns from w which targets there are and what is claimed to be in them.
// A new target is news: its scan is still to come.
func (c *Collector) Follow(w *model.World) (news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted := map[string]bool{}
	for _, t := range w.StoreTargets() {
		id := t.Cluster + "/" + t.Name
		wanted[id] = true
		names := w.BackupNames(t.Cluster, t.Name)
		s := c.stores[id]
		switch {
		case s == nil || s.target.URL != t.URL || s.target.Secret != t.Secret:
			if s != nil && s.cancel != nil {
				s.cancel()
			}
			c.stores[id] = newStore(*t, w.Stores)
			news = true
		case !maps.EqualFunc(names, c.claimed[id], func(a, b []string) bool { return slices.Equal(a, b) }):
			collectors.Raise(s.wake) // a backup came or went: look soon
		}
		c.claimed[id] = names
		s = c.stores[id]
		if wanted := w.EtcdObjects(t.Cluster); !slices.Equal(wanted, s.wanted) {
			s.wanted = wanted
			collectors.Raise(s.wake)
		}
	}
	for id, s := range c.stores {
		if !wanted[id] {
			if s.cancel != nil {
				s.cancel()
			}
			delete(c.stores, id)
			delete(c.claimed, id)
			news = true
		}
	}
	if news {
		collectors.Raise(c.wake)
	}
	return news
}

// newStore begins with where the store was before, as far as that is remembered.
func newStore(t model.BackupTarget, before []*model.StoreFacts) *store {
	s := &store{
		target: t, seen: map[string]model.StoredBackup{}, marks: map[string]string{}, wake: make(chan struct{}, 1),
		facts: model.StoreFacts{
			Cluster: t.Cluster, Target: t.Name, Backups: []model.StoredBackup{}, Locks: []model.StoreLock{}, Orphans: []string{}, Objects: []model.StoredObject{},
			Source: model.Source{Cluster: t.Cluster, Name: model.SourceStore + "/" + t.Name, Status: model.SourcePending, Optional: true},
		},
	}
	for _, old := range before {
		if old.Cluster == t.Cluster && old.Target == t.Name {
			s.facts.Endpoint, s.facts.TLS = old.Endpoint, old.TLS
		}
	}
	return s
}

// Run scans until ctx ends.
func (c *Collector) Run(ctx context.Context, changed func()) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		c.mu.Lock()
		for _, s := range c.stores {
			if s.cancel == nil {
				own, cancel := context.WithCancel(ctx)
				s.cancel = cancel
				wg.Go(func() { c.scanOn(own, s, changed) })
			}
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-c.wake:
		}
	}
}

// scanOn scans one store again and again.
func (c *Collector) scanOn(ctx context.Context, s *store, changed func()) {
	for ctx.Err() == nil {
		err := c.scan(ctx, s)
		if ctx.Err() != nil {
			return
		}
		c.note(s, err)
		changed()
		wait := c.cfg.Every
		if err != nil {
			wait = min(wait, retryEvery)
		}
		collectors.PauseOrWake(ctx, wait, s.wake)
	}
}

// scan looks through the bucket once.
func (c *Collector) scan(ctx context.Context, s *store) error {
	limit := scanTimeout
	if c.cfg.Deep != 0 {
		limit = deepTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	b, err := c.open(ctx, s)
	if err != nil {
		return err
	}
	defer b.close()
	began := c.now()
	health := b.health(ctx)
	var cluster *model.StoreCluster
	if health != nil {
		cluster = b.info(ctx)
	}
	c.mu.Lock()
	s.facts.MinIO = cluster
	s.facts.Endpoint, s.facts.TLS, s.facts.Bucket, s.facts.Prefix, s.facts.Health, s.facts.HealthAt = b.endpoint, b.tls, b.name, b.prefix, health, began
	c.mu.Unlock()
	anew := s.listed.IsZero() || began.Sub(s.listed) >= listEvery
	found, err := c.look(ctx, s, b, began)
	if err != nil {
		return err
	}
	b.verify(ctx, found.backups, s.seen)
	if anew { // rules seldom change
		rules := b.rules(ctx)
		c.mu.Lock()
		s.facts.Rules = rules
		c.mu.Unlock()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.cfg.Deep != 0 {
		if err := b.deepen(ctx, found.backups, c.cfg.Deep, began); err != nil {
			return err
		}
		remember(s.seen, found.backups)
	}
	c.mu.Lock()
	// A store may have other names, which nobody tells: only what is said to be in
	// this one is looked for.
	wanted := slices.DeleteFunc(slices.Clone(s.wanted), func(o model.StoredObject) bool { return o.Endpoint != b.endpoint })
	c.mu.Unlock()
	objects, err := b.find(ctx, wanted)
	if err != nil {
		return err
	}
	slices.SortFunc(found.backups, func(x, y model.StoredBackup) int {
		return cmp.Or(cmp.Compare(x.Volume, y.Volume), cmp.Compare(x.Name, y.Name))
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	f := &s.facts
	f.Objects, f.Backups, f.Locks, f.Orphans, f.Scanned = objects, found.backups, found.locks, found.orphans(), began
	f.Lists, f.Reads = b.count()
	return nil
}

// open finds the credentials and opens the bucket: as the cluster's Secret is,
// else as it last was, else as we were told. Without any, the store's health is
// asked for where the store was before.
func (c *Collector) open(ctx context.Context, s *store) (*bucket, error) {
	data, err := c.cfg.Secret(ctx, s.target.Cluster, s.target.Secret)
	switch {
	case err == nil:
		s.secret = data
	case s.secret != nil:
		data = s.secret
	case c.cfg.AccessKey != "":
		data = map[string][]byte{"AWS_ACCESS_KEY_ID": []byte(c.cfg.AccessKey), "AWS_SECRET_ACCESS_KEY": []byte(c.cfg.SecretKey)}
		c.mu.Lock()
		if s.facts.Endpoint != "" {
			data["AWS_ENDPOINTS"] = []byte(baseURL(s.facts.Endpoint, s.facts.TLS))
		}
		c.mu.Unlock()
	default:
		c.askHealth(ctx, s)
		return nil, fmt.Errorf("credentials in secret %s: %w", s.target.Secret, err)
	}
	return openBucket(s.target.URL, data, c.cfg.Endpoint, c.cfg.Transport)
}

// askHealth asks for what needs no credentials, where the store was before.
func (c *Collector) askHealth(ctx context.Context, s *store) {
	c.mu.Lock()
	endpoint, tls := s.facts.Endpoint, s.facts.TLS
	c.mu.Unlock()
	if endpoint == "" {
		return
	}
	b := &bucket{base: baseURL(endpoint, tls), transport: c.cfg.Transport}
	if b.transport == nil {
		b.transport = newTransport()
	}
	defer b.close()
	at := c.now()
	health := b.health(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	s.facts.Health, s.facts.MinIO, s.facts.HealthAt = health, nil, at
}

func baseURL(endpoint string, tls bool) string {
	if tls {
		return "https://" + endpoint
	}
	return "http://" + endpoint
}

// look lists everything, or only what changed since.
func (c *Collector) look(ctx context.Context, s *store, b *bucket, now time.Time) (*found, error) {
	c.mu.Lock()
	before := &found{backups: s.facts.Backups, locks: s.facts.Locks, blocks: s.facts.Orphans}
	claimed := maps.Clone(c.claimed[s.target.Cluster+"/"+s.target.Name])
	c.mu.Unlock()
	if !s.listed.IsZero() && now.Sub(s.listed) < listEvery {
		return b.relist(ctx, before, s.marks, claimed)
	}
	all, err := b.list(ctx)
	if err == nil {
		s.listed = now
	}
	return all, err
}

// note sets the source's status after a scan.
func (c *Collector) note(s *store, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	src := &s.facts.Source
	src.Interval, src.Items = c.cfg.Every, len(s.facts.Backups)
	if err == nil {
		src.Status, src.Error, src.Hint, src.ObservedAt = model.SourceOK, "", "", s.facts.Scanned
		return
	}
	src.Status, src.Error, src.Hint = describe(err)
	if src.Status == model.SourceFailed && !src.ObservedAt.IsZero() {
		src.Status = model.SourceStale
	}
}

// Facts adds the stores to f.
func (c *Collector) Facts(f *model.Facts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(c.stores)) {
		f.Stores = append(f.Stores, c.stores[id].facts)
	}
}

var errTarget = errors.New("not an S3 target")
