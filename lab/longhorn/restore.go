package longhorn

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// adopt begins to fill a volume that somebody made from a backup. Others that are not
// ours are left alone.
func (s *Sim) adopt(o *unstructured.Unstructured) {
	from, err := url.Parse(text(o, "spec", "fromBackup"))
	if err != nil || from.Query().Get("volume") == "" {
		return
	}
	copies, _, _ := unstructured.NestedInt64(o.Object, "spec", "numberOfReplicas")
	v := &volume{seed: Seed{Name: o.GetName(), Replicas: int(copies)}, size: 1 << 30, filled: time.Now().UTC()}
	if of := s.volume(from.Query().Get("volume")); of != nil {
		v.size = of.size
	}
	for range copies {
		n := s.place(v)
		if v.short = n == nil; v.short {
			break
		}
		s.add(v, n, v.filled)
	}
	if len(v.replicas) > 0 {
		v.engineOn = v.replicas[0].node
	}
	s.volumes = append(s.volumes, v)
}

// dropRestored forgets volumes that were made from backups and are deleted.
func (s *Sim) dropRestored(ctx context.Context, now []unstructured.Unstructured) error {
	for at := len(s.volumes) - 1; at >= 0; at-- {
		v := s.volumes[at]
		if v.filled.IsZero() || slices.ContainsFunc(now, func(o unstructured.Unstructured) bool { return o.GetName() == v.seed.Name }) {
			continue
		}
		for _, r := range v.replicas {
			s.free(r, v)
			if err := s.dyn.Resource(gvr("replicas")).Namespace(Namespace).Delete(ctx, r.name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		}
		if err := s.dyn.Resource(gvr("engines")).Namespace(Namespace).Delete(ctx, v.seed.Name+"-e-0", metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		for key := range s.sent {
			if key == "volumes/"+v.seed.Name+"/status" || key == "engines/"+v.seed.Name+"-e-0/" || key == "engines/"+v.seed.Name+"-e-0/status" {
				delete(s.sent, key)
			}
		}
		s.volumes = slices.Delete(s.volumes, at, at+1)
	}
	return nil
}

// percent is how much of a volume from a backup is there; 100 for others.
func (s *Sim) percent(v *volume, now time.Time) int {
	if v.filled.IsZero() {
		return 100
	}
	return int(min(100, 100*now.Sub(v.filled)/s.clock.Load().Rebuild))
}

// fill moves a volume from a backup on; it is detached once it is whole.
func (s *Sim) fill(ctx context.Context, v *volume, now time.Time) error {
	if v.filled.IsZero() || v.seed.Detached {
		return nil
	}
	v.seed.Detached = s.percent(v, now) == 100 && !v.short
	if !v.seed.Detached {
		return nil
	}
	v.rest() // its engine ends, the copies stay
	return s.patch(ctx, "volumes", v.seed.Name, "", map[string]any{"spec": map[string]any{"size": fmt.Sprint(v.size)}}, nil)
}

func (v *volume) rest() {
	for _, r := range v.replicas {
		r.mode = ""
	}
}
