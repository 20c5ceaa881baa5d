package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/geotop/geotop/collectors/tailnet"
	"github.com/geotop/geotop/lab/rig"
	"github.com/geotop/geotop/model"
)

// A real Headscale with real tailscaled processes: by the daemon of one of the
// machines, and, without a daemon, by Headscale's own API.
func TestHeadscale(t *testing.T) {
	dir, err := os.MkdirTemp("", "gt") // paths of sockets must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h, err := rig.StartHeadscale(within(t, 3*time.Minute), dir, "moka-1", "curepipe-1", "flacq-1")
	if errors.Is(err, rig.ErrNoNamespace) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	e := open(t, reader(t, shared.Kubeconfig("viewer")), tailnet.New(tailnet.Config{Transport: tailnet.Unix(h.Socket("moka-1")), PingEvery: time.Second}))
	w := e.until("all answering", func(w *model.World) error {
		if len(w.Peers) != 3 {
			return fmt.Errorf("%d peers", len(w.Peers))
		}
		for _, p := range w.Peers {
			if !p.Answers() || p.MatchedBy == "" {
				return fmt.Errorf("%s is %s, matched by %q", p.Name, p.State, p.MatchedBy)
			}
		}
		return nil
	})
	if w.Tailnets[0].Name != "tn.example" || !strings.HasPrefix(w.Tailnets[0].Daemon, "1.") {
		t.Errorf("%+v", w.Tailnets[0])
	}

	// Without a daemon, Headscale's list does; the key is in no output.
	list := func(key string) (string, int) {
		argv := h.Inside(binary, "--kubeconfig", shared.Kubeconfig("viewer"), "--tailscale-socket", dir+"/none", "--headscale", h.URL, "--no-state",
			"-o", `jsonpath={range .peers[*]}{.name}={.node},{.state} {end}{"\n"}{range .sources[?(@.name=="tailnet/control")]}{.status} {.error}{end}`)
		cmd := exec.CommandContext(within(t, patience), argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), "GEOTOP_HEADSCALE_API_KEY="+key)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), key) {
			t.Error("the key of the control server got out")
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	// The lab's API server is outside the namespace: the machines show all the same.
	if out, code := list(h.Key); code != 3 && code != 0 || !strings.Contains(out, "curepipe-1=,idle flacq-1=,idle moka-1=,idle \nok ") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if out, _ := list(h.Key[:len(h.Key)-6] + "wrong1"); !strings.Contains(out, "failed the control server answers 500") {
		t.Errorf("with a wrong key: %s", out)
	}

	// A machine that dies is seen by our pings, whatever Headscale thinks of it.
	if err := h.StopMachine("flacq-1"); err != nil {
		t.Fatal(err)
	}
	e.until("one silent", func(w *model.World) error {
		if p := peer(w, "flacq-1"); p.State != model.PeerUnreachable {
			return fmt.Errorf("%s, online %v", p.State, p.Online)
		}
		return nil
	})
}
