package model

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// UnknownSite is where nodes without any site label land.
const UnknownSite = "?"

// SiteStatus is geotop's one word for a site.
type SiteStatus string

// The states a site can be in.
const (
	SiteOK       SiteStatus = "ok"
	SiteDegraded SiteStatus = "degraded" // some of it does not work
	SiteDown     SiteStatus = "down"     // none of its nodes works, though its machines are alive
	SiteDark     SiteStatus = "dark"     // none of its nodes gives a sign of life
	SiteUnknown  SiteStatus = "unknown"  // nobody could look
)

// Cause says what most likely stands behind a site's status.
type Cause string

// The causes geotop can name.
const (
	CauseNone     Cause = ""
	CauseDark     Cause = "dark-or-cut"   // every node went away: power or uplink
	CauseNodes    Cause = "nodes-down"    // some nodes went away
	CauseKubelet  Cause = "kubelet"       // kubelets or k3s say they are not ready
	CausePressure Cause = "node-pressure" // nodes short of memory, disk, ...
	CauseAPI      Cause = "api"           // the control plane does not answer us
	CauseRights   Cause = "no-rights"     // we may not list the nodes
	CauseLink     Cause = "link"          // its kubelets report, but no machine of it answers us
)

// Words puts the cause into plain words.
func (c Cause) Words() string {
	switch c {
	case CauseDark:
		return "house dark or uplink down"
	case CauseNodes:
		return "nodes down"
	case CauseKubelet:
		return "kubelet or k3s"
	case CausePressure:
		return "nodes under pressure"
	case CauseAPI:
		return "control plane does not answer"
	case CauseRights:
		return "not allowed to list nodes"
	case CauseLink:
		return "the link from here is down"
	default:
		return ""
	}
}

// Site is a failure domain with its own power and uplink: a house.
type Site struct {
	Name          string     `json:"name"`
	Region        string     `json:"region"`
	Status        SiteStatus `json:"status"`
	Cause         Cause      `json:"cause"`
	LastKnown     SiteStatus `json:"lastKnown"` // Status as of the last look; differs from it only when nobody can look now
	Since         time.Time  `json:"since,omitzero"`
	Nodes         int        `json:"nodes"`
	Ready         int        `json:"ready"` // as of the last look, where the API server is silent
	Cordoned      int        `json:"cordoned"`
	ControlPlanes int        `json:"controlPlanes"`
	Voters        int        `json:"voters"`
	PeersOnline   *int       `json:"peersOnline"` // null until a tailnet is looked at
	PeersAsked    int        `json:"peersAsked"`  // of which PeersOnline are a part
	Verdict       string     `json:"verdict"`     // "unknown" until survival analysis ran
	Pods          int        `json:"pods"`        // wanted, not finished, bound here
	PodsReady     int        `json:"podsReady"`
	Capacity      Resources  `json:"capacity"` // allocatable on nodes that are alive
	Requested     Resources  `json:"requested"`
	Usage         *Usage     `json:"usage"` // sum of its measured nodes; null when none was
	Problems      []string   `json:"problems"`
	// Location is where the house is, as LocationAnnotation of its nodes says; null
	// where none does.
	Location *Location `json:"location"`

	counts nodeCounts
}

// nodeCounts counts nodes by state, and machines by what the tailnet says
// of them: judged at all, answering, out of reach, and answering although the node is gone.
type nodeCounts struct{ silent, notReady, unreachable, problems, peers, answering, peersGone, ghosts int }

// LocationAnnotation tells on a node where its house is: "latitude,longitude" in
// degrees, north and east positive.
const LocationAnnotation = "geotop.io/location"

// Location is a place on Earth, in degrees.
type Location struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

// ParseLocation reads "latitude,longitude" in degrees, as in a LocationAnnotation; nil
// when it makes no sense.
func ParseLocation(s string) *Location {
	lat, lon, found := strings.Cut(s, ",")
	north, err1 := strconv.ParseFloat(strings.TrimSpace(lat), 64)
	east, err2 := strconv.ParseFloat(strings.TrimSpace(lon), 64)
	if !found || err1 != nil || err2 != nil || !(north >= -90 && north <= 90 && east >= -180 && east <= 180) { // NaN is neither
		return nil
	}
	return &Location{north, east}
}

