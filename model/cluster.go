package model

import (
	"cmp"
	"slices"
	"strings"
)

// Datastore is where a cluster keeps its state, as far as its nodes tell.
type Datastore string

// The datastores geotop can tell apart.
const (
	DatastoreUnknown Datastore = "unknown"
	DatastoreEtcd    Datastore = "etcd" // embedded: nodes with the etcd role
	DatastoreKine    Datastore = "kine" // k3s on sqlite or an external SQL server
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
	Name        string       `json:"name"`       // the kubeconfig context
	Server      string       `json:"server"`     // URL in use
	Configured  string       `json:"configured"` // URL the kubeconfig names
	Version     string       `json:"version"`    // gitVersion; empty until known
	Datastore   Datastore    `json:"datastore"`
	Voters      int          `json:"voters"` // etcd members that vote
	VotersAlive int          `json:"votersAlive"`
	Quorum      int          `json:"quorum"` // voters needed for writes; 0 without etcd
	APIServers  []*APIServer `json:"apiServers"`
}

// newCluster reads the control plane's shape off the cluster's nodes.
func newCluster(f *ClusterFacts, nodes []*Node) *Cluster {
	c := &Cluster{Name: f.Name, Server: f.Server, Configured: f.Configured, Version: f.Version, Datastore: DatastoreUnknown, APIServers: []*APIServer{}}
	servers := 0
	byAddress := map[string]*Node{}
	for _, n := range nodes {
		if n.ControlPlane {
			servers++
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
	case servers > 0 && isK3s(nodes):
		c.Datastore = DatastoreKine
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

func isK3s(nodes []*Node) bool {
	return slices.ContainsFunc(nodes, func(n *Node) bool { return strings.Contains(n.Kubelet, "+k3s") })
}
