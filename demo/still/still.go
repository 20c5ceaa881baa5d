// Package still takes a still of a demo: the World as the real collectors see
// it at one moment of the demo's clock. Screens in tests and pictures in the
// docs are drawn from stills, so that the same code makes the same screen.
package still

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/geotop/geotop/collectors"
	"github.com/geotop/geotop/collectors/kube"
	"github.com/geotop/geotop/collectors/links"
	"github.com/geotop/geotop/collectors/objectstore"
	"github.com/geotop/geotop/collectors/tailnet"
	"github.com/geotop/geotop/demo"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/survive"
)

const tries = 64 // as the product does for so small a cluster

// trails is what a demo tells of the time before.
type trails struct{ *model.Trails }

func past(d *demo.Demo) trails {
	var t model.Tracker
	for _, f := range d.Past() {
		t.Sample(f.At, model.TrailOf{Cluster: f.Cluster, Kind: f.Kind, Name: f.Name, Figure: f.Figure}, f.Value)
	}
	return trails{t.Trails()}
}

func (t trails) Facts(f *model.Facts) { f.Trails = t.Trails }

func (trails) Run(context.Context, func()) {}

// Of plays the scenario for so long after its first moment and gives the World
// then. Answers take no time in it: its latencies are nothing.
func Of(ctx context.Context, scenario string, seed uint64, after time.Duration) (*model.World, error) {
	d, err := demo.New(scenario, seed)
	if err != nil {
		return nil, err
	}
	d.Advance(d.Now().Add(after))
	c, err := kube.New(kube.Config{Name: d.ClusterName(), Rest: d.RestConfig(), Now: d.Now})
	if err != nil {
		return nil, err
	}
	t := tailnet.New(tailnet.Config{Transport: d.LocalAPI(), Now: d.Now, PingEvery: time.Hour, PingAgain: demo.PingAgain})
	store := objectstore.New(objectstore.Config{
		Now: d.Now, Transport: d.Bucket(), Every: time.Hour,
		Secret: func(ctx context.Context, _, name string) (map[string][]byte, error) { return c.Secret(ctx, name) },
	})
	ways := links.New(links.Config{Now: d.Now, Transport: d.EtcdMetrics(), Every: time.Hour})
	set := collectors.NewSet(c, t, store, ways, past(d))
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { set.Run(ctx) })
	defer running.Wait()
	defer cancel()
	for {
		if w := set.World(d.Now(), model.Options{SiteLabels: model.SiteLabels}); w.Settled() {
			for i := range w.Sources {
				w.Sources[i].Latency = 0
			}
			for _, s := range w.Stores {
				s.Lists, s.Reads = 0, 0
			}
			return w.WithVerdicts(survive.Ask(w, tries)), nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("demo %s did not settle: %w", scenario, context.Cause(ctx))
		case <-set.Changed():
		}
	}
}
