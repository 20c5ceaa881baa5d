package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// again is how long a lost connection is waited for before the next try.
const again = 2 * time.Second

// Forward has ports of this machine's loopback lead to ports of a pod ("80",
// "8080:80", ":80" for any free one) until ctx ends or the pod is gone. A connection
// that is lost is made anew: links between houses are. say gets what happens.
func Forward(ctx context.Context, api API, cfg *rest.Config, t Target, ports []string, say func(string)) error {
	began := false
	for {
		f, err := newForwarder(ctx, cfg, t, ports)
		if err != nil {
			return err
		}
		err = f.run(func(now []portforward.ForwardedPort) {
			began, ports = true, nil // the same ones the next time
			for _, p := range now {
				ports = append(ports, fmt.Sprintf("%d:%d", p.Local, p.Remote))
				say(fmt.Sprintf("127.0.0.1:%d leads to port %d of %s/%s", p.Local, p.Remote, t.Namespace, t.Pod))
			}
		})
		switch {
		case err == nil || ctx.Err() != nil:
			return nil //nolint:nilerr // it was ended from outside
		case !began: // it never worked
			return fmt.Errorf("forward to %s/%s: %w", t.Namespace, t.Pod, errors.Join(f.errs(), err))
		}
		if _, gone := api.Request(ctx, http.MethodGet, podPath(t.Namespace, t.Pod), nil, "", nil); apierrors.IsNotFound(gone) {
			return fmt.Errorf("pod %s/%s is gone", t.Namespace, t.Pod)
		}
		say("the connection is lost; trying again")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(again):
		}
	}
}

// forwarder is one connection, as long as it lasts.
type forwarder struct {
	*portforward.PortForwarder
	ready chan struct{}
	said  *troubles
}

func newForwarder(ctx context.Context, cfg *rest.Config, t Target, ports []string) (*forwarder, error) {
	u, err := url.Parse(cfg.Host)
	if err != nil {
		return nil, err
	}
	u = u.JoinPath(podPath(t.Namespace, t.Pod), "portforward")
	trip, upgrader, err := spdy.RoundTripperFor(cfg)
	if err != nil {
		return nil, err
	}
	web, err := portforward.NewSPDYOverWebsocketDialerForStreaming(u, cfg)
	if err != nil {
		return nil, err
	}
	old := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: trip}, http.MethodPost, u)
	dialer := portforward.NewFallbackDialerForStreaming(web, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	f := &forwarder{ready: make(chan struct{}), said: &troubles{}}
	f.PortForwarder, err = portforward.NewOnAddressesForStreamingWithContext(ctx, dialer, []string{"127.0.0.1"}, ports, f.ready, io.Discard, f.said)
	return f, err
}

// run forwards until the connection is lost or ctx ends; told gets the ports once
// they are open.
func (f *forwarder) run(told func([]portforward.ForwardedPort)) error {
	done := make(chan error, 1)
	go func() { done <- f.ForwardPorts() }()
	select {
	case err := <-done:
		return err
	case <-f.ready:
	}
	if now, err := f.GetPorts(); err == nil {
		told(now)
	}
	return <-done
}

// errs is what the library wrote of what went wrong, nil for nothing.
func (f *forwarder) errs() error {
	f.said.mu.Lock()
	defer f.said.mu.Unlock()
	if words := strings.TrimSpace(f.said.b.String()); words != "" {
		return errors.New(words)
	}
	return nil
}

// troubles keeps the first of what is written to it.
type troubles struct {
	mu sync.Mutex
	b  strings.Builder
}

func (t *troubles) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.b.Len() < 1000 {
		t.b.Write(p)
	}
	return len(p), nil
}
