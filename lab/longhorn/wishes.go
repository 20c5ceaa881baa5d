package longhorn

import (
	"context"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// wishes takes in what others changed: how many replicas a volume is to have, and
// replicas that were deleted.
func (s *Sim) wishes(ctx context.Context) error {
	volumes, err := s.dyn.Resource(gvr("volumes")).Namespace(Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	replicas, err := s.dyn.Resource(gvr("replicas")).Namespace(Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if err := s.dropRestored(ctx, volumes.Items); err != nil {
		return err
	}
	there := map[string]bool{}
	for i := range replicas.Items {
		there[replicas.Items[i].GetName()] = true
	}
	for i := range volumes.Items {
		v := s.volume(volumes.Items[i].GetName())
		if v == nil {
			s.adopt(&volumes.Items[i])
			continue
		}
		if n, _, _ := unstructured.NestedInt64(volumes.Items[i].Object, "spec", "numberOfReplicas"); n > 0 {
			v.seed.Replicas = int(n)
		}
		for at := len(v.replicas) - 1; at >= 0; at-- {
			if r := v.replicas[at]; r.shown && !there[r.name] {
				s.free(r, v)
				v.replicas = slices.Delete(v.replicas, at, at+1)
				v.removed = append(v.removed, r.name)
				delete(s.sent, "replicas/"+r.name+"/")
				delete(s.sent, "replicas/"+r.name+"/status")
			}
		}
	}
	return nil
}

// grow adds a replica to a volume that is to have more, one at a time. A failed one
// that may come back is waited for, as after any loss.
func (s *Sim) grow(v *volume, now time.Time) {
	failed := slices.ContainsFunc(v.replicas, func(r *replica) bool { return r.mode == "ERR" })
	if failed || v.rebuilding() || len(v.replicas) >= v.seed.Replicas {
		return
	}
	n := s.place(v)
	if v.short = n == nil; v.short {
		return
	}
	r := s.add(v, n, now)
	r.mode, r.healthyAt, r.rebuildFrom = "WO", time.Time{}, now
}
