// Package longhorn plays Longhorn's part on a real API server with Longhorn's
// own CRDs: it places replicas by zone and room, counts robustness, loses copies
// with their houses, rebuilds them with progress, and carries out snapshots and
// backups. What it does follows longhorn-manager v1.12; its clocks run faster.
//
// It is a stand-in for tests: no data moves, and no webhook refuses anything.
package longhorn

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// Namespace is where Longhorn lives.
const Namespace = "longhorn-system"

// Clock is how long things take; Longhorn's own values are far longer.
type Clock struct {
	EngineTimeout time.Duration // until a replica that does not answer is given up: 8 s
	Replenish     time.Duration // until a lost replica is replaced: 600 s
	Rebuild       time.Duration // of one replica
	Backup        time.Duration // of one backup
}

// Fast is a Clock for drills.
var Fast = Clock{EngineTimeout: 2 * time.Second, Replenish: 25 * time.Second, Rebuild: 4 * time.Second, Backup: 2 * time.Second}

// Seed is one volume to begin with.
type Seed struct {
	Name, Namespace, Claim string
	Workload, Kind         string
	GiB                    int64
	Replicas               int
	Sites                  []string // of its replicas, in order; by the scheduler's choice when empty
	Detached               bool
}

// Sim is a running stand-in.
type Sim struct {
	kube    kubernetes.Interface
	dyn     dynamic.Interface
	clock   Clock
	bucket  Bucket
	volumes []*volume
	nodes   map[string]*node
	made    int
	sent    map[string]string // last body written, by object
}

// Bucket takes the files of backups; nil for none.
type Bucket interface {
	Put(ctx context.Context, key string, body []byte) error
}

type node struct {
	name, zone string
	alive      bool
	cordoned   bool
	scheduled  int64
	replicas   map[string]int64
}

type volume struct {
	seed     Seed
	size     int64
	engineOn string
	replicas []*replica
	degraded time.Time
	short    bool // no disk for another replica
	lastName string
	lastAt   time.Time
	removed  []string // names of replicas that were replaced
	blocks   []block
	put      int // of the blocks, in the bucket
}

type replica struct {
	name               string
	node               string
	mode               string // RW, WO, ERR, "" while detached
	healthyAt          time.Time
	failedAt, goneFrom time.Time
	rebuildFrom        time.Time
	percent            int
	port               int
}

const (
	diskBytes = 200 << 30
	reserved  = 20 << 30
)

func gvr(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "longhorn.io", Version: "v1beta2", Resource: plural}
}

// New makes the stand-in's objects: its nodes, settings, target, jobs and volumes.
func New(ctx context.Context, kube kubernetes.Interface, dyn dynamic.Interface, clock Clock, target string, bucket Bucket, seeds []Seed) (*Sim, error) {
	s := &Sim{kube: kube, dyn: dyn, clock: clock, bucket: bucket, nodes: map[string]*node{}, sent: map[string]string{}}
	if err := s.look(ctx); err != nil {
		return nil, err
	}
	for _, st := range []struct{ name, value string }{
		{"current-longhorn-version", "v1.12.0"}, {"default-replica-count", `{"v1":"3","v2":"3"}`}, {"replica-zone-soft-anti-affinity", "true"},
		{"replica-soft-anti-affinity", "false"}, {"replica-auto-balance", "disabled"}, {"node-drain-policy", "block-if-contains-last-replica"},
		{"node-down-pod-deletion-policy", "do-nothing"}, {"replica-replenishment-wait-interval", "600"}, {"storage-over-provisioning-percentage", "100"},
		{"storage-minimal-available-percentage", "25"}, {"concurrent-replica-rebuild-per-node-limit", "5"}, {"engine-replica-timeout", `{"v1":"8","v2":"8"}`},
	} {
		if err := s.create(ctx, "settings", st.name, map[string]any{"value": st.value, "status": map[string]any{"applied": true}}); err != nil {
			return nil, err
		}
	}
	for name := range s.nodes {
		if err := s.create(ctx, "nodes", name, map[string]any{"spec": map[string]any{
			"name": name, "allowScheduling": true, "evictionRequested": false, "tags": []any{},
			"disks": map[string]any{"disk-1": map[string]any{
				"path": "/var/lib/longhorn", "allowScheduling": true, "evictionRequested": false, "storageReserved": int64(reserved), "diskType": "filesystem", "tags": []any{},
			}},
		}}); err != nil {
			return nil, err
		}
	}
	if err := s.create(ctx, "backuptargets", "default", map[string]any{"spec": map[string]any{
		"backupTargetURL": target, "credentialSecret": "backup-credentials", "pollInterval": "300s",
	}}); err != nil {
		return nil, err
	}
	if err := s.create(ctx, "recurringjobs", "nightly", map[string]any{"spec": map[string]any{
		"name": "nightly", "task": "backup", "cron": "30 3 * * *", "groups": []any{"default"}, "retain": int64(7), "concurrency": int64(2),
	}}); err != nil {
		return nil, err
	}
	for i, seed := range seeds {
		if err := s.addVolume(ctx, seed, i); err != nil {
			return nil, err
		}
	}
	if bucket != nil {
		if err := s.nightly(ctx, time.Now().UTC()); err != nil {
			return nil, err
		}
	}
	return s, s.step(ctx)
}

