package longhorn

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Admission refuses what Longhorn's validating webhook refuses, as far as geotop
// has to do with it (longhorn-manager v1.12, webhook/resources).
func (s *Sim) Admission() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
			http.Error(w, "not an AdmissionReview", http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		if why := s.refuse(r.Context(), review.Request); why != "" {
			review.Response.Allowed = false
			review.Response.Result = &metav1.Status{Message: why, Reason: metav1.StatusReasonInvalid, Code: http.StatusUnprocessableEntity}
		}
		review.Request = nil
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	})
}

// refuse says why a request is not let through, or "".
func (s *Sim) refuse(ctx context.Context, req *admissionv1.AdmissionRequest) string {
	object, old := decode(req.Object.Raw), decode(req.OldObject.Raw)
	switch req.Resource.Resource + " " + string(req.Operation) {
	case "backups CREATE":
		return s.refuseBackup(ctx, object)
	case "snapshots CREATE":
		return s.refuseSnapshot(ctx, object)
	case "replicas DELETE":
		return s.refuseLoss(ctx, old)
	case "nodes UPDATE":
		return refuseNode(object)
	case "nodes DELETE":
		return s.refuseNodeLoss(old)
	case "volumes CREATE":
		return s.refuseVolume(ctx, object)
	case "volumes UPDATE":
		if n, _, _ := unstructured.NestedInt64(object.Object, "spec", "numberOfReplicas"); n < 1 || n > 20 {
			return fmt.Sprintf("the number of replicas must be 1 to 20, not %d", n)
		}
	}
	return ""
}

func decode(raw []byte) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{}}
	if len(raw) > 0 {
		_ = o.UnmarshalJSON(raw) // the API server sends what it has checked
	}
	return o
}

var backupName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]+$`)

func (s *Sim) refuseBackup(ctx context.Context, o *unstructured.Unstructured) string {
	if !backupName.MatchString(o.GetName()) {
		return "the backup's name is malformed"
	}
	if mode := text(o, "spec", "backupMode"); mode != "" && mode != "full" && mode != "incremental" {
		return "the backup mode is neither full nor incremental"
	}
	name := text(o, "spec", "snapshotName")
	if name == "" {
		return "" // one that is found in the bucket
	}
	target, err := s.get(ctx, "backuptargets", o.GetLabels()["backup-target"])
	if err != nil {
		return "the backup target cannot be had: " + err.Error()
	}
	if there, _, _ := unstructured.NestedBool(target.Object, "status", "available"); !there {
		return "the backup target " + target.GetName() + " is not available"
	}
	snapshot, err := s.get(ctx, "snapshots", name)
	if err != nil {
		return "the snapshot cannot be had: " + err.Error()
	}
	volume := text(snapshot, "spec", "volume")
	if of := o.GetLabels()["backup-volume"]; of != "" && of != volume {
		return fmt.Sprintf("the snapshot is of volume %s, the backup of %s", volume, of)
	}
	if _, err := s.get(ctx, "volumes", volume); err != nil {
		return "the volume cannot be had: " + err.Error()
	}
	return ""
}

func (s *Sim) refuseSnapshot(ctx context.Context, o *unstructured.Unstructured) string {
	name := text(o, "spec", "volume")
	if name == "" {
		return "a snapshot needs a volume"
	}
	for k, v := range o.GetLabels() {
		if strings.Contains(k+v, "=") {
			return "labels must not contain ="
		}
	}
	if _, err := s.get(ctx, "volumes", name); err != nil {
		return "the volume cannot be had: " + err.Error()
	}
	return ""
}

// refuseVolume wants a name that Longhorn can use, and a backup that is there.
func (s *Sim) refuseVolume(ctx context.Context, o *unstructured.Unstructured) string {
	if len(o.GetName()) > 40 {
		return "the volume's name is longer than 40 characters"
	}
	if text(o, "spec", "fromBackup") == "" {
		return ""
	}
	from, err := url.Parse(text(o, "spec", "fromBackup"))
	if err != nil {
		return "fromBackup is no URL"
	}
	if _, err := s.get(ctx, "backups", from.Query().Get("backup")); err != nil {
		return "the backup cannot be had: " + err.Error()
	}
	return ""
}

// refuseLoss keeps the last replica that holds a volume's data.
func (s *Sim) refuseLoss(ctx context.Context, o *unstructured.Unstructured) string {
	volume := text(o, "spec", "volumeName")
	if _, err := s.get(ctx, "volumes", volume); err != nil || !holdsData(o) {
		return "" // the volume goes too, or nothing is lost
	}
	list, err := s.dyn.Resource(gvr("replicas")).Namespace(Namespace).List(ctx, metav1.ListOptions{LabelSelector: "longhornvolume=" + volume})
	if err != nil {
		return "the other replicas cannot be read: " + err.Error()
	}
	for i := range list.Items {
		if other := &list.Items[i]; other.GetName() != o.GetName() && holdsData(other) {
			return ""
		}
	}
	return "this is the last healthy replica of " + volume
}

func holdsData(o *unstructured.Unstructured) bool {
	evicting, _, _ := unstructured.NestedBool(o.Object, "spec", "evictionRequested")
	return text(o, "spec", "healthyAt") != "" && text(o, "spec", "failedAt") == "" && o.GetDeletionTimestamp() == nil && !evicting
}

// refuseNode lets nothing be evicted from where new replicas are still placed.
func refuseNode(o *unstructured.Unstructured) string {
	if evictsWhileOpen(o.Object, "spec") {
		return "eviction is requested while scheduling is allowed on the node"
	}
	disks, _, _ := unstructured.NestedMap(o.Object, "spec", "disks")
	for name, d := range disks {
		disk, _ := d.(map[string]any)
		if evictsWhileOpen(disk) {
			return "eviction is requested while scheduling is allowed on disk " + name
		}
		if reserved, _, _ := unstructured.NestedInt64(disk, "storageReserved"); reserved < 0 {
			return "the reserved storage of disk " + name + " is negative"
		}
	}
	return ""
}

func evictsWhileOpen(o map[string]any, path ...string) bool {
	evicts, _, _ := unstructured.NestedBool(o, append(path, "evictionRequested")...)
	open, _, _ := unstructured.NestedBool(o, append(path, "allowScheduling")...)
	return evicts && open
}

func (s *Sim) refuseNodeLoss(o *unstructured.Unstructured) string {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conditions {
		if c, ok := c.(map[string]any); ok && c["type"] == "Ready" && c["status"] == "True" {
			return "the node is ready"
		}
	}
	if open, _, _ := unstructured.NestedBool(o.Object, "spec", "allowScheduling"); open {
		return "scheduling is allowed on the node"
	}
	return ""
}

func (s *Sim) get(ctx context.Context, plural, name string) (*unstructured.Unstructured, error) {
	if name == "" {
		return nil, apierrors.NewNotFound(gvr(plural).GroupResource(), name)
	}
	return s.dyn.Resource(gvr(plural)).Namespace(Namespace).Get(ctx, name, metav1.GetOptions{})
}
