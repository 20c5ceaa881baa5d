package tailnet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/geotop/geotop/collectors"
	"github.com/geotop/geotop/model"
)

// Control is a control server that lists the machines of the tailnet, for when
// no daemon of this machine does. It tells nothing of paths, and what it says of
// who is online may be a quarter of an hour old.
type Control struct {
	Headscale string // URL of a Headscale; empty for Tailscale's own service
	Key       string // of its API; in memory only
	Transport http.RoundTripper
	Every     time.Duration // 1 min when 0
}

const (
	controlEvery   = time.Minute
	controlTimeout = 10 * time.Second
	tailscaleAPI   = "https://api.tailscale.com"
	headscalePath  = "/api/v1/node"
	devicesPath    = "/api/v2/tailnet/-/devices?fields=all"
)

// control polls a control server.
type control struct {
	cfg    Control
	client *http.Client
	now    func() time.Time

	mu     sync.Mutex
	source model.Source
	items  []*model.PeerFact
}

func newControl(cfg *Control, now func() time.Time) *control {
	if cfg == nil || cfg.Key == "" {
		return nil
	}
	every := cmp.Or(cfg.Every, controlEvery)
	return &control{
		cfg: *cfg, now: now, client: &http.Client{Transport: cfg.Transport, Timeout: controlTimeout},
		source: model.Source{Name: model.SourceControl, Status: model.SourcePending, Optional: true, Interval: every},
	}
}

// run asks until ctx ends.
func (c *control) run(ctx context.Context, changed func()) {
	for ctx.Err() == nil {
		items, err := c.list(ctx)
		if ctx.Err() != nil {
			return
		}
		c.note(items, err)
		changed()
		collectors.Pause(ctx, c.source.Interval)
	}
}

func (c *control) note(items []*model.PeerFact, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.source
	if err == nil {
		s.Status, s.Error, s.Hint, s.ObservedAt, s.Items = model.SourceOK, "", "", c.now(), len(items)
		c.items = items
		return
	}
	s.Status, s.Error, s.Hint = describeControl(err)
	if s.Status == model.SourceFailed {
		s.Status = unlessKnown(*s)
	}
}

// fill gives the facts what the daemon does not.
func (c *control) fill(f *model.TailnetFacts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.Control = c.source
	if f.Local.Status != model.SourceOK && c.source.Holds() {
		f.Peers.Items, f.Peers.Source = c.items, c.source
		f.Peers.Source.Name = model.SourcePeers
		f.Name = cmp.Or(f.Name, suffix(c.items))
	}
}

// suffix is what the machines' names have in common behind the first dot.
func suffix(items []*model.PeerFact) string {
	for _, p := range items {
		if _, rest, ok := strings.Cut(p.Name, "."); ok {
			return rest
		}
	}
	return ""
}

// list asks for all machines.
func (c *control) list(ctx context.Context) ([]*model.PeerFact, error) {
	var items []*model.PeerFact
	if c.cfg.Headscale != "" {
		var answer struct{ Nodes []headscaleNode }
		if err := c.get(ctx, strings.TrimRight(c.cfg.Headscale, "/")+headscalePath, &answer); err != nil {
			return nil, err
		}
		for i := range answer.Nodes {
			items = append(items, answer.Nodes[i].fact(c.now()))
		}
	} else {
		var answer struct{ Devices []device }
		if err := c.get(ctx, tailscaleAPI+devicesPath, &answer); err != nil {
			return nil, err
		}
		for i := range answer.Devices {
			if !answer.Devices[i].IsExternal {
				items = append(items, answer.Devices[i].fact(c.now()))
			}
		}
	}
	slices.SortFunc(items, func(a, b *model.PeerFact) int { return cmp.Compare(a.ID, b.ID) })
	return items, nil
}

func (c *control) get(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return errors.New("its address is no URL") // and may hold anything
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.Key)
	req.Header.Set("Accept", "application/json")
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &statusError{resp.StatusCode, http.StatusText(resp.StatusCode)}
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("its answer is no list of machines: %w", err)
	}
	return nil
}

