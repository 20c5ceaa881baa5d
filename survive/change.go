package survive

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

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
		for _, l := range ills(func(v *model.Verdict) []model.PartVerdict { return v.ObjectStore }) {
			list = append(list, c.forStore(l)...)
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
	shelf := c.world.Shelf()
	for _, s := range c.world.Sites {
		node, _, _ := shelf.Best(v, s.Name)
		n := c.world.Node(v.Cluster, node)
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

// forStore is a server of the store in a house with fewer of them. Sets are as large
// as they were made, so a server more would not help.
func (c *cluster) forStore(l *ill) []*change {
	at := slices.IndexFunc(c.world.Stores, func(f *model.StoreFacts) bool {
		return f.Cluster == l.cluster && model.SourceStore+"/"+f.Target == l.object
	})
	if at < 0 || c.world.Stores[at].MinIO == nil {
		return nil
	}
	servers := c.world.Stores[at].MinIO.Servers
	in := map[string]int{}
	for _, s := range servers {
		in[s.Site]++
	}
	list, moved := []*change{}, map[string]bool{}
	for i, s := range servers {
		if s.Site == "" || moved[s.Site] {
			continue
		}
		moved[s.Site] = true
		for _, to := range c.world.Sites {
			if to.LastKnown == model.SiteDark || to.Name == model.UnknownSite || in[s.Site] <= in[to.Name]+1 {
				continue
			}
			words := fmt.Sprintf("move %s from %s to %s", s.Endpoint, s.Site, to.Name)
			list = append(list, l.change(model.FixServer, words, "with its drives, or let them heal there", func(w *model.World) *model.World {
				return edited(w, func(w *model.World) {
					w.Stores = with(w.Stores, at, func(f *model.StoreFacts) {
						m := *f.MinIO
						m.Servers = with(m.Servers, i, func(s *model.StoreServer) { s.Site, s.Node = to.Name, "" })
						f.MinIO = &m
					})
				})
			}))
		}
	}
	return list
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
