package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/geotop/geotop/collectors"
	"github.com/geotop/geotop/collectors/objectstore"
	"github.com/geotop/geotop/lab/rig"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/survive"
)

// Layouts of servers over two to five houses: so many in each.
var (
	EtcdLayouts  = [][]int{{1, 1}, {2, 1}, {3, 2}, {1, 1, 1}, {2, 2, 1}, {3, 1, 1}, {1, 1, 1, 0}, {2, 1, 1, 1}, {1, 1, 1, 1, 1}, {2, 2, 1, 1, 1}}
	StoreLayouts = [][]int{{2, 2}, {3, 1}, {1, 1, 1}, {2, 1, 1}, {2, 2, 2}, {1, 1, 1, 1}, {2, 2, 1, 1}, {1, 1, 1, 1, 1}, {2, 2, 2, 1, 1}}
)

// How long a write or read is tried until it counts as refused: an election takes a
// second, servers of a store that lost others may take several.
const (
	etcdPatience  = 8 * time.Second
	storePatience = 30 * time.Second
)

// Subset is what happened when some houses lost power.
type Subset struct {
	Layout              []int
	Dark                []string
	Forecast            model.Outcome
	CanWrite, CanRead   bool // CanRead is of the store only
	MustWrite, MustRead bool // by the forecast
	Why                 string
	Took                time.Duration // until a write was accepted, and of a store a read before it
	store               bool
}

// Right reports whether it went as forecast.
func (s *Subset) Right() bool {
	return s.CanWrite == s.MustWrite && (!s.store || s.CanRead == s.MustRead)
}

// Quorums starts real servers in a layout, takes the power of every set of houses
// one after the other, and holds what geotop says against what can be written and
// read then.
func Quorums(ctx context.Context, store bool, layout []int) ([]*Subset, error) {
	q, err := rig.QuorumOf(ctx, store, layout...)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	var w *model.World
	if store {
		if err := q.Seed(ctx); err != nil {
			return nil, err
		}
		if w, err = lookAtStore(ctx, q); err != nil {
			return nil, err
		}
	} else {
		w = model.Assemble(model.Facts{Clusters: []model.ClusterFacts{servers(q)}}, time.Now(), model.Options{})
	}
	a := survive.New(w)
	patience := etcdPatience
	if store {
		patience = storePatience
	}
	list := []*Subset{}
	// Each set differs from the one before by one house: that is one to switch.
	for n := range 1 << len(layout) {
		dark, names := map[int]bool{}, []string{}
		for h := range layout {
			if gray := n ^ n>>1; gray>>h&1 == 1 {
				dark[h] = true
				names = append(names, house(h))
			}
		}
		if store { // the forecast is for one that was whole
			if err := q.Power(ctx, nil); err != nil {
				return nil, err
			}
		}
		if err := q.Power(ctx, dark); err != nil {
			return nil, err
		}
		s := &Subset{Layout: layout, Dark: names, store: store}
		v := a.Of(names...)
		began := time.Now()
		if store {
			s.Forecast, s.Why = v.ObjectStore[0].Outcome, v.ObjectStore[0].Why
			s.MustWrite, s.MustRead = s.Forecast == model.Survives, s.Forecast <= model.Degraded
			s.CanRead = q.CanRead(ctx, storePatience)
		} else {
			s.Forecast, s.Why = v.ControlPlane[0].Outcome, v.ControlPlane[0].Why
			s.MustWrite = s.Forecast < model.Down
		}
		if s.CanWrite = q.CanWrite(ctx, patience); s.CanWrite {
			s.Took = time.Since(began)
		}
		list = append(list, s)
	}
	return list, nil
}

func house(h int) string { return fmt.Sprintf("house-%d", h) }

// servers is the cluster that such servers would be of: one machine for each, with
// its address.
func servers(q *rig.Quorum) model.ClusterFacts {
	now := time.Now()
	ok := func(name string) model.Source {
		return model.Source{Cluster: "drill", Name: name, Status: model.SourceOK, ObservedAt: now}
	}
	f := model.ClusterFacts{Name: "drill", Version: "v1.36.3+k3s1", API: ok(model.SourceAPI)}
	f.Nodes.Source, f.Leases.Source = ok(model.SourceNodes), ok(model.SourceLeases)
	for h, addresses := range q.Servers() {
		for i, at := range append(addresses, "") { // one more machine in each house, without a server
			n := &model.NodeFact{
				Cluster: "drill", Name: fmt.Sprintf("h%d-%d", h, i), Kubelet: "v1.36.3+k3s1",
				Labels:     map[string]string{corev1.LabelTopologyZone: house(h)},
				Conditions: []model.Condition{{Type: "Ready", Status: "True", Since: now}},
			}
			if at != "" {
				n.Labels["node-role.kubernetes.io/control-plane"], n.Labels["node-role.kubernetes.io/etcd"] = "true", "true"
				ip, _, _ := strings.Cut(at, ":")
				n.Addresses = []model.Address{{Type: "InternalIP", Address: ip}}
			}
			f.Nodes.Items = append(f.Nodes.Items, n)
			f.Leases.Items = append(f.Leases.Items, &model.Lease{Cluster: "drill", Node: n.Name, Duration: time.Hour, Renewed: now, Heard: now})
		}
	}
	return f
}

