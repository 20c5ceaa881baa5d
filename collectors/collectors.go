// Package collectors joins the sources: each collector keeps what one source
// says, and a Set runs them and hands out the facts of all for one moment.
//
// Collectors own every goroutine and all I/O of the sources. They never call
// into the screen: a change raises one coalesced signal, and whoever wants the
// facts pulls them. A slow reader cannot stall a watch.
package collectors

import (
	"context"
	"sync"
	"time"

	"github.com/geotop/geotop/model"
)

// Collector keeps the facts of one source.
type Collector interface {
	// Run collects until ctx ends and returns once all its goroutines have. It
	// calls changed, which never blocks, whenever Facts would differ.
	Run(ctx context.Context, changed func())
	// Facts adds what is known now to f. It is cheap, does no I/O and may be
	// called at any time from any goroutine.
	Facts(f *model.Facts)
}

// Follower is a Collector that looks where the others point: which machines are
// nodes, which buckets hold backups.
type Follower interface {
	// Follow takes a World in. It reports whether that makes it look anew, so that
	// what it finds is still to come; the same World twice is no news.
	Follow(w *model.World) (news bool)
}

// Set is several collectors run together.
type Set struct {
	list    []Collector
	changed chan struct{}
}

// NewSet makes a set of the collectors; nothing runs until Run.
func NewSet(list ...Collector) *Set {
	return &Set{list: list, changed: make(chan struct{}, 1)}
}

// Run runs all collectors until ctx ends and all have returned.
func (s *Set) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, c := range s.list {
		wg.Go(func() { c.Run(ctx, s.signal) })
	}
	wg.Wait()
}

// signal marks the facts as changed.
func (s *Set) signal() { Raise(s.changed) }

// Raise gives a signal of one place: many before a read are one.
func Raise(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// Changed receives after the facts changed since the last receive.
func (s *Set) Changed() <-chan struct{} { return s.changed }

// Facts gathers what all collectors know now.
func (s *Set) Facts() model.Facts {
	var f model.Facts
	for _, c := range s.list {
		c.Facts(&f)
	}
	return f
}

// World assembles what all collectors know now, after those that follow others
// have heard of it.
func (s *Set) World(now time.Time, opt model.Options) *model.World {
	for {
		w := model.Assemble(s.Facts(), now, opt)
		news := false
		for _, c := range s.list {
			if f, ok := c.(Follower); ok {
				news = f.Follow(w) || news
			}
		}
		if !news {
			return w
		}
	}
}

// PauseOrWake is Pause that a signal ends early, a moment after it: what is worth a
// new look seldom comes alone.
func PauseOrWake(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
		Pause(ctx, time.Second)
	}
}

// Pause waits for d or until ctx ends: what a collector does between two looks.
func Pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
