package links

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	prom "github.com/prometheus/common/model"

	"github.com/geotop/geotop/model"
)

// What a Prometheus is asked: who is who, and what was measured in the last five
// minutes. ping_rtt_mean_seconds and ping_loss_ratio are ping_exporter's.
const (
	pingRTT  = "ping_rtt_mean_seconds"
	pingLoss = "ping_loss_ratio"

	stateQuery = `{__name__=~"` + serverID + `|` + hasLeader + `|` + isLeader + `|` + activePeers + `|` + pingRTT + `|` + pingLoss + `"}`
	rttQuery   = `increase(` + peerRTT + `_sum[5m]) / increase(` + peerRTT + `_count[5m])`
)

// askPrometheus asks for the newest of everything.
func (c *Collector) askPrometheus(ctx context.Context, s *source) error {
	state, err := c.query(ctx, stateQuery)
	if err != nil {
		return err
	}
	rtt, err := c.query(ctx, rttQuery)
	if err != nil {
		return err
	}
	members, ways := gather(state, rtt, c.now())
	c.mu.Lock()
	defer c.mu.Unlock()
	s.facts.Members, s.facts.Ways = members, ways
	return nil
}

// query asks for an instant vector.
func (c *Collector) query(ctx context.Context, q string) (prom.Vector, error) {
	b, err := c.get(ctx, strings.TrimRight(c.cfg.Prometheus, "/")+"/api/v1/query?query="+url.QueryEscape(q), c.cfg.Token)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Status, Error string
		Data          struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return nil, fmt.Errorf("%s is no Prometheus: %w", c.cfg.Prometheus, err)
	}
	var v prom.Vector
	switch {
	case answer.Status != "success":
		return nil, fmt.Errorf("the Prometheus refused: %s", cmp.Or(answer.Error, "it does not say why"))
	case answer.Data.ResultType != "vector":
		return nil, fmt.Errorf("the Prometheus answered a %q in the place of a vector", answer.Data.ResultType)
	}
	if err := json.Unmarshal(answer.Data.Result, &v); err != nil {
		return nil, fmt.Errorf("the vector of the Prometheus: %w", err)
	}
	return v, nil
}

// machine is which machine a sample is of: the node, where a rule says so, else
// the host that was scraped.
func machine(s *prom.Sample) string {
	for _, name := range []prom.LabelName{"node", "kubernetes_node", "nodename"} {
		if v := s.Metric[name]; v != "" {
			return model.Clean(string(v), 253)
		}
	}
	instance := string(s.Metric["instance"])
	if host, _, err := net.SplitHostPort(instance); err == nil {
		instance = host
	}
	return model.Clean(instance, 253)
}

// samples are gathered into members and ways.
type samples struct {
	now      time.Time
	members  map[string]*model.EtcdMetrics
	pings    map[[2]string]*model.Way
	inactive map[[2]string]bool // by machine and its peer's id
}

// gather makes members and ways of the samples.
func gather(state, rtt prom.Vector, now time.Time) ([]model.EtcdMetrics, []model.Way) {
	g := &samples{now, map[string]*model.EtcdMetrics{}, map[[2]string]*model.Way{}, map[[2]string]bool{}}
	for _, s := range state {
		g.add(s)
	}
	ways := []model.Way{}
	for _, s := range rtt {
		ways = append(ways, g.roundTrip(s))
	}
	for _, w := range g.pings {
		w.There = w.There && (w.Loss == nil || *w.Loss < 1)
		ways = append(ways, *w)
	}
	members := []model.EtcdMetrics{}
	for _, m := range g.members {
		if m.ID != "" {
			members = append(members, *m)
		}
	}
	slices.SortFunc(members, func(a, b model.EtcdMetrics) int { return cmp.Compare(a.Machine, b.Machine) })
	slices.SortFunc(ways, func(a, b model.Way) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	return members, ways
}

// add takes one sample of the state.
func (g *samples) add(s *prom.Sample) {
	switch v := float64(s.Value); string(s.Metric[prom.MetricNameLabel]) {
	case serverID:
		g.member(s).ID = model.Clean(string(s.Metric["server_id"]), 40)
	case hasLeader:
		g.member(s).HasLeader = v == 1
	case isLeader:
		g.member(s).Leader = v == 1
	case activePeers:
		g.inactive[[2]string{machine(s), string(s.Metric["Remote"])}] = v == 0
	case pingRTT:
		if w := g.ping(s); v > 0 { // NaN where nothing came back
			w.RTT, w.There = v, true
		}
	case pingLoss:
		if v >= 0 && v <= 1 {
			g.ping(s).Loss = &v
		}
	}
}

func (g *samples) member(s *prom.Sample) *model.EtcdMetrics {
	m := machine(s)
	if g.members[m] == nil {
		g.members[m] = &model.EtcdMetrics{Machine: m}
	}
	return g.members[m]
}

func (g *samples) ping(s *prom.Sample) *model.Way {
	key := [2]string{machine(s), model.Clean(string(cmp.Or(s.Metric["ip"], s.Metric["target"])), 253)}
	if g.pings[key] == nil {
		g.pings[key] = &model.Way{From: key[0], To: key[1], By: model.ByPrometheus, At: g.now}
	}
	return g.pings[key]
}

// roundTrip is what etcd measured, unless the peer is gone: then it goes on
// telling the last one.
func (g *samples) roundTrip(s *prom.Sample) model.Way {
	to := string(s.Metric["To"])
	w := model.Way{From: machine(s), To: model.Clean(to, 40), By: model.ByPrometheus, Etcd: true, At: g.now}
	if v := float64(s.Value); v > 0 && !g.inactive[[2]string{w.From, to}] {
		w.RTT, w.There = v, true
	}
	return w
}
