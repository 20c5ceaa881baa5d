package kube

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

// server is one way to the cluster's API.
type server struct {
	url     string // as in a kubeconfig
	address string // host:port
	config  *rest.Config
	client  *rest.RESTClient
	http    *http.Client
}

// connect prepares the way to a server, through client or, when that is nil, one
// of its own.
func connect(rc *rest.Config, client *http.Client) (*server, error) {
	var err error
	if client == nil {
		if client, err = rest.HTTPClientFor(rc); err != nil {
			return nil, fmt.Errorf("credentials: %w", err)
		}
	}
	s := &server{url: rc.Host, config: rc, http: client}
	if s.client, err = rest.UnversionedRESTClientForConfigAndClient(rc, client); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if u, err := url.Parse(rc.Host); err == nil {
		s.address = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443"))
	}
	return s, nil
}

const (
	otherTimeout = 4 * time.Second // for another server to answer
	apiPort      = "6443"          // where API servers listen that do not say so
	// certificateName is in the certificate of every API server, whatever address
	// it is reached at.
	certificateName = "kubernetes"
)

// verifiable reports whether another server could prove to be of this cluster:
// without the cluster's own CA anybody could.
func (a *api) verifiable() bool {
	tls := a.rest.TLSClientConfig
	return a.rest.Transport == nil && !tls.Insecure && (len(tls.CAData) > 0 || tls.CAFile != "") && strings.HasPrefix(a.rest.Host, "https://")
}

// others lists where else the cluster's API may be, each once.
func (a *api) others() []string {
	if !a.verifiable() || a.elsewhere == nil {
		return nil
	}
	using := a.server().address
	list := []string{}
	for _, address := range append(a.elsewhere(), a.primary.address) {
		if _, _, err := net.SplitHostPort(address); err != nil {
			address = net.JoinHostPort(strings.Trim(address, "[]"), apiPort)
		}
		if address != using && !slices.Contains(list, address) {
			list = append(list, address)
		}
	}
	return list
}

// failOver goes over to another API server of the cluster that answers now, and
// reports whether there is one. Its certificate must be signed by the cluster's CA.
func (a *api) failOver(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, otherTimeout)
	defer cancel()
	list := a.others()
	answered := make(chan *server, len(list))
	for _, address := range list {
		go func() {
			s, err := a.other(address)
			if err == nil {
				err = ready(ctx, s)
			}
			if err != nil {
				s = nil
			}
			answered <- s
		}()
	}
	var found *server
	for range list {
		if s := <-answered; s != nil && found == nil {
			found = s
			cancel() // ends the others, which are waited for
		}
	}
	if found == nil {
		return false
	}
	a.mu.Lock()
	a.current = found
	a.mu.Unlock()
	a.abandon()
	return true
}

// other gives the way to the API server at an address, made when first needed.
func (a *api) other(address string) (*server, error) {
	if address == a.primary.address {
		return a.primary, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.made[address]; s != nil {
		return s, nil
	}
	rc := rest.CopyConfig(a.rest)
	rc.Host = "https://" + address
	rc.ServerName = cmp.Or(rc.ServerName, certificateName)
	// One client for them all: client-go keeps goroutines for each as long as the
	// process lives, and all are checked against the same name.
	s, err := connect(rc, a.otherHTTP)
	if err == nil {
		a.made[address], a.otherHTTP = s, s.http
	}
	return s, err
}

// ready asks /readyz. Any answer but a 5xx or a refusal of our credentials means
// that the server works; not everyone may read /readyz.
func ready(ctx context.Context, s *server) error {
	err := s.client.Get().AbsPath("/readyz").MaxRetries(0).Do(ctx).Error()
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
