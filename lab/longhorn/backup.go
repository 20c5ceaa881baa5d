package longhorn

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/pierrec/lz4/v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// backups carries out the Snapshots and Backups people make.
func (s *Sim) backups(ctx context.Context, now time.Time) error {
	snapshots, err := s.dyn.Resource(gvr("snapshots")).Namespace(Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	taken := map[string]time.Time{}
	for i := range snapshots.Items {
		o := &snapshots.Items[i]
		v := s.volume(text(o, "spec", "volume"))
		if ready, _, _ := unstructured.NestedBool(o.Object, "status", "readyToUse"); ready {
			taken[o.GetName()] = parse(text(o, "status", "creationTime"))
			continue
		}
		if v == nil || v.seed.Detached || !s.alive(v.engineOn) {
			continue // a snapshot needs a running engine
		}
		if err := s.update(ctx, "snapshots", o.GetName(), map[string]any{"readyToUse": true, "creationTime": stamp(now), "userCreated": true, "size": v.size / 20, "restoreSize": v.size}); err != nil {
			return err
		}
	}
	backups, err := s.dyn.Resource(gvr("backups")).Namespace(Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range backups.Items {
		if err := s.backup(ctx, &backups.Items[i], taken, now); err != nil {
			return err
		}
	}
	return nil
}

// snapshotPatience stands for the five tries after which Longhorn (from 1.8 on) calls
// a Backup failed for good.
const snapshotPatience = 15 * time.Second

// backup moves one Backup on by a step.
func (s *Sim) backup(ctx context.Context, o *unstructured.Unstructured, taken map[string]time.Time, now time.Time) error {
	name, state := o.GetName(), text(o, "status", "state")
	v := s.volume(o.GetLabels()["backup-volume"])
	at, ready := taken[text(o, "spec", "snapshotName")]
	age := now.Sub(o.GetCreationTimestamp().UTC())
	fail := func(why string) error {
		return s.update(ctx, "backups", name, map[string]any{"state": "Error", "error": why, "lastSyncedAt": stamp(now)})
	}
	switch {
	case o.GetDeletionTimestamp() != nil:
		return s.unmake(ctx, o)
	case v != nil && len(o.GetFinalizers()) == 0: // as on all its objects: the bucket is cleared first
		if err := s.finalizers(ctx, name, "longhorn.io"); err != nil {
			return err
		}
	}
	switch {
	case state == "Completed" || state == "Error":
		return nil
	case v == nil:
		return fail("cannot find the volume")
	case s.bucket == nil:
		return fail("backup target default is not available")
	case !ready && age > snapshotPatience:
		return fail("snapshot " + text(o, "spec", "snapshotName") + " is not ready")
	case !ready:
		return s.update(ctx, "backups", name, map[string]any{"state": "Pending", "messages": map[string]any{"info": "waiting for the snapshot to be ready"}})
	case age < s.clock.Load().Backup:
		if state == "" || state == "Pending" {
			if err := s.bucket.Put(ctx, BackupKey(v.seed.Name, name), backupFile(v, name, text(o, "spec", "snapshotName"), at, time.Time{})); err != nil {
				return fail(err.Error())
			}
		}
		return s.update(ctx, "backups", name, map[string]any{"state": "InProgress", "progress": int64(90 * age / s.clock.Load().Backup), "volumeName": v.seed.Name, "backupTargetName": "default"})
	}
	if err := s.store(ctx, v, name, text(o, "spec", "snapshotName"), at, now); err != nil {
		return fail(err.Error())
	}
	return s.completed(ctx, v, name, text(o, "spec", "snapshotName"), at, now)
}

// unmake takes a backup that is deleted out of the bucket, and lets it go.
func (s *Sim) unmake(ctx context.Context, o *unstructured.Unstructured) error {
	if len(o.GetFinalizers()) == 0 {
		return nil
	}
	if s.bucket != nil {
		if err := s.bucket.Remove(ctx, BackupKey(o.GetLabels()["backup-volume"], o.GetName())); err != nil {
			return err
		}
	}
	return s.finalizers(ctx, o.GetName())
}

func (s *Sim) finalizers(ctx context.Context, backup string, names ...string) error {
	b, err := json.Marshal(map[string]any{"metadata": map[string]any{"finalizers": append([]string{}, names...)}})
	if err != nil {
		return err
	}
	_, err = s.dyn.Resource(gvr("backups")).Namespace(Namespace).Patch(ctx, backup, types.MergePatchType, b, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// completed shows a backup as whole, and the volume's newest as it.
func (s *Sim) completed(ctx context.Context, v *volume, name, snapshot string, at, now time.Time) error {
	v.lastName, v.lastAt = name, at
	if err := s.update(ctx, "backups", name, map[string]any{
		"state": "Completed", "progress": int64(100), "volumeName": v.seed.Name, "backupTargetName": "default", "snapshotName": snapshot,
		"snapshotCreatedAt": stamp(at), "backupCreatedAt": stamp(now), "size": fmt.Sprint(v.size / 3), "newlyUploadDataSize": fmt.Sprint(v.size / 30),
		"url": "s3://backups@us-east-1/?backup=" + name + "&volume=" + v.seed.Name, "lastSyncedAt": stamp(now), "volumeSize": fmt.Sprint(v.size),
	}); err != nil {
		return err
	}
	bv := fmt.Sprintf("%s-%08x", v.seed.Name, hash("default", v.seed.Name))
	if err := s.ensure(ctx, "backupvolumes", bv, map[string]any{"backup-volume": v.seed.Name, "backup-target": "default"},
		map[string]any{"backupTargetName": "default", "volumeName": v.seed.Name}); err != nil {
		return err
	}
	return s.update(ctx, "backupvolumes", bv, map[string]any{
		"lastBackupName": name, "lastBackupAt": stamp(at), "size": fmt.Sprint(v.size), "dataStored": fmt.Sprint(v.size / 3), "lastSyncedAt": stamp(now), "createdAt": stamp(now),
	})
}

// store writes what Longhorn writes by a backup's end: the blocks that are not
// there yet, its own file, whole now, and then the volume's that names it.
func (s *Sim) store(ctx context.Context, v *volume, name, snapshot string, at, now time.Time) error {
	for _, b := range v.data()[v.put:] {
		if err := s.bucket.Put(ctx, BlockKey(v.seed.Name, b.sum), b.packed); err != nil {
			return err
		}
		v.put++
	}
	if err := s.bucket.Put(ctx, BackupKey(v.seed.Name, name), backupFile(v, name, snapshot, at, now)); err != nil {
		return err
	}
	quoted := func(s string) string { return `"` + s + `"` } // these fields are quoted twice
	b, err := json.Marshal(map[string]any{
		"Name": v.seed.Name, "Size": fmt.Sprint(v.size), "Labels": map[string]string{}, "CreatedTime": stamp(now), "LastBackupName": name, "LastBackupAt": stamp(at),
		"BlockCount": fmt.Sprint(v.size / 3 / (2 << 20)), "BackingImageName": quoted(""), "BackingImageChecksum": quoted(""), "CompressionMethod": quoted("lz4"),
		"StorageClassName": quoted("longhorn"), "DataEngine": quoted("v1"),
	})
	if err != nil {
		return err
	}
	return s.bucket.Put(ctx, VolumeFolder(v.seed.Name)+"volume.cfg", b)
}

// VolumeFolder is where the backups of a volume are in the bucket.
func VolumeFolder(volume string) string {
	sum := sha512.Sum512([]byte(volume))
	h := hex.EncodeToString(sum[:])
	return "backupstore/volumes/" + h[:2] + "/" + h[2:4] + "/" + volume + "/"
}

// BackupKey is where a backup's own file is.
func BackupKey(volume, backup string) string {
	return VolumeFolder(volume) + "backups/backup_" + backup + ".cfg"
}

// BlockKey is where the block of a checksum is.
func BlockKey(volume, sum string) string {
	return VolumeFolder(volume) + "blocks/" + sum[:2] + "/" + sum[2:4] + "/" + sum + ".blk"
}

// Every volume's data are so many blocks of the same word.
const (
	blocksEach = 8
	blockSize  = 2 << 20
)

// block is one block of a volume's data.
type block struct {
	sum    string // over what is in it
	packed []byte // as it is stored
}

// data are the volume's blocks, made when first needed.
func (v *volume) data() []block {
	for i := len(v.blocks); i < blocksEach; i++ {
		word := fmt.Sprintf("%s block %d\n", v.seed.Name, i)
		plain := bytes.Repeat([]byte(word), blockSize/len(word)+1)[:blockSize]
		h := sha512.Sum512(plain)
		v.blocks = append(v.blocks, block{hex.EncodeToString(h[:])[:64], pack(plain)})
	}
	return v.blocks
}

func pack(plain []byte) []byte {
	var b bytes.Buffer
	z := lz4.NewWriter(&b)
	_, err := z.Write(plain)
	if cerr := z.Close(); err != nil || cerr != nil {
		panic("memory cannot be written to")
	}
	return b.Bytes()
}

// backupFile is a backup's own file, in the order Longhorn writes it; a stub
// while done is zero.
func backupFile(v *volume, name, snapshot string, at, done time.Time) []byte {
	type entry struct {
		Offset        int64
		BlockChecksum string
	}
	file := struct {
		Name, VolumeName, SnapshotName, SnapshotCreatedAt, CreatedTime, Size string
		Labels, Parameters                                                   map[string]string
		IsIncremental                                                        bool
		CompressionMethod, NewlyUploadedDataSize, ReUploadedDataSize         string
		ProcessingBlocks                                                     any
		Blocks                                                               []entry
		SingleFile                                                           map[string]string
	}{Name: name, VolumeName: v.seed.Name, SnapshotName: snapshot, SnapshotCreatedAt: stamp(at), CompressionMethod: "lz4", SingleFile: map[string]string{"FilePath": ""}}
	if !done.IsZero() {
		file.CreatedTime, file.Size, file.NewlyUploadedDataSize, file.ReUploadedDataSize = stamp(done), fmt.Sprint(v.size/3), fmt.Sprint(v.size/30), "0"
		file.Parameters = map[string]string{"backup-mode": "incremental", "backup-block-size": "2097152"}
		for i, b := range v.data() {
			file.Blocks = append(file.Blocks, entry{int64(i) * blockSize, b.sum})
		}
	}
	b, err := json.Marshal(file)
	if err != nil {
		panic(err) // plain values always marshal
	}
	return b
}

func (s *Sim) volume(name string) *volume {
	for _, v := range s.volumes {
		if v.seed.Name == name {
			return v
		}
	}
	return nil
}

func text(o *unstructured.Unstructured, path ...string) string {
	t, _, _ := unstructured.NestedString(o.Object, path...)
	return t
}

func parse(s string) time.Time {
	t, _ := time.Parse(time.RFC3339, s)
	return t
}

// nightly is what the recurring job left last night: a backup of every volume
// that is attached.
func (s *Sim) nightly(ctx context.Context, now time.Time) error {
	at := now.Add(-8 * time.Hour)
	for _, v := range s.volumes {
		if v.seed.Detached {
			continue
		}
		name := fmt.Sprintf("backup-%016x", hash("nightly", v.seed.Name))
		if err := s.store(ctx, v, name, "nightly-1", at, at.Add(time.Minute)); err != nil {
			return err
		}
		obj := map[string]any{"labels": map[string]any{"backup-volume": v.seed.Name, "backup-target": "default"}, "spec": map[string]any{"snapshotName": "nightly-1", "backupMode": "incremental"}}
		if err := s.create(ctx, "backups", name, obj); err != nil {
			return err
		}
		if err := s.completed(ctx, v, name, "nightly-1", at, at.Add(time.Minute)); err != nil {
			return err
		}
	}
	return nil
}
