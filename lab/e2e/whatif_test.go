package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/geotop/geotop/lab/drill"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/survive"
)

// TestDrill cuts a house of a generated cluster, and holds what geotop said
// before against what the real controllers and the real scheduler did. `lab drill`
// runs as many as one likes.
func TestDrill(t *testing.T) {
	t.Parallel()
	list, err := drill.Run(within(t, 3*patience), 13)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if r.Pods == 0 || len(r.Outcome) == 0 {
			t.Fatalf("nothing was drilled: %+v", r)
		}
		if !r.Chance { // what Kubernetes draws lots for may fall otherwise
			for _, d := range r.Different {
				t.Errorf("without %v: %s", r.Lost, d)
			}
		}
	}
}

// The command says of the lab what it says of any cluster.
func TestWhatIfOnTheCommandLine(t *testing.T) {
	allWell(t)
	out, errs, code := once(t, nil, "whatif", "--kubeconfig", shared.Kubeconfig("viewer"), "--no-ping", "-o", "json")
	var doc struct{ Verdicts []model.Verdict }
	if err := json.Unmarshal([]byte(out), &doc); err != nil || code != 0 || len(doc.Verdicts) != 3 {
		t.Fatalf("exit code %d, %d verdicts, %v: %s", code, len(doc.Verdicts), err, errs)
	}
	for _, v := range doc.Verdicts {
		if v.ControlPlane[0].Outcome != model.Degraded || len(v.Workloads) == 0 || v.Recovery == nil {
			t.Errorf("without %v: %+v", v.Lost, v)
		}
	}
	out, errs, code = once(t, nil, "whatif", "moka", "flacq", "--kubeconfig", shared.Kubeconfig("viewer"), "--no-ping", "--check")
	if code != 2 && code != 1 || !strings.Contains(out, "1 of 3 etcd voters are left, and 2 are needed") {
		t.Errorf("two houses of three: exit code %d: %s%s", code, out, errs)
	}
	if out, errs, code = once(t, nil, "whatif", "atlantis", "--kubeconfig", shared.Kubeconfig("viewer"), "--no-ping"); code != 64 || !strings.Contains(errs, `no site "atlantis"; there are: curepipe flacq moka`) {
		t.Errorf("a house there is not: exit code %d: %s%s", code, out, errs)
	}
}

// What geotop says becomes of volumes is what the stand-in for Longhorn makes of
// them, whichever house is cut, or two.
func TestVolumesGoAsForecast(t *testing.T) {
	allWell(t)
	e := look(t, shared.Kubeconfig("viewer"))
	all := shared.Houses()
	for _, houses := range [][]string{all[:1], all[1:2], all[2:3], all[:2]} {
		w := whole(e)
		forecast := map[string]model.PartVerdict{}
		for _, p := range survive.New(w).Of(houses...).Volumes {
			forecast[p.Object] = p
		}
		if err := shared.Cut(within(t, patience), houses...); err != nil {
			t.Fatal(err)
		}
		e.until("as forecast without "+strings.Join(houses, " and "), func(w *model.World) error {
			for _, v := range w.Volumes {
				p, touched := forecast[v.Object()]
				attached := slices.Contains(houses, v.Site)
				want := "healthy"
				switch {
				case attached:
					want = "unknown" // nobody counts its copies
				case p.Outcome == model.DataLost:
					want = "faulted"
				case touched:
					want = "degraded"
				}
				if v.Robustness != want {
					return fmt.Errorf("%s is %s, and %s by the forecast: %+v", v.Object(), v.Robustness, want, p)
				}
				if gone := v.Healthy == 0; gone != (p.Outcome == model.DataLost) {
					return fmt.Errorf("%s has %d copies; the forecast: %+v", v.Object(), v.Healthy, p)
				}
				if attached && p.Outcome < model.Interrupted && !strings.Contains(p.Why, "attached there") {
					return fmt.Errorf("%s was attached there; the forecast: %+v", v.Object(), p)
				}
			}
			return nil
		})
		if err := shared.Restore(within(t, patience), houses...); err != nil {
			t.Fatal(err)
		}
		allWell(t)
	}
	whole(e)
}

// Control planes: `lab drill --of etcd` does all sets of houses of more layouts, and
// `--of minio` those of object stores, on real servers.
func TestQuorumGoesAsForecast(t *testing.T) {
	t.Parallel()
	for _, layout := range [][]int{{2, 1}, {1, 1, 1}} {
		list, err := drill.Quorums(within(t, 3*patience), false, layout)
		if err != nil {
			t.Fatal(err)
		}
		writes := 0
		for _, s := range list {
			if !s.Right() {
				t.Errorf("%v without %v: forecast %s (%s); written %v", s.Layout, s.Dark, s.Forecast, s.Why, s.CanWrite)
			}
			if s.CanWrite {
				writes++
			}
		}
		if len(list) != 1<<len(layout) || writes == 0 || writes == len(list) {
			t.Errorf("%v: %d sets of houses, writes in %d", layout, len(list), writes)
		}
	}
}
