package longhorn

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

func condition(kind, status, reason, message string) map[string]any {
	return map[string]any{"type": kind, "status": status, "reason": reason, "message": message, "lastProbeTime": "", "lastTransitionTime": ""}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// writeNode shows a node as Longhorn does: a dead one's figures stay as they were.
func (s *Sim) writeNode(ctx context.Context, n *node, _ time.Time) error {
	status := "True"
	reason, message := "", ""
	if !n.alive {
		status, reason, message = "False", "KubernetesNodeNotReady", "Kubernetes node "+n.name+" is not ready"
	}
	schedulable := status
	if n.cordoned {
		schedulable, reason = "False", "KubernetesNodeCordoned"
	}
	replicas := map[string]any{}
	for name, size := range n.replicas {
		replicas[name] = size
	}
	return s.update(ctx, "nodes", n.name, map[string]any{
		"zone": n.zone, "region": "mauritius", "conditions": []any{condition("Ready", status, reason, message), condition("Schedulable", schedulable, reason, message)},
		"diskStatus": map[string]any{"disk-1": map[string]any{
			"diskUUID": "uuid-" + n.name, "storageMaximum": int64(diskBytes), "storageAvailable": int64(diskBytes) - n.scheduled/2, "storageScheduled": n.scheduled,
			"scheduledReplica": replicas, "conditions": []any{condition("Ready", status, reason, message), condition("Schedulable", schedulable, reason, message)},
			"diskType": "filesystem", "diskPath": "/var/lib/longhorn",
		}},
	})
}

// writeVolume shows a volume with its engine and replicas.
func (s *Sim) writeVolume(ctx context.Context, v *volume) error {
	modes, rebuild := map[string]any{}, map[string]any{}
	for _, name := range v.removed {
		modes[name] = nil // a merge patch takes it out
	}
	good := 0
	for _, r := range v.replicas {
		if err := s.writeReplica(ctx, v, r); err != nil {
			return err
		}
		modes[r.name] = r.mode
		if r.mode == "RW" {
			good++
		}
		if r.mode == "RW" && r.percent == 100 { // Longhorn leaves the entry of a rebuild that ended
			rebuild[r.address()] = map[string]any{"isRebuilding": false, "progress": int64(100), "state": "complete", "error": ""}
		}
		if r.mode == "WO" {
			rebuild[r.address()] = map[string]any{"isRebuilding": true, "progress": int64(r.percent), "state": "in_progress", "error": ""}
		}
	}
	state, robustness, running := "attached", "healthy", "running"
	switch {
	case v.seed.Detached:
		state, robustness, running, modes = "detached", "unknown", "stopped", nil
	case !s.alive(v.engineOn):
		robustness, running = "unknown", "unknown"
	case good == 0:
		robustness = "faulted"
	case good < v.seed.Replicas:
		robustness = "degraded"
	}
	engine := v.seed.Name + "-e-0"
	on := v.engineOn
	if v.seed.Detached {
		on = ""
	}
	if err := s.ensure(ctx, "engines", engine, map[string]any{"longhornvolume": v.seed.Name}, map[string]any{
		"volumeName": v.seed.Name, "volumeSize": fmt.Sprint(v.size), "nodeID": on, "active": true, "desireState": running, "dataEngine": "v1", "image": "longhornio/longhorn-engine:v1.12.0",
	}); err != nil {
		return err
	}
	restoring := map[string]any{}
	if part := s.percent(v, time.Now()); part < 100 {
		for _, r := range v.replicas {
			restoring[r.address()] = map[string]any{"isRestoring": true, "progress": int64(part), "error": ""}
		}
	}
	if err := s.update(ctx, "engines", engine, map[string]any{"currentState": running, "replicaModeMap": modes, "rebuildStatus": rebuild, "restoreStatus": restoring}); err != nil {
		return err
	}
	scheduled := condition("Scheduled", "True", "", "")
	if v.short {
		scheduled = condition("Scheduled", "False", "ReplicaSchedulingFailure", "precheck new replica failed")
	}
	if !v.filled.IsZero() { // nobody's yet
		return s.update(ctx, "volumes", v.seed.Name, map[string]any{
			"state": state, "robustness": robustness, "currentNodeID": on, "actualSize": v.size / 3, "conditions": []any{scheduled},
			"restoreInitiated": true, "restoreRequired": !v.seed.Detached, "kubernetesStatus": map[string]any{},
		})
	}
	kind := v.seed.Kind
	if kind == "Deployment" {
		kind = "ReplicaSet"
	}
	return s.update(ctx, "volumes", v.seed.Name, map[string]any{
		"state": state, "robustness": robustness, "currentNodeID": on, "actualSize": v.size / 3, "currentImage": "longhornio/longhorn-engine:v1.12.0",
		"lastDegradedAt": stamp(v.degraded), "lastBackup": v.lastName, "lastBackupAt": stamp(v.lastAt), "conditions": []any{scheduled},
		"kubernetesStatus": map[string]any{
			"pvName": v.seed.Name, "pvStatus": "Bound", "namespace": v.seed.Namespace, "pvcName": v.seed.Claim, "lastPVCRefAt": "", "lastPodRefAt": "",
			"workloadsStatus": []any{map[string]any{"podName": v.seed.Workload + "-0", "podStatus": "Running", "workloadName": v.seed.Workload, "workloadType": kind}},
		},
	})
}

func (r *replica) address() string { return fmt.Sprintf("tcp://10.42.0.9:%d", r.port) }

func (s *Sim) writeReplica(ctx context.Context, v *volume, r *replica) error {
	state := "running"
	switch {
	case v.seed.Detached:
		state = "stopped"
	case !s.alive(r.node):
		state = "unknown"
	case r.mode == "ERR":
		state = "error"
	}
	if err := s.ensure(ctx, "replicas", r.name, map[string]any{"longhornvolume": v.seed.Name, "longhornnode": r.node, "longhorndiskuuid": "uuid-" + r.node}, map[string]any{
		"volumeName": v.seed.Name, "volumeSize": fmt.Sprint(v.size), "engineName": v.seed.Name + "-e-0", "nodeID": r.node, "diskID": "uuid-" + r.node,
		"diskPath": "/var/lib/longhorn", "dataDirectoryName": r.name, "active": true, "desireState": state, "dataEngine": "v1",
		"healthyAt": stamp(r.healthyAt), "failedAt": stamp(r.failedAt), "image": "longhornio/longhorn-engine:v1.12.0",
	}); err != nil {
		return err
	}
	r.shown = true
	return s.update(ctx, "replicas", r.name, map[string]any{"currentState": state, "storageIP": "10.42.0.9", "port": int64(r.port)})
}

// create makes an object; one that is there is left as it is.
func (s *Sim) create(ctx context.Context, plural, name string, body map[string]any) error {
	kinds := map[string]string{
		"settings": "Setting", "nodes": "Node", "backuptargets": "BackupTarget", "recurringjobs": "RecurringJob", "volumes": "Volume",
		"engines": "Engine", "replicas": "Replica", "backupvolumes": "BackupVolume", "backups": "Backup", "snapshots": "Snapshot",
	}
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "longhorn.io/v1beta2", "kind": kinds[plural]}}
	for k, v := range body {
		if k != "labels" {
			obj.Object[k] = v
		}
	}
	obj.SetName(name)
	obj.SetNamespace(Namespace)
	if labels, ok := body["labels"].(map[string]any); ok {
		plain := map[string]string{}
		for k, v := range labels {
			plain[k] = fmt.Sprint(v)
		}
		obj.SetLabels(plain)
	}
	_, err := s.dyn.Resource(gvr(plural)).Namespace(Namespace).Create(ctx, obj, metav1.CreateOptions{})
	for apierrors.IsNotFound(err) && ctx.Err() == nil { // a kind that was just installed
		time.Sleep(50 * time.Millisecond)
		_, err = s.dyn.Resource(gvr(plural)).Namespace(Namespace).Create(ctx, obj, metav1.CreateOptions{})
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("%s %s: %w", plural, name, err)
	}
	return nil
}

// ensure makes an object, or brings its spec up to date.
func (s *Sim) ensure(ctx context.Context, plural, name string, labels, spec map[string]any) error {
	return s.patch(ctx, plural, name, "", map[string]any{"spec": spec}, func() error {
		return s.create(ctx, plural, name, map[string]any{"labels": labels, "spec": spec})
	})
}

// update writes a status.
func (s *Sim) update(ctx context.Context, plural, name string, status map[string]any) error {
	return s.patch(ctx, plural, name, "status", map[string]any{"status": status}, nil)
}

// patch writes what is not written yet.
func (s *Sim) patch(ctx context.Context, plural, name, sub string, body map[string]any, missing func() error) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	key := strings.Join([]string{plural, name, sub}, "/")
	if s.sent[key] == string(b) {
		return nil
	}
	subs := []string{}
	if sub != "" {
		subs = append(subs, sub)
	}
	_, err = s.dyn.Resource(gvr(plural)).Namespace(Namespace).Patch(ctx, name, types.MergePatchType, b, metav1.PatchOptions{}, subs...)
	if apierrors.IsNotFound(err) && missing != nil {
		err = missing()
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", plural, name, err)
	}
	s.sent[key] = string(b)
	return nil
}
