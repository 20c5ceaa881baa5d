package model

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseThreshold(t *testing.T) {
	for text, want := range map[string][2]float64{
		"backup-age=26h/3d":   {26 * 3600, 72 * 3600},
		"backup-age=1.5d":     {36 * 3600, -1},
		"link-rtt=300ms/1.5s": {0.3, 1.5},
		"link-loss=5%/20":     {0.05, 0.2},
		"disk-free=15%/5%":    {0.15, 0.05},
		"key-expiry=30d/7d":   {30 * 86400, 7 * 86400},
		"verdict=down/lost":   {float64(Down), float64(DataLost)},
		"recovery=15m/15m":    {900, 900},
	} {
		name, got, err := ParseThreshold(text)
		if err != nil || !strings.HasPrefix(text, name+"=") || got.Warning != want[0] {
			t.Errorf("%s: %s %v, %v", text, name, got, err)
		}
		if (got.Critical != nil) != (want[1] >= 0) || got.Critical != nil && *got.Critical != want[1] {
			t.Errorf("%s: critical is %v", text, got.Critical)
		}
	}
	for text, want := range map[string]string{
		"":                      "backup-age, link-rtt",
		"backup-ages=1d":        "no limit",
		"backup-age":            "has no value",
		"backup-age=":           "no time",
		"backup-age=-3h":        "no time",
		"backup-age=-3d":        "no time",
		"backup-age=1e9d":       "no time",
		"backup-age=3d/1d":      "critical one comes second",
		"disk-free=5%/15%":      "critical one comes second",
		"disk-free=150%":        "no percentage",
		"disk-free=NaN":         "no percentage",
		"link-loss=x":           "no percentage",
		"verdict=bad":           "survives, degraded",
		"verdict=lost/degraded": "critical one comes second",
		"recovery=1h/":          "no time",
	} {
		if _, _, err := ParseThreshold(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Every limit there is makes a finding when it is passed, at the right severity, and none
// when it is not.
func TestThresholds(t *testing.T) {
	b := newBuilder()
	b.node("moka", "moka-1")
	b.node("flacq", "flacq-1")
	b.c.NodeUsage.Items = []*Usage{{Name: "moka-1", MilliCPU: 2000, MemoryBytes: 4 << 30}} // half of each
	b.c.Longhorn.Nodes.Items = []*StorageNode{{Cluster: "test", Name: "moka-1", Ready: true, Disks: []Disk{{Name: "d", Max: 100, Available: 50, Ready: true, Schedulable: true, Scheduling: true}}}}
	facts := Facts{Clusters: []ClusterFacts{b.c}}
	half := 0.5
	recovery, data := 3600.0, 3600.0
	finding := func(limit string) (Severity, string) {
		name, threshold, err := ParseThreshold(limit)
		if err != nil {
			t.Fatal(err)
		}
		w := Assemble(facts, moment, Options{Limits: Thresholds{name: threshold}})
		w.Links = []*Link{{From: "flacq", To: "moka", Source: ByPing, Answering: 1, Peers: 1, RTT: 0.5, Loss: &half}}
		w.Peers = []*Peer{{PeerFact: &PeerFact{Name: "moka-1", KeyExpiry: moment.Add(20 * 24 * time.Hour)}, Cluster: "test", Node: "moka-1", Site: "moka"}}
		w.Volumes = []*Volume{{VolumeFact: &VolumeFact{Cluster: "test", Name: "v", Namespace: "db", PVC: "data"}, Site: "moka", Backup: LastBackup{At: moment.Add(-time.Hour)}}}
		w.Reasons, w.Status = nil, OK
		w.judgeLimits()
		with := w.WithVerdicts([]*Verdict{{Lost: []string{"moka"}, Outcome: Down, Recovery: &recovery, DataLoss: &data}, {Lost: []string{"flacq", "moka"}, Outcome: DataLost, Recovery: &recovery}}, nil)
		if len(w.Reasons) > 0 && w.Reasons[0].Site != "moka" {
			t.Errorf("%s is of %q", limit, w.Reasons[0].Site)
		}
		texts := []string{}
		sev := OK
		for _, r := range with.Reasons {
			texts = append(texts, r.Object+": "+r.Text)
			sev = max(sev, r.Severity)
		}
		if with.Status != sev && len(texts) > 0 && strings.HasPrefix(texts[0], "site/") {
			t.Errorf("%s: the status is %s, the worst finding %s", limit, with.Status, sev)
		}
		if len(texts) > 1 {
			t.Errorf("%s: %q", limit, texts)
		}
		return sev, strings.Join(texts, "")
	}
	names := []string{}
	for _, c := range []struct{ fine, warns, alarms, text string }{
		{"backup-age=2h/3h", "backup-age=30m/2h", "backup-age=10m/30m", "volume/db/data: its newest backup is 60m old"},
		{"link-rtt=1s/2s", "link-rtt=100ms/1s", "link-rtt=1ms/100ms", "link/flacq/moka: its round trip is 500 ms by ping"},
		{"link-loss=60%", "link-loss=5%/60%", "link-loss=1%/5%", "link/flacq/moka: it loses 50% by ping"},
		{"key-expiry=15d", "key-expiry=30d/7d", "key-expiry=60d/30d", "peer/moka-1: its tailnet key expires in 20d"},
		{"cpu-used=80%/95%", "cpu-used=40%/95%", "cpu-used=10%/40%", "node/moka-1: 50% of its CPU is in use"},
		{"memory-used=80%/95%", "memory-used=40%/95%", "memory-used=10%/40%", "node/moka-1: 50% of its memory is in use"},
		{"disk-free=20%/5%", "disk-free=60%/5%", "disk-free=80%/60%", "storage/moka-1: 50% of its disk d is free"},
		{"recovery=2h", "recovery=30m/2h", "recovery=10m/30m", "site/moka: were it lost, all that comes back by itself would be back after 60m"},
		{"data-loss=2h", "data-loss=30m/2h", "data-loss=10m/30m", "site/moka: were it lost, data 60m old would have to be restored"},
		{"verdict=lost", "verdict=down/lost", "verdict=degraded/down", "site/moka: were it lost: down: "},
	} {
		name, _, _ := strings.Cut(c.fine, "=")
		names = append(names, name)
		if sev, text := finding(c.fine); sev != OK {
			t.Errorf("%s: %s", c.fine, text)
		}
		if sev, text := finding(c.warns); sev != Warning || text != c.text {
			t.Errorf("%s: %s: %q, want %q", c.warns, sev, text, c.text)
		}
		if sev, text := finding(c.alarms); sev != Critical || text != c.text {
			t.Errorf("%s: %s: %q", c.alarms, sev, text)
		}
	}
	for _, l := range Limits() {
		if !slices.Contains(names, l.Name) {
			t.Errorf("%s is not tested", l.Name)
		}
	}
}
