package model

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// judge fills Reasons, Hints and Status. Causes come before symptoms: where the
// API is silent its kinds are not listed one by one, and a DaemonSet that lacks
// only the pods of dead machines is not a finding of its own.
func (w *World) judge() {
	for _, c := range w.Clusters {
		w.judgeSources(c.Name)
		w.judgeControlPlane(c)
		w.judgeMembers(c)
		w.judgeEtcdSnapshots(c)
		w.judgeVersions(c)
	}
	w.judgeTailnet()
	for _, s := range w.Sites {
		w.judgeSite(s)
	}
	for _, n := range w.Nodes {
		w.judgeNode(n)
	}
	w.judgeWorkloads()
	w.judgeStorage()
	w.judgeStores()
	w.judgePeers()
	w.judgePlans()
	w.judgeLimits()
	w.hint()
	w.rank()
}

// rank puts the worst findings first.
func (w *World) rank() {
	slices.SortStableFunc(w.Reasons, func(a, b Reason) int { return cmp.Compare(b.Severity, a.Severity) })
	for _, r := range w.Reasons {
		w.Status = max(w.Status, r.Severity)
	}
}

func (w *World) reason(sev Severity, cluster, site, object, text string) {
	w.Reasons = append(w.Reasons, Reason{Severity: sev, Cluster: cluster, Site: site, Object: object, Text: text})
}

// judgeSources reports what could not be looked at in the cluster.
func (w *World) judgeSources(cluster string) {
	type trouble struct{ group, text string }
	denied := map[string][]string{} // by group
	failed := map[trouble][]string{}
	for _, s := range w.Sources {
		if s.Cluster != cluster || s.Status == SourceOK || s.Status == SourceAbsent || s.Group() == SourceStore {
			continue
		}
		if !strings.Contains(s.Name, "/") {
			text := s.Trouble()
			if age := s.Age(w.At); age >= 0 {
				text += "; last answered " + Ago(age) + " ago"
			}
			w.reason(Unknown, cluster, "", "source/"+s.Name, text)
			return
		}
		group, part, _ := strings.Cut(s.Name, "/")
		switch {
		case s.Optional:
		case s.Status == SourceForbidden:
			denied[group] = append(denied[group], part)
		default:
			key := trouble{group, s.Trouble()}
			failed[key] = append(failed[key], part)
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(failed), func(a, b trouble) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.text, b.text))
	}) {
		w.reason(Unknown, cluster, "", "source/"+key.group, some(failed[key], 3)+": "+key.text)
	}
	for _, group := range slices.Sorted(maps.Keys(denied)) {
		w.reason(Unknown, cluster, "", "source/"+group, "not allowed to list "+some(denied[group], 6))
	}
}

// some lists the first few of the names: "nodes, pods, jobs and 2 more".
func some(names []string, few int) string {
	if len(names) <= few+1 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}

// Trouble says what is the matter with the source, "" when nothing is.
func (s Source) Trouble() string {
	switch s.Status {
	case SourceOK:
		return ""
	case SourcePending:
		return "has not answered yet"
	case SourceForbidden:
		return "not allowed"
	case SourceAbsent:
		return "not served here"
	default:
		return cmp.Or(s.Error, "does not answer")
	}
}

func (w *World) judgeControlPlane(c *Cluster) {
	if c.Configured != "" && c.Configured != c.Server && w.answers(c.Name) {
		w.reason(Warning, c.Name, "", "cluster/"+c.Name, "the kubeconfig's server "+c.Configured+" does not answer; going on with "+c.Server)
	}
	switch {
	case c.Voters == 0 || c.VotersAlive == c.Voters:
	case c.VotersAlive < c.Quorum && w.answers(c.Name):
		// A server without its etcd is not ready, so this one still has it.
		w.reason(Warning, c.Name, "", "cluster/"+c.Name,
			fmt.Sprintf("only %d of %d etcd voters give a sign of life, %d needed, yet the API server answers", c.VotersAlive, c.Voters, c.Quorum))
	case c.VotersAlive < c.Quorum:
		w.reason(Critical, c.Name, "", "cluster/"+c.Name,
			fmt.Sprintf("etcd has lost its quorum: %d of %d voters alive, %d needed; nothing can be changed or rescheduled", c.VotersAlive, c.Voters, c.Quorum))
	case c.VotersAlive == c.Quorum:
		w.reason(Warning, c.Name, "", "cluster/"+c.Name,
			fmt.Sprintf("%d of %d etcd voters alive: losing one more stops the control plane", c.VotersAlive, c.Voters))
	}
}

// answers reports whether the cluster's API server said that it is ready.
func (w *World) answers(cluster string) bool { return w.has(cluster, SourceAPI) }

// has reports whether the cluster's source of that name answered lately.
func (w *World) has(cluster, source string) bool {
	return slices.ContainsFunc(w.Sources, func(s Source) bool {
		return s.Cluster == cluster && s.Name == source && s.Status == SourceOK
	})
}

