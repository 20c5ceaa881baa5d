package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// addLonghorn joins one cluster's volumes with their copies, backups and users.
func (w *World) addLonghorn(c *ClusterFacts) {
	f := &c.Longhorn
	engines := map[string]*Engine{}
	for _, e := range f.Engines.Items {
		if old := engines[e.Volume]; old == nil || e.Active && !old.Active {
			engines[e.Volume] = e
		}
	}
	replicas := map[string][]*Replica{}
	for _, r := range f.Replicas.Items {
		replicas[r.Volume] = append(replicas[r.Volume], newReplica(r, engines[r.Volume], w.nodes[objectKey{c.Name, r.Node}]))
	}
	backups := map[string][]*Backup{}
	for _, b := range f.Backups.Items {
		backups[b.Volume] = append(backups[b.Volume], b)
	}
	snapshots := countSnapshots(f)
	for _, vf := range f.Volumes.Items {
		v := &Volume{VolumeFact: vf, Replicas: list(replicas[vf.Name]), Sites: []string{}}
		if n := w.nodes[objectKey{c.Name, vf.Node}]; n != nil {
			v.Site = n.Site
		}
		slices.SortFunc(v.Replicas, func(a, b *Replica) int {
			return cmp.Or(compareSites(a.Site, b.Site), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Name, b.Name))
		})
		for _, r := range v.Replicas {
			if r.Healthy {
				v.Healthy++
				if r.Site != "" && !slices.Contains(v.Sites, r.Site) {
					v.Sites = append(v.Sites, r.Site)
				}
			}
		}
		if f.Snapshots.Source.Holds() {
			of := snapshots[vf.Name]
			v.Snapshots = &of
		}
		v.pickBackups(backups[vf.Name], f.Backups.Source)
		v.Workload = w.volumeUser(v)
		w.Volumes = append(w.Volumes, v)
	}
	w.StorageNodes = append(w.StorageNodes, f.Nodes.Items...)
	w.Backups = append(w.Backups, f.Backups.Items...)
	w.BackupTargets = append(w.BackupTargets, f.Targets.Items...)
	w.RecurringJobs = append(w.RecurringJobs, f.Jobs.Items...)
	slices.SortStableFunc(w.Volumes, func(a, b *Volume) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Title(), b.Title()), cmp.Compare(a.Name, b.Name))
	})
	slices.SortStableFunc(w.Backups, func(a, b *Backup) int {
		return cmp.Or(b.At().Compare(a.At()), cmp.Compare(a.Name, b.Name))
	})
}

// countSnapshots sums up the snapshots by volume.
func countSnapshots(f *LonghornFacts) map[string]Snapshots {
	by := map[string]Snapshots{}
	for _, s := range f.Snapshots.Items {
		n := by[s.Volume]
		n.Count++
		n.Size += s.Size
		if s.Ready && s.At.After(n.Newest) {
			n.Newest = s.At
		}
		by[s.Volume] = n
	}
	return by
}

// pickBackups finds the newest whole backup, the one under way, and a failed one
// that is newer than the whole one. lastBackupAt of the volume itself is not
// used: it changes only when the bucket is read again, and is blank meanwhile.
func (v *Volume) pickBackups(all []*Backup, source Source) {
	v.Backup.State = BackupNone
	if !source.Holds() {
		v.Backup.State = BackupUnknown
	}
	for _, b := range all {
		at := b.At()
		switch b.State {
		case "Completed":
			if !b.Deleting && (at.After(v.Backup.At) || at.Equal(v.Backup.At) && b.Name < v.Backup.Name) {
				v.Backup = LastBackup{Name: b.Name, At: at, State: BackupClaimed, Size: b.Size}
			}
		case "Error", "Unknown":
			if v.Failed == nil || at.After(v.Failed.At()) {
				v.Failed = b
			}
		case "", "Pending", "InProgress":
			if !b.Deleting && (v.Running == nil || b.Created.After(v.Running.Created)) {
				v.Running = b
			}
		}
	}
	if v.Failed != nil && !v.Failed.At().After(v.Backup.At) {
		v.Failed = nil
	}
}

