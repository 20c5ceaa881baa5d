package model

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func workload(t *testing.T, w *World, object string) *Workload {
	t.Helper()
	i := slicesIndex(w, object)
	if i < 0 {
		t.Fatalf("no workload %s", object)
	}
	return w.Workloads[i]
}

func TestPodsClimbToTheTopOwner(t *testing.T) {
	b := houses()
	b.deployment("blog", "moka-2", "flacq-2")
	cron := b.controller("CronJob", "backup", 1, Owner{})
	job := b.controller("Job", "backup-1", 1, Owner{"CronJob", "backup", cron.UID})
	b.pod("backup-1-x", "moka-2", Owner{"Job", job.Name, job.UID})
	b.pod("bare", "moka-3", Owner{})
	b.pod("db-1", "moka-3", Owner{"Cluster", "db", "uid-cnpg"})
	w := b.world()
	for object, pods := range map[string]int{
		"Deployment/web/blog": 2, "CronJob/web/backup": 1, "Pod/web/bare": 1, "Cluster/web/db": 1,
	} {
		wl := workload(t, w, object)
		if wl.Pods != pods || wl.State != WorkloadOK || len(w.PodsOf(wl)) != pods {
			t.Errorf("%s: %+v", object, wl)
		}
	}
	if slicesIndex(w, "ReplicaSet/web/blog-5d9") >= 0 {
		t.Error("a ReplicaSet below a Deployment is listed")
	}
	if got := workload(t, w, "Deployment/web/blog").BySite.String(); got != "flacq 1, moka 1" {
		t.Errorf("where: %q", got)
	}
}

func TestOwnersInACircleEnd(t *testing.T) {
	b := houses()
	x := b.controller("Job", "x", 1, Owner{})
	y := b.controller("Job", "y", 1, Owner{"Job", "x", x.UID})
	x.Owner = Owner{"Job", "y", y.UID}
	b.pod("p", "moka-1", Owner{"Job", "x", x.UID})
	if got := len(b.world().Workloads); got == 0 || got > 2 {
		t.Errorf("%d workloads", got)
	}
}

func TestWorkloadStates(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(b *builder, d *Controller, pods []*Pod)
		want  WorkloadState
		sev   Severity
	}{
		{"all ready", func(*builder, *Controller, []*Pod) {}, WorkloadOK, OK},
		{"one not ready", func(_ *builder, _ *Controller, p []*Pod) { p[0].Ready = false }, WorkloadDegraded, Warning},
		{"none ready", func(_ *builder, _ *Controller, p []*Pod) { p[0].Ready, p[1].Ready = false, false }, WorkloadDown, Critical},
		{"no pod at all", func(b *builder, _ *Controller, _ []*Pod) { b.c.Pods.Items = nil }, WorkloadDown, Critical},
		{"scaled to nothing", func(b *builder, d *Controller, _ []*Pod) { b.c.Pods.Items, d.Desired = nil, 0 }, WorkloadIdle, OK},
		{"just made", func(_ *builder, d *Controller, p []*Pod) {
			d.Created = ago(10 * time.Second)
			p[0].Ready, p[0].Created, p[0].Phase = false, ago(5*time.Second), corev1.PodPending
		}, WorkloadStarting, OK},
		{"just made and crashing", func(_ *builder, d *Controller, p []*Pod) {
			d.Created = ago(10 * time.Second)
			p[0].Ready, p[0].Status = false, "CrashLoopBackOff"
		}, WorkloadDegraded, Warning},
		{"old evicted pods lie about", func(b *builder, _ *Controller, p []*Pod) {
			e := *p[0]
			e.Name, e.UID, e.Phase, e.Status, e.Ready = "old", "uid-old", corev1.PodFailed, "Evicted", false
			b.c.Pods.Items = append(b.c.Pods.Items, &e)
		}, WorkloadOK, OK},
		{"one hangs in Terminating", func(b *builder, _ *Controller, p []*Pod) {
			h := *p[0]
			h.Name, h.UID, h.Status, h.DeleteAt = "hung", "uid-hung", "Terminating", ago(5*time.Minute)
			b.c.Pods.Items = append(b.c.Pods.Items, &h)
		}, WorkloadOK, Warning},
	} {
		b := houses()
		d := b.deployment("blog", "moka-2", "flacq-2")
		tc.spoil(b, d, b.c.Pods.Items)
		wl := workload(t, b.world(), "Deployment/web/blog")
		if wl.State != tc.want || wl.Severity() != tc.sev {
			t.Errorf("%s: %s (%v), want %s (%v): %s", tc.name, wl.State, wl.Severity(), tc.want, tc.sev, wl.Why)
		}
	}
}

