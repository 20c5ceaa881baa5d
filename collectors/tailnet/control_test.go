package tailnet

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/geotop/geotop/model"
)

// answers is a transport that gives the same answer to everything asked.
type answers struct {
	asked string
	code  int
	body  string
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.asked = r.URL.String() + " " + r.Header.Get("Authorization")
	return &http.Response{StatusCode: a.code, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// Tailscale's own service cannot be had in a test: this is its documented shape.
// Headscale's is met by the lab's tests.
func TestDevicesOfTheControlServer(t *testing.T) {
	api := &answers{code: http.StatusOK, body: `{"devices":[
		{"nodeId":"nB","name":"b.tn.ts.net","hostname":"b","os":"linux","clientVersion":"1.98.2-t1234","addresses":["100.64.0.2"],"connectedToControl":true,
		 "expires":"2026-02-01T00:00:00Z","clientConnectivity":{"endpoints":["192.168.1.4:41641","198.51.100.7:41641"]}},
		{"nodeId":"nA","name":"a.tn.ts.net\u001b[31m","addresses":["100.64.0.1"],"tags":["tag:server"],"lastSeen":"2026-02-28T11:00:00Z","expires":"0001-01-01T00:00:00Z"},
		{"nodeId":"nX","name":"shared.in","isExternal":true}]}`}
	c := newControl(&Control{Key: "planted", Transport: api}, noon)
	c.note(c.list(t.Context()))
	var f model.TailnetFacts
	f.Local.Status = model.SourceAbsent
	c.fill(&f)
	if api.asked != "https://api.tailscale.com/api/v2/tailnet/-/devices?fields=all Bearer planted" {
		t.Errorf("asked %s", api.asked)
	}
	if f.Control.Status != model.SourceOK || len(f.Peers.Items) != 2 || f.Peers.Source.Name != model.SourcePeers || f.Name == "" {
		t.Fatalf("%+v", f)
	}
	a, b := f.Peers.Items[0], f.Peers.Items[1]
	if a.ID != "nA" || strings.Contains(a.Name, "\x1b") || a.Online || a.LastSeen.IsZero() || !a.KeyExpiry.IsZero() {
		t.Errorf("%+v", a)
	}
	if b.ID != "nB" || !b.Online || !b.Expired || b.Version != "1.98.2" || b.PublicAddress() != "198.51.100.7" {
		t.Errorf("%+v", b)
	}
	// What a daemon says outranks it.
	f = model.TailnetFacts{Local: model.Source{Status: model.SourceOK}}
	if c.fill(&f); f.Peers.Items != nil || f.Control.Status != model.SourceOK {
		t.Errorf("%+v", f)
	}
	for code, want := range map[int]model.SourceStatus{401: model.SourceForbidden, 429: model.SourceStale, 200: model.SourceStale} {
		api.code, api.body = code, "<html>"
		if c.note(c.list(t.Context())); c.source.Status != want || strings.Contains(fmt.Sprint(c.source), "planted") {
			t.Errorf("%d: %+v", code, c.source)
		}
	}
	if newControl(&Control{}, noon) != nil || newControl(nil, noon) != nil {
		t.Error("a control server without a key is asked")
	}
}
