package main

import (
	"context"
	"sync"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/model"
)

// actor carries out what is agreed to on the screen. It is a ui.Actor.
type actor struct {
	*actions.Runner
	api actions.API

	mu      sync.Mutex
	latest  *model.Plan
	changed chan struct{}
	running sync.WaitGroup
}

func newActor(r *actions.Runner, api actions.API) *actor {
	a := &actor{Runner: r, api: api, changed: make(chan struct{}, 1)}
	r.Tell = a.tell
	return a
}

// tell keeps the newest state of the plan for whoever asks next.
func (a *actor) tell(p *model.Plan) {
	a.mu.Lock()
	a.latest = p
	a.mu.Unlock()
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

func (a *actor) Progress(ctx context.Context) *model.Plan {
	select {
	case <-ctx.Done():
		return nil
	case <-a.changed:
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.latest
}

func (a *actor) Check(ctx context.Context, p *model.Plan) error {
	err := actions.Check(ctx, a.api, p)
	if err != nil {
		a.Refused(p, err)
	}
	return err
}

func (a *actor) Run(ctx context.Context, p *model.Plan, stop <-chan struct{}) error {
	a.running.Add(1)
	defer a.running.Done()
	return a.Runner.Run(ctx, p, stop)
}

func (a *actor) Resume(ctx context.Context, undo bool, stop <-chan struct{}) error {
	a.running.Add(1)
	defer a.running.Done()
	return a.Runner.Resume(ctx, undo, stop)
}

// wait returns when no plan is carried out any more.
func (a *actor) wait() { a.running.Wait() }

// Log gives the newest entries of the audit log; none where there is no log.
func (a *actor) Log(most int) ([]actions.Entry, error) {
	if a.Audit == nil {
		return nil, nil
	}
	return a.Audit.Read(most)
}
