package kube_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/geotop/geotop/collectors/kube"
	"github.com/geotop/geotop/demo"
	"github.com/geotop/geotop/model"
)

// collect runs a collector on a demo until the test ends; wrap may stand
// between the two.
func collect(t *testing.T, scenario string, wrap func(http.RoundTripper) http.RoundTripper) (*kube.Collector, <-chan struct{}) {
	t.Helper()
	d, err := demo.New(scenario, 1)
	if err != nil {
		t.Fatal(err)
	}
	cfg := d.RestConfig()
	if wrap != nil {
		cfg = &rest.Config{Host: cfg.Host, Transport: wrap(cfg.Transport)}
	}
	c, err := kube.New(kube.Config{Name: "demo", Rest: cfg, Now: d.Now})
	if err != nil {
		t.Fatal(err)
	}
	changed := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		c.Run(ctx, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return c, changed
}

func facts(c *kube.Collector) model.ClusterFacts {
	var f model.Facts
	c.Facts(&f)
	return f.Clusters[0]
}

// noWatch refuses watches, as an API server does whose role lacks the verb.
type noWatch struct{ next http.RoundTripper }

func (n noWatch) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Query().Get("watch") == "" {
		return n.next.RoundTrip(r)
	}
	return &http.Response{
		StatusCode: http.StatusForbidden, Status: "403 Forbidden", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: http.NoBody, Request: r,
	}, nil
}

// An account that may list and not watch sees all the same, list by list.
func TestListingIsEnough(t *testing.T) {
	c, changed := collect(t, "healthy", func(next http.RoundTripper) http.RoundTripper { return noWatch{next} })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		f := facts(c)
		if s := f.Nodes.Source; s.Status == model.SourceOK && s.Interval > 0 && len(f.Nodes.Items) == 9 && f.Pods.Source.Status == model.SourceOK {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatalf("nodes: %+v", f.Nodes.Source)
		case <-changed:
		case <-time.After(50 * time.Millisecond):
		}
	}
	if s := facts(c).Nodes.Source; strings.Contains(s.Error, "not allowed") {
		t.Errorf("%+v", s)
	}
}
