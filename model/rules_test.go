package model

import (
	"strings"
	"testing"
)

func TestRulesOfTheStore(t *testing.T) {
	for name, c := range map[string]struct {
		prefix string
		rules  *StoreRules
		reason string
		hint   bool
	}{
		"none told":                     {"", nil, "", false},
		"none":                          {"", &StoreRules{}, "", false},
		"for all objects":               {"", &StoreRules{Expiry: []StoreExpiry{{ID: "tidy", Days: 30}}}, `"tidy" of bucket b deletes objects 30 days old`, false},
		"for ours":                      {"lab/", &StoreRules{Expiry: []StoreExpiry{{ID: "tidy", Prefix: "lab/", Days: 30}}}, "30 days old", false},
		"for a part of ours":            {"lab/", &StoreRules{Expiry: []StoreExpiry{{ID: "tidy", Prefix: "lab/backupstore/volumes/aa", On: moment}}}, "from " + moment.Format("2006-01-02") + " on", false},
		"for others":                    {"lab/", &StoreRules{Expiry: []StoreExpiry{{ID: "tidy", Prefix: "photos/", Days: 30}}}, "", false},
		"for what is tagged":            {"", &StoreRules{Expiry: []StoreExpiry{{ID: "tidy", Days: 30, Tagged: true}}}, "", false},
		"versions for ever":             {"", &StoreRules{Versioned: true}, "", true},
		"versions, old ones deleted":    {"", &StoreRules{Versioned: true, Expiry: []StoreExpiry{{Old: true}}}, "", false},
		"old versions of others' alone": {"", &StoreRules{Versioned: true, Expiry: []StoreExpiry{{Old: true, Prefix: "photos/"}}}, "", true},
	} {
		f := StoreFacts{Cluster: "test", Target: "default", Bucket: "b", Prefix: c.prefix, Source: okSource("store/default"), Rules: c.rules}
		w := Assemble(Facts{Clusters: []ClusterFacts{houses().c}, Stores: []StoreFacts{f}}, moment, Options{})
		if got := told(w, "store/default"); !strings.Contains(got, c.reason) || (c.reason == "") != (got == "") {
			t.Errorf("%s: %q", name, got)
		}
		if hints := strings.Join(w.Hints, "; "); strings.Contains(hints, "keeps every version") != c.hint {
			t.Errorf("%s: hints %q", name, hints)
		}
	}
}
