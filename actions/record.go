package actions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/geotop/geotop/model"
)

const (
	leasePath  = "/apis/coordination.k8s.io/v1/namespaces/" + model.PlanNamespace + "/leases"
	recordPath = leasePath + "/" + model.PlanLease
	// recordMost is less than what annotations may hold (256 KiB).
	recordMost = 200 << 10
)

// errLost says that somebody else has taken the plan over: nothing more is done.
var errLost = errors.New("another geotop has taken this plan over")

// lease is a coordination.k8s.io/v1 Lease.
type lease struct {
	object
	Spec leaseSpec `json:"spec"`
}

type leaseSpec struct {
	HolderIdentity       string `json:"holderIdentity"`
	LeaseDurationSeconds int    `json:"leaseDurationSeconds"`
	AcquireTime          string `json:"acquireTime,omitempty"`
	RenewTime            string `json:"renewTime,omitempty"`
}

const microTime = "2006-01-02T15:04:05.000000Z07:00"

// record is the plan as it is written down in the cluster. All writes go through
// it, one after another, each on what the one before left.
type record struct {
	c      client
	now    func() time.Time
	holder string
	lasts  time.Duration

	mu      sync.Mutex
	run     model.PlanRun
	version string
	renewed time.Time // by our clock, before the write that took
	lost    bool
}

// begin writes a new plan down. It fails when there is one already.
func (r *record) begin(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.now()
	l, err := r.lease(at, r.holder)
	if err != nil {
		return err
	}
	var made lease
	err = r.c.create(ctx, leasePath, l, &made)
	if apierrors.IsAlreadyExists(err) {
		// Ours, when an answer was lost on its way.
		if found, ferr := r.read(ctx); ferr == nil && found.Spec.HolderIdentity == r.holder {
			made, err = *found, nil
		} else {
			return refuse("another plan is under way or was left undone: see geotop plan, and finish or undo it first")
		}
	}
	if err != nil {
		return fmt.Errorf("write the plan down (Lease %s/%s): %w", model.PlanNamespace, model.PlanLease, err)
	}
	r.version, r.renewed = made.Metadata.ResourceVersion, at
	return nil
}

// takeOver makes a plan that was left ours. Somebody who still carries it out is
// found by its being renewed while we look.
func (r *record) takeOver(ctx context.Context, tell func(string)) error {
	first, err := r.read(ctx)
	if err != nil {
		return err
	}
	if first.Spec.HolderIdentity != "" {
		lasts := time.Duration(first.Spec.LeaseDurationSeconds) * time.Second
		tell(fmt.Sprintf("making sure that %s is gone (%s)", model.Clean(first.Spec.HolderIdentity, 80), lasts))
		if err := pause(ctx, lasts); err != nil {
			return err
		}
		again, err := r.read(ctx)
		if err != nil {
			return err
		}
		if again.Metadata.ResourceVersion != first.Metadata.ResourceVersion {
			return refuse("%s is carrying it out", model.Clean(again.Spec.HolderIdentity, 80))
		}
	}
	run, err := parseRun(first)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	undoing := r.run.Undoing
	r.run, r.version = *run, first.Metadata.ResourceVersion
	r.run.Undoing = r.run.Undoing || undoing
	return r.put(ctx, r.holder)
}

// parseRun reads what is written down.
func parseRun(l *lease) (*model.PlanRun, error) {
	run := &model.PlanRun{}
	if err := json.Unmarshal([]byte(l.Metadata.Annotations[model.PlanAnnotation]), run); err != nil {
		return nil, refuse("what is written down of the plan cannot be read (%v): look at Lease %s/%s, then geotop plan forget", err, model.PlanNamespace, model.PlanLease)
	}
	run.Clean()
	return run, nil
}

func (r *record) read(ctx context.Context) (*lease, error) {
	l := &lease{}
	if err := r.c.get(ctx, recordPath, l); err != nil {
		return nil, fmt.Errorf("read the plan (Lease %s/%s): %w", model.PlanNamespace, model.PlanLease, err)
	}
	return l, nil
}

// note writes down how far the plan is.
func (r *record) note(ctx context.Context, p *model.Plan) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.run.Plan = *p.Clone()
	return r.put(ctx, r.holder)
}

// hold makes sure that the plan is still ours before something is changed.
func (r *record) hold(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.lost:
		return errLost
	case r.now().Sub(r.renewed) < r.lasts/2:
		return nil
	default:
		return r.put(ctx, r.holder)
	}
}

// leave says that nobody carries it out any more.
func (r *record) leave(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.put(ctx, "")
}

// end takes the record away: the plan is over.
func (r *record) end(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost {
		return errLost
	}
	found, err := r.read(ctx)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if found.Spec.HolderIdentity != r.holder {
		r.lost = true
		return errLost
	}
	err = r.c.remove(ctx, recordPath, found.Metadata)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// put writes the record. After a conflict it looks whether it was our own write,
// whose answer was lost; else the plan is no longer ours.
func (r *record) put(ctx context.Context, holder string) error {
	if r.lost {
		return errLost
	}
	for {
		at := r.now()
		l, err := r.lease(at, holder)
		if err != nil {
			return err
		}
		l.Metadata.ResourceVersion = r.version
		var now lease
		err = r.c.replace(ctx, recordPath, l, &now)
		switch {
		case err == nil:
			r.version, r.renewed = now.Metadata.ResourceVersion, at
			return nil
		case apierrors.IsNotFound(err):
			r.lost = true
			return errLost
		case !apierrors.IsConflict(err):
			return fmt.Errorf("write down how far the plan is: %w", err)
		}
		found, err := r.read(ctx)
		if apierrors.IsNotFound(err) || err == nil && found.Spec.HolderIdentity != r.holder {
			r.lost = true
			return errLost
		}
		if err != nil {
			return err
		}
		r.version = found.Metadata.ResourceVersion
	}
}

func (r *record) lease(at time.Time, holder string) (*lease, error) {
	body, err := json.Marshal(r.run)
	if err != nil {
		return nil, err
	}
	if len(body) > recordMost {
		return nil, refuse("the plan is too large to be written down (%d kB, %d steps): take less at a time", len(body)>>10, len(r.run.Plan.Steps))
	}
	l := &lease{object: object{APIVersion: "coordination.k8s.io/v1", Kind: "Lease", Metadata: meta{
		Name: model.PlanLease, Namespace: model.PlanNamespace, Annotations: map[string]string{model.PlanAnnotation: string(body)},
	}}}
	l.Spec = leaseSpec{HolderIdentity: holder, LeaseDurationSeconds: int((r.lasts + time.Second - 1) / time.Second), AcquireTime: r.run.Began.UTC().Format(microTime), RenewTime: at.UTC().Format(microTime)}
	return l, nil
}

// keep renews the record until ctx ends.
func (r *record) keep(ctx context.Context) {
	every := r.lasts / 3
	for pause(ctx, every) == nil {
		r.mu.Lock()
		if r.now().Sub(r.renewed) >= every {
			_ = r.put(ctx, r.holder) // hold tries again, and tells
		}
		r.mu.Unlock()
	}
}

// pause waits, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
