package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Change is that something passed from one state into another: what the timeline
// is made of, beside Kubernetes' own events.
type Change struct {
	// At is when it happened, as far as the source tells: a condition's transition,
	// the last heartbeat, a backup's end; else when it was first seen.
	At time.Time `json:"at"`
	// After is when it was last seen in its former state, where At is only when the
	// new one was first seen; zero where At is the moment itself.
	After    time.Time `json:"after,omitzero"`
	Severity Severity  `json:"severity"` // of the new state
	Cluster  string    `json:"cluster"`
	Site     string    `json:"site"` // empty when no single site is meant
	Kind     string    `json:"kind"` // Site, Node, Peer, Link, Volume, Cluster, Store, Source, or a workload's
	// Namespace and Name are the object's; a volume's are those of its claim.
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Aspect    Aspect `json:"aspect"`
	Was       string `json:"was"` // the former state; empty when it is not known
	Now       string `json:"now"`
	Why       string `json:"why,omitempty"`
}

// Aspect is which of an object's states changed.
type Aspect string

// The aspects there are.
const (
	AspectState   Aspect = "state"
	AspectCordon  Aspect = "cordon"
	AspectVersion Aspect = "version"
	AspectAddress Aspect = "address" // public, of a peer
	AspectPath    Aspect = "path"    // of a link
	AspectBackup  Aspect = "backup"  // the newest of a volume
	AspectServer  Aspect = "server"  // of the API, in use
	AspectThere   Aspect = "there"   // whether it is there at all
)

// What an object is that came or went.
const (
	ChangeNew  = "new"
	ChangeGone = "gone"
)

// subject is what can be in one state at a time.
type subject struct {
	cluster, kind, namespace, name string
	aspect                         Aspect
}

func (c *Change) subject() subject {
	return subject{c.Cluster, c.Kind, c.Namespace, c.Name, c.Aspect}
}

// CompareChanges is the order of World.Timeline: newest first, then causes before
// what follows from them.
func CompareChanges(a, b *Change) int {
	return cmp.Or(b.At.Compare(a.At), a.rank()-b.rank(),
		strings.Compare(a.Site, b.Site), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Namespace, b.Namespace),
		strings.Compare(a.Name, b.Name), strings.Compare(string(a.Aspect), string(b.Aspect)), strings.Compare(a.Cluster, b.Cluster))
}

// rank goes from causes to symptoms; all kinds of workloads come last.
func (c *Change) rank() int {
	order := []string{"Site", "Cluster", "Source", "Node", "Peer", "Link", "Store", "Volume"}
	if i := slices.Index(order, c.Kind); i >= 0 {
		return i
	}
	return len(order)
}

// standing is every state the World knows for sure: what nobody could look at now
// stands nowhere. At is when the state began, zero where that is not told.
type standing struct {
	states []Change
	whole  map[string]bool // kinds all of whose objects are known: what is not among them is gone
}

func (w *World) standing() standing {
	s := standing{whole: map[string]bool{}}
	s.sources(w)
	if w.current(SourceNodes) && w.current(SourceLeases) {
		s.sites(w)
		s.nodes(w)
		s.whole["Node"] = true
	}
	if w.current(SourceTailnet) {
		s.peers(w)
		s.links(w)
	}
	if w.current(SourcePods) && w.controllersKnown() {
		s.workloads(w)
		for _, k := range ControllerKinds {
			if k.Kind != "Job" && k.Kind != "ReplicaSet" && w.current(k.Source) {
				s.whole[k.Kind] = true
			}
		}
	}
	if w.current(SourceVolumes) && w.current(SourceReplicas) && w.current(SourceEngines) {
		s.volumes(w)
		s.whole["Volume"] = true
	}
	s.stores(w)
	return s
}

// current reports whether every source of that name tells what is so now; false
// where there is none.
func (w *World) current(name string) bool {
	there := false
	for _, s := range w.Sources {
		if s.Name == name {
			there = true
			if s.Status != SourceOK || s.Remembered {
				return false
			}
		}
	}
	return there
}

// controllersKnown reports whether every kind of workload was heard of: without, pods
// are without owners.
func (w *World) controllersKnown() bool {
	for _, k := range ControllerKinds {
		if w.Awaits(k.Source) {
			return false
		}
	}
	return true
}

func (s *standing) add(c Change) { s.states = append(s.states, c) }

// there notes that the object is, whatever its state.
func (s *standing) there(c Change) {
	c.Aspect, c.Now = AspectThere, ChangeNew
	s.add(c)
}

