package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/recording"
)

// recordEvery is how often a moment is taken down though nothing of note changed:
// loads and round trips do.
const recordEvery = 30 * time.Second

// record has the Worlds of src taken down in a file until the returned function is
// called, which says on errs what ended it before its time.
func (f *flags) record(src *source, errs io.Writer) (end func(), err error) {
	if f.recordTo == "" {
		return func() {}, nil
	}
	r, err := recording.Create(f.recordTo, time.Now)
	if err != nil {
		return nil, usage("--record: %w", err)
	}
	worlds := make(chan *model.World, 1)
	ctx, cancel := context.WithCancel(context.Background())
	var writing sync.WaitGroup
	writing.Go(func() { r.Follow(ctx, worlds) }) // beside the screen, which must not wait for a disk
	build, worth := src.world, noteworthy(f.timeout)
	src.world = func() *model.World {
		w := build()
		if w.Looked() && worth(w) {
			select { // the newest is what counts
			case <-worlds:
			default:
			}
			select {
			case worlds <- w:
			default: // another came at the same moment
			}
		}
		return w
	}
	src.recording = r.Err
	return func() {
		cancel()
		writing.Wait()
		err := r.Err()
		if cerr := r.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			fmt.Fprintf(errs, "geotop: --record %s: %v\n", f.recordTo, err)
		}
	}, nil
}

// noteworthy tells of Worlds in turn whether they are worth taking down: the first when
// all has been looked at, or after patience.
func noteworthy(patience time.Duration) func(w *model.World) bool {
	var mu sync.Mutex
	var last []byte
	var began, at time.Time
	return func(w *model.World) bool {
		mu.Lock()
		defer mu.Unlock()
		if began.IsZero() {
			began = w.At
		}
		if last == nil && !w.Settled() && w.At.Sub(began) < patience {
			return false
		}
		d := digest(w)
		if bytes.Equal(d, last) && w.At.Sub(at) < recordEvery {
			return false
		}
		last, at = d, w.At
		return true
	}
}

// reel is a recording being stepped through: its World is that of one moment.
type reel struct {
	tape    *recording.Tape
	opt     model.Options
	changed chan struct{}

	mu    sync.Mutex
	world *model.World
}

// Times are its moments.
func (r *reel) Times() []time.Time { return r.tape.Times() }

// Seek makes the i-th moment the World.
func (r *reel) Seek(i int) error {
	facts, at, err := r.tape.Facts(i)
	if err != nil {
		return err
	}
	w := (&judge{eager: true}).of(model.Assemble(facts, at, r.opt))
	r.mu.Lock()
	r.world = w
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
	return nil
}

func (r *reel) now() *model.World {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.world
}

// openReel opens a recording at its last moment; the screen goes to the first.
func openReel(name string, opt model.Options) (*source, error) {
	tape, err := recording.Open(name)
	if err != nil {
		return nil, usage("--replay: %w", err)
	}
	r := &reel{tape: tape, opt: opt, changed: make(chan struct{}, 1)}
	if err := r.Seek(len(tape.Times()) - 1); err != nil {
		return nil, errors.Join(usage("--replay %s: %w", name, err), tape.Close())
	}
	return &source{judge: &judge{}, reel: r, now: time.Now, changed: r.changed, world: r.now}, nil
}