// A workload whose pods nobody could read is not down: nobody knows.
func TestUnreadIsNotDown(t *testing.T) {
	for _, tc := range []struct {
		source func(b *builder) *Source
		status SourceStatus
		want   WorkloadState
	}{
		{func(b *builder) *Source { return &b.c.Pods.Source }, SourcePending, WorkloadUnknown},
		{func(b *builder) *Source { return &b.c.Pods.Source }, SourceForbidden, WorkloadUnknown},
		{func(b *builder) *Source { return &b.c.Nodes.Source }, SourceFailed, WorkloadUnknown},
		{func(b *builder) *Source { return &b.c.Controllers[3].Source }, SourcePending, WorkloadUnknown},
		{func(b *builder) *Source { return &b.c.Controllers[1].Source }, SourcePending, WorkloadDown},
		{func(b *builder) *Source { return &b.c.Pods.Source }, SourceStale, WorkloadDown},
	} {
		b := houses()
		b.controller("Deployment", "blog", 2, Owner{}) // its pods are what was not read
		src := tc.source(b)
		if src.Status = tc.status; !src.Status.Settled() {
			src.ObservedAt = time.Time{}
		}
		w := b.world()
		wl := workload(t, w, "Deployment/web/blog")
		if wl.State != tc.want {
			t.Errorf("%s %s: %s, want %s", src.Name, tc.status, wl.State, tc.want)
		}
		for _, r := range w.Reasons {
			if r.Object == wl.Object() && tc.want == WorkloadUnknown {
				t.Errorf("%s %s: %+v", src.Name, tc.status, r)
			}
		}
		if w.Status < Unknown && tc.want == WorkloadUnknown {
			t.Errorf("%s %s: status %v", src.Name, tc.status, w.Status)
		}
	}
}

func TestJobs(t *testing.T) {
	b := houses()
	b.controller("Job", "done", 1, Owner{}).Finished = true
	b.controller("Job", "gaveup", 1, Owner{}).Failed = true
	cron := b.controller("CronJob", "nightly", 0, Owner{})
	cron.Schedule = "0 3 * * *"
	old := b.controller("Job", "nightly-1", 1, Owner{"CronJob", "nightly", cron.UID})
	old.Failed, old.Created = true, ago(48*time.Hour)
	last := b.controller("Job", "nightly-2", 1, Owner{"CronJob", "nightly", cron.UID})
	last.Finished, last.Created = true, ago(24*time.Hour)
	w := b.world()
	for object, want := range map[string]WorkloadState{
		"Job/web/done": WorkloadDone, "Job/web/gaveup": WorkloadFailed, "CronJob/web/nightly": WorkloadIdle,
	} {
		if got := workload(t, w, object).State; got != want {
			t.Errorf("%s: %s, want %s", object, got, want)
		}
	}
	last.Finished, last.Failed = false, true
	nightly := workload(t, b.world(), "CronJob/web/nightly")
	if nightly.State != WorkloadFailed || !strings.Contains(nightly.Why, "nightly-2") {
		t.Errorf("last run failed: %+v", nightly)
	}
}

