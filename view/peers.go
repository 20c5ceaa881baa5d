package view

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
)

// Peers lists the machines of the tailnet.
func Peers() List { return peersList }

var peersList = makePeers()

func makePeers() List {
	severity := func(_ *model.World, p *model.Peer) model.Severity { return p.Severity() }
	return &list[*model.Peer]{
		info:     Info{Name: "tailnet", Title: "Tailnet", Sources: []string{model.SourceTailnet, model.SourcePeers}},
		items:    func(w *model.World) []*model.Peer { return w.Peers },
		key:      func(p *model.Peer) string { return p.ID },
		site:     func(_ *model.World, p *model.Peer) string { return p.Site },
		severity: severity,
		object:   func(p *model.Peer) Object { return Object{Kind: "Peer", Cluster: p.Cluster, Name: p.Name} },
		in:       func(_ *model.World, p *model.Peer, o Object) bool { return o.Kind == "Site" && p.Site == o.Name },
		words: func(p *model.Peer) string {
			return strings.Join([]string{p.Name, p.HostName, p.OS, p.Node, string(p.State), string(p.Path), p.Via, p.PublicAddress(), strings.Join(p.Tags, " "), strings.Join(p.Addresses, " ")}, " ")
		},
		columns: []column[*model.Peer]{
			peerMark(),
			{ColumnInfo: ColumnInfo{Title: "PEER", Min: 8, Ideal: 10, Max: 30, Middle: true}, cell: func(_ *model.World, p *model.Peer) Cell { return strong(peerName(p)) }},
			{ColumnInfo: ColumnInfo{Title: "SITE", Rank: 4, Min: 5, Ideal: 10, Max: 20, Middle: true}, cell: func(_ *model.World, p *model.Peer) Cell { return plain(p.Site) }},
			{ColumnInfo: ColumnInfo{Title: "STATE", Rank: 1, Min: 9, Ideal: 11, Max: 12}, cell: peerState},
			{ColumnInfo: ColumnInfo{Title: "PATH", Rank: 2, Min: 6, Ideal: 8, Max: 14}, cell: func(_ *model.World, p *model.Peer) Cell { return pathCell(p.Path, p.Via) }},
			{ColumnInfo: ColumnInfo{Title: "RTT", Rank: 2, Min: 5, Right: true}, cell: func(_ *model.World, p *model.Peer) Cell { return peerRTT(p) },
				compare: func(_ *model.World, a, b *model.Peer) int { return cmp.Compare(rttOf(b), rttOf(a)) }},
			{ColumnInfo: ColumnInfo{Title: "LOSS", Rank: 5, Min: 4, Right: true}, cell: func(_ *model.World, p *model.Peer) Cell { return peerLoss(p) }},
			{ColumnInfo: ColumnInfo{Title: "PUBLIC", Rank: 6, Min: 13, Ideal: 15, Max: 39}, cell: func(_ *model.World, p *model.Peer) Cell { return dim(p.PublicAddress()) }},
			{ColumnInfo: ColumnInfo{Title: "IN/s", Rank: 7, Min: 6, Right: true}, cell: func(_ *model.World, p *model.Peer) Cell { return rate(p.RxRate) },
				compare: func(_ *model.World, a, b *model.Peer) int { return cmp.Compare(b.RxRate, a.RxRate) }},
			{ColumnInfo: ColumnInfo{Title: "OUT/s", Rank: 7, Min: 6, Right: true}, cell: func(_ *model.World, p *model.Peer) Cell { return rate(p.TxRate) },
				compare: func(_ *model.World, a, b *model.Peer) int { return cmp.Compare(b.TxRate, a.TxRate) }},
			{ColumnInfo: ColumnInfo{Title: "ADDRESS", Rank: 8, Min: 12, Ideal: 13, Max: 15}, cell: func(_ *model.World, p *model.Peer) Cell { return dim(first(p.Addresses)) }},
			{ColumnInfo: ColumnInfo{Title: "OS", Rank: 9, Min: 5, Max: 9}, cell: func(_ *model.World, p *model.Peer) Cell { return dim(p.OS) }},
			{ColumnInfo: ColumnInfo{Title: "KEY", Rank: 9, Min: 5, Right: true}, cell: peerKey},
			{ColumnInfo: ColumnInfo{Title: "TROUBLE", Rank: 10, Min: 12, Ideal: 20, Flex: true}, cell: func(_ *model.World, p *model.Peer) Cell {
				return alert(strings.Join(p.Problems, ", "), p.Severity())
			}},
		},
		note:    peerNote,
		details: peerDetails,
	}
}

// peerMark is the usual mark, but that a machine nobody asked is not called well.
func peerMark() column[*model.Peer] {
	c := mark(func(_ *model.World, p *model.Peer) model.Severity { return p.Severity() })
	usual := c.cell
	c.cell = func(w *model.World, p *model.Peer) Cell {
		if p.Severity() == model.OK && !p.Answers() {
			return Cell{Text: "○", Token: themes.Dim}
		}
		return usual(w, p)
	}
	return c
}

