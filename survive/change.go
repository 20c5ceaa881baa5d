package survive

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/geotop/geotop/model"
)

// ill is what the losses do to one thing.
type ill struct {
	partKey
	worth   int
	sites   []string // whose loss it is
	worst   model.Outcome
	pends   bool
	hangs   bool
	forGood bool // it is lost, and nothing could be restored
}

// changes lists what could be done about the verdicts. Whether it helps is for try
// to find out.
func (a *Analysis) changes(verdicts []*model.Verdict) []*change {
	list := []*change{}
	for i, c := range a.clusters {
		ills := func(of func(*model.Verdict) []model.PartVerdict) []*ill { return illsOf(verdicts, c.model.Name, of) }
		for _, l := range ills(func(v *model.Verdict) []model.PartVerdict { return v.Volumes }) {
			list = append(list, c.forVolume(l)...)
		}
		freed, short := 0, 0
		for _, l := range ills(func(v *model.Verdict) []model.PartVerdict { return v.Workloads }) {
			list = append(list, a.forWorkload(i, l)...)
			if l.hangs {
				freed += l.worth
			}
			if l.pends {
				short += l.worth
			}
		}
		if freed > 0 {
			list = append(list, c.forHanging(freed)...)
		}
		if short > 0 {
			list = append(list, c.forRoom(short)...)
		}
		for _, l := range ills(func(v *model.Verdict) []model.PartVerdict { return v.ControlPlane }) {
			list = append(list, c.forQuorum(l)...)
		}
	}
	return list
}

// illsOf gathers what is not well in any of the verdicts, by object.
func illsOf(verdicts []*model.Verdict, cluster string, of func(*model.Verdict) []model.PartVerdict) []*ill {
	by := map[string]*ill{}
	list := []*ill{}
	for _, v := range verdicts {
		parts := of(v)
		for i := range parts {
			p := &parts[i]
			if p.Cluster != cluster || p.Outcome == model.Survives {
				continue
			}
			l := by[p.Object]
			if l == nil {
				l = &ill{partKey: partKey{cluster, p.Object}}
				by[p.Object], list = l, append(list, l)
			}
			l.worth += p.Hurt()
			l.sites = append(l.sites, v.Lost...)
			l.worst = max(l.worst, p.Outcome)
			l.pends, l.hangs = l.pends || p.Pend > 0, l.hangs || p.Hang > 0
			l.forGood = l.forGood || p.Outcome == model.DataLost && p.DataLoss == nil
		}
	}
	return list
}

func (l *ill) change(kind model.FixKind, words, how string, made func(*model.World) *model.World) *change {
	return &change{model.Fix{Cluster: l.cluster, Kind: kind, Object: l.object, Change: words, How: how}, l.worth, made}
}

// edited is a copy of the World to change lists in.
func edited(w *model.World, edit func(*model.World)) *model.World {
	with := *w
	edit(&with)
	return &with
}

// with gives a copy of the list with one of its items changed.
func with[T any](list []*T, at int, edit func(*T)) []*T {
	list = slices.Clone(list)
	item := *list[at]
	edit(&item)
	list[at] = &item
	return list
}

// forVolume is what can be done about a volume that would be lost: another copy
// elsewhere, and a backup.
func (c *cluster) forVolume(l *ill) []*change {
	at := slices.IndexFunc(c.world.Volumes, func(v *model.Volume) bool {
		return v.Cluster == l.cluster && "volume/"+v.Namespace+"/"+v.Title() == l.object
	})
	if at < 0 || l.worst < model.DataLost {
		return nil
	}
	v := c.world.Volumes[at]
	list := []*change{}
	if l.forGood && c.world.BacksUp(l.cluster) {
		list = append(list, l.change(model.FixBackup, "back it up", "there is no backup to restore it from", func(w *model.World) *model.World {
			return edited(w, func(w *model.World) {
				w.Volumes = with(w.Volumes, at, func(v *model.Volume) {
					v.Backup = model.LastBackup{At: w.At, State: model.BackupVerified}
				})
			})
		}))
	}
	for _, s := range c.world.Sites {
		n := c.roomFor(v, s.Name)
		if n == nil || slices.Contains(v.Sites, s.Name) {
			continue
		}
		kind, words, how := model.FixCopy, "keep a copy in "+s.Name+", too", fmt.Sprintf("numberOfReplicas: %d; %s has room for it", v.Wanted+1, n.Name)
		if from, two := doubled(v); two {
			kind, words, how = model.FixMoveCopy, fmt.Sprintf("move a copy from %s to %s", from, s.Name), n.Name+" has room for it"
		}
		list = append(list, l.change(kind, words, how, func(w *model.World) *model.World {
			return edited(w, func(w *model.World) {
				w.Volumes = with(w.Volumes, at, func(v *model.Volume) {
					fact := &model.ReplicaFact{Cluster: v.Cluster, Volume: v.Name, Node: n.Name}
					v.Replicas = append(slices.Clone(v.Replicas), &model.Replica{ReplicaFact: fact, Site: n.Site, Health: model.ReplicaHealthy, Healthy: true})
				})
			})
		}))
	}
	return list
}

