package model

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Controller is an object that owns pods or other controllers (Deployment,
// ReplicaSet, StatefulSet, DaemonSet, Job, CronJob), cut down to what geotop uses.
type Controller struct {
	Cluster   string    `json:"cluster"`
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       string    `json:"uid"`
	Owner     Owner     `json:"owner,omitzero"`
	Created   time.Time `json:"created"`
	Desired   int       `json:"desired"`             // replicas wanted; -1 when its API does not say
	Ready     int       `json:"ready"`               // ready by its controller's own count
	Finished  bool      `json:"finished,omitempty"`  // a Job that completed
	Failed    bool      `json:"failed,omitempty"`    // a Job that gave up
	Suspended bool      `json:"suspended,omitempty"` // a CronJob or Job told to wait
	Schedule  string    `json:"schedule,omitempty"`  // a CronJob's
	LastRun   time.Time `json:"lastRun,omitzero"`    // a CronJob's lastScheduleTime
}

// WorkloadState is geotop's one word for a workload.
type WorkloadState string

// The states a workload can be in.
const (
	WorkloadOK       WorkloadState = "ok"
	WorkloadStarting WorkloadState = "starting" // not complete yet, and young
	WorkloadDegraded WorkloadState = "degraded" // fewer ready than wanted
	WorkloadDown     WorkloadState = "down"     // none ready although wanted
	WorkloadIdle     WorkloadState = "idle"     // wants no pods now
	WorkloadDone     WorkloadState = "done"     // a Job that completed
	WorkloadFailed   WorkloadState = "failed"   // a Job that gave up
	WorkloadUnknown  WorkloadState = "unknown"  // what it is judged by could not be read
)

// Workload is the owner at the top of its pods, with where they run.
type Workload struct {
	Cluster   string        `json:"cluster"`
	Kind      string        `json:"kind"`
	Namespace string        `json:"namespace"`
	Name      string        `json:"name"`
	Desired   int           `json:"desired"`
	Ready     int           `json:"ready"` // pods ready on nodes that are alive
	Pods      int           `json:"pods"`  // wanted and not finished
	Restarts  int           `json:"restarts"`
	State     WorkloadState `json:"state"`
	Why       string        `json:"why,omitempty"` // the worst pod's trouble
	BySite    SiteCounts    `json:"bySite"`
	Created   time.Time     `json:"created"`
	Schedule  string        `json:"schedule,omitempty"`
	LastRun   time.Time     `json:"lastRun,omitzero"`
	Suspended bool          `json:"suspended,omitempty"`

	worst  Severity // of its pods
	newest time.Time
	behind string // trouble of a pod that cannot end because its node is lost
	lost   bool   // a pod it counts on is on a node that is lost: it is not just starting
}

// SiteCounts counts a workload's pods by site, sorted by site; a JSON object by site.
type SiteCounts []SiteCount

// SiteCount is one site's share of a workload. Site is "" for pods on no node.
type SiteCount struct {
	Site  string `json:"-"`
	Pods  int    `json:"pods"`
	Ready int    `json:"ready"`
}

// at gives the count of the site, added when there is none yet.
func (c *SiteCounts) at(site string) *SiteCount {
	for i := range *c {
		if (*c)[i].Site == site {
			return &(*c)[i]
		}
	}
	*c = append(*c, SiteCount{Site: site})
	return &(*c)[len(*c)-1]
}

// Object names the workload in reasons: "Deployment/web/blog".
func (w *Workload) Object() string { return w.Kind + "/" + w.Namespace + "/" + w.Name }

// add counts one pod of the workload; node is where it runs, or nil.
func (w *Workload) add(p *Pod, node *Node, now time.Time) {
	if p.Finished() {
		return
	}
	site, alive := "", false
	if node != nil {
		site, alive = node.Site, node.Alive()
	}
	w.Restarts += p.Restarts
	sev := p.Severity(now)
	switch {
	case p.Terminating() && node != nil && !alive:
		// It ends when its node returns or is removed; that is the node's trouble,
		// and the workload's only while it lacks a pod.
		w.behind = p.trouble(node, now)
	case sev > w.worst:
		w.worst, w.Why = sev, p.trouble(node, now)
	}
	if p.Terminating() {
		return
	}
	w.Pods++
	w.lost = w.lost || node != nil && !alive
	if p.Created.After(w.newest) {
		w.newest = p.Created
	}
	c := w.BySite.at(site)
	c.Pods++
	if p.Ready && alive {
		c.Ready++
		w.Ready++
	}
}

// trouble is the pod's problem in a few words, what matters first. The node's
// trouble comes before the pod's own.
func (p *Pod) trouble(node *Node, now time.Time) string {
	switch {
	case node != nil && !node.Alive():
		return "pod on " + node.Name + ", which is " + strings.ReplaceAll(string(node.State), "-", " ")
	case p.Terminating():
		return p.Name + " should be gone since " + Ago(now.Sub(p.DeleteAt))
	case p.Node == "":
		return p.Status + ": " + cmp.Or(p.Message, "on no node yet")
	default:
		return p.Status + " (" + p.Name + ")"
	}
}

// judge sets State once all pods are counted. c is its own object, lastJob the
// newest Job of a CronJob; either may be nil. unread is what could not be read
// of what the state of such a workload rests on, "" when all was.
func (w *Workload) judge(c, lastJob *Controller, unread string, now time.Time) {
	slices.SortFunc(w.BySite, func(a, b SiteCount) int { return cmp.Compare(a.Site, b.Site) })
	if unread != "" {
		w.State, w.Why = WorkloadUnknown, "its "+unread+" could not be read"
		return
	}
	young := now.Sub(w.Created) < startupGrace || now.Sub(w.newest) < startupGrace
	switch {
	case c != nil && c.Failed:
		w.State = WorkloadFailed
	case lastJob != nil && lastJob.Failed:
		w.State, w.Why = WorkloadFailed, "its last run "+lastJob.Name+" failed"
	case c != nil && c.Finished:
		w.State = WorkloadDone
	case w.Desired == 0 || (w.Kind == "CronJob" && w.Pods == 0):
		w.State = WorkloadIdle
	case w.Ready >= w.Desired:
		w.State = WorkloadOK
	case young && w.worst < Critical && !w.lost:
		w.State = WorkloadStarting
	case w.Ready == 0:
		w.State = WorkloadDown
	default:
		w.State = WorkloadDegraded
	}
	if w.Why == "" && w.Ready < w.Desired {
		w.Why = cmp.Or(w.behind, shortage(w))
	}
}

// shortage says what is missing when no pod says why.
func shortage(w *Workload) string {
	if missing := w.Desired - w.Pods; missing > 0 {
		return strconv.Itoa(missing) + " of its pods do not exist yet"
	}
	return strconv.Itoa(w.Desired-w.Ready) + " of its pods are not ready"
}

// Severity ranks the workload's state for lists and reasons.
func (w *Workload) Severity() Severity {
	switch w.State {
	case WorkloadDown:
		return Critical
	case WorkloadDegraded, WorkloadFailed:
		return Warning
	case WorkloadStarting:
		return OK
	case WorkloadUnknown:
		return Unknown
	default:
		return min(w.worst, Warning)
	}
}

// Has reports whether any pod of the workload is in the site.
func (c SiteCounts) Has(site string) bool {
	return slices.ContainsFunc(c, func(s SiteCount) bool { return s.Site == site })
}

// String lists the sites with their pods: "curepipe 1, moka 2"; a site where
// not all are ready shows both figures: "flacq 0/1".
func (c SiteCounts) String() string {
	var b strings.Builder
	for i, s := range c {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(cmp.Or(s.Site, "no node"))
		b.WriteByte(' ')
		if s.Ready != s.Pods {
			b.WriteString(strconv.Itoa(s.Ready) + "/")
		}
		b.WriteString(strconv.Itoa(s.Pods))
	}
	return b.String()
}
