package demo

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"time"
)

// workload is a controller and its pods in the simulation.
type workload struct {
	kind, namespace, name string
	image                 string
	replicas              int
	milliCPU              int64
	memory                int64
	claim                 string   // a PersistentVolumeClaim's name, or its template's
	sites                 []string // only in these; all when empty
	apart                 bool     // at most one pod a site
	daemon                bool     // one pod on every machine

	born     time.Time
	labels   map[string]string
	spec     *corev1.PodSpec
	pods     []*pod
	made     int
	reported [3]int    // desired, ready and up to date, as last written
	rolled   time.Time // when all its pods were last to be made anew
}

func (w *workload) uid() types.UID { return uid(w.kind, w.namespace, w.name) }

// template is the ReplicaSet's suffix.
func (w *workload) template() string {
	return fmt.Sprintf("%010x", hash("template", w.namespace, w.name, w.image))[:10]
}

func (w *workload) podName(seed uint64, place int) string {
	suffix := fmt.Sprintf("%05x", hash(seed, w.namespace, w.name, place, w.made))[:5]
	switch w.kind {
	case "StatefulSet":
		return fmt.Sprintf("%s-%d", w.name, place)
	case "DaemonSet":
		return w.name + "-" + suffix
	default:
		return w.name + "-" + w.template() + "-" + suffix
	}
}

func (w *workload) ownerOfPods() []metav1.OwnerReference {
	yes := true
	if w.kind == "Deployment" {
		n := w.name + "-" + w.template()
		return []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: n, UID: uid("ReplicaSet", w.namespace, n), Controller: &yes}}
	}
	return []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: w.kind, Name: w.name, UID: w.uid(), Controller: &yes}}
}

// podSpec is shared by all its pods but for the node's name.
func (w *workload) podSpec() corev1.PodSpec {
	if w.spec == nil {
		seconds := int64(tolerate / time.Second)
		w.spec = &corev1.PodSpec{
			ServiceAccountName: "default", SchedulerName: "default-scheduler",
			Containers: []corev1.Container{{Name: w.name, Image: w.image, Resources: corev1.ResourceRequirements{Requests: amounts(w.milliCPU, w.memory, 0)}}},
			Tolerations: []corev1.Toleration{
				{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds},
				{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds},
			},
		}
		if w.daemon {
			w.spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
		}
		if len(w.sites) == 1 {
			w.spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: w.sites[0]}
		}
		if w.apart {
			w.spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
				TopologyKey: corev1.LabelTopologyZone, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": w.name}}}}}}
		}
	}
	return *w.spec
}

func (w *workload) allowed(m *machine) bool {
	for _, site := range w.sites {
		if site == m.site {
			return true
		}
	}
	return len(w.sites) == 0
}

// misfit is the scheduler's message for a pod that fits nowhere.
func (w *workload) misfit(s *sim) string {
	unschedulable, lost, short := 0, 0, 0
	for _, m := range s.machines {
		switch {
		case m.lost:
			lost++
		case m.cordoned:
			unschedulable++
		default:
			short++
		}
	}
	msg := fmt.Sprintf("0/%d nodes are available:", len(s.machines))
	if lost > 0 {
		msg += fmt.Sprintf(" %d node(s) had untolerated taint(s),", lost)
	}
	if unschedulable > 0 {
		msg += fmt.Sprintf(" %d node(s) were unschedulable,", unschedulable)
	}
	what := "Insufficient memory"
	if len(w.sites) > 0 || w.apart {
		what = "node(s) didn't match Pod's affinity rules"
	}
	return msg + fmt.Sprintf(" %d %s.", short, what)
}

// add puts the workload and its pods into the world.
func (s *sim) add(w *workload) {
	w.born = s.now().Add(-time.Duration(20+s.chance(300, "age", w.name)) * 24 * time.Hour)
	w.labels = map[string]string{"app": w.name, "app.kubernetes.io/name": w.name}
	if w.kind == "Deployment" {
		w.labels["pod-template-hash"] = w.template()
	}
	s.workloads = append(s.workloads, w)
	s.putReplicaSet(w)
	if w.daemon {
		w.replicas = len(s.machines)
	}
	for i := range w.replicas {
		s.settle(w, i)
	}
}

