package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tailscale.com/client/local"
	"tailscale.com/derp/derpserver"
	"tailscale.com/envknob"
	"tailscale.com/ipn/store/mem"
	"tailscale.com/net/netmon"
	"tailscale.com/net/netns"
	"tailscale.com/tailcfg"
	"tailscale.com/tsnet"
	"tailscale.com/tstest/integration/testcontrol"
	"tailscale.com/types/key"
)

// tailnet is all of it.
type tailnet struct {
	plan    Plan
	wan     *wan
	control *testcontrol.Server
	houses  map[string]*house
	inHouse map[string]*house // by node

	mu    sync.Mutex
	nodes []*node
}

// node is one machine's tailscaled.
type node struct {
	name   string
	house  *house
	srv    *tsnet.Server
	client *local.Client
	ip     string
	socket string
	api    *http.Server // LocalAPI on the socket; nil while the machine is off
}

// region is the one relay's; code and name are what people see.
const region = 1

func quiet(string, ...any) {}

func build(ctx context.Context, p Plan) (*tailnet, error) {
	envknob.SetNoLogsNoSupport()
	// Peers may know each other's public addresses only: everything is on loopback.
	envknob.Setenv("TS_DEBUG_OMIT_LOCAL_ADDRS", "true")
	netns.SetEnabled(false)
	pretendInterface()
	w, err := newWAN(time.Duration(p.RelayMS) * time.Millisecond)
	if err != nil {
		return nil, err
	}
	t := &tailnet{plan: p, wan: w, houses: map[string]*house{}, inHouse: map[string]*house{}}
	relay := startRelay()
	t.control = &testcontrol.Server{
		AllOnline: true, AllNodesSameUser: true, MagicDNSDomain: "lab.ts.net", Logf: quiet,
		DNSConfig: &tailcfg.DNSConfig{Proxied: true}, ModifyFirstMapResponse: t.ownRelay,
	}
	t.control.HTTPTestServer = httptest.NewUnstartedServer(t.control)
	t.control.HTTPTestServer.Start()
	for i, hp := range p.Houses {
		h := w.addHouse(i, hp.Name, time.Duration(hp.LatencyMS)*time.Millisecond)
		t.houses[hp.Name] = h
		for _, target := range []net.Addr{t.control.HTTPTestServer.Listener.Addr(), relay} {
			g, err := newGate(target.String(), h.latency+w.relay)
			if err != nil {
				return nil, err
			}
			h.gates = append(h.gates, g)
		}
		for _, name := range hp.Nodes {
			t.inHouse[name] = h
		}
	}
	return t, t.startNodes(ctx)
}

// startNodes registers the nodes one after another, which fixes their addresses.
func (t *tailnet) startNodes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for _, hp := range t.plan.Houses {
		for i, name := range hp.Nodes {
			if err := t.startNode(ctx, t.houses[hp.Name], i, name); err != nil {
				return fmt.Errorf("node %s: %w", name, err)
			}
		}
	}
	return nil
}

func (t *tailnet) startNode(ctx context.Context, h *house, index int, name string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	if err := h.addMachine(index, port); err != nil {
		return err
	}
	n := &node{name: name, house: h, socket: filepath.Join(t.plan.Dir, "tailscaled-"+name+".sock")}
	n.srv = &tsnet.Server{
		Dir: filepath.Join(t.plan.Dir, "tailscaled-"+name), Store: new(mem.Store), Ephemeral: true, Hostname: name, Port: port,
		ControlURL: fmt.Sprintf("http://127.0.0.1:%d", h.gates[0].port()), Logf: quiet, UserLogf: quiet,
	}
	st, err := n.srv.Up(ctx)
	if err != nil {
		return err
	}
	if n.client, err = n.srv.LocalClient(); err != nil {
		return err
	}
	n.ip = st.TailscaleIPs[0].String()
	t.mu.Lock()
	t.nodes = append(t.nodes, n)
	t.mu.Unlock()
	return n.serve()
}

// freePort finds a UDP port on loopback.
func freePort() (uint16, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return uint16(c.LocalAddr().(*net.UDPAddr).Port), nil
}

