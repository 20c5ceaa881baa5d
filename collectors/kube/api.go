package kube

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/geotop/geotop/model"
)

const (
	probeEvery   = 5 * time.Second  // while the API answers
	probeTimeout = 5 * time.Second  // at least; four times the usual latency on slow links
	firstTimeout = 15 * time.Second // of the first probe: dial and TLS come with it
	retryMax     = 6 * time.Second  // between attempts while it does not answer
	idleTimeout  = 15 * time.Second // a list that sends nothing for so long is given up
)

// api is the connection all kinds share, and its health. One probe decides for
// all of them whether the server answers: a quiet watch is healthy, a quiet
// watch on a dead connection looks just the same.
type api struct {
	cluster string
	rest    *rest.Config
	primary *server // the kubeconfig's
	now     func() time.Time
	changed func()
	// elsewhere lists addresses at which other API servers of the cluster may be;
	// nil for none.
	elsewhere func() []string
	expires   time.Time // when our client certificate does; zero when there is none

	heard atomic.Int64 // wall clock of the last byte from the server, UnixNano

	mu      sync.Mutex
	current *server
	made    map[string]*server // by address: ways to other servers
	// otherHTTP is the client all of those share.
	otherHTTP *http.Client
	source    model.Source
	version   string
	answers   chan struct{}   // closed while the server answers
	epoch     context.Context // ends when the connections are given up
	reset     context.CancelFunc
	limit     time.Duration // on every wait, where somebody set one
}

func newAPI(cfg Config) (*api, error) {
	a := &api{cluster: cfg.Name, now: cfg.Now, answers: make(chan struct{}), changed: func() {}, made: map[string]*server{}}
	a.source = model.Source{Cluster: cfg.Name, Name: model.SourceAPI, Status: model.SourcePending}
	a.epoch, a.reset = context.WithCancel(context.Background())
	rc := rest.CopyConfig(cfg.Rest)
	a.limit = rc.Timeout
	rc.Timeout = 0 // would cut watches; every call has its context
	rc.QPS = -1    // the server's priority and fairness does this better
	rc.WarningHandler = rest.NoWarnings{}
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	rc.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	if rc.Transport == nil && rc.Dial == nil {
		rc.Dial = a.dial
	}
	a.rest = rc
	var err error
	if a.primary, err = connect(rc, nil); err != nil {
		return nil, fmt.Errorf("cluster %s: %w", cfg.Name, err)
	}
	a.current = a.primary
	a.expires = certificateEnd(rc)
	return a, nil
}

// patience is how long to wait for an answer where that long is usual.
func (a *api) patience(usual time.Duration) time.Duration {
	if a.limit > 0 {
		return a.limit
	}
	return usual
}

// server is the way in use.
func (a *api) server() *server {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current
}

// request begins a request to the server in use.
func (a *api) request() *rest.Request { return a.server().client.Get() }

// certificateEnd is when the kubeconfig's client certificate expires, zero
// without one. k3s makes such certificates for a year.
func certificateEnd(rc *rest.Config) time.Time {
	files := rest.CopyConfig(rc)
	if rest.LoadTLSFiles(files) != nil {
		return time.Time{} // the client has said so already
	}
	block, _ := pem.Decode(files.CertData)
	if block == nil {
		return time.Time{}
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}
	}
	return cert.NotAfter
}

// describe puts an error into words; it knows why credentials are refused when
// their certificate has expired.
func (a *api) describe(err error) (text, hint string) {
	if now := a.now(); apierrors.IsUnauthorized(err) && !a.expires.IsZero() && now.After(a.expires) {
		return "our client certificate expired " + model.Ago(now.Sub(a.expires)) + " ago (401 Unauthorized)",
			"k3s renews it when a server restarts; then copy its k3s.yaml again"
	}
	return describe(err)
}

// dial notes when bytes arrive, so that a slow link is not taken for a dead one.
func (a *api) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: firstTimeout, KeepAlive: 15 * time.Second}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &heardConn{c, &a.heard}, nil
}

type heardConn struct {
	net.Conn
	heard *atomic.Int64
}

