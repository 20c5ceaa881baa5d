package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/geotop/geotop/lab/drill"
	"github.com/geotop/geotop/model"
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
