// Package tailnet reads a tailnet through the tailscaled of this machine, and
// measures the ways to its machines by pings of its own. Headscale and
// Tailscale are the same here.
//
// It only reads and pings; it needs no right but to open the daemon's socket.
package tailnet

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/geotop/geotop/collectors"
	"github.com/geotop/geotop/model"
)

// Config says how to reach the daemon and how much to measure.
type Config struct {
	Transport http.RoundTripper // to the LocalAPI; see Unix
	Now       func() time.Time  // the clock ages are judged by; time.Now when nil
	PingEvery time.Duration     // how often each target is pinged; 0 for not at all
	PingAgain time.Duration     // how soon after a ping that leaves doubt; 1 s when 0
	Control   *Control          // nil, or without a key: none
}

const (
	pollEvery   = 5 * time.Second  // paths are never pushed
	absentEvery = 30 * time.Second // how often to look whether there is a daemon now
	wakeGap     = 300 * time.Millisecond
	detailEvery = 60 * time.Second // how often endpoints are read anew
	maxMoves    = 20
)

// busMask asks for state, peer changes and patches; not the netmap bits that
// newer daemons refuse.
const busMask = 1<<1 | 1<<12 | 1<<14 | 1<<15 | 1<<18

// Collector reads one tailscaled. It is a collectors.Collector.
type Collector struct {
	api     localAPI
	now     func() time.Time
	pings   *pinger
	control *control // nil when there is none

	mu      sync.Mutex
	changed func()
	facts   model.TailnetFacts
	seen    map[string]*memory // by peer id
	wanted  map[string]bool    // ids of the peers whose details are worth asking for
	wake    chan struct{}      // asks for the status before its time
	turn    int                // how often wanted changed
	known   int                // the turn whose peers' details were asked for
	again   chan struct{}      // the same at once, as wanted is new
}

// memory is what is known of a peer beyond one answer.
type memory struct {
	rx, tx    int64
	at        time.Time
	endpoints []string
	version   string
	detailAt  time.Time
	moves     []model.PublicAddress
}

// New makes a collector; it connects when Run is called.
func New(cfg Config) *Collector {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	now := cfg.Now
	c := &Collector{
		api: localAPI{&http.Client{Transport: cfg.Transport}}, now: func() time.Time { return now().UTC() },
		changed: func() {}, seen: map[string]*memory{}, wanted: map[string]bool{}, wake: make(chan struct{}, 1), again: make(chan struct{}, 1),
	}
	c.facts.Local = model.Source{Name: model.SourceTailnet, Status: model.SourcePending, Optional: true, Interval: pollEvery}
	c.facts.Peers.Source = model.Source{Name: model.SourcePeers, Status: model.SourcePending, Optional: true, Interval: pollEvery}
	c.pings = newPinger(c.api, c.now, cfg.PingEvery, cfg.PingAgain)
	c.control = newControl(cfg.Control, c.now)
	return c
}

// Run collects until ctx ends.
func (c *Collector) Run(ctx context.Context, changed func()) {
	c.mu.Lock()
	c.changed = changed
	c.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { c.follow(ctx) })
	wg.Go(func() { c.poll(ctx) })
	wg.Go(func() { c.pings.run(ctx, changed) })
	if c.control != nil {
		wg.Go(func() { c.control.run(ctx, changed) })
	}
	wg.Wait()
	c.api.client.CloseIdleConnections()
}

// Follow has the machines pinged that are nodes in w.
func (c *Collector) Follow(w *model.World) (news bool) { return c.Target(w.PingTargets()) }

// Target says which peers are worth pinging, by id. It reports whether that
// differs from before, in which case pings are pending again.
func (c *Collector) Target(ids []string) bool {
	c.mu.Lock()
	fresh := !maps.Equal(c.wanted, setOf(ids))
	c.wanted = setOf(ids)
	if fresh {
		c.turn++
	}
	addresses := map[string]string{}
	for _, p := range c.facts.Peers.Items {
		if c.wanted[p.ID] && len(p.Addresses) > 0 {
			addresses[p.ID] = p.Addresses[0]
		}
	}
	c.mu.Unlock()
	if fresh {
		collectors.Raise(c.again)
	}
	return c.pings.target(addresses) || fresh
}

