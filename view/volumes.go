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
func Volumes() List {
	severity := func(_ *model.World, v *model.Volume) model.Severity { return v.Severity() }
	return &list[*model.Volume]{
		info:     Info{Name: "volumes", Title: "Volumes", Sources: []string{model.SourceVolumes, model.SourceReplicas, model.SourceAPI}},
		items:    func(w *model.World) []*model.Volume { return w.Volumes },
		key:      func(v *model.Volume) string { return v.Cluster + "/" + v.Name },
		site:     func(_ *model.World, v *model.Volume) string { return v.Site },
		severity: severity,
		object:   func(v *model.Volume) Object { return Object{"Volume", v.Cluster, v.Namespace, v.Name} },
		in:       volumeIn,
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
			{ColumnInfo: ColumnInfo{Title: "STATE", Rank: 2, Min: 8, Ideal: 10, Max: 14}, cell: volumeState},
			{ColumnInfo: ColumnInfo{Title: "IN", Rank: 3, Min: 5, Ideal: 9, Max: 40}, cell: volumeSites},
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
			d.row(plain(age(w, backupTime(b))), alert(backupWord(b), backupSeverity(b)), plain(text.Bytes(b.Size)), dim(b.Name), dim(b.Error))
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

// Backups lists what there is to restore from, newest first.
func Backups() List {
	severity := func(_ *model.World, b *model.Backup) model.Severity { return backupSeverity(b) }
	return &list[*model.Backup]{
		info:     Info{Name: "backups", Title: "Backups", Sources: []string{model.SourceBackups, model.SourceBackupTargets, model.SourceAPI}},
		items:    func(w *model.World) []*model.Backup { return w.Backups },
		key:      func(b *model.Backup) string { return b.Cluster + "/" + b.Name },
		site:     func(*model.World, *model.Backup) string { return "" },
		severity: severity,
		object:   func(b *model.Backup) Object { return Object{"Backup", b.Cluster, "", b.Name} },
		in:       func(_ *model.World, b *model.Backup, o Object) bool { return o.Kind == "Volume" && b.Volume == o.Name },
		words: func(b *model.Backup) string {
			return strings.Join([]string{b.Name, b.Volume, b.State, b.Target, b.Error}, " ")
		},
		columns: []column[*model.Backup]{
			mark(severity),
			{ColumnInfo: ColumnInfo{Title: "VOLUME", Min: 10, Ideal: 16, Max: 40, Middle: true}, cell: func(w *model.World, b *model.Backup) Cell { return strong(volumeTitle(w, b)) }},
			{ColumnInfo: ColumnInfo{Title: "AGE", Rank: 1, Min: 4, Right: true}, cell: func(w *model.World, b *model.Backup) Cell { return plain(age(w, backupTime(b))) },
				compare: func(_ *model.World, a, b *model.Backup) int { return backupTime(b).Compare(backupTime(a)) }},
			{ColumnInfo: ColumnInfo{Title: "STATE", Rank: 1, Min: 9, Ideal: 12, Max: 14}, cell: func(_ *model.World, b *model.Backup) Cell { return alert(backupWord(b), backupSeverity(b)) }},
			{ColumnInfo: ColumnInfo{Title: "BUCKET", Rank: 2, Min: 8, Max: 10}, cell: backupSeen},
			{ColumnInfo: ColumnInfo{Title: "SIZE", Rank: 3, Min: 5, Right: true}, cell: func(_ *model.World, b *model.Backup) Cell { return plain(text.Bytes(b.Size)) },
				compare: func(_ *model.World, a, b *model.Backup) int { return cmp.Compare(b.Size, a.Size) }},
			{ColumnInfo: ColumnInfo{Title: "NEW", Rank: 5, Min: 5, Right: true}, cell: func(_ *model.World, b *model.Backup) Cell { return dim(text.Bytes(b.Uploaded)) }},
			{ColumnInfo: ColumnInfo{Title: "TARGET", Rank: 6, Min: 7, Max: 16}, cell: func(_ *model.World, b *model.Backup) Cell { return dim(b.Target) }},
			{ColumnInfo: ColumnInfo{Title: "NAME", Rank: 7, Min: 14, Ideal: 24, Max: 40, Middle: true}, cell: func(_ *model.World, b *model.Backup) Cell { return dim(b.Name) }},
			{ColumnInfo: ColumnInfo{Title: "ERROR", Rank: 4, Min: 10, Ideal: 16, Flex: true}, cell: func(_ *model.World, b *model.Backup) Cell { return alert(b.Error, backupSeverity(b)) }},
		},
		note:    func(_ *model.World, b *model.Backup) string { return b.Error },
		details: backupDetails,
	}
}

// backupSeen is what the bucket itself shows of a completed backup.
func backupSeen(w *model.World, b *model.Backup) Cell {
	if b.State != "Completed" {
		return dim("-")
	}
	switch state, _ := w.BackupSeen(b); state {
	case model.BackupVerified:
		return Cell{Text: string(state), Token: themes.OK}
	case model.BackupMissing, model.BackupUnreadable:
		return alert(string(state), model.Critical)
	default:
		return dim(string(state))
	}
}

// volumeTitle is the claim the backup is of, where its volume is still there.
func volumeTitle(w *model.World, b *model.Backup) string {
	for _, v := range w.Volumes {
		if v.Name == b.Volume && v.Cluster == b.Cluster {
			return v.Title()
		}
	}
	return b.Volume
}

func backupTime(b *model.Backup) time.Time {
	switch {
	case !b.SnapshotAt.IsZero():
		return b.SnapshotAt
	case !b.CreatedAt.IsZero():
		return b.CreatedAt
	default:
		return b.Created
	}
}

func backupWord(b *model.Backup) string {
	switch b.State {
	case "":
		return "new"
	case "InProgress":
		return fmt.Sprintf("running %d%%", b.Progress)
	default:
		return strings.ToLower(b.State)
	}
}

func backupSeverity(b *model.Backup) model.Severity {
	if b.State == "Error" || b.State == "Unknown" {
		return model.Warning
	}
	return model.OK
}

func backupDetails(w *model.World, b *model.Backup) []Line {
	d := newDoc(w)
	d.title(Mark(backupSeverity(b)), b.Name, backupWord(b))
	if b.Error != "" {
		d.note(b.Error, backupSeverity(b))
	}
	d.field("volume", volumeTitle(w, b)+" ("+b.Volume+")")
	d.field("data of", agoOr(w, b.SnapshotAt))
	d.field("uploaded", agoOr(w, b.CreatedAt))
	d.field("read back", agoOr(w, b.SyncedAt))
	d.field("size", text.Bytes(b.Size)+", "+text.Bytes(b.Uploaded)+" of it new")
	if state, trouble := w.BackupSeen(b); b.State == "Completed" {
		d.field("in the bucket", strings.TrimSuffix(string(state)+": "+trouble, ": "))
	}
	d.field("target", b.Target)
	d.field("snapshot", b.Snapshot)
	d.field("url", b.URL)
	for _, t := range w.BackupTargets {
		if t.Name == b.Target && t.Cluster == b.Cluster {
			state := "not available"
			if t.Available {
				state = "available"
			}
			d.section("Target")
			d.row(plain(t.URL), plain(state), dim(t.Message))
			d.end(1)
		}
	}
	for _, f := range w.Stores {
		if f.Cluster != b.Cluster || f.Target != b.Target {
			continue
		}
		d.section("Bucket")
		d.row(plain(f.Bucket+"/"+f.Prefix), plain(f.Endpoint), dim("looked at "+agoOr(w, f.Scanned)), alert(f.Source.Error, worseThan(f.Source.Error != "", model.Unknown)))
		if h := f.Health; h != nil {
			d.row(plain(h.Server), alert(map[bool]string{true: "readable", false: "read quorum lost"}[h.Readable], worseThan(!h.Readable, model.Critical)),
				alert(map[bool]string{true: "writable", false: "write quorum lost"}[h.Writable], worseThan(!h.Writable, model.Warning)), plain(""))
		}
		d.end(2)
	}
	return d.lines
}
