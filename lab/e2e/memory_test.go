package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/geotop/geotop/collectors/objectstore"
	"github.com/geotop/geotop/collectors/tailnet"
	"github.com/geotop/geotop/lab/rig"
	"github.com/geotop/geotop/model"
)

// calm waits until geotop itself has nothing to say of the lab: volumes, peers and
// backups too are as they were before whatever the test before did.
func calm(t *testing.T) {
	t.Helper()
	allWell(t)
	c := reader(t, shared.Kubeconfig("viewer"))
	e := open(t, c,
		tailnet.New(tailnet.Config{Transport: tailnet.Unix(shared.TailscaleSocket("moka-1")), PingEvery: 2 * time.Second}),
		objectstore.New(objectstore.Config{Every: time.Second, Secret: func(ctx context.Context, _, name string) (map[string][]byte, error) { return c.Secret(ctx, name) }}))
	e.until("calm", func(w *model.World) error {
		if !w.Settled() || len(w.Volumes) != 4 || len(w.Stores) != 1 || len(w.Peers) == 0 || w.Status != model.OK {
			return fmt.Errorf("%d volumes, %d stores, %d peers", len(w.Volumes), len(w.Stores), len(w.Peers))
		}
		return nil
	})
}

// TestStartDuringAnOutage starts geotop when no API server answers: what was is
// shown, as old, and the tailnet tells which house is dark now.
func TestStartDuringAnOutage(t *testing.T) {
	calm(t)
	env := []string{"XDG_STATE_HOME=" + t.TempDir()}
	args := []string{"--kubeconfig", shared.Kubeconfig("viewer"), "--tailscale-socket", shared.TailscaleSocket("moka-1")}
	if out, errs, code := once(t, env, append(args, "--once", "--check")...); code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	shared.StopAPI()
	afterwards(t, allUp)
	afterwards(t, func(ctx context.Context) error { return shared.Restore(ctx, "flacq") })
	afterwards(t, shared.StartAPI)
	if err := shared.Cut(within(t, patience), "flacq"); err != nil {
		t.Fatal(err)
	}
	out, errs, code := once(t, env, append(args, "--once", "--check")...)
	for _, want := range []string{"flacq    DARK", "curepipe unknown", "connection refused", "last answered", "?/3  1   0/3       ?"} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s%s", want, out, errs)
		}
	}
	if code != 2 {
		t.Errorf("exit code %d", code)
	}
	// The bucket: what was in it, with its age, and its health as it is now.
	const store = `jsonpath={range .backups.stores[*]}{.endpoint} {.health.readable} {.healthAt}{"\n"}{end}{range .sources[?(@.name=="store/default")]}{.status} {.remembered} {.error}{"\n"}{end}{.volumes[*].lastBackup.state}`
	out, errs, _ = once(t, env, append(args, "--once", "-o", store)...)
	endpoint := strings.TrimPrefix(shared.StoreEndpoint(0), "http://")
	if !strings.HasPrefix(out, endpoint+" true 20") || !strings.Contains(out, "stale true credentials in secret") || !strings.Contains(out, "verified verified verified verified") {
		t.Errorf("the bucket: %s%s", out, errs)
	}
	keys := append([]string{"GEOTOP_S3_ACCESS_KEY=" + shared.BucketUser(), "GEOTOP_S3_SECRET_KEY=" + shared.BucketKey()}, env...)
	out, errs, _ = once(t, keys, append(args, "--once", "-o", `jsonpath={range .sources[?(@.name=="store/default")]}{.status} {.error}{end}`)...)
	if strings.TrimSpace(out) != "ok" {
		t.Errorf("the bucket with keys of our own: %s%s", out, errs)
	}
	s := start(t, 80, 24, env, args...)
	shows(t, s, "DARK", "flacq", "curepipe", "api ", "s!", "0/3", "3/3")
	if err := s.Type("2"); err != nil {
		t.Fatal(err)
	}
	shows(t, s, "moka-3", "flacq-1")
	if err := s.Type("1"); err != nil {
		t.Fatal(err)
	}
	shows(t, s, "DARK")
	leaves(t, s)
	out, errs, code = once(t, env, append(args, "--once", "--check", "--no-state")...)
	if code != 3 || strings.Contains(out, "flacq    DARK") {
		t.Errorf("without state: exit code %d\n%s%s", code, out, errs)
	}
}

