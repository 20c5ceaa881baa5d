package memory

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/geotop/geotop/model"
)

// Timeline notes what changes from one World to the next and keeps it on disk, so
// that a start tells what happened since the last. It is a collectors.Collector
// and a collectors.Follower.
type Timeline struct {
	path string // empty: nothing is kept
	now  func() time.Time

	mu       sync.Mutex
	events   model.Chronicle
	lookedAt time.Time // before this start
	fresh    bool      // differs from what is on disk
	news     bool      // by more than when things were last seen
	seen     *model.World
}

// NewTimeline notes without keeping.
func NewTimeline(now func() time.Time) *Timeline { return &Timeline{now: now} }

// OpenTimeline reads what was noted of a cluster before. Nothing noted, or nothing
// that can be read, is no failure: the Timeline then starts empty and err says why.
func OpenTimeline(dir, cluster, server string, now func() time.Time) (t *Timeline, err error) {
	t = NewTimeline(now)
	t.path = file(dir, cluster, server) + timelineSuffix
	before, err := readTimeline(t.path)
	if before != nil {
		t.events = *before
	}
	t.lookedAt = t.events.Looked
	return t, err
}

func readTimeline(path string) (*model.Chronicle, error) {
	c := &model.Chronicle{}
	err := unpack(path, func(r io.Reader) error { return json.NewDecoder(r).Decode(c) })
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return c, nil
}

// Facts adds what was noted so far.
func (t *Timeline) Facts(f *model.Facts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.Changes, f.LookedAt, f.Trails = t.events.Changes(), t.lookedAt, t.events.Trails()
}

// Follow notes what changed up to this World.
func (t *Timeline) Follow(w *model.World) (news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w == t.seen {
		return false
	}
	t.seen, t.fresh = w, true
	noted := t.events.Note(w)
	t.news = t.news || noted
	return t.events.Track(w) || noted
}

// Sample takes in what a figure was before the first World.
func (t *Timeline) Sample(at time.Time, of model.TrailOf, value float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events.Sample(at, of, value)
}

// Look tells that somebody looks at a screen of it.
func (t *Timeline) Look() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events.Looked, t.fresh, t.news = t.now().UTC(), true, true
}

// Run saves now and then, and once more at the end, until ctx ends.
func (t *Timeline) Run(ctx context.Context, _ func()) {
	if t.path == "" {
		return
	}
	timer := time.NewTimer(saveEvery / 4)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			if t.due() {
				_ = t.save()
			}
			return
		case <-timer.C:
		}
		began := time.Now()
		_ = t.save()
		timer.Reset(max(saveEvery, leisure*time.Since(began)))
	}
}

// due reports whether a short run has something to leave behind.
func (t *Timeline) due() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	info, err := os.Stat(t.path)
	return t.news || err != nil || time.Since(info.ModTime()) > saveEvery
}

// save writes what is new, together with what another geotop noted meanwhile.
func (t *Timeline) save() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.fresh {
		return nil
	}
	if other, err := readTimeline(t.path); err == nil && other != nil {
		t.events.Join(other)
	}
	t.fresh, t.news = false, false
	return write(t.path, &t.events)
}
