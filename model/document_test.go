package model

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
)

// A saved World opens as the World it was: same findings, same document.
func TestTimesOutliveTheDocument(t *testing.T) {
	for us := range 100_000 {
		if d := time.Duration(us*37) * time.Microsecond; duration(seconds(d)) != d {
			t.Fatalf("%v came back as %v", d, duration(seconds(d)))
		}
	}
}

func TestDocumentRoundTrip(t *testing.T) {
	b := houses()
	d := b.deployment("blog", "moka-2", "flacq-2")
	d.Created = ago(time.Hour)
	dark(b.c.Nodes.Items[4], b)
	b.c.Pods.Items[0].Claims = []string{"data"}
	b.c.Pods.Items[1].Spec = b.c.Pods.Items[0].Spec
	b.c.NodeUsage.Items = []*Usage{{Cluster: "test", Name: "moka-1", MilliCPU: 250, MemoryBytes: 1 << 30}}
	b.c.APIServers.Items = []*APIServer{{Cluster: "test", Address: "100.64.0.1", Port: 6443, Ready: true}}
	b.c.Events[1].Items = []*Event{{Cluster: "test", UID: "e", Kind: "Node", Object: "moka-1", Type: "Normal", Last: ago(time.Minute), First: ago(time.Minute)}}
	b.c.API.Latency, b.c.NodeUsage.Source.Interval = 12*time.Millisecond, 30*time.Second
	want := encode(t, b.world())
	facts, at, err := Read(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	w := Assemble(facts, at, Options{})
	if got := encode(t, w); !bytes.Equal(got, want) {
		t.Errorf("the document changed:\n%s\n%s", got, want)
	}
	if w.Pods[0].Spec == nil || w.Pods[0].Spec != w.Pods[1].Spec {
		t.Error("equal pod specs are no longer shared")
	}
}

func TestDocumentKeepsItsContract(t *testing.T) {
	var doc map[string]any
	if err := json.Unmarshal(encode(t, newBuilder().world()), &doc); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"schemaVersion", "generatedAt", "status", "reasons", "hints", "sources", "clusters", "sites", "nodes", "workloads", "pods", "events"} {
		v, ok := doc[field]
		if !ok || v == nil {
			t.Errorf("%s is missing or null in an empty World", field)
		}
	}
	if doc["generatedAt"] != "2026-03-14T03:07:00Z" || doc["status"] != "ok" {
		t.Errorf("generatedAt %v, status %v", doc["generatedAt"], doc["status"])
	}
}

func TestBadDocumentsAreRefused(t *testing.T) {
	for name, in := range map[string]string{
		"not JSON":          "geotop",
		"empty":             "",
		"another version":   `{"schemaVersion":99}`,
		"no version":        `{}`,
		"null node":         `{"schemaVersion":1,"nodes":[null]}`,
		"node without name": `{"schemaVersion":1,"nodes":[{"site":"moka"}]}`,
		"null cluster":      `{"schemaVersion":1,"clusters":[null]}`,
		"null API server":   `{"schemaVersion":1,"clusters":[{"name":"x","apiServers":[null]}]}`,
		"null pod":          `{"schemaVersion":1,"pods":[null]}`,
		"null event":        `{"schemaVersion":1,"events":[null]}`,
		"spec out of range": `{"schemaVersion":1,"pods":[{"name":"p","spec":7}]}`,
		"negative spec":     `{"schemaVersion":1,"pods":[{"name":"p","spec":-1}]}`,
		"bad severity":      `{"schemaVersion":1,"status":"fine"}`,
	} {
		if _, _, err := Read(strings.NewReader(in)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	b := houses()
	b.deployment("blog", "moka-2")
	doc, _ := json.Marshal(b.world())
	f.Add(doc)
	f.Add([]byte(`{"schemaVersion":1,"clusters":[{"name":"x"}],"nodes":[{"name":"n","cluster":"x"}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		facts, at, err := Read(bytes.NewReader(in))
		if err != nil {
			return
		}
		if _, err := json.Marshal(Assemble(facts, at, Options{})); err != nil && !strings.Contains(err.Error(), "year outside") {
			t.Error(err)
		}
	})
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                          "plain",
		"two\nlines\tand  more":          "two lines and more",
		"\x1b]0;owned\x07red \x1b[31mX":  "]0;owned red [31mX",
		"\u202eevil\u202c":               "evil",
		"warn\u26a0\ufe0f":               "warn\u26a0",
		"\U0001F469\u200d\U0001F4BB dev": "\U0001F469\U0001F4BB dev",
		"bad\xff\xfebytes":               "badbytes",
		"\u009b31mC1":                    "31mC1",
		"日本語":                            "日本語",
	} {
		if got := Clean(in, 0); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Clean(strings.Repeat("é", 50), 21); got != strings.Repeat("é", 10)+"…" {
		t.Errorf("cut to %q", got)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[2Jx", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		for _, r := range Clean(s, limit) {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				t.Fatalf("%q kept %U", s, r)
			}
		}
	})
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 59 * time.Second: "59s", 119 * time.Second: "119s", 2 * time.Minute: "2m",
		119 * time.Minute: "119m", 2 * time.Hour: "2h", 47 * time.Hour: "47h", 48 * time.Hour: "2d", 400 * 24 * time.Hour: "400d",
	} {
		if got := Ago(d); got != want {
			t.Errorf("Ago(%v) = %q, want %q", d, got, want)
		}
	}
}
