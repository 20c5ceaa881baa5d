package tailnet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/geotop/geotop/model"
)

// Sockets are where tailscaled listens on the systems that have one socket,
// in the order to try.
var Sockets = []string{
	"/var/run/tailscale/tailscaled.sock", "/var/run/tailscaled.socket",
	"/var/packages/Tailscale/var/tailscaled.sock", "/perm/tailscaled/tailscaled.sock",
}

// host is the name the daemon insists on.
const host = "local-tailscaled.sock"

// callTimeout bounds one question to the daemon, which answers in milliseconds.
const callTimeout = 3 * time.Second

// maxAnswer bounds an answer; a status of a thousand peers is 2 MB.
const maxAnswer = 64 << 20

// Unix reaches the daemon that listens on the first of the sockets that is
// there. It dials anew for every connection and never waits for a daemon that
// is not running.
func Unix(sockets ...string) http.RoundTripper {
	return &http.Transport{
		DisableCompression: true, MaxIdleConns: 4, IdleConnTimeout: time.Minute,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			var first error
			for _, s := range sockets {
				c, err := d.DialContext(ctx, "unix", s)
				if err == nil {
					return c, nil
				}
				if first == nil || errors.Is(first, fs.ErrNotExist) {
					first = err
				}
			}
			if first == nil {
				first = fs.ErrNotExist
			}
			return nil, first
		},
	}
}

// localAPI asks one tailscaled.
type localAPI struct{ client *http.Client }

func (l localAPI) open(ctx context.Context, method, path string, q url.Values) (*http.Response, error) {
	u := "http://" + host + "/localapi/v0/" + path
	if len(q) > 0 {
		u += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, nil)
	if err != nil {
		return nil, err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
		return nil, &statusError{resp.StatusCode, strings.TrimSpace(string(text))}
	}
	return resp, nil
}

// ask gets one answer as JSON.
func (l localAPI) ask(ctx context.Context, method, path string, q url.Values, into any) error {
	resp, err := l.open(ctx, method, path, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// statusError is an HTTP answer that is not 200.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return strconv.Itoa(e.code) + " " + e.text }

// describe puts an error of the daemon into words and a status.
func describe(err error) (status model.SourceStatus, text, hint string) {
	var refused *statusError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return model.SourceAbsent, "no tailscaled on this machine", "run geotop on a machine of the tailnet, or name the socket with --tailscale-socket"
	case errors.Is(err, fs.ErrPermission):
		return model.SourceForbidden, "not allowed to open tailscaled's socket", "the socket's folder must be readable"
	case errors.As(err, &refused) && refused.code == http.StatusForbidden:
		return model.SourceForbidden, "tailscaled refuses: " + model.Clean(refused.text, 200), ""
	case errors.Is(err, syscall.ECONNREFUSED):
		return model.SourceFailed, "tailscaled does not run", "start it: systemctl start tailscaled"
	case errors.Is(err, context.DeadlineExceeded):
		return model.SourceFailed, "tailscaled does not answer", "is it stopped or overloaded?"
	default:
		var uerr *url.Error
		if errors.As(err, &uerr) {
			err = uerr.Err
		}
		return model.SourceFailed, model.Clean(err.Error(), 300), ""
	}
}

// status is what we use of ipnstate.Status, whose JSON names are its Go names.
type status struct {
	Version        string
	BackendState   string
	AuthURL        string
	Self           *peer
	Health         []string
	CurrentTailnet *struct{ Name, MagicDNSSuffix string }
	Peer           map[string]*peer
}

// peer is what we use of ipnstate.PeerStatus.
type peer struct {
	ID            string
	HostName      string
	DNSName       string
	OS            string
	TailscaleIPs  []string
	PrimaryRoutes []string
	Tags          []string
	Addrs         []string // of Self only
	CurAddr       string
	Relay         string
	PeerRelay     string
	RxBytes       int64
	TxBytes       int64
	Created       time.Time
	LastSeen      time.Time
	LastHandshake time.Time
	Online        bool
	Active        bool
	KeyExpiry     *time.Time
	Expired       bool
	ShareeNode    bool
}

// netNode is what we use of tailcfg.Node, inside a whois answer.
type netNode struct {
	Node struct {
		Endpoints []string
		Hostinfo  struct{ IPNVersion string }
	}
}

// pong is ipnstate.PingResult.
type pong struct {
	Err            string
	LatencySeconds float64
	Endpoint       string
	PeerRelay      string
	DERPRegionCode string
	IsLocalIP      bool
}

// running says why the daemon is of no use as it is, "" when it is.
func (s *status) running() (text, hint string) {
	switch s.BackendState {
	case "Running":
		return "", ""
	case "NeedsLogin", "NeedsMachineAuth":
		return "this machine is not logged in to the tailnet", "tailscale up"
	case "Stopped":
		return "tailscale is switched off here", "tailscale up"
	case "InUseOtherUser":
		return "tailscaled is in use by another user", ""
	default:
		return "tailscaled is " + strings.ToLower(model.Clean(s.BackendState, 40)), ""
	}
}

// fact converts one peer.
func (p *peer) fact(tailnet string, self bool) *model.PeerFact {
	f := &model.PeerFact{
		Tailnet: tailnet, ID: p.ID, Name: strings.TrimSuffix(p.DNSName, "."), HostName: p.HostName, OS: p.OS, Self: self,
		Addresses: p.TailscaleIPs, Routes: p.PrimaryRoutes, Tags: p.Tags, Online: p.Online, LastSeen: p.LastSeen.UTC(), Active: p.Active,
		Endpoint: p.CurAddr, Relay: p.Relay, PeerRelay: p.PeerRelay, RxBytes: p.RxBytes, TxBytes: p.TxBytes,
		Handshake: p.LastHandshake.UTC(), Expired: p.Expired, Created: p.Created.UTC(),
	}
	if f.Name == "" {
		f.Name = p.HostName
	}
	if p.KeyExpiry != nil {
		f.KeyExpiry = p.KeyExpiry.UTC()
	}
	if self {
		f.Endpoints = p.Addrs
	}
	if f.Addresses == nil {
		f.Addresses = []string{}
	}
	return f
}

// ours reports whether the machine is one of the tailnet's own: not one shared
// in from another, and not a commercial exit node.
func (p *peer) ours() bool {
	return p.ID != "" && !p.ShareeNode && !strings.HasSuffix(strings.TrimSuffix(p.DNSName, "."), ".mullvad.ts.net")
}
