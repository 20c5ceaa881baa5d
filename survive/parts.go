package survive

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/geotop/geotop/model"
)

func seconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}

// controlPlane says whether the cluster can still be changed.
func (c *cluster) controlPlane(lost []bool) model.PartVerdict {
	v := model.PartVerdict{Cluster: c.model.Name, Object: "cluster/" + c.model.Name}
	servers, serversLeft, voters := 0, 0, 0
	for i, n := range c.nodes {
		if n.ControlPlane {
			servers++
		}
		if n.ControlPlane && !lost[i] {
			serversLeft++
		}
		if n.Voter && !lost[i] {
			voters++
		}
	}
	switch {
	case servers == 0:
		v.Why = "none of its nodes has its control plane"
		v.Outcome = model.Undecided
		if len(c.nodes) > 0 && c.model.Datastore == model.DatastoreUnknown {
			v.Outcome, v.Why = model.Survives, "its control plane is not on its nodes"
		}
	case serversLeft == 0:
		v.Outcome, v.Why = model.Down, "no server is left: nothing is placed anew or can be changed; what runs elsewhere runs on"
	case c.model.Voters > 0 && voters < c.model.Quorum:
		v.Outcome = model.Down
		v.Why = fmt.Sprintf("%d of %d etcd voters are left, and %d are needed: nothing is placed anew or can be changed; what runs elsewhere runs on", voters, c.model.Voters, c.model.Quorum)
	case c.model.Voters > 0 && voters == c.model.Quorum && voters < c.model.Voters:
		v.Outcome, v.Why = model.Degraded, fmt.Sprintf("%d of %d etcd voters are left, just enough: the next one lost stops it", voters, c.model.Voters)
	case c.model.Voters > 0:
		v.Why = fmt.Sprintf("%d of %d etcd voters are left", voters, c.model.Voters)
	case c.model.Datastore == model.DatastoreExternal:
		v.Outcome, v.Why = model.Undecided, "its datastore is somewhere else, and where is not known"
	case serversLeft < servers:
		v.Outcome, v.Why = model.Undecided, fmt.Sprintf("%d of %d servers are left; where its datastore is, is not known", serversLeft, servers)
	default:
		v.Why = "its servers are elsewhere"
	}
	return v
}

// detach is how long Kubernetes waits until it takes a volume off a node that
// does not answer (attach/detach controller).
const detach = 6 * time.Minute

// volumes says what is left of each volume.
func (c *cluster) volumes(lost []bool) []part {
	parts := []part{}
	gone := func(name string) bool {
		n := c.names[name]
		return n == nil || lost[n.index]
	}
	for _, v := range c.world.Volumes {
		if v.Cluster != c.model.Name {
			continue
		}
		p := part{PartVerdict: model.PartVerdict{Cluster: v.Cluster, Object: "volume/" + v.Namespace + "/" + v.Title()}}
		left, had := 0, 0
		for _, r := range v.Replicas {
			if r.Healthy {
				had++
				if !gone(r.Node) {
					left++
				}
			}
		}
		there := v.Node != "" && gone(v.Node)
		p.touched = left < had || there
		switch {
		case had == 0:
			p.touched = false // that is so already, whatever is lost
		case left == 0:
			p.Outcome = model.DataLost
			p.Why, p.DataLoss = c.restorable(v)
		case there:
			p.Outcome = model.Interrupted
			p.Why = fmt.Sprintf("it is attached there; %d of %d copies are elsewhere", left, had)
		case left < had:
			p.Outcome, p.Why = model.Degraded, fmt.Sprintf("%d of %d copies are left", left, had)
		}
		parts = append(parts, p)
	}
	return parts
}

// restorable says what a volume that is gone could be restored from.
func (c *cluster) restorable(v *model.Volume) (why string, age *float64) {
	const gone = "no copy is left elsewhere"
	switch v.Backup.State {
	case model.BackupVerified:
		at := c.world.At.Sub(v.Backup.At)
		return gone + "; there is a verified backup from " + model.Ago(at) + " ago", seconds(at)
	case model.BackupClaimed:
		at := c.world.At.Sub(v.Backup.At)
		return gone + "; a backup from " + model.Ago(at) + " ago is claimed, nobody has seen it", seconds(at)
	case model.BackupNone:
		return gone + ", and there is no backup", nil
	default:
		return gone + ", and its backup is " + string(v.Backup.State), nil
	}
}