// sources are those whose silence matters; a Source's state begins when it was
// last heard.
func (s *standing) sources(w *World) {
	for _, src := range w.Sources {
		if src.Optional || src.Name != SourceAPI && src.Name != SourceTailnet {
			continue
		}
		c := Change{Cluster: src.Cluster, Kind: "Source", Name: src.Name, Aspect: AspectState}
		switch {
		case src.Remembered || src.Status == SourcePending || src.Status == SourceAbsent:
			continue
		case src.Status == SourceOK:
			c.Now = "answers"
		case src.Status == SourceForbidden:
			c.Severity, c.Now, c.Why = Unknown, "refuses", src.Error
		default:
			c.At, c.Severity, c.Now, c.Why = src.ObservedAt, Unknown, "silent", src.Error
		}
		s.add(c)
	}
	for _, c := range w.Clusters {
		if api := w.current(SourceAPI); api && c.Server != "" {
			s.add(Change{Cluster: c.Name, Kind: "Cluster", Name: c.Name, Aspect: AspectServer, Now: "asked at " + strings.TrimPrefix(c.Server, "https://")})
			s.add(Change{Cluster: c.Name, Kind: "Cluster", Name: c.Name, Aspect: AspectVersion, Now: "runs " + c.Version})
		}
	}
}

func (s *standing) sites(w *World) {
	for _, site := range w.Sites {
		if site.Status == SiteUnknown || site.Name == UnknownSite {
			continue
		}
		c := Change{Severity: site.Severity(), Site: site.Name, Kind: "Site", Name: site.Name, Aspect: AspectState, Now: string(site.Status), Why: site.Cause.Words(), At: site.Since}
		if site.Status == SiteDark {
			c.At = w.heard(site.Name)
		}
		s.add(c)
	}
}

// heard is when any node of the site last gave a sign of life.
func (w *World) heard(site string) (at time.Time) {
	for _, n := range w.Nodes {
		if n.Site == site && n.HeartbeatAt.After(at) {
			at = n.HeartbeatAt
		}
	}
	return at
}

// joining is how long a new node is given to become ready: that it is so is no news.
const joining = 10 * time.Minute

func (s *standing) nodes(w *World) {
	for _, n := range w.Nodes {
		c := Change{At: n.Since, Severity: n.Severity(), Cluster: n.Cluster, Site: n.Site, Kind: "Node", Name: n.Name, Aspect: AspectState, Now: string(n.State)}
		switch n.State {
		case NodeReady:
			c.Severity = OK // its problems are not its state
			if n.Since.Sub(n.Created) < joining {
				c.At = time.Time{}
			}
		case NodeSilent, NodeUnreachable: // one after the other, and the same to whoever waits for it
			c.At, c.Severity, c.Now = n.HeartbeatAt, Critical, "no sign of life"
		case NodeNotReady:
			c.Now, c.Why = "not ready", first(n.Problems)
		}
		s.add(c)
		c = Change{Cluster: n.Cluster, Site: n.Site, Kind: "Node", Name: n.Name, Aspect: AspectCordon, Now: "open"}
		if n.Unschedulable {
			c.Now = "cordoned"
		}
		s.add(c)
		s.add(Change{Cluster: n.Cluster, Site: n.Site, Kind: "Node", Name: n.Name, Aspect: AspectVersion, Now: "runs " + n.Kubelet})
		s.there(Change{Cluster: n.Cluster, Site: n.Site, Kind: "Node", Name: n.Name})
	}
}

func (s *standing) peers(w *World) {
	for _, p := range w.Peers {
		if p.Node == "" {
			continue // a phone comes and goes
		}
		c := Change{Cluster: p.Cluster, Site: p.Site, Kind: "Peer", Name: p.Name, Aspect: AspectState}
		switch p.State {
		case PeerReachable, PeerIdle:
			c.Now = "online"
		case PeerUnreachable, PeerOffline:
			c.At, c.Severity, c.Now = p.Seen(), Critical, "offline"
		case PeerExpired:
			c.At, c.Severity, c.Now = p.KeyExpiry, Critical, "its tailnet key expired"
		default:
			continue
		}
		s.add(c)
		if len(p.Moves) > 0 {
			c := Change{Cluster: p.Cluster, Site: p.Site, Kind: "Peer", Name: p.Name, Aspect: AspectAddress, Now: "at " + p.Moves[0].Address}
			if len(p.Moves) > 1 {
				c.At, c.Was = p.Moves[0].Since, "at "+p.Moves[1].Address
			}
			s.add(c)
		}
	}
}

