package survive

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/geotop/geotop/model"
)

// clocks are the times and rates of a cluster's node controller, as its servers
// were started, else by default.
type clocks struct {
	grace     time.Duration // node-monitor-grace-period
	monitor   time.Duration // node-monitor-period
	renewal   time.Duration // how often kubelets renew their leases
	rate      float64       // node-eviction-rate: nodes a second and zone
	secondary float64       // secondary-node-eviction-rate
	large     int           // large-cluster-size-threshold
	unhealthy float64       // unhealthy-zone-threshold
}

const managerFlag = "--kube-controller-manager-arg"

// clocksOf reads a cluster's clocks. Without a word from its servers they are the
// controller-manager's defaults of its version.
func clocksOf(w *model.World, c *model.Cluster) clocks {
	t := clocks{grace: 50 * time.Second, monitor: 5 * time.Second, rate: 0.1, secondary: 0.01, large: 50, unhealthy: 0.55}
	if v, err := version.ParseGeneric(c.Version); err == nil && v.LessThan(version.MajorMinor(1, 32)) {
		t.grace = 40 * time.Second
	}
	for _, n := range w.Nodes {
		if n.Cluster != c.Name {
			continue
		}
		t.renewal = max(t.renewal, n.Renewal())
		for _, arg := range n.K3sFlag(managerFlag) {
			name, value, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
			t.set(name, value)
		}
	}
	return t
}

// notice is how long after a loss a machine is found to be away, on the average: its last
// renewal is half an interval old then, and it is looked for every so often.
func (t *clocks) notice() time.Duration {
	return max(0, t.grace-t.renewal/2+t.monitor/2)
}

func (t *clocks) set(name, value string) {
	number, err := strconv.ParseFloat(value, 64)
	switch {
	case name == "node-monitor-grace-period":
		if d, err := time.ParseDuration(value); err == nil && d > 0 {
			t.grace = d
		}
	case name == "node-monitor-period":
		if d, err := time.ParseDuration(value); err == nil && d > 0 {
			t.monitor = d
		}
	case err != nil || number < 0:
	case name == "node-eviction-rate":
		t.rate = number
	case name == "secondary-node-eviction-rate":
		t.secondary = number
	case name == "large-cluster-size-threshold":
		t.large = int(number)
	case name == "unhealthy-zone-threshold":
		t.unhealthy = number
	}
}

// zone is how the node controller sees one of its zones.
type zone struct {
	nodes, away int
	rate        float64 // of evictions there, in nodes a second; 0 for none
	why         string  // why there are none
	given       int     // nodes given up there
}

// wait is how long it takes until so many of the zone's nodes are given up.
func (z *zone) wait(nodes float64) time.Duration {
	return time.Duration(nodes / z.rate * float64(time.Second))
}

// turn is which of a zone's nodes, one after another, was given up.
type turn struct {
	zone *zone
	rank int
}

// timing is when the last of some pods is back. Which node of a zone is given up first
// is chance: what counts is when it is a node's turn on the average, not when it was
// in the order played.
type timing []zoneTiming

type zoneTiming struct {
	zone  *zone
	last  time.Duration // were all of the nodes the first
	ranks []int         // of those nodes
}

func (t *timing) add(e *end) {
	var in *zone
	if e.turn != nil {
		in = e.turn.zone
	}
	i := slices.IndexFunc(*t, func(z zoneTiming) bool { return z.zone == in })
	if i < 0 {
		i = len(*t)
		*t = append(*t, zoneTiming{zone: in})
	}
	z, last := &(*t)[i], e.after
	if in != nil {
		last -= in.wait(float64(e.turn.rank))
		if !slices.Contains(z.ranks, e.turn.rank) {
			z.ranks = append(z.ranks, e.turn.rank)
		}
	}
	z.last = max(z.last, last)
}

// seconds is nil where no pod comes back.
func (t timing) seconds() *float64 {
	var last *float64
	for _, z := range t {
		at := z.last
		if n, of := float64(len(z.ranks)), z.zone; of != nil {
			at += of.wait(n*float64(of.given+1)/(n+1) - 1) // the last of n among all, on the average
		}
		last = longer(last, seconds(at))
	}
	return last
}

// halfDead is how many nodes must be away at least for a zone to count as partly
// disrupted, beside their share.
const halfDead = 2

// evictions says, by zone, how fast pods are evicted once the lost nodes are away
// (kube-controller-manager, node lifecycle controller).
func (c *cluster) evictions(lost []bool, t clocks) map[string]*zone {
	zones := map[string]*zone{}
	for i, n := range c.nodes {
		z := zones[n.zone]
		if z == nil {
			z = &zone{}
			zones[n.zone] = z
		}
		z.nodes++
		if lost[i] {
			z.away++
		}
	}
	living := false
	for _, z := range zones {
		living = living || z.away < z.nodes
	}
	for _, z := range zones {
		switch {
		case !living:
			z.why = "no zone has a node that is ready: Kubernetes takes itself for cut off and evicts nothing"
		case z.away == z.nodes || z.away <= halfDead || float64(z.away)/float64(z.nodes) < t.unhealthy:
			z.rate = t.rate
		case z.nodes > t.large:
			z.rate = t.secondary
		default:
			z.why = fmt.Sprintf("%d of %d nodes of its zone are away, and not all: Kubernetes evicts nothing then", z.away, z.nodes)
		}
	}
	return zones
}