// Severity ranks the site's status.
func (s *Site) Severity() Severity {
	switch s.Status {
	case SiteDark, SiteDown:
		return Critical
	case SiteDegraded:
		return Warning
	case SiteUnknown:
		return Unknown
	default:
		return OK
	}
}

// add counts one node of the site.
func (s *Site) add(n *Node) {
	s.Nodes++
	if s.Region == "" {
		s.Region = n.Region
	}
	if n.ControlPlane {
		s.ControlPlanes++
	}
	if n.Voter {
		s.Voters++
	}
	if n.Unschedulable {
		s.Cordoned++
	}
	if n.Since.After(s.Since) {
		s.Since = n.Since
	}
	switch n.State {
	case NodeReady:
		s.Ready++
		s.Capacity = s.Capacity.Add(n.Allocatable)
	case NodeSilent:
		s.counts.silent++
	case NodeNotReady:
		s.counts.notReady++
	case NodeUnreachable:
		s.counts.unreachable++
	}
	s.addPeer(n)
	for _, p := range n.Problems {
		s.counts.problems++
		s.Problems = append(s.Problems, n.Name+": "+p)
	}
	s.Requested = s.Requested.Add(n.Requested)
	if n.Usage != nil {
		if s.Usage == nil {
			s.Usage = &Usage{Name: s.Name}
		}
		s.Usage.MilliCPU += n.Usage.MilliCPU
		s.Usage.MemoryBytes += n.Usage.MemoryBytes
	}
}

// addPeer counts the node's machine on the tailnet.
func (s *Site) addPeer(n *Node) {
	switch {
	case n.peer == nil:
		return
	case n.peer.Answers():
		s.counts.answering++
		if n.State == NodeSilent || n.State == NodeUnreachable {
			s.counts.ghosts++
		}
	case n.peer.Gone():
		s.counts.peersGone++
	default:
		return // nobody asked it
	}
	s.counts.peers++
	s.PeersAsked++
	if s.PeersOnline == nil {
		s.PeersOnline = new(int)
	}
	*s.PeersOnline = s.counts.answering
}

// judge sets Status and Cause once all nodes are counted. nodes is the source
// the nodes came from; offline says that we are the ones cut off, so that the
// silence of machines tells nothing.
func (s *Site) judge(nodes Source, offline bool) {
	c := &s.counts
	gone := c.silent + c.unreachable
	cut := c.peers > 0 && c.peersGone == c.peers && !offline
	switch {
	case s.Nodes > 0 && gone == s.Nodes && c.ghosts > 0:
		s.Status, s.Cause = SiteDown, CauseKubelet
	case s.Nodes > 0 && gone == s.Nodes:
		s.Status, s.Cause = SiteDark, CauseDark
	case gone > 0 && c.ghosts == gone:
		s.Status, s.Cause = SiteDegraded, CauseKubelet
	case gone > 0:
		s.Status, s.Cause = SiteDegraded, CauseNodes
	case c.notReady > 0:
		s.Status, s.Cause = SiteDegraded, CauseKubelet
	case cut && nodes.Status == SourceOK:
		s.Status, s.Cause = SiteDegraded, CauseLink
	case c.problems > 0:
		s.Status, s.Cause = SiteDegraded, CausePressure
	default:
		s.Status, s.Cause = SiteOK, CauseNone
	}
	s.LastKnown = s.Status
	switch {
	case nodes.Status == SourceOK:
	case cut:
		s.Status, s.Cause, s.LastKnown = SiteDark, CauseDark, SiteDark
	case nodes.Status == SourceForbidden:
		s.Status, s.Cause = SiteUnknown, CauseRights
	default:
		s.Status, s.Cause = SiteUnknown, CauseAPI
	}
	if s.Problems == nil {
		s.Problems = []string{}
	}
}

// Inferred reports whether only the tailnet tells that the site is dark: what is
// known of its nodes is from before.
func (s *Site) Inferred() bool {
	return s.Status == SiteDark && s.counts.silent+s.counts.unreachable < s.Nodes
}

