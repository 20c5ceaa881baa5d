package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func etcdWays(b *builder, members []EtcdMetrics, ways ...Way) *World {
	src := okSource(SourceEtcdMetrics)
	f := Facts{Clusters: []ClusterFacts{b.c}, Ways: []WayFacts{{Cluster: "test", Source: src, Name: src.Name, Members: members, Ways: ways}}}
	return Assemble(f, moment, Options{})
}

// sums is the links in a line each.
func sums(w *World) string {
	lines := []string{}
	for _, l := range w.Links {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s>%s %s %d/%d %.0fms %s", l.From, l.To, l.Source, l.Answering, l.Peers, l.RTT*1000, l.Problem)))
	}
	return strings.Join(lines, "\n")
}

func etcdWay(from, to string, rtt float64) Way {
	return Way{From: from, To: to, By: ByEtcd, Etcd: true, RTT: rtt, There: rtt > 0}
}

func TestLinksThatEtcdMeasured(t *testing.T) {
	fifth := 0.2
	both := []EtcdMetrics{{Machine: "moka-1", ID: "aa", HasLeader: true, Leader: true}, {Machine: "100.64.0.4", ID: "bb", HasLeader: true}}
	for name, c := range map[string]struct {
		members []EtcdMetrics
		ways    []Way
		want    string
	}{
		"each way by itself, members by node and by address": {both, []Way{etcdWay("aa", "bb", 0.040), etcdWay("bb", "aa", 0.060)},
			"curepipe>moka etcd 1/1 60ms\nmoka>curepipe etcd 1/1 40ms"},
		"the member left is the one nobody asked": {both, []Way{etcdWay("aa", "cc", 0)}, "moka>flacq etcd 0/1 0ms no answer"},
		"of two unknown ones none is guessed":     {both, []Way{etcdWay("aa", "cc", 0.1), etcdWay("aa", "dd", 0.1)}, ""},
		"one that asked itself":                   {both, []Way{etcdWay("aa", "aa", 0.1)}, ""},
		"too slow for a heartbeat":                {both, []Way{etcdWay("aa", "bb", 0.9)}, "moka>curepipe etcd 1/1 900ms etcd voters 900 ms apart, more than a heartbeat (500 ms)"},
		"the nearest pair of an exporter": {nil, []Way{{From: "moka-1", To: "flacq-2", By: ByPrometheus, RTT: 0.05, There: true}, {From: "moka-2", To: "100.64.0.7", By: ByPrometheus, RTT: 0.03, There: true, Loss: &fifth}},
			"moka>flacq prometheus 2/2 30ms 20 % of pings lost"},
	} {
		if got := sums(etcdWays(houses(), c.members, c.ways...)); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

func TestOldWaysSayNothing(t *testing.T) {
	b := houses()
	src := okSource(SourceEtcdMetrics)
	src.Status = SourceStale
	w := Assemble(Facts{Clusters: []ClusterFacts{b.c}, Ways: []WayFacts{{Cluster: "test", Source: src, Ways: []Way{{From: "moka-1", To: "flacq-1", RTT: 1, There: true}}}}}, moment, Options{})
	if len(w.Links) != 0 {
		t.Errorf("an old measurement became a link: %+v", w.Links[0])
	}
}

func TestMembersTellOfThemselves(t *testing.T) {
	w := etcdWays(houses(), []EtcdMetrics{
		{Machine: "moka-1", ID: "aa", HasLeader: true, Leader: true}, {Machine: "curepipe-1", ID: "bb"},
		{Machine: "flacq-1", ID: "cc", HasLeader: true, WALSync: 0.8},
	})
	if got := told(w, "etcd/curepipe-1"); got != "warning: this etcd member sees no leader" {
		t.Errorf("%q", got)
	}
	if got := told(w, "etcd/flacq-1"); got != "warning: its disk takes 800 ms to write etcd's log, more than a heartbeat (500 ms)" {
		t.Errorf("%q", got)
	}
	for _, m := range w.Clusters[0].Members {
		if m.Leader == nil || *m.Leader != (m.Node == "moka-1") {
			t.Errorf("%s leads: %v", m.Node, m.Leader)
		}
	}
	if w := houses().world(); w.Clusters[0].Members[0].Leader != nil {
		t.Error("who leads is known without any metrics")
	}
}

func TestWhereEtcdMetricsAre(t *testing.T) {
	for args, want := range map[string]string{
		`["server"]`:                                                          "",
		`["server","--etcd-expose-metrics"]`:                                  "http://100.64.0.1:2381/metrics",
		`["server","--etcd-expose-metrics","true"]`:                           "http://100.64.0.1:2381/metrics",
		`["server","--etcd-expose-metrics=false"]`:                            "",
		`["server","--etcd-arg","listen-metrics-urls=http://127.0.0.1:2381"]`: "",
		`["server","--etcd-arg=--listen-metrics-urls=http://127.0.0.1:2381,https://10.0.0.9:999"]`: "https://10.0.0.9:999/metrics",
		`["server","--etcd-arg=listen-metrics-urls=http://0.0.0.0:2399"]`:                          "http://100.64.0.1:2399/metrics",
		`["server","--etcd-arg=listen-metrics-urls=::not a url"]`:                                  "",
		`["server","--etcd-arg=listen-metrics-urls=http://[::]:2381"]`:                             "http://100.64.0.1:2381/metrics",
		`not JSON`: "",
	} {
		b := newBuilder()
		n := b.node("moka", "moka-1", "control-plane", "etcd")
		n.Annotations = map[string]string{k3sArgs: args, k3sMemberAt: "100.64.0.1"}
		w := b.world()
		got := ""
		for _, e := range w.EtcdEndpoints(w.Clusters[0], nil) {
			got = e.URL
		}
		if got != want {
			t.Errorf("%s: %q, not %q", args, got, want)
		}
		if e := w.EtcdEndpoints(w.Clusters[0], map[string]string{"moka-1": "http://127.0.0.1:9"}); len(e) != 1 || e[0].URL != "http://127.0.0.1:9" {
			t.Errorf("%s: named by hand, but %+v", args, e)
		}
		dark(n, b)
		w = b.world()
		if e := w.EtcdEndpoints(w.Clusters[0], nil); len(e) != 0 {
			t.Errorf("%s: a dead member would be asked: %+v", args, e)
		}
	}
}

func TestWaysOutliveTheDocument(t *testing.T) {
	w := etcdWays(houses(), []EtcdMetrics{{Machine: "moka-1", ID: "aa", Leader: true, HasLeader: true}, {Machine: "curepipe-1", ID: "bb"}}, etcdWay("aa", "bb", 0.04))
	first, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	f, at, err := Read(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	second, err := json.Marshal(Assemble(f, at, Options{}))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) || !strings.Contains(string(second), `"source":"etcd"`) {
		t.Errorf("written, read and written again:\n%s\n%s", first, second)
	}
}
