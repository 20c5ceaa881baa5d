package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/geotop/geotop/model"
)

func peer(w *model.World, node string) *model.Peer {
	for _, p := range w.Peers {
		if p.Node == node {
			return p
		}
	}
	return &model.Peer{PeerFact: &model.PeerFact{}}
}

func link(w *model.World, to string) model.Link {
	for _, l := range w.Links {
		if l.To == to {
			return *l
		}
	}
	return model.Link{}
}

// answering waits until the tailnet shows every machine direct and answering.
func answering(e *eye) *model.World {
	e.t.Helper()
	return e.until("every machine answering", func(w *model.World) error {
		if len(w.Peers) != 9 || len(w.Sites) != 3 {
			return fmt.Errorf("%d peers in %d sites", len(w.Peers), len(w.Sites))
		}
		for _, p := range w.Peers {
			if !p.Answers() || p.Path == model.PathDERP {
				return fmt.Errorf("%s is %s %s", p.Name, p.State, p.Path)
			}
		}
		return nil
	})
}

func TestTailnetAsItIs(t *testing.T) {
	e := lookFrom(t, shared.Kubeconfig("viewer"), "moka-1")
	w := answering(e)
	real, err := shared.Tailnet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range real {
		p := peer(w, r.Name)
		if p.Site != r.House || p.MatchedBy != "address" || !slices.Contains(p.Addresses, r.IP) || p.Self != (r.Name == "moka-1") {
			t.Errorf("%s: %+v", r.Name, p)
		}
	}
	w = e.until("public addresses", func(w *model.World) error {
		for _, r := range real {
			if a := peer(w, r.Name).PublicAddress(); !strings.HasPrefix(a, r.Public) {
				return fmt.Errorf("%s is at %q, its house at %s", r.Name, a, r.Public)
			}
		}
		return nil
	})
	// There and back through both houses: 5 + 12 ms to curepipe, 5 + 19 to flacq.
	for to, want := range map[string]float64{"curepipe": 0.034, "flacq": 0.048} {
		if l := link(w, to); l.From != "moka" || l.Answering != 3 || l.RTT < want || l.RTT > want+0.1 {
			t.Errorf("link to %s: %+v", to, l)
		}
	}
	for _, s := range w.Sites {
		if s.PeersOnline == nil || *s.PeersOnline != 3 || s.Status != model.SiteOK {
			t.Errorf("%s: %+v", s.Name, s)
		}
	}
}

func TestRelayedAndDirectAgain(t *testing.T) {
	e := lookFrom(t, shared.Kubeconfig("viewer"), "moka-1")
	answering(e)
	if err := shared.Relay(t.Context(), "moka", "curepipe", true); err != nil {
		t.Fatal(err)
	}
	afterwards(t, func(ctx context.Context) error { return shared.Relay(ctx, "moka", "curepipe", false) })
	// Each machine changes over by itself; while some have, the link is as bad as
	// the worst of them.
	w := e.until("relayed", func(w *model.World) error {
		if l := link(w, "curepipe"); l.Path != model.PathDERP || l.Answering != 3 || !slices.Equal(l.Via, []string{"mru"}) {
			return fmt.Errorf("%+v", l)
		}
		return nil
	})
	// The relay is 20 ms from either house, each way.
	if l := link(w, "curepipe"); l.RTT < 0.074 {
		t.Errorf("%+v", l)
	}
	if l := link(w, "flacq"); l.Path != model.PathDirect {
		t.Errorf("the other link too: %+v", l)
	}
	if err := shared.Relay(t.Context(), "moka", "curepipe", false); err != nil {
		t.Fatal(err)
	}
	answering(e)
}

func TestHouseChangesItsAddress(t *testing.T) {
	e := lookFrom(t, shared.Kubeconfig("viewer"), "moka-1")
	answering(e)
	before := e.until("an address", func(w *model.World) error {
		if peer(w, "curepipe-2").PublicAddress() == "" {
			return errors.New("none yet")
		}
		return nil
	})
	old := peer(before, "curepipe-2").PublicAddress()
	if err := shared.CycleAddress(t.Context(), "curepipe"); err != nil {
		t.Fatal(err)
	}
	w := e.until("moved", func(w *model.World) error {
		if p := peer(w, "curepipe-2"); p.PublicAddress() == old || !p.Answers() {
			return fmt.Errorf("%s at %s", p.State, p.PublicAddress())
		}
		return nil
	})
	if p := peer(w, "curepipe-2"); len(p.Moves) < 2 || p.Moves[1].Address != old {
		t.Errorf("moves: %+v", p.Moves)
	}
	answering(e)
}

// A house whose uplink is down keeps its kubelets' word in this lab, as one does
// whose API server is on its own side of the cut.
func TestUplinkDown(t *testing.T) {
	e := lookFrom(t, shared.Kubeconfig("viewer"), "moka-1")
	answering(e)
	if err := shared.CutUplink(t.Context(), "flacq", true); err != nil {
		t.Fatal(err)
	}
	afterwards(t, func(ctx context.Context) error { return shared.CutUplink(ctx, "flacq", false) })
	began := time.Now()
	w := e.until("cut off", func(w *model.World) error {
		if s := w.Site("flacq"); s.Cause != model.CauseLink {
			return fmt.Errorf("%s %s", s.Status, s.Cause)
		}
		return nil
	})
	t.Logf("seen after %.1f s", time.Since(began).Seconds())
	p := peer(w, "flacq-2")
	if !p.Online || p.State != model.PeerUnreachable {
		t.Errorf("the control server's opinion must not count: online %v, %s", p.Online, p.State)
	}
	if w.Status != model.Warning || *w.Site("flacq").PeersOnline != 0 || w.Site("flacq").Ready != 3 {
		t.Errorf("%s\n%s", w.Status, describe(w))
	}
	if err := shared.CutUplink(t.Context(), "flacq", false); err != nil {
		t.Fatal(err)
	}
	answering(e)
}