// settle makes a pod that has been running for long.
func (s *sim) settle(w *workload, place int) {
	w.made++
	p := &pod{of: w, place: place, name: w.podName(s.demo.seed, place), running: true, ready: true}
	p.uid = uid("pod", w.namespace, p.name, w.made)
	p.born = s.now().Add(-time.Duration(30+s.chance(20000, "podage", p.name)) * time.Minute)
	p.since = p.born
	w.pods = append(w.pods, p)
	p.node = s.schedule(p)
	if w.daemon {
		p.node = s.machines[place]
	}
	if p.node == nil {
		p.running, p.ready = false, false
		s.event(p.object(), "Warning", "FailedScheduling", w.misfit(s), "")
	}
	s.putPod(p)
}

func (s *sim) putReplicaSet(w *workload) {
	if w.kind != "Deployment" {
		return
	}
	yes := true
	n := int32(w.replicas)
	s.demo.store.put(&appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.namespace, Name: w.name + "-" + w.template(), UID: uid("ReplicaSet", w.namespace, w.name+"-"+w.template()), CreationTimestamp: stamp(w.born),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: w.name, UID: w.uid(), Controller: &yes}},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: &n},
	})
}

// counts writes every controller whose figures changed.
func (s *sim) counts() {
	for _, w := range s.workloads {
		ready, current := 0, 0
		for _, p := range w.pods {
			if p.leaving {
				continue
			}
			if p.ready {
				ready++
			}
			if !p.born.Before(w.rolled) {
				current++
			}
		}
		now := [3]int{w.replicas, ready, current}
		if w.reported == now && w.made > 0 {
			continue
		}
		w.reported = now
		s.putController(w, ready, current)
	}
}

func (s *sim) putController(w *workload, ready, current int) {
	meta := metav1.ObjectMeta{Namespace: w.namespace, Name: w.name, UID: w.uid(), CreationTimestamp: stamp(w.born)}
	want, have, now := int32(w.replicas), int32(ready), int32(current)
	switch w.kind {
	case "Deployment":
		s.demo.store.put(&appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &want}, Status: appsv1.DeploymentStatus{Replicas: want, ReadyReplicas: have, UpdatedReplicas: now}})
	case "StatefulSet":
		s.demo.store.put(&appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Replicas: &want}, Status: appsv1.StatefulSetStatus{Replicas: want, ReadyReplicas: have, UpdatedReplicas: now}})
	case "DaemonSet":
		s.demo.store.put(&appsv1.DaemonSet{ObjectMeta: meta, Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: want, NumberReady: have, UpdatedNumberScheduled: now}})
	}
}

// addCron puts a CronJob with its last run into the world.
func (s *sim) addCron(namespace, name, schedule string, lastRun time.Time) {
	yes, one := true, int32(1)
	born := stamp(lastRun.Add(-90 * 24 * time.Hour))
	last := stamp(lastRun)
	s.demo.store.put(&batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: uid("CronJob", namespace, name), CreationTimestamp: born},
		Spec:       batchv1.CronJobSpec{Schedule: schedule}, Status: batchv1.CronJobStatus{LastScheduleTime: &last},
	})
	s.demo.store.put(&batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: fmt.Sprintf("%s-%d", name, lastRun.Unix()/60), UID: uid("Job", namespace, name, lastRun.Unix()), CreationTimestamp: last,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "CronJob", Name: name, UID: uid("CronJob", namespace, name), Controller: &yes}},
		},
		Spec:   batchv1.JobSpec{Completions: &one, Parallelism: &one},
		Status: batchv1.JobStatus{Succeeded: 1, Conditions: []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}},
	})
}
