package drill

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// plan is one generated cluster.
type plan struct {
	houses, perHouse int
	core             int // machines of a house that are in its first half
	rand             *rand.Rand
	apps             []runtime.Object // in the order they are made: volumes before what uses them
}

const (
	namespace = "drill"
	appLabel  = "app"
	// partLabel tells the halves of a house apart: they are geotop's sites here, so
	// that a house, Kubernetes' zone, can be half dead.
	partLabel = "drill/part"
)

// classes are the priorities some apps have; the others have none.
var classes = []struct {
	name     string
	value    int32
	preempts corev1.PreemptionPolicy
}{
	{"important", 1000, corev1.PreemptLowerPriority}, {"patient", 500, corev1.PreemptNever}, {"spare", -10, corev1.PreemptLowerPriority},
}

// newPlan draws a cluster: a seed gives the same one every time.
func newPlan(seed uint64) *plan {
	p := &plan{rand: rand.New(rand.NewPCG(seed, 7))}
	p.houses, p.perHouse = 2+p.rand.IntN(3), 1+p.rand.IntN(4)
	if p.chance(5) {
		p.perHouse += 2
	}
	p.core = 1 + p.rand.IntN(p.perHouse)
	for _, c := range classes {
		p.apps = append(p.apps, &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: c.name}, Value: c.value, PreemptionPolicy: &c.preempts})
	}
	for i := range 3 + p.rand.IntN(8) {
		app := p.app(fmt.Sprintf("app-%d", i)) // its volume comes before it
		p.apps = append(p.apps, app)
	}
	return p
}

// losses are what goes dark, one after the other: halves of houses by name.
func (p *plan) losses(houses []string) [][]string {
	i := p.rand.IntN(len(houses))
	house, next := halves(houses[i]), halves(houses[(i+1)%len(houses)])
	first, second := house, next
	switch {
	case p.core < p.perHouse && p.chance(4):
		first, second = house[1:], pick(p, next, house[:1])
	case len(houses) > 2 && p.chance(4):
		first, second = slices.Concat(house, next), halves(houses[(i+2)%len(houses)])
	}
	if p.chance(3) && len(first)+len(second) < 2*len(houses) { // someone must be left
		return [][]string{first, second}
	}
	return [][]string{first}
}

func halves(house string) []string { return []string{house + ".a", house + ".b"} }

// chance is true once in so many times.
func (p *plan) chance(in int) bool { return p.rand.IntN(in) == 0 }

func pick[T any](p *plan, from ...T) T { return from[p.rand.IntN(len(from))] }

// shape gives a machine its size, and some a label or a taint.
func (p *plan) shape(n *corev1.Node) {
	// These drills are about pods: the lab's control plane is in no house.
	for _, role := range []string{"control-plane", "etcd", "master"} {
		delete(n.Labels, "node-role.kubernetes.io/"+role)
	}
	number, _ := strconv.Atoi(n.Name[strings.LastIndexByte(n.Name, '-')+1:])
	half := halves(n.Labels[corev1.LabelTopologyZone])
	n.Labels[partLabel] = half[0]
	if number > p.core {
		n.Labels[partLabel] = half[1]
	}
	n.Status.Capacity[corev1.ResourceCPU] = resource.MustParse(pick(p, "2", "4", "4", "8"))
	n.Status.Capacity[corev1.ResourceMemory] = resource.MustParse(pick(p, "2Gi", "4Gi", "8Gi", "16Gi"))
	n.Status.Capacity[corev1.ResourcePods] = resource.MustParse(pick(p, "110", "110", "110", "6"))
	n.Status.Allocatable = n.Status.Capacity
	if p.chance(2) {
		n.Labels["disk"] = "ssd"
	}
	if p.chance(6) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "dedicated", Value: "db", Effect: pick(p, corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule)})
	}
	if p.chance(12) {
		n.Spec.Unschedulable = true
	}
}

func (p *plan) app(name string) runtime.Object {
	replicas := int32(1 + p.rand.IntN(5))
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{appLabel: name}}
	t := p.template(name)
	switch p.rand.IntN(10) {
	case 0:
		return &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Selector: selector, Template: t}}
	case 1, 2:
		return &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Replicas: &replicas, Selector: selector, Template: t, PodManagementPolicy: appsv1.ParallelPodManagement}}
	case 3:
		t.Spec.RestartPolicy = corev1.RestartPolicyNever
		t.Annotations = map[string]string{"lab/stay": "true"}
		limit := int32(20)
		return &batchv1.Job{ObjectMeta: meta, Spec: batchv1.JobSpec{Parallelism: &replicas, Completions: &replicas, BackoffLimit: &limit, Template: t}}
	default:
		return &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: selector, Template: t}}
	}
}

