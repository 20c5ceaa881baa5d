package actions

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/geotop/geotop/model"
)

// Longhorn's custom resources (longhorn.io/v1beta2), as far as they are asked for
// or changed here.
const (
	longhornNamespace = "longhorn-system"
	longhornGroup     = "longhorn.io"
	longhornPath      = "/apis/longhorn.io/v1beta2/namespaces/" + longhornNamespace + "/"
)

func longhornRight(verb, resource string) right {
	return right{verb: verb, group: longhornGroup, resource: resource, namespace: longhornNamespace}
}

type lhVolume struct {
	object
	Spec struct {
		NumberOfReplicas   int
		ReplicaAutoBalance string
		NodeSelector       []string
		MigrationNodeID    string
		Standby            bool
		Image              string
		Size               string
		DataLocality       string
		BackupTargetName   string
	}
	Status struct {
		State, Robustness, CurrentNodeID, CurrentImage string
		IsStandby, RestoreRequired, ExpansionRequired  bool
		KubernetesStatus                               json.RawMessage
		Conditions                                     []struct{ Type, Status, Reason, Message string }
	}
}

type lhSnapshot struct {
	object
	Spec   struct{ Volume string }
	Status struct {
		ReadyToUse, MarkRemoved bool
		Error                   string
	}
}

type lhBackup struct {
	object
	Status struct {
		State, Error string
		Progress     int
		LastSyncedAt *time.Time
		Messages     map[string]string
	}
}

func (c client) volume(ctx context.Context, name string) (*lhVolume, error) {
	v := &lhVolume{}
	return v, c.get(ctx, longhornPath+"volumes/"+name, v)
}

// volumesAt finds the volumes that are meant: "volume/NAME" (Longhorn's, or
// NAMESPACE/CLAIM), "site/NAME" for those with a copy or an engine there, "stale/"
// and "stale/SITE" for those that have no fresh backup, "all/" for all.
func volumesAt(w *model.World, what ...string) ([]*model.Volume, error) {
	if !w.Looked() {
		return nil, refuse("the cluster could not be read, so nothing is done")
	}
	if len(w.Volumes) == 0 {
		return nil, unknown("there are no Longhorn volumes that geotop can see")
	}
	list := []*model.Volume{}
	for _, ref := range what {
		found, err := volumesOf(w, ref)
		if err != nil {
			return nil, err
		}
		for _, v := range found {
			if !slices.Contains(list, v) {
				list = append(list, v)
			}
		}
	}
	return list, nil
}

// volumesOf finds those one word means.
func volumesOf(w *model.World, ref string) ([]*model.Volume, error) {
	kind, name, told := strings.Cut(ref, "/")
	if !told || !slices.Contains([]string{"site", "stale", "all", "volume"}, kind) {
		kind, name = "volume", ref
	}
	if (kind == "site" || kind == "stale" && name != "") && w.Site(name) == nil {
		return nil, unknown("no site is called %q; sites are:%s", model.Clean(name, 80), names(w))
	}
	list := []*model.Volume{}
	for _, v := range w.Volumes {
		if meant(w, v, kind, name) {
			list = append(list, v)
		}
	}
	switch {
	case len(list) == 0 && kind == "stale":
		return nil, nothing("every volume has a good backup of the last day")
	case len(list) == 0 && kind == "site":
		return nil, nothing("no volume has a copy in %s", name)
	case len(list) == 0:
		return nil, unknown("no volume is called %q; geotop --once -o wide lists them", model.Clean(name, 80))
	case len(list) > 1 && kind == "volume":
		return nil, unknown("%q is the claim of several volumes: say NAMESPACE/CLAIM", model.Clean(name, 80))
	}
	return list, nil
}

// meant reports whether the volume is one of those that kind and name mean.
func meant(w *model.World, v *model.Volume, kind, name string) bool {
	in := name == "" || v.Site == name || slices.ContainsFunc(v.Replicas, func(r *model.Replica) bool { return r.Site == name })
	switch kind {
	case "all":
		return true
	case "site":
		return in
	case "stale":
		return in && w.NeedsBackup(v)
	default:
		return v.Name == name || v.Namespace+"/"+v.Title() == name || v.PVC == name && v.PVC != ""
	}
}

// busyVolume says why a volume had better be left alone now, "" when it need not.
func busyVolume(v *model.Volume) string {
	switch {
	case v.Deleting:
		return "it is being deleted"
	case v.Standby:
		return "it is a standby volume: its backups are made where it comes from"
	case v.Migrating != "":
		return "it is moving to another machine"
	case v.Restoring:
		return "it is being restored"
	case v.Expanding:
		return "it is being expanded"
	case v.Sharded:
		return "it is erasure coded"
	default:
		return ""
	}
}
