package demo

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What Longhorn goes by here; a rebuild is quicker than over most links.
const (
	engineTimeout = 8 * time.Second
	rebuildAfter  = 20 * time.Second // a node's return to the first byte
	rebuildRate   = 200 * mib        // a second
)

// diskVolume is one Longhorn volume of the demo. Its state at a moment follows
// from the machines' alone.
type diskVolume struct {
	claim, namespace, workload string
	owner                      *workload // whose pod it hangs on
	place                      int
	size                       int64
	on                         []*machine // its replicas
	backups                    string     // "", "failing", "never" or "missing": claimed, and not in the bucket

	wanted  int                    // copies; as many as there are when 0
	balance string                 // replicaAutoBalance
	names   map[*machine]string    // of its replicas
	built   map[*machine]time.Time // when a copy that was added later is whole
	taken   []*madeBackup          // snapshots and backups somebody asked for
}

// madeBackup is a snapshot and, once asked for, its backup.
type madeBackup struct {
	snapshot, backup string
	at, asked        time.Time
}

// A copy that is added, and a backup, take so long.
const (
	buildTakes  = 12 * time.Second
	backupTakes = 8 * time.Second
)

// replica names the copy on a machine, the same for as long as it is there.
func (v *diskVolume) replica(m *machine) string {
	if v.names == nil {
		v.names = map[*machine]string{}
	}
	if v.names[m] == "" {
		v.names[m] = fmt.Sprintf("%s-r-%08x", v.name(), uint32(hash("replica", v.name(), len(v.names))))
	}
	return v.names[m]
}

func (v *diskVolume) name() string { return "pvc-" + string(uid("volume", v.namespace, v.claim))[:13] }

// disks makes volumes for every claim of the workloads so far, each copy in a
// house of its own where there are as many.
func (s *sim) disks() {
	sizes := map[string]int64{"nextcloud-data": 60 * gib, "data-prometheus-0": 20 * gib, "code-home": 20 * gib, "gitea-data": 10 * gib}
	for _, w := range s.workloads {
		if w.name == "minio" { // its drives are disks of the machines
			for _, p := range w.pods {
				if p.node != nil {
					s.persist("local-"+p.name, w.namespace, p.claimName(), "local-path", "", p.node.name)
				}
			}
		}
		if w.claim == "" || w.name == "minio" {
			continue
		}
		claims := []string{}
		for _, p := range w.pods {
			if c := p.claimName(); !slices.Contains(claims, c) {
				claims = append(claims, c)
			}
		}
		slices.Sort(claims)
		for i, c := range claims {
			size := sizes[c]
			if size == 0 {
				size = 8 * gib
			}
			v := &diskVolume{claim: c, namespace: w.namespace, workload: w.name, owner: w, place: i, size: size}
			copies := 3
			if w.replicas > 1 && w.kind == "StatefulSet" {
				copies = 2 // it has its own
			}
			v.on = s.spread(v, copies)
			s.volumes = append(s.volumes, v)
			s.persist(v.name(), w.namespace, c, "longhorn", "driver.longhorn.io", "")
		}
	}
}

// persist makes the PersistentVolume of a claim; one on a machine's own disk can
// be used on that machine alone.
func (s *sim) persist(name, namespace, claim, class, driver, machine string) {
	v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name, UID: uid("pv", name), CreationTimestamp: stamp(s.now())}}
	v.Spec.StorageClassName = class
	v.Spec.ClaimRef = &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: namespace, Name: claim}
	if driver != "" {
		v.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: name}
	}
	if machine != "" {
		v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{machine}}},
		}}}}
	}
	s.demo.store.put(v)
}

// spread picks machines for a volume's copies: the one its pod runs on first,
// then one in every other house.
func (s *sim) spread(v *diskVolume, copies int) []*machine {
	on := []*machine{}
	used := map[string]bool{}
	if m := s.engineOf(v); m != nil {
		on, used[m.site] = append(on, m), true
	}
	start := s.chance(len(s.machines), "disk", v.claim)
	for i := range s.machines {
		m := s.machines[(start+i)%len(s.machines)]
		if len(on) < copies && !used[m.site] {
			on, used[m.site] = append(on, m), true
		}
	}
	return on
}

// engineOf is the machine of the pod that uses the volume.
func (s *sim) engineOf(v *diskVolume) *machine {
	for _, p := range v.owner.pods {
		if p.node != nil && !p.leaving && (p.claimName() == v.claim) {
			return p.node
		}
	}
	for _, p := range v.owner.pods { // one that hangs on a lost machine
		if p.node != nil && p.claimName() == v.claim {
			return p.node
		}
	}
	return nil
}

func (s *sim) disk(claim string) *diskVolume {
	for _, v := range s.volumes {
		if v.claim == claim {
			return v
		}
	}
	panic("the demo has no volume " + claim)
}

