package survive

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/geotop/geotop/model"
)

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
