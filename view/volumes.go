package view

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
)

// Volumes lists Longhorn's volumes, and in which houses their copies are.
func Volumes() List { return volumesList }

var volumesList = makeVolumes()

func makeVolumes() List {
	severity := func(_ *model.World, v *model.Volume) model.Severity { return v.Severity() }
	return &list[*model.Volume]{
		info:     Info{Name: "volumes", Title: "Volumes", Short: "Vols", Sources: []string{model.SourceVolumes, model.SourceReplicas, model.SourceAPI}},
		items:    func(w *model.World) []*model.Volume { return w.Volumes },
		key:      func(v *model.Volume) string { return v.Cluster + "/" + v.Name },
		site:     func(_ *model.World, v *model.Volume) string { return v.Site },
		severity: severity,
		object: func(v *model.Volume) Object {
			return Object{Kind: "Volume", Cluster: v.Cluster, Namespace: v.Namespace, Name: v.Name, Title: v.PVC}
		},
		in: volumeIn,
		words: func(v *model.Volume) string {
			return strings.Join([]string{v.Name, v.PVC, v.Namespace, v.State, v.Robustness, v.Workload, v.Node, strings.Join(v.Sites, " "), strings.Join(v.Problems, " ")}, " ")
		},
		columns: []column[*model.Volume]{
			mark(severity),
			{ColumnInfo: ColumnInfo{Title: "VOLUME", Min: 10, Ideal: 16, Max: 40, Middle: true}, cell: func(_ *model.World, v *model.Volume) Cell { return strong(v.Title()) }},
			{ColumnInfo: ColumnInfo{Title: "NAMESPACE", Rank: 5, Min: 9, Ideal: 11, Max: 24, Middle: true}, cell: func(_ *model.World, v *model.Volume) Cell { return plain(v.Namespace) }},
			{ColumnInfo: ColumnInfo{Title: "COPIES", Rank: 1, Min: 6, Right: true}, cell: volumeCopies,
				compare: func(_ *model.World, a, b *model.Volume) int {
					return cmp.Compare(a.Healthy-a.Wanted, b.Healthy-b.Wanted)
				}},
			{ColumnInfo: ColumnInfo{Title: "STATE", Rank: 3, Min: 8, Ideal: 10, Max: 14}, cell: volumeState},
			{ColumnInfo: ColumnInfo{Title: "IN", Rank: 2, Min: 5, Ideal: 9, Max: 40}, cell: volumeSites},
			{ColumnInfo: ColumnInfo{Title: "BACKUP", Rank: 2, Min: 6, Right: true}, cell: volumeBackup,
				compare: func(_ *model.World, a, b *model.Volume) int { return a.Backup.At.Compare(b.Backup.At) }},
			{ColumnInfo: ColumnInfo{Title: "SIZE", Rank: 6, Min: 5, Right: true}, cell: func(_ *model.World, v *model.Volume) Cell { return plain(text.Bytes(v.Size)) },
				compare: func(_ *model.World, a, b *model.Volume) int { return cmp.Compare(b.Size, a.Size) }},
			{ColumnInfo: ColumnInfo{Title: "ON", Rank: 7, Min: 8, Ideal: 11, Max: 24, Middle: true}, cell: func(_ *model.World, v *model.Volume) Cell { return plain(v.Node) }},
			{ColumnInfo: ColumnInfo{Title: "USED BY", Rank: 8, Min: 10, Ideal: 18, Max: 40, Middle: true}, cell: func(_ *model.World, v *model.Volume) Cell { return dim(userName(v)) }},
			{ColumnInfo: ColumnInfo{Title: "TROUBLE", Rank: 9, Min: 12, Ideal: 24, Flex: true}, cell: func(_ *model.World, v *model.Volume) Cell {
				return alert(strings.Join(v.Problems, "; "), v.Severity())
			}},
		},
		note:    func(_ *model.World, v *model.Volume) string { return strings.Join(v.Problems, "; ") },
		details: volumeDetails,
	}
}

// volumeIn reports whether the volume has a copy or its engine in a site, or a
// copy on a node.
func volumeIn(_ *model.World, v *model.Volume, o Object) bool {
	for _, r := range v.Replicas {
		if o.Kind == "Site" && r.Site == o.Name || o.Kind == "Node" && r.Node == o.Name && v.Cluster == o.Cluster {
			return true
		}
	}
	return o.Kind == "Site" && v.Site == o.Name
}

// userName is the workload that uses the volume, without its namespace.
func userName(v *model.Volume) string { return v.Workload[strings.LastIndexByte(v.Workload, '/')+1:] }

func volumeCopies(_ *model.World, v *model.Volume) Cell {
	if v.Severity() == model.Unknown {
		return unknown
	}
	return alert(fmt.Sprintf("%d/%d", v.Healthy, v.Wanted), worseThan(v.Healthy < v.Wanted, v.Severity()))
}

