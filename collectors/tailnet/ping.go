package tailnet

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/geotop/geotop/collectors"
	"github.com/geotop/geotop/model"
)

const (
	pingAgain     = time.Second            // after an answer over a relay, while the direct path may still be sought
	lostAgain     = 300 * time.Millisecond // after a loss
	inFlight      = 16
	unsteadyEvery = 2 * time.Second // at best, after losses
	perSecond     = 2               // pings a second on average, however many machines there are
)

// patience is how long a ping waits after so many were lost in a row: links take
// up to 1.5 s each way, but most that do not answer at once are dead.
var patience = []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second}

// pinger pings targets, each on its own schedule.
type pinger struct {
	api   localAPI
	now   func() time.Time
	every time.Duration
	again time.Duration
	slots chan struct{}
	kick  chan struct{}

	mu      sync.Mutex
	serving bool // there is a daemon to ping through
	at      time.Time
	targets map[string]*target // by peer id
}

// target is one peer being pinged. Its ping is replaced, never changed: whoever
// got it may keep it.
type target struct {
	address string
	ping    model.Ping
	history []bool // answered or not, the last ones
	cancel  context.CancelFunc
}

func newPinger(api localAPI, now func() time.Time, every, again time.Duration) *pinger {
	if again <= 0 {
		again = pingAgain
	}
	return &pinger{api: api, now: now, every: every, again: again, slots: make(chan struct{}, inFlight), kick: make(chan struct{}, 1), targets: map[string]*target{}}
}

// serve says whether there is a daemon to ping through.
func (p *pinger) serve(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.serving != on {
		p.serving = on
		p.wake()
	}
}

// target sets whom to ping: addresses by peer id. It reports whether anybody is new.
func (p *pinger) target(addresses map[string]string) bool {
	if p.every <= 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := false
	for id, t := range p.targets {
		if addresses[id] != t.address {
			if t.cancel != nil {
				t.cancel()
			}
			delete(p.targets, id)
		}
	}
	for id, a := range addresses {
		if p.targets[id] == nil {
			p.targets[id] = &target{address: a, ping: model.Ping{Peer: id}}
			fresh = true
		}
	}
	p.wake()
	return fresh
}

func (p *pinger) wake() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// run starts and stops one goroutine per target until ctx ends.
func (p *pinger) run(ctx context.Context, changed func()) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		p.mu.Lock()
		for _, t := range p.targets {
			switch {
			case p.serving && t.cancel == nil:
				own, cancel := context.WithCancel(ctx)
				t.cancel = cancel
				wg.Go(func() { p.pingOn(own, t, changed) })
			case !p.serving && t.cancel != nil:
				t.cancel()
				t.cancel = nil
			}
		}
		p.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-p.kick:
		}
	}
}

// pingOn pings one target until ctx ends, and soon again where doubt is left.
func (p *pinger) pingOn(ctx context.Context, t *target, changed func()) {
	for ctx.Err() == nil {
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		wait := p.patience(t)
		answer, err := p.ping(ctx, t.address, wait)
		<-p.slots
		if ctx.Err() != nil {
			return
		}
		news, lost, doubt := p.note(t, answer, err, wait)
		if news {
			changed()
		}
		switch {
		case doubt && lost:
			collectors.Pause(ctx, min(lostAgain, p.again))
		case doubt:
			collectors.Pause(ctx, p.again)
		default:
			collectors.Pause(ctx, p.interval(t))
		}
	}
}

// interval is how long until the next ping of a target, with some jitter so
// that not all go at once. One that lost pings lately and answers is pinged as
// often as the budget allows, to tell an outage that is over from a bad link.
func (p *pinger) interval(t *target) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	budget := time.Duration(len(p.targets)) * time.Second / perSecond
	d := max(p.every, budget)
	if lately := t.history[max(0, len(t.history)-steady):]; t.ping.Failures == 0 && slices.Contains(lately, false) {
		d = min(d, max(budget, unsteadyEvery))
	}
	return d - d/8 + rand.N(d/4+1)
}

