package survive

import (
	"fmt"
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
	rate      float64       // node-eviction-rate: nodes a second and zone
	secondary float64       // secondary-node-eviction-rate
	large     int           // large-cluster-size-threshold
	unhealthy float64       // unhealthy-zone-threshold
}

const managerFlag = "--kube-controller-manager-arg"

// clocksOf reads a cluster's clocks. Without a word from its servers they are the
// controller-manager's defaults of its version.
func clocksOf(w *model.World, c *model.Cluster) clocks {
	t := clocks{grace: 50 * time.Second, rate: 0.1, secondary: 0.01, large: 50, unhealthy: 0.55}
	if v, err := version.ParseGeneric(c.Version); err == nil && v.LessThan(version.MajorMinor(1, 32)) {
		t.grace = 40 * time.Second
	}
	for _, n := range w.Nodes {
		if n.Cluster != c.Name {
			continue
		}
		for _, arg := range n.K3sFlag(managerFlag) {
			name, value, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
			t.set(name, value)
		}
	}
	return t
}

func (t *clocks) set(name, value string) {
	number, err := strconv.ParseFloat(value, 64)
	switch {
	case name == "node-monitor-grace-period":
		if d, err := time.ParseDuration(value); err == nil && d > 0 {
			t.grace = d
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
