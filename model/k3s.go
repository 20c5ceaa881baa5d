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
	Object   string    `json:"object"`             // metadata.name
	Name     string    `json:"name"`               // spec.snapshotName, as `k3s etcd-snapshot` takes it
	Node     string    `json:"node"`               // that took it
	Location string    `json:"location"`           // file:// or s3:// and the path
	Bucket   string    `json:"bucket,omitempty"`   // of S3; empty when it lies on the node's disk
	Endpoint string    `json:"endpoint,omitempty"` // of S3: host, or host:port
	Size     int64     `json:"sizeBytes"`
	At       time.Time `json:"at,omitzero"` // status.creationTime
	Ready    bool      `json:"ready"`       // whole, can be restored
	Error    string    `json:"error,omitempty"`
	Site     string    `json:"site"` // whose disk it is on; "" in S3; set by Assemble
	// State is verified or missing where the bucket was looked into, claimed else,
	// and none when it failed; set by Assemble.
	State BackupState `json:"state"`
}

// Key is where in its bucket the snapshot is, "" when it is in none.
func (s *EtcdSnapshot) Key() string {
	key, ok := strings.CutPrefix(s.Location, "s3://"+s.Bucket+"/")
	if s.Bucket == "" || !ok {
		return ""
	}
	return key
}

// StoredObject is what became of an object that was looked for in a store.
type StoredObject struct {
	Endpoint string    `json:"-"` // of the store it should be in
	Bucket   string    `json:"bucket"`
	Key      string    `json:"key"`
	There    bool      `json:"there"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modifiedAt,omitzero"`
}

// EtcdObjects lists the cluster's etcd snapshots that k3s says are in a bucket.
func (w *World) EtcdObjects(cluster string) []StoredObject {
	list := []StoredObject{}
	for _, s := range w.EtcdSnapshots {
		if s.Cluster == cluster && s.Ready && s.Key() != "" {
			list = append(list, StoredObject{Endpoint: s.Endpoint, Bucket: s.Bucket, Key: s.Key()})
		}
	}
	return list
}

// seeSnapshots holds the cluster's snapshots against what was seen in a store.
func (w *World) seeSnapshots(f *StoreFacts) {
	for _, s := range w.EtcdSnapshots {
		if s.Cluster != f.Cluster || s.Endpoint != f.Endpoint || s.State != BackupClaimed {
			continue
		}
		i := slices.IndexFunc(f.Objects, func(o StoredObject) bool { return o.Bucket == s.Bucket && o.Key == s.Key() })
		switch {
		case i < 0:
		case !f.Objects[i].There:
			s.State = BackupMissing
		case f.Objects[i].Bytes > 0:
			s.State = BackupVerified
		}
	}
}

// Severity ranks the snapshot by itself.
func (s *EtcdSnapshot) Severity() Severity {
	if !s.Ready || s.State == BackupMissing {
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
	// What its metrics say, nil or nothing where they are not read.
	ID         string  `json:"id,omitempty"`
	Leader     *bool   `json:"leader,omitempty"`
	SeesLeader *bool   `json:"seesLeader,omitempty"`
	WALSync    float64 `json:"walFsyncSeconds,omitempty"` // 99th percentile
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

// K3sFlag gives the values of a flag among the node's k3s arguments.
func (n *Node) K3sFlag(flag string) []string {
	values, _ := n.k3sFlag(flag)
	return values
}

// k3sSwitch reports whether the node's k3s was started with a flag that is on or off.
func (n *Node) k3sSwitch(flag string) bool {
	var args []string
	if json.Unmarshal([]byte(n.Annotations[k3sArgs]), &args) != nil {
		return false
	}
	on := false
	for i, a := range args {
		value, joined := strings.CutPrefix(a, flag+"=")
		switch {
		case joined:
			on = value != "false"
		case a == flag:
			on = i+1 == len(args) || args[i+1] != "false"
		}
	}
	return on
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
		joined.Site, joined.State = "", BackupNone
		if s.Ready {
			joined.State = BackupClaimed
		}
		if n := w.Node(f.Name, s.Node); n != nil && s.Bucket == "" {
			joined.Site = n.Site
		}
		w.EtcdSnapshots = append(w.EtcdSnapshots, &joined)
	}
	slices.SortFunc(w.EtcdSnapshots, func(a, b *EtcdSnapshot) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Object, b.Object))
	})
}

// snapshotSum is what there is of etcd snapshots.
type snapshotSum struct {
	newest  *EtcdSnapshot // whole
	failed  *EtcdSnapshot // newer than that
	missing int           // in the bucket they should be in
	homes   []string      // sites with a recent one on a disk
	remote  bool          // a recent one is in a bucket
}

func (w *World) sumSnapshots(cluster string) snapshotSum {
	var sum snapshotSum
	for _, s := range w.EtcdSnapshots {
		switch {
		case s.Cluster != cluster:
			continue
		case s.State == BackupMissing:
			sum.missing++
			continue
		case !s.Ready:
			if sum.newest == nil && sum.failed == nil {
				sum.failed = s
			}
			continue
		case sum.newest == nil:
			sum.newest = s
		}
		if w.At.Sub(s.At) >= snapshotTooOld {
			continue
		}
		sum.remote = sum.remote || s.Bucket != ""
		if s.Site != "" && !slices.Contains(sum.homes, s.Site) {
			sum.homes = append(sum.homes, s.Site)
		}
	}
	return sum
}

// judgeEtcdSnapshots reports an embedded etcd that could not be restored from
// anything recent.
func (w *World) judgeEtcdSnapshots(c *Cluster) {
	if c.Datastore != DatastoreEtcd || !w.has(c.Name, SourceEtcdSnapshots) {
		return
	}
	sum := w.sumSnapshots(c.Name)
	warn := func(text string) { w.reason(Warning, c.Name, "", "etcd/"+c.Name, text) }
	if sum.missing > 0 {
		warn(fmt.Sprintf("%d etcd snapshots are not in the bucket, though k3s lists them", sum.missing))
	}
	if f := sum.failed; f != nil {
		warn(fmt.Sprintf("the newest etcd snapshot, on %s, failed: %s", f.Node, cmp.Or(f.Error, "k3s does not say why")))
	}
	switch {
	case sum.newest == nil:
		warn("there is no etcd snapshot: a lost control plane could not be restored")
	case w.At.Sub(sum.newest.At) >= snapshotTooOld:
		warn("the newest etcd snapshot is " + Ago(w.At.Sub(sum.newest.At)) + " old")
	case !sum.remote && len(sum.homes) == 1 && len(w.Sites) > 1:
		w.Hints = append(w.Hints, fmt.Sprintf("every recent etcd snapshot of %s lies in %s alone; k3s can send them to a bucket too (--etcd-s3)", c.Name, sum.homes[0]))
	}
}

// judgeMembers reports what etcd's own metrics show to be the matter.
func (w *World) judgeMembers(c *Cluster) {
	for _, m := range c.Members {
		if m.SeesLeader != nil && !*m.SeesLeader {
			w.reason(Warning, c.Name, m.Site, "etcd/"+m.Node, "this etcd member sees no leader")
		}
		if m.WALSync > c.Heartbeat {
			w.reason(Warning, c.Name, m.Site, "etcd/"+m.Node,
				fmt.Sprintf("its disk takes %d ms to write etcd's log, more than a heartbeat (%d ms)", millis(m.WALSync), millis(c.Heartbeat)))
		}
	}
}

func millis(seconds float64) int { return int(seconds*1000 + 0.5) }

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
