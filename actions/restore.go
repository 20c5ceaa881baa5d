package actions

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
)

const (
	opRestore = "restore"
	opClaim   = "claim"

	argBackup = "backup" // its URL
	argAccess = "access"
	argOf     = "of" // the volume whose backup it is

	// planLabel marks what a plan made, so that nothing else is taken for it.
	planLabel = "geotop.io/plan"

	// restorePatience is for how long a restore may stand still.
	restorePatience = 30 * time.Minute
	usualCopies     = 3
)

// volumeName is what Longhorn takes for a volume's name.
var volumeName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$`)

// Restore plans to make a new volume from a backup ("backup/NAME"), and a claim of the
// same name for it. What was there stays as it is.
func Restore(w *model.World, what, name string) (*model.Plan, error) {
	if !w.Looked() {
		return nil, refuse("the cluster could not be read, so nothing is done")
	}
	b, err := backupAt(w, strings.TrimPrefix(what, "backup/"))
	if err != nil {
		return nil, err
	}
	if name = strings.TrimSpace(name); name == "" {
		name = suggestRestore(w, what)
	}
	switch {
	case b.State != "Completed" || b.Deleting:
		return nil, refuse("backup %s is not whole: it is %s", b.Name, cmp.Or(model.Clean(b.State, 40), "not begun"))
	case b.URL == "":
		return nil, refuse("Longhorn does not say where backup %s is", b.Name)
	case !volumeName.MatchString(name):
		return nil, unknown("%q is no name for a volume: small letters, digits and -, at most 40", model.Clean(name, 60))
	case w.VolumeNamed(b.Cluster, name) != nil:
		return nil, unknown("there is a volume %s already", name)
	}
	of := w.VolumeNamed(b.Cluster, b.Volume)
	s := &model.Step{
		Op: opRestore, Object: "volume/" + name, Text: "restore " + name + " from " + b.Name, State: model.StepWaits,
		Effect: "as it was " + model.Ago(w.At.Sub(b.At())) + " ago",
		Args:   map[string]string{argBackup: b.URL, argOf: b.Volume, argCopies: strconv.Itoa(min(usualCopies, max(1, len(w.Sites)))), argAccess: "rwo"},
	}
	if b.Size > 0 {
		s.Effect += ", " + text.Bytes(b.Size) + " from the bucket"
	}
	p := &model.Plan{Cluster: b.Cluster, Action: "restore", Target: "backup/" + b.Name, Title: s.Text, Warnings: []string{}, Guards: []string{}, Steps: []*model.Step{s}}
	switch state, trouble := w.BackupSeen(b); state {
	case model.BackupMissing, model.BackupUnreadable:
		guard(p, name, "the backup is %s in the bucket: %s", state, trouble)
	}
	if of == nil {
		warn(p, "its volume %s is gone, and which claim it had is not known: the new one gets none", b.Volume)
		return p, nil
	}
	s.Args[argCopies] = strconv.Itoa(max(1, of.Wanted))
	s.Args[argAccess] = cmp.Or(of.AccessMode, "rwo")
	if of.Namespace == "" {
		warn(p, "no claim uses %s: the new one gets none either", of.Object())
		return p, nil
	}
	p.Steps = append(p.Steps, &model.Step{
		Op: opClaim, Object: "claim/" + of.Namespace + "/" + name, Text: "make the claim " + of.Namespace + "/" + name, State: model.StepWaits,
		Effect: "a pod that names it gets the restored volume; " + of.Object() + " and its pods stay as they are", Args: map[string]string{argOf: b.Volume},
	})
	return p, nil
}

func backupAt(w *model.World, name string) (*model.Backup, error) {
	if at := slices.IndexFunc(w.Backups, func(b *model.Backup) bool { return b.Name == name }); at >= 0 {
		return w.Backups[at], nil
	}
	// The newest good one of a volume, named by its claim.
	var newest *model.Backup
	if found, err := volumesOf(w, "volume/"+name); err == nil {
		for _, b := range w.Backups {
			if b.Volume == found[0].Name && b.State == "Completed" && !b.Deleting && (newest == nil || b.At().After(newest.At())) {
				newest = b
			}
		}
		if newest == nil {
			return nil, refuse("%s has no backup that is whole", found[0].Object())
		}
		return newest, nil
	}
	return nil, unknown("no backup and no volume is called %q", model.Clean(name, 80))
}

// suggestRestore is a name for what a backup would be restored as.
func suggestRestore(w *model.World, object string) string {
	b, err := backupAt(w, strings.TrimPrefix(object, "backup/"))
	if err != nil {
		return ""
	}
	base := b.Volume
	if v := w.VolumeNamed(b.Cluster, b.Volume); v != nil {
		base = cmp.Or(v.PVC, base)
	}
	suffix := "-" + b.At().UTC().Format("0102")
	return strings.Trim(base[:min(len(base), 40-len(suffix))], "-") + suffix
}

type lhRestored struct {
	object
	Spec   struct{ Size, AccessMode string }
	Status struct {
		State                             string
		RestoreInitiated, RestoreRequired bool
		Conditions                        []struct{ Type, Status, Reason, Message string }
	}
}

// trouble is why a restore does not go on, and whether that is for good.
func (v *lhRestored) trouble() (why string, over bool) {
	for _, c := range v.Status.Conditions {
		switch {
		case strings.EqualFold(c.Type, "Restore") && c.Reason == "RestoreFailure":
			return model.Clean(c.Message, 300), true
		case strings.EqualFold(c.Type, "Scheduled") && c.Status == "False":
			return "no disk takes all its copies: " + model.Clean(cmp.Or(c.Message, c.Reason), 200), false
		}
	}
	return "", false
}

var restoreOp = op{
	rights: []right{longhornRight("get", "volumes"), longhornRight("create", "volumes"), longhornRight("delete", "volumes"), longhornRight("list", "engines")},
	do:     restore,
	undo: func(ctx context.Context, j *job, s *model.Step) error {
		v := &lhRestored{}
		path := longhornPath + "volumes/" + nameOf(s.Object)
		switch err := j.get(ctx, path, v); {
		case apierrors.IsNotFound(err):
			return &skipped{"it is not there"}
		case err != nil:
			return err
		case v.Metadata.Labels[planLabel] != j.plan.ID:
			return &skipped{"the volume of that name is not from this plan"}
		case v.Status.State == "attached" && !v.Status.RestoreRequired:
			return refuse("somebody uses it already: it stays")
		}
		if err := j.mine(ctx); err != nil {
			return err
		}
		return j.remove(ctx, path, meta{UID: v.Metadata.UID})
	},
}

// restore makes the volume and waits until its data are there.
func restore(ctx context.Context, j *job, s *model.Step) error {
	name := nameOf(s.Object)
	return j.await(ctx, s, restorePatience, func() (note string, done bool, err error) {
		v := &lhRestored{}
		err = j.get(ctx, longhornPath+"volumes/"+name, v)
		switch {
		case apierrors.IsNotFound(err):
			return "waiting for Longhorn", false, j.makeVolume(ctx, s, name)
		case err != nil:
			return "", false, err
		case v.Metadata.Labels[planLabel] != j.plan.ID:
			return "", false, refuse("somebody made a volume %s meanwhile", name)
		case v.Status.RestoreInitiated && !v.Status.RestoreRequired:
			return "restored", true, nil
		}
		switch why, over := v.trouble(); {
		case over:
			return "", false, refuse("Longhorn: %s", why)
		case why != "":
			return why, false, nil
		case !v.Status.RestoreInitiated:
			return "waiting for Longhorn", false, nil
		}
		note, err = j.restored(ctx, name)
		return note, false, err
	})
}

func (j *job) makeVolume(ctx context.Context, s *model.Step, name string) error {
	if err := j.mine(ctx); err != nil {
		return err
	}
	copies, _ := strconv.Atoi(s.Args[argCopies])
	// Longhorn takes the size from the backup, whatever is said here.
	err := j.create(ctx, longhornPath+"volumes", map[string]any{
		"apiVersion": "longhorn.io/v1beta2", "kind": "Volume",
		"metadata": meta{Name: name, Namespace: longhornNamespace, Labels: map[string]string{planLabel: j.plan.ID}},
		"spec":     map[string]any{"fromBackup": s.Args[argBackup], "numberOfReplicas": copies, "frontend": "blockdev", "accessMode": s.Args[argAccess], "size": "1073741824"},
	}, nil)
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make the volume %s: %w", name, err)
	}
	return nil
}

// restored says how far the slowest copy is.
func (j *job) restored(ctx context.Context, name string) (string, error) {
	var engines struct {
		Items []struct {
			Status struct {
				RestoreStatus map[string]struct {
					Progress int
					Error    string
				}
			}
		}
	}
	if err := j.list(ctx, longhornPath+"engines", url.Values{"labelSelector": {"longhornvolume=" + name}}, &engines); err != nil {
		return "", err
	}
	percent, known := 100, false
	for _, e := range engines.Items {
		for _, r := range e.Status.RestoreStatus {
			percent, known = min(percent, r.Progress), true
		}
	}
	if !known {
		return "reading the backup", nil
	}
	return fmt.Sprintf("restoring, %d %%", percent), nil
}

const claimsPath = "/api/v1/namespaces/"

// claimOp makes a PersistentVolume of a restored volume, and a claim bound to it.
var claimOp = op{
	rights: []right{
		{verb: "get", resource: "persistentvolumes"}, {verb: "create", resource: "persistentvolumes"}, {verb: "delete", resource: "persistentvolumes"},
	},
	rightsOf: func(s *model.Step) []right {
		list := []right{}
		namespace, _ := claimParts(s)
		for _, verb := range []string{"get", "create", "delete"} {
			list = append(list, right{verb: verb, resource: "persistentvolumeclaims", namespace: namespace})
		}
		return list
	},
	do:   claim,
	undo: unclaim,
}

// claimParts are namespace and name of a claim step's object.
func claimParts(s *model.Step) (namespace, name string) {
	namespace, name, _ = strings.Cut(nameOf(s.Object), "/")
	return namespace, name
}

func claim(ctx context.Context, j *job, s *model.Step) error {
	namespace, name := claimParts(s)
	v := &lhRestored{}
	if err := j.get(ctx, longhornPath+"volumes/"+name, v); err != nil {
		return err
	}
	fs, err := j.filesystem(ctx, s.Args[argOf])
	if err != nil {
		return err
	}
	modes := []string{"ReadWriteOnce"}
	if v.Spec.AccessMode == "rwx" {
		modes = []string{"ReadWriteMany"}
	}
	size := map[string]any{"storage": v.Spec.Size}
	labels := map[string]string{planLabel: j.plan.ID}
	// Retain: no claim that is deleted takes restored data with it.
	if err := j.made(ctx, "/api/v1/persistentvolumes", name, map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta{Name: name, Labels: labels},
		"spec": map[string]any{
			"capacity": size, "accessModes": modes, "persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem",
			"csi":      map[string]any{"driver": "driver.longhorn.io", "volumeHandle": name, "fsType": fs},
			"claimRef": map[string]any{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": name},
		},
	}); err != nil {
		return err
	}
	return j.made(ctx, claimsPath+namespace+"/persistentvolumeclaims", name, map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta{Name: name, Namespace: namespace, Labels: labels},
		"spec": map[string]any{"accessModes": modes, "storageClassName": "", "volumeName": name, "resources": map[string]any{"requests": size}},
	})
}

// made makes an object, or finds that this plan made it before.
func (j *job) made(ctx context.Context, path, name string, body map[string]any) error {
	now := &object{}
	err := j.get(ctx, path+"/"+name, now)
	switch {
	case err == nil && now.Metadata.Labels[planLabel] == j.plan.ID:
		return nil
	case err == nil:
		return refuse("there is a %s %s already", body["kind"], name)
	case !apierrors.IsNotFound(err):
		return err
	}
	if err := j.mine(ctx); err != nil {
		return err
	}
	if err := j.create(ctx, path, body, nil); err != nil {
		return fmt.Errorf("make the %s %s: %w", body["kind"], name, err)
	}
	return nil
}

// filesystem is what the volume was formatted with that the backup is of.
func (j *job) filesystem(ctx context.Context, volume string) (string, error) {
	var pv struct {
		Spec struct{ CSI *struct{ FSType string } }
	}
	err := j.get(ctx, "/api/v1/persistentvolumes/"+volume, &pv)
	if apierrors.IsNotFound(err) || err == nil && (pv.Spec.CSI == nil || pv.Spec.CSI.FSType == "") {
		return "ext4", nil // Longhorn's own default
	}
	if err != nil {
		return "", err
	}
	return pv.Spec.CSI.FSType, nil
}

// unclaim takes claim and PersistentVolume away again, as long as no pod has them.
func unclaim(ctx context.Context, j *job, s *model.Step) error {
	namespace, name := claimParts(s)
	v := &lhRestored{}
	if err := j.get(ctx, longhornPath+"volumes/"+name, v); err == nil && v.Status.State == "attached" {
		return refuse("somebody uses it already: it stays")
	} else if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	for _, path := range []string{claimsPath + namespace + "/persistentvolumeclaims/" + name, "/api/v1/persistentvolumes/" + name} {
		o := &object{}
		err := j.get(ctx, path, o)
		if apierrors.IsNotFound(err) || err == nil && o.Metadata.Labels[planLabel] != j.plan.ID {
			continue
		}
		if err == nil {
			if err = j.mine(ctx); err == nil {
				err = j.remove(ctx, path, meta{UID: o.Metadata.UID})
			}
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
