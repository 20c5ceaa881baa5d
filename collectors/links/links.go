// Package links reads what machines that geotop does not run on have measured
// between themselves: etcd members of each other, told by their own metrics or
// by a Prometheus, and ping exporters.
package links

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/geotop/geotop/collectors"
	"github.com/geotop/geotop/model"
)

// Config says what a Collector goes by.
type Config struct {
	Now   func() time.Time // the clock ages are judged by; time.Now when nil
	Every time.Duration    // between looks; 1 min when 0
	// Etcd names where a node's etcd metrics are, in the place of where its k3s
	// exposes them: as through a tunnel.
	Etcd map[string]string
	// Prometheus is the URL of one; empty for none. Token is for it; in memory only.
	Prometheus, Token string
	// Transport replaces the connection to all of them; nil for a real one.
	Transport http.RoundTripper
}

const (
	every      = time.Minute
	retryEvery = 15 * time.Second
	timeout    = 5 * time.Second
	maxBytes   = 8 << 20 // of one answer
)

// Collector polls the etcd members of each cluster, and a Prometheus. It is a
// collectors.Collector and follows where the members are.
type Collector struct {
	cfg    Config
	now    func() time.Time
	client *http.Client
	wake   chan struct{}

	mu      sync.Mutex
	sources []*source
}

// source is one thing to ask.
type source struct {
	facts   model.WayFacts
	at      []model.EtcdEndpoint // to ask; none for a Prometheus
	ask     func(ctx context.Context, s *source) error
	etcd    map[string]scrape // by URL: what was read last
	running bool
	wake    chan struct{}
}

// New makes a collector; it connects when Run is called, once it knows members.
func New(cfg Config) *Collector {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Every = cmp.Or(cfg.Every, every)
	now := cfg.Now
	return &Collector{
		cfg: cfg, now: func() time.Time { return now().UTC() }, wake: make(chan struct{}, 1),
		client: &http.Client{Transport: cfg.Transport, Timeout: timeout},
	}
}

// Follow learns from w where etcd members are, once it is known which machines
// there are and which of them live.
func (c *Collector) Follow(w *model.World) (news bool) {
	if w.Awaits(model.SourceNodes, model.SourceLeases) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cl := range w.Clusters {
		if c.cfg.Prometheus != "" && c.source(cl.Name, model.SourcePrometheus) == nil {
			c.add(cl.Name, model.SourcePrometheus, c.askPrometheus)
			news = true
		}
		at := w.EtcdEndpoints(cl, c.cfg.Etcd)
		s := c.source(cl.Name, model.SourceEtcdMetrics)
		switch {
		case s == nil && cl.Voters > 0:
			s = c.add(cl.Name, model.SourceEtcdMetrics, c.askEtcd)
			s.at, news = at, true
			if len(at) == 0 {
				s.absent()
			}
		case s != nil && !slices.Equal(s.at, at):
			s.at = at
			collectors.Raise(s.wake)
			if len(at) == 0 {
				s.absent()
			}
		}
	}
	if news {
		collectors.Raise(c.wake)
	}
	return news
}

func (c *Collector) source(cluster, name string) *source {
	for _, s := range c.sources {
		if s.facts.Cluster == cluster && s.facts.Name == name {
			return s
		}
	}
	return nil
}

func (c *Collector) add(cluster, name string, ask func(context.Context, *source) error) *source {
	s := &source{ask: ask, etcd: map[string]scrape{}, wake: make(chan struct{}, 1), facts: model.WayFacts{
		Cluster: cluster, Name: name, Source: model.Source{Cluster: cluster, Name: name, Status: model.SourcePending, Optional: true, Interval: c.cfg.Every},
	}}
	c.sources = append(c.sources, s)
	return s
}

func (s *source) absent() {
	s.facts.Source.Status, s.facts.Source.Error = model.SourceAbsent, "no living server exposes its etcd's metrics"
	s.facts.Source.Hint = "k3s server --etcd-expose-metrics shows the ways between all servers; --etcd-metrics names them by hand"
}

// Run polls until ctx ends.
func (c *Collector) Run(ctx context.Context, changed func()) {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer c.client.CloseIdleConnections()
	for ctx.Err() == nil {
		c.mu.Lock()
		for _, s := range c.sources {
			if !s.running {
				s.running = true
				wg.Go(func() { c.poll(ctx, s, changed) })
			}
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-c.wake:
		}
	}
}

// poll asks one source again and again.
func (c *Collector) poll(ctx context.Context, s *source, changed func()) {
	for ctx.Err() == nil {
		began := c.now()
		err := s.ask(ctx, s)
		if ctx.Err() != nil {
			return
		}
		if c.note(s, began, err) {
			changed()
		}
		wait := c.cfg.Every
		if err != nil {
			wait = min(wait, retryEvery)
		}
		collectors.PauseOrWake(ctx, wait, s.wake)
	}
}

// errNothing is that there is nobody to ask.
var errNothing = errors.New("nobody to ask")

func (c *Collector) note(s *source, began time.Time, err error) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	src := &s.facts.Source
	switch {
	case errors.Is(err, errNothing):
		return false
	case err == nil:
		src.Status, src.Error, src.Hint, src.ObservedAt, src.Items = model.SourceOK, "", "", c.now(), len(s.facts.Ways)
		src.Latency = src.ObservedAt.Sub(began)
	default:
		src.Status, src.Error, src.Hint = model.SourceFailed, model.Clean(err.Error(), 300), ""
		if !src.ObservedAt.IsZero() {
			src.Status = model.SourceStale
		}
	}
	return true
}

// Facts adds what was measured.
func (c *Collector) Facts(f *model.Facts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sources {
		f.Ways = append(f.Ways, s.facts)
	}
}

// get reads one answer.
func (c *Collector) get(ctx context.Context, url, token string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > maxBytes:
		return nil, fmt.Errorf("%s: the answer is over %d MiB", req.URL.Redacted(), maxBytes>>20)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answered %s", req.URL.Redacted(), resp.Status)
	}
	return b, nil
}
