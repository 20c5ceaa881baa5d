// Package recording keeps on disk what a cluster went through, moment by moment, to be
// stepped through again.
//
// A recording is the documents that -o json prints, one a line, compressed with
// Zstandard, so that zstdcat and jq read it too. It is made of frames of some megabytes
// each, which can be read by themselves: stepping back is as cheap as going on. Every
// moment is on disk as soon as it is taken, so a recording that was cut off is good up
// to there.
package recording

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/geotop/geotop/model"
)

// Bounds of what is written.
const (
	frameBytes = 16 << 20  // of documents in a frame, at least one
	mostBytes  = 256 << 20 // of a recording, compressed: weeks of nine nodes
	window     = 8 << 20   // what a document may refer back to: several of nine nodes
	// leisure bounds what recording costs: a moment that took long to write down is
	// followed by none for so many times as long.
	leisure = 50
)

// ErrFull is when a recording has reached its bound.
var ErrFull = errors.New("the recording is full: it stops here")

// Recorder writes a recording. It may be used by several goroutines.
type Recorder struct {
	mu    sync.Mutex
	file  *os.File
	enc   *zstd.Encoder
	size  counter
	frame int64 // bytes of documents in the open frame
	most  struct{ frame, file int64 }
	now   func() time.Time
	err   error
}

// counter counts what went through to the file.
type counter struct {
	to      *os.File
	written int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.written += int64(n)
	return n, err
}

// Create begins a recording in a new file that only its owner may read; one that is
// there is an error, fs.ErrExist. now is the clock, which bounds how much is spent on it.
func Create(name string, now func() time.Time) (*Recorder, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s is there already: %w", name, fs.ErrExist)
	}
	if err != nil {
		return nil, err
	}
	r := &Recorder{file: file, now: now}
	r.size.to, r.most.frame, r.most.file = file, frameBytes, mostBytes
	r.enc, err = zstd.NewWriter(&r.size, zstd.WithWindowSize(window), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return r, nil
}

// Take writes a World down as one moment. Once it has failed it does nothing more, and
// gives the same error again: ErrFull, or what the file system said.
func (r *Recorder) Take(w *model.World) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = r.write(w)
	}
	return r.err
}

// Follow takes the Worlds that come until ctx ends, at its leisure: of those that come
// too fast the last one counts, and it is taken before Follow returns. Err tells what
// ended it.
func (r *Recorder) Follow(ctx context.Context, worlds <-chan *model.World) {
	var pending *model.World
	var next time.Time
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		select {
		case <-ctx.Done():
			select {
			case pending = <-worlds:
			default:
			}
			if pending != nil {
				_ = r.Take(pending)
			}
			return
		case pending = <-worlds:
		case <-wake.C:
		}
		began := r.now()
		switch {
		case pending == nil:
		case began.Before(next):
			wake.Reset(next.Sub(began))
		default:
			_ = r.Take(pending)
			pending = nil
			after := r.now()
			next = after.Add(leisure * after.Sub(began))
		}
	}
}

func (r *Recorder) write(w *model.World) error {
	doc, err := w.MarshalJSON()
	if err != nil {
		return err
	}
	if r.size.written >= r.most.file {
		return ErrFull
	}
	if r.frame > 0 && r.frame+int64(len(doc)) > r.most.frame {
		if err := r.enc.Close(); err != nil {
			return err
		}
		r.enc.Reset(&r.size)
		r.frame = 0
	}
	r.frame += int64(len(doc))
	if _, err := r.enc.Write(append(doc, '\n')); err != nil {
		return err
	}
	return r.enc.Flush()
}

// Err is what ended the recording before its time, nil while it goes on.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Close ends the recording.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	err := errors.Join(r.enc.Close(), r.file.Close())
	r.file = nil
	if r.err == nil {
		r.err = fs.ErrClosed
	}
	return err
}
