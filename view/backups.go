package view

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
)

// saved is one thing there is to restore from: a volume's backup, or a snapshot
// of the control plane's etcd.
type saved struct {
	volume *model.Backup
	etcd   *model.EtcdSnapshot
}

// allSaved joins both kinds, newest first as each is.
func allSaved(w *model.World) []saved {
	all := make([]saved, 0, len(w.Backups)+len(w.EtcdSnapshots))
	snapshots := w.EtcdSnapshots
	for _, b := range w.Backups {
		for len(snapshots) > 0 && snapshots[0].At.After(b.At()) {
			all, snapshots = append(all, saved{etcd: snapshots[0]}), snapshots[1:]
		}
		all = append(all, saved{volume: b})
	}
	for _, s := range snapshots {
		all = append(all, saved{etcd: s})
	}
	return all
}

func (s saved) object() Object {
	if s.etcd != nil {
		return Object{Kind: "EtcdSnapshot", Cluster: s.etcd.Cluster, Name: s.etcd.Object, Title: s.etcd.Name}
	}
	return Object{Kind: "Backup", Cluster: s.volume.Cluster, Name: s.volume.Name}
}

func (s saved) site() string {
	if s.etcd != nil {
		return s.etcd.Site
	}
	return ""
}

func (s saved) severity(w *model.World) model.Severity {
	if s.etcd != nil {
		return s.etcd.Severity()
	}
	return backupSeverity(w, s.volume)
}

// word is its state as the cluster has it.
func (s saved) word() Cell {
	if s.etcd != nil {
		return alert(s.etcd.Word(), s.etcd.Severity())
	}
	return alert(backupWord(s.volume), claimSeverity(s.volume))
}

func (s saved) name() string {
	if s.etcd != nil {
		return s.etcd.Name
	}
	return s.volume.Name
}

func (s saved) at() time.Time {
	if s.etcd != nil {
		return s.etcd.At
	}
	return s.volume.At()
}

func (s saved) size() int64 {
	if s.etcd != nil {
		return s.etcd.Size
	}
	return s.volume.Size
}

// trouble says what is wrong with it, in the cluster's own word or the bucket's.
func (s saved) trouble(w *model.World) string {
	switch {
	case s.etcd != nil && s.etcd.State == model.BackupMissing:
		return "not in the bucket"
	case s.etcd != nil:
		return s.etcd.Error
	case s.volume.Error != "":
		return s.volume.Error
	case s.volume.State != "Completed":
		return ""
	}
	switch state, why := w.BackupSeen(s.volume); state {
	case model.BackupMissing:
		return "not in the bucket"
	case model.BackupUnreadable:
		return why
	default:
		return ""
	}
}

// where is the target a backup went to, or whose disk a snapshot lies on.
func (s saved) where() string {
	switch {
	case s.etcd == nil:
		return s.volume.Target
	case s.etcd.Bucket != "":
		return s.etcd.Bucket
	default:
		return s.etcd.Node
	}
}

// of is what was saved: the claim, or the control plane.
func (s saved) of(w *model.World) string {
	if s.etcd != nil {
		return strings.TrimSpace("etcd " + s.etcd.Node)
	}
	return volumeTitle(w, s.volume)
}

// Backups lists what there is to restore from, newest first.
func Backups() List { return backupsList }

var backupsList = makeBackups()

func makeBackups() List {
	severity := func(w *model.World, s saved) model.Severity { return s.severity(w) }
	return &list[saved]{
		info:     Info{Name: "backups", Title: "Backups", Sources: []string{model.SourceBackups, model.SourceBackupTargets, model.SourceAPI}},
		items:    allSaved,
		key:      func(s saved) string { o := s.object(); return o.Kind + "/" + o.Cluster + "/" + o.Name },
		site:     func(_ *model.World, s saved) string { return s.site() },
		severity: severity,
		object:   saved.object,
		in: func(_ *model.World, s saved, o Object) bool {
			return o.Kind == "Volume" && s.volume != nil && s.volume.Volume == o.Name
		},
		words: func(s saved) string {
			if s.etcd != nil {
				return strings.Join([]string{"etcd", s.etcd.Name, s.etcd.Node, s.etcd.Location, s.etcd.Error}, " ")
			}
			b := s.volume
			return strings.Join([]string{b.Name, b.Volume, b.State, b.Target, b.Error}, " ")
		},
		columns: []column[saved]{
			mark(severity),
			{ColumnInfo: ColumnInfo{Title: "OF", Min: 10, Ideal: 16, Max: 40, Middle: true}, cell: func(w *model.World, s saved) Cell { return strong(s.of(w)) }},
			{ColumnInfo: ColumnInfo{Title: "AGE", Rank: 1, Min: 4, Right: true}, cell: func(w *model.World, s saved) Cell { return plain(age(w, s.at())) },
				compare: func(_ *model.World, a, b saved) int { return b.at().Compare(a.at()) }},
			{ColumnInfo: ColumnInfo{Title: "STATE", Rank: 1, Min: 9, Ideal: 12, Max: 14}, cell: func(_ *model.World, s saved) Cell { return s.word() }},
			{ColumnInfo: ColumnInfo{Title: "BUCKET", Rank: 2, Min: 8, Max: 10}, cell: savedSeen},
			{ColumnInfo: ColumnInfo{Title: "SIZE", Rank: 3, Min: 5, Right: true}, cell: func(_ *model.World, s saved) Cell { return plain(text.Bytes(s.size())) },
				compare: func(_ *model.World, a, b saved) int { return cmp.Compare(b.size(), a.size()) }},
			{ColumnInfo: ColumnInfo{Title: "NEW", Rank: 5, Min: 5, Right: true}, cell: func(_ *model.World, s saved) Cell {
				if s.volume == nil {
					return dim("-")
				}
				return dim(text.Bytes(s.volume.Uploaded))
			}},
			{ColumnInfo: ColumnInfo{Title: "WHERE", Rank: 6, Min: 7, Max: 16}, cell: func(_ *model.World, s saved) Cell { return dim(s.where()) }},
			{ColumnInfo: ColumnInfo{Title: "NAME", Rank: 7, Min: 14, Ideal: 24, Max: 40, Middle: true}, cell: func(_ *model.World, s saved) Cell { return dim(s.name()) }},
			{ColumnInfo: ColumnInfo{Title: "ERROR", Rank: 4, Min: 10, Ideal: 16, Flex: true}, cell: func(w *model.World, s saved) Cell { return alert(s.trouble(w), s.severity(w)) }},
		},
		note: func(w *model.World, s saved) string { return s.trouble(w) },
		details: func(w *model.World, s saved) []Line {
			if s.etcd != nil {
				return snapshotDetails(w, s.etcd)
			}
			return backupDetails(w, s.volume)
		},
	}
}