// lookAtStore has geotop's collector read the store as a cluster's backup target.
func lookAtStore(ctx context.Context, q *rig.Quorum) (*model.World, error) {
	user, secret := q.Credentials()
	endpoint := ""
	for _, addresses := range q.Servers() {
		if len(addresses) > 0 && endpoint == "" {
			endpoint = "http://" + addresses[0]
		}
	}
	keys := map[string][]byte{"AWS_ACCESS_KEY_ID": []byte(user), "AWS_SECRET_ACCESS_KEY": []byte(secret), "AWS_ENDPOINTS": []byte(endpoint)}
	c := objectstore.New(objectstore.Config{Now: time.Now, Secret: func(context.Context, string, string) (map[string][]byte, error) { return keys, nil }})
	f := servers(q)
	f.Longhorn.Targets = model.Section[model.BackupTarget]{
		Source: model.Source{Cluster: "drill", Name: model.SourceBackupTargets, Status: model.SourceOK, ObservedAt: time.Now()},
		Items:  []*model.BackupTarget{{Cluster: "drill", Name: "default", URL: "s3://backups@us-east-1/", Available: true}},
	}
	set := collectors.NewSet(fixed{f}, c)
	run, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("geotop did not see the servers of the store"))
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); set.Run(run) }()
	defer func() { cancel(); <-done }()
	for {
		w := set.World(time.Now(), model.Options{})
		if len(w.Stores) == 1 && w.Stores[0].MinIO != nil && placed(w.Stores[0].MinIO) {
			return w, nil
		}
		select {
		case <-run.Done():
			return nil, fmt.Errorf("%w: %+v", context.Cause(run), w.Stores)
		case <-set.Changed():
		case <-time.After(time.Second):
		}
	}
}

// placed reports whether all servers are there, and it is known where.
func placed(m *model.StoreCluster) bool {
	for _, s := range m.Servers {
		if s.Site == "" || !s.Online {
			return false
		}
		for _, d := range s.Drives {
			if !d.Good() {
				return false
			}
		}
	}
	return len(m.Servers) > 0
}

// fixed gives facts that do not change.
type fixed struct{ facts model.ClusterFacts }

func (f fixed) Run(ctx context.Context, changed func()) {
	changed()
	<-ctx.Done()
}

func (f fixed) Facts(to *model.Facts) { to.Clusters = append(to.Clusters, f.facts) }

// QuorumSeries drills all layouts of a kind, or the one given, and prints where the
// forecast was wrong.
func QuorumSeries(ctx context.Context, store bool, layout []int, out io.Writer) error {
	what, layouts := "etcd", EtcdLayouts
	if store {
		what, layouts = "MinIO", StoreLayouts
	}
	if len(layout) > 0 {
		layouts = [][]int{layout}
	}
	all, right := 0, 0
	for _, layout := range layouts {
		began := time.Now()
		list, err := Quorums(ctx, store, layout)
		if err != nil {
			return fmt.Errorf("%s %v: %w", what, layout, err)
		}
		ok, longest := 0, time.Duration(0)
		for _, s := range list {
			longest = max(longest, s.Took)
			if s.Right() {
				ok++
				continue
			}
			fmt.Fprintf(out, "    %v without %v: forecast %s (%s); written %v, read %v\n", layout, s.Dark, s.Forecast, s.Why, s.CanWrite, s.CanRead)
		}
		all, right = all+len(list), right+ok
		fmt.Fprintf(out, "%s %v in %d houses: %d of %d sets of dark houses as forecast; writes accepted within %.1f s  (%.0f s)\n", what, layout, len(layout), ok, len(list), longest.Seconds(), time.Since(began).Seconds())
	}
	fmt.Fprintf(out, "%s: %d of %d as forecast\n", what, right, all)
	return nil
}