// Run plays on until ctx ends. A server that does not answer is waited for.
func (s *Sim) Run(ctx context.Context) {
	ticker := time.NewTicker(300 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if s.look(ctx) == nil {
			_ = s.step(ctx)
		}
	}
}

// look reads which machines live.
func (s *Sim) look(ctx context.Context) error {
	list, err := s.kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return err
	}
	for i := range list.Items {
		k := &list.Items[i]
		n := s.nodes[k.Name]
		if n == nil {
			n = &node{name: k.Name, zone: k.Labels[corev1.LabelTopologyZone], replicas: map[string]int64{}}
			s.nodes[k.Name] = n
		}
		n.cordoned, n.alive = k.Spec.Unschedulable, false
		for _, c := range k.Status.Conditions {
			if c.Type == corev1.NodeReady {
				n.alive = c.Status == corev1.ConditionTrue
			}
		}
	}
	return nil
}

// step moves everything on by one look.
func (s *Sim) step(ctx context.Context) error {
	now := time.Now().UTC()
	for _, v := range s.volumes {
		s.play(v, now)
	}
	for _, name := range s.names() {
		if err := s.writeNode(ctx, s.nodes[name], now); err != nil {
			return err
		}
	}
	for _, v := range s.volumes {
		if err := s.writeVolume(ctx, v); err != nil {
			return err
		}
	}
	if err := s.update(ctx, "backuptargets", "default", map[string]any{"available": s.bucket != nil, "conditions": s.targetConditions(), "lastSyncedAt": stamp(now.Truncate(time.Minute))}); err != nil {
		return err
	}
	return s.backups(ctx, now)
}

func (s *Sim) targetConditions() []any {
	status, message := "False", ""
	if s.bucket == nil {
		status, message = "True", "no object store in this lab"
	}
	return []any{condition("Unavailable", status, "", message)}
}

func (s *Sim) names() []string {
	names := []string{}
	for name := range s.nodes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s *Sim) alive(name string) bool { n := s.nodes[name]; return n != nil && n.alive }

// play is one volume's engine and replicas.
func (s *Sim) play(v *volume, now time.Time) {
	if v.seed.Detached {
		return
	}
	if !s.alive(v.engineOn) {
		return // nobody writes: what was stays as it is, until the node is back
	}
	good := 0
	for _, r := range v.replicas {
		s.playReplica(v, r, now)
		if r.mode == "RW" {
			good++
		}
	}
	switch {
	case good >= v.seed.Replicas:
		v.degraded, v.short = time.Time{}, false
	case v.degraded.IsZero():
		v.degraded = now
	case good > 0 && now.Sub(v.degraded) > s.clock.Replenish && !v.rebuilding():
		s.replenish(v, now)
	}
}

func (v *volume) rebuilding() bool {
	return slices.ContainsFunc(v.replicas, func(r *replica) bool { return r.mode == "WO" })
}

func (s *Sim) playReplica(v *volume, r *replica, now time.Time) {
	alive := s.alive(r.node)
	switch {
	case !alive && r.goneFrom.IsZero():
		r.goneFrom = now
	case !alive && r.mode != "ERR" && now.Sub(r.goneFrom) > s.clock.EngineTimeout:
		r.mode, r.failedAt, r.rebuildFrom = "ERR", now, time.Time{}
	case alive && r.mode == "ERR" && !v.rebuilding(): // its node is back: a delta rebuild
		r.mode, r.failedAt, r.healthyAt, r.goneFrom, r.rebuildFrom, r.percent = "WO", time.Time{}, time.Time{}, time.Time{}, now, 0
	case alive && r.mode == "WO":
		r.percent = int(100 * now.Sub(r.rebuildFrom) / s.clock.Rebuild)
		if r.percent >= 100 {
			r.mode, r.percent, r.healthyAt, r.rebuildFrom = "RW", 100, now, time.Time{}
		}
	case alive:
		r.goneFrom = time.Time{}
	}
}

// replenish replaces a lost replica by a new one, if there is a place for it.
func (s *Sim) replenish(v *volume, now time.Time) {
	lost := slices.IndexFunc(v.replicas, func(r *replica) bool { return r.mode == "ERR" })
	n := s.place(v)
	if v.short = n == nil; v.short || lost < 0 {
		return
	}
	old := v.replicas[lost]
	s.free(old, v)
	_ = s.dyn.Resource(gvr("replicas")).Namespace(Namespace).Delete(context.Background(), old.name, metav1.DeleteOptions{})
	v.replicas = slices.Delete(v.replicas, lost, lost+1)
	v.removed = append(v.removed, old.name)
	s.add(v, n, now).mode = "WO"
	v.replicas[len(v.replicas)-1].rebuildFrom = now
}

