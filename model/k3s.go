package model

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/version"
)

// SourceEtcdSnapshots is what k3s says of its etcd snapshots.
const SourceEtcdSnapshots = "kube/etcdsnapshots"

// EtcdSnapshot is a k3s ETCDSnapshotFile (k3s.cattle.io/v1): one file with the
// state of the whole cluster, on a server's disk or in a bucket.
type EtcdSnapshot struct {
	Cluster  string    `json:"cluster"`
	Object   string    `json:"object"`           // metadata.name
	Name     string    `json:"name"`             // spec.snapshotName, as `k3s etcd-snapshot` takes it
	Node     string    `json:"node"`             // that took it
	Location string    `json:"location"`         // file:// or s3:// and the path
	Bucket   string    `json:"bucket,omitempty"` // of S3; empty when it lies on the node's disk
	Size     int64     `json:"sizeBytes"`
	At       time.Time `json:"at,omitzero"` // status.creationTime
	Ready    bool      `json:"ready"`       // whole, can be restored
	Error    string    `json:"error,omitempty"`
	Site     string    `json:"site"` // whose disk it is on; "" in S3; set by Assemble
}

// Severity ranks the snapshot by itself.
func (s *EtcdSnapshot) Severity() Severity {
	if !s.Ready {
		return Warning
	}
	return OK
}

// Word is its state in one word.
func (s *EtcdSnapshot) Word() string {
	if s.Ready {
		return "completed"
	}
	return "failed"
}

// Member is one etcd member of a cluster, as the labels and annotations of its
// node tell it.
type Member struct {
	Node    string `json:"node"`
	Site    string `json:"site"`
	Name    string `json:"name,omitempty"`    // in etcd
	Address string `json:"address,omitempty"` // other members reach it at
	Voter   bool   `json:"voter"`             // a learner has no vote
	Alive   bool   `json:"alive"`             // its node gives a sign of life
}

const (
	k3sArgs        = "k3s.io/node-args" // JSON list of what the server or agent was started with; k3s blots out secrets
	k3sMember      = "etcd.k3s.cattle.io/node-name"
	k3sMemberAt    = "etcd.k3s.cattle.io/node-address"
	datastoreFlag  = "--datastore-endpoint"
	etcdFlag       = "--etcd-arg"
	snapshotTooOld = 26 * time.Hour // k3s takes one every twelve hours unless told otherwise; this misses two
	supportedSkew  = 3              // minor versions a kubelet may be behind (kubernetes.io, version skew policy)
)

// member gives the node's etcd member, or nil.
func (n *Node) member() *Member {
	if !slices.Contains(n.Roles, "etcd") {
		return nil
	}
	return &Member{Node: n.Name, Site: n.Site, Name: n.Annotations[k3sMember], Address: n.Annotations[k3sMemberAt], Voter: n.Voter, Alive: n.Alive()}
}

// k3sFlag gives the values of a flag among the node's k3s arguments, in either
// spelling, and whether the node tells its arguments at all.
func (n *Node) k3sFlag(flag string) (values []string, told bool) {
	var args []string
	if json.Unmarshal([]byte(n.Annotations[k3sArgs]), &args) != nil {
		return nil, false
	}
	for i, a := range args {
		switch value, joined := strings.CutPrefix(a, flag+"="); {
		case joined:
			values = append(values, value)
		case a == flag && i+1 < len(args):
			values = append(values, args[i+1])
		}
	}
	return values, true
}

// etcdTimes gives etcd's heartbeat interval and election timeout in seconds: as
// the servers were told, else k3s's own for its embedded etcd, else stock etcd's.
// Servers that differ are judged by the least patient.
func etcdTimes(nodes []*Node) (heartbeat, election float64) {
	for _, n := range nodes {
		if !n.Voter {
			continue
		}
		beat, elect := 0.1, 1.0
		if strings.Contains(n.Kubelet, "+k3s") {
			beat, elect = 0.5, 5.0
		}
		args, _ := n.k3sFlag(etcdFlag)
		for _, a := range args {
			name, value, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
			var ms float64
			if _, err := fmt.Sscan(value, &ms); err != nil || ms <= 0 {
				continue
			}
			switch name {
			case "heartbeat-interval":
				beat = ms / 1000
			case "election-timeout":
				elect = ms / 1000
			}
		}
		if heartbeat == 0 || beat < heartbeat {
			heartbeat = beat
		}
		if election == 0 || elect < election {
			election = elect
		}
	}
	return heartbeat, election
}