// putLonghorn puts all objects of a kind of Longhorn's as they are now.
func (s *sim) putLonghorn(plural string, now time.Time, put put) {
	switch plural {
	case "volumes", "engines", "replicas", "backups", "backupvolumes", "snapshots":
		for _, v := range s.volumes {
			s.putVolume(v, plural, now, put)
		}
		for _, v := range s.restored {
			v.put(plural, now, put)
		}
	case "nodes":
		for _, m := range s.machines {
			s.putStorage(m, put)
		}
	case "backuptargets":
		put("default", nil, thing{
			"spec":   thing{"backupTargetURL": "s3://" + bucketName + "@us-east-1/", "credentialSecret": bucketSecret, "pollInterval": "300s"},
			"status": thing{"available": true, "lastSyncedAt": now.Truncate(5 * time.Minute).Format(time.RFC3339)},
		})
	case "recurringjobs":
		put("nightly", nil, thing{"spec": thing{"name": "nightly", "task": "backup", "cron": "30 2 * * *", "groups": []string{"default"}, "retain": 7, "concurrency": 2}})
	case "settings":
		for name, value := range map[string]string{"current-longhorn-version": "v1.12.0", "node-down-pod-deletion-policy": "do-nothing", "replica-zone-soft-anti-affinity": "true", "node-drain-policy": "block-if-contains-last-replica"} {
			put(name, nil, thing{"value": value})
		}
	}
}

// mode is what an engine says of a copy on m at a moment, and how far a rebuild is.
func (v *diskVolume) mode(m *machine, now time.Time) (mode string, percent int, failed time.Time) {
	if whole, later := v.built[m]; later && m.alive && now.Before(whole) {
		return "WO", int(100 * (buildTakes - whole.Sub(now)) / buildTakes), time.Time{}
	}
	switch back := now.Sub(m.onAt); {
	case !m.alive && now.Sub(m.offAt) > engineTimeout:
		return "ERR", 0, m.offAt.Add(engineTimeout)
	case !m.alive || m.onAt.IsZero() || m.onAt.Sub(m.offAt) <= engineTimeout:
		return "RW", 0, time.Time{}
	case back < rebuildAfter:
		return "ERR", 0, m.offAt.Add(engineTimeout)
	default:
		took := time.Duration(v.size/2/rebuildRate) * time.Second
		if done := back - rebuildAfter; done < took {
			return "WO", int(100 * done / took), time.Time{}
		}
		return "RW", 0, time.Time{}
	}
}

func (s *sim) putVolume(v *diskVolume, plural string, now time.Time, put put) {
	name := v.name()
	engine := s.engineOf(v)
	labels := map[string]string{"longhornvolume": name}
	modes, rebuild, good, on := thing{}, thing{}, 0, ""
	for i, m := range v.on {
		replica := v.replica(m)
		mode, percent, failed := v.mode(m, now)
		if engine == nil || !engine.alive { // nobody writes: it stays as it was
			mode, failed = "RW", time.Time{}
		}
		modes[replica] = mode
		address := fmt.Sprintf("%s:%d", m.address(), 10000+i)
		healthy := start.Add(-20 * 24 * time.Hour).Format(time.RFC3339)
		switch mode {
		case "RW":
			good++
		case "WO":
			healthy = ""
			rebuild["tcp://"+address] = thing{"isRebuilding": true, "progress": percent}
		}
		if plural == "replicas" {
			spec := thing{"volumeName": name, "nodeID": m.name, "diskID": "disk-" + m.name, "active": true, "healthyAt": healthy}
			if !failed.IsZero() {
				spec["failedAt"] = failed.UTC().Format(time.RFC3339)
			}
			put(replica, labels, thing{"spec": spec, "status": thing{"currentState": "running", "storageIP": m.address(), "port": 10000 + i}})
		}
	}
	if engine != nil {
		on = engine.name
	}
	switch plural {
	case "engines":
		put(name+"-e-0", labels, thing{"spec": thing{"volumeName": name, "nodeID": on, "active": true}, "status": thing{"currentState": "running", "replicaModeMap": modes, "rebuildStatus": rebuild}})
	case "volumes":
		put(name, nil, v.show(engine, good))
	case "backups":
		left := func(name string, labels map[string]string, o thing) {
			if !s.dropped[name] {
				put(name, labels, o)
			}
		}
		s.putBackups(v, now, left)
		for _, b := range v.taken {
			v.putTaken(b, now, left)
		}
	case "snapshots":
		for _, b := range v.taken {
			put(b.snapshot, labels, thing{"spec": thing{"volume": name}, "status": thing{"creationTime": b.at.Format(time.RFC3339), "readyToUse": true, "userCreated": true, "size": v.size / 100}})
		}
		if v.backups != "never" {
			last := nights(now)[0]
			put("nightly-"+last.Format("20060102")+"-"+name, labels, thing{
				"spec":   thing{"volume": name},
				"status": thing{"creationTime": last.Format(time.RFC3339), "readyToUse": true, "userCreated": true, "size": v.size / int64(60+s.chance(60, "snapshot", name))},
			})
		}
	}
}

