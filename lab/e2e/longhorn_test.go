package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/geotop/geotop/model"
)

func volume(w *model.World, claim string) *model.Volume {
	for _, v := range w.Volumes {
		if v.PVC == claim {
			return v
		}
	}
	return &model.Volume{VolumeFact: &model.VolumeFact{}}
}

// whole waits until every volume has all its copies.
func whole(e *eye) *model.World {
	e.t.Helper()
	return e.until("volumes whole", func(w *model.World) error {
		if len(w.Volumes) != 4 {
			return fmt.Errorf("%d volumes", len(w.Volumes))
		}
		for _, v := range w.Volumes {
			if v.Healthy != v.Wanted || v.Severity() != model.OK {
				return fmt.Errorf("%s has %d of %d: %v", v.PVC, v.Healthy, v.Wanted, v.Problems)
			}
		}
		return nil
	})
}

// TestVolumesThroughAPowerCut follows the volumes of a house that goes dark and
// comes back, on Longhorn's own CRDs with its part played.
func TestVolumesThroughAPowerCut(t *testing.T) {
	allWell(t)
	e := look(t, shared.Kubeconfig("viewer"))
	w := whole(e)
	for _, v := range w.Volumes {
		if len(v.Sites) != v.Wanted || v.Workload == "" || v.Site == "" {
			t.Errorf("%s: in %v, used by %q, on %q", v.PVC, v.Sites, v.Workload, v.Site)
		}
	}
	// A house that holds a copy of the large volume, and not its engine.
	large := volume(w, "nextcloud-data")
	house := ""
	for _, s := range large.Sites {
		if s != large.Site {
			house = s
		}
	}
	if err := shared.Cut(within(t, patience), house); err != nil {
		t.Fatal(err)
	}
	afterwards(t, allUp)
	afterwards(t, func(ctx context.Context) error { return shared.Restore(ctx, house) })
	w = e.until("a copy short", func(w *model.World) error {
		if v := volume(w, "nextcloud-data"); v.Healthy != 2 || v.Robustness != "degraded" {
			return fmt.Errorf("%d healthy, %s", v.Healthy, v.Robustness)
		}
		return nil
	})
	if v := volume(w, "nextcloud-data"); v.Severity() != model.Warning || slices.Contains(v.Sites, house) {
		t.Errorf("%s: %v in %v", v.Severity(), v.Problems, v.Sites)
	}
	if err := shared.Restore(within(t, patience), house); err != nil {
		t.Fatal(err)
	}
	seen := -1
	e.until("whole again", func(w *model.World) error {
		v := volume(w, "nextcloud-data")
		if p := v.Rebuilding(); p >= 0 {
			seen = max(seen, p)
		}
		if v.Healthy != 3 {
			return fmt.Errorf("%d healthy", v.Healthy)
		}
		return nil
	})
	if seen < 0 {
		t.Error("no rebuild was seen under way")
	}
	whole(e)
}

// Without the right to Longhorn's kinds the rest is seen, and the lack is said.
func TestWithoutRightsToVolumes(t *testing.T) {
	e := look(t, shared.Kubeconfig("nodes-only"))
	w := e.settled()
	if s := source(w, model.SourceVolumes); s.Status != model.SourceForbidden || len(w.Nodes) != 9 || w.Status != model.Unknown {
		t.Errorf("%s", describe(w))
	}
}