// Kubelets that stop while their machines answer are not a dark house.
func TestKubeletsOnly(t *testing.T) {
	e := lookFrom(t, shared.Kubeconfig("viewer"), "moka-1")
	answering(e)
	ctx := within(t, patience)
	if err := shared.CutNodes(ctx, "flacq-1", "flacq-2", "flacq-3"); err != nil {
		t.Fatal(err)
	}
	afterwards(t, allUp)
	afterwards(t, func(ctx context.Context) error { return shared.Restore(ctx, "flacq") })
	w := e.until("down", func(w *model.World) error {
		if s := w.Site("flacq"); s.Status != model.SiteDown || s.Cause != model.CauseKubelet {
			return fmt.Errorf("%s %s", s.Status, s.Cause)
		}
		return nil
	})
	if w.Status != model.Critical || w.Reasons[0].Object != "site/flacq" {
		t.Errorf("%s", describe(w))
	}
}

// A house that goes dark while no API server answers: only the tailnet tells.
func TestPowerCutWithoutAPI(t *testing.T) {
	e := lookFrom(t, shared.Kubeconfig("viewer"), "moka-1")
	answering(e)
	shared.StopAPI()
	afterwards(t, allUp)
	afterwards(t, func(ctx context.Context) error { return shared.Restore(ctx, "curepipe") })
	afterwards(t, shared.StartAPI)
	if err := shared.Cut(within(t, patience), "curepipe"); err != nil {
		t.Fatal(err)
	}
	w := e.until("one dark, others unknown", func(w *model.World) error {
		dark, other := w.Site("curepipe"), w.Site("flacq")
		if dark.Status != model.SiteDark || other.Status != model.SiteUnknown || other.PeersOnline == nil || *other.PeersOnline != 3 {
			return fmt.Errorf("curepipe is %s, flacq %s", dark.Status, other.Status)
		}
		return nil
	})
	if w.Status != model.Critical || w.Offline() {
		t.Errorf("%s", describe(w))
	}
}

func TestKeyRunsOut(t *testing.T) {
	e := lookFrom(t, shared.Kubeconfig("viewer"), "moka-1")
	answering(e)
	if err := shared.ExpireKey(t.Context(), "flacq-3", 3*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	afterwards(t, func(ctx context.Context) error { return shared.ExpireKey(ctx, "flacq-3", 300*24*time.Hour) })
	warned := func(want bool) func(w *model.World) error {
		return func(w *model.World) error {
			if got := slices.ContainsFunc(w.Reasons, func(r model.Reason) bool {
				return r.Object == "peer/flacq-3" && strings.Contains(r.Text, "expires in")
			}); got != want {
				return fmt.Errorf("warned: %v", got)
			}
			return nil
		}
	}
	e.until("warned of", warned(true))
	if err := shared.ExpireKey(t.Context(), "flacq-3", 300*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	e.until("renewed", warned(false))
}

// The daemon of this machine dies and comes back; the cluster is seen all the same.
func TestDaemonDies(t *testing.T) {
	allWell(t)
	path := filepath.Join(t.TempDir(), "s")
	e := lookFrom(t, shared.Kubeconfig("viewer"), "moka-1")
	answering(e)
	e.until("well", wellAgain)
	socket := shared.TailscaleSocket("moka-1")
	if err := os.Rename(socket, path); err != nil {
		t.Fatal(err)
	}
	back := func() { _ = os.Rename(path, socket) }
	t.Cleanup(back)
	// An open connection lives on: only new ones are refused. What is asked over
	// it stays true, so nothing may turn grey.
	if w := e.settled(); source(w, model.SourceNodes).Status != model.SourceOK {
		t.Errorf("%s", describe(w))
	}
	other := lookFrom(t, shared.Kubeconfig("viewer"), "moka-1")
	w := other.settled()
	if s := source(w, model.SourceTailnet); s.Status != model.SourceAbsent || w.Status != model.OK || len(w.Nodes) != 9 {
		t.Errorf("without a daemon:\n%s", describe(w))
	}
	back()
	answering(lookFrom(t, shared.Kubeconfig("viewer"), "moka-1"))
}

// The real binary, on the screen and as a command.
func TestTailnetOnTheScreen(t *testing.T) {
	allWell(t)
	args := []string{"--kubeconfig", shared.Kubeconfig("viewer"), "--tailscale-socket", shared.TailscaleSocket("moka-1")}
	out, errs, code := once(t, nil, append([]string{"links"}, args...)...)
	if code != 0 || strings.Count(out, "direct") != 3 || !strings.Contains(out, "curepipe") {
		t.Errorf("links: exit code %d\n%s%s", code, out, errs)
	}
	s := start(t, 80, 24, nil, args...)
	shows(t, s, "tailnet ok", "PEERS", "all is well")
	if err := s.Quiet(within(t, patience), 300*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if s.Bytes() > startBudget {
		t.Errorf("the start wrote %d bytes", s.Bytes())
	}
	if err := s.Type("3"); err != nil {
		t.Fatal(err)
	}
	shows(t, s, "FROM", "flacq-3", "direct", "here")
	if err := s.Type("1"); err != nil {
		t.Fatal(err)
	}
	shows(t, s, "all is well")
	leaves(t, s)
}
