package model

import (
	"encoding/json"
	"slices"
	"strconv"
)

// Move is a copy of a volume that goes from a site that has two to one that has none.
type Move struct {
	Volume *Volume
	Copy   *Replica // the one that is deleted once the new one is whole
	From   string   // its site
	To     string   // the site of the new copy
	Node   string   // the machine there with the most room; Longhorn may take another
	Bytes  int64    // to copy
	Link   *Link    // the way the bytes take; nil when nobody measured it
}

// Left is a volume that could be spread better and is left alone, and why.
type Left struct {
	Volume *Volume
	Why    string
}

// Rebalance plans to put each volume's copies into as many sites as it has copies:
// one move at a time, each to where there is the most room by Longhorn's rules with
// all moves before it done. It never takes a copy from a site that has only one.
// Volumes, when any are named, and site, when not "", say of which to move copies.
func (w *World) Rebalance(volumes []*Volume, site string) (moves []Move, left []Left) {
	if volumes == nil {
		volumes = w.Volumes
	}
	shelf := w.Shelf()
	for _, v := range volumes {
		in := map[string][]*Replica{}
		for _, r := range v.Replicas {
			in[r.Site] = append(in[r.Site], r)
		}
		for {
			crowded := crowdedSite(in, site)
			if crowded == "" {
				break
			}
			if why := w.notMovable(v); why != "" {
				left = append(left, Left{v, why})
				break
			}
			m := w.moveFrom(v, in, crowded, shelf)
			if m == nil {
				left = append(left, Left{v, "no other house has room for a copy"})
				break
			}
			moves = append(moves, *m)
			in[crowded] = slices.DeleteFunc(slices.Clone(in[crowded]), func(r *Replica) bool { return r == m.Copy })
			in[m.To] = []*Replica{m.Copy}
		}
	}
	return moves, left
}

// crowdedSite is the site with the most copies, if those are two or more; the first
// by name of equals.
func crowdedSite(in map[string][]*Replica, only string) string {
	best := ""
	for site, list := range in {
		if site == "" || len(list) < 2 || only != "" && site != only {
			continue
		}
		if best == "" || len(list) > len(in[best]) || len(list) == len(in[best]) && site < best {
			best = site
		}
	}
	return best
}

// notMovable says why no copy of the volume may be moved now, "" when one may.
func (w *World) notMovable(v *Volume) string {
	whole := 0
	for _, r := range v.Replicas {
		if r.Healthy {
			whole++
		}
	}
	switch {
	case v.Deleting || v.Standby || v.Restoring || v.Expanding || v.Migrating != "" || v.Sharded:
		return "it is being restored, expanded, moved or deleted, or is a standby volume"
	case !v.Attached():
		return "it is detached: Longhorn makes copies of attached volumes only"
	case v.Robustness != "healthy" || whole != len(v.Replicas) || whole != v.Wanted:
		return "not all of its copies are healthy"
	case v.Image != "" && v.CurrentImage != "" && v.Image != v.CurrentImage:
		return "its engine is being upgraded"
	case v.DataLocality == "strict-local":
		return "its data locality is strict-local"
	case v.Wanted+1 > mostReplicas:
		return "it has as many copies as Longhorn allows"
	case v.Running != nil:
		return "it is being backed up"
	case w.Setting(v.Cluster, "concurrent-replica-rebuild-per-node-limit") == "0":
		return "Longhorn's concurrent-replica-rebuild-per-node-limit is 0: it rebuilds nothing"
	default:
		return ""
	}
}

// mostReplicas is how many copies a volume may have.
const mostReplicas = 20

// moveFrom picks the copy to give up and the site for the new one: one that is
// reached directly before one that is relayed, then the one with the most room.
func (w *World) moveFrom(v *Volume, in map[string][]*Replica, from string, shelf *Shelf) *Move {
	var best *Move
	bestDisk, bestRoom := "", int64(0)
	for _, s := range w.Sites {
		if s.Name == UnknownSite || len(in[s.Name]) > 0 {
			continue
		}
		node, disk, room := shelf.Best(v, s.Name)
		if node == "" {
			continue
		}
		link := w.linkBetween(v.Site, s.Name)
		relayed := link != nil && link.Path == PathDERP
		bestRelayed := best != nil && best.Link != nil && best.Link.Path == PathDERP
		if best == nil || relayed != bestRelayed && !relayed || relayed == bestRelayed && room > bestRoom {
			best, bestDisk, bestRoom = &Move{Volume: v, From: from, To: s.Name, Node: node, Bytes: v.ActualSize, Link: link}, disk, room
		}
	}
	if best == nil {
		return nil
	}
	best.Copy = victim(v, in[from])
	shelf.put(v, best.Node, bestDisk)
	shelf.take(v, best.Copy)
	return best
}

