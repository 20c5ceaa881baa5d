package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Datastore is where a cluster keeps its state, as far as its nodes tell.
type Datastore string

// The datastores geotop can tell apart.
const (
	DatastoreUnknown Datastore = "unknown"
	DatastoreEtcd    Datastore = "etcd" // embedded: nodes with the etcd role
	DatastoreKine    Datastore = "kine" // k3s on SQL, its servers do not tell which
	// DatastoreSQLite is a file on the one server's disk.
	DatastoreSQLite Datastore = "sqlite"
	// DatastoreExternal is an SQL server somewhere else.
	DatastoreExternal Datastore = "external"
)

// APIServer is one address behind the `kubernetes` service (discovery/v1
// EndpointSlice default/kubernetes).
type APIServer struct {
	Cluster string `json:"cluster"`
	Address string `json:"address"`
	Port    int    `json:"port"`
	Ready   bool   `json:"ready"`
	Node    string `json:"node"` // the node with that address; set by Assemble
	Site    string `json:"site"` // of that node; set by Assemble
}

// Cluster is one Kubernetes API.
type Cluster struct {
	Name        string    `json:"name"`       // the kubeconfig context
	Server      string    `json:"server"`     // URL in use
	Configured  string    `json:"configured"` // URL the kubeconfig names
	Version     string    `json:"version"`    // gitVersion; empty until known
	Datastore   Datastore `json:"datastore"`
	Voters      int       `json:"voters"` // etcd members that vote
	VotersAlive int       `json:"votersAlive"`
	Quorum      int       `json:"quorum"`  // voters needed for writes; 0 without etcd
	Members     []*Member `json:"members"` // of the embedded etcd, by site and node
	// Heartbeat and Election are etcd's, in seconds, as far as its servers tell; 0 without etcd.
	Heartbeat  float64          `json:"heartbeatSeconds,omitempty"`
	Election   float64          `json:"electionSeconds,omitempty"`
	Kubelets   []KubeletVersion `json:"kubelets"` // by version
	APIServers []*APIServer     `json:"apiServers"`
}

// newCluster reads the control plane's shape off the cluster's nodes.
func newCluster(f *ClusterFacts, nodes []*Node) *Cluster {
	c := &Cluster{Name: f.Name, Server: f.Server, Configured: f.Configured, Version: f.Version, Datastore: DatastoreUnknown, Members: []*Member{}, Kubelets: []KubeletVersion{}, APIServers: []*APIServer{}}
	servers := 0
	byAddress := map[string]*Node{}
	for _, n := range nodes {
		if n.ControlPlane {
			servers++
		}
		c.countKubelet(n.Kubelet)
		if m := n.member(); m != nil {
			c.Members = append(c.Members, m)
		}
		if n.Voter {
			c.Voters++
			if n.Alive() {
				c.VotersAlive++
			}
		}
		for _, a := range n.Addresses {
			byAddress[a.Address] = n
		}
	}
	switch {
	case c.Voters > 0:
		c.Datastore, c.Quorum = DatastoreEtcd, c.Voters/2+1
		c.Heartbeat, c.Election = etcdTimes(nodes)
	case servers > 0 && isK3s(nodes):
		c.Datastore = kineStore(nodes)
	}
	for _, a := range f.APIServers.Items {
		joined := *a
		joined.Node, joined.Site = "", ""
		if n := byAddress[a.Address]; n != nil {
			joined.Node, joined.Site = n.Name, n.Site
		}
		c.APIServers = append(c.APIServers, &joined)
	}
	slices.SortFunc(c.APIServers, func(a, b *APIServer) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port))
	})
	return c
}

// KubeletVersion is how many nodes run a version.
type KubeletVersion struct {
	Version string `json:"version"` // e.g. "v1.36.3+k3s1"
	Nodes   int    `json:"nodes"`
}

func (c *Cluster) countKubelet(version string) {
	i, known := slices.BinarySearchFunc(c.Kubelets, version, func(k KubeletVersion, v string) int { return cmp.Compare(k.Version, v) })
	switch {
	case version == "":
	case known:
		c.Kubelets[i].Nodes++
	default:
		c.Kubelets = slices.Insert(c.Kubelets, i, KubeletVersion{version, 1})
	}
}

func isK3s(nodes []*Node) bool {
	return slices.ContainsFunc(nodes, func(n *Node) bool { return strings.Contains(n.Kubelet, "+k3s") })
}

// etcdOver judges a link between two of the cluster's voters against etcd's
// times: a heartbeat should cover a round trip, an election ten.
func (c *Cluster) etcdOver(l *Link) string {
	votes := func(site string) bool {
		return slices.ContainsFunc(c.Members, func(m *Member) bool { return m.Site == site && m.Voter })
	}
	if c.Heartbeat == 0 || l.RTT == 0 || !votes(l.From) || !votes(l.To) {
		return ""
	}
	switch {
	case l.RTT > c.Heartbeat:
		return fmt.Sprintf("etcd voters %d ms apart, more than a heartbeat (%d ms)", millis(l.RTT), millis(c.Heartbeat))
	case 10*l.RTT > c.Election:
		return fmt.Sprintf("etcd voters %d ms apart, and an election timeout (%d ms) of less than ten round trips", millis(l.RTT), millis(c.Election))
	default:
		return ""
	}
}
