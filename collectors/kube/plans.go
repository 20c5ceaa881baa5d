package kube

import (
	"encoding/json"

	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/geotop/geotop/model"
)

// newPlans mirrors the one Lease in which a plan is written down while it is
// carried out, by whatever geotop.
func newPlans(a *api, cluster string) *mirror[model.PlanRun] {
	return newMirror(a, kind[model.PlanRun]{
		source: model.SourcePlans, path: "/apis/coordination.k8s.io/v1/namespaces/" + model.PlanNamespace + "/leases", optional: true,
		selectors: map[string]string{"fieldSelector": "metadata.name=" + model.PlanLease},
		key:       func(*model.PlanRun) key { return key{"", model.PlanLease} },
		decode:    decoder(func(l *coordinationv1.Lease) *model.PlanRun { return planRun(cluster, l) }),
	})
}

// planRun reads what is written down. Whoever may write Leases there may have
// written it: nothing in it is taken for true.
func planRun(cluster string, l *coordinationv1.Lease) *model.PlanRun {
	r := &model.PlanRun{}
	if err := json.Unmarshal([]byte(l.Annotations[model.PlanAnnotation]), r); err != nil {
		r = &model.PlanRun{Plan: model.Plan{Title: "(unreadable)"}}
	}
	r.Clean()
	r.Plan.Cluster = cluster
	if l.Spec.HolderIdentity != nil {
		r.Holder = model.Clean(*l.Spec.HolderIdentity, 200)
	}
	if l.Spec.RenewTime != nil {
		r.Renewed = l.Spec.RenewTime.UTC()
	}
	if l.Spec.LeaseDurationSeconds != nil {
		r.Lasts = float64(*l.Spec.LeaseDurationSeconds)
	}
	return r
}
