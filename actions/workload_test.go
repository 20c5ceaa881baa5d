package actions_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/model"
)

func TestWorkloadsAreNamed(t *testing.T) {
	w := world(t, "healthy")
	for _, what := range []string{"Deployment/web/blog", "deployment/web/blog", "deployments/web/blog", "deploy/web/blog", "web/blog"} {
		if p, err := actions.Restart(w, what); err != nil || p.Target != "Deployment/web/blog" {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
	}
	for what, why := range map[string]string{
		"blog": "is named as KIND/NAMESPACE/NAME", "web/": "there is no workload", "sts/web/blog": "there is no workload", "a/b/c/d": "is named as", "\x1b[2J/x": "there is no workload", "": "is named as",
		"CronJob/db/postgres-dump": "neither restarted nor scaled",
	} {
		_, err := actions.Restart(w, what)
		var r *actions.RefusedError
		if !errors.As(err, &r) || !r.Unknown || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %v", what, err)
		}
	}
	if _, err := actions.Restart(&model.World{}, "web/blog"); err == nil || !strings.Contains(err.Error(), "could not be read") {
		t.Errorf("a World nobody has seen: %v", err)
	}
}

// What another number of pods comes to is said before; a wait makes it a plan that is
// written down.
func TestScalePlan(t *testing.T) {
	w := world(t, "healthy")
	p, err := actions.Scale(w, "db/postgres", "0")
	if err != nil || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "it is down") || p.Steps[0].Effect != "from 3 to 0 pods" || p.Steps[0].Command != "kubectl -n db scale statefulset/postgres --replicas=0" {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := actions.Scale(w, "db/postgres", " 1 "); err != nil || len(p.Warnings) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	actions.Await(w, p)
	if steps(p) != "scale StatefulSet/db/postgres, wait for the pods of StatefulSet/db/postgres" {
		t.Error(steps(p))
	}
	var r *actions.RefusedError
	if _, err := actions.Scale(w, "db/postgres", "3"); !errors.As(err, &r) || !r.Nothing {
		t.Errorf("to what it is: %v", err)
	}
	for _, n := range []string{"", "-1", "many", "1e3", "10001", "\x1b[2J"} {
		if _, err := actions.Scale(w, "db/postgres", n); !errors.As(err, &r) || !r.Unknown || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %v", n, err)
		}
	}
	if _, err := actions.Scale(w, "monitoring/node-exporter", "3"); err == nil || !strings.Contains(err.Error(), "one pod on each machine") {
		t.Errorf("a DaemonSet: %v", err)
	}
}

// A restore makes something new, of something that is whole.
func TestRestorePlan(t *testing.T) {
	w := world(t, "healthy")
	p, err := actions.Restore(w, "backup/dev/gitea-data", "look")
	if err != nil || len(p.Guards) > 0 || steps(p) != "restore look from "+nameAfter(p.Target)+", make the claim dev/look" {
		t.Fatalf("%+v, %v", p, err)
	}
	if again, err := actions.Restore(w, p.Target, "look"); err != nil || again.Target != p.Target {
		t.Errorf("by the backup's own name: %+v, %v", again, err)
	}
	if p, err := actions.Restore(w, "backup/dev/gitea-data", ""); err != nil || !strings.Contains(p.Title, "restore gitea-data-") {
		t.Errorf("without a name: %+v, %v", p, err)
	}
	var r *actions.RefusedError
	for name, why := range map[string]string{"Look": "is no name", "a b": "is no name", "-a": "is no name", strings.Repeat("a", 41): "is no name", "\x1b": "is no name", w.Volumes[0].Name: "already"} {
		if _, err := actions.Restore(w, "backup/dev/gitea-data", name); !errors.As(err, &r) || !r.Unknown || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %v", name, err)
		}
	}
	weak := world(t, "weak")
	failed, missing := "", ""
	for _, b := range weak.Backups {
		state, _ := weak.BackupSeen(b)
		switch {
		case b.State == "Error":
			failed = b.Name
		case state == model.BackupMissing:
			missing = b.Name
		}
	}
	if _, err := actions.Restore(weak, "backup/"+failed, "look"); err == nil || !strings.Contains(err.Error(), "is not whole") {
		t.Errorf("one that failed: %v", err)
	}
	if p, err := actions.Restore(weak, "backup/"+missing, "look"); err != nil || len(p.Guards) != 1 || p.Confirm != "look" {
		t.Errorf("one that is not in the bucket: %+v, %v", p, err)
	}
	if _, err := actions.Restore(w, "backup/nothing", "look"); !errors.As(err, &r) || !r.Unknown {
		t.Errorf("one that is not there: %v", err)
	}
}

// What is deleted is gone from the bucket: that takes the claim's name, and the last
// good one is guarded.
func TestDeleteBackupPlan(t *testing.T) {
	w := world(t, "healthy")
	b := w.Backups[0]
	p, err := actions.DeleteBackup(w, "backup/"+b.Name)
	v := w.VolumeNamed(b.Cluster, b.Volume)
	if err != nil || p.Confirm != v.Namespace+"/"+v.PVC || len(p.Guards) > 0 || !strings.Contains(p.Warnings[0], "nothing brings it back") || !strings.Contains(p.Steps[0].Effect, "6 good backups") {
		t.Errorf("%+v, %v", p, err)
	}
	last := *w
	last.Backups = []*model.Backup{b}
	if p, err := actions.DeleteBackup(&last, "backup/"+b.Name); err != nil || len(p.Guards) != 1 || !strings.Contains(p.Guards[0], "no other good backup") {
		t.Errorf("the last one: %+v, %v", p, err)
	}
	last.Volumes = nil
	if p, err := actions.DeleteBackup(&last, "backup/"+b.Name); err != nil || len(p.Guards) != 1 || !strings.Contains(p.Guards[0], "all that is left") {
		t.Errorf("the last one of a volume that is gone: %+v, %v", p, err)
	}
	var r *actions.RefusedError
	if _, err := actions.DeleteBackup(w, "backup/nothing"); !errors.As(err, &r) || !r.Unknown {
		t.Errorf("one that is not there: %v", err)
	}
}

func nameAfter(target string) string { return target[strings.IndexByte(target, '/')+1:] }
