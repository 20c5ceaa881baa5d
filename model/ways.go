package model

import (
	"cmp"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Names of the sources of what machines that we do not run on have measured.
const (
	SourceEtcdMetrics = "links/etcd"       // etcd's own metrics, of each server
	SourcePrometheus  = "links/prometheus" // a Prometheus, which saw those or a ping exporter's
)

// Who measured a Link.
const (
	ByPing       = "ping"       // ourselves
	ByEtcd       = "etcd"       // one etcd member of another
	ByPrometheus = "prometheus" // an exporter, told by Prometheus
)

// WayFacts is what one such source says.
type WayFacts struct {
	Cluster string        `json:"cluster"`
	Source  Source        `json:"-"`
	Name    string        `json:"source"` // of Source
	Members []EtcdMetrics `json:"members"`
	Ways    []Way         `json:"ways"`
}

// EtcdMetrics is what an etcd member says of itself in its metrics.
type EtcdMetrics struct {
	Machine   string  `json:"machine"`   // node, or an address of it
	ID        string  `json:"id"`        // etcd_server_id: how others call it
	HasLeader bool    `json:"hasLeader"` // etcd_server_has_leader
	Leader    bool    `json:"leader"`    // etcd_server_is_leader
	WALSync   float64 `json:"walFsyncSeconds"`
	Unheard   bool    `json:"unheard,omitempty"` // only its ID is known, from before
}

// EtcdEndpoint is where a member's metrics are.
type EtcdEndpoint struct{ Machine, URL string }

// Way is how long it takes from one machine to another and back, as the first
// measured it. Machines are told by the name of their node, by an address, or by
// the id of their etcd member.
type Way struct {
	From  string    `json:"from"`
	To    string    `json:"to"`
	By    string    `json:"by"`
	RTT   float64   `json:"rttSeconds"`     // 0 when there was no answer
	Loss  *float64  `json:"loss,omitempty"` // 0 to 1; nil where it is not counted
	There bool      `json:"answers"`
	Etcd  bool      `json:"etcd"` // measured by etcd; To is the id of a member
	At    time.Time `json:"at"`
}

// EtcdEndpoints lists where the cluster's living etcd members expose their
// metrics, as their k3s was told (--etcd-expose-metrics, or etcd's own
// listen-metrics-urls). named gives places for nodes by name, which come first.
func (w *World) EtcdEndpoints(c *Cluster, named map[string]string) []EtcdEndpoint {
	list := []EtcdEndpoint{}
	for _, m := range c.Members {
		n := w.Node(c.Name, m.Node)
		url, given := named[m.Node]
		if !given {
			url = n.etcdMetrics(m.Address)
		}
		if m.Alive && url != "" {
			list = append(list, EtcdEndpoint{m.Node, url})
		}
	}
	return list
}

const (
	exposeFlag     = "--etcd-expose-metrics"
	metricsURLs    = "listen-metrics-urls"
	k3sMetricsPort = "2381"
)

// etcdMetrics is the URL of the node's etcd metrics as it is reached from
// elsewhere, "" when there is none.
func (n *Node) etcdMetrics(address string) string {
	args, _ := n.k3sFlag(etcdFlag)
	for _, a := range args {
		name, urls, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if name != metricsURLs {
			continue
		}
		for _, text := range strings.Split(urls, ",") {
			u, err := url.Parse(strings.TrimSpace(text))
			if err != nil {
				continue
			}
			ip, _ := netip.ParseAddr(u.Hostname())
			if u.Hostname() == "" || u.Hostname() == "localhost" || ip.IsLoopback() {
				continue
			}
			if ip.IsValid() && ip.IsUnspecified() && address != "" {
				u.Host = hostPort(address, u.Port())
			}
			return u.JoinPath("metrics").String()
		}
	}
	if address == "" || !n.k3sSwitch(exposeFlag) {
		return ""
	}
	return "http://" + hostPort(address, k3sMetricsPort) + "/metrics"
}

func hostPort(address, port string) string {
	if strings.Contains(address, ":") {
		address = "[" + address + "]"
	}
	return address + ":" + port
}

// directory finds the node that a source means.
type directory map[string]*Node

func (w *World) directory(c *Cluster, f *WayFacts) directory {
	d := directory{}
	for _, n := range w.clusterNodes(c.Name) {
		d[n.Name] = n
		for _, a := range n.Addresses {
			d[a.Address] = n
		}
	}
	for _, p := range w.Peers {
		if n := d[p.Node]; n != nil && p.Cluster == c.Name {
			for _, a := range p.Addresses {
				d[a] = n
			}
		}
	}
	known := map[*Node]bool{}
	for _, m := range f.Members {
		if n := d[m.Machine]; n != nil && m.ID != "" {
			d[m.ID], known[n] = n, true
		}
	}
	d.infer(w, c, f, known)
	return d
}

// infer names the one member left that nobody asked, as when its house is dark:
// the one id left must be its.
func (d directory) infer(w *World, c *Cluster, f *WayFacts, known map[*Node]bool) {
	ids := []string{}
	for _, way := range f.Ways {
		if way.Etcd && d[way.To] == nil && !slices.Contains(ids, way.To) {
			ids = append(ids, way.To)
		}
	}
	left := slices.DeleteFunc(slices.Clone(c.Members), func(m *Member) bool { return known[w.Node(c.Name, m.Node)] })
	if len(ids) == 1 && len(left) == 1 {
		d[ids[0]] = w.Node(c.Name, left[0].Node)
	}
}

// addWays gathers what others measured into links between sites, and what etcd
// members say into the cluster's.
func (w *World) addWays(f *WayFacts, staleAfter time.Duration) {
	source := f.Source.aged(w.At, staleAfter)
	w.Sources = append(w.Sources, source)
	i := slices.IndexFunc(w.Clusters, func(c *Cluster) bool { return c.Name == f.Cluster })
	if i < 0 || source.Status != SourceOK {
		return // an old measurement says nothing of a link as it is now
	}
	c := w.Clusters[i]
	d := w.directory(c, f)
	for _, m := range f.Members {
		if n := d[m.Machine]; n != nil && !m.Unheard {
			c.measured(n, m)
		}
	}
	links := map[[3]string]*Link{}
	for _, way := range f.Ways {
		from, to := d[way.From], d[way.To]
		if from == nil || to == nil || from.Site == to.Site {
			continue
		}
		key := [3]string{from.Site, to.Site, way.By}
		l := links[key]
		if l == nil {
			l = &Link{From: from.Site, To: to.Site, Source: way.By, Via: []string{}}
			links[key] = l
			w.Links = append(w.Links, l)
		}
		l.Peers++
		if !way.There {
			continue
		}
		l.Answering++
		if l.RTT == 0 || way.RTT < l.RTT {
			l.RTT, l.Loss = way.RTT, way.Loss
		}
	}
	for _, l := range links {
		l.Problem = w.linkProblem(l, true)
	}
}

func (c *Cluster) measured(n *Node, m EtcdMetrics) {
	for _, own := range c.Members {
		if own.Node == n.Name {
			leader, sees := m.Leader, m.HasLeader
			own.ID, own.Leader, own.SeesLeader, own.WALSync = m.ID, &leader, &sees, m.WALSync
		}
	}
}

// sortLinks orders links by their ends, the most direct measurement first.
func (w *World) sortLinks() {
	order := []string{ByPing, ByEtcd, ByPrometheus}
	slices.SortFunc(w.Links, func(a, b *Link) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(slices.Index(order, a.Source), slices.Index(order, b.Source)))
	})
}

// Link gives the most direct measurement of the way from one site to another, or
// nil when there is none.
func (w *World) Link(from, to string) *Link {
	for _, l := range w.Links {
		if l.From == from && l.To == to {
			return l
		}
	}
	return nil
}
