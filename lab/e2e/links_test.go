package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/geotop/geotop/collectors/links"
	"github.com/geotop/geotop/lab/rig"
	"github.com/geotop/geotop/model"
)

// TestLinksByOthers has three real etcd members in three houses, 20 ms apart each
// way, and a real Prometheus that watches them. A house that goes dark is one
// that its peers say does not answer.
func TestLinksByOthers(t *testing.T) {
	t.Parallel()
	const delay = 20 * time.Millisecond
	r, err := rig.Up(within(t, 2*patience), rig.Config{PerHouse: 1, Etcd: 3, EtcdDelay: delay, NoMetrics: true, NoTailnet: true, NoLonghorn: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Down)
	prometheus, err := r.StartPrometheus(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	e := open(t, reader(t, r.Kubeconfig("observer")), links.New(links.Config{Etcd: r.EtcdMetrics(), Prometheus: prometheus, Every: 2 * time.Second}))
	link := func(w *model.World, from, to, by string) *model.Link {
		for _, l := range w.Links {
			if l.From == from && l.To == to && l.Source == by {
				return l
			}
		}
		return nil
	}
	houses := r.Houses()
	w := e.until("all links measured by both", func(w *model.World) error {
		for _, by := range []string{model.ByEtcd, model.ByPrometheus} {
			for _, from := range houses {
				for _, to := range houses {
					if l := link(w, from, to, by); from != to && (l == nil || l.Answering == 0) {
						return fmt.Errorf("nothing of %s to %s by %s: %+v", from, to, by, l)
					}
				}
			}
		}
		return nil
	})
	// etcd's own figure begins with a round trip that also opens the connection,
	// and forgets it but slowly.
	for _, l := range w.Links {
		if least, most := 2*delay.Seconds(), 5*delay.Seconds(); l.RTT < least || l.RTT > most {
			t.Errorf("%s to %s by %s takes %.1f ms, not %.0f to %.0f", l.From, l.To, l.Source, l.RTT*1000, least*1000, most*1000)
		}
	}
	leaders := 0
	for _, m := range w.Clusters[0].Members {
		switch {
		case m.Leader == nil || m.ID == "" || !*m.SeesLeader:
			t.Errorf("of %s nothing is known: %+v", m.Node, m)
		case *m.Leader:
			leaders++
		}
	}
	if leaders != 1 {
		t.Errorf("%d leaders", leaders)
	}

	dark := houses[2]
	if err := r.Cut(within(t, patience), dark); err != nil {
		t.Fatal(err)
	}
	e.until("the dark house unanswering, for both", func(w *model.World) error {
		for _, by := range []string{model.ByEtcd, model.ByPrometheus} {
			for _, from := range houses[:2] {
				if l := link(w, from, dark, by); l == nil || l.Answering > 0 {
					return fmt.Errorf("%s to %s by %s: %+v", from, dark, by, l)
				}
			}
		}
		if l := link(w, houses[0], houses[1], model.ByEtcd); l == nil || l.Answering == 0 {
			return errors.New("the living houses lost each other")
		}
		return nil
	})
	if err := r.Restore(within(t, patience), dark); err != nil {
		t.Fatal(err)
	}
	e.until("the house is back, for both", func(w *model.World) error {
		for _, by := range []string{model.ByEtcd, model.ByPrometheus} {
			for _, from := range houses[:2] {
				if l := link(w, from, dark, by); l == nil || l.Answering == 0 {
					return fmt.Errorf("%s to %s by %s: %+v", from, dark, by, l)
				}
			}
		}
		return nil
	})
}

// TestLinksFromNobody asks where nothing is, or something else.
func TestLinksFromNobody(t *testing.T) {
	host := "http://" + shared.APIAddress() // speaks TLS, and is no Prometheus
	e := open(t, reader(t, shared.Kubeconfig("observer")), links.New(links.Config{
		Etcd: map[string]string{shared.Houses()[0] + "-1": host + "/metrics"}, Prometheus: host, Every: time.Second,
	}))
	w := e.settled()
	for _, name := range []string{model.SourceEtcdMetrics, model.SourcePrometheus} {
		if s := source(w, name); s.Status != model.SourceFailed || s.Error == "" {
			t.Errorf("%s is %s: %q", name, s.Status, s.Error)
		}
	}
	if w.Status != model.OK || len(w.Links) != 0 {
		t.Errorf("other sources suffered:\n%s", describe(w))
	}
}
