package model

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// SchemaVersion is the version of the JSON document. Fields are only ever
// added under one version.
const SchemaVersion = 1

// Names of the sources of a cluster; SourceControllers is by kind.
const (
	SourceAPI        = "kube"
	SourceNodes      = "kube/nodes"
	SourceLeases     = "kube/leases"
	SourcePods       = "kube/pods"
	SourceAPIServers = "kube/apiservers"
	SourceEvents     = "kube/events"
	SourceNodeEvents = "kube/node-events"
	SourceNodeUsage  = "metrics/nodes"
)

// ControllerKinds lists the kinds of Controller and the source each comes from.
var ControllerKinds = []struct{ Kind, Source string }{
	{"Deployment", "kube/deployments"},
	{"StatefulSet", "kube/statefulsets"},
	{"DaemonSet", "kube/daemonsets"},
	{"ReplicaSet", "kube/replicasets"},
	{"Job", "kube/jobs"},
	{"CronJob", "kube/cronjobs"},
}

// document is a World as JSON: what is judged, for scripts, and every fact it
// was made of, so that it can be opened again.
type document struct {
	SchemaVersion int                 `json:"schemaVersion"`
	GeneratedAt   time.Time           `json:"generatedAt"`
	Status        Severity            `json:"status"`
	Reasons       []Reason            `json:"reasons"`
	Hints         []string            `json:"hints"`
	Sources       []Source            `json:"sources"`
	Clusters      []*Cluster          `json:"clusters"`
	Sites         []*Site             `json:"sites"`
	Nodes         []*Node             `json:"nodes"`
	Tailnets      []*Tailnet          `json:"tailnets"`
	Peers         []*Peer             `json:"peers"`
	Links         []*Link             `json:"links"`
	Measured      []*WayFacts         `json:"measured"`
	Verdicts      []*Verdict          `json:"verdicts"`
	Fixes         []*Fix              `json:"fixes"`
	Volumes       []*Volume           `json:"volumes"`
	Backups       backupsJSON         `json:"backups"`
	Persistent    []*PersistentVolume `json:"persistentVolumes"`
	Plans         []*PlanRun          `json:"plans"`
	Longhorn      longhornJSON        `json:"longhorn"`
	Workloads     []*Workload         `json:"workloads"`
	Pods          []*podJSON          `json:"pods"`
	Events        []*eventJSON        `json:"events"`
	Timeline      []*Change           `json:"timeline"` // newest first
	LookedAt      time.Time           `json:"lookedAt,omitzero"`
	Trails        *Trails             `json:"trails,omitempty"` // absent while nothing is known of how figures went
	Controllers   []*Controller       `json:"controllers"`
	Leases        []*leaseJSON        `json:"leases"`
	PodSpecs      []*PodSpec          `json:"podSpecs"`
}

