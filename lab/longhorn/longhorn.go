// Package longhorn plays Longhorn's part on a real API server with Longhorn's
// own CRDs: it places replicas by zone and room, counts robustness, loses copies
// with their houses, rebuilds them with progress, and carries out snapshots and
// backups. What it does follows longhorn-manager v1.12; its clocks run faster.
//
// It is a stand-in for tests: no data moves.
package longhorn

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
	clock   atomic.Pointer[Clock]
	bucket  Bucket
	volumes []*volume
	nodes   map[string]*node
	made    int
	sent    map[string]string // last body written, by object
	jobsAt  time.Time         // when it was last looked which jobs are due
}

// Bucket takes the files of backups; nil for none.
type Bucket interface {
	Put(ctx context.Context, key string, body []byte) error
	Remove(ctx context.Context, key string) error
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
	put      int       // of the blocks, in the bucket
	filled   time.Time // when a restore from a backup began; zero for others
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
	shown              bool // it is in the API
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
	s := &Sim{kube: kube, dyn: dyn, bucket: bucket, nodes: map[string]*node{}, sent: map[string]string{}}
	s.Pace(clock)
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

// Pace changes how long things take.
func (s *Sim) Pace(c Clock) { s.clock.Store(&c) }

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
	if err := s.wishes(ctx); err != nil {
		return err
	}
	for _, v := range s.volumes {
		if err := s.fill(ctx, v, now); err != nil {
			return err
		}
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
	if s.bucket != nil {
		if err := s.jobs(ctx, now); err != nil {
			return err
		}
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