func (c *heardConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

// watchHealth probes the server until ctx ends.
func (a *api) watchHealth(ctx context.Context) {
	delay := time.Duration(0)
	timeout := a.patience(firstTimeout)
	for ctx.Err() == nil {
		sent, began := a.now(), time.Now()
		err := a.probe(ctx, timeout)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			latency := time.Since(began)
			a.up(sent, latency)
			delay, timeout = probeEvery, a.patience(max(probeTimeout, 4*latency))
		} else {
			a.down(err)
			if !apierrors.IsUnauthorized(err) && a.failOver(ctx) {
				delay, timeout = 0, a.patience(firstTimeout)
				continue
			}
			if time.Unix(0, a.heard.Load()).Before(began) {
				a.abandon()
				timeout = a.patience(firstTimeout)
			}
			delay = min(max(2*delay, time.Second), retryMax)
			delay -= time.Duration(rand.Int64N(int64(delay / 4)))
		}
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
	}
}

// probe asks whether the server in use works, and at first which version it is.
func (a *api) probe(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if a.knownVersion() == "" {
		body, err := a.request().AbsPath("/version").MaxRetries(0).DoRaw(ctx)
		var v struct {
			GitVersion string `json:"gitVersion"`
		}
		if err == nil && json.Unmarshal(body, &v) == nil {
			a.mu.Lock()
			a.version = model.Clean(v.GitVersion, 64)
			a.mu.Unlock()
		}
	}
	return ready(ctx, a.server())
}

func (a *api) knownVersion() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.version
}

// up notes an answer; at is when it was asked for.
func (a *api) up(at time.Time, latency time.Duration) {
	a.mu.Lock()
	was := a.source.Status
	a.source.Status, a.source.Error, a.source.Hint = model.SourceOK, "", ""
	a.source.ObservedAt, a.source.Latency = at, latency
	if was != model.SourceOK {
		close(a.answers)
	}
	a.mu.Unlock()
	if was != model.SourceOK {
		a.changed()
	}
}

// down notes a failure of the server as a whole.
func (a *api) down(err error) {
	a.mu.Lock()
	was := a.source
	if was.Status == model.SourceOK {
		a.answers = make(chan struct{})
	}
	a.source.Status = model.SourceFailed
	if !was.ObservedAt.IsZero() {
		a.source.Status = model.SourceStale
	}
	a.source.Error, a.source.Hint = a.describe(err)
	now := a.source
	a.mu.Unlock()
	if now != was {
		a.changed()
	}
}

// abandon gives up the connections: whatever runs over them ends now and the
// next request dials anew.
func (a *api) abandon() {
	a.mu.Lock()
	a.reset()
	a.epoch, a.reset = context.WithCancel(context.Background())
	a.mu.Unlock()
	a.closeIdle()
}

func (a *api) closeIdle() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.primary.http.CloseIdleConnections()
	for _, s := range a.made {
		s.http.CloseIdleConnections()
	}
}

// close ends everything that still runs.
func (a *api) close() {
	a.mu.Lock()
	a.reset()
	a.mu.Unlock()
	a.closeIdle()
}

// state gives the server's source and version.
func (a *api) state() (model.Source, string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.source, a.version
}

// waitAnswers waits until the server answers probes, or ctx ends.
func (a *api) waitAnswers(ctx context.Context) {
	a.mu.Lock()
	answers := a.answers
	a.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-answers:
	}
}

// bind gives a context that also ends when the connections are given up.
func (a *api) bind(ctx context.Context) (context.Context, context.CancelFunc) {
	a.mu.Lock()
	epoch := a.epoch
	a.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(epoch, func() { cancel(errAbandoned) })
	return ctx, func() { stop(); cancel(nil) }
}

// get fetches one answer whole. It fails when the server sends nothing for
// idleTimeout, however long the whole may take.
func (a *api) get(ctx context.Context, req *rest.Request) ([]byte, error) {
	ctx, cancel := a.bind(ctx)
	defer cancel()
	ctx, expire := context.WithCancelCause(ctx)
	idle := a.patience(idleTimeout)
	timer := time.AfterFunc(idle, func() { expire(errSilent) })
	defer timer.Stop()
	body, err := req.MaxRetries(0).Stream(ctx)
	if err != nil {
		return nil, because(ctx, err)
	}
	defer body.Close()
	all, err := io.ReadAll(&progress{body, timer, idle})
	if err != nil {
		return nil, because(ctx, err)
	}
	return all, nil
}

// progress pushes a deadline ahead with every byte read.
type progress struct {
	r     io.Reader
	timer *time.Timer
	idle  time.Duration
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if n > 0 {
		p.timer.Reset(p.idle)
	}
	return n, err
}

// because prefers the reason we ended the call ourselves to "context canceled".
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