// kineStore tells SQL datastores apart by what the servers say of how they were
// started.
func kineStore(nodes []*Node) Datastore {
	store := DatastoreKine
	for _, n := range nodes {
		if !n.ControlPlane {
			continue
		}
		endpoint, told := n.k3sFlag(datastoreFlag)
		switch {
		case len(endpoint) > 0 && !strings.HasPrefix(endpoint[0], "sqlite"):
			return DatastoreExternal
		case told:
			store = DatastoreSQLite
		}
	}
	return store
}

// addEtcdSnapshots joins a cluster's snapshots with the nodes they lie on.
func (w *World) addEtcdSnapshots(f *ClusterFacts) {
	for _, s := range f.EtcdSnapshots.Items {
		joined := *s
		joined.Site = ""
		if n := w.Node(f.Name, s.Node); n != nil && s.Bucket == "" {
			joined.Site = n.Site
		}
		w.EtcdSnapshots = append(w.EtcdSnapshots, &joined)
	}
	slices.SortFunc(w.EtcdSnapshots, func(a, b *EtcdSnapshot) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Object, b.Object))
	})
}

// judgeEtcdSnapshots reports an embedded etcd that could not be restored from
// anything recent.
func (w *World) judgeEtcdSnapshots(c *Cluster) {
	if c.Datastore != DatastoreEtcd || !w.has(c.Name, SourceEtcdSnapshots) {
		return
	}
	var newest, failed *EtcdSnapshot
	homes, remote := []string{}, false
	for _, s := range w.EtcdSnapshots {
		switch {
		case s.Cluster != c.Name:
		case !s.Ready:
			if newest == nil && failed == nil {
				failed = s
			}
		default:
			if newest == nil {
				newest = s
			}
			if w.At.Sub(s.At) < snapshotTooOld {
				remote = remote || s.Bucket != ""
				if s.Site != "" && !slices.Contains(homes, s.Site) {
					homes = append(homes, s.Site)
				}
			}
		}
	}
	object := "etcd/" + c.Name
	if failed != nil {
		w.reason(Warning, c.Name, "", object, fmt.Sprintf("the newest etcd snapshot, on %s, failed: %s", failed.Node, cmp.Or(failed.Error, "k3s does not say why")))
	}
	switch {
	case newest == nil:
		w.reason(Warning, c.Name, "", object, "there is no etcd snapshot: a lost control plane could not be restored")
	case w.At.Sub(newest.At) >= snapshotTooOld:
		w.reason(Warning, c.Name, "", object, "the newest etcd snapshot is "+Ago(w.At.Sub(newest.At))+" old")
	case !remote && len(homes) == 1 && len(w.Sites) > 1:
		w.Hints = append(w.Hints, fmt.Sprintf("every recent etcd snapshot of %s lies in %s alone; k3s can send them to a bucket too (--etcd-s3)", c.Name, homes[0]))
	}
}

// judgeVersions reports kubelets that the API server's version does not support,
// and control planes halfway through an upgrade.
func (w *World) judgeVersions(c *Cluster) {
	api, err := version.ParseGeneric(c.Version)
	servers := []string{}
	for _, n := range w.clusterNodes(c.Name) {
		if n.ControlPlane && n.Kubelet != "" && !slices.Contains(servers, n.Kubelet) {
			servers = append(servers, n.Kubelet)
		}
		kubelet, kerr := version.ParseGeneric(n.Kubelet)
		if err != nil || kerr != nil || api.Major() != kubelet.Major() {
			continue
		}
		switch behind := int(api.Minor()) - int(kubelet.Minor()); {
		case behind < 0:
			w.reason(Warning, c.Name, n.Site, "node/"+n.Name, fmt.Sprintf("its kubelet %s is newer than the API server's %s: upgrade the servers first", n.Kubelet, c.Version))
		case behind > supportedSkew:
			w.reason(Warning, c.Name, n.Site, "node/"+n.Name, fmt.Sprintf("its kubelet %s is too old for the API server's %s", n.Kubelet, c.Version))
		}
	}
	if len(servers) > 1 {
		slices.Sort(servers)
		w.Hints = append(w.Hints, fmt.Sprintf("the servers of %s run different versions: %s", c.Name, strings.Join(servers, ", ")))
	}
}