// doubled gives a site that has two healthy copies of the volume.
func doubled(v *model.Volume) (site string, two bool) {
	seen := map[string]bool{}
	for _, r := range v.Replicas {
		if r.Healthy && seen[r.Site] {
			return r.Site, true
		}
		seen[r.Site] = seen[r.Site] || r.Healthy
	}
	return "", false
}

// roomFor is the machine of the site whose disk has the most room for a copy of
// the volume, by Longhorn's own rules; nil for none.
func (c *cluster) roomFor(v *model.Volume, site string) *model.Node {
	var best *model.Node
	most := int64(-1)
	over, least := c.percent("storage-over-provisioning-percentage", 100), c.percent("storage-minimal-available-percentage", 25)
	for _, s := range c.world.StorageNodes {
		n := c.names[s.Name]
		if s.Cluster != c.model.Name || n == nil || n.dead || n.Site != site || !s.Ready || !s.Schedulable || !s.Scheduling || s.Evicting || !has(s.Tags, v.NodeSelector) {
			continue
		}
		for _, d := range s.Disks {
			if !d.Ready || !d.Schedulable || !d.Scheduling || d.Evicting || !has(d.Tags, v.DiskSelector) {
				continue
			}
			if d.Available-v.ActualSize <= d.Max/100*least || d.Scheduled+v.Size > (d.Max-d.Reserved)/100*over {
				continue
			}
			if d.Available > most {
				most, best = d.Available, n.Node
			}
		}
	}
	return best
}

func has(tags, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(t string) bool { return !slices.Contains(tags, t) })
}