// workloads sums up the pods' fates, for the workloads that notice.
func (p *played) workloads(disks []part) []model.PartVerdict {
	byClaim := map[string]*part{}
	for i := range disks {
		byClaim[disks[i].Object] = &disks[i]
	}
	by := map[*model.Workload]*tally{}
	order := []*tally{}
	of := func(wl *model.Workload) *tally {
		if by[wl] == nil {
			by[wl] = &tally{owner: wl, PartVerdict: model.PartVerdict{Cluster: wl.Cluster, Object: wl.Object(), Stay: p.state.ready[wl]}}
			order = append(order, by[wl])
		}
		return by[wl]
	}
	for _, e := range p.ends {
		wl := e.pod.owner
		if wl == nil {
			continue
		}
		t := of(wl)
		p.needVolumes(t, e, byClaim)
		t.add(e)
	}
	for _, o := range p.state.claimers {
		if e := p.bereft(o, byClaim); e != nil {
			of(o.owner).add(e)
		}
	}
	list := []model.PartVerdict{}
	for _, t := range order {
		if t.judge() {
			list = append(list, t.PartVerdict)
		}
	}
	settleVolumes(disks)
	return list
}

// tally is one workload's verdict, while its pods are counted.
type tally struct {
	model.PartVerdict
	owner   *model.Workload
	touched bool
	why     string // what keeps the first pod away
	unsure  string // a claim of a pod that comes back, of which it is not known where it can be used
	when    timing
}

// bereft gives the fate of a pod that would run on, but for its volume.
func (p *played) bereft(o *pod, disks map[string]*part) *end {
	if o.node == nil || p.state.lost[o.node.index] || o.ends || o.owner == nil {
		return nil
	}
	for _, claim := range o.kind.claims {
		if d := disks["volume/"+o.fact.Namespace+"/"+claim]; d != nil && d.touched && d.Outcome == model.DataLost {
			return &end{pod: o, fate: ends, node: o.node, why: "its volume " + claim + " is gone"}
		}
	}
	return nil
}

// needVolumes has a pod that comes back elsewhere wait for its volumes, and its
// volumes for a pod that comes back.
func (p *played) needVolumes(t *tally, e *end, disks map[string]*part) {
	attached := []*part{}
	for _, claim := range e.pod.kind.claims {
		d := disks["volume/"+e.pod.fact.Namespace+"/"+claim]
		switch {
		case d == nil || !d.touched:
		case d.Outcome == model.DataLost && e.fate == moves:
			e.fate, e.node, e.why = pends, nil, "its volume "+claim+" is gone"
		case d.Outcome == model.Interrupted:
			attached = append(attached, d)
		}
	}
	if e.fate == moves && len(attached) > 0 {
		e.after += p.released(e.pod)
	}
	for _, d := range attached {
		d.user = t
		switch e.fate {
		case moves, starts:
			var back timing
			back.add(e)
			d.back = longer(d.back, back.seconds())
		case pends, hangs, away, waited:
			d.kept = cmp.Or(d.kept, e.why, "nothing is known of why")
		}
	}
}

// settleVolumes says of volumes that are attached to a lost machine when, and if,
// they are of use again.
func settleVolumes(disks []part) {
	for i := range disks {
		d := &disks[i]
		switch {
		case !d.touched || d.Outcome != model.Interrupted:
		case d.back != nil:
			d.Recovery = d.back
		case d.kept != "":
			d.Outcome, d.Why = model.Down, d.Why+", and the pod that uses it does not come back: "+d.kept
		default:
			d.Recovery = seconds(detach) // nothing is known to use it
		}
		if d.touched && d.user != nil && d.user.Outcome <= model.Degraded {
			d.Outcome = min(d.Outcome, model.Degraded) // the others of its workload go on without
		}
	}
}

// released is how long after a pod has another elsewhere its volume has let go of
// the machine that is lost.
func (p *played) released(o *pod) time.Duration {
	switch {
	case !p.state.freed(o):
		return detach
	case o.fact.Owner.Kind == "StatefulSet":
		return 0 // it had to end before there could be another
	default:
		return ending
	}
}

