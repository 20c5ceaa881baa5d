package survive

import (
	"cmp"
	"slices"

	"github.com/geotop/geotop/model"
)

// change is one thing an operator could do.
type change struct {
	model.Fix
	worth int // of all it is meant to mend: what is worth most is tried first
	made  func(*model.World) *model.World
}

// Fixes finds single changes that make the losses of the verdicts hurt less, the
// best first. Each is made on a copy of the World, and the losses are asked anew; at
// most so many are tried.
func (a *Analysis) Fixes(verdicts []*model.Verdict, tries int) []*model.Fix {
	changes := a.changes(verdicts)
	slices.SortStableFunc(changes, func(x, y *change) int { return cmp.Compare(y.worth, x.worth) })
	best := map[[3]string]*tried{}
	order := [][3]string{}
	for _, ch := range changes[:max(0, min(tries, len(changes)))] {
		t := a.try(ch, verdicts)
		if t == nil {
			continue
		}
		key := [3]string{ch.Cluster, string(ch.Kind), ch.Object}
		if best[key] == nil {
			order = append(order, key)
		}
		if b := best[key]; b == nil || t.gain > b.gain {
			best[key] = t
		}
	}
	list := []*tried{}
	for _, key := range order {
		list = append(list, best[key])
	}
	slices.SortStableFunc(list, func(x, y *tried) int {
		return cmp.Or(cmp.Compare(y.gain, x.gain), cmp.Compare(effort[x.fix.Kind], effort[y.fix.Kind]), cmp.Compare(x.fix.Object, y.fix.Object))
	})
	fixes := []*model.Fix{}
	for _, t := range list {
		fixes = append(fixes, t.fix)
	}
	return fixes
}

// outOfService is what ends pods that hang, once somebody is sure that the house will
// stay dark.
const outOfService = "once it is sure to stay dark: taint its nodes with node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"

// Advise notes with each part what would help it most.
func Advise(verdicts []*model.Verdict, fixes []*model.Fix) {
	for _, v := range verdicts {
		for _, s := range v.Sections() {
			for i := range s.Parts {
				p := &s.Parts[i]
				if p.Hang > 0 {
					p.Fix = outOfService
				}
				for _, f := range slices.Backward(fixes) {
					if f.Cluster == p.Cluster && slices.ContainsFunc(f.Improves, func(e model.Effect) bool { return e.Object == p.Object && slices.Equal(e.Lost, v.Lost) }) {
						p.Fix = f.Words(p.Object)
					}
				}
			}
		}
	}
}

// effort ranks kinds of changes that gain the same.
var effort = map[model.FixKind]int{
	model.FixBackup: 0, model.FixPolicy: 1, model.FixMoveCopy: 2, model.FixCopy: 3, model.FixSpread: 4, model.FixReplicas: 5, model.FixConstraint: 6,
	model.FixSelector: 7, model.FixVolume: 8, model.FixVoter: 9, model.FixServer: 10, model.FixMachine: 11,
}

// tried is a change and what came of it.
type tried struct {
	fix  *model.Fix
	gain int
}

// try makes the change on a copy; nil when that cannot be done or gains nothing.
func (a *Analysis) try(ch *change, before []*model.Verdict) *tried {
	w := ch.made(a.world)
	if w == nil {
		return nil
	}
	with := New(w)
	t := &tried{fix: &ch.Fix}
	t.fix.Improves, t.fix.Worsens = []model.Effect{}, []model.Effect{}
	for _, v := range before {
		t.compare(v, with.Of(v.Lost...))
	}
	if t.gain <= 0 {
		return nil
	}
	worst := func(x, y model.Effect) int { return cmp.Compare(max(y.From, y.To), max(x.From, x.To)) }
	slices.SortStableFunc(t.fix.Improves, worst)
	slices.SortStableFunc(t.fix.Worsens, worst)
	return t
}

// compare adds what the change does to one loss.
func (t *tried) compare(before, after *model.Verdict) {
	later := after.Sections()
	for i, s := range before.Sections() {
		was, is := byObject(s.Parts), byObject(later[i].Parts)
		for _, key := range keysOf(s.Parts, later[i].Parts) {
			b, n := was.at(key), is.at(key)
			gain := s.Weight * (b.Hurt() - n.Hurt())
			e := model.Effect{Lost: before.Lost, Object: cmp.Or(b.Object, n.Object), From: b.Outcome, To: n.Outcome, Fewer: b.Missing() - n.Missing(), Restorable: b.DataLoss == nil && n.DataLoss != nil}
			switch {
			case gain > 0:
				t.fix.Improves = append(t.fix.Improves, e)
			case gain < 0:
				t.fix.Worsens = append(t.fix.Worsens, e)
			}
			t.gain += gain
		}
	}
}

type partKey struct{ cluster, object string }

type partsBy map[partKey]*model.PartVerdict

func byObject(parts []model.PartVerdict) partsBy {
	m := partsBy{}
	for i := range parts {
		m[partKey{parts[i].Cluster, parts[i].Object}] = &parts[i]
	}
	return m
}

// at gives what becomes of the thing; what is not among the parts survives.
func (m partsBy) at(key partKey) *model.PartVerdict {
	if p := m[key]; p != nil {
		return p
	}
	return &model.PartVerdict{}
}

// keysOf lists what any of the parts is about, in order.
func keysOf(lists ...[]model.PartVerdict) []partKey {
	keys := []partKey{}
	for _, parts := range lists {
		for i := range parts {
			keys = append(keys, partKey{parts[i].Cluster, parts[i].Object})
		}
	}
	slices.SortFunc(keys, func(a, b partKey) int {
		return cmp.Or(cmp.Compare(a.cluster, b.cluster), cmp.Compare(a.object, b.object))
	})
	return slices.Compact(keys)
}
