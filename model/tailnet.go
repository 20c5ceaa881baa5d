package model

import (
	"slices"
	"time"
)

// Names of the sources of a tailnet.
const (
	SourceTailnet = "tailnet"         // the local daemon: does it answer, is it connected
	SourcePeers   = "tailnet/peers"   // the machines it knows
	SourcePings   = "tailnet/pings"   // our own measurements
	SourceControl = "tailnet/control" // the control server's API, where it was named
)

// TailnetFacts is what one tailscaled says of its tailnet, and what we measured
// through it.
type TailnetFacts struct {
	Name   string   // MagicDNS suffix; empty until known
	Daemon string   // version of the daemon asked
	Health []string // the daemon's own complaints
	Online bool     // the daemon is connected to its control server
	Local  Source
	Peers  Section[PeerFact]
	Pings  Section[Ping]
	// Control is the control server, which lists the Peers while Local does not.
	Control Source
}

func (f *TailnetFacts) sources() []Source {
	return slices.DeleteFunc([]Source{f.Local, f.Peers.Source, f.Pings.Source, f.Control}, func(s Source) bool { return s.Name == "" })
}

// PeerFact is one machine of a tailnet as the local daemon describes it
// (ipnstate.PeerStatus, and tailcfg.Node for Endpoints).
type PeerFact struct {
	Tailnet   string    `json:"tailnet"`
	ID        string    `json:"id"`       // stable node id; node keys rotate
	Name      string    `json:"name"`     // DNSName without its last dot: unique
	HostName  string    `json:"hostName"` // as the machine calls itself: not unique
	OS        string    `json:"os"`
	Self      bool      `json:"self"`      // the machine we look from
	Addresses []string  `json:"addresses"` // on the tailnet
	Routes    []string  `json:"routes,omitempty"`
	Tags      []string  `json:"tags,omitempty"`
	Online    bool      `json:"online"`            // the control server's opinion, which may be a quarter of an hour old
	LastSeen  time.Time `json:"lastSeen,omitzero"` // when the control server noticed that it went
	Active    bool      `json:"active"`            // sent to within 45 s: only then the path is known
	Endpoint  string    `json:"endpoint"`          // CurAddr: ip:port of a direct path in use
	Relay     string    `json:"relay"`             // code of its home DERP region, whether used or not
	PeerRelay string    `json:"peerRelay,omitempty"`
	Endpoints []string  `json:"endpoints,omitempty"` // addresses it may be reached at, public ones first
	RxBytes   int64     `json:"rxBytes"`
	TxBytes   int64     `json:"txBytes"`
	RxRate    float64   `json:"rxBytesPerSecond"`
	TxRate    float64   `json:"txBytesPerSecond"`
	Handshake time.Time `json:"lastHandshake,omitzero"`
	KeyExpiry time.Time `json:"keyExpiry,omitzero"` // zero: never
	Expired   bool      `json:"expired"`
	Created   time.Time `json:"created,omitzero"`
	Version   string    `json:"version,omitempty"` // of its tailscaled, where told
	// Moves are the public addresses it was seen to have, newest first.
	Moves []PublicAddress `json:"publicAddresses,omitempty"`
}

// PublicAddress is an address a peer had, and since when.
type PublicAddress struct {
	Address string    `json:"address"`
	Since   time.Time `json:"since"`
}

// Ping is what our own disco pings to one peer found. They measure the path
// between two daemons: UDP or relay, below WireGuard.
type Ping struct {
	Peer     string    `json:"-"` // PeerFact.ID
	At       time.Time `json:"at"`
	OKAt     time.Time `json:"answeredAt,omitzero"`
	RTT      float64   `json:"rttSeconds"` // of the last answer
	Path     PathKind  `json:"path"`       // of the last answer
	Via      string    `json:"via"`        // endpoint or relay of the last answer
	Failures int       `json:"failures"`   // in a row, up to now
	Sent     int       `json:"sent"`       // of the last ones, up to PingWindow
	Lost     int       `json:"lost"`       // of Sent
	Error    string    `json:"error,omitempty"`
}

// PingWindow is over how many pings loss is counted. An outage that is over
// for a while is left out: it says nothing of the link as it is.
const PingWindow = 20

// LostAfter is how many pings in a row must fail until a peer counts as
// unreachable: a path that just died costs one before another is tried.
const LostAfter = 2

// Known reports whether the pings are enough to go by: one that came straight,
// or two, as the first may be lost, or go over a relay, while a path is sought.
func (p *Ping) Known() bool {
	return p.Sent >= 2 || p.Path == PathDirect && p.Failures == 0 && p.Sent > 0
}

// PathKind is how packets get to a peer.
type PathKind string

// The kinds of path.
const (
	PathUnknown   PathKind = ""
	PathLocal     PathKind = "local" // it is this machine
	PathDirect    PathKind = "direct"
	PathPeerRelay PathKind = "peer-relay"
	PathDERP      PathKind = "derp"
)