// No credential of any account of the lab, and no key of its bucket, may be in what
// geotop keeps, prints or shows.
// The order a list was given is there again at the next start; what was filtered out is not.
func TestTheOrderComesBack(t *testing.T) {
	allWell(t)
	state := "XDG_STATE_HOME=" + t.TempDir()
	s := start(t, 80, 24, []string{state}, "--kubeconfig", shared.Kubeconfig("viewer"))
	shows(t, s, "new here", "curepipe")
	for _, key := range []string{"2", "o", "o", "/", "moka\r"} {
		if err := s.Type(key); err != nil {
			t.Fatal(err)
		}
	}
	shows(t, s, "NODE↓", "/moka", "moka-1")
	if err := s.Type("Q"); err != nil {
		t.Fatal(err)
	}
	if code, err := s.Ended(within(t, patience)); err != nil || code != 0 {
		t.Fatalf("ended with %d, %v", code, err)
	}
	s = start(t, 80, 24, []string{state}, "--kubeconfig", shared.Kubeconfig("viewer"))
	shows(t, s, "curepipe", "24 pods ready")
	if err := s.Type("2"); err != nil {
		t.Fatal(err)
	}
	shows(t, s, "NODE↓", "curepipe-1", "moka-1")
	if err := s.Type("1"); err != nil {
		t.Fatal(err)
	}
	leaves(t, s)
}

func TestNoSecretsAreKept(t *testing.T) {
	calm(t)
	dir := t.TempDir()
	env := []string{"XDG_STATE_HOME=" + dir}
	args := []string{"--kubeconfig", shared.Kubeconfig("admin"), "-o", "json"}
	out, errs, code := once(t, env, args...)
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, errs)
	}
	// Every pane and its details, on a screen with room for them.
	s := start(t, 200, 50, env, "--kubeconfig", shared.Kubeconfig("admin"), "--tailscale-socket", shared.TailscaleSocket("moka-1"))
	shows(t, s, "24 pods ready", "store ok", "tailnet ok")
	for _, pane := range []struct{ key, shows string }{
		{"1", "curepipe"}, {"2", "moka-3"}, {"3", "moka-3"}, {"4", "code-home"}, {"5", "verified"}, {"6", "nextcloud"}, {"7", "postgres-2"}, {"8", "RegisteredNode"},
	} {
		if err := s.Type(pane.key); err != nil {
			t.Fatal(err)
		}
		shows(t, s, pane.shows)
		if err := s.Type("d"); err != nil {
			t.Fatal(err)
		}
		shows(t, s, ". page") // the footer of details
		if err := s.Type("q"); err != nil {
			t.Fatal(err)
		}
		shows(t, s, pane.shows, "! problems")
	}
	screens := s.Raw()
	s.Close()
	printed, complaints, _ := once(t, env, "doctor", "--kubeconfig", shared.Kubeconfig("admin"))
	kept := out + errs + screens + printed + complaints + readAll(t, dir)
	for _, user := range rig.Users {
		cfg, err := rig.LoadConfig(shared.Kubeconfig(user))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{shared.BucketKey(), cfg.BearerToken, string(cfg.KeyData), string(cfg.CertData)} {
			if secret != "" && strings.Contains(kept, strings.TrimSpace(secret)) {
				t.Errorf("a credential of %s got out", user)
			}
		}
		if key, err := os.ReadFile(cfg.KeyFile); err == nil && strings.Contains(kept, strings.TrimSpace(string(key))) {
			t.Errorf("the key of %s got out", user)
		}
	}
	if !strings.Contains(kept, "moka-1") {
		t.Error("nothing was kept at all")
	}
}
