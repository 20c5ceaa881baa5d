package rig

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// build registers the nodes, starts their kubelets and runs the workloads.
func (r *Rig) build(ctx context.Context, c kubernetes.Interface) error {
	if err := r.createNodes(ctx, c); err != nil {
		return err
	}
	if err := r.startKubelets(ctx); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if err := r.WaitNodes(wait, c); err != nil {
		return err
	}
	if r.cfg.Empty {
		return nil
	}
	l := &load{client: c, ctx: ctx}
	l.g.SetLimit(20)
	if r.cfg.Pods > 0 {
		l.many(r.cfg.Pods)
	} else {
		l.homelab(r.cfg.Houses)
	}
	if r.cfg.Broken {
		l.deployment(app{"broken", "too-big", 1, "64", "1Ti", nil})
	}
	if err := l.g.Wait(); err != nil {
		return err
	}
	return r.waitPods(ctx, c, l.pods)
}

// load creates workloads side by side.
type load struct {
	client kubernetes.Interface
	ctx    context.Context
	g      errgroup.Group
	pods   int // that will run in the end
}

// app is a workload to create.
type app struct {
	namespace, name string
	replicas        int
	cpu, memory     string
	shape           func(*corev1.PodTemplateSpec)
}

func (l *load) namespaces(names ...string) {
	for _, n := range names {
		_, err := l.client.CoreV1().Namespaces().Create(l.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n}}, metav1.CreateOptions{})
		if err != nil {
			l.g.Go(func() error { return fmt.Errorf("namespace %s: %w", n, err) })
		}
	}
}

// template is a pod as real charts make them: settings, volumes, probes.
func (a app) template() corev1.PodTemplateSpec {
	labels := map[string]string{"app.kubernetes.io/name": a.name, "app.kubernetes.io/managed-by": "lab"}
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/healthy"}}}, PeriodSeconds: 10, TimeoutSeconds: 1, SuccessThreshold: 1, FailureThreshold: 3}
	c := corev1.Container{
		Name: a.name, Image: "registry.example/" + a.name + ":1",
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(a.cpu), corev1.ResourceMemory: resource.MustParse(a.memory)},
		},
		Ports:          []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
		VolumeMounts:   []corev1.VolumeMount{{Name: "config", MountPath: "/etc/" + a.name}, {Name: "tmp", MountPath: "/tmp"}},
		ReadinessProbe: probe, LivenessProbe: probe,
	}
	for i := range 6 {
		c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%02d", i), Value: fmt.Sprintf("a plain value of %s, number %d", a.name, i)})
	}
	t := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: map[string]string{"lab/cpu": a.cpu, "lab/memory": a.memory}},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{c},
			Volumes: []corev1.Volume{
				{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: a.name}}}},
				{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			},
		},
	}
	if a.shape != nil {
		a.shape(&t)
	}
	return t
}

func (a app) meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: a.namespace, Name: a.name, Labels: map[string]string{"app.kubernetes.io/name": a.name}}
}

func (a app) selector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": a.name}}
}