func (p *plan) template(name string) corev1.PodTemplateSpec {
	requests := corev1.ResourceList{}
	if !p.chance(6) {
		requests[corev1.ResourceCPU] = resource.MustParse(pick(p, "50m", "100m", "250m", "500m", "1", "1500m"))
	}
	if !p.chance(6) {
		requests[corev1.ResourceMemory] = resource.MustParse(pick(p, "64Mi", "256Mi", "512Mi", "1Gi", "2Gi"))
	}
	c := corev1.Container{Name: "main", Image: "registry.example/main:1", Resources: corev1.ResourceRequirements{Requests: requests}}
	if p.chance(10) {
		c.Ports = []corev1.ContainerPort{{ContainerPort: 8080, HostPort: pick(p, int32(8080), 8081)}}
	}
	t := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{appLabel: name}}, Spec: corev1.PodSpec{Containers: []corev1.Container{c}}}
	if p.chance(6) {
		t.Spec.NodeSelector = map[string]string{"disk": "ssd"}
	}
	p.tolerate(&t.Spec)
	p.spread(&t.Spec, name)
	p.affinity(&t.Spec, name)
	if p.chance(6) {
		p.claim(&t.Spec, name)
	}
	if p.chance(4) {
		t.Spec.PriorityClassName = pick(p, classes...).name
	}
	return t
}

// claim gives the pods a volume that can be used in one house, or on one machine.
func (p *plan) claim(s *corev1.PodSpec, name string) {
	label, value := corev1.LabelTopologyZone, pick(p, "moka", "curepipe")
	if p.chance(2) {
		label, value = corev1.LabelHostname, value+"-1"
	}
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	class := ""
	p.apps = append(p.apps, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv-" + name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data"}},
			ClaimRef:               &corev1.ObjectReference{Namespace: namespace, Name: name},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: label, Operator: corev1.NodeSelectorOpIn, Values: []string{value}}},
			}}}},
		},
	}, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, VolumeName: "pv-" + name, StorageClassName: &class,
			Resources: corev1.VolumeResourceRequirements{Requests: size},
		},
	})
	s.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}}}
}

func (p *plan) tolerate(s *corev1.PodSpec) {
	if p.chance(4) {
		s.Tolerations = append(s.Tolerations, corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpExists})
	}
	if p.chance(12) { // stays on a lost node for good
		s.Tolerations = append(s.Tolerations, corev1.Toleration{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute})
	}
	if p.chance(12) {
		stay := int64(1 + p.rand.IntN(5))
		s.Tolerations = append(s.Tolerations, corev1.Toleration{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &stay})
	}
}

func (p *plan) spread(s *corev1.PodSpec, name string) {
	if !p.chance(4) {
		return
	}
	c := corev1.TopologySpreadConstraint{
		MaxSkew: pick(p, int32(1), 1, 2), TopologyKey: pick(p, corev1.LabelTopologyZone, corev1.LabelTopologyZone, corev1.LabelHostname),
		WhenUnsatisfiable: pick(p, corev1.DoNotSchedule, corev1.DoNotSchedule, corev1.ScheduleAnyway),
		LabelSelector:     &metav1.LabelSelector{MatchLabels: map[string]string{appLabel: name}},
	}
	if c.WhenUnsatisfiable == corev1.DoNotSchedule && p.chance(4) {
		n := int32(2 + p.rand.IntN(2))
		c.MinDomains = &n
	}
	if p.chance(3) {
		honor := corev1.NodeInclusionPolicyHonor
		c.NodeTaintsPolicy = &honor
	}
	s.TopologySpreadConstraints = append(s.TopologySpreadConstraints, c)
}

func (p *plan) affinity(s *corev1.PodSpec, name string) {
	a := &corev1.Affinity{}
	term := func(app string) corev1.PodAffinityTerm {
		return corev1.PodAffinityTerm{TopologyKey: pick(p, corev1.LabelTopologyZone, corev1.LabelHostname), LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{appLabel: app}}}
	}
	switch p.rand.IntN(9) {
	case 0:
		a.PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term(name)}}
	case 1:
		a.PodAntiAffinity = &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: 100, PodAffinityTerm: term(name)}}}
	case 2:
		a.PodAffinity = &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term(pick(p, name, "app-0"))}}
	case 3:
		zone := corev1.NodeSelectorRequirement{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{"moka", "curepipe"}}
		ns := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{zone}}
		if p.chance(2) {
			a.NodeAffinity = &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{ns}}}
		} else {
			a.NodeAffinity = &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 50, Preference: ns}}}
		}
	case 4:
		a.PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term("app-0")}}
	default:
		return
	}
	s.Affinity = a
}