// Words says in one line what is the matter, or "" when nothing is.
func (s *Site) Words(now time.Time) string {
	gone := s.counts.silent + s.counts.unreachable
	switch s.Cause {
	case CauseDark:
		return s.darkWords(now)
	case CauseNodes:
		return fmt.Sprintf("%d of %s unreachable", gone, nodes(s.Nodes))
	case CauseKubelet:
		if gone > 0 {
			return fmt.Sprintf("%d of %s unreachable, yet %d of %d machines answer: %s", gone, nodes(s.Nodes), s.counts.answering, s.counts.peers, s.Cause.Words())
		}
		return fmt.Sprintf("%d of %s not ready: %s", s.counts.notReady, nodes(s.Nodes), s.Cause.Words())
	case CauseAPI:
		if s.PeersOnline != nil {
			return fmt.Sprintf("%s; %d of %d machines answer", s.Cause.Words(), s.counts.answering, s.counts.peers)
		}
		return s.Cause.Words()
	case CauseLink:
		return "none of its machines answers us, yet its kubelets report: " + s.Cause.Words()
	case CausePressure:
		return s.Problems[0]
	default:
		return s.Cause.Words()
	}
}

func (s *Site) darkWords(now time.Time) string {
	since := ""
	if !s.Since.IsZero() && now.After(s.Since) {
		since = " for " + Ago(now.Sub(s.Since))
	}
	what := "all " + nodes(s.Nodes) + " unreachable"
	switch {
	case s.counts.silent == s.Nodes:
		what = "no heartbeat from any of its " + nodes(s.Nodes)
	case s.Inferred():
		return "none of its machines answers: " + CauseDark.Words() // the API does not tell
	}
	return what + since + ": " + CauseDark.Words()
}

// SiteLabels is the default order of node labels that name a node's site.
var SiteLabels = []string{
	"topology.kubernetes.io/zone",
	"topology.kubernetes.io/region",
	"failure-domain.beta.kubernetes.io/zone",
	"failure-domain.beta.kubernetes.io/region",
	"site",
	"location",
}

const (
	zoneLabel         = "topology.kubernetes.io/zone"
	legacyZoneLabel   = "failure-domain.beta.kubernetes.io/zone"
	regionLabel       = "topology.kubernetes.io/region"
	legacyRegionLabel = "failure-domain.beta.kubernetes.io/region"
)

// siteOf reads site and region from the node's labels. The region is the
// site's parent, so it is empty where the region label itself named the site.
func siteOf(f *NodeFact, labels []string) (site, region string) {
	region = cmp.Or(f.Labels[regionLabel], f.Labels[legacyRegionLabel])
	for _, label := range labels {
		if v := f.Labels[label]; v != "" {
			if label == regionLabel || label == legacyRegionLabel {
				region = ""
			}
			return v, region
		}
	}
	return UnknownSite, region
}

// assignSites gives each node its site. Zones of one name in several regions
// are different houses: their sites carry the region's name too.
func assignSites(nodes []*Node, labels []string) {
	type seen struct {
		region string
		many   bool
	}
	regions := map[string]seen{}
	for _, n := range nodes {
		n.Site, n.Region = siteOf(n.NodeFact, labels)
		s, ok := regions[n.Site]
		if !ok {
			s.region = n.Region
		}
		s.many = s.many || s.region != n.Region
		regions[n.Site] = s
	}
	for _, n := range nodes {
		if regions[n.Site].many && n.Site != UnknownSite && n.Region != "" {
			n.Site = n.Region + "/" + n.Site
		}
	}
}

// gatherSites makes the sites of the nodes, sorted by name with "?" last.
func gatherSites(nodes []*Node, at map[string]Location) []*Site {
	byName := map[string]*Site{}
	sites := []*Site{}
	for _, n := range nodes {
		s := byName[n.Site]
		if s == nil {
			s = &Site{Name: n.Site, Verdict: "unknown"}
			if l, told := at[n.Site]; told {
				s.Location = &l
			}
			byName[n.Site] = s
			sites = append(sites, s)
		}
		s.add(n)
		if s.Location == nil {
			s.Location = ParseLocation(n.Annotations[LocationAnnotation])
		}
	}
	slices.SortFunc(sites, func(a, b *Site) int {
		if (a.Name == UnknownSite) != (b.Name == UnknownSite) {
			if a.Name == UnknownSite {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return sites
}
