package demo

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// EtcdMetrics reaches the metrics that the servers' etcd members expose.
func (d *Demo) EtcdMetrics() http.RoundTripper {
	return &transport{handler: &etcdMetrics{d}, gone: make(chan struct{})}
}

// etcdMetrics answers as etcd's metrics listeners do.
type etcdMetrics struct{ demo *Demo }

func (e *etcdMetrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := e.demo.sim
	now := e.demo.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.byAddress(r.URL.Hostname())
	if m == nil || !m.server || !m.alive || s.cutOff(s.vantage().site, m.site) {
		http.Error(w, "no way there", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	_, _ = io.WriteString(w, s.metricsPage(m, now))
}

func memberID(m *machine) string { return fmt.Sprintf("%016x", hash("etcd id", m.name)) }

// metricsPage is what is read of a member's page.
func (s *sim) metricsPage(m *machine, now time.Time) string {
	var b strings.Builder
	gauge := func(name, labels string, value int) {
		fmt.Fprintf(&b, "# TYPE %s gauge\n%s%s %d\n", name, name, labels, value)
	}
	leader := s.leader()
	gauge("etcd_server_id", fmt.Sprintf("{server_id=%q}", memberID(m)), 1)
	gauge("etcd_server_has_leader", "", number(leader != nil))
	gauge("etcd_server_is_leader", "", number(leader == m))
	b.WriteString("# TYPE etcd_network_active_peers gauge\n")
	peers := []*machine{}
	for _, o := range s.machines {
		if o.server && o != m {
			peers = append(peers, o)
			fmt.Fprintf(&b, "etcd_network_active_peers{Local=%q,Remote=%q} %d\n", memberID(m), memberID(o), number(o.alive && !s.cutOff(m.site, o.site)))
		}
	}
	seen := int(now.Sub(m.born) / (30 * time.Second))
	b.WriteString("# TYPE etcd_network_peer_round_trip_time_seconds histogram\n")
	for _, o := range peers {
		histogramOf(&b, "etcd_network_peer_round_trip_time_seconds", fmt.Sprintf("To=%q", memberID(o)), s.between(m, o).Seconds(), seen)
	}
	b.WriteString("# TYPE etcd_disk_wal_fsync_duration_seconds histogram\n")
	histogramOf(&b, "etcd_disk_wal_fsync_duration_seconds", "", 0.003+float64(s.chance(4000, "disk", m.name))/1e6, seen*10)
	return b.String()
}

func number(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// histogramOf writes a histogram of n times the same value, in etcd's buckets.
func histogramOf(b *strings.Builder, name, label string, value float64, n int) {
	labels := label
	if labels != "" {
		labels += ","
	}
	for bound, i := 0.0001, 0; i < 16; bound, i = bound*2, i+1 {
		fmt.Fprintf(b, "%s_bucket{%sle=\"%g\"} %d\n", name, labels, bound, n*number(value <= bound))
	}
	fmt.Fprintf(b, "%s_bucket{%sle=\"+Inf\"} %d\n", name, labels, n)
	fmt.Fprintf(b, "%s_sum{%s} %g\n%s_count{%s} %d\n", name, label, value*float64(n), name, label, n)
}

// leader is the first server that a majority can talk to, or nil.
func (s *sim) leader() *machine {
	servers := []*machine{}
	for _, m := range s.machines {
		if m.server {
			servers = append(servers, m)
		}
	}
	for _, m := range servers {
		voices := 0
		for _, o := range servers {
			voices += number(m.alive && o.alive && !s.cutOff(m.site, o.site))
		}
		if voices > len(servers)/2 {
			return m
		}
	}
	return nil
}

// between is how long a packet takes from one machine to another and back.
func (s *sim) between(a, b *machine) time.Duration {
	rtt := time.Millisecond
	if a.site != b.site {
		rtt = 2 * (s.uplinkOf(a.site).oneWay + s.uplinkOf(b.site).oneWay)
	}
	if s.relayed[houses(a.site, b.site)] {
		rtt += viaRelay
	}
	return rtt
}