func setOf(ids []string) map[string]bool {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// poll asks for the status again and again: at once when the bus tells of a
// change, and every few seconds because paths are not told there.
func (c *Collector) poll(ctx context.Context) {
	for ctx.Err() == nil {
		st, err := c.status(ctx)
		if ctx.Err() != nil {
			return
		}
		turn := 0
		if err == nil {
			turn = c.details(ctx, st)
		}
		c.note(st, err, turn)
		wait := pollEvery
		if c.absent() {
			wait = absentEvery
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-c.again:
		case <-c.wake:
			gap := time.NewTimer(wakeGap) // changes come in flocks
			select {
			case <-ctx.Done():
			case <-gap.C:
			case <-c.again:
			}
			gap.Stop()
		}
		timer.Stop()
	}
}

func (c *Collector) absent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.facts.Local.Status == model.SourceAbsent
}

func (c *Collector) status(ctx context.Context) (*status, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	st := &status{}
	return st, c.api.ask(ctx, http.MethodGet, "status", nil, st)
}

// note takes in an answer to status, or that there was none. turn is up to which
// turn of wanted its details were asked for.
func (c *Collector) note(st *status, err error, turn int) {
	c.mu.Lock()
	was := c.facts
	news := turn > c.known
	c.known = max(c.known, turn)
	now := c.now()
	local, peers := &c.facts.Local, &c.facts.Peers.Source
	if err == nil {
		if text, hint := st.running(); text != "" {
			local.Status, local.Error, local.Hint = model.SourceFailed, text, hint
			peers.Status, peers.Error = unlessKnown(*peers), text
		} else {
			c.take(st, now)
		}
	} else {
		local.Status, local.Error, local.Hint = describe(err)
		peers.Status, peers.Error = unlessKnown(*peers), local.Error
		if local.Status == model.SourceAbsent {
			peers.Status = model.SourceAbsent
		} else if local.Status == model.SourceFailed && !local.ObservedAt.IsZero() {
			local.Status = model.SourceStale
		}
	}
	c.pings.serve(local.Status == model.SourceOK)
	news = differ(&was, &c.facts) || news
	changed := c.changed
	c.mu.Unlock()
	if news {
		changed()
	}
}

// unlessKnown is the status of a source that fails now: stale when it said
// something before.
func unlessKnown(s model.Source) model.SourceStatus {
	if s.ObservedAt.IsZero() {
		return model.SourceFailed
	}
	return model.SourceStale
}

// take turns a status into facts. The caller holds mu.
func (c *Collector) take(st *status, now time.Time) {
	f := &c.facts
	if t := st.CurrentTailnet; t != nil {
		f.Name = cmp.Or(t.MagicDNSSuffix, t.Name)
	}
	f.Daemon, f.Health = st.Version, st.Health
	f.Online = st.Self != nil && st.Self.Online
	for _, s := range []*model.Source{&f.Local, &f.Peers.Source} {
		s.Status, s.Error, s.Hint, s.ObservedAt = model.SourceOK, "", "", now
	}
	items := []*model.PeerFact{}
	if st.Self != nil && st.Self.ID != "" {
		items = append(items, c.remember(st.Self.fact(f.Name, true), now))
	}
	for _, p := range st.Peer {
		if p != nil && p.ours() {
			items = append(items, c.remember(p.fact(f.Name, false), now))
		}
	}
	slices.SortFunc(items, func(a, b *model.PeerFact) int { return cmp.Compare(a.ID, b.ID) })
	f.Peers.Items, f.Peers.Source.Items = items, len(items)
	f.Local.Items = 1
}

// remember adds what earlier answers told: rates, endpoints, past addresses.
func (c *Collector) remember(p *model.PeerFact, now time.Time) *model.PeerFact {
	m := c.seen[p.ID]
	if m == nil {
		m = &memory{}
		c.seen[p.ID] = m
	}
	// The daemon counts from nought again when it forgets an idle peer.
	if dt := now.Sub(m.at).Seconds(); !m.at.IsZero() && dt > 0 && p.RxBytes >= m.rx && p.TxBytes >= m.tx {
		p.RxRate, p.TxRate = float64(p.RxBytes-m.rx)/dt, float64(p.TxBytes-m.tx)/dt
	}
	m.rx, m.tx, m.at = p.RxBytes, p.TxBytes, now
	if p.Endpoints == nil {
		p.Endpoints = m.endpoints
	}
	p.Endpoints = publicFirst(p.Endpoints)
	p.Version = m.version
	if a := publicAddress(p); a != "" && (len(m.moves) == 0 || m.moves[0].Address != a) {
		m.moves = append([]model.PublicAddress{{Address: a, Since: now}}, m.moves[:min(len(m.moves), maxMoves-1)]...)
	}
	p.Moves = m.moves
	return p
}

