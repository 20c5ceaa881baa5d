package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// tailnetUpTo is up to how many machines a rig has a tailnet by itself: each
// costs some 7 MB and half a second.
const tailnetUpTo = 30

// relayLatency is from any house's uplink to the DERP relay, one way.
const relayLatency = 20 * time.Millisecond

// houseLatency is one way from a house to the middle of the network.
func houseLatency(i int) time.Duration { return time.Duration(5+7*i) * time.Millisecond }

// startTailnet joins all machines to a real tailnet, each house behind a router
// of its own.
func (r *Rig) startTailnet(ctx context.Context) error {
	if r.cfg.NoTailnet {
		return nil
	}
	type house struct {
		Name      string   `json:"name"`
		LatencyMS int64    `json:"latencyMS"`
		Nodes     []string `json:"nodes"`
	}
	plan := struct {
		Dir     string  `json:"dir"`
		Control string  `json:"control"`
		RelayMS int64   `json:"relayMS"`
		Houses  []house `json:"houses"`
	}{r.Dir, r.file("tailnet.sock"), relayLatency.Milliseconds(), nil}
	for i, h := range r.houses {
		plan.Houses = append(plan.Houses, house{h.name, houseLatency(i).Milliseconds(), h.nodes})
	}
	text, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	c, err := r.launch("tailnet", "", r.bin["labtailnet"], "--plan", string(text))
	if err != nil {
		return err
	}
	return c.await(ctx, time.Minute, func(ctx context.Context) error {
		nodes, err := r.Tailnet(ctx)
		if err != nil {
			return err
		}
		// k3s was told these addresses: they have to be those the nodes carry.
		at := map[string]string{}
		for _, n := range nodes {
			at[n.Name] = n.IP
		}
		i := 0
		for _, h := range r.houses {
			for _, n := range h.nodes {
				if at[n] != nodeAddress(i) {
					return fmt.Errorf("%s is %q on the tailnet, not %s", n, at[n], nodeAddress(i))
				}
				i++
			}
		}
		return nil
	})
}

// TailnetNode is one machine on the tailnet.
type TailnetNode struct {
	Name   string
	House  string
	IP     string
	Socket string // of its tailscaled
	Public string // its house's public network now
	Up     bool
}

// Tailnet lists the machines on the tailnet.
func (r *Rig) Tailnet(ctx context.Context) ([]TailnetNode, error) {
	body, err := r.askTailnet(ctx, http.MethodGet, "status", nil)
	if err != nil {
		return nil, err
	}
	var s struct{ Nodes []TailnetNode }
	return s.Nodes, json.Unmarshal(body, &s)
}

// TailscaleSocket is where the tailscaled of a machine listens.
func (r *Rig) TailscaleSocket(node string) string { return r.file("tailscaled-" + node + ".sock") }

// CutUplink takes the house's uplink away and leaves its machines running.
func (r *Rig) CutUplink(ctx context.Context, house string, cut bool) error {
	return r.steer(ctx, "uplink", url.Values{"house": {house}, "on": {strconv.FormatBool(!cut)}})
}

// Relay takes the direct way between two houses away, so that their traffic is
// relayed, or gives it back.
func (r *Rig) Relay(ctx context.Context, a, b string, on bool) error {
	return r.steer(ctx, "relay", url.Values{"a": {a}, "b": {b}, "on": {strconv.FormatBool(on)}})
}

// CycleAddress gives the house a new public address.
func (r *Rig) CycleAddress(ctx context.Context, house string) error {
	return r.steer(ctx, "cycle", url.Values{"house": {house}})
}

// SetLatency sets the house's latency, one way.
func (r *Rig) SetLatency(ctx context.Context, house string, d time.Duration) error {
	return r.steer(ctx, "latency", url.Values{"house": {house}, "ms": {strconv.FormatInt(d.Milliseconds(), 10)}})
}

// ExpireKey has the node's tailnet key run out in d.
func (r *Rig) ExpireKey(ctx context.Context, node string, d time.Duration) error {
	return r.steer(ctx, "expire", url.Values{"node": {node}, "seconds": {strconv.Itoa(int(d.Seconds()))}})
}

// powerTailnet switches the house's machines on the tailnet, where there is one.
func (r *Rig) powerTailnet(ctx context.Context, house string, on bool) error {
	if r.cfg.NoTailnet {
		return nil
	}
	return r.steer(ctx, "power", url.Values{"house": {house}, "on": {strconv.FormatBool(on)}})
}

func (r *Rig) steer(ctx context.Context, verb string, q url.Values) error {
	_, err := r.askTailnet(ctx, http.MethodPost, verb, q)
	return err
}

func (r *Rig) askTailnet(ctx context.Context, method, verb string, q url.Values) ([]byte, error) {
	if r.cfg.NoTailnet {
		return nil, fmt.Errorf("this rig has no tailnet")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", r.file("tailnet.sock"))
	}}}
	req, err := http.NewRequestWithContext(ctx, method, "http://tailnet/"+verb+"?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("tailnet: %s", strings.TrimSpace(string(body)))
	}
	return body, nil
}
