package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestTimelineOfAPowerCut has geotop look now and then, as cron does, while a house
// goes dark and comes back, and asks it afterwards what happened.
func TestTimelineOfAPowerCut(t *testing.T) {
	calm(t)
	const house = "flacq"
	env := []string{"XDG_STATE_HOME=" + t.TempDir()}
	args := []string{"--kubeconfig", shared.Kubeconfig("viewer"), "--no-ping"}
	story := func() string {
		t.Helper()
		out, errs, code := once(t, env, append(args, "--once", "-o", `jsonpath={range .timeline[*]}{.kind}/{.name} {.was} > {.now}{"\n"}{end}`)...)
		if code != 0 {
			t.Fatalf("exit code %d\n%s", code, errs)
		}
		return out
	}
	has := func(said string, wanted ...string) {
		t.Helper()
		for _, want := range wanted {
			if !strings.Contains(said, want) {
				t.Errorf("lacks %q:\n%s", want, said)
			}
		}
	}
	if said := story(); strings.Contains(said, "dark") {
		t.Errorf("dark before anything happened:\n%s", said)
	}
	if err := shared.Cut(within(t, patience), house); err != nil {
		t.Fatal(err)
	}
	afterwards(t, allUp)
	afterwards(t, func(ctx context.Context) error { return shared.Restore(ctx, house) })
	if err := shared.WaitNodes(within(t, patience), client, house+"-1", house+"-2", house+"-3"); err != nil {
		t.Fatal(err)
	}
	has(story(), "Site/flacq ok > dark", "Node/flacq-2 ready > no sign of life")
	if err := shared.Restore(within(t, patience), house); err != nil {
		t.Fatal(err)
	}
	calm(t)
	has(story(), "Site/flacq dark > ok", "Site/flacq ok > dark", "Node/flacq-2 no sign of life > ready")

	// Somebody looks, and again after something happened.
	s := start(t, 120, 40, env, args...)
	shows(t, s, "all is well", "Lately")
	if err := s.Type("8"); err != nil {
		t.Fatal(err)
	}
	shows(t, s, "site/flacq", "dark", "no sign of life")
	if err := s.Type("1"); err != nil { // at home q leaves
		t.Fatal(err)
	}
	shows(t, s, "all is well")
	leaves(t, s)
	patch := func(cordoned bool) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			_, err := client.CoreV1().Nodes().Patch(ctx, "moka-2", types.MergePatchType, []byte(fmt.Sprintf(`{"spec":{"unschedulable":%v}}`, cordoned)), metav1.PatchOptions{})
			return err
		}
	}
	afterwards(t, patch(false))
	if err := patch(true)(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	s = start(t, 120, 40, env, args...)
	shows(t, s, "1 since you last looked", "node/moka-2", "cordoned")
	leaves(t, s)
}
