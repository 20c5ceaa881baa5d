package longhorn

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/robfig/cron/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// jobLabel is what Longhorn puts on everything a recurring job makes.
const jobLabel = "RecurringJob"

// jobs runs the recurring backup jobs that are due: those of the group "default",
// which all volumes here are in. Volumes that are detached are left out, as
// Longhorn does unless told otherwise.
func (s *Sim) jobs(ctx context.Context, now time.Time) error {
	since := cmp.Or(s.jobsAt, now)
	s.jobsAt = now
	list, err := s.dyn.Resource(gvr("recurringjobs")).Namespace(Namespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return err
	}
	for i := range list.Items {
		job := &list.Items[i]
		schedule, err := cron.ParseStandard(text(job, "spec", "cron"))
		groups, _, _ := unstructured.NestedStringSlice(job.Object, "spec", "groups")
		if err != nil || text(job, "spec", "task") != "backup" || !slices.Contains(groups, "default") {
			continue
		}
		if due := schedule.Next(since); !due.After(now) {
			if err := s.runJob(ctx, job, due); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Sim) runJob(ctx context.Context, job *unstructured.Unstructured, due time.Time) error {
	for _, v := range s.volumes {
		if v.seed.Detached || !s.alive(v.engineOn) {
			continue
		}
		id := fmt.Sprintf("%s-%08x", job.GetName(), hash(job.GetName(), v.seed.Name, due.Unix()))
		if err := s.create(ctx, "snapshots", id, map[string]any{"spec": map[string]any{"volume": v.seed.Name, "createSnapshot": true, "labels": map[string]any{jobLabel: job.GetName()}}}); err != nil {
			return err
		}
		if err := s.create(ctx, "backups", "backup-"+id, map[string]any{
			"labels": map[string]any{"backup-volume": v.seed.Name, "backup-target": "default"},
			"spec":   map[string]any{"snapshotName": id, "backupMode": "incremental", "labels": map[string]any{jobLabel: job.GetName()}},
		}); err != nil {
			return err
		}
		if err := s.retain(ctx, job, v.seed.Name); err != nil {
			return err
		}
	}
	runs, _, _ := unstructured.NestedInt64(job.Object, "status", "executionCount")
	return s.update(ctx, "recurringjobs", job.GetName(), map[string]any{"executionCount": runs + 1})
}

// retain deletes the job's oldest backups of a volume; those of this job alone that
// are not being deleted count.
func (s *Sim) retain(ctx context.Context, job *unstructured.Unstructured, volume string) error {
	keep, _, _ := unstructured.NestedInt64(job.Object, "spec", "retain")
	backups := s.dyn.Resource(gvr("backups")).Namespace(Namespace)
	list, err := backups.List(ctx, metav1.ListOptions{LabelSelector: "backup-volume=" + volume})
	if err != nil {
		return err
	}
	own := slices.DeleteFunc(list.Items, func(o unstructured.Unstructured) bool {
		return o.GetDeletionTimestamp() != nil || text(&o, "spec", "labels", jobLabel) != job.GetName() || text(&o, "status", "state") != "Completed"
	})
	slices.SortFunc(own, func(a, b unstructured.Unstructured) int {
		return parse(text(&b, "status", "snapshotCreatedAt")).Compare(parse(text(&a, "status", "snapshotCreatedAt")))
	})
	for i := int(keep); i < len(own); i++ {
		if err := backups.Delete(ctx, own[i].GetName(), metav1.DeleteOptions{}); err != nil {
			return err
		}
	}
	return nil
}
