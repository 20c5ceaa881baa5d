// Command labtailnet is a real tailnet in one process: Tailscale's own test
// control server, a DERP relay, STUN, and one tsnet node per machine of the lab,
// each with the LocalAPI of its tailscaled on a Unix socket.
//
// Every house stands behind a router of ours (router.go): it has one public
// address that changes on demand, latency to all others, and it can be cut off,
// or from one other house only, so that traffic between the two is relayed.
//
// The lab starts it and steers it over a Unix socket:
//
//	GET  /status
//	POST /power?house=moka&on=false   the house's machines are off: no uplink, no LocalAPI
//	POST /uplink?house=moka&on=false  only its uplink is down
//	POST /relay?a=moka&b=flacq&on=true  no direct packets between the two
//	POST /cycle?house=moka            a new public address
//	POST /latency?house=moka&ms=40
//	POST /expire?node=moka-1&seconds=3600
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Plan says what to build. Nodes register in the order given, so that the n-th
// of all has the address 100.64.0.n.
type Plan struct {
	Dir     string      `json:"dir"`     // state and sockets
	Control string      `json:"control"` // the socket this program is steered by
	Houses  []HousePlan `json:"houses"`
	RelayMS int         `json:"relayMS"` // one way from any house to the DERP relay, besides the house's own
}

// HousePlan is one house.
type HousePlan struct {
	Name      string   `json:"name"`
	LatencyMS int      `json:"latencyMS"` // one way, to the middle of the network
	Nodes     []string `json:"nodes"`
}

func main() {
	plan := flag.String("plan", "", "`JSON` of what to build")
	flag.Parse()
	if err := run(*plan); err != nil {
		fmt.Fprintln(os.Stderr, "labtailnet:", err)
		os.Exit(1)
	}
}

func run(text string) error {
	var p Plan
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return fmt.Errorf("--plan: %w", err)
	}
	log.SetOutput(os.Stderr)
	t, err := build(context.Background(), p)
	if err != nil {
		return err
	}
	_ = os.Remove(p.Control)
	l, err := net.Listen("unix", p.Control)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: t, ReadHeaderTimeout: 5 * time.Second}
	return srv.Serve(l)
}

// ServeHTTP answers the lab.
func (t *tailnet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	verb := strings.Trim(r.URL.Path, "/")
	if verb == "status" {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(t.status())
		return
	}
	if r.Method != http.MethodPost {
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	if err := t.do(verb, r.URL.Query()); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (t *tailnet) do(verb string, q url.Values) error {
	on := q.Get("on") == "true"
	switch verb {
	case "power", "uplink", "cycle", "latency":
		h := t.houses[q.Get("house")]
		if h == nil {
			return fmt.Errorf("no house %q", q.Get("house"))
		}
		switch verb {
		case "power":
			h.setUplink(on)
			return t.power(h, on)
		case "uplink":
			h.setUplink(on)
			return nil
		case "cycle":
			return h.move()
		}
		ms, err := strconv.Atoi(q.Get("ms"))
		if err != nil {
			return err
		}
		h.setLatency(time.Duration(ms) * time.Millisecond)
		return nil
	case "relay":
		return t.wan.block(q.Get("a"), q.Get("b"), on)
	case "expire":
		s, err := strconv.Atoi(q.Get("seconds"))
		if err != nil {
			return err
		}
		return t.expire(q.Get("node"), time.Duration(s)*time.Second)
	default:
		return errors.New("no verb " + verb)
	}
}
