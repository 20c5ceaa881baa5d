package actions

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/geotop/geotop/model"
)

// Runner carries out plans on one cluster.
type Runner struct {
	API   API
	World func() *model.World // the newest there is
	Who   string              // user@machine, for the record and the audit log
	Audit *Audit              // nil writes none
	// Tell gets the plan after every change of it; it must not keep the runner
	// waiting. May be nil.
	Tell func(*model.Plan)
	Now  func() time.Time
	// Patience is how long a step is tried while the server does not answer or
	// refuses for now; 5 min when 0.
	Patience time.Duration
	// Every is how often is looked what came of a step; 1 s when 0. Lease is for how
	// long without renewal a plan counts as being carried out; 30 s when 0.
	Every, Lease time.Duration
}

const (
	defaultPatience = 5 * time.Minute
	defaultEvery    = time.Second
	defaultLease    = 30 * time.Second
)

// job is one plan being carried out.
type job struct {
	client
	*Runner
	plan   *model.Plan
	record *record // nil for plans that need none
	stop   <-chan struct{}
}

// ErrStopped says that the operator ended a plan before it was over.
var ErrStopped = errors.New("stopped before its end")

// Run carries out a plan that was checked and agreed to. When stop is closed it
// ends after what is under way came to a point at which it may be left. The record
// of a plan that did not come to its end stays, to be finished or undone.
func (r *Runner) Run(ctx context.Context, p *model.Plan, stop <-chan struct{}) error {
	p = p.Clone()
	p.ID = newID()
	j := &job{client: client{r.API}, Runner: r, plan: p, stop: stop}
	end := r.Audit.begin(ctx, j.client, r, p, "run")
	if !recorded(p) {
		return end(j.steps(ctx, false))
	}
	j.record = j.newRecord()
	j.record.run = model.PlanRun{Plan: *p.Clone(), By: r.Who, Began: r.Now().UTC()}
	if err := j.insist(ctx, func() error { return j.record.begin(ctx) }, func(string) {}); err != nil {
		return end(err)
	}
	return end(j.recorded(ctx))
}

// Resume goes on with the plan that was left in the cluster, or undoes what was
// done of it.
func (r *Runner) Resume(ctx context.Context, undo bool, stop <-chan struct{}) error {
	j := &job{client: client{r.API}, Runner: r, plan: &model.Plan{Title: "the plan that was left"}, stop: stop}
	j.record = j.newRecord()
	j.record.run.Undoing = undo
	if err := j.record.takeOver(ctx, func(words string) {
		j.plan.Warnings = []string{words}
		j.told()
	}); err != nil {
		return orNone(err)
	}
	j.plan = j.record.run.Plan.Clone()
	how := "finish"
	if j.record.run.Undoing {
		how = "undo"
	}
	for _, s := range j.plan.Steps {
		if _, known := ops[s.Op]; !known {
			_ = j.record.leave(ctx)
			return refuse("this geotop does not know the step %q; a newer one planned it", s.Op)
		}
		if s.State == model.StepFailed {
			s.State, s.Note = model.StepRuns, ""
		}
	}
	end := r.Audit.begin(ctx, j.client, r, j.plan, how)
	return end(j.recorded(ctx))
}

// Forget takes the record of a plan away and leaves the cluster as it is.
func (r *Runner) Forget(ctx context.Context) error {
	j := &job{client: client{r.API}, Runner: r, plan: &model.Plan{Title: "the plan that was left"}}
	j.record = j.newRecord()
	l, err := j.record.read(ctx)
	if err != nil {
		return orNone(err)
	}
	if run, err := parseRun(l); err == nil {
		j.plan = &run.Plan
	}
	end := r.Audit.begin(ctx, j.client, r, j.plan, "forget")
	return end(j.remove(ctx, recordPath, l.Metadata))
}

// orNone says in words what a record that is not there means.
func orNone(err error) error {
	if apierrors.IsNotFound(err) {
		return nothing("no plan is under way, and none was left")
	}
	return err
}

func newID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func (j *job) newRecord() *record {
	return &record{c: j.client, now: j.Now, holder: j.Who + " " + newID(), lasts: cmp.Or(j.Lease, defaultLease)}
}

// recorded carries out a plan under its record.
func (j *job) recorded(ctx context.Context) error {
	beat, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); j.record.keep(beat) }()
	err := j.steps(ctx, j.record.run.Undoing)
	stop()
	<-done
	// Even when ctx ended, it should be seen at once that nobody goes on.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	switch {
	case errors.Is(err, errLost):
		return err
	case err == nil:
		if err := j.insist(last, func() error { return j.record.end(last) }, func(string) {}); err != nil {
			return fmt.Errorf("all is done, but its record stays: %w", err)
		}
		return nil
	default:
		_ = j.record.note(last, j.plan)
		_ = j.record.leave(last)
		return err
	}
}