// headscaleNode is what is used of a node in Headscale's REST API. It also holds
// the key the machine was registered with, which is not read.
type headscaleNode struct {
	ID, Name, GivenName           string
	IPAddresses                   []string
	Online                        bool
	LastSeen, Expiry, CreatedAt   *time.Time
	Tags, ForcedTags, ValidTags   []string // Tags from 0.28 on
	SubnetRoutes, AvailableRoutes []string
}

func (n *headscaleNode) fact(now time.Time) *model.PeerFact {
	p := &model.PeerFact{
		ID: model.Clean(n.ID, 60), Name: model.Clean(cmp.Or(n.GivenName, n.Name), 120), HostName: model.Clean(n.Name, 120), Addresses: cleaned(n.IPAddresses),
		Tags: cleaned(slices.Concat(n.Tags, n.ForcedTags, n.ValidTags)), Routes: cleaned(n.SubnetRoutes), Online: n.Online, Created: moment(n.CreatedAt), KeyExpiry: moment(n.Expiry),
	}
	if !n.Online {
		p.LastSeen = moment(n.LastSeen)
	}
	p.Expired = !p.KeyExpiry.IsZero() && p.KeyExpiry.Before(now)
	return p
}

// device is what is used of a device in Tailscale's API v2.
type device struct {
	NodeID, Name, Hostname, OS, ClientVersion string
	Addresses, Tags, EnabledRoutes            []string
	Created, Expires, LastSeen                *time.Time
	KeyExpiryDisabled, IsExternal             bool
	ConnectedToControl                        bool
	ClientConnectivity                        struct {
		Endpoints []string
		DERP      string
	}
}

func (d *device) fact(now time.Time) *model.PeerFact {
	p := &model.PeerFact{
		ID: model.Clean(d.NodeID, 60), Name: model.Clean(d.Name, 120), HostName: model.Clean(d.Hostname, 120), OS: model.Clean(d.OS, 20), Version: shortVersion(d.ClientVersion),
		Addresses: cleaned(d.Addresses), Tags: cleaned(d.Tags), Routes: cleaned(d.EnabledRoutes), Online: d.ConnectedToControl, Created: moment(d.Created),
		Endpoints: publicFirst(cleaned(d.ClientConnectivity.Endpoints)),
	}
	if !d.ConnectedToControl {
		p.LastSeen = moment(d.LastSeen)
	}
	if !d.KeyExpiryDisabled {
		p.KeyExpiry = moment(d.Expires)
	}
	p.Expired = !p.KeyExpiry.IsZero() && p.KeyExpiry.Before(now)
	if a := publicAddress(p); a != "" {
		p.Moves = []model.PublicAddress{{Address: a, Since: now}}
	}
	return p
}

// shortVersion is a version without its build's marks.
func shortVersion(v string) string {
	short, _, _ := strings.Cut(v, "-")
	return model.Clean(short, 20)
}

func moment(t *time.Time) time.Time {
	if t == nil || t.Year() < 1971 { // both servers write "never" in several ways
		return time.Time{}
	}
	return t.UTC()
}

func cleaned(texts []string) []string {
	list := []string{}
	for _, t := range texts {
		list = append(list, model.Clean(t, 120))
	}
	return list
}

// describeControl puts an error of a control server into words and a status.
func describeControl(err error) (status model.SourceStatus, text, hint string) {
	var answer *statusError
	var dns *net.DNSError
	switch {
	case errors.As(err, &answer) && (answer.code == http.StatusUnauthorized || answer.code == http.StatusForbidden):
		return model.SourceForbidden, "the control server refuses our API key", "keys run out: make a new one"
	case errors.As(err, &answer) && answer.code == http.StatusInternalServerError:
		return model.SourceFailed, "the control server answers " + answer.Error(), "Headscale does so for a wrong API key, too"
	case errors.As(err, &answer):
		return model.SourceFailed, "the control server answers " + answer.Error(), ""
	case errors.Is(err, syscall.ECONNREFUSED):
		return model.SourceFailed, "the control server refuses connections", "does it run?"
	case errors.As(err, &dns):
		return model.SourceFailed, "cannot look up the control server " + model.Clean(dns.Name, 80), ""
	case errors.Is(err, context.DeadlineExceeded):
		return model.SourceFailed, "the control server does not answer", ""
	default:
		return describe(err)
	}
}