// serve offers the node's LocalAPI on its socket, to everybody on the machine
// as tailscaled does.
func (n *node) serve() error {
	_ = os.Remove(n.socket)
	l, err := net.Listen("unix", n.socket)
	if err != nil {
		return err
	}
	n.api = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: &httputil.ReverseProxy{
		Director: func(r *http.Request) {
			r.URL.Scheme, r.URL.Host, r.Host = "http", "local-tailscaled.sock", "local-tailscaled.sock"
		},
		Transport:     localAPI{n.client},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}}
	go func() { _ = n.api.Serve(l) }()
	return nil
}

// localAPI is a RoundTripper to a node in this process.
type localAPI struct{ client *local.Client }

func (l localAPI) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.RequestURI = "" // a client's request has none
	return l.client.DoLocalRequest(r)
}

// power switches the LocalAPI of the house's machines: a machine that is off
// answers nobody. Its tailscaled lives on behind a dead uplink meanwhile, which
// nobody can tell from outside.
func (t *tailnet) power(h *house, on bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.nodes {
		switch {
		case n.house != h:
		case !on && n.api != nil:
			n.api.Close()
			n.api = nil
		case on && n.api == nil:
			if err := n.serve(); err != nil {
				return err
			}
		}
	}
	return nil
}

// expire sets when the node's key runs out.
func (t *tailnet) expire(name string, in time.Duration) error {
	for _, n := range t.control.AllNodes() {
		if n.Hostinfo.Valid() && n.Hostinfo.Hostname() == name {
			n.KeyExpiry = time.Now().Add(in).UTC()
			t.control.UpdateNode(n)
			return nil
		}
	}
	return fmt.Errorf("no node %q", name)
}

// ownRelay gives each house its own way to the relay. The server's own DERP map
// stays empty, which in later answers means "as before".
func (t *tailnet) ownRelay(res *tailcfg.MapResponse, req *tailcfg.MapRequest) {
	if req.Hostinfo == nil || t.inHouse[req.Hostinfo.Hostname] == nil {
		return
	}
	res.DERPMap = &tailcfg.DERPMap{Regions: map[int]*tailcfg.DERPRegion{region: {
		RegionID: region, RegionCode: "mru", RegionName: "Mauritius", Nodes: []*tailcfg.DERPNode{{
			Name: "1a", RegionID: region, HostName: "127.0.0.1", IPv4: "127.0.0.1", IPv6: "none", InsecureForTests: true,
			STUNPort: t.wan.stun.LocalAddr().(*net.UDPAddr).Port, STUNTestIP: "127.0.0.1",
			DERPPort: t.inHouse[req.Hostinfo.Hostname].gates[1].port(),
		}},
	}}}
}

func startRelay() net.Addr {
	srv := httptest.NewUnstartedServer(derpserver.Handler(derpserver.New(key.NewNode(), quiet)))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){} // DERP needs HTTP/1.1
	srv.StartTLS()
	return srv.Listener.Addr()
}

// pretendInterface makes up a network interface where there is only loopback:
// without any, tailscaled stays paused for ever.
func pretendInterface() {
	real, err := netmon.GetInterfaceList()
	if err == nil {
		for _, i := range real {
			if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 {
				return
			}
		}
	}
	netmon.RegisterInterfaceGetter(func() ([]netmon.Interface, error) {
		return append(real, netmon.Interface{
			Interface: &net.Interface{Index: 9, MTU: 1500, Name: "eth0", Flags: net.FlagUp | net.FlagBroadcast},
			AltAddrs:  []net.Addr{&net.IPNet{IP: net.IPv4(192, 0, 2, 1), Mask: net.CIDRMask(24, 32)}},
		}), nil
	})
}

// Status is what the lab asks for.
type Status struct {
	Nodes []NodeStatus `json:"nodes"`
}

// NodeStatus is one machine.
type NodeStatus struct {
	Name, House, IP, Socket, Public string
	Up                              bool
}

func (t *tailnet) status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Status{}
	for _, n := range t.nodes {
		s.Nodes = append(s.Nodes, NodeStatus{n.name, n.house.name, n.ip, n.socket, n.house.public(), n.api != nil})
	}
	return s
}