// add counts one pod's fate.
func (t *tally) add(e *end) {
	if e.fate == waited || e.fate == starts {
		return
	}
	if e.pod.fact.Ready && !e.pod.ends {
		t.Stay--
	}
	switch e.fate {
	case moves:
		t.Move++
		t.unsure = cmp.Or(t.unsure, e.pod.kind.unsure)
		t.when.add(e)
		t.Recovery = t.when.seconds()
	case pends:
		t.Pend++
	case hangs:
		t.Hang++
	default:
		if e.pod.ends {
			return // it was on its way out already
		}
		t.Gone++
	}
	t.touched = true
	if e.fate != moves && t.why == "" {
		t.why = e.why
	}
}

// judge gives the verdict, and whether the workload notices anything.
func (t *tally) judge() bool {
	missing := t.Pend + t.Hang + t.Gone
	switch {
	case !t.touched:
		return false
	case t.owner.Kind == "DaemonSet" && t.Stay > 0:
		return false // its pods elsewhere are all it wants
	case t.Stay+t.Move == 0:
		t.Outcome, t.Why = model.Down, cmp.Or(t.why, "none of its pods is left")
	case t.unsure != "":
		t.Outcome, t.Recovery = model.Undecided, nil
		t.Why = "where its volume " + t.unsure + " can be used is not known: geotop may not list persistentvolumes"
	case t.Stay == 0:
		t.Outcome, t.Why = model.Interrupted, "all its pods are there; back elsewhere after "+t.back()
		if missing > 0 {
			t.Why += fmt.Sprintf(", %d fewer: %s", missing, t.why)
		}
	case missing > 0:
		t.Outcome, t.Why = model.Degraded, fmt.Sprintf("%s fewer: %s", some(missing, "pod"), t.why)
	default:
		t.Why = fmt.Sprintf("%s runs on; what it lost is back after %s", some(t.Stay, "pod"), t.back())
		if t.Stay > 1 {
			t.Why = strings.Replace(t.Why, "runs", "run", 1)
		}
	}
	return true
}

// back is when its last pod that comes back is.
func (t *tally) back() string { return model.Ago(time.Duration(*t.Recovery * float64(time.Second))) }

func some(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// stores says whether backups can still be written and read.
func (a *Analysis) stores(sites []string) []model.PartVerdict {
	parts := []model.PartVerdict{}
	for _, f := range a.world.Stores {
		v := model.PartVerdict{Cluster: f.Cluster, Object: model.SourceStore + "/" + f.Target, Outcome: model.Undecided}
		if f.MinIO == nil || len(f.MinIO.Servers) == 0 {
			v.Why = "where its servers are is not known"
			parts = append(parts, v)
			continue
		}
		v.Outcome, v.Why = a.erasure(f.MinIO, sites)
		parts = append(parts, v)
	}
	return parts
}

// set is one erasure set: a stripe of drives, of which some may be lost.
type set struct{ drives, left, unplaced int }

// erasure counts what drives are left of each erasure set. To be read, a set
// needs all but its parity; to be written one more, where the parity is half.
func (a *Analysis) erasure(m *model.StoreCluster, sites []string) (model.Outcome, string) {
	type key struct{ pool, set int }
	sets := map[key]*set{}
	for _, s := range m.Servers {
		site := a.world.Site(s.Site)
		lost := slices.Contains(sites, s.Site) || !s.Online || site != nil && site.LastKnown == model.SiteDark
		for _, d := range s.Drives {
			k := key{d.Pool, d.Set}
			if sets[k] == nil {
				sets[k] = &set{}
			}
			sets[k].drives++
			switch {
			case s.Site == "" && s.Online:
				sets[k].unplaced++
			case !lost && d.Good():
				sets[k].left++
			}
		}
	}
	worst, why := model.Survives, "its erasure sets keep their quorum"
	for _, s := range sets {
		read := s.drives - m.Parity
		write := read
		if 2*m.Parity == s.drives {
			write++
		}
		o, text := model.Survives, why
		switch {
		case s.left >= write:
		case s.left+s.unplaced >= write:
			o, text = model.Undecided, "where some of its servers are is not known"
		case s.left >= read:
			o, text = model.Degraded, fmt.Sprintf("%d of %d drives of a set are left, enough to read and not to write: backups fail", s.left, s.drives)
		default:
			o, text = model.Down, fmt.Sprintf("%d of %d drives of a set are left, and %d are needed: no backup can be read", s.left, s.drives, read)
		}
		if o > worst {
			worst, why = o, text
		}
	}
	return worst, why
}