// steps carries out what is left, or takes back what was done, the last first.
func (j *job) steps(ctx context.Context, undo bool) error {
	j.told()
	for i := range j.plan.Steps {
		s := j.plan.Steps[i]
		if undo {
			s = j.plan.Steps[len(j.plan.Steps)-1-i]
		}
		if undo && (s.State == model.StepWaits || s.State == model.StepUndone || s.State == model.StepSkipped) || !undo && s.State.Over() {
			continue
		}
		if j.stopped() {
			return ErrStopped
		}
		if err := j.step(ctx, s, undo); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) stopped() bool {
	select {
	case <-j.stop:
		return true
	default:
		return false
	}
}

// step carries out one step, as often as it takes.
func (j *job) step(ctx context.Context, s *model.Step, undo bool) error {
	o := ops[s.Op]
	do, after := o.do, model.StepDone
	if undo {
		do, after = o.undo, model.StepUndone
	}
	if do == nil {
		s.State, s.Note = model.StepSkipped, "stays as it is"
		return nil
	}
	if err := j.say(ctx, s, model.StepRuns, ""); err != nil {
		return err
	}
	err := j.insist(ctx, func() error { return do(ctx, j, s) }, func(why string) {
		s.Note = why + "; trying again"
		j.told()
	})
	var skip *skipped
	switch {
	case errors.As(err, &skip):
		return j.say(ctx, s, model.StepSkipped, skip.why)
	case err == nil:
		return j.say(ctx, s, after, s.Note)
	case ctx.Err() != nil || errors.Is(err, ErrStopped) || errors.Is(err, errLost):
		return err
	default:
		s.State, s.Note = model.StepFailed, words(err)
		j.told()
		return fmt.Errorf("%s: %s", s.Text, s.Note)
	}
}

// skipped says that there was nothing to do, and why.
type skipped struct{ why string }

func (s *skipped) Error() string { return s.why }

// insist does something until it succeeds, fails for good, or has failed for as
// long as our patience lasts.
func (j *job) insist(ctx context.Context, do func() error, tell func(string)) error {
	patience := cmp.Or(j.Patience, defaultPatience)
	since, wait := time.Time{}, 250*time.Millisecond
	for {
		began := j.Now()
		err := do()
		var skip *skipped
		if err == nil || errors.As(err, &skip) || errors.Is(err, ErrStopped) || ctx.Err() != nil || !transient(err) {
			return err
		}
		if since.IsZero() || j.Now().Sub(began) > 2*callTimeout { // it went well for long before it failed
			since = j.Now()
		}
		if j.Now().Sub(since) > patience {
			return err
		}
		if j.stopped() {
			return ErrStopped
		}
		tell(words(err))
		if err := pause(ctx, wait); err != nil {
			return err
		}
		if wait = min(2*wait, 5*time.Second); apierrors.IsConflict(err) {
			wait = 250 * time.Millisecond
		}
	}
}

// say notes how far a step is, in the record first.
func (j *job) say(ctx context.Context, s *model.Step, state model.StepState, note string) error {
	s.State, s.Note = state, note
	if j.record != nil {
		if err := j.insist(ctx, func() error { return j.record.note(ctx, j.plan) }, func(string) {}); err != nil {
			return err
		}
	}
	j.told()
	return nil
}

// keep writes down what a step has to know to be undone, before it acts.
func (j *job) keep(ctx context.Context, s *model.Step, key, value string) error {
	if s.Args[key] == value {
		return nil
	}
	args := map[string]string{key: value}
	for k, v := range s.Args {
		if k != key {
			args[k] = v
		}
	}
	s.Args = args
	if j.record == nil {
		return nil
	}
	return j.record.note(ctx, j.plan)
}

// progress tells how far a step is, without writing that down.
func (j *job) progress(s *model.Step, note string) {
	if s.Note != note {
		s.Note = note
		j.told()
	}
}

func (j *job) told() {
	if j.Tell != nil {
		j.Tell(j.plan.Clone())
	}
}

// await looks until what is waited for has come about, and tells what look says of it
// meanwhile. It gives up when that has been the same for as long as its patience lasts.
func (j *job) await(ctx context.Context, s *model.Step, patience time.Duration, look func() (note string, done bool, err error)) error {
	moved, last := j.Now(), ""
	for {
		note, done, err := look()
		switch {
		case err != nil:
			return err
		case done:
			s.Note = note
			return nil
		case note != last:
			moved, last = j.Now(), note
		case j.Now().Sub(moved) > patience:
			return refuse("%s, and nothing moved for %s", note, model.Ago(patience))
		}
		j.progress(s, note)
		if err := j.rest(ctx); err != nil {
			return err
		}
	}
}

// mine makes sure that nobody else has taken the plan over, before a change.
func (j *job) mine(ctx context.Context) error {
	if j.record == nil {
		return nil
	}
	return j.record.hold(ctx)
}
