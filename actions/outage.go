package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/survive"
)

const (
	opClear = "all clear"
	opWell  = "well again"

	// clearPatience is how long pods and volumes may take to be elsewhere once a house
	// is drained, and wellPatience how long copies may take to be whole again.
	clearPatience = 10 * time.Minute
	wellPatience  = 12 * time.Hour
)

// Outage plans for a house that will be without power: back up what has no good
// backup of the last day, move copies so that nothing is there alone, cordon, drain,
// and see that it may be switched off.
func Outage(w *model.World, what string) (*model.Plan, error) {
	t, err := aim(w, what)
	if err != nil {
		return nil, err
	}
	if t.site == "" {
		return nil, unknown("%s is a machine: an outage is of a house", t.name())
	}
	p := t.newPlan("outage")
	p.Title = "have " + t.site + " switched off"
	t.whatBreaks(w, p)
	for _, part := range []func() (*model.Plan, error){
		func() (*model.Plan, error) { return Backup(w, "stale/"+t.site) },
		func() (*model.Plan, error) { return Rebalance(w, t.object()) },
	} {
		sub, err := part()
		var r *RefusedError
		switch {
		case err == nil:
			p.Steps = append(p.Steps, sub.Steps...)
			for _, words := range sub.Warnings {
				warn(p, "%s", words)
			}
		case errors.As(err, &r) && (r.Nothing || r.Unknown): // nothing to do, or no Longhorn
		case errors.As(err, &r):
			for _, why := range r.Why {
				warn(p, "%s", why)
			}
		default:
			return nil, err
		}
	}
	t.cordon(w, p)
	if err := t.drain(p); err != nil {
		return nil, err
	}
	t.trapsOfCordon(w, p)
	p.Steps = append(p.Steps, &model.Step{Op: opClear, Object: t.object(), Text: "see that " + t.site + " may be switched off", State: model.StepWaits})
	return p, nil
}

// whatBreaks says what the house being dark breaks, with everything as it is now.
func (t *target) whatBreaks(w *model.World, p *model.Plan) {
	v := survive.New(w).Of(t.site)
	for _, part := range v.ControlPlane {
		if part.Outcome >= model.Down {
			guard(p, t.site, "without %s the API server takes no writes: %s", t.site, part.Why)
		}
	}
	for _, parts := range [][]model.PartVerdict{v.Workloads, v.Volumes, v.ObjectStore} {
		for _, part := range parts {
			if part.Outcome >= model.Down {
				warn(p, "as it is now, %s would be %s: %s", part.Object, part.Outcome, part.Why)
			}
		}
	}
}

// Return plans for a house whose power is back: put it back into service, uncordon
// it, and watch until it and every volume's copies are well.
func Return(w *model.World, what string) (*model.Plan, error) {
	t, err := aim(w, what)
	if err != nil {
		return nil, err
	}
	p := t.newPlan("return")
	p.Confirm, p.Title = "", "bring "+t.name()+" back"
	for _, n := range t.nodes {
		if n.State != model.NodeReady {
			warn(p, "%s is %s still", n.Name, n.State)
		}
		if outOfService(n) {
			p.Steps = append(p.Steps, serviceStep(opInService, n))
		}
		if n.Unschedulable {
			p.Steps = append(p.Steps, cordonStep(opUncordon, n))
		}
	}
	p.Steps = append(p.Steps, &model.Step{Op: opWell, Object: t.object(), Text: "watch until " + t.name() + " is well again", State: model.StepWaits})
	return p, nil
}

var stays = func(context.Context, *job, *model.Step) error { return &skipped{"nothing was changed"} }

// clearOp looks until nothing of worth is in the house alone.
var clearOp = op{do: watch(clearPatience, notClear, "may be switched off"), undo: stays}

// wellOp looks until the house and what is stored are well.
var wellOp = op{do: watch(wellPatience, notWell, "all is well"), undo: stays}

// watch looks at the World until nothing is in the way any more.
func watch(patience time.Duration, inTheWay func(*model.World, string) []string, end string) func(context.Context, *job, *model.Step) error {
	return func(ctx context.Context, j *job, s *model.Step) error {
		for began := j.Now(); ; {
			list := []string{"nothing is known of the cluster"}
			if w := j.World(); w != nil && w.Looked() {
				list = inTheWay(w, nameOf(s.Object))
			}
			if len(list) == 0 {
				s.Note = nameOf(s.Object) + ": " + end
				return nil
			}
			note := strings.Join(list[:min(3, len(list))], "; ")
			if n := len(list) - 3; n > 0 {
				note += fmt.Sprintf("; and %d more", n)
			}
			if j.Now().Sub(began) > patience {
				return refuse("after %s: %s", model.Ago(patience), note)
			}
			j.progress(s, note)
			if err := j.rest(ctx); err != nil {
				return err
			}
		}
	}
}

// notClear lists what still hangs on the house.
func notClear(w *model.World, site string) []string {
	list := []string{}
	for _, p := range w.Pods {
		n := w.Node(p.Cluster, p.Node)
		if n != nil && n.Site == site && !p.Finished() && p.Owner.Kind != "DaemonSet" && p.Owner.Kind != "Node" {
			list = append(list, "pod "+p.Namespace+"/"+p.Name+" is there")
		}
	}
	for _, v := range w.Volumes {
		switch {
		case v.Attached() && v.Site == site:
			list = append(list, v.Object()+" is attached there")
		case v.Running != nil:
			list = append(list, v.Object()+" is being backed up")
		}
	}
	return list
}

// notWell lists what is not well of a house or machine, and of what is stored.
func notWell(w *model.World, name string) []string {
	list := []string{}
	for _, n := range w.Nodes {
		if (n.Site == name || n.Name == name) && (n.State != model.NodeReady || n.Unschedulable) {
			list = append(list, n.Name+" is "+string(n.State))
		}
	}
	for _, v := range w.Volumes {
		if v.Attached() && v.Healthy < v.Wanted {
			list = append(list, fmt.Sprintf("%s has %d of %d copies", v.Object(), v.Healthy, v.Wanted))
		}
	}
	return slices.Clip(list)
}
