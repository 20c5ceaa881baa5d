package model

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// SourcePlans names the record of the plan under way.
const SourcePlans = "kube/plans"

// Where a plan under way is written down: in an annotation of one Lease, so that
// there is only one at a time, and it is plain who carries it out.
const (
	PlanNamespace  = "kube-system"
	PlanLease      = "geotop"
	PlanAnnotation = "geotop.io/plan"
)

// Plan is what an action will do, step by step, and what follows from it. It is
// shown before anything is done, and written down in the cluster while it is.
type Plan struct {
	ID      string  `json:"id"` // set when it begins
	Cluster string  `json:"cluster"`
	Action  string  `json:"action"` // "cordon", "drain", ...
	Target  string  `json:"target"` // "site/moka", "node/moka-1", "volume/db/data-postgres-0"
	Title   string  `json:"title"`  // "drain moka"
	Steps   []*Step `json:"steps"`
	// Warnings are what follows from all of it, the worst first.
	Warnings []string `json:"warnings"`
	// Guards say why it had better not be done. With any, and for whole sites, the
	// operator types Confirm to have it done nevertheless.
	Guards  []string `json:"guards"`
	Confirm string   `json:"confirm,omitempty"`
}

// Step is one thing a plan does. What it needs to know is in it, so that another
// geotop can go on with it.
type Step struct {
	Op      string            `json:"op"`     // names what carries it out
	Object  string            `json:"object"` // "node/moka-1", "volume/pvc-1", ...
	Args    map[string]string `json:"args,omitempty"`
	Text    string            `json:"text"`              // "cordon moka-1"
	Effect  string            `json:"effect,omitempty"`  // what follows from it
	Command string            `json:"command,omitempty"` // what one would type instead
	State   StepState         `json:"state"`
	Note    string            `json:"note,omitempty"` // how far it is, or what stands in its way
}

// StepState is how far a step is.
type StepState string

// The states of a step.
const (
	StepWaits   StepState = "waits"
	StepRuns    StepState = "runs"
	StepDone    StepState = "done"
	StepFailed  StepState = "failed"
	StepUndone  StepState = "undone"
	StepSkipped StepState = "skipped" // nothing was to be done
)

// Over reports whether nothing is left to do for the step.
func (s StepState) Over() bool { return s == StepDone || s == StepSkipped || s == StepUndone }

// Wide reports whether agreeing to the plan takes more than a key.
func (p *Plan) Wide() bool { return p.Confirm != "" }

// Done counts the steps that are over.
func (p *Plan) Done() int {
	n := 0
	for _, s := range p.Steps {
		if s.State.Over() {
			n++
		}
	}
	return n
}

// Failed gives the first step that failed, nil for none.
func (p *Plan) Failed() *Step {
	for _, s := range p.Steps {
		if s.State == StepFailed {
			return s
		}
	}
	return nil
}

// Clone copies the plan, so that one may be changed while the other is shown.
func (p *Plan) Clone() *Plan {
	c := *p
	c.Steps = make([]*Step, len(p.Steps))
	for i, s := range p.Steps {
		step := *s
		c.Steps[i] = &step
	}
	return &c
}

// PlanRun is a plan under way, or one that was left before its end, as the
// cluster remembers it (Lease geotop in kube-system).
type PlanRun struct {
	Plan    Plan      `json:"plan"`
	By      string    `json:"by"` // user@machine that began it
	Began   time.Time `json:"beganAt"`
	Undoing bool      `json:"undoing,omitempty"`
	// Holder carries it out; "" when it was left in good order.
	Holder  string    `json:"holder,omitempty"`
	Renewed time.Time `json:"renewedAt,omitzero"` // by the holder's clock
	Lasts   float64   `json:"durationSeconds"`    // without renewal
}

// Held reports whether somebody seems to carry it out at the given time. Clocks
// differ: whoever wants to take it over must see it unchanged for Lasts.
func (r *PlanRun) Held(now time.Time) bool {
	return r.Holder != "" && math.Abs(now.Sub(r.Renewed).Seconds()) < r.Lasts
}

// State says in words how far it is.
func (r *PlanRun) State(now time.Time) string {
	doing := "left"
	if r.Held(now) {
		doing = "under way"
	}
	if r.Undoing {
		doing += ", being undone"
	}
	words := fmt.Sprintf("%s after %d of %d steps", doing, r.Plan.Done(), len(r.Plan.Steps))
	if f := r.Plan.Failed(); f != nil {
		words += ": " + f.Text + ": " + f.Note
	}
	return words
}

// Clean makes what was read from a cluster fit to be shown and held.
func (r *PlanRun) Clean() {
	clean := func(most int, list ...*string) {
		for _, s := range list {
			*s = Clean(*s, most)
		}
	}
	p := &r.Plan
	clean(200, &r.By, &p.ID, &p.Action, &p.Target, &p.Title, &p.Confirm)
	p.Warnings, p.Guards, p.Steps = list(p.Warnings), list(p.Guards), list(p.Steps)
	for i := range p.Warnings {
		clean(500, &p.Warnings[i])
	}
	for i := range p.Guards {
		clean(500, &p.Guards[i])
	}
	p.Steps = slices.DeleteFunc(p.Steps, func(s *Step) bool { return s == nil })
	for _, s := range p.Steps {
		clean(500, &s.Op, &s.Object, &s.Text, &s.Effect, &s.Command, &s.Note, (*string)(&s.State))
	}
}

// addPlans takes in what is under way, and says so of what was left.
func (w *World) addPlans(c *ClusterFacts) {
	w.Plans = append(w.Plans, c.Plans.Items...)
}

// judgePlans reports what was begun and left.
func (w *World) judgePlans() {
	for _, r := range w.Plans {
		if !r.Held(w.At) {
			w.reason(Warning, r.Plan.Cluster, "", "plan/"+cmp.Or(r.Plan.Title, r.Plan.ID), r.State(w.At)+"; by "+cmp.Or(strings.TrimSpace(r.By), "somebody")+", "+Ago(w.At.Sub(r.Began))+" ago: finish or undo it")
		}
	}
}