func snapshotDetails(w *model.World, s *model.EtcdSnapshot) []Line {
	d := newDoc(w)
	d.title(Mark(s.Severity()), s.Name, s.Word())
	if s.Error != "" {
		d.note(s.Error, s.Severity())
	}
	d.field("of", "the control plane's etcd, cluster "+s.Cluster)
	d.field("taken by", s.Node)
	d.field("site", s.Site)
	d.field("taken", agoOr(w, s.At))
	d.field("size", text.Bytes(s.Size))
	d.field("location", s.Location)
	if s.Bucket != "" {
		d.field("in the bucket", string(s.State))
	}
	return d.lines
}

// savedSeen is what the bucket itself shows of it.
func savedSeen(w *model.World, s saved) Cell {
	switch {
	case s.volume != nil:
		return backupSeen(w, s.volume)
	case s.etcd.Bucket == "" || !s.etcd.Ready:
		return dim("-")
	default:
		return seen(s.etcd.State)
	}
}

// backupSeen is what the bucket itself shows of a completed backup.
func backupSeen(w *model.World, b *model.Backup) Cell {
	if b.State != "Completed" {
		return dim("-")
	}
	state, _ := w.BackupSeen(b)
	return seen(state)
}

func seen(state model.BackupState) Cell {
	switch state {
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

// claimSeverity ranks a backup by what the cluster says of it.
func claimSeverity(b *model.Backup) model.Severity {
	if b.State == "Error" || b.State == "Unknown" {
		return model.Warning
	}
	return model.OK
}

// backupSeverity ranks it by what the bucket says, too.
func backupSeverity(w *model.World, b *model.Backup) model.Severity {
	if b.State == "Completed" {
		if state, _ := w.BackupSeen(b); state == model.BackupMissing || state == model.BackupUnreadable {
			return model.Critical
		}
	}
	return claimSeverity(b)
}

// storeServers lists a store's servers, what room they have, and which of them it
// could do without.
func (d *doc) storeServers(c *model.StoreCluster) {
	d.section("Servers")
	for _, s := range c.Servers {
		state, free, spare := Cell{Text: "online", Token: themes.OK}, int64(0), dim("")
		if !s.Online {
			state = alert("offline", model.Warning)
		}
		for _, drive := range s.Drives {
			free += drive.Available
		}
		if s.Spare != nil {
			spare = dim("can be spared")
			if !*s.Spare {
				spare = alert("needed: writing stops without it", model.Warning)
			}
		}
		name, _, _ := strings.Cut(s.Endpoint, ".")
		if s.Node == "" {
			name = s.Endpoint
		}
		room := dim("-")
		if s.Online {
			room = plain(text.Bytes(free) + " free")
		}
		d.row(strong(name), plain(s.Site), state, room, spare)
	}
	d.end(20)
}

func backupDetails(w *model.World, b *model.Backup) []Line {
	d := newDoc(w)
	d.title(Mark(backupSeverity(w, b)), b.Name, backupWord(b))
	if trouble := (saved{volume: b}).trouble(w); trouble != "" {
		d.note(trouble, backupSeverity(w, b))
	}
	d.field("volume", volumeTitle(w, b)+" ("+b.Volume+")")
	d.field("data of", agoOr(w, b.SnapshotAt))
	d.field("uploaded", agoOr(w, b.CreatedAt))
	d.field("read back", agoOr(w, b.SyncedAt))
	d.field("size", text.Bytes(b.Size)+", "+text.Bytes(b.Uploaded)+" of it new")
	if state, trouble := w.BackupSeen(b); b.State == "Completed" {
		d.field("in the bucket", strings.TrimSuffix(string(state)+": "+trouble, ": "))
	}
	if c := w.BlocksSeen(b); c != nil {
		d.field("its blocks", fmt.Sprintf("%d of %d there, %d of %d read are whole, looked at %s", c.Blocks-c.Missing, c.Blocks, c.Read-c.Damaged, c.Read, agoOr(w, c.At)))
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
		if f.MinIO != nil {
			d.storeServers(f.MinIO)
		}
	}
	return d.lines
}
