package links

import (
	"math"
	"reflect"
	"testing"
	"time"

	prom "github.com/prometheus/common/model"

	"github.com/geotop/geotop/model"
)

var now = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

const page = `# HELP etcd_server_id Server or member ID in hexadecimal format.
# TYPE etcd_server_id gauge
etcd_server_id{server_id="aa"} 1
# TYPE etcd_server_has_leader gauge
etcd_server_has_leader 1
# TYPE etcd_server_is_leader gauge
etcd_server_is_leader 0
# TYPE etcd_network_active_peers gauge
etcd_network_active_peers{Local="aa",Remote="bb"} 1
etcd_network_active_peers{Local="aa",Remote="cc"} 0
# TYPE etcd_network_peer_round_trip_time_seconds histogram
etcd_network_peer_round_trip_time_seconds_bucket{To="bb",le="0.0256"} 0
etcd_network_peer_round_trip_time_seconds_bucket{To="bb",le="0.0512"} 10
etcd_network_peer_round_trip_time_seconds_bucket{To="bb",le="+Inf"} 10
etcd_network_peer_round_trip_time_seconds_sum{To="bb"} 0.4
etcd_network_peer_round_trip_time_seconds_count{To="bb"} 10
etcd_network_peer_round_trip_time_seconds_bucket{To="cc",le="0.0256"} 10
etcd_network_peer_round_trip_time_seconds_bucket{To="cc",le="0.0512"} 10
etcd_network_peer_round_trip_time_seconds_bucket{To="cc",le="+Inf"} 10
etcd_network_peer_round_trip_time_seconds_sum{To="cc"} 0.2
etcd_network_peer_round_trip_time_seconds_count{To="cc"} 10
`

func TestEtcdPage(t *testing.T) {
	s, err := parseEtcd("moka-1", []byte(page))
	if err != nil {
		t.Fatal(err)
	}
	if s.member != (model.EtcdMetrics{Machine: "moka-1", ID: "aa", HasLeader: true}) {
		t.Errorf("the member is %+v", s.member)
	}
	ways := s.ways(scrape{})
	if len(ways) != 2 || !ways[0].There || math.Abs(ways[0].RTT-0.04) > 1e-9 || ways[0].To != "bb" {
		t.Errorf("to a living peer: %+v", ways)
	}
	if ways[1].There || ways[1].RTT != 0 {
		t.Errorf("etcd goes on counting a peer that is gone; so did we: %+v", ways[1])
	}
}

func TestOtherPagesAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"html": "<html><body>login</body></html>", "empty": "", "another exporter": "# TYPE up gauge\nup 1\n",
		"cut off": page[:900] + "\netcd_server_id{", "binary": "\x00\x1b[2J\xff",
	} {
		if _, err := parseEtcd("moka-1", []byte(text)); err == nil {
			t.Errorf("%s passed for etcd's metrics", name)
		}
	}
}

func hist(sum float64, counts ...uint64) *histogram {
	h := &histogram{sum: sum, counts: counts}
	for i, n := range counts {
		h.bounds = append(h.bounds, math.Ldexp(0.0001, i))
		h.total += n
	}
	h.bounds[len(counts)-1] = math.Inf(1)
	return h
}

func TestTypicalRoundTrip(t *testing.T) {
	outage := hist(0.0015*9+30, 0, 0, 0, 0, 9, 0, 0, 1) // one of 30 s beside nine of 1.5 ms
	for name, c := range map[string]struct {
		h, before *histogram
		want      float64
	}{
		"the mean, where it is likely":     {hist(0.0015*9, 0, 0, 0, 0, 9, 0), nil, 0.0015},
		"the median, after an outage":      {outage, nil, 0.0008 + 0.0008*5/9},
		"only what came since":             {hist(0.0015*9+0.0003, 0, 0, 1, 0, 9, 0), hist(0.0015*9, 0, 0, 0, 0, 9, 0), 0.0003},
		"all, when nothing came":           {hist(0.0015*9, 0, 0, 0, 0, 9, 0), hist(0.0015*9, 0, 0, 0, 0, 9, 0), 0.0015},
		"all, when the process began anew": {hist(0.0015, 0, 0, 0, 0, 1, 0), hist(9, 0, 0, 0, 0, 9, 0), 0.0015},
		"nothing":                          {hist(0, 0, 0), nil, 0},
		"no histogram":                     {nil, nil, 0},
		"all beyond the last bound":        {hist(90, 0, 0, 3), nil, 0.0002},
	} {
		if got := c.h.since(c.before).typical(); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%s: %v, not %v", name, got, c.want)
		}
	}
}

func TestPrometheusSamples(t *testing.T) {
	sample := func(v float64, labels ...string) *prom.Sample {
		m := prom.Metric{}
		for i := 0; i < len(labels); i += 2 {
			m[prom.LabelName(labels[i])] = prom.LabelValue(labels[i+1])
		}
		return &prom.Sample{Metric: m, Value: prom.SampleValue(v)}
	}
	state := prom.Vector{
		sample(1, "__name__", serverID, "instance", "100.64.0.1:2381", "server_id", "aa"),
		sample(1, "__name__", isLeader, "instance", "100.64.0.1:2381"),
		sample(0, "__name__", activePeers, "instance", "100.64.0.1:2381", "Local", "aa", "Remote", "cc"),
		sample(0.03, "__name__", pingRTT, "instance", "10.42.1.7:9427", "node", "flacq-1", "target", "moka", "ip", "100.64.0.1"),
		sample(0.25, "__name__", pingLoss, "instance", "10.42.1.7:9427", "node", "flacq-1", "target", "moka", "ip", "100.64.0.1"),
		sample(math.NaN(), "__name__", pingRTT, "node", "flacq-1", "ip", "100.64.0.9"),
		sample(1, "__name__", pingLoss, "node", "flacq-1", "ip", "100.64.0.9"),
	}
	rtt := prom.Vector{
		sample(0.02, "instance", "100.64.0.1:2381", "To", "bb"),
		sample(0.02, "instance", "100.64.0.1:2381", "To", "cc"),
	}
	members, ways := gather(state, rtt, now)
	if len(members) != 1 || members[0].ID != "aa" || !members[0].Leader {
		t.Errorf("members: %+v", members)
	}
	by := model.ByPrometheus
	share := func(v float64) *float64 { return &v }
	want := []model.Way{
		{From: "100.64.0.1", To: "bb", By: by, RTT: 0.02, There: true, Etcd: true, At: now},
		{From: "100.64.0.1", To: "cc", By: by, Etcd: true, At: now},
		{From: "flacq-1", To: "100.64.0.1", By: by, RTT: 0.03, Loss: share(0.25), There: true, At: now},
		{From: "flacq-1", To: "100.64.0.9", By: by, Loss: share(1), At: now},
	}
	if len(ways) != len(want) {
		t.Fatalf("ways: %+v", ways)
	}
	for i := range want {
		if !reflect.DeepEqual(ways[i], want[i]) {
			t.Errorf("way %d is %+v, not %+v", i, ways[i], want[i])
		}
	}
}
