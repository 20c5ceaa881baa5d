// Package demo is the simulated world behind geotop --demo: a k3s cluster over
// a few houses in Mauritius, served as a Kubernetes API in memory, so that
// everything else in geotop runs on it unchanged.
//
// It is sample data and talks to nobody: no socket is opened. The simulation is
// deterministic: the same scenario, seed and time give the same answers byte
// for byte. A Demo may be used from any goroutine.
package demo

import (
	"container/heap"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

const serverVersion = "v1.36.3+k3s1"

// start is where every demo's clock begins: 3:07 at night in Mauritius.
var start = time.Date(2026, 3, 13, 23, 7, 0, 0, time.UTC)

// Demo is one simulated cluster.
type Demo struct {
	scenario scenario
	seed     uint64
	store    *store
	sim      *sim

	mu      sync.Mutex
	now     time.Time // the simulation's time
	running time.Time // wall clock when Run began; zero when it does not run
	base    time.Time // the demo clock then
	lost    chan struct{}
	sooner  chan struct{} // something was planned for sooner than Run knows
}

// New makes the scenario's cluster at its first moment; "" is "weak".
func New(name string, seed uint64) (*Demo, error) {
	if name == "" {
		name = "weak"
	}
	for _, sc := range scenarios {
		if sc.Name == name {
			d := &Demo{scenario: sc, seed: seed, store: newStore(), now: start.Add(-history), lost: make(chan struct{}), sooner: make(chan struct{}, 1)}
			d.sim = newSim(d)
			sc.build(d.sim)
			d.sim.remember()
			d.Advance(start)
			d.store.forget()
			return d, nil
		}
	}
	names := []string{}
	for _, sc := range scenarios {
		names = append(names, sc.Name)
	}
	return nil, fmt.Errorf("no demo scenario %q; there are %s", name, strings.Join(names, ", "))
}

// history is how long the simulation runs before the first moment one sees, so
// that what is under way then came about as it would.
const history = 5 * time.Minute

// ClusterName is the name to show.
func (d *Demo) ClusterName() string { return "demo-" + d.scenario.Name }

// Now is the demo's clock: it stands still until Run, but for Advance.
func (d *Demo) Now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running.IsZero() {
		return d.now
	}
	return d.base.Add(time.Since(d.running))
}

// Advance plays everything that happens up to the given time of the demo's clock.
func (d *Demo) Advance(to time.Time) {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	for len(d.sim.queue) > 0 && !d.sim.queue[0].at.After(to) {
		ev := heap.Pop(&d.sim.queue).(*event)
		d.setNow(ev.at)
		ev.do()
	}
	d.setNow(to)
}

func (d *Demo) setNow(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.After(d.now) {
		d.now = t
	}
}

// Run lets the demo live along with the wall clock until ctx ends.
func (d *Demo) Run(ctx context.Context) {
	d.mu.Lock()
	d.running, d.base = time.Now(), d.now
	d.mu.Unlock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.sooner:
		case <-timer.C:
		}
		d.Advance(d.Now())
		timer.Reset(max(10*time.Millisecond, d.sim.next().Sub(d.Now())))
	}
}

// wake has Run look again what is due.
func (d *Demo) wake() {
	select {
	case d.sooner <- struct{}{}:
	default:
	}
}

// RestConfig reaches the simulated API.
func (d *Demo) RestConfig() *rest.Config {
	var t http.RoundTripper = &transport{handler: &api{d}, gone: d.unreachable()}
	return &rest.Config{Host: "https://demo.invalid:6443", Transport: t}
}

// unreachable is closed once the API is gone for good.
func (d *Demo) unreachable() <-chan struct{} { return d.lost }

// lose makes the API unreachable.
func (d *Demo) lose() { close(d.lost) }