func (l *load) create(what string, create func() error) {
	l.g.Go(func() error {
		if err := create(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

func (l *load) deployment(a app) {
	if a.namespace != "broken" {
		l.pods += a.replicas
	} else {
		l.namespaces(a.namespace)
	}
	n := int32(a.replicas)
	d := &appsv1.Deployment{ObjectMeta: a.meta(), Spec: appsv1.DeploymentSpec{Replicas: &n, Selector: a.selector(), Template: a.template()}}
	l.create("Deployment "+a.name, func() error {
		_, err := l.client.AppsV1().Deployments(a.namespace).Create(l.ctx, d, metav1.CreateOptions{})
		return err
	})
}

func (l *load) statefulSet(a app) {
	l.pods += a.replicas
	n := int32(a.replicas)
	s := &appsv1.StatefulSet{ObjectMeta: a.meta(), Spec: appsv1.StatefulSetSpec{
		Replicas: &n, Selector: a.selector(), ServiceName: a.name, Template: a.template(), PodManagementPolicy: appsv1.ParallelPodManagement}}
	l.create("StatefulSet "+a.name, func() error {
		_, err := l.client.AppsV1().StatefulSets(a.namespace).Create(l.ctx, s, metav1.CreateOptions{})
		return err
	})
}

func (l *load) daemonSet(a app) {
	t := a.template()
	t.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	d := &appsv1.DaemonSet{ObjectMeta: a.meta(), Spec: appsv1.DaemonSetSpec{Selector: a.selector(), Template: t}}
	l.create("DaemonSet "+a.name, func() error {
		_, err := l.client.AppsV1().DaemonSets(a.namespace).Create(l.ctx, d, metav1.CreateOptions{})
		return err
	})
}

// apart keeps pods of the workload in different houses.
func (a app) apart() app {
	a.shape = func(t *corev1.PodTemplateSpec) {
		t.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
			{TopologyKey: corev1.LabelTopologyZone, LabelSelector: a.selector()}}}}
	}
	return a
}

// spread has pods of the workload evenly over the houses.
func (a app) spread() app {
	a.shape = func(t *corev1.PodTemplateSpec) {
		t.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{
			{MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: a.selector()}}
	}
	return a
}

// homelab is what people with a few houses run.
func (l *load) homelab(houses int) {
	l.namespaces("db", "dev", "jobs", "monitoring", "nextcloud", "web")
	l.deployment(app{"nextcloud", "nextcloud", 1, "400m", "768Mi", nil})
	l.statefulSet(app{"nextcloud", "redis", 1, "100m", "256Mi", nil})
	l.deployment(app{"dev", "code-server", 1, "500m", "1Gi", nil})
	l.deployment(app{"jobs", "bullmq-worker", 4, "100m", "192Mi", nil})
	l.deployment(app{"web", "blog", 2, "50m", "64Mi", nil})
	l.deployment(app{"web", "status-page", 3, "50m", "64Mi", nil}.spread())
	l.statefulSet(app{"db", "postgres", min(3, houses), "250m", "512Mi", nil}.apart())
	l.daemonSet(app{"monitoring", "node-exporter", 0, "20m", "32Mi", nil})
	job := batchv1.JobSpec{Template: app{name: "dump", cpu: "50m", memory: "64Mi"}.template()}
	job.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	l.create("CronJob dump", func() error {
		_, err := l.client.BatchV1().CronJobs("db").Create(l.ctx, &batchv1.CronJob{
			ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: "dump"},
			Spec:       batchv1.CronJobSpec{Schedule: "30 2 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: job}}}, metav1.CreateOptions{})
		return err
	})
	l.create("Job dump-now", func() error {
		_, err := l.client.BatchV1().Jobs("db").Create(l.ctx, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: "dump-now"}, Spec: job}, metav1.CreateOptions{})
		return err
	})
}

// many is so many pods of workloads of several sizes.
func (l *load) many(pods int) {
	const namespaces = 20
	for i := range namespaces {
		l.namespaces(fmt.Sprintf("team-%02d", i))
	}
	sizes := []int{10, 25, 50, 100}
	for i := 0; pods > 0; i++ {
		a := app{fmt.Sprintf("team-%02d", i%namespaces), fmt.Sprintf("app-%03d", i), min(pods, sizes[i%len(sizes)]), "10m", "24Mi", nil}
		pods -= a.replicas
		if i%5 == 4 {
			l.statefulSet(a)
		} else {
			l.deployment(a)
		}
	}
}

// waitPods waits until at least so many pods run and are ready, as their
// controllers count them: cheaper than reading all pods again and again.
func (r *Rig) waitPods(ctx context.Context, c kubernetes.Interface, want int) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	said := time.Now()
	for {
		ready, err := readyPods(ctx, c)
		if err == nil && ready >= want {
			return nil
		}
		if time.Since(said) > 10*time.Second {
			said = time.Now()
			r.cfg.Log("%d of %d pods ready", ready, want)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("only %d of %d pods became ready: %w", ready, want, context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// WaitWorkloads waits until every Deployment, StatefulSet and DaemonSet has all
// the pods it wants, ready.
func (r *Rig) WaitWorkloads(ctx context.Context, c kubernetes.Interface) error {
	for {
		short, err := shortOfPods(ctx, c)
		if err == nil && len(short) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%v lack pods: %w", short, errors.Join(err, context.Cause(ctx)))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// shortOfPods names the workloads that are not whole.
func shortOfPods(ctx context.Context, c kubernetes.Interface) (short []string, err error) {
	check := func(name string, ready, desired int32) {
		if ready < desired {
			short = append(short, name)
		}
	}
	deployments, err := c.AppsV1().Deployments("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, d := range deployments.Items {
		check(d.Name, d.Status.ReadyReplicas, *d.Spec.Replicas)
	}
	sets, err := c.AppsV1().StatefulSets("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, s := range sets.Items {
		check(s.Name, s.Status.ReadyReplicas, *s.Spec.Replicas)
	}
	daemons, err := c.AppsV1().DaemonSets("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, d := range daemons.Items {
		check(d.Name, d.Status.NumberReady, d.Status.DesiredNumberScheduled)
	}
	// The pods themselves: after an outage of the API their workloads' status is as
	// old as the outage.
	if len(short) > 0 {
		return short, nil
	}
	pods, err := c.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for i := range pods.Items {
		if p := &pods.Items[i]; !atRest(p) {
			short = append(short, p.Name)
		}
	}
	return short, nil
}

// atRest is whether a workload's pod is ready and to stay, or has ended.
func atRest(p *corev1.Pod) bool {
	owner := metav1.GetControllerOf(p)
	if owner == nil || owner.Kind == "Job" || p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
		return true
	}
	return p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func readyPods(ctx context.Context, c kubernetes.Interface) (int, error) {
	n := 0
	deployments, err := c.AppsV1().Deployments("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return 0, err
	}
	for _, d := range deployments.Items {
		if d.Namespace != "kube-system" {
			n += int(d.Status.ReadyReplicas)
		}
	}
	sets, err := c.AppsV1().StatefulSets("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return 0, err
	}
	for _, s := range sets.Items {
		n += int(s.Status.ReadyReplicas)
	}
	return n, nil
}