// volumeUser finds the workload at the top of what uses the volume: by the pods
// that name its claim, which is current, else by what Longhorn noted.
func (w *World) volumeUser(v *Volume) string {
	if v.PVC != "" {
		for _, p := range w.Pods {
			if p.Cluster == v.Cluster && p.Namespace == v.Namespace && slices.Contains(p.Claims, v.PVC) {
				if wl := w.WorkloadOf(p); wl != nil {
					return wl.Object()
				}
			}
		}
	}
	if v.PastUsers || len(v.Users) == 0 {
		return ""
	}
	u := v.Users[0]
	return cmp.Or(u.Kind, "Pod") + "/" + v.Namespace + "/" + cmp.Or(u.Workload, u.Pod)
}

// oldBackup is from when on a newest backup is too old where nothing tells how
// often there should be one.
const oldBackup = 48 * time.Hour

// longWait is from when on a backup that does not begin is worth a look: Longhorn
// gives its snapshot some seven minutes.
const longWait = 15 * time.Minute

// judgeVolumes sets severity and problems of every volume.
func (w *World) judgeVolumes() {
	houses := 0
	for _, s := range w.Sites {
		if s.Name != UnknownSite && w.stores(s.Name) {
			houses++
		}
	}
	for _, v := range w.Volumes {
		if v.Sharded || v.Deleting {
			continue // has no replicas to judge by; or is on its way out
		}
		w.judgeCopies(v, houses)
		w.judgeBackup(v)
		if b := v.Running; b != nil && b.State != "InProgress" && w.At.Sub(b.Created) > longWait {
			v.problem(Warning, "a backup has waited to begin for "+Ago(w.At.Sub(b.Created))+": "+b.Name)
		}
		if v.Snapshots != nil && v.Snapshots.Count >= manySnapshots {
			v.problem(Warning, fmt.Sprintf("%d snapshots: Longhorn makes no more at 250, and no backups either", v.Snapshots.Count))
		}
	}
}

// stores reports whether any disk for replicas stands in the site.
func (w *World) stores(site string) bool {
	return slices.ContainsFunc(w.StorageNodes, func(s *StorageNode) bool {
		n := w.Node(s.Cluster, s.Name)
		return n != nil && n.Site == site
	})
}

// judgeCopies counts good copies ourselves: Longhorn's robustness is arithmetic
// that holds only while the volume is attached.
func (w *World) judgeCopies(v *Volume, houses int) {
	good := 0
	for _, r := range v.Replicas {
		if r.Good() {
			good++
		}
	}
	known := w.Knows(SourceReplicas) && w.Knows(SourceNodes) && (w.Knows(SourceEngines) || !v.Attached())
	switch {
	case !known:
		v.severity = Unknown
	case v.State == "creating" || v.Restoring:
	case v.Robustness == "faulted" || good == 0:
		v.problem(Critical, "no good copy is left that can be reached")
	case v.Healthy == 0:
		v.problem(Critical, fmt.Sprintf("no copy can be reached: %s in houses that are gone", copies(good)))
	case v.Healthy < v.Wanted && v.Rebuilding() >= 0:
		v.problem(Warning, fmt.Sprintf("%d of %s healthy, rebuilding %d %%", v.Healthy, copies(v.Wanted), v.Rebuilding()))
	case v.Healthy < v.Wanted:
		v.problem(Warning, fmt.Sprintf("%d of %s healthy%s", v.Healthy, copies(v.Wanted), w.whyFewer(v)))
	}
	if v.Healthy > 0 && len(v.Sites) == 1 && houses > 1 {
		v.problem(Warning, "all its good copies are in "+v.Sites[0])
	}
}

