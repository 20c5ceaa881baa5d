package ui

import (
	"testing"
	"time"

	"github.com/geotop/geotop/model"
)

// A name that every cluster has says what it is the name of.
func TestFindingsSayWhatTheyAreAbout(t *testing.T) {
	w := *worldOf(t, dark)
	w.Reasons = []model.Reason{
		{Severity: model.Warning, Object: "store/default", Text: "connection refused"},
		{Severity: model.Warning, Object: "backuptarget/default", Text: "not available"},
		{Severity: model.Warning, Object: "node/moka-1", Text: "is full"},
	}
	a := open(t, &w, 80, 24)
	for _, want := range []string{"! object store default connection refused", "! backup target default not available", "! moka-1 is full"} {
		shows(t, a, want)
	}
}

// Where there is no room for all figures, whole ones are left out.
func TestAllIsWellOnAPhone(t *testing.T) {
	w := *worldOf(t, moment{"healthy", time.Minute})
	for width, want := range map[int]string{
		44: "● all is well: 3 sites, 9 nodes, 53 pods", 80: "● all is well: 3 sites, 9 nodes, 53 pods ready", 40: "● all is well: 3 sites, 9 nodes, 53 pods", 36: "● all is well: 3 sites, 9 nodes",
	} {
		if got := allWell(&w, width); got != want {
			t.Errorf("at %d: %q", width, got)
		}
	}
}