// victim is the copy to give up of those in one site: not the one beside the engine,
// and of the others one that shares its machine.
func victim(v *Volume, list []*Replica) *Replica {
	on := map[string]int{}
	for _, r := range list {
		on[r.Node]++
	}
	rank := func(r *Replica) int {
		n := 0
		if r.Node == v.Node {
			n += 2
		}
		if on[r.Node] < 2 {
			n++
		}
		return n
	}
	return slices.MinFunc(list, func(a, b *Replica) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return compareSites(a.Name, b.Name)
	})
}

// linkBetween is the way between two sites, either way round; nil for none known.
func (w *World) linkBetween(a, b string) *Link {
	for _, l := range w.Links {
		if l.From == a && l.To == b || l.From == b && l.To == a {
			return l
		}
	}
	return nil
}

// Shelf is the room on Longhorn's disks, with what is planned for them.
type Shelf struct {
	world   *World
	nominal map[string]int64 // bytes planned beyond what is scheduled, by node and disk
	used    map[string]int64 // and beyond what is used
}

// Shelf begins with the disks as they are.
func (w *World) Shelf() *Shelf {
	return &Shelf{world: w, nominal: map[string]int64{}, used: map[string]int64{}}
}

// Best is the machine and disk of the site with the most room for a copy of the
// volume, by Longhorn's own rules; "" for none. A machine has one copy at most.
func (s *Shelf) Best(v *Volume, site string) (node, disk string, free int64) {
	w := s.world
	over, least := w.percent(v.Cluster, "storage-over-provisioning-percentage", 100), w.percent(v.Cluster, "storage-minimal-available-percentage", 25)
	free = -1
	for _, sn := range w.StorageNodes {
		n := w.Node(sn.Cluster, sn.Name)
		if sn.Cluster != v.Cluster || n == nil || n.Site != site || !n.Alive() || !sn.Ready || !sn.Schedulable || !sn.Scheduling || sn.Evicting || !hasTags(sn.Tags, v.NodeSelector) {
			continue
		}
		for _, d := range sn.Disks {
			key := sn.Name + "/" + d.Name
			available := d.Available - s.used[key]
			if !d.Ready || !d.Schedulable || !d.Scheduling || d.Evicting || !hasTags(d.Tags, v.DiskSelector) {
				continue
			}
			if available-v.ActualSize <= d.Max/100*least || d.Scheduled+s.nominal[key]+v.Size > (d.Max-d.Reserved)/100*over {
				continue
			}
			if available > free {
				node, disk, free = sn.Name, d.Name, available
			}
		}
	}
	return node, disk, free
}

func (s *Shelf) put(v *Volume, node, disk string) {
	s.nominal[node+"/"+disk] += v.Size
	s.used[node+"/"+disk] += v.ActualSize
}

// take frees what a copy held.
func (s *Shelf) take(v *Volume, r *Replica) {
	for _, sn := range s.world.StorageNodes {
		for _, d := range sn.Disks {
			if sn.Cluster == v.Cluster && sn.Name == r.Node && d.UUID == r.Disk {
				s.nominal[sn.Name+"/"+d.Name] -= v.Size
				s.used[sn.Name+"/"+d.Name] -= v.ActualSize
			}
		}
	}
}

func hasTags(tags, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(t string) bool { return !slices.Contains(tags, t) })
}

// percent reads one of Longhorn's settings, which may be one for each data engine.
func (w *World) percent(cluster, name string, otherwise int64) int64 {
	value := w.Setting(cluster, name)
	byEngine := map[string]string{}
	if json.Unmarshal([]byte(value), &byEngine) == nil {
		value = byEngine["v1"]
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil && n >= 0 && n <= 10000 {
		return n
	}
	return otherwise
}