func (s *standing) links(w *World) {
	for _, l := range w.Links {
		if l.Source != ByPing || l.Answering == 0 {
			continue // whoever is silent is told of as a peer
		}
		c := Change{Site: l.To, Kind: "Link", Name: l.From + " to " + l.To, Aspect: AspectPath, Now: "direct"}
		switch l.Path {
		case PathDirect:
		case PathDERP, PathPeerRelay:
			c.Severity, c.Now, c.Why = Warning, "relayed", strings.Join(l.Via, ", ")
		default:
			continue
		}
		s.add(c)
	}
}

func (s *standing) workloads(w *World) {
	for _, wl := range w.Workloads {
		if wl.Kind != "Job" {
			s.there(Change{Cluster: wl.Cluster, Kind: wl.Kind, Namespace: wl.Namespace, Name: wl.Name})
		}
		c := Change{Severity: wl.Severity(), Cluster: wl.Cluster, Kind: wl.Kind, Namespace: wl.Namespace, Name: wl.Name, Aspect: AspectState, Now: string(wl.State), Why: wl.Why}
		switch wl.State {
		case WorkloadOK, WorkloadDegraded, WorkloadDown, WorkloadFailed:
		default:
			continue // on its way, or at rest
		}
		if wl.State == WorkloadOK {
			c.Severity = OK
		}
		if len(wl.BySite) == 1 {
			c.Site = wl.BySite[0].Site
		}
		s.add(c)
	}
}

func (s *standing) volumes(w *World) {
	for _, v := range w.Volumes {
		c := Change{Cluster: v.Cluster, Site: v.Site, Kind: "Volume", Namespace: v.Namespace, Name: v.Title()}
		s.there(c)
		state := c
		state.Aspect = AspectState
		switch {
		case !v.Attached() || v.Robustness == "unknown":
		case v.Healthy == 0:
			state.Severity, state.Now = Critical, "faulted"
			s.add(state)
		default:
			state.Now = "whole"
			if v.Healthy < v.Wanted {
				state.At, state.Severity, state.Now = v.DegradedSince, Warning, fmt.Sprintf("%d of %d copies", v.Healthy, v.Wanted)
			}
			s.add(state)
		}
		b := v.Backup
		saved := c
		saved.Aspect, saved.At, saved.Why = AspectBackup, b.At, b.Name
		switch b.State {
		case BackupVerified:
			saved.Now = "backed up"
		case BackupMissing, BackupUnreadable:
			saved.At, saved.Severity, saved.Now = time.Time{}, Critical, "its backup is "+string(b.State)
		default:
			continue
		}
		s.add(saved)
	}
}

func (s *standing) stores(w *World) {
	for _, f := range w.Stores {
		h := f.Health
		if h == nil {
			continue
		}
		c := Change{Cluster: f.Cluster, Kind: "Store", Name: f.Target, Aspect: AspectState, Now: "writable"}
		switch {
		case !h.Readable:
			c.Severity, c.Now = Critical, "unreadable"
		case !h.Writable:
			c.Severity, c.Now = Warning, "read-only"
		}
		s.add(c)
	}
}

// newsFor is how far back a state that is found at the first look is still news.
const newsFor = 7 * 24 * time.Hour

// news reports whether a state that is seen for the first time tells what happened
// lately. That a house is well its machines tell.
func (c *Change) news(now time.Time) bool {
	return !c.At.IsZero() && !c.At.After(now) && now.Sub(c.At) <= newsFor && (c.Kind != "Site" || c.Severity != OK)
}

// addTimeline joins what was recorded with what the present states tell of the
// past, by when they began.
func (w *World) addTimeline(recorded []*Change) {
	w.Timeline = slices.Clone(recorded)
	newest := map[subject]*Change{}
	for _, c := range recorded {
		if old := newest[c.subject()]; old == nil || c.At.After(old.At) {
			newest[c.subject()] = c
		}
	}
	for _, c := range w.standing().states {
		if !c.news(w.At) {
			continue
		}
		if old := newest[c.subject()]; old != nil && !c.At.After(old.At) || old != nil && old.Now == c.Now && old.Why == c.Why {
			continue
		}
		w.Timeline = append(w.Timeline, &c)
	}
	slices.SortFunc(w.Timeline, CompareChanges)
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
