package kube

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/geotop/geotop/collectors"
	"github.com/geotop/geotop/model"
)

const (
	pageSize     = 500
	relistEvery  = 30 * time.Second // at least, where watching is not allowed
	deniedRetry  = time.Minute      // rights may be granted, kinds installed, while we run
	watchTimeout = 5 * time.Minute  // the server ends a watch after this; more at random, so that not all end at once
)

// kind says how one kind of object is fetched and read.
type kind[T any] struct {
	source       string // its name in model.Source
	path         string
	selectors    map[string]string // fieldSelector, labelSelector
	metadataOnly bool              // ask for PartialObjectMetadata
	custom       bool              // a custom resource: JSON
	optional     bool
	decode       func(raw []byte) (obj *T, resourceVersion string, err error)
	key          func(*T) key
	same         func(a, b *T) bool // whether an update changed nothing we show; nil: never
}

// mirror keeps all objects of one kind as the server has them: a list, then a
// watch from there, gone on with after every interruption; listed anew only
// when the server no longer knows where we were.
//
// It is not client-go's Reflector, which lists everything again after most
// broken connections (68 MB for 20,000 pods), shows nothing until the last
// object came, and keeps errors to itself.
type mirror[T any] struct {
	kind[T]
	api   *api
	table *table[T]

	first sync.Once
	tried chan struct{} // closed once the first list has come or failed

	mu     sync.Mutex
	source model.Source
	synced bool   // the table holds a whole list
	live   bool   // a watch runs
	rv     string // where the next watch begins; "" means list first
}

func newMirror[T any](a *api, k kind[T]) *mirror[T] {
	return &mirror[T]{
		kind: k, api: a, table: newTable(k.key), tried: make(chan struct{}),
		source: model.Source{Cluster: a.cluster, Name: k.source, Status: model.SourcePending, Optional: k.optional},
	}
}

// run mirrors until ctx ends.
func (m *mirror[T]) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		began := time.Now()
		err := m.cycle(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > retryMax {
			failures = 0
		}
		m.setLive(false)
		if err == nil {
			continue
		}
		if errors.Is(err, errNoWatch) {
			collectors.Pause(ctx, m.listAgain())
			continue
		}
		failures++
		m.fail(err)
		collectors.Pause(ctx, m.delay(err, failures))
		if st := outcome(err); st == model.SourceFailed {
			m.api.waitAnswers(ctx)
		}
	}
}

// delay is how long to wait after the nth failure in a row.
func (m *mirror[T]) delay(err error, n int) time.Duration {
	d := min(250*time.Millisecond<<min(n, 8), retryMax)
	if outcome(err) != model.SourceFailed {
		d = deniedRetry
	}
	if s, ok := apierrors.SuggestsClientDelay(err); ok {
		d = max(d, time.Duration(s)*time.Second)
	}
	return d + time.Duration(rand.Int64N(int64(d/4)))
}

// cycle lists when need be and then watches until the watch ends. A watch that
// ended in good order is no error.
func (m *mirror[T]) cycle(ctx context.Context) error {
	if m.rv == "" {
		err := m.list(ctx)
		m.first.Do(func() { close(m.tried) })
		if err != nil {
			return err
		}
	}
	err := m.watch(ctx)
	switch {
	case errors.Is(err, errGone):
		m.rv = ""
		return nil
	case apierrors.IsForbidden(err), apierrors.IsMethodNotSupported(err):
		m.rv = ""
		return errNoWatch
	default:
		return err
	}
}

// listAgain is for an account that may list and not watch: what was listed is
// good until the next list, which comes the later the more there is.
func (m *mirror[T]) listAgain() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	every := max(relistEvery, time.Duration(len(m.table.items()))*10*time.Millisecond)
	m.source.Interval = every
	return every
}

// list fetches all objects page by page. The first list shows what came so far
// after every page; a later one replaces the table only when complete.
func (m *mirror[T]) list(ctx context.Context) error {
	var all []*T
	next := ""
	for {
		rv, more, err := m.page(ctx, next, func(v *T) {
			all = append(all, v)
			if !m.synced {
				m.table.set(v)
			}
		})
		if apierrors.IsResourceExpired(err) && next != "" {
			all, next = nil, "" // the pages took too long: begin again
			continue
		}
		if err != nil {
			return err
		}
		if more == "" {
			m.table.replace(all)
			m.complete(rv)
			return nil
		}
		next = more
		m.progress(len(all))
	}
}

func (m *mirror[T]) page(ctx context.Context, next string, each func(*T)) (rv, more string, err error) {
	req := m.request("List").Param("limit", strconv.Itoa(pageSize))
	if next != "" {
		req.Param("continue", next)
	}
	body, err := m.api.get(ctx, req)
	if err != nil {
		return "", "", err
	}
	var bad error
	read := readList
	if m.custom {
		read = readJSONList
	}
	rv, more, err = read(body, func(raw []byte) error {
		v, _, err := m.decode(raw)
		if err != nil {
			bad = err
			return nil //nolint:nilerr // one object that cannot be read hides no other
		}
		each(v)
		return nil
	})
	m.malformed(bad)
	return rv, more, err
}

