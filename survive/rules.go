package survive

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	schedulingapi "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"

	"github.com/geotop/geotop/model"
)

// spread is one topology spread constraint.
type spread struct {
	key        string
	skew       int
	minDomains int
	selector   labels.Selector
	affinity   bool // only nodes the pod may be on by selector and affinity count
	taints     bool // only nodes whose taints it tolerates count

	domains *domains
	kinds   []*kind // whose pods count
	self    bool    // the pod itself counts
	counted []bool  // by node
}

// term is one term of pod affinity or anti-affinity.
type term struct {
	key        string
	namespaces []string // nil: all
	selector   labels.Selector

	domains *domains
	kinds   []*kind // it means
}

// weighted is a preferred term.
type weighted struct {
	term
	weight int64
}

// matches reports whether the term means a pod of the kind.
func (t term) matches(k *kind) bool {
	return (t.namespaces == nil || slices.Contains(t.namespaces, k.namespace)) && t.selector.Matches(k.labels)
}

func (k *kind) readSpread() {
	for _, c := range k.spec.Spread {
		s := spread{
			key: c.TopologyKey, skew: int(c.MaxSkew), minDomains: 1, selector: k.selectorWith(c.LabelSelector, c.MatchLabelKeys),
			affinity: c.NodeAffinityPolicy == nil || *c.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor,
			taints:   c.NodeTaintsPolicy != nil && *c.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor,
		}
		if c.MinDomains != nil {
			s.minDomains = int(*c.MinDomains)
		}
		if c.WhenUnsatisfiable == corev1.DoNotSchedule {
			k.spread = append(k.spread, s)
		} else {
			k.soft = append(k.soft, s)
		}
	}
}

// selectorWith is a selector with the values of the pod's own labels put in. One
// that is not there matches nothing.
func (k *kind) selectorWith(s *metav1.LabelSelector, keys []string) labels.Selector {
	sel, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return labels.Nothing()
	}
	for _, key := range keys {
		if v, ok := k.labels[key]; ok {
			if own, err := labels.ValidatedSelectorFromSet(labels.Set{key: v}); err == nil {
				if reqs, some := own.Requirements(); some {
					sel = sel.Add(reqs...)
				}
			}
		}
	}
	return sel
}

func (k *kind) readAffinity() {
	a := k.spec.Affinity
	if a == nil {
		return
	}
	if a.PodAffinity != nil {
		k.attract = k.terms(a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
		for _, t := range a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
			k.preferred = append(k.preferred, weighted{k.term(t.PodAffinityTerm), int64(t.Weight)})
		}
	}
	if a.PodAntiAffinity != nil {
		k.repel = k.terms(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
		for _, t := range a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
			k.preferred = append(k.preferred, weighted{k.term(t.PodAffinityTerm), -int64(t.Weight)})
		}
	}
}

func (k *kind) terms(list []corev1.PodAffinityTerm) []term {
	terms := []term{}
	for _, t := range list {
		terms = append(terms, k.term(t))
	}
	return terms
}

// term reads one term. Which namespaces a selector of namespaces means only their
// labels would tell: an empty one means all, any other the pod's own.
func (k *kind) term(t corev1.PodAffinityTerm) term {
	sel, err := metav1.LabelSelectorAsSelector(t.LabelSelector)
	if err != nil {
		sel = labels.Nothing()
	}
	out := term{key: t.TopologyKey, selector: sel, namespaces: t.Namespaces}
	switch {
	case t.NamespaceSelector != nil && len(t.NamespaceSelector.MatchLabels)+len(t.NamespaceSelector.MatchExpressions) == 0:
		out.namespaces = nil
	case len(out.namespaces) == 0:
		out.namespaces = []string{k.namespace}
	}
	return out
}

// selectedBy is the labels by which a spec selects other pods.
func selectedBy(spec *model.PodSpec) []string {
	names := []string{}
	read := func(s *metav1.LabelSelector) {
		if s == nil {
			return
		}
		names = slices.AppendSeq(names, maps.Keys(s.MatchLabels))
		for _, e := range s.MatchExpressions {
			names = append(names, e.Key)
		}
	}
	for i := range spec.Spread {
		read(spec.Spread[i].LabelSelector)
		names = append(names, spec.Spread[i].MatchLabelKeys...)
	}
	terms := []corev1.PodAffinityTerm{}
	weighted := []corev1.WeightedPodAffinityTerm{}
	if a := spec.Affinity; a != nil && a.PodAffinity != nil {
		terms = append(terms, a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution...)
		weighted = append(weighted, a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution...)
	}
	if a := spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		terms = append(terms, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution...)
		weighted = append(weighted, a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution...)
	}
	for i := range weighted {
		terms = append(terms, weighted[i].PodAffinityTerm)
	}
	for i := range terms {
		read(terms[i].LabelSelector)
	}
	return names
}

// mustMatch is what a node must be by the spec's selector and required affinity.
func mustMatch(spec *model.PodSpec) func(*corev1.Node) bool {
	if len(spec.NodeSelector) == 0 && (spec.Affinity == nil || spec.Affinity.NodeAffinity == nil) {
		return func(*corev1.Node) bool { return true }
	}
	required := nodeaffinity.NewRequiredNodeAffinity(spec.NodeSelector, spec.Affinity)
	return func(n *corev1.Node) bool {
		ok, err := required.Match(n)
		return ok && err == nil
	}
}

// tolerates reports whether a pod may be placed in spite of the taints.
func tolerates(spec *model.PodSpec, taints []corev1.Taint, cordoned bool) bool {
	if cordoned && !toleratesOne(spec, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}) {
		return false
	}
	for _, t := range taints {
		if (t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute) && !toleratesOne(spec, t) {
			return false
		}
	}
	return true
}

func toleratesOne(spec *model.PodSpec, t corev1.Taint) bool {
	return schedulingapi.TolerationsTolerateTaint(klog.Logger{}, spec.Tolerations, &t, false)
}