// PeerState is geotop's one word for a peer.
type PeerState string

// The states of a peer.
const (
	PeerReachable   PeerState = "reachable"   // it answered our own ping
	PeerUnreachable PeerState = "unreachable" // it did not
	PeerOffline     PeerState = "offline"     // not pinged; the control server says it is gone
	PeerIdle        PeerState = "idle"        // not pinged; the control server says it is there
	PeerExpired     PeerState = "expired"     // its key ran out: nobody talks to it
	PeerUnknown     PeerState = "unknown"     // the daemon does not answer
)

// Peer is a PeerFact joined with our pings and the Kubernetes node it is.
type Peer struct {
	*PeerFact
	State     PeerState `json:"state"`
	Path      PathKind  `json:"path"`
	Via       string    `json:"via"` // endpoint, or relay region
	Site      string    `json:"site"`
	Cluster   string    `json:"cluster"`
	Node      string    `json:"node"`      // empty when it is none
	MatchedBy string    `json:"matchedBy"` // what tells that it is that node
	Ping      *Ping     `json:"ping"`      // nil when it was not pinged
	Problems  []string  `json:"problems,omitempty"`
}

// Tailnet is one tailnet as seen from here.
type Tailnet struct {
	Name   string   `json:"name"`
	Daemon string   `json:"daemon"`
	Online bool     `json:"online"`
	Self   string   `json:"self"` // id of the peer we look from
	Health []string `json:"health"`
}

const (
	expirySoon = 14 * 24 * time.Hour
	siteTag    = "tag:site-"
)

// newPeer judges one peer. source is the state of where it comes from.
func newPeer(f *PeerFact, ping *Ping, source Source, now time.Time) *Peer {
	p := &Peer{PeerFact: f, Ping: ping, State: PeerIdle}
	switch {
	case source.Status != SourceOK:
		p.State = PeerUnknown
	case f.Self:
		p.State = PeerReachable
	case f.Expired:
		p.State = PeerExpired
	case ping != nil && ping.Failures >= LostAfter:
		p.State = PeerUnreachable
	case ping != nil && !ping.OKAt.IsZero():
		p.State = PeerReachable
	case !f.Online:
		p.State = PeerOffline
	}
	p.Path, p.Via = p.way()
	for _, t := range f.Tags {
		if len(t) > len(siteTag) && t[:len(siteTag)] == siteTag {
			p.Site = t[len(siteTag):]
		}
	}
	p.complain(now)
	return p
}

// way is the path packets take now, as far as it is known: a path is only known
// while it is in use.
func (p *Peer) way() (path PathKind, via string) {
	switch {
	case p.Self:
		return PathLocal, ""
	case p.State != PeerReachable:
		return PathUnknown, ""
	case p.Active && p.Endpoint != "":
		return PathDirect, p.Endpoint
	case p.Active && p.PeerRelay != "":
		return PathPeerRelay, p.PeerRelay
	default:
		return p.Ping.Path, p.Ping.Via // reachable means that a ping was answered
	}
}

// complain lists what is wrong with the peer in itself.
func (p *Peer) complain(now time.Time) {
	if p.Expired {
		p.Problems = append(p.Problems, "its tailnet key has expired")
	} else if left := p.KeyExpiry.Sub(now); !p.KeyExpiry.IsZero() && left < expirySoon {
		p.Problems = append(p.Problems, "its tailnet key expires in "+Ago(left))
	}
	if p.State == PeerReachable && !p.Self && !p.Online {
		p.Problems = append(p.Problems, "answers, though the control server calls it offline")
	}
}

// Answers reports whether the peer is known to be reachable from here.
func (p *Peer) Answers() bool { return p.State == PeerReachable }

// Gone reports whether the peer is known to be out of reach.
func (p *Peer) Gone() bool {
	return p.State == PeerUnreachable || p.State == PeerOffline || p.State == PeerExpired
}

// Severity ranks the peer. Machines that are no node and were not pinged are not
// ours to judge: a phone is offline most of the day.
func (p *Peer) Severity() Severity {
	switch {
	case p.Node == "" && p.Ping != nil && p.State == PeerUnreachable:
		return Critical
	case p.Node == "" && len(p.Problems) == 0:
		return OK
	case p.Node == "":
		return Warning
	case p.State == PeerUnknown:
		return Unknown
	case p.State == PeerUnreachable, p.State == PeerExpired:
		return Critical
	case p.State == PeerOffline, len(p.Problems) > 0:
		return Warning
	default:
		return OK
	}
}

// Seen is when the peer last gave a sign of life that we know of.
func (p *Peer) Seen() time.Time {
	seen := p.LastSeen
	if p.Ping != nil && p.Ping.OKAt.After(seen) {
		seen = p.Ping.OKAt
	}
	return seen
}

// PublicAddress is where the peer's house is on the Internet now, or "".
func (f *PeerFact) PublicAddress() string {
	if len(f.Moves) > 0 {
		return f.Moves[0].Address
	}
	return ""
}
