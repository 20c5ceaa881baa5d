package links

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	prom "github.com/prometheus/common/model"

	"github.com/geotop/geotop/model"
)

// etcd's names of what is read (etcd v3.6, server/etcdserver/api/rafthttp and
// server/storage/wal).
const (
	serverID    = "etcd_server_id"
	hasLeader   = "etcd_server_has_leader"
	isLeader    = "etcd_server_is_leader"
	activePeers = "etcd_network_active_peers"
	peerRTT     = "etcd_network_peer_round_trip_time_seconds"
	walSync     = "etcd_disk_wal_fsync_duration_seconds"
)

// scrape is one member's metrics.
type scrape struct {
	member model.EtcdMetrics
	active map[string]bool       // by id of the peer
	rtt    map[string]*histogram // by id of the peer
	sync   *histogram
}

// askEtcd reads every member's metrics. One that does not answer hides no other;
// who it was stays known, as others still call it by its id.
func (c *Collector) askEtcd(ctx context.Context, s *source) error {
	c.mu.Lock()
	at := slices.Clone(s.at)
	c.mu.Unlock()
	if len(at) == 0 {
		return errNothing
	}
	read, errs := make([]scrape, len(at)), make([]error, len(at))
	var wg sync.WaitGroup
	for i, e := range at {
		wg.Go(func() {
			var b []byte
			if b, errs[i] = c.get(ctx, e.URL, ""); errs[i] == nil {
				read[i], errs[i] = parseEtcd(e.Machine, b)
			}
		})
	}
	wg.Wait()
	facts := model.WayFacts{}
	answered := 0
	for i, e := range at {
		before, known := s.etcd[e.URL]
		switch {
		case errs[i] == nil:
			answered++
			facts.Ways = append(facts.Ways, read[i].ways(before)...)
			read[i].member.WALSync = read[i].sync.since(before.sync).quantile(0.99)
			facts.Members = append(facts.Members, read[i].member)
			s.etcd[e.URL] = read[i]
		case known:
			facts.Members = append(facts.Members, model.EtcdMetrics{Machine: e.Machine, ID: before.member.ID, Unheard: true})
		}
	}
	if answered == 0 {
		return fmt.Errorf("etcd metrics of %s: %w", at[0].Machine, errs[0])
	}
	now := c.now()
	for i := range facts.Ways {
		facts.Ways[i].At = now
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.facts.Members, s.facts.Ways = facts.Members, facts.Ways
	return nil
}

// parseEtcd reads the page of one member.
func parseEtcd(machine string, page []byte) (scrape, error) {
	parser := expfmt.NewTextParser(prom.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		return scrape{}, fmt.Errorf("not Prometheus' text format: %w", err)
	}
	s := scrape{active: map[string]bool{}, rtt: map[string]*histogram{}}
	s.member.Machine = machine
	for _, m := range families[serverID].GetMetric() {
		s.member.ID = model.Clean(label(m, "server_id"), 40)
	}
	if s.member.ID == "" {
		return scrape{}, fmt.Errorf("no %s in it: this is no etcd's metrics", serverID)
	}
	s.member.HasLeader, s.member.Leader = value(families[hasLeader]) == 1, value(families[isLeader]) == 1
	for _, m := range families[activePeers].GetMetric() {
		s.active[label(m, "Remote")] = m.GetGauge().GetValue() > 0
	}
	for _, m := range families[peerRTT].GetMetric() {
		s.rtt[label(m, "To")] = newHistogram(m.GetHistogram())
	}
	for _, m := range families[walSync].GetMetric() {
		s.sync = newHistogram(m.GetHistogram())
	}
	return s, nil
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func value(f *dto.MetricFamily) float64 {
	for _, m := range f.GetMetric() {
		return m.GetGauge().GetValue()
	}
	return 0
}

// ways gives the round trips since the member was read before. etcd goes on
// counting the last one of a peer that is gone: only an active peer's count.
func (s *scrape) ways(before scrape) []model.Way {
	ways := []model.Way{}
	for to, h := range s.rtt {
		w := model.Way{From: s.member.ID, To: model.Clean(to, 40), By: model.ByEtcd, Etcd: true}
		if rtt := h.since(before.rtt[to]).typical(); rtt > 0 && s.active[to] {
			w.RTT, w.There = rtt, true
		}
		if w.There || !s.active[to] {
			ways = append(ways, w)
		}
	}
	slices.SortFunc(ways, func(a, b model.Way) int { return cmp.Compare(a.To, b.To) })
	return ways
}

// histogram is how often values fell up to each bound.
type histogram struct {
	bounds []float64
	counts []uint64 // in each bucket alone
	sum    float64
	total  uint64
}

func newHistogram(h *dto.Histogram) *histogram {
	n := &histogram{sum: h.GetSampleSum(), total: h.GetSampleCount()}
	var below uint64
	for _, b := range h.GetBucket() {
		n.bounds = append(n.bounds, b.GetUpperBound())
		n.counts = append(n.counts, b.GetCumulativeCount()-min(below, b.GetCumulativeCount()))
		below = b.GetCumulativeCount()
	}
	return n
}

// since gives what was added since before. When nothing was, or the process has
// begun anew, it is all there is.
func (h *histogram) since(before *histogram) *histogram {
	if h == nil || before == nil || before.total >= h.total || !slices.Equal(h.bounds, before.bounds) {
		return h
	}
	d := &histogram{bounds: h.bounds, sum: h.sum - before.sum, total: h.total - before.total, counts: make([]uint64, len(h.counts))}
	for i := range h.counts {
		d.counts[i] = h.counts[i] - min(h.counts[i], before.counts[i])
	}
	return d
}

// quantile gives the value that a share q of all are under, as if they lay evenly
// in their bucket; 0 without values. Beyond the last bound it is that bound.
func (h *histogram) quantile(q float64) float64 {
	low, high, share := h.bucket(q)
	return low + (high-low)*share
}

// bucket gives the bounds of the bucket that the quantile lies in, and where in it.
func (h *histogram) bucket(q float64) (low, high, share float64) {
	if h == nil || h.total == 0 {
		return 0, 0, 0
	}
	want, below := q*float64(h.total), 0.0
	for i, n := range h.counts {
		if math.IsInf(h.bounds[i], 1) {
			break
		}
		high = h.bounds[i]
		if n > 0 && below+float64(n) >= want {
			return low, high, (want - below) / float64(n)
		}
		below += float64(n)
		low = high
	}
	return high, high, 0
}

// typical is the mean where that lies in the median's bucket, else the median: a
// mean is exact, but one long outage spoils it; a bucket is as wide as it is high.
func (h *histogram) typical() float64 {
	if h == nil || h.total == 0 {
		return 0
	}
	low, high, share := h.bucket(0.5)
	if mean := h.sum / float64(h.total); mean >= low && mean <= high {
		return mean
	}
	return low + (high-low)*share
}
