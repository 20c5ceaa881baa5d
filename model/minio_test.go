package model

import (
	"strings"
	"testing"
)

func TestServersArePlaced(t *testing.T) {
	b := houses()
	b.pod("minio-1", "flacq-2", Owner{})
	b.c.Pods.Items[len(b.c.Pods.Items)-1].Namespace = "minio"
	f := stored()
	address := b.c.Nodes.Items[0].Address("InternalIP")
	f.Cluster = b.c.Name
	full := []StoreDrive{{Path: "/d1", State: "ok", Total: 100, Available: 8}}
	f.MinIO = &StoreCluster{Servers: []*StoreServer{
		{Endpoint: address + ":9000", Online: true, Drives: full},
		{Endpoint: "minio-1.minio-headless.minio.svc.cluster.local:9000", Online: true, Drives: []StoreDrive{{Path: "/d1", State: "faulty"}}},
		{Endpoint: "CUREPIPE-1.lan:9000"},
		{Endpoint: "192.0.2.77:9000", Online: true},
		{Endpoint: "no port\x1b"},
	}}
	w := Assemble(Facts{Clusters: []ClusterFacts{b.c}, Stores: []StoreFacts{f}}, moment, Options{})
	var sites []string
	for _, s := range w.Stores[0].MinIO.Servers {
		sites = append(sites, s.Site)
	}
	if got := strings.Join(sites, ","); got != "moka,flacq,curepipe,," {
		t.Errorf("sites %s", got)
	}
	if f.MinIO.Servers[0].Site != "" {
		t.Error("the facts were changed")
	}
	got := told(w, "store/"+f.Target)
	for _, want := range []string{
		"drive /d1 of " + address + ":9000 is 92 % full", "drive /d1 of minio-1.minio-headless.minio.svc.cluster.local:9000 is faulty", "its server CUREPIPE-1.lan:9000 is offline",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q: %s", want, got)
		}
	}
	// A house that is dark explains its own server.
	for _, n := range b.c.Nodes.Items {
		if n.Labels[zoneLabel] == "curepipe" {
			dark(n, b)
		}
	}
	w = Assemble(Facts{Clusters: []ClusterFacts{b.c}, Stores: []StoreFacts{f}}, moment, Options{})
	if got := told(w, "store/"+f.Target); strings.Contains(got, "CUREPIPE-1") {
		t.Errorf("told of a dark house's server: %s", got)
	}
}