// whyFewer says what stands in the way of a missing copy, where somebody tells.
func (w *World) whyFewer(v *Volume) string {
	for _, c := range v.Conditions {
		if c.Type == "Scheduled" && c.Status == "False" {
			return ": no disk for another (" + cmp.Or(c.Message, c.Reason) + ")"
		}
	}
	lost := map[string]bool{}
	for _, r := range v.Replicas {
		if (r.Health == ReplicaUnknown || r.Health == ReplicaFailed) && r.Site != "" {
			lost[r.Site] = true
		}
	}
	if len(lost) != 1 {
		return ""
	}
	for site := range lost {
		if s := w.sites[site]; s != nil && s.gone() {
			v.lacks = site
		}
		return ": one in " + site + " is lost"
	}
	return ""
}

func lack(n int) string {
	if n == 1 {
		return "1 volume lacks"
	}
	return fmt.Sprintf("%d volumes lack", n)
}

func copies(n int) string {
	if n == 1 {
		return "1 copy"
	}
	return fmt.Sprintf("%d copies", n)
}

// judgeBackup holds a volume's backups against what is planned for it.
func (w *World) judgeBackup(v *Volume) {
	if v.Standby || v.Backup.State == BackupUnknown || !w.BacksUp(v.Cluster) {
		return
	}
	planned := w.backupJobs(v)
	age := w.At.Sub(v.Backup.At)
	switch {
	case v.Failed != nil:
		v.problem(Warning, "its last backup failed: "+cmp.Or(v.Failed.Error, v.Failed.State))
	case v.Backup.State == BackupMissing:
		v.problem(Critical, "its newest backup is not in the bucket: "+v.Backup.Name)
	case v.Backup.State == BackupUnreadable:
		v.problem(Critical, "its newest backup cannot be read from the bucket: "+v.Backup.Error)
	case v.Backup.State == BackupNone && w.At.Sub(v.Created) > time.Hour:
		v.problem(Warning, "never backed up")
	case v.Backup.State != BackupNone && age > oldBackup && len(planned) > 0:
		text := "newest backup is " + Ago(age) + " old"
		if !v.Attached() && w.Setting(v.Cluster, "allow-recurring-job-while-volume-detached") != "true" {
			text += ": it is detached, and jobs pass detached volumes over"
		}
		v.problem(Warning, text)
	case v.Backup.State != BackupNone && len(planned) == 0:
		v.problem(Warning, "no job backs it up")
	}
}

// freshBackup is how old the newest backup of a volume may be before a power cut.
const freshBackup = 24 * time.Hour

// NeedsBackup reports whether a volume has no backup of the last day that is known to
// be good. What is not known counts as none.
func (w *World) NeedsBackup(v *Volume) bool {
	good := v.Backup.State == BackupVerified || v.Backup.State == BackupClaimed
	return !good || v.Failed != nil || w.At.Sub(v.Backup.At) > freshBackup
}

// VolumeNamed finds a volume by Longhorn's name, nil for none.
func (w *World) VolumeNamed(cluster, name string) *Volume {
	for _, v := range w.Volumes {
		if v.Cluster == cluster && v.Name == name {
			return v
		}
	}
	return nil
}

// ReadsStores reports whether any bucket of the cluster's could be read.
func (w *World) ReadsStores(cluster string) bool {
	return slices.ContainsFunc(w.Stores, func(s *StoreFacts) bool { return s.Cluster == cluster && s.Source.Status == SourceOK })
}

// BacksUp reports whether the cluster has a backup target at all.
func (w *World) BacksUp(cluster string) bool {
	return slices.ContainsFunc(w.BackupTargets, func(t *BackupTarget) bool { return t.Cluster == cluster && t.URL != "" })
}