// volumeState is what goes on with the volume: Longhorn's state, but that a
// rebuild or a lost copy says more.
func volumeState(_ *model.World, v *model.Volume) Cell {
	switch percent := v.Rebuilding(); {
	case v.Severity() == model.Unknown:
		return unknown
	case percent >= 0:
		return Cell{Text: fmt.Sprintf("rebuild %d%%", percent), Short: fmt.Sprintf("%d%%", percent), Token: themes.Accent}
	case v.Robustness == "faulted":
		return alert("faulted", model.Critical)
	case v.Attached() && v.Healthy < v.Wanted:
		return alert("degraded", v.Severity())
	case v.Attached():
		return plain("attached")
	default:
		return dim(v.State)
	}
}

// volumeSites lists the houses with a good copy, in short by their first letters.
func volumeSites(w *model.World, v *model.Volume) Cell {
	c := alert(strings.Join(v.Sites, " "), worseThan(len(v.Sites) < 2 && len(w.Sites) > 1 && v.Wanted > 1, v.Severity()))
	for i, s := range v.Sites {
		if i > 0 {
			c.Short += " "
		}
		c.Short += shortSite(w, s)
	}
	return c
}

func volumeBackup(w *model.World, v *model.Volume) Cell {
	sev := model.OK
	for _, p := range v.Problems {
		if strings.Contains(p, "backup") || strings.Contains(p, "backed") || strings.Contains(p, "backs") {
			sev = model.Warning
		}
	}
	switch {
	case v.Running != nil && v.Running.State == "InProgress":
		return Cell{Text: fmt.Sprintf("%d%%", v.Running.Progress), Token: themes.Accent}
	case v.Backup.State == model.BackupUnknown:
		return unknown
	case v.Backup.State == model.BackupNone:
		return alert("none", sev)
	case v.Backup.State == model.BackupMissing || v.Backup.State == model.BackupUnreadable:
		return alert(string(v.Backup.State), model.Critical)
	default:
		return alert(age(w, v.Backup.At), sev)
	}
}

func volumeDetails(w *model.World, v *model.Volume) []Line {
	d := newDoc(w)
	state := v.State
	if v.Attached() {
		state += " on " + v.Node
	}
	d.title(Mark(v.Severity()), v.Title(), state)
	for _, p := range v.Problems {
		d.note(p, v.Severity())
	}
	d.field("claim", strings.Trim(v.Namespace+"/"+v.PVC, "/"))
	d.field("used by", v.Workload)
	d.field("volume", v.Name)
	d.field("size", text.Bytes(v.Size)+", "+text.Bytes(v.ActualSize)+" of it in use")
	d.field("copies", fmt.Sprintf("%d of %d healthy, in %s", v.Healthy, v.Wanted, plural(len(v.Sites), "house")))
	d.field("Longhorn says", strings.Trim(v.State+", "+v.Robustness, ", "))
	d.field("degraded", agoOr(w, v.DegradedSince))
	d.field("access", strings.Trim(v.AccessMode+", "+v.DataEngine, ", "))
	if s := v.Snapshots; s != nil && s.Count > 0 {
		d.field("snapshots", fmt.Sprintf("%d, %s, newest %s", s.Count, text.Bytes(s.Size), agoOr(w, s.Newest)))
	}
	d.field("backup", lastBackup(w, v))
	if v.Failed != nil {
		d.field("failed backup", agoOr(w, v.Failed.Created)+": "+v.Failed.Error)
	}
	d.field("created", agoOr(w, v.Created))
	d.section("Copies")
	for _, r := range v.Replicas {
		health := alert(string(r.Health), worseThan(!r.Healthy, model.Warning))
		if r.Health == model.ReplicaRebuilding {
			health.Text += " " + strconv.Itoa(r.Percent) + "%"
		}
		d.row(strong(r.Node), plain(r.Site), health, dim(agoOr(w, replicaSince(r))), dim(r.Failure))
	}
	d.end(30)
	d.section("Backups")
	for _, b := range w.Backups {
		if b.Volume == v.Name && b.Cluster == v.Cluster {
			d.row(plain(age(w, b.At())), alert(backupWord(b), backupSeverity(w, b)), plain(text.Bytes(b.Size)), dim(b.Name), dim(b.Error))
		}
	}
	d.end(20)
	d.events(func(e *model.Event) bool {
		return e.Cluster == v.Cluster && (e.Object == v.Name || e.Object == v.PVC && e.Namespace == v.Namespace)
	})
	return d.lines
}

// replicaSince is since when the copy is as it is, where known.
func replicaSince(r *model.Replica) time.Time {
	if !r.FailedAt.IsZero() {
		return r.FailedAt
	}
	return r.HealthyAt
}

func lastBackup(w *model.World, v *model.Volume) string {
	switch v.Backup.State {
	case model.BackupNone:
		return "none"
	case model.BackupUnknown:
		return "unknown"
	default:
		return agoOr(w, v.Backup.At) + ", " + string(v.Backup.State) + ", " + v.Backup.Name
	}
}