func (p *pinger) patience(t *target) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return patience[min(t.ping.Failures, len(patience)-1)]
}

func (p *pinger) ping(ctx context.Context, address string, wait time.Duration) (*pong, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var answer pong
	err := p.api.ask(ctx, http.MethodPost, "ping", url.Values{"ip": {address}, "type": {"disco"}}, &answer)
	return &answer, err
}

// note takes in one ping's outcome. It reports whether it is worth drawing,
// whether it was lost, and whether the next should come soon.
func (p *pinger) note(t *target, answer *pong, err error, wait time.Duration) (news, lost, doubt bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := t.ping
	now := p.now()
	g := &t.ping
	g.At, p.at = now, now
	var text string
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		text = "no answer within " + wait.String()
	case err != nil:
		_, text, _ = describe(err)
	default:
		text = model.Clean(answer.Err, 200)
	}
	g.Error = text
	ok := text == ""
	if ok {
		g.OKAt, g.RTT, g.Failures = now, answer.LatencySeconds, 0
		switch {
		case answer.Endpoint != "":
			g.Path, g.Via = model.PathDirect, answer.Endpoint
		case answer.PeerRelay != "":
			g.Path, g.Via = model.PathPeerRelay, answer.PeerRelay
		case answer.DERPRegionCode != "":
			g.Path, g.Via = model.PathDERP, answer.DERPRegionCode
		default:
			g.Path, g.Via = model.PathUnknown, ""
		}
	} else {
		g.Failures++
	}
	t.history = withoutOutage(append(t.history, ok))
	t.history = t.history[max(0, len(t.history)-model.PingWindow):]
	g.Sent, g.Lost = len(t.history), 0
	for _, answered := range t.history {
		if !answered {
			g.Lost++
		}
	}
	moved := was.RTT == 0 || g.RTT > 1.5*was.RTT || g.RTT < was.RTT/1.5
	news = !was.Known() || (was.Failures == 0) != ok || was.Path != g.Path || was.Via != g.Via || !ok && g.Failures <= model.LostAfter || (ok && moved)
	return news, !ok, !g.Known() || !ok && g.Failures < model.LostAfter
}

// steady is how many answers in a row show that an outage is over.
const steady = 8

// withoutOutage takes the losses in a row out of a history that ends with as many
// answers as show that they are over: an outage is no quality of the link as it
// is. Single losses stay.
func withoutOutage(history []bool) []bool {
	n := len(history) - steady
	if n < 0 || slices.Contains(history[n:], false) {
		return history
	}
	kept := history[:0:0]
	for i, ok := range history {
		if ok || i+1 < len(history) && history[i+1] && (i == 0 || history[i-1]) {
			kept = append(kept, ok)
		}
	}
	return kept
}

// section gives the pings so far; they are pending until each target is known.
func (p *pinger) section(local model.Source) model.Section[model.Ping] {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := model.Source{Name: model.SourcePings, Status: model.SourceOK, Optional: true, ObservedAt: p.at, Interval: p.every}
	out := model.Section[model.Ping]{}
	for _, t := range p.targets {
		if !t.ping.Known() {
			s.Status = model.SourcePending
		}
		if t.ping.Sent > 0 {
			g := t.ping
			out.Items = append(out.Items, &g)
		}
	}
	slices.SortFunc(out.Items, func(a, b *model.Ping) int { return cmp.Compare(a.Peer, b.Peer) })
	switch {
	case p.every <= 0:
		s.Status, s.Error = model.SourceAbsent, "pings are switched off"
	case local.Status != model.SourceOK:
		s.Status, s.Error = local.Status, local.Error
	case len(p.targets) == 0:
		s.ObservedAt = local.ObservedAt
	}
	s.Items = len(out.Items)
	out.Source = s
	return out
}
