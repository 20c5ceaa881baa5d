package demo

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"
)

// PingAgain is how soon a ping may be repeated in a demo, whose answers take no time.
const PingAgain = 10 * time.Millisecond

const tailnetName = "demo.ts.net"

// vantage is the machine geotop runs on in a demo: one that no scenario cuts off.
const vantage = "flacq-1"

// viaRelay is how much longer a packet and its answer take over the relay.
const viaRelay = 130 * time.Millisecond

// relayCode names the one DERP region.
const relayCode = "jnb"

// uplink is a house's way to the Internet.
type uplink struct {
	oneWay time.Duration // to the middle of the network
	moves  int           // how often its public address has changed
	at     int           // its place among the houses
}

// LocalAPI reaches the simulated tailscaled of the machine geotop runs on. It
// goes on when the Kubernetes API is gone.
func (d *Demo) LocalAPI() http.RoundTripper {
	return &transport{handler: &localAPI{d}, gone: make(chan struct{})}
}

// localAPI answers as tailscaled does.
type localAPI struct{ demo *Demo }

func (l *localAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := l.demo.sim
	now := l.demo.Now()
	verb := strings.TrimPrefix(r.URL.Path, "/localapi/v0/")
	if verb == "watch-ipn-bus" {
		writeJSON(w, map[string]any{"Version": tailscaleVersion})
		w.(http.Flusher).Flush()
		<-r.Context().Done() // what changes is seen at the next look
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch verb {
	case "status":
		writeJSON(w, s.tailStatus(now))
	case "ping":
		writeJSON(w, s.tailPing(r.FormValue("ip"), now))
	case "whois":
		if m := s.byAddress(r.FormValue("addr")); m != nil {
			writeJSON(w, map[string]any{"Node": map[string]any{"Endpoints": []string{s.endpoint(m)}, "Hostinfo": map[string]any{"IPNVersion": tailscaleVersion}}})
			return
		}
		http.Error(w, "no match for IP:port", http.StatusNotFound)
	default:
		http.NotFound(w, r)
	}
}

const tailscaleVersion = "1.102.5"

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// uplinkOf gives a house's uplink, made when first asked for.
func (s *sim) uplinkOf(site string) *uplink {
	if s.uplinks[site] == nil {
		n := len(s.uplinks)
		s.uplinks[site] = &uplink{oneWay: time.Duration(4+s.chance(9, "uplink", site)) * time.Millisecond, at: n}
	}
	return s.uplinks[site]
}

// publicIP is the house's address now, from the networks set aside for documentation.
func (s *sim) publicIP(site string) string {
	u := s.uplinkOf(site)
	nets := []string{"203.0.113", "198.51.100", "192.0.2"}
	return fmt.Sprintf("%s.%d", nets[u.at%len(nets)], 10+(u.at*7+u.moves*13)%240)
}

func (s *sim) endpoint(m *machine) string {
	return fmt.Sprintf("%s:%d", s.publicIP(m.site), 41641+m.index)
}

func (s *sim) byAddress(ip string) *machine {
	for _, m := range s.machines {
		if m.address() == ip {
			return m
		}
	}
	return nil
}

// cutOff reports whether two houses cannot talk at all.
func (s *sim) cutOff(a, b string) bool { return s.split[houses(a, b)] }

func houses(a, b string) [2]string {
	if a > b {
		a, b = b, a
	}
	return [2]string{a, b}
}

// tailPeer is one machine as a status shows it. The cluster's own traffic keeps
// every path in use.
func (s *sim) tailPeer(m *machine, now time.Time) map[string]any {
	p := map[string]any{
		"ID": fmt.Sprintf("n%04dDEMO", m.index+1), "HostName": m.name, "DNSName": m.name + "." + tailnetName + ".", "OS": "linux",
		"TailscaleIPs": []string{m.address()}, "Relay": relayCode, "Online": s.online(m, now), "Created": m.born,
		"Active": true, "CurAddr": "", "RxBytes": 0, "TxBytes": 0,
	}
	if !m.keyExpiry.IsZero() {
		p["KeyExpiry"], p["Expired"] = m.keyExpiry, m.keyExpiry.Before(now)
	}
	if !s.online(m, now) {
		p["LastSeen"] = m.offAt.Add(controlSlow)
	}
	if m == s.vantage() {
		p["Addrs"], p["Active"] = []string{s.endpoint(m)}, false
		return p
	}
	from := s.vantage()
	up := now.Sub(m.born).Seconds()
	rate := float64(2000 + s.chance(90000, "traffic", m.name))
	p["RxBytes"], p["TxBytes"] = int64(math.Mod(up*rate, 1e12)), int64(math.Mod(up*rate/3, 1e12))
	if m.alive && !s.cutOff(from.site, m.site) && !s.relayed[houses(from.site, m.site)] {
		p["CurAddr"] = s.endpoint(m)
	}
	return p
}

// controlSlow is how long the control server believes in a machine whose line
// went dead.
const controlSlow = 15 * time.Minute

// online is the control server's opinion.
func (s *sim) online(m *machine, now time.Time) bool {
	return m.alive || now.Sub(m.offAt) < controlSlow
}

func (s *sim) tailStatus(now time.Time) map[string]any {
	st := map[string]any{
		"Version": tailscaleVersion, "BackendState": "Running", "Health": []string{},
		"CurrentTailnet": map[string]any{"Name": "demo", "MagicDNSSuffix": tailnetName, "MagicDNSEnabled": true},
	}
	peers := map[string]any{}
	for _, m := range s.machines {
		if m == s.vantage() {
			st["Self"] = s.tailPeer(m, now)
			continue
		}
		peers[fmt.Sprintf("nodekey:%04d", m.index)] = s.tailPeer(m, now)
	}
	// People have more than servers on their tailnet.
	for i, o := range []struct{ name, os string }{{"phone", "android"}, {"laptop", "macOS"}} {
		peers["nodekey:"+o.name] = map[string]any{
			"ID": "n9" + o.name, "HostName": o.name, "DNSName": o.name + "." + tailnetName + ".", "OS": o.os, "TailscaleIPs": []string{fmt.Sprintf("100.64.9.%d", i+1)},
			"Relay": relayCode, "Online": i == 0, "LastSeen": start.Add(-3 * time.Hour), "Created": start.Add(-200 * 24 * time.Hour),
		}
	}
	st["Peer"] = peers
	return st
}

func (s *sim) vantage() *machine {
	if m := s.byName[vantage]; m != nil {
		return m
	}
	return s.machines[0]
}

// tailPing is a disco ping from the vantage point. A machine that does not
// answer is told at once: the demo's clock may stand still.
func (s *sim) tailPing(ip string, now time.Time) map[string]any {
	m, from := s.byAddress(ip), s.vantage()
	if m == nil {
		return map[string]any{"IP": ip, "Err": "no matching peer"}
	}
	answer := map[string]any{"IP": ip, "NodeName": m.name}
	if !m.alive || s.cutOff(from.site, m.site) {
		answer["Err"] = "no answer"
		return answer
	}
	rtt := s.pingTime(m, now)
	if s.relayed[houses(from.site, m.site)] {
		answer["DERPRegionCode"] = relayCode
	} else {
		answer["Endpoint"] = s.endpoint(m)
	}
	answer["LatencySeconds"] = rtt.Seconds()
	return answer
}

// pingTime is the round trip to a machine from the vantage point.
func (s *sim) pingTime(m *machine, at time.Time) time.Duration {
	way := s.between(s.vantage(), m)
	if s.chance(10, "busy", m.site, at.Unix()/60) == 0 { // somebody watches a film
		way += way * time.Duration(20+s.chance(60, "busy by", m.site, at.Unix()/60)) / 100
	}
	return way + time.Duration(s.chance(900, "rtt", m.name, at.Unix()/60))*time.Microsecond
}

// cycle gives a house a new public address.
func (s *sim) cycle(site string) { s.uplinkOf(site).moves++ }