// percent reads one of Longhorn's settings, which may be one for each data engine.
func (c *cluster) percent(name string, otherwise int64) int64 {
	value := c.world.Setting(c.model.Name, name)
	byEngine := map[string]string{}
	if json.Unmarshal([]byte(value), &byEngine) == nil {
		value = byEngine["v1"]
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil && n >= 0 && n <= 10000 {
		return n
	}
	return otherwise
}

// forHanging is Longhorn's own cure for pods that hang on a machine that is down.
func (c *cluster) forHanging(worth int) []*change {
	if len(c.ours) == 0 || c.frees["StatefulSet"] && c.frees["ReplicaSet"] {
		return nil
	}
	fix := model.Fix{Cluster: c.model.Name, Kind: model.FixPolicy, Object: "setting/" + model.SettingPodDeletion, Change: "have Longhorn free what hangs on dead machines", How: model.SettingPodDeletion + ": " + model.FreesBoth}
	return []*change{{fix, worth, func(w *model.World) *model.World {
		return w.WithSetting(c.model.Name, model.SettingPodDeletion, model.FreesBoth)
	}}}
}

// forRoom is a machine more, in each of the sites.
func (c *cluster) forRoom(worth int) []*change {
	var largest *node
	for _, n := range c.nodes {
		if largest == nil || n.room.memory > largest.room.memory {
			largest = n
		}
	}
	list := []*change{}
	seen := map[string]bool{}
	for _, n := range c.nodes {
		if n.dead || seen[n.Site] || largest == nil {
			continue
		}
		seen[n.Site] = true
		fact := *n.NodeFact
		fact.Name, fact.Taints, fact.Unschedulable, fact.Allocatable = "(one more)", nil, false, largest.Allocatable
		fact.Labels = map[string]string{}
		for k, v := range n.Labels {
			if !strings.Contains(k, "node-role.kubernetes.io/") {
				fact.Labels[k] = v
			}
		}
		fact.Labels[corev1.LabelHostname] = fact.Name
		more := &model.Node{NodeFact: &fact, Site: n.Site, Region: n.Region, State: model.NodeReady}
		words := fmt.Sprintf("one machine more, with %s CPUs and %s", strconv.FormatFloat(float64(largest.room.cpu)/1000, 'f', -1, 64), size(largest.room.memory))
		fix := model.Fix{Cluster: c.model.Name, Kind: model.FixMachine, Object: "site/" + n.Site, Change: words, How: "as large as " + largest.Name}
		list = append(list, &change{fix, worth / 2, func(w *model.World) *model.World {
			return edited(w, func(w *model.World) { w.Nodes = append(slices.Clone(w.Nodes), more) })
		}})
	}
	return list
}

// size is an amount of memory, rounded.
func size(bytes int64) string { return fmt.Sprintf("%.0f GiB", float64(bytes)/(1<<30)) }

// forQuorum moves etcd members, or adds some.
func (c *cluster) forQuorum(l *ill) []*change {
	sites, voters, spare := c.electorate()
	list := []*change{}
	elect := func(words, how string, leave *node, join ...*node) {
		list = append(list, l.change(model.FixVoter, words, how, func(w *model.World) *model.World { return c.elect(w, leave, join...) }))
	}
	for _, to := range sites {
		at := spare[to]
		if at == nil {
			continue
		}
		for _, from := range sites {
			if leave := leaver(voters[from]); leave != nil && (leave.dead || len(voters[from]) > len(voters[to])+1) {
				elect(fmt.Sprintf("move the etcd member of %s to %s, in %s", leave.Name, at.Name, to), "join "+at.Name+" as a server first, then take "+leave.Name+" out", leave, at)
			}
		}
		if c.model.Voters > 1 && c.model.Voters%2 == 0 {
			elect(fmt.Sprintf("one etcd member more, on %s in %s", at.Name, to), "join it as a server", nil, at)
		}
	}
	if join := c.threeServers(sites, spare); len(join) > 0 {
		elect("three servers with etcd: "+join[0].Name+" and "+join[1].Name+" beside the one there is", "join them as servers, in three houses", nil, join...)
	}
	return list
}

// electorate is the sites, those with the fewest voters first, their voters, and the
// largest machine of each that could become one.
func (c *cluster) electorate() (sites []string, voters map[string][]*node, spare map[string]*node) {
	voters, spare = map[string][]*node{}, map[string]*node{}
	for _, n := range c.nodes {
		if !slices.Contains(sites, n.Site) {
			sites = append(sites, n.Site)
		}
		switch {
		case n.Voter:
			voters[n.Site] = append(voters[n.Site], n)
		case !n.dead && n.Site != model.UnknownSite && (spare[n.Site] == nil || n.room.memory > spare[n.Site].room.memory):
			spare[n.Site] = n
		}
	}
	slices.SortStableFunc(sites, func(a, b string) int { return cmp.Compare(len(voters[a]), len(voters[b])) })
	return sites, voters, spare
}

// leaver is the voter of a site that had better be elsewhere: one that is dead, else
// the last.
func leaver(voters []*node) *node {
	for _, n := range voters {
		if n.dead {
			return n
		}
	}
	if len(voters) == 0 {
		return nil
	}
	return voters[len(voters)-1]
}

// threeServers picks two machines in other sites than that of the only server; nil
// when there is more than one, or none, or its datastore is elsewhere.
func (c *cluster) threeServers(sites []string, spare map[string]*node) []*node {
	home := ""
	for _, n := range c.nodes {
		if n.ControlPlane {
			home = n.Site
		}
	}
	if home == "" || c.model.Voters > 1 || c.model.Datastore == model.DatastoreExternal {
		return nil
	}
	join := []*node{}
	for _, s := range sites {
		if s != home && spare[s] != nil && len(join) < 2 {
			join = append(join, spare[s])
		}
	}
	if len(join) < 2 {
		return nil
	}
	return join
}

// elect makes machines servers with a voter, and takes it from another. A cluster
// that had no etcd gets one, on its servers.
func (c *cluster) elect(w *model.World, leave *node, join ...*node) *model.World {
	return edited(w, func(w *model.World) {
		first := c.model.Voters == 0
		voters := 0
		for i, n := range w.Nodes {
			if n.Cluster != c.model.Name {
				continue
			}
			joins := slices.ContainsFunc(join, func(j *node) bool { return j.Node == n })
			switch {
			case joins, first && n.ControlPlane:
				w.Nodes = with(w.Nodes, i, func(n *model.Node) { n.Voter, n.ControlPlane = true, true })
			case leave != nil && leave.Node == n:
				w.Nodes = with(w.Nodes, i, func(n *model.Node) { n.Voter, n.ControlPlane = false, false })
			}
			if w.Nodes[i].Voter {
				voters++
			}
		}
		at := slices.Index(w.Clusters, c.model)
		w.Clusters = with(w.Clusters, at, func(m *model.Cluster) {
			m.Datastore, m.Voters, m.Quorum = model.DatastoreEtcd, voters, voters/2+1
		})
	})
}

// forWorkload lets pods run in other places, or more of them.
func (a *Analysis) forWorkload(at int, l *ill) []*change {
	c := a.clusters[at]
	pods := c.podsOf(l.object)
	if len(pods) == 0 {
		return nil
	}
	list := []*change{}
	spec, kind := pods[0].Spec, pods[0].Owner.Kind
	claims := len(pods[0].Claims) > 0
	key := c.siteLabel()
	switch {
	case kind != "ReplicaSet" && kind != "StatefulSet" || key == "":
	case len(pods) > 1 && (kind == "StatefulSet" || !claims) && !spreads(spec, key):
		list = append(list, l.change(model.FixSpread, "spread it over houses", softSpread+key, a.respec(at, l.object, 0, spreadOver(spec, key, pods[0].Labels))))
	case len(pods) == 1 && kind == "ReplicaSet" && !claims:
		list = append(list, l.change(model.FixReplicas, "run 2, spread over houses", "replicas: 2; "+softSpread+key, a.respec(at, l.object, 1, spreadOver(spec, key, pods[0].Labels))))
	}
	if !l.pends {
		return list
	}
	if freer := unpinned(spec); freer != nil {
		list = append(list, l.change(model.FixSelector, "let it run on other machines", "its node selector or required node affinity holds it where it is", a.respec(at, l.object, 0, freer)))
	}
	if softer := yielding(spec); softer != nil {
		list = append(list, l.change(model.FixConstraint, "let its spread constraint give way", "whenUnsatisfiable: ScheduleAnyway", a.respec(at, l.object, 0, softer)))
	}
	for _, claim := range pods[0].Claims {
		v := c.claims[pods[0].Namespace+"/"+claim]
		if v == nil || v.Affinity == nil {
			continue
		}
		list = append(list, l.change(model.FixVolume, "keep its volume where other houses can use it", claim+" is bound to some machines", func(w *model.World) *model.World {
			return edited(w, func(w *model.World) {
				w.PersistentVolumes = with(w.PersistentVolumes, slices.Index(w.PersistentVolumes, v), func(v *model.PersistentVolume) { v.Affinity = nil })
			})
		}))
	}
	return list
}

const softSpread = "topologySpreadConstraints: whenUnsatisfiable: ScheduleAnyway, topologyKey: "

// podsOf is the workload's pods that count.
func (c *cluster) podsOf(object string) []*model.Pod {
	list := []*model.Pod{}
	for _, p := range c.pods {
		if p.owner != nil && p.owner.Object() == object && p.fact.Counts() {
			list = append(list, p.fact)
		}
	}
	return list
}

// siteLabel is the label that tells the cluster's houses apart for Kubernetes; ""
// when none does.
func (c *cluster) siteLabel() string {
	for _, label := range model.SiteLabels {
		if slices.ContainsFunc(c.nodes, func(n *node) bool { return n.Labels[label] != "" && n.Labels[label] == n.Site }) {
			return label
		}
	}
	return ""
}

func spreads(spec *model.PodSpec, key string) bool {
	return slices.ContainsFunc(spec.Spread, func(c corev1.TopologySpreadConstraint) bool { return c.TopologyKey == key })
}

// spreadOver adds a constraint that gives way rather than keep a pod waiting.
func spreadOver(spec *model.PodSpec, key string, labels map[string]string) *model.PodSpec {
	s := *spec
	own := map[string]string{}
	for name, value := range labels {
		if !slices.Contains(ownLabels, name) {
			own[name] = value
		}
	}
	s.Spread = append(slices.Clone(s.Spread), corev1.TopologySpreadConstraint{
		MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: &metav1.LabelSelector{MatchLabels: own},
	})
	return &s
}

// ownLabels are those that controllers put on, which differ between a workload's pods.
var ownLabels = []string{"pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index", "pod-template-generation"}

// unpinned takes off what holds pods to machines, but for what the machines are;
// nil when nothing does.
func unpinned(spec *model.PodSpec) *model.PodSpec {
	s := *spec
	s.NodeSelector = map[string]string{}
	for name, value := range spec.NodeSelector {
		if name == corev1.LabelArchStable || name == corev1.LabelOSStable {
			s.NodeSelector[name] = value
		}
	}
	held := len(s.NodeSelector) < len(spec.NodeSelector)
	if a := spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil && !asksForArch(a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution) {
		free, node := *a, *a.NodeAffinity
		node.RequiredDuringSchedulingIgnoredDuringExecution = nil
		free.NodeAffinity = &node
		s.Affinity, held = &free, true
	}
	if !held {
		return nil
	}
	return &s
}

func asksForArch(sel *corev1.NodeSelector) bool {
	for _, t := range sel.NodeSelectorTerms {
		for _, e := range t.MatchExpressions {
			if e.Key == corev1.LabelArchStable || e.Key == corev1.LabelOSStable {
				return true
			}
		}
	}
	return false
}

// yielding has required spread constraints give way; nil when there are none.
func yielding(spec *model.PodSpec) *model.PodSpec {
	s := *spec
	s.Spread = slices.Clone(spec.Spread)
	some := false
	for i := range s.Spread {
		if s.Spread[i].WhenUnsatisfiable == corev1.DoNotSchedule {
			s.Spread[i].WhenUnsatisfiable, s.Spread[i].MinDomains = corev1.ScheduleAnyway, nil
			some = true
		}
	}
	if !some {
		return nil
	}
	return &s
}

// respec gives the workload's pods another spec, and rolls it out: they are placed
// anew, and some more of them. It gives nil when there is no room for them.
func (a *Analysis) respec(at int, object string, more int, spec *model.PodSpec) func(*model.World) *model.World {
	return func(w *model.World) *model.World {
		theirs := []*model.Pod{} // copies, in the World that is made
		rolled := edited(w, func(w *model.World) {
			w.Pods = slices.Clone(w.Pods)
			for i, p := range w.Pods {
				if wl := w.WorkloadOf(p); p.Cluster != a.clusters[at].model.Name || wl == nil || wl.Object() != object || !p.Counts() {
					continue
				}
				anew := *p
				anew.Spec, anew.Node = spec, ""
				w.Pods[i] = &anew
				theirs = append(theirs, &anew)
			}
			for n := range more {
				another := *theirs[0]
				another.Name = fmt.Sprintf("%s (%d more)", another.Name, n+1)
				w.Pods = append(w.Pods, &another)
				theirs = append(theirs, &another)
			}
		})
		c := gather(rolled, a.clusters[at].model)
		now := c.lost(nil)
		s := c.begin(now)
		copy(s.shut, now)
		for _, p := range theirs {
			to, _ := s.place(&pod{fact: p, kind: c.kind(p), owner: rolled.WorkloadOf(p)})
			if to < 0 {
				return nil
			}
			p.Node = c.nodes[to].Name
		}
		return rolled
	}
}