type podJSON struct {
	Cluster         string            `json:"cluster"`
	Namespace       string            `json:"namespace"`
	Name            string            `json:"name"`
	UID             string            `json:"uid"`
	Node            string            `json:"node"`
	For             string            `json:"waitsFor,omitempty"` // the only node it may go to
	Site            string            `json:"site"`
	Owner           Owner             `json:"owner"`
	Phase           corev1.PodPhase   `json:"phase"`
	Status          string            `json:"status"`
	Message         string            `json:"message,omitempty"`
	Ready           bool              `json:"ready"`
	ContainersReady int               `json:"containersReady"`
	Containers      int               `json:"containers"`
	Restarts        int               `json:"restarts"`
	RestartAt       time.Time         `json:"restartedAt,omitzero"`
	Created         time.Time         `json:"created"`
	ReadySince      time.Time         `json:"readySince,omitzero"`
	DeleteAt        time.Time         `json:"deleteAt,omitzero"`
	IP              string            `json:"ip"`
	Claims          []string          `json:"claims,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	Spec            *int              `json:"spec,omitempty"` // id in podSpecs
}

type eventJSON struct {
	*Event
	Site string `json:"site"`
	Node string `json:"node"`
}

type leaseJSON struct {
	Cluster         string    `json:"cluster"`
	Node            string    `json:"node"`
	DurationSeconds float64   `json:"durationSeconds"`
	Renewed         time.Time `json:"renewed"`
	Heard           time.Time `json:"heard"`
	Watched         bool      `json:"watched"`
	CountFrom       time.Time `json:"countFrom,omitzero"`
}

// backupsJSON is what there is to restore from.
type backupsJSON struct {
	Targets []*BackupTarget `json:"targets"`
	Stores  []*StoreFacts   `json:"stores"`  // what was seen in the buckets
	List    []*Backup       `json:"list"`    // newest first, as the cluster claims
	Volumes []*BackupVolume `json:"volumes"` // one for each volume and target
	Jobs    []*RecurringJob `json:"jobs"`
	System  []*SystemBackup `json:"system"`
	Etcd    []*EtcdSnapshot `json:"etcd"` // of k3s's control plane, newest first
}

// longhornJSON is the rest of what Longhorn says.
type longhornJSON struct {
	Nodes     []*StorageNode `json:"nodes"`
	Engines   []*Engine      `json:"engines"`
	Orphans   []*Replica     `json:"replicas"` // of volumes that are not there
	Snapshots []*Snapshot    `json:"snapshots"`
	Settings  []*Setting     `json:"settings"`
}

// MarshalJSON writes the World as the versioned document scripts rely on.
// Times are in UTC, empty lists are [] and never null.
func (w *World) MarshalJSON() ([]byte, error) {
	d := document{
		SchemaVersion: SchemaVersion,
		GeneratedAt:   w.At.UTC(),
		Status:        w.Status,
		Reasons:       list(w.Reasons),
		Hints:         list(w.Hints),
		Sources:       list(w.Sources),
		Clusters:      list(w.Clusters),
		Sites:         list(w.Sites),
		Nodes:         list(w.Nodes),
		Tailnets:      list(w.Tailnets),
		Peers:         list(w.Peers),
		Links:         list(w.Links),
		Measured:      []*WayFacts{},
		Verdicts:      list(w.Verdicts),
		Fixes:         list(w.Fixes),
		Persistent:    list(w.PersistentVolumes),
		Plans:         list(w.Plans),
		Volumes:       list(w.Volumes),
		Backups:       backupsJSON{Targets: list(w.BackupTargets), Stores: list(w.Stores), List: list(w.Backups), Jobs: list(w.RecurringJobs), Volumes: []*BackupVolume{}, System: []*SystemBackup{}, Etcd: list(w.EtcdSnapshots)},
		Longhorn:      longhornJSON{Nodes: list(w.StorageNodes), Engines: []*Engine{}, Orphans: []*Replica{}, Snapshots: []*Snapshot{}, Settings: []*Setting{}},
		Workloads:     list(w.Workloads),
		Pods:          make([]*podJSON, len(w.Pods)),
		Events:        make([]*eventJSON, len(w.Events)),
		Timeline:      list(w.Timeline),
		LookedAt:      w.LookedAt.UTC(),
		Trails:        w.Trails,
		Controllers:   []*Controller{},
		Leases:        []*leaseJSON{},
		PodSpecs:      []*PodSpec{},
	}
	d.writePods(w)
	for i, e := range w.Events {
		d.Events[i] = &eventJSON{Event: e, Site: w.EventSite(e)}
		if n := w.EventNode(e); n != nil {
			d.Events[i].Node = n.Name
		}
	}
	d.writeLonghorn(w)
	for _, f := range w.facts.Ways {
		f.Name, f.Members, f.Ways = f.Source.Name, list(f.Members), list(f.Ways)
		d.Measured = append(d.Measured, &f)
	}
	for _, c := range w.facts.Clusters {
		for _, s := range c.Controllers {
			d.Controllers = append(d.Controllers, s.Items...)
		}
		for _, l := range c.Leases.Items {
			d.Leases = append(d.Leases, &leaseJSON{l.Cluster, l.Node, seconds(l.Duration), l.Renewed.UTC(), l.Heard.UTC(), l.Watched, l.CountFrom})
		}
	}
	return json.Marshal(d)
}

func (d *document) writeLonghorn(w *World) {
	shown := map[*ReplicaFact]bool{}
	for _, v := range w.Volumes {
		for _, r := range v.Replicas {
			shown[r.ReplicaFact] = true
		}
	}
	for _, c := range w.facts.Clusters {
		l := &c.Longhorn
		d.Backups.Volumes = append(d.Backups.Volumes, l.BackupVolumes.Items...)
		d.Backups.System = append(d.Backups.System, l.SystemBackups.Items...)
		d.Longhorn.Engines = append(d.Longhorn.Engines, l.Engines.Items...)
		d.Longhorn.Snapshots = append(d.Longhorn.Snapshots, l.Snapshots.Items...)
		d.Longhorn.Settings = append(d.Longhorn.Settings, l.Settings.Items...)
		for _, r := range l.Replicas.Items {
			if !shown[r] {
				d.Longhorn.Orphans = append(d.Longhorn.Orphans, newReplica(r, nil, w.Node(c.Name, r.Node)))
			}
		}
	}
}

func (d *document) writePods(w *World) {
	ids := map[*PodSpec]*int{}
	for i, p := range w.Pods {
		j := podToJSON(p)
		j.Site = w.PodSite(p)
		if p.Spec != nil {
			if ids[p.Spec] == nil {
				id := len(d.PodSpecs)
				ids[p.Spec] = &id
				spec := *p.Spec
				spec.ID = id
				d.PodSpecs = append(d.PodSpecs, &spec)
			}
			j.Spec = ids[p.Spec]
		}
		d.Pods[i] = j
	}
}

func podToJSON(p *Pod) *podJSON {
	return &podJSON{
		Cluster: p.Cluster, Namespace: p.Namespace, Name: p.Name, UID: p.UID, Node: p.Node, For: p.For,
		Owner: p.Owner, Phase: p.Phase, Status: p.Status, Message: p.Message, Ready: p.Ready,
		ContainersReady: p.Up, Containers: p.Containers, Restarts: p.Restarts, RestartAt: p.RestartAt,
		Created: p.Created, ReadySince: p.ReadySince, DeleteAt: p.DeleteAt, IP: p.IP, Claims: p.Claims, Labels: p.Labels,
	}
}

func (j *podJSON) pod() *Pod {
	return &Pod{
		Cluster: j.Cluster, Namespace: j.Namespace, Name: j.Name, UID: j.UID, Node: j.Node, For: j.For,
		Owner: j.Owner, Phase: j.Phase, Status: j.Status, Message: j.Message, Ready: j.Ready,
		Up: j.ContainersReady, Containers: j.Containers, Restarts: j.Restarts, RestartAt: j.RestartAt,
		Created: j.Created, ReadySince: j.ReadySince, DeleteAt: j.DeleteAt, IP: j.IP, Claims: j.Claims, Labels: j.Labels,
	}
}

// Read opens a document that MarshalJSON wrote and gives its facts and moment,
// ready for Assemble. What was judged in it is judged anew.
func Read(r io.Reader) (Facts, time.Time, error) {
	var d document
	if err := json.NewDecoder(r).Decode(&d); err != nil {
		return Facts{}, time.Time{}, fmt.Errorf("not a geotop document: %w", err)
	}
	if d.SchemaVersion != SchemaVersion {
		return Facts{}, time.Time{}, fmt.Errorf("schemaVersion is %d; this geotop reads %d", d.SchemaVersion, SchemaVersion)
	}
	if err := d.check(); err != nil {
		return Facts{}, time.Time{}, err
	}
	f := Facts{Changes: d.Timeline, LookedAt: d.LookedAt, Trails: d.Trails}
	if f.Trails != nil {
		f.Trails.tidy()
	}
	for _, c := range d.Clusters {
		f.Clusters = append(f.Clusters, d.cluster(c))
	}
	for _, t := range d.Tailnets {
		f.Tailnets = append(f.Tailnets, d.tailnet(t))
	}
	for _, s := range d.Backups.Stores {
		for _, src := range d.Sources {
			if src.Cluster == s.Cluster && src.Name == SourceStore+"/"+s.Target {
				s.Source = src
			}
		}
		f.Stores = append(f.Stores, *s)
	}
	for _, m := range d.Measured {
		for _, src := range d.Sources {
			if src.Cluster == m.Cluster && src.Name == m.Name {
				m.Source = src
			}
		}
		f.Ways = append(f.Ways, *m)
	}
	return f, d.GeneratedAt, nil
}

// check refuses lists with holes, which no later code looks out for.
func (d *document) check() error {
	for _, err := range d.holes() {
		if err != nil {
			return err
		}
	}
	for i, p := range d.Pods {
		if p.Spec != nil && (*p.Spec < 0 || *p.Spec >= len(d.PodSpecs)) {
			return fmt.Errorf("pods[%d].spec is %d; podSpecs has %d entries", i, *p.Spec, len(d.PodSpecs))
		}
	}
	return nil
}

func (d *document) holes() []error {
	return []error{
		holes("clusters", d.Clusters, func(c *Cluster) bool {
			return c != nil && c.Name != "" && !slices.Contains(c.APIServers, nil)
		}),
		holes("nodes", d.Nodes, func(n *Node) bool { return n != nil && n.NodeFact != nil && n.Name != "" }),
		holes("pods", d.Pods, func(p *podJSON) bool { return p != nil && p.Name != "" }),
		holes("events", d.Events, func(e *eventJSON) bool { return e != nil && e.Event != nil }),
		holes("timeline", d.Timeline, func(c *Change) bool { return c != nil }),
		holes("controllers", d.Controllers, func(c *Controller) bool { return c != nil && c.Name != "" }),
		holes("leases", d.Leases, func(l *leaseJSON) bool { return l != nil }),
		holes("tailnets", d.Tailnets, func(t *Tailnet) bool { return t != nil }),
		holes("peers", d.Peers, func(p *Peer) bool { return p != nil && p.PeerFact != nil && p.ID != "" }),
		holes("volumes", d.Volumes, func(v *Volume) bool { return v != nil && v.VolumeFact != nil && v.Name != "" && whole(v.Replicas) }),
		holes("longhorn.replicas", d.Longhorn.Orphans, func(r *Replica) bool { return r != nil && r.ReplicaFact != nil }),
		holes("longhorn.engines", d.Longhorn.Engines, func(e *Engine) bool { return e != nil }),
		holes("longhorn.nodes", d.Longhorn.Nodes, func(n *StorageNode) bool { return n != nil }),
		holes("longhorn.snapshots", d.Longhorn.Snapshots, func(s *Snapshot) bool { return s != nil }),
		holes("longhorn.settings", d.Longhorn.Settings, func(s *Setting) bool { return s != nil }),
		holes("backups.list", d.Backups.List, func(b *Backup) bool { return b != nil }),
		holes("backups.targets", d.Backups.Targets, func(t *BackupTarget) bool { return t != nil }),
		holes("backups.stores", d.Backups.Stores, wholeStore),
		holes("backups.volumes", d.Backups.Volumes, func(v *BackupVolume) bool { return v != nil }),
		holes("backups.jobs", d.Backups.Jobs, func(j *RecurringJob) bool { return j != nil }),
		holes("backups.system", d.Backups.System, func(s *SystemBackup) bool { return s != nil }),
		holes("backups.etcd", d.Backups.Etcd, func(s *EtcdSnapshot) bool { return s != nil }),
		holes("persistentVolumes", d.Persistent, func(v *PersistentVolume) bool { return v != nil && v.Name != "" }),
		holes("measured", d.Measured, func(f *WayFacts) bool { return f != nil }),
		holes("podSpecs", d.PodSpecs, func(s *PodSpec) bool { return s != nil }),
	}
}

func holes[T any](name string, items []T, whole func(T) bool) error {
	for i, it := range items {
		if !whole(it) {
			return fmt.Errorf("%s[%d] is empty or has no name", name, i)
		}
	}
	return nil
}

func wholeStore(s *StoreFacts) bool {
	return s != nil && (s.MinIO == nil || !slices.Contains(s.MinIO.Servers, nil))
}

func whole(replicas []*Replica) bool {
	return !slices.ContainsFunc(replicas, func(r *Replica) bool { return r == nil || r.ReplicaFact == nil })
}

// of takes what belongs to a cluster out of a list.
func of[T any](items []*T, cluster string, clusterOf func(*T) string) []*T {
	var own []*T
	for _, it := range items {
		if clusterOf(it) == cluster {
			own = append(own, it)
		}
	}
	return own
}

// longhorn takes one cluster's Longhorn facts out of the document.
func (d *document) longhorn(cluster string, source func(string) Source) LonghornFacts {
	f := LonghornFacts{
		Engines:       Section[Engine]{source(SourceEngines), of(d.Longhorn.Engines, cluster, func(e *Engine) string { return e.Cluster })},
		Nodes:         Section[StorageNode]{source(SourceStorageNodes), of(d.Longhorn.Nodes, cluster, func(n *StorageNode) string { return n.Cluster })},
		Backups:       Section[Backup]{source(SourceBackups), of(d.Backups.List, cluster, func(b *Backup) string { return b.Cluster })},
		BackupVolumes: Section[BackupVolume]{source(SourceBackupVolumes), of(d.Backups.Volumes, cluster, func(v *BackupVolume) string { return v.Cluster })},
		Targets:       Section[BackupTarget]{source(SourceBackupTargets), of(d.Backups.Targets, cluster, func(t *BackupTarget) string { return t.Cluster })},
		Jobs:          Section[RecurringJob]{source(SourceRecurringJobs), of(d.Backups.Jobs, cluster, func(j *RecurringJob) string { return j.Cluster })},
		SystemBackups: Section[SystemBackup]{source(SourceSystemBackups), of(d.Backups.System, cluster, func(s *SystemBackup) string { return s.Cluster })},
		Snapshots:     Section[Snapshot]{source(SourceSnapshots), of(d.Longhorn.Snapshots, cluster, func(s *Snapshot) string { return s.Cluster })},
		Settings:      Section[Setting]{source(SourceSettings), of(d.Longhorn.Settings, cluster, func(s *Setting) string { return s.Cluster })},
		Volumes:       Section[VolumeFact]{Source: source(SourceVolumes)},
		Replicas:      Section[ReplicaFact]{Source: source(SourceReplicas)},
	}
	for _, v := range d.Volumes {
		if v.Cluster != cluster {
			continue
		}
		f.Volumes.Items = append(f.Volumes.Items, v.VolumeFact)
		for _, r := range v.Replicas {
			f.Replicas.Items = append(f.Replicas.Items, r.ReplicaFact)
		}
	}
	for _, r := range of(d.Longhorn.Orphans, cluster, func(r *Replica) string { return r.Cluster }) {
		f.Replicas.Items = append(f.Replicas.Items, r.ReplicaFact)
	}
	return f
}

// cluster takes one cluster's facts out of the document.
func (d *document) cluster(c *Cluster) ClusterFacts {
	f := ClusterFacts{Name: c.Name, Server: c.Server, Configured: c.Configured, Version: c.Version}
	source := func(name string) Source {
		for _, s := range d.Sources {
			if s.Cluster == c.Name && s.Name == name {
				return s
			}
		}
		return Source{}
	}
	f.API = source(SourceAPI)
	f.Nodes.Source, f.Leases.Source, f.Pods.Source = source(SourceNodes), source(SourceLeases), source(SourcePods)
	f.APIServers = Section[APIServer]{source(SourceAPIServers), c.APIServers}
	f.NodeUsage.Source = source(SourceNodeUsage)
	f.Longhorn = d.longhorn(c.Name, source)
	f.EtcdSnapshots = Section[EtcdSnapshot]{source(SourceEtcdSnapshots), of(d.Backups.Etcd, c.Name, func(s *EtcdSnapshot) string { return s.Cluster })}
	f.PersistentVolumes = Section[PersistentVolume]{source(SourcePersistentVolumes), of(d.Persistent, c.Name, func(v *PersistentVolume) string { return v.Cluster })}
	f.Plans = Section[PlanRun]{source(SourcePlans), of(d.Plans, c.Name, func(r *PlanRun) string { return r.Plan.Cluster })}
	for _, n := range d.Nodes {
		if n.Cluster == c.Name {
			f.Nodes.Items = append(f.Nodes.Items, n.NodeFact)
			if n.Usage != nil {
				f.NodeUsage.Items = append(f.NodeUsage.Items, n.Usage)
			}
		}
	}
	for _, l := range d.Leases {
		if l.Cluster == c.Name {
			f.Leases.Items = append(f.Leases.Items, &Lease{l.Cluster, l.Node, duration(l.DurationSeconds), l.Renewed, l.Heard, l.Watched, l.CountFrom})
		}
	}
	for _, k := range ControllerKinds {
		s := Section[Controller]{Source: source(k.Source)}
		for _, ctl := range d.Controllers {
			if ctl.Cluster == c.Name && ctl.Kind == k.Kind {
				s.Items = append(s.Items, ctl)
			}
		}
		f.Controllers = append(f.Controllers, s)
	}
	f.Pods.Items = d.pods(c.Name)
	events := Section[Event]{Source: source(SourceEvents)}
	for _, e := range d.Events {
		if e.Cluster == c.Name {
			events.Items = append(events.Items, e.Event)
		}
	}
	f.Events = []Section[Event]{events, {Source: source(SourceNodeEvents)}}
	return f
}

// tailnet takes one tailnet's facts out of the document.
func (d *document) tailnet(t *Tailnet) TailnetFacts {
	f := TailnetFacts{Name: t.Name, Daemon: t.Daemon, Online: t.Online, Health: t.Health}
	for _, s := range d.Sources {
		switch s.Name {
		case SourceTailnet:
			f.Local = s
		case SourcePeers:
			f.Peers.Source = s
		case SourcePings:
			f.Pings.Source = s
		case SourceControl:
			f.Control = s
		}
	}
	for _, p := range d.Peers {
		if p.Tailnet != t.Name {
			continue
		}
		f.Peers.Items = append(f.Peers.Items, p.PeerFact)
		if p.Ping != nil {
			p.Ping.Peer = p.ID
			f.Pings.Items = append(f.Pings.Items, p.Ping)
		}
	}
	return f
}

func (d *document) pods(cluster string) []*Pod {
	pods := []*Pod{}
	for _, j := range d.Pods {
		if j.Cluster != cluster {
			continue
		}
		p := j.pod()
		if j.Spec != nil {
			p.Spec = d.PodSpecs[*j.Spec]
		}
		pods = append(pods, p)
	}
	slices.SortFunc(pods, ComparePods)
	return pods
}

func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// MarshalJSON writes the counts as an object by site.
func (c SiteCounts) MarshalJSON() ([]byte, error) {
	m := make(map[string]SiteCount, len(c))
	for _, s := range c {
		m[s.Site] = s
	}
	return json.Marshal(m)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (c *SiteCounts) UnmarshalJSON(b []byte) error {
	m := map[string]SiteCount{}
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	*c = nil
	for site, s := range m {
		s.Site = site
		*c = append(*c, s)
	}
	slices.SortFunc(*c, func(a, b SiteCount) int {
		if a.Site < b.Site {
			return -1
		}
		return 1
	})
	return nil
}