// show is the Volume itself, with so many good copies.
func (v *diskVolume) show(engine *machine, good int) thing {
	robustness, state, on := "healthy", "attached", ""
	if engine != nil {
		on = engine.name
	}
	switch {
	case engine == nil && v.place >= v.owner.replicas: // nobody is to use it
		robustness, state = "unknown", "detached"
	case engine == nil || !engine.alive:
		robustness = "unknown"
	case good < cmp.Or(v.wanted, len(v.on)):
		robustness = "degraded"
	}
	return thing{
		"spec": thing{"size": fmt.Sprint(v.size), "numberOfReplicas": cmp.Or(v.wanted, len(v.on)), "replicaAutoBalance": v.balance, "nodeID": on, "accessMode": "rwo", "dataEngine": "v1", "backupTargetName": "default"},
		"status": thing{"state": state, "robustness": robustness, "currentNodeID": on, "actualSize": v.size / 2, "kubernetesStatus": thing{
			"pvName": v.name(), "namespace": v.namespace, "pvcName": v.claim, "workloadsStatus": []thing{{"podName": v.workload, "workloadName": v.workload, "workloadType": v.owner.kind}},
		}},
	}
}

// nights are when the last week's backups were made, newest first.
func nights(now time.Time) []time.Time {
	night := now.Truncate(24 * time.Hour).Add(22*time.Hour + 30*time.Minute) // 2:30 in Mauritius
	if night.After(now) {
		night = night.Add(-24 * time.Hour)
	}
	list := make([]time.Time, 7)
	for i := range list {
		list[i] = night.Add(-time.Duration(i) * 24 * time.Hour)
	}
	return list
}

func (v *diskVolume) backupName(at time.Time) string {
	return fmt.Sprintf("backup-%016x", hash("backup", v.name(), at.Unix()))
}

// failed reports whether the backup so many nights ago failed.
func (v *diskVolume) failed(ago int) bool { return v.backups == "failing" && ago < 3 }

// putBackups is a week of nights.
func (s *sim) putBackups(v *diskVolume, now time.Time, put put) {
	if v.backups == "never" {
		return
	}
	for i, at := range nights(now) {
		name := v.backupName(at)
		st := thing{
			"state": "Completed", "progress": 100, "volumeName": v.name(), "backupTargetName": "default", "snapshotName": "nightly-" + at.Format("20060102"),
			"snapshotCreatedAt": at.Format(time.RFC3339), "backupCreatedAt": at.Add(4 * time.Minute).Format(time.RFC3339), "lastSyncedAt": at.Add(5 * time.Minute).Format(time.RFC3339),
			"url": v.url(name), "size": fmt.Sprint(v.size / 2), "newlyUploadDataSize": fmt.Sprint(v.size / int64(80+s.chance(60, "upload", name))),
		}
		if v.failed(i) {
			st = thing{"state": "Error", "error": "proxyServer=… failed to back up: write blocks: connection reset by peer", "volumeName": v.name(), "backupTargetName": "default", "snapshotCreatedAt": at.Format(time.RFC3339)}
		}
		put(name, map[string]string{"backup-volume": v.name(), "backup-target": "default"}, thing{"spec": thing{"snapshotName": "nightly"}, "status": st})
	}
}

// putTaken is a backup somebody asked for.
func (v *diskVolume) putTaken(b *madeBackup, now time.Time, put put) {
	if b.asked.IsZero() {
		return
	}
	st := thing{"state": "InProgress", "progress": int(100 * now.Sub(b.asked) / backupTakes), "volumeName": v.name(), "backupTargetName": "default"}
	if done := b.asked.Add(backupTakes); !now.Before(done) {
		st = thing{
			"state": "Completed", "progress": 100, "volumeName": v.name(), "backupTargetName": "default", "snapshotName": b.snapshot, "url": v.url(b.backup), "snapshotCreatedAt": b.at.Format(time.RFC3339),
			"backupCreatedAt": done.Format(time.RFC3339), "lastSyncedAt": done.Format(time.RFC3339), "size": fmt.Sprint(v.size / 2), "newlyUploadDataSize": fmt.Sprint(v.size / 90),
		}
	}
	put(b.backup, map[string]string{"backup-volume": v.name(), "backup-target": "default"}, thing{"spec": thing{"snapshotName": b.snapshot}, "status": st})
}

func (s *sim) putStorage(m *machine, put put) {
	scheduled := int64(0)
	for _, v := range s.volumes {
		if slices.Contains(v.on, m) {
			scheduled += v.size
		}
	}
	ready, reason := "True", ""
	if m.lost {
		ready, reason = "False", "KubernetesNodeNotReady"
	}
	schedulable := ready
	if m.cordoned {
		schedulable, reason = "False", "KubernetesNodeCordoned"
	}
	state := []thing{{"type": "Ready", "status": ready, "reason": reason}, {"type": "Schedulable", "status": schedulable, "reason": reason}}
	size := 240 * gib
	put(m.name, nil, thing{
		"spec": thing{"allowScheduling": true, "disks": thing{"disk-1": thing{"path": "/var/lib/longhorn", "allowScheduling": true, "storageReserved": size / 4}}},
		"status": thing{"zone": m.site, "conditions": state, "diskStatus": thing{"disk-1": thing{
			"diskUUID": "disk-" + m.name, "storageMaximum": size, "storageAvailable": size - scheduled/2 - 30*gib, "storageScheduled": scheduled, "conditions": state,
		}}},
	})
}