// peerName is the first label of the peer's name: the rest is the tailnet's.
func peerName(p *model.Peer) string {
	name, _, _ := strings.Cut(p.Name, ".")
	return name
}

func first(items []string) string {
	if len(items) == 0 {
		return ""
	}
	return items[0]
}

func peerState(_ *model.World, p *model.Peer) Cell {
	switch {
	case p.Self:
		return dim("here")
	case p.State == model.PeerIdle:
		return dim("online")
	case p.State == model.PeerOffline && p.Node == "":
		return dim("offline")
	default:
		return alert(string(p.State), p.Severity())
	}
}

// pathCell says how packets go: straight, or over which relay.
func pathCell(path model.PathKind, via string) Cell {
	switch path {
	case model.PathUnknown:
		return dim("-")
	case model.PathLocal:
		return dim("-")
	case model.PathDERP:
		return Cell{Text: "DERP " + via, Short: "DERP", Token: themes.Accent}
	case model.PathPeerRelay:
		return Cell{Text: "peer relay", Short: "relay", Token: themes.Accent}
	default:
		return plain(string(path))
	}
}

func rttOf(p *model.Peer) float64 {
	if p.Ping == nil || !p.Answers() {
		return -1
	}
	return p.Ping.RTT
}

func peerRTT(p *model.Peer) Cell {
	if rttOf(p) < 0 {
		return dim("-")
	}
	return plain(millis(p.Ping.RTT))
}

// millis writes a time in milliseconds with two digits at least.
func millis(seconds float64) string {
	if seconds < 0.00995 {
		return fmt.Sprintf("%.1fms", seconds*1000)
	}
	return fmt.Sprintf("%.0fms", seconds*1000)
}

func peerLoss(p *model.Peer) Cell {
	if p.Ping == nil || p.Ping.Sent == 0 {
		return dim("-")
	}
	return loss(float64(p.Ping.Lost) / float64(p.Ping.Sent))
}

func loss(share float64) Cell {
	switch c := dim(fmt.Sprintf("%.0f%%", share*100)); {
	case share >= 0.1:
		c.Token = themes.Warning
		return c
	default:
		return c
	}
}

func rate(perSecond float64) Cell {
	if perSecond < 1 {
		return dim("-")
	}
	return plain(text.Bytes(int64(perSecond)))
}

func peerKey(w *model.World, p *model.Peer) Cell {
	switch {
	case p.Expired:
		return alert("over", model.Critical)
	case p.KeyExpiry.IsZero():
		return dim("-")
	default:
		c := plain(model.Ago(p.KeyExpiry.Sub(w.At)))
		if len(p.Problems) > 0 {
			c.Token = themes.Warning
		}
		return c
	}
}

// peerNote says what is the matter, or since when the machine is not heard.
func peerNote(w *model.World, p *model.Peer) string {
	notes := p.Problems
	switch p.State {
	case model.PeerUnreachable:
		note := "does not answer"
		if seen := p.Seen(); !seen.IsZero() {
			note += ", last heard " + age(w, seen) + " ago"
		}
		if p.Online {
			note += "; the control server still calls it online"
		}
		notes = append([]string{note}, notes...)
	case model.PeerOffline:
		notes = append([]string{"offline for " + age(w, p.LastSeen) + ", says the control server"}, notes...)
	}
	return strings.Join(notes, ", ")
}

func peerDetails(w *model.World, p *model.Peer) []Line {
	d := newDoc(w)
	d.title(Mark(p.Severity()), p.Name, string(p.State))
	if note := peerNote(w, p); note != "" {
		d.note(note, p.Severity())
	}
	d.field("site", p.Site)
	if p.Node != "" {
		d.field("node", p.Node+", told by its "+p.MatchedBy)
	}
	d.field("path", strings.TrimSpace(string(p.Path)+" "+p.Via))
	if g := p.Ping; g != nil {
		if p.Answers() {
			d.field("round trip", millis(g.RTT))
		}
		d.field("pings", fmt.Sprintf("%d of the last %d lost", g.Lost, g.Sent))
		d.field("last answer", agoOr(w, g.OKAt))
	}
	online := "no"
	if p.Online {
		online = "yes"
	}
	d.field("online", online+", says the control server")
	d.field("last seen", agoOr(w, p.LastSeen))
	d.field("addresses", strings.Join(p.Addresses, ", "))
	d.field("reached at", strings.Join(p.Endpoints, ", "))
	d.field("home relay", p.Relay)
	d.field("routes", strings.Join(p.Routes, ", "))
	d.field("tags", strings.Join(p.Tags, ", "))
	d.field("system", p.OS)
	d.field("tailscale", p.Version)
	if !p.Self {
		d.field("received", text.Bytes(p.RxBytes))
		d.field("sent", text.Bytes(p.TxBytes))
	}
	if !p.KeyExpiry.IsZero() {
		d.field("key expires", until(w, p.KeyExpiry))
	}
	d.field("created", agoOr(w, p.Created))
	d.section("Public addresses")
	for _, m := range p.Moves {
		d.row(plain(m.Address), dim("since "+agoOr(w, m.Since)))
	}
	d.end(20)
	return d.lines
}