// judgeTailnet reports what keeps us from seeing the tailnet, and what its
// daemon complains of.
func (w *World) judgeTailnet() {
	if w.Offline() {
		w.reason(Unknown, "", "", "here", "you are offline: neither an API server nor any other house answers")
	}
	for _, s := range w.Sources {
		if s.Group() == SourceTailnet && s.Status != SourceOK && s.Status != SourcePending && s.Status != SourceAbsent {
			w.reason(Unknown, s.Cluster, "", "source/"+SourceTailnet, s.Trouble())
			break
		}
	}
	for _, t := range w.Tailnets {
		for _, h := range t.Health {
			w.reason(Warning, "", "", "tailnet/"+cmp.Or(t.Name, "?"), h)
		}
	}
}

// judgePeers reports what is wrong with machines that are nodes, and with links;
// machines of a house that is gone are not listed one by one.
func (w *World) judgePeers() {
	for _, p := range w.Peers {
		site := w.sites[p.Site]
		if p.Node == "" || site == nil {
			continue
		}
		for _, problem := range p.Problems {
			w.reason(Warning, p.Cluster, p.Site, "peer/"+p.Node, problem)
		}
		if n := w.Node(p.Cluster, p.Node); p.State == PeerUnreachable && n.Alive() && site.Cause == CauseNone {
			w.reason(Warning, p.Cluster, p.Site, "peer/"+p.Node, "does not answer on the tailnet, though its kubelet reports")
		}
	}
	for _, l := range w.Links {
		if l.Problem != "" && l.Answering > 0 {
			w.reason(Warning, "", l.To, "link/"+l.From+"/"+l.To, l.Problem)
		}
	}
}

// gone reports whether the site as a whole does not work, which is then the
// finding, and not each of its nodes.
func (s *Site) gone() bool { return s.LastKnown == SiteDark || s.LastKnown == SiteDown }

func (w *World) judgeSite(s *Site) {
	switch {
	case s.LastKnown == SiteDark:
		w.reason(Critical, "", s.Name, "site/"+s.Name, s.darkWords(w.At))
	case s.LastKnown == SiteDown:
		w.reason(Critical, "", s.Name, "site/"+s.Name, s.Words(w.At))
	case s.Status == SiteDegraded && s.Cause == CauseLink:
		w.reason(Warning, "", s.Name, "site/"+s.Name, s.Words(w.At))
	}
}

// judgeNode reports nodes of sites that are not dark as a whole.
func (w *World) judgeNode(n *Node) {
	if !w.sites[n.Site].gone() && len(n.Problems) > 0 {
		w.reason(Warning, n.Cluster, n.Site, "node/"+n.Name, strings.Join(n.Problems, ", "))
	}
	if zone, legacy := n.Labels[zoneLabel], n.Labels[legacyZoneLabel]; zone != "" && legacy != "" && zone != legacy {
		w.reason(Warning, n.Cluster, n.Site, "node/"+n.Name,
			fmt.Sprintf("its zone labels disagree: %s here, %s for the node controller's evictions", zone, legacy))
	}
}

// judgeWorkloads reports what does not run as it should. Those that run on with fewer
// pods because one house is gone are one finding of that house.
func (w *World) judgeWorkloads() {
	short := map[string][]*Workload{} // by the house that is gone
	for _, wl := range w.Workloads {
		if wl.Severity() == OK || wl.State == WorkloadUnknown { // the source it lacks is the finding
			continue
		}
		site, dead := w.blame(wl)
		switch {
		case dead && wl.Kind == "DaemonSet":
		case dead && site != "" && wl.State == WorkloadDegraded:
			short[site] = append(short[site], wl)
		default:
			w.judgeWorkload(wl, site)
		}
	}
	for _, site := range slices.Sorted(maps.Keys(short)) {
		list := short[site]
		if len(list) == 1 {
			w.judgeWorkload(list[0], site)
			continue
		}
		names := []string{}
		for _, wl := range list {
			names = append(names, wl.Name)
		}
		w.reason(Warning, "", site, "site/"+site, fmt.Sprintf("%d workloads lack pods while it is gone: %s", len(list), some(names, 3)))
	}
}

func (w *World) judgeWorkload(wl *Workload, site string) {
	sev := wl.Severity()
	text := fmt.Sprintf("%d of %d ready", wl.Ready, wl.Desired)
	if wl.State == WorkloadFailed {
		text = "failed"
	}
	if wl.Why != "" {
		text += ": " + wl.Why
	}
	w.reason(sev, wl.Cluster, site, wl.Object(), text)
}

// blame gives the one site all of the workload's unready pods are in ("" when
// there are several), and whether all of them are in dark sites.
func (w *World) blame(wl *Workload) (site string, dark bool) {
	dark = true
	sites := 0
	for _, c := range wl.BySite {
		if c.Ready == c.Pods {
			continue
		}
		sites++
		site = c.Site
		s := w.sites[c.Site]
		dark = dark && s != nil && s.gone()
	}
	if sites != 1 {
		site = ""
	}
	return site, dark && sites > 0
}

// hint collects advice that is no finding.
func (w *World) hint() {
	unlabelled := 0
	example := ""
	for _, n := range w.Nodes {
		if n.Site == UnknownSite {
			unlabelled++
			example = cmp.Or(example, n.Name)
		}
	}
	if unlabelled > 0 {
		w.Hints = append(w.Hints, fmt.Sprintf("%s without a site; tell geotop: kubectl label node %s %s=HOUSE",
			nodes(unlabelled), example, zoneLabel))
	}
}