func (m *mirror[T]) request(suffix string) *rest.Request {
	accept := "application/vnd.kubernetes.protobuf"
	if m.custom {
		accept = "application/json"
	}
	if m.metadataOnly {
		accept += ";as=PartialObjectMetadata" + suffix + ";g=meta.k8s.io;v=v1"
	}
	req := m.api.request().AbsPath(m.path).SetHeader("Accept", accept)
	for k, v := range m.selectors {
		req.Param(k, v)
	}
	return req
}

// watch applies changes from m.rv on until the server ends the watch.
func (m *mirror[T]) watch(ctx context.Context) error {
	ctx, cancel := m.api.bind(ctx)
	defer cancel()
	timeout := watchTimeout + time.Duration(rand.Int64N(int64(watchTimeout)))
	req := m.request("").Param("watch", "true").Param("resourceVersion", m.rv).Param("allowWatchBookmarks", "true").
		Param("timeoutSeconds", strconv.Itoa(int(timeout/time.Second)))
	body, err := req.MaxRetries(0).Stream(ctx)
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return errGone
	}
	if err != nil {
		return because(ctx, err)
	}
	defer body.Close()
	m.setLive(true)
	var in eventReader = &frames{r: body}
	if m.custom {
		in = newJSONFrames(body)
	}
	for {
		ev, err := in.next()
		if err != nil {
			return m.ended(ctx, err)
		}
		if err := m.apply(ev); err != nil {
			return err
		}
	}
}

// ended tells the regular end of a watch from a broken one.
func (m *mirror[T]) ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if isEOF(err) {
		return nil
	}
	return err
}

// apply carries out one watch event.
func (m *mirror[T]) apply(ev watchEvent) error {
	switch ev.kind {
	case "ERROR":
		st, err := ev.status()
		if err != nil {
			return err
		}
		if failure := (&apierrors.StatusError{ErrStatus: *st}); !apierrors.IsResourceExpired(failure) && !apierrors.IsGone(failure) {
			return failure
		}
		return errGone
	case "BOOKMARK":
		rv, err := ev.version()
		if err == nil {
			m.rv = rv
		}
		return err
	}
	v, rv, err := m.decode(ev.object)
	if err != nil {
		m.malformed(err)
		return nil
	}
	m.rv = rv
	k := m.key(v)
	if ev.kind == "DELETED" {
		m.table.delete(k)
	} else {
		if old := m.table.get(k); old != nil && m.same != nil && m.same(old, v) {
			return nil
		}
		m.table.set(v)
	}
	m.api.changed()
	return nil
}

// complete notes a whole list.
func (m *mirror[T]) complete(rv string) {
	m.rv, m.synced = rv, true
	m.mu.Lock()
	m.source.Status, m.source.Error, m.source.Hint = model.SourceOK, "", ""
	m.source.ObservedAt = m.api.now()
	m.mu.Unlock()
	m.api.changed()
}

// progress shows a list that is under way.
func (m *mirror[T]) progress(n int) {
	if m.synced {
		return
	}
	m.mu.Lock()
	m.source.Error = strconv.Itoa(n) + " so far"
	m.mu.Unlock()
	m.api.changed()
}

func (m *mirror[T]) setLive(live bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.live = live
	if live {
		m.source.Status, m.source.Error, m.source.Hint, m.source.Interval = model.SourceOK, "", "", 0
	}
}

// fail notes why the last attempt ended. What was once listed turns stale: by its
// age alone where the server only asks for patience, as it does when it has just
// started.
func (m *mirror[T]) fail(err error) {
	m.mu.Lock()
	if _, wait := apierrors.SuggestsClientDelay(err); wait && m.synced && m.source.Status == model.SourceOK {
		m.mu.Unlock()
		return
	}
	was := m.source
	m.source.Status = outcome(err)
	if m.synced && m.source.Status == model.SourceFailed {
		m.source.Status = model.SourceStale
	}
	m.source.Error, m.source.Hint = m.api.describe(err)
	now := m.source
	m.mu.Unlock()
	if now != was {
		m.api.changed()
	}
}

// malformed notes an object that could not be read; the others stand.
func (m *mirror[T]) malformed(err error) {
	if err == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.source.Error = "unreadable object: " + model.Clean(err.Error(), 200)
}

// section gives what is known now. server is the API's own source: while it
// answers and our watch runs, what we hold is current.
func (m *mirror[T]) section(server model.Source) model.Section[T] {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.source
	// Read after the status: what a status calls whole must not be an earlier part.
	items := m.table.items()
	s.Items = len(items)
	s.Latency = server.Latency
	switch {
	case m.live && server.Status == model.SourceOK:
		if server.ObservedAt.After(s.ObservedAt) {
			s.ObservedAt = server.ObservedAt
		}
	case server.Status == model.SourceOK || server.Status == model.SourcePending || s.Status == model.SourceForbidden || s.Status == model.SourceAbsent:
	case s.ObservedAt.IsZero() && server.Status != model.SourcePending:
		s.Status, s.Error, s.Hint = model.SourceFailed, server.Error, server.Hint
	case !s.ObservedAt.IsZero():
		s.Status, s.Error, s.Hint = model.SourceStale, server.Error, server.Hint
	}
	m.source.ObservedAt = s.ObservedAt
	return model.Section[T]{Source: s, Items: items}
}
