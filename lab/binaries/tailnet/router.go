package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"tailscale.com/net/stun"
)

// wan is the network between the houses: it knows which machine sends from
// which port, and whose router has which public address.
type wan struct {
	mu      sync.Mutex
	machine map[netip.AddrPort]*house // by a machine's socket on loopback
	blocked map[[2]string]bool        // pairs of houses without a direct way
	houses  map[string]*house
	stun    *net.UDPConn
	relay   time.Duration
}

// house is one router: machines behind it share its uplink and latency. Each
// machine has a public address of its own on it, all in one network that moves
// when the address changes, as ports behind one public address do.
type house struct {
	wan   *wan
	name  string
	index int
	gates []*gate // the ways to the control server and to the relay

	// guarded by wan.mu
	latency  time.Duration
	up       bool
	turn     int // how often the public address has changed
	machines []*machine
}

// machine is one node's UDP socket and its public side.
type machine struct {
	house   *house
	index   int
	private netip.AddrPort
	public  *net.UDPConn
}

func newWAN(relay time.Duration) (*wan, error) {
	w := &wan{machine: map[netip.AddrPort]*house{}, blocked: map[[2]string]bool{}, houses: map[string]*house{}, relay: relay}
	var err error
	if w.stun, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		return nil, err
	}
	go w.answerSTUN()
	return w, nil
}

func (w *wan) addHouse(index int, name string, latency time.Duration) *house {
	h := &house{wan: w, name: name, index: index, latency: latency, up: true}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.houses[name] = h
	return h
}

// addMachine gives a machine that sends from the port on loopback a public address.
func (h *house) addMachine(index int, port uint16) error {
	m := &machine{house: h, index: index, private: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)}
	h.wan.mu.Lock()
	h.wan.machine[m.private] = h
	h.machines = append(h.machines, m)
	h.wan.mu.Unlock()
	return m.open(0)
}

// open takes the public address of the given turn and forwards from it.
func (m *machine) open(turn int) error {
	ip := netip.AddrFrom4([4]byte{127, byte(100 + m.house.index), byte(turn), byte(m.index + 1)})
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
	if err != nil {
		return err
	}
	m.house.wan.mu.Lock()
	old := m.public
	m.public = c
	m.house.wan.mu.Unlock()
	if old != nil {
		old.Close()
	}
	go m.forward(c)
	return nil
}

// forward passes packets that arrive at the public socket c on to the machine,
// out of the sender's own public socket, after both houses' latency.
func (m *machine) forward(c *net.UDPConn) {
	w := m.house.wan
	buf := make([]byte, 1<<16)
	for {
		n, src, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		src = netip.AddrPortFrom(src.Addr().Unmap(), src.Port())
		w.mu.Lock()
		from := w.find(src)
		pass := from != nil && from.house.up && m.house.up && !w.blocked[pair(from.house.name, m.house.name)]
		var out *net.UDPConn
		var delay time.Duration
		if pass {
			out, delay = from.public, from.house.latency+m.house.latency
			if from.house == m.house {
				delay = time.Millisecond // they are on one LAN
			}
		}
		w.mu.Unlock()
		if !pass {
			continue
		}
		packet := append([]byte(nil), buf[:n]...)
		time.AfterFunc(delay, func() { _, _ = out.WriteToUDPAddrPort(packet, m.private) })
	}
}

// find gives the machine that sends from the address. The caller holds mu.
func (w *wan) find(private netip.AddrPort) *machine {
	h := w.machine[private]
	if h == nil {
		return nil
	}
	for _, m := range h.machines {
		if m.private == private {
			return m
		}
	}
	return nil
}

// answerSTUN tells machines their public address.
func (w *wan) answerSTUN() {
	buf := make([]byte, 2048)
	for {
		n, src, err := w.stun.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		tx, err := stun.ParseBindingRequest(buf[:n])
		if err != nil {
			continue
		}
		src = netip.AddrPortFrom(src.Addr().Unmap(), src.Port())
		w.mu.Lock()
		m := w.find(src)
		answer := m != nil && m.house.up && m.public != nil
		var public netip.AddrPort
		var delay time.Duration
		if answer {
			public = m.public.LocalAddr().(*net.UDPAddr).AddrPort()
			delay = 2 * (m.house.latency + w.relay)
		}
		w.mu.Unlock()
		if !answer {
			continue
		}
		packet := stun.Response(tx, netip.AddrPortFrom(public.Addr().Unmap(), public.Port()))
		time.AfterFunc(delay, func() { _, _ = w.stun.WriteToUDPAddrPort(packet, src) })
	}
}

func pair(a, b string) [2]string {
	if a > b {
		a, b = b, a
	}
	return [2]string{a, b}
}

// block takes away, or gives back, the direct way between two houses.
func (w *wan) block(a, b string, on bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.houses[a] == nil || w.houses[b] == nil || a == b {
		return fmt.Errorf("no two houses %q and %q", a, b)
	}
	w.blocked[pair(a, b)] = on
	return nil
}

func (h *house) setUplink(on bool) {
	h.wan.mu.Lock()
	h.up = on
	h.wan.mu.Unlock()
	for _, g := range h.gates {
		g.setOpen(on)
	}
}

func (h *house) setLatency(d time.Duration) {
	h.wan.mu.Lock()
	h.latency = d
	h.wan.mu.Unlock()
	for _, g := range h.gates {
		g.setDelay(d + h.wan.relay)
	}
}

// move gives the house a new public address, as its provider does every night.
func (h *house) move() error {
	h.wan.mu.Lock()
	h.turn++
	turn, machines := h.turn, h.machines
	h.wan.mu.Unlock()
	if turn > 250 {
		return errors.New("the house has had all its addresses")
	}
	for _, m := range machines {
		if err := m.open(turn); err != nil {
			return err
		}
	}
	return nil
}

// public gives the house's network, "127.101.0".
func (h *house) public() string {
	h.wan.mu.Lock()
	defer h.wan.mu.Unlock()
	return fmt.Sprintf("127.%d.%d", 100+h.index, h.turn)
}
