package model

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// addTailnet joins a tailnet's peers with pings and nodes.
func (w *World) addTailnet(f *TailnetFacts, opt Options) {
	source := f.Local.aged(w.At, opt.StaleAfter)
	if control := f.Control.aged(w.At, opt.StaleAfter); source.Status != SourceOK && control.Status == SourceOK {
		source = control
	}
	t := &Tailnet{Name: f.Name, Daemon: f.Daemon, Online: f.Online, Health: list(f.Health)}
	pings := make(map[string]*Ping, len(f.Pings.Items))
	for _, p := range f.Pings.Items {
		pings[p.Peer] = p
	}
	peers := []*Peer{}
	for _, p := range f.Peers.Items {
		peers = append(peers, newPeer(p, pings[p.ID], source, w.At))
		if p.Self {
			t.Self = p.ID
		}
	}
	w.matchPeers(peers)
	slices.SortFunc(peers, func(a, b *Peer) int {
		return cmp.Or(compareSites(a.Site, b.Site), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	w.Peers = append(w.Peers, peers...)
	w.Tailnets = append(w.Tailnets, t)
}

// compareSites puts what is in no site last.
func compareSites(a, b string) int {
	if (a == "") != (b == "") {
		if a == "" {
			return 1
		}
		return -1
	}
	return cmp.Compare(a, b)
}

// rule is one way to tell which peer a node is: keys of the one that match keys
// of the other.
type rule struct {
	name string
	node func(*Node) []string
	peer func(*Peer) []string
}

// addressNotes are the node annotations that hold addresses.
var addressNotes = []string{
	"k3s.io/internal-ip", "k3s.io/external-ip", "alpha.kubernetes.io/provided-node-ip",
	"flannel.alpha.coreos.com/public-ip", "flannel.alpha.coreos.com/public-ip-overwrite",
	"flannel.alpha.coreos.com/public-ipv6", "flannel.alpha.coreos.com/public-ipv6-overwrite", "etcd.k3s.cattle.io/node-address",
}

// rules in the order of how sure they are; the first unique hit counts.
var rules = []rule{
	{"address", nodeAddresses, func(p *Peer) []string { return p.Addresses }},
	{"annotation", nodeNotes, func(p *Peer) []string { return p.Addresses }},
	{"route", func(n *Node) []string { return n.PodCIDRs }, func(p *Peer) []string { return p.Routes }},
	{"name", func(n *Node) []string {
		return []string{strings.ToLower(n.Name), strings.ToLower(n.Labels[corev1.LabelHostname])}
	},
		func(p *Peer) []string {
			first, _, _ := strings.Cut(p.Name, ".")
			return []string{strings.ToLower(first)}
		}},
	{"host name", func(n *Node) []string { return []string{strings.ToLower(n.Name)} },
		func(p *Peer) []string { return []string{strings.ToLower(p.HostName)} }},
}

func nodeAddresses(n *Node) []string {
	ips := []string{}
	for _, a := range n.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil {
			ips = append(ips, ip.String())
		}
	}
	return ips
}

func nodeNotes(n *Node) []string {
	ips := []string{}
	for _, key := range addressNotes {
		for _, part := range strings.Split(n.Annotations[key], ",") {
			if ip, err := netip.ParseAddr(strings.TrimSpace(part)); err == nil {
				ips = append(ips, ip.String())
			}
		}
	}
	return ips
}

// matchPeers finds the node each peer is. What is ambiguous is reported and not
// guessed.
func (w *World) matchPeers(peers []*Peer) {
	if len(peers) == 0 {
		return
	}
	for _, r := range rules {
		byKey := map[string][]*Peer{}
		for _, p := range peers {
			if p.Node != "" {
				continue
			}
			for _, k := range r.peer(p) {
				byKey[k] = append(byKey[k], p)
			}
		}
		for _, n := range w.Nodes {
			if n.peer != nil {
				continue
			}
			candidates := []*Peer{}
			for _, k := range r.node(n) {
				for _, p := range byKey[k] {
					if k != "" && p.Node == "" && !slices.Contains(candidates, p) {
						candidates = append(candidates, p)
					}
				}
			}
			p, clash := pick(candidates)
			switch {
			case clash:
				w.reason(Warning, n.Cluster, n.Site, "node/"+n.Name, fmt.Sprintf("%d tailnet machines have its %s: %s", len(candidates), r.name, peerNames(candidates)))
			case p != nil:
				p.Cluster, p.Node, p.Site, p.MatchedBy = n.Cluster, n.Name, n.Site, r.name
				n.peer = p
			}
		}
	}
}

// pick chooses among peers that look like the same node: machines that were
// registered again leave their old self behind, expired or offline. Two that
// live are a clash.
func pick(candidates []*Peer) (p *Peer, clash bool) {
	live := slices.DeleteFunc(slices.Clone(candidates), func(p *Peer) bool { return p.Expired })
	if len(live) == 0 {
		live = candidates
	}
	online := slices.DeleteFunc(slices.Clone(live), func(p *Peer) bool { return !p.Online && !p.Answers() })
	switch {
	case len(online) > 1:
		return nil, true
	case len(online) == 1:
		return online[0], false
	case len(live) == 0:
		return nil, false
	default:
		return slices.MaxFunc(live, func(a, b *Peer) int { return a.Created.Compare(b.Created) }), false
	}
}

func peerNames(peers []*Peer) string {
	names := []string{}
	for _, p := range peers {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

// manyPeers is up to how many machines are all worth a ping; of more, some of
// each site stand for the others.
const (
	manyPeers = 60
	somePeers = 2
)

// PingTargets lists the ids of the peers worth a ping: those that are nodes.
// Where no node is known they are the ones that may be: phones and laptops are
// never woken.
func (w *World) PingTargets() []string {
	targets := []*Peer{}
	for _, p := range w.Peers {
		if !p.Self && !p.Expired && (p.Node != "" || len(w.Nodes) == 0 && p.OS == "linux") {
			targets = append(targets, p)
		}
	}
	inSite := map[string]int{}
	ids := []string{}
	for _, p := range targets {
		if inSite[p.Site]++; len(targets) <= manyPeers || inSite[p.Site] <= somePeers {
			ids = append(ids, p.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// Link is the way between two sites, as somebody measured it.
type Link struct {
	From      string   `json:"from"`
	To        string   `json:"to"`
	RTT       float64  `json:"rttSeconds"` // of the nearest pair; 0 when nothing answered
	Loss      *float64 `json:"loss"`       // 0 to 1; nil where nobody counts it
	Path      PathKind `json:"path"`       // the worst one in use
	Via       []string `json:"via"`
	Answering int      `json:"answering"` // of Peers
	Peers     int      `json:"peers"`     // machines of To that were asked, or pairs that were measured
	Source    string   `json:"source"`    // who measured: ByPing, ByEtcd or ByPrometheus
	Problem   string   `json:"problem,omitempty"`
}

// Severity ranks the link.
func (l *Link) Severity() Severity {
	switch {
	case l.Answering == 0:
		return Critical
	case l.Problem != "" || l.Answering < l.Peers:
		return Warning
	default:
		return OK
	}
}

// Here is the site we look from: that of the peer we run on; "here" for a
// machine that is no node.
func (w *World) Here() string {
	for _, p := range w.Peers {
		if p.Self && p.Site != "" {
			return p.Site
		}
	}
	return "here"
}

// PublicAddresses lists where on the Internet the site's machines are.
func (w *World) PublicAddresses(site string) []string {
	all := []string{}
	for _, p := range w.Peers {
		if a := p.PublicAddress(); p.Site == site && a != "" && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

// addPings gathers our own pings into links between sites.
func (w *World) addPings() {
	from := w.Here()
	byTo := map[string]*Link{}
	sent, lost := map[string]int{}, map[string]int{}
	for _, p := range w.Peers {
		if p.Self || p.Site == "" || p.Ping == nil || p.State == PeerUnknown {
			continue
		}
		l := byTo[p.Site]
		if l == nil {
			l = &Link{From: from, To: p.Site, Source: ByPing, Via: []string{}}
			byTo[p.Site] = l
			w.Links = append(w.Links, l)
		}
		l.Peers++
		sent[p.Site] += p.Ping.Sent
		lost[p.Site] += p.Ping.Lost
		if !p.Answers() {
			continue
		}
		l.Answering++
		if l.RTT == 0 || p.Ping.RTT < l.RTT {
			l.RTT = p.Ping.RTT
		}
		if worsePath(p.Path, l.Path) {
			l.Path = p.Path
		}
		if via := p.Via; via != "" && !slices.Contains(l.Via, via) {
			l.Via = append(l.Via, via)
		}
	}
	for _, l := range w.Links {
		if sent[l.To] > 0 {
			share := float64(lost[l.To]) / float64(sent[l.To])
			l.Loss = &share
		}
		// One ping of each machine is chance or a short outage, and no quality of the link.
		l.Problem = w.linkProblem(l, lost[l.To] > l.Peers)
	}
}

func worsePath(a, b PathKind) bool {
	order := []PathKind{PathUnknown, PathLocal, PathDirect, PathPeerRelay, PathDERP}
	return slices.Index(order, a) > slices.Index(order, b)
}

const highLoss = 0.1

// linkProblem says what is wrong with a link; lossy, whether losses of pings count.
func (w *World) linkProblem(l *Link, lossy bool) string {
	if l.Answering == 0 {
		return "no answer"
	}
	for _, c := range w.Clusters {
		if problem := c.etcdOver(l); problem != "" {
			return problem
		}
	}
	switch {
	case lossy && l.Loss != nil && *l.Loss >= highLoss:
		return fmt.Sprintf("%d %% of pings lost", int(*l.Loss*100+0.5))
	default:
		return ""
	}
}