// publicAddress is the peer's address on the Internet: that of the direct path
// in use, else the first public one it offers.
func publicAddress(p *model.PeerFact) string {
	for _, e := range append([]string{p.Endpoint}, p.Endpoints...) {
		if ap, err := netip.ParseAddrPort(e); err == nil && isPublic(ap.Addr()) {
			return ap.Addr().Unmap().String()
		}
	}
	return ""
}

func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsValid() && !a.IsPrivate() && !a.IsLinkLocalUnicast() && !a.IsUnspecified() && !shared.Contains(a)
}

// shared is the address space of carriers' NAT, and of tailnets.
var shared = netip.MustParsePrefix("100.64.0.0/10")

func publicFirst(endpoints []string) []string {
	rank := func(e string) int {
		if ap, err := netip.ParseAddrPort(e); err == nil && isPublic(ap.Addr()) {
			return 0
		}
		return 1
	}
	sorted := slices.Clone(endpoints)
	slices.SortStableFunc(sorted, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return sorted
}

// details asks for what status does not tell of the peers that matter, and gives
// the turn of wanted that they are of.
func (c *Collector) details(ctx context.Context, st *status) (turn int) {
	c.mu.Lock()
	turn, now := c.turn, c.now()
	ask := map[string]string{}
	for _, p := range st.Peer {
		if p == nil || !c.wanted[p.ID] || len(p.TailscaleIPs) == 0 {
			continue
		}
		if m := c.seen[p.ID]; m != nil && now.Sub(m.detailAt) >= detailEvery {
			ask[p.ID] = p.TailscaleIPs[0]
			m.detailAt = now
		}
	}
	c.mu.Unlock()
	for id, address := range ask {
		var n netNode
		call, cancel := context.WithTimeout(ctx, callTimeout)
		err := c.api.ask(call, http.MethodGet, "whois", url.Values{"addr": {address}}, &n)
		cancel()
		if err != nil {
			continue // another daemon's version may not tell; the path is known without
		}
		c.mu.Lock()
		c.seen[id].endpoints, c.seen[id].version = n.Node.Endpoints, shortVersion(n.Node.Hostinfo.IPNVersion)
		c.mu.Unlock()
	}
	return turn
}

// differ reports whether two facts differ in what is worth drawing at once;
// counters and times that only move on are not.
func differ(a, b *model.TailnetFacts) bool {
	if a.Local.Status != b.Local.Status || a.Local.Error != b.Local.Error || a.Peers.Source.Status != b.Peers.Source.Status ||
		a.Online != b.Online || a.Name != b.Name || !slices.Equal(a.Health, b.Health) {
		return true
	}
	return !slices.EqualFunc(a.Peers.Items, b.Peers.Items, func(x, y *model.PeerFact) bool {
		return x.ID == y.ID && x.Online == y.Online && x.Active == y.Active && x.Endpoint == y.Endpoint && x.Relay == y.Relay &&
			x.PeerRelay == y.PeerRelay && x.Expired == y.Expired && x.KeyExpiry.Equal(y.KeyExpiry) && x.Name == y.Name &&
			slices.Equal(x.Addresses, y.Addresses) && slices.Equal(x.Tags, y.Tags) && slices.Equal(x.Moves, y.Moves)
	})
}

// follow listens to the daemon's bus and wakes the poll on every message. What
// a message says is not used: the status that is read then is whole.
func (c *Collector) follow(ctx context.Context) {
	q := url.Values{"mask": {strconv.Itoa(busMask)}}
	for delay := time.Second; ctx.Err() == nil; delay = min(2*delay, absentEvery) {
		resp, err := c.api.open(ctx, http.MethodGet, "watch-ipn-bus", q)
		if err == nil {
			dec := json.NewDecoder(resp.Body)
			for {
				var skipped json.RawMessage
				if err := dec.Decode(&skipped); err != nil {
					break
				}
				delay = time.Second
				collectors.Raise(c.wake)
			}
			resp.Body.Close()
		}
		collectors.Pause(ctx, delay)
	}
}

// Facts adds the tailnet to f.
func (c *Collector) Facts(f *model.Facts) {
	c.mu.Lock()
	facts, due := c.facts, c.turn > c.known
	c.mu.Unlock()
	facts.Pings = c.pings.section(facts.Local)
	if due && facts.Pings.Source.Status == model.SourceOK {
		facts.Pings.Source.Status = model.SourcePending
	}
	if c.control != nil {
		c.control.fill(&facts)
	}
	f.Tailnets = append(f.Tailnets, facts)
}