// place is Longhorn's order: an unused node in an unused zone, then an unused
// node in a used one. A zone counts as used by nodes that are candidates only.
func (s *Sim) place(v *volume) *node {
	usedNode, usedZone := map[string]bool{}, map[string]bool{}
	for _, r := range v.replicas {
		usedNode[r.node] = true
		if n := s.nodes[r.node]; n != nil && n.alive && !n.cordoned && r.mode != "ERR" {
			usedZone[n.zone] = true
		}
	}
	var best *node
	better := func(a, b *node) bool {
		if usedZone[a.zone] != usedZone[b.zone] {
			return !usedZone[a.zone]
		}
		return a.scheduled < b.scheduled
	}
	for _, name := range s.names() {
		n := s.nodes[name]
		if !n.alive || n.cordoned || usedNode[name] || n.scheduled+v.size > diskBytes-reserved {
			continue
		}
		if best == nil || better(n, best) {
			best = n
		}
	}
	return best
}

func (s *Sim) add(v *volume, n *node, now time.Time) *replica {
	s.made++
	r := &replica{name: fmt.Sprintf("%s-r-%08x", v.seed.Name, hash(v.seed.Name, n.name, s.made)), node: n.name, mode: "RW", healthyAt: now, port: 10000 + s.made}
	v.replicas = append(v.replicas, r)
	n.scheduled += v.size
	n.replicas[r.name] = v.size
	return r
}

func (s *Sim) free(r *replica, v *volume) {
	if n := s.nodes[r.node]; n != nil {
		n.scheduled -= v.size
		delete(n.replicas, r.name)
	}
}

func hash(parts ...any) uint32 {
	h := fnv.New32a()
	for _, p := range parts {
		fmt.Fprint(h, p, "\x00")
	}
	return h.Sum32()
}

func (s *Sim) addVolume(ctx context.Context, seed Seed, index int) error {
	v := &volume{seed: seed, size: seed.GiB << 30}
	now := time.Now().UTC().Add(-24 * time.Hour)
	for i := range seed.Replicas {
		n := s.place(v)
		if i < len(seed.Sites) {
			n = s.in(v, seed.Sites[i])
		}
		if n == nil {
			return fmt.Errorf("no place for a replica of %s", seed.Name)
		}
		s.add(v, n, now)
	}
	if len(v.replicas) > 0 {
		v.engineOn = v.replicas[index%len(v.replicas)].node
	}
	s.volumes = append(s.volumes, v)
	return s.create(ctx, "volumes", seed.Name, map[string]any{"spec": map[string]any{
		"size": fmt.Sprint(v.size), "numberOfReplicas": int64(seed.Replicas), "nodeID": v.engineOn, "accessMode": "rwo", "dataEngine": "v1",
		"dataLocality": "disabled", "replicaAutoBalance": "ignored", "replicaZoneSoftAntiAffinity": "ignored", "replicaSoftAntiAffinity": "ignored",
		"replicaDiskSoftAntiAffinity": "ignored", "staleReplicaTimeout": int64(30), "frontend": "blockdev", "backupTargetName": "default",
		"snapshotDataIntegrity": "ignored", "restoreVolumeRecurringJob": "ignored", "unmapMarkSnapChainRemoved": "ignored", "offlineRebuilding": "ignored",
		"backupCompressionMethod": "lz4", "freezeFilesystemForSnapshot": "ignored", "image": "longhornio/longhorn-engine:v1.12.0",
	}})
}

// in is the node of the site with the least on it that holds none of the volume.
func (s *Sim) in(v *volume, site string) *node {
	var best *node
	for _, name := range s.names() {
		n := s.nodes[name]
		used := slices.ContainsFunc(v.replicas, func(r *replica) bool { return r.node == name })
		if n.zone == site && !used && (best == nil || n.scheduled < best.scheduled) {
			best = n
		}
	}
	return best
}

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
	if err := s.update(ctx, "engines", engine, map[string]any{"currentState": running, "replicaModeMap": modes, "rebuildStatus": rebuild}); err != nil {
		return err
	}
	scheduled := condition("Scheduled", "True", "", "")
	if v.short {
		scheduled = condition("Scheduled", "False", "ReplicaSchedulingFailure", "precheck new replica failed")
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
	return s.update(ctx, "replicas", r.name, map[string]any{"currentState": state, "storageIP": "10.42.0.9", "port": int64(r.port)})
}

// create makes an object; one that is there is left as it is.
func (s *Sim) create(ctx context.Context, plural, name string, body map[string]any) error {
	kinds := map[string]string{
		"settings": "Setting", "nodes": "Node", "backuptargets": "BackupTarget", "recurringjobs": "RecurringJob", "volumes": "Volume",
		"engines": "Engine", "replicas": "Replica", "backupvolumes": "BackupVolume", "backups": "Backup",
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
