package survive

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/geotop/geotop/model"
)

// forWorkload lets pods run in other places, or more of them.
func (a *Analysis) forWorkload(at int, l *ill) []*change {
	c := a.clusters[at]
	pods := c.podsOf(l.object)
	if len(pods) == 0 {
		return nil
	}
	list := []*change{}
	spec, kind := pods[0].Spec, pods[0].Owner.Kind
	claims := len(pods[0].Claims) > 0
	key := c.siteLabel()
	switch {
	case kind != "ReplicaSet" && kind != "StatefulSet" || key == "":
	case len(pods) > 1 && (kind == "StatefulSet" || !claims) && !spreads(spec, key):
		list = append(list, l.change(model.FixSpread, "spread it over houses", softSpread+key, a.respec(at, l.object, 0, spreadOver(spec, key, pods[0].Labels))))
	case len(pods) == 1 && kind == "ReplicaSet" && !claims:
		list = append(list, l.change(model.FixReplicas, "run 2, spread over houses", "replicas: 2; "+softSpread+key, a.respec(at, l.object, 1, spreadOver(spec, key, pods[0].Labels))))
	}
	if !l.pends {
		return list
	}
	if freer := unpinned(spec); freer != nil {
		list = append(list, l.change(model.FixSelector, "let it run on other machines", "its node selector or required node affinity holds it where it is", a.respec(at, l.object, 0, freer)))
	}
	if softer := yielding(spec); softer != nil {
		list = append(list, l.change(model.FixConstraint, "let its spread constraint give way", "whenUnsatisfiable: ScheduleAnyway", a.respec(at, l.object, 0, softer)))
	}
	for _, claim := range pods[0].Claims {
		v := c.claims[pods[0].Namespace+"/"+claim]
		if v == nil || v.Affinity == nil {
			continue
		}
		list = append(list, l.change(model.FixVolume, "keep its volume where other houses can use it", claim+" is bound to some machines", func(w *model.World) *model.World {
			return edited(w, func(w *model.World) {
				w.PersistentVolumes = with(w.PersistentVolumes, slices.Index(w.PersistentVolumes, v), func(v *model.PersistentVolume) { v.Affinity = nil })
			})
		}))
	}
	return list
}

const softSpread = "topologySpreadConstraints: whenUnsatisfiable: ScheduleAnyway, topologyKey: "

// podsOf is the workload's pods that count.
func (c *cluster) podsOf(object string) []*model.Pod {
	list := []*model.Pod{}
	for _, p := range c.pods {
		if p.owner != nil && p.owner.Object() == object && p.fact.Counts() {
			list = append(list, p.fact)
		}
	}
	return list
}

// siteLabel is the label that tells the cluster's houses apart for Kubernetes; ""
// when none does.
func (c *cluster) siteLabel() string {
	for _, label := range model.SiteLabels {
		if slices.ContainsFunc(c.nodes, func(n *node) bool { return n.Labels[label] != "" && n.Labels[label] == n.Site }) {
			return label
		}
	}
	return ""
}

func spreads(spec *model.PodSpec, key string) bool {
	return slices.ContainsFunc(spec.Spread, func(c corev1.TopologySpreadConstraint) bool { return c.TopologyKey == key })
}

// spreadOver adds a constraint that gives way rather than keep a pod waiting.
func spreadOver(spec *model.PodSpec, key string, labels map[string]string) *model.PodSpec {
	s := *spec
	own := map[string]string{}
	for name, value := range labels {
		if !slices.Contains(ownLabels, name) {
			own[name] = value
		}
	}
	s.Spread = append(slices.Clone(s.Spread), corev1.TopologySpreadConstraint{
		MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: &metav1.LabelSelector{MatchLabels: own},
	})
	return &s
}

// ownLabels are those that controllers put on, which differ between a workload's pods.
var ownLabels = []string{"pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index", "pod-template-generation"}

// unpinned takes off what holds pods to machines, but for what the machines are;
// nil when nothing does.
func unpinned(spec *model.PodSpec) *model.PodSpec {
	s := *spec
	s.NodeSelector = map[string]string{}
	for name, value := range spec.NodeSelector {
		if name == corev1.LabelArchStable || name == corev1.LabelOSStable {
			s.NodeSelector[name] = value
		}
	}
	held := len(s.NodeSelector) < len(spec.NodeSelector)
	if a := spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil && !asksForArch(a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution) {
		free, node := *a, *a.NodeAffinity
		node.RequiredDuringSchedulingIgnoredDuringExecution = nil
		free.NodeAffinity = &node
		s.Affinity, held = &free, true
	}
	if !held {
		return nil
	}
	return &s
}

func asksForArch(sel *corev1.NodeSelector) bool {
	for _, t := range sel.NodeSelectorTerms {
		for _, e := range t.MatchExpressions {
			if e.Key == corev1.LabelArchStable || e.Key == corev1.LabelOSStable {
				return true
			}
		}
	}
	return false
}

// yielding has required spread constraints give way; nil when there are none.
func yielding(spec *model.PodSpec) *model.PodSpec {
	s := *spec
	s.Spread = slices.Clone(spec.Spread)
	some := false
	for i := range s.Spread {
		if s.Spread[i].WhenUnsatisfiable == corev1.DoNotSchedule {
			s.Spread[i].WhenUnsatisfiable, s.Spread[i].MinDomains = corev1.ScheduleAnyway, nil
			some = true
		}
	}
	if !some {
		return nil
	}
	return &s
}

// respec gives the workload's pods another spec, and rolls it out: they are placed
// anew, and some more of them. It gives nil when there is no room for them.
func (a *Analysis) respec(at int, object string, more int, spec *model.PodSpec) func(*model.World) *model.World {
	return func(w *model.World) *model.World {
		theirs := []*model.Pod{} // copies, in the World that is made
		rolled := edited(w, func(w *model.World) {
			w.Pods = slices.Clone(w.Pods)
			for i, p := range w.Pods {
				if wl := w.WorkloadOf(p); p.Cluster != a.clusters[at].model.Name || wl == nil || wl.Object() != object || !p.Counts() {
					continue
				}
				anew := *p
				anew.Spec, anew.Node = spec, ""
				w.Pods[i] = &anew
				theirs = append(theirs, &anew)
			}
			for n := range more {
				another := *theirs[0]
				another.Name = fmt.Sprintf("%s (%d more)", another.Name, n+1)
				w.Pods = append(w.Pods, &another)
				theirs = append(theirs, &another)
			}
		})
		c := gather(rolled, a.clusters[at].model)
		now := c.lost(nil)
		s := c.begin(now)
		copy(s.shut, now)
		for _, p := range theirs {
			to, _ := s.place(&pod{fact: p, kind: c.kind(p), owner: rolled.WorkloadOf(p)})
			if to < 0 {
				return nil
			}
			p.Node = c.nodes[to].Name
		}
		return rolled
	}
}
