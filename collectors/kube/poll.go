package kube

import (
	"context"
	"slices"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/geotop/geotop/collectors"
	"github.com/geotop/geotop/model"
)

// poller asks for something again and again: what has no watch, or what
// changes so often that a watch costs more than it tells.
type poller[T any] struct {
	api *api
	// fetch gives all items; every is when to ask next.
	fetch func(ctx context.Context) (items []*T, every time.Duration, err error)
	// same reports whether the items tell no more than those before, so that
	// nobody has to be woken for them.
	same func(before, now []*T) bool

	mu     sync.Mutex
	items  []*T
	source model.Source
}

// run polls until ctx ends.
func (p *poller[T]) run(ctx context.Context) {
	every := time.Duration(0)
	for ctx.Err() == nil {
		asked := p.api.now()
		items, next, err := p.fetch(ctx)
		if ctx.Err() != nil {
			return
		}
		if next > 0 {
			every = next
		}
		p.note(asked, items, every, err)
		delay := max(every, time.Second)
		if err != nil && outcome(err) != model.SourceFailed {
			delay = deniedRetry
		}
		collectors.Pause(ctx, delay)
		if err != nil {
			p.api.waitAnswers(ctx)
		}
	}
}

func (p *poller[T]) note(asked time.Time, items []*T, every time.Duration, err error) {
	p.mu.Lock()
	was := p.source
	quiet := err == nil && was.Status == model.SourceOK && p.same(p.items, items)
	if err == nil {
		p.items = items
		p.source.Status, p.source.Error, p.source.Hint = model.SourceOK, "", ""
		p.source.ObservedAt, p.source.Interval = asked, every
	} else {
		p.source.Status = outcome(err)
		if p.source.Status == model.SourceFailed && !was.ObservedAt.IsZero() {
			p.source.Status = model.SourceStale
		}
		p.source.Error, p.source.Hint = p.api.describe(err)
	}
	p.mu.Unlock()
	if !quiet {
		p.api.changed()
	}
}

func (p *poller[T]) section(server model.Source) model.Section[T] {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.source
	s.Items = len(p.items)
	if s.Status == model.SourcePending && server.Status != model.SourceOK && server.Status != model.SourcePending {
		s.Status, s.Error, s.Hint = model.SourceFailed, server.Error, server.Hint
	}
	return model.Section[T]{Source: s, Items: p.items}
}

const (
	usageEvery = 30 * time.Second // metrics-server measures every 15 s
	leaseEvery = 10 * time.Second // as often as kubelets renew by default
	gapSlack   = 3 * time.Second  // that a look may be late before it counts as a gap
)

func newUsagePoller(a *api) *poller[model.Usage] {
	return &poller[model.Usage]{
		api:    a,
		source: model.Source{Cluster: a.cluster, Name: model.SourceNodeUsage, Status: model.SourcePending, Optional: true, Interval: usageEvery},
		same: func(before, now []*model.Usage) bool {
			return slices.EqualFunc(before, now, func(a, b *model.Usage) bool { return *a == *b })
		},
		fetch: func(ctx context.Context) ([]*model.Usage, time.Duration, error) {
			body, err := a.get(ctx, a.request().AbsPath("/apis/metrics.k8s.io/v1beta1/nodes").SetHeader("Accept", "application/json"))
			if err != nil {
				return nil, usageEvery, err
			}
			usage, err := readUsage(a.cluster, body)
			return usage, usageEvery, err
		},
	}
}

// newLeasePoller reads the nodes' heartbeats. They are polled, not watched: a
// watch sends every renewal of every node whole (100 events a second for 1000
// nodes), a list now and then is compressed and tells the same.
func newLeasePoller(a *api) *poller[model.Lease] {
	h := heartbeats{last: map[string]*model.Lease{}}
	return &poller[model.Lease]{
		api:    a,
		same:   func(before, now []*model.Lease) bool { return sameSilence(before, now, a.now()) },
		source: model.Source{Cluster: a.cluster, Name: model.SourceLeases, Status: model.SourcePending, Optional: true, Interval: leaseEvery},
		fetch: func(ctx context.Context) ([]*model.Lease, time.Duration, error) {
			asked := a.now()
			body, err := a.get(ctx, a.request().AbsPath("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases").
				SetHeader("Accept", "application/vnd.kubernetes.protobuf").Param("resourceVersion", "0"))
			if err != nil {
				return nil, 0, err
			}
			decode := decoder(func(l *coordinationv1.Lease) *model.Lease { return lease(a.cluster, l) })
			items := []*model.Lease{}
			_, _, err = readList(body, func(raw []byte) error {
				l, _, err := decode(raw)
				if err == nil {
					items = append(items, l)
				}
				return err
			})
			if err != nil {
				return nil, 0, err
			}
			return items, h.hear(items, asked), nil
		},
	}
}

// sameSilence reports whether the same nodes are silent as before: that one was
// heard again, as expected, is no news.
func sameSilence(before, now []*model.Lease, at time.Time) bool {
	return slices.EqualFunc(before, now, func(a, b *model.Lease) bool {
		return a.Node == b.Node && a.Silent(at) == b.Silent(at) && !b.Silent(at)
	})
}

// heartbeats remembers each lease as last seen.
type heartbeats struct {
	last  map[string]*model.Lease
	at    time.Time     // of the last look
	every time.Duration // as planned then
	from  time.Time     // silence counts from here; zero while there was no gap
}

// hear sets when each node was heard, by our clock where we saw it renew, and
// gives when to look next: as often as the fastest kubelet renews.
func (h *heartbeats) hear(leases []*model.Lease, now time.Time) time.Duration {
	if !h.at.IsZero() && now.Sub(h.at) > 2*h.every+gapSlack {
		h.from = now
	}
	every := leaseEvery
	seen := make(map[string]*model.Lease, len(leases))
	for _, l := range leases {
		old := h.last[l.Node]
		switch {
		case old == nil:
			l.Heard = l.Renewed
			if l.Heard.After(now) {
				l.Heard = now
			}
		case !old.Renewed.Equal(l.Renewed):
			l.Heard, l.Watched = now, true
		default:
			l.Heard, l.Watched = old.Heard, old.Watched
		}
		l.CountFrom = h.from
		seen[l.Node] = l
		every = min(every, max(time.Second, l.Duration/4))
	}
	h.last, h.at, h.every = seen, now, every
	return every
}