// until is when something will be, or was.
func until(w *model.World, t time.Time) string {
	if t.Before(w.At) {
		return agoOr(w, t)
	}
	return "in " + model.Ago(t.Sub(w.At))
}

// Links lists the ways between sites.
func Links() List { return linksList }

var linksList = makeLinks()

func makeLinks() List {
	severity := func(_ *model.World, l *model.Link) model.Severity { return l.Severity() }
	return &list[*model.Link]{
		info:     Info{Name: "links", Title: "Links", Sources: []string{model.SourcePings, model.SourceTailnet}},
		items:    func(w *model.World) []*model.Link { return w.Links },
		key:      func(l *model.Link) string { return l.From + ">" + l.To + ">" + l.Source },
		site:     func(_ *model.World, l *model.Link) string { return l.To },
		severity: severity,
		object:   func(l *model.Link) Object { return Object{Kind: "Site", Name: l.To} },
		in: func(_ *model.World, l *model.Link, o Object) bool {
			return o.Kind == "Site" && (l.To == o.Name || l.From == o.Name)
		},
		words: func(l *model.Link) string {
			return strings.Join([]string{l.From, l.To, string(l.Path), l.Problem}, " ")
		},
		columns: []column[*model.Link]{
			mark(severity),
			{ColumnInfo: ColumnInfo{Title: "FROM", Rank: 3, Min: 5, Ideal: 9, Max: 20, Middle: true}, cell: func(_ *model.World, l *model.Link) Cell { return plain(l.From) }},
			{ColumnInfo: ColumnInfo{Title: "TO", Min: 5, Ideal: 9, Max: 20, Middle: true}, cell: func(_ *model.World, l *model.Link) Cell { return strong(l.To) }},
			{ColumnInfo: ColumnInfo{Title: "RTT", Rank: 1, Min: 6, Right: true}, cell: linkRTT,
				compare: func(_ *model.World, a, b *model.Link) int { return cmp.Compare(b.RTT, a.RTT) }},
			trend("LATELY", 4, 0, func(l *model.Link) model.TrailOf { of := l.Trail(); of.Figure = model.TrailRTT; return of }),
			{ColumnInfo: ColumnInfo{Title: "LOSS", Rank: 2, Min: 4, Right: true}, cell: linkLoss},
			{ColumnInfo: ColumnInfo{Title: "PATH", Rank: 1, Min: 6, Ideal: 8, Max: 14}, cell: func(_ *model.World, l *model.Link) Cell { return pathCell(l.Path, strings.Join(l.Via, " ")) }},
			{ColumnInfo: ColumnInfo{Title: "ANSWER", Rank: 4, Min: 6, Right: true}, cell: func(_ *model.World, l *model.Link) Cell {
				return alert(fmt.Sprintf("%d/%d", l.Answering, l.Peers), worseThan(l.Answering < l.Peers, l.Severity()))
			}},
			{ColumnInfo: ColumnInfo{Title: "BY", Rank: 6, Min: 4, Max: 10}, cell: func(_ *model.World, l *model.Link) Cell { return dim(l.Source) }},
			{ColumnInfo: ColumnInfo{Title: "TROUBLE", Rank: 5, Min: 9, Ideal: 12, Flex: true}, cell: func(_ *model.World, l *model.Link) Cell { return alert(l.Problem, l.Severity()) }},
		},
		note:    func(_ *model.World, l *model.Link) string { return l.Problem },
		details: linkDetails,
	}
}

func linkDetails(w *model.World, l *model.Link) []Line {
	d := newDoc(w)
	d.title(Mark(l.Severity()), l.From+" to "+l.To, l.Problem)
	if l.Answering > 0 {
		d.field("round trip", millis(l.RTT))
	}
	if l.Loss != nil {
		d.field("loss", percent(*l.Loss))
	}
	d.linkTrends(l)
	d.field("path", strings.TrimSpace(string(l.Path)+" "+strings.Join(l.Via, " ")))
	d.field("answering", fmt.Sprintf("%d of %d machines", l.Answering, l.Peers))
	d.field("measured by", l.Source)
	d.section("Machines there")
	for _, p := range w.Peers {
		if p.Site == l.To {
			d.row(Mark(p.Severity()), strong(peerName(p)), peerState(w, p), peerRTT(p), dim(strings.Join(p.Problems, ", ")))
		}
	}
	d.end(20)
	return d.lines
}

// linkTrends are how a link went; its losses only where there were any.
func (d *doc) linkTrends(l *model.Link) {
	of := l.Trail()
	of.Figure = model.TrailRTT
	d.trend(of, millis)
	of.Figure = model.TrailLoss
	if text.Top(d.world.Trails.Of(of)) > 0 {
		d.trend(of, func(share float64) string { return percent(share) + " lost" })
	}
}

func linkLoss(_ *model.World, l *model.Link) Cell {
	if l.Loss == nil {
		return dim("-")
	}
	return loss(*l.Loss)
}

func linkRTT(_ *model.World, l *model.Link) Cell {
	if l.Answering == 0 {
		return dim("-")
	}
	return alert(millis(l.RTT), worseThan(l.Problem != "", l.Severity()))
}