// backupJobs lists the recurring jobs that back the volume up: those it names,
// those of its groups, and those of the group "default" when it names none.
func (w *World) backupJobs(v *Volume) []*RecurringJob {
	groups := v.JobGroups
	if len(v.Jobs) == 0 && len(groups) == 0 {
		groups = []string{"default"}
	}
	jobs := []*RecurringJob{}
	for _, j := range w.RecurringJobs {
		if j.Cluster == v.Cluster && j.Backs() && (slices.Contains(v.Jobs, j.Name) ||
			slices.ContainsFunc(j.Groups, func(g string) bool { return slices.Contains(groups, g) })) {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// Setting gives the value of one of Longhorn's settings, "" when it is not known.
func (w *World) Setting(cluster, name string) string {
	for i := range w.facts.Clusters {
		if c := &w.facts.Clusters[i]; c.Name == cluster {
			for _, s := range c.Longhorn.Settings.Items {
				if s.Name == name {
					return s.Value
				}
			}
		}
	}
	return ""
}

// WithSetting gives the World with one of Longhorn's settings changed. Nothing is
// judged anew.
func (w *World) WithSetting(cluster, name, value string) *World {
	with := *w
	with.facts.Clusters = slices.Clone(w.facts.Clusters)
	for i := range with.facts.Clusters {
		if c := &with.facts.Clusters[i]; c.Name == cluster {
			items := slices.DeleteFunc(slices.Clone(c.Longhorn.Settings.Items), func(s *Setting) bool { return s.Name == name })
			c.Longhorn.Settings.Items = append(items, &Setting{cluster, name, value})
		}
	}
	return &with
}

// judgeStorage reports volumes, targets and storage nodes that need attention.
// A volume whose only trouble is a house that is gone is that house's.
func (w *World) judgeStorage() {
	lacking := map[string]int{}
	for _, v := range w.Volumes {
		switch {
		case v.lacks != "" && len(v.Problems) == 1:
			lacking[v.lacks]++
		case v.severity > OK && v.severity != Unknown && len(v.Problems) > 0:
			w.reason(v.severity, v.Cluster, v.Site, v.Object(), strings.Join(v.Problems, "; "))
		}
	}
	for _, s := range w.Sites {
		if n := lacking[s.Name]; n > 0 {
			w.reason(Warning, "", s.Name, "site/"+s.Name, fmt.Sprintf("%s a copy each while it is gone", lack(n)))
		}
	}
	for _, t := range w.BackupTargets {
		if t.URL != "" && !t.Available {
			w.reason(Warning, t.Cluster, "", "backuptarget/"+t.Name, "not available: "+cmp.Or(t.Message, "Longhorn does not say why"))
		}
	}
	w.judgeDisks()
}

// judgeDisks reports where Longhorn can put no replicas. That it puts none on cordoned
// machines is one finding of their house.
func (w *World) judgeDisks() {
	cordoned := map[string][]string{} // by site: machines
	for _, s := range w.StorageNodes {
		n := w.Node(s.Cluster, s.Name)
		if n == nil || !n.Alive() {
			continue
		}
		if !s.Ready {
			w.reason(Warning, s.Cluster, n.Site, "storage/"+s.Name, "Longhorn is not ready on it: "+cmp.Or(s.Reason, "it does not say why"))
		}
		for _, d := range s.Disks {
			switch {
			case !s.Ready || !d.Scheduling || d.Schedulable:
			case n.Unschedulable && d.Reason == reasonCordoned:
				if !slices.Contains(cordoned[n.Site], s.Name) {
					cordoned[n.Site] = append(cordoned[n.Site], s.Name)
				}
			default:
				w.reason(Warning, s.Cluster, n.Site, "storage/"+s.Name, "disk "+d.Path+" takes no more replicas: "+cmp.Or(d.Reason, "Longhorn does not say why"))
			}
		}
	}
	for _, s := range w.Sites {
		if names := cordoned[s.Name]; len(names) > 0 {
			w.reason(Warning, "", s.Name, "site/"+s.Name, "Longhorn puts no copies onto what is cordoned there: "+some(names, 3))
		}
	}
}

// reasonCordoned is why a disk takes no replicas while Kubernetes calls its node
// unschedulable (Longhorn's setting disable-scheduling-on-cordoned-node).
const reasonCordoned = "KubernetesNodeCordoned"

// SiteStorage sums what the disks of a site hold, in bytes.
func (w *World) SiteStorage(site string) (used, capacity int64) {
	for _, s := range w.StorageNodes {
		if n := w.Node(s.Cluster, s.Name); n == nil || n.Site != site {
			continue
		}
		for _, d := range s.Disks {
			used += d.Max - d.Available
			capacity += d.Max
		}
	}
	return used, capacity
}