func TestPodSeverity(t *testing.T) {
	for _, tc := range []struct {
		name string
		pod  Pod
		want Severity
	}{
		{"ready", Pod{Phase: corev1.PodRunning, Ready: true}, OK},
		{"done", Pod{Phase: corev1.PodSucceeded}, OK},
		{"failed", Pod{Phase: corev1.PodFailed}, Warning},
		{"starting", Pod{Phase: corev1.PodPending, Created: ago(20 * time.Second)}, OK},
		{"pending for long", Pod{Phase: corev1.PodPending, Created: ago(5 * time.Minute)}, Critical},
		{"crashing while young", Pod{Phase: corev1.PodRunning, Status: "CrashLoopBackOff", Created: ago(5 * time.Second)}, Critical},
		{"running, not ready", Pod{Phase: corev1.PodRunning, Status: "Running", Created: ago(time.Hour)}, Warning},
		{"its node is lost", Pod{Phase: corev1.PodUnknown, Created: ago(time.Hour)}, Unknown},
		{"leaving in time", Pod{Phase: corev1.PodRunning, DeleteAt: moment.Add(20 * time.Second)}, OK},
		{"should be gone", Pod{Phase: corev1.PodRunning, DeleteAt: ago(time.Minute)}, Warning},
	} {
		if got := tc.pod.Severity(moment); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
	stuck := Pod{Status: "Terminating", DeleteAt: ago(time.Minute)}
	if got := stuck.State(moment); got != "Stuck" {
		t.Errorf("a pod a minute past its grace is %q", got)
	}
}

func TestPodsCountIntoNodesAndSites(t *testing.T) {
	b := houses()
	b.deployment("blog", "moka-2", "moka-2", "flacq-2")
	done := b.pod("done", "moka-2", Owner{})
	done.Phase, done.Ready = corev1.PodSucceeded, false
	b.pod("lost", "no-such-node", Owner{})
	w := b.world()
	n := w.Node("test", "moka-2")
	if n.Pods != 2 || n.Requested.MilliCPU != 200 {
		t.Errorf("moka-2: %d pods, %d m", n.Pods, n.Requested.MilliCPU)
	}
	if s := w.Site("moka"); s.Pods != 2 || s.PodsReady != 2 || s.Requested.MilliCPU != 200 || s.Capacity.MilliCPU != 12000 {
		t.Errorf("moka: %+v", s)
	}
}

func TestRequestsAddUp(t *testing.T) {
	a := Resources{MilliCPU: 1, Extended: map[string]int64{"example.com/coral": 1}}
	sum := a.Add(Resources{MilliCPU: 2, Extended: map[string]int64{"example.com/coral": 1, "example.com/other": 3}})
	if sum.MilliCPU != 3 || sum.Extended["example.com/coral"] != 2 || sum.Extended["example.com/other"] != 3 {
		t.Errorf("%+v", sum)
	}
	if a.Extended["example.com/coral"] != 1 {
		t.Error("Add changed its receiver's map")
	}
}

// A pod that cannot end because its node is dark is that node's trouble: a
// workload that has all the pods it wants elsewhere is well.
func TestPodLeftBehindOnALostNode(t *testing.T) {
	b := houses()
	b.deployment("blog", "moka-2", "flacq-2")
	for _, n := range b.c.Nodes.Items {
		if n.Labels[zoneLabel] == "curepipe" {
			dark(n, b)
		}
	}
	left := b.pod("blog-5d9-old", "curepipe-2", b.c.Pods.Items[0].Owner)
	left.Ready, left.DeleteAt = false, ago(time.Minute)
	wl := workload(t, b.world(), "Deployment/web/blog")
	if wl.State != WorkloadOK || wl.Severity() != OK || wl.Why != "" {
		t.Errorf("all pods elsewhere: %s, %s, %q", wl.State, wl.Severity(), wl.Why)
	}
	b.c.Pods.Items = b.c.Pods.Items[1:]
	wl = workload(t, b.world(), "Deployment/web/blog")
	if wl.State != WorkloadDegraded || !strings.Contains(wl.Why, "curepipe-2, which is unreachable") {
		t.Errorf("one pod short: %s, %q", wl.State, wl.Why)
	}
}

// Workloads that run on with fewer pods while a house is gone are one finding of the
// house; one that does not run at all is its own.
func TestShortOfPodsIsTheHouse(t *testing.T) {
	b := houses()
	for _, name := range []string{"blog", "shop", "wiki"} {
		b.deployment(name, "moka-2", "curepipe-2")
	}
	b.deployment("cron", "curepipe-2")
	for _, p := range b.c.Pods.Items {
		p.Ready = p.Node != "curepipe-2"
	}
	for _, n := range b.c.Nodes.Items {
		if n.Labels[zoneLabel] == "curepipe" {
			dark(n, b)
		}
	}
	var said []string
	for _, r := range b.world().Reasons {
		if strings.Contains(r.Object, "Deployment/") || strings.Contains(r.Text, "workloads") {
			said = append(said, fmt.Sprintf("%s %s: %s", r.Severity, r.Object, r.Text))
		}
	}
	if want := []string{
		"critical Deployment/web/cron: 0 of 1 ready: pod on curepipe-2, which is unreachable",
		"warning site/curepipe: 3 workloads lack pods while it is gone: blog, shop, wiki",
	}; !slices.Equal(said, want) {
		t.Errorf("%q", said)
	}
}

// What is young is given time to start, but not on a machine that is lost.
func TestYoungWorkloadOnALostNodeIsDown(t *testing.T) {
	b := houses()
	d := b.deployment("blog", "curepipe-2")
	d.Created, b.c.Pods.Items[0].Created, b.c.Pods.Items[0].Ready = ago(10*time.Second), ago(10*time.Second), false
	if wl := workload(t, b.world(), "Deployment/web/blog"); wl.State != WorkloadStarting {
		t.Errorf("its node is well: %s", wl.State)
	}
	for _, n := range b.c.Nodes.Items {
		if n.Name == "curepipe-2" {
			dark(n, b)
		}
	}
	if wl := workload(t, b.world(), "Deployment/web/blog"); wl.State != WorkloadDown {
		t.Errorf("its node is lost: %s", wl.State)
	}
}

func TestLostNodeIsNoGoodNews(t *testing.T) {
	if s := (&Event{Type: "Normal", Reason: "NodeNotReady"}).Severity(); s != Warning {
		t.Errorf("NodeNotReady is %s", s)
	}
	if s := (&Event{Type: "Normal", Reason: "NodeReady"}).Severity(); s != OK {
		t.Errorf("NodeReady is %s", s)
	}
}
