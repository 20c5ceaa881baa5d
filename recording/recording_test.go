package recording

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/geotop/geotop/demo/still"
	"github.com/geotop/geotop/model"
)

// clock is one whose time stands still.
func clock() time.Time { return time.Date(2026, 3, 14, 3, 0, 0, 0, time.UTC) }

// cut gives a power cut, one World every half minute.
func cut(t testing.TB, moments int) []*model.World {
	t.Helper()
	var list []*model.World
	for i := range moments {
		w, err := still.Of(t.Context(), "powercut", 1, time.Duration(i)*30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, w)
	}
	return list
}

func record(t testing.TB, r *Recorder, worlds []*model.World) {
	t.Helper()
	for _, w := range worlds {
		if err := r.Take(w); err != nil {
			t.Fatal(err)
		}
	}
}

func create(t testing.TB) (r *Recorder, name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "night.geotop")
	r, err := Create(name, clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, name
}

// holds checks that the tape's moments are these Worlds.
func holds(t *testing.T, tape *Tape, worlds []*model.World, order ...int) {
	t.Helper()
	if len(tape.Times()) != len(worlds) {
		t.Fatalf("%d moments of %d", len(tape.Times()), len(worlds))
	}
	for _, i := range order {
		facts, at, err := tape.Facts(i)
		if err != nil {
			t.Fatalf("moment %d: %v", i, err)
		}
		got := model.Assemble(facts, at, model.Options{SiteLabels: model.SiteLabels}).WithVerdicts(worlds[i].Verdicts, worlds[i].Fixes)
		was, _ := worlds[i].MarshalJSON()
		is, _ := got.MarshalJSON()
		if !bytes.Equal(was, is) || !at.Equal(tape.Times()[i]) {
			t.Errorf("moment %d, of %s, is not as it was", i, at)
		}
	}
}

func TestMomentsComeBackAsTheyWere(t *testing.T) {
	worlds := cut(t, 8)
	r, name := create(t)
	r.most.frame = 600 << 10 // several frames
	record(t, r, worlds[:7])
	open, err := Open(name) // while it goes on
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	holds(t, open, worlds[:7], 6, 0)
	record(t, r, worlds[7:])
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	tape, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer tape.Close()
	if len(tape.frames) < 2 {
		t.Fatalf("%d frames: nothing of them is tested", len(tape.frames))
	}
	holds(t, tape, worlds, 0, 1, 2, 3, 4, 5, 6, 7, 3, 0, 7)
	if _, _, err := tape.Facts(8); err == nil {
		t.Error("there is a moment after the last")
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others may read it", info.Mode(), err)
	}
	if err := r.Take(worlds[0]); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after its end: %v", err)
	}
}

// What did not change costs next to nothing.
func TestMomentsAreSmall(t *testing.T) {
	w := cut(t, 1)[0]
	r, _ := create(t)
	record(t, r, []*model.World{w})
	first := r.size.written
	record(t, r, []*model.World{w, w, w, w})
	if more := (r.size.written - first) / 4; more > first/20 || more > 2048 {
		t.Errorf("the first moment is %d bytes, the same again %d", first, more)
	}
}

// However a recording was cut off, what is whole of it can be seen.
func TestCutOff(t *testing.T) {
	worlds := cut(t, 3)
	r, name := create(t)
	r.most.frame = 1 // each a frame of its own
	record(t, r, worlds)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	most := 0
	for n := 0; n < len(all); n += 1 + len(all)/200 {
		if err := os.WriteFile(name, all[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		tape, err := Open(name)
		if err != nil {
			if most > 0 {
				t.Fatalf("%d bytes of %d: %v, though fewer were read", n, len(all), err)
			}
			continue
		}
		if len(tape.Times()) < most {
			t.Fatalf("%d bytes of %d: %d moments, and %d of fewer", n, len(all), len(tape.Times()), most)
		}
		if most < len(tape.Times()) {
			most = len(tape.Times())
			holds(t, tape, worlds[:most], most-1)
		}
		tape.Close()
	}
	if most < 2 {
		t.Errorf("%d moments were ever read", most)
	}
}

func TestBounds(t *testing.T) {
	w := cut(t, 1)[0]
	r, name := create(t)
	r.most.file = 1
	record(t, r, []*model.World{w})
	if err := r.Take(w); !errors.Is(err, ErrFull) || !errors.Is(r.Err(), ErrFull) {
		t.Errorf("beyond its bound: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if tape, err := Open(name); err != nil || len(tape.Times()) != 1 {
		t.Errorf("what was recorded before: %v", err)
	}
	if _, err := Create(name, clock); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over one that is there: %v", err)
	}

}

// Where a moment takes a second to write, none follows for fifty; of those that came
// meanwhile the last is there in the end.
func TestRecordingIsLeisurely(t *testing.T) {
	worlds := cut(t, 4)
	r, name := create(t)
	at := clock()
	r.now = func() time.Time { at = at.Add(time.Second); return at }
	in := make(chan *model.World)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Follow(ctx, in) }()
	for _, w := range worlds {
		in <- w
	}
	cancel()
	<-done
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	tape, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer tape.Close()
	holds(t, tape, []*model.World{worlds[0], worlds[3]}, 0, 1)
}

func FuzzOpen(f *testing.F) {
	w := cut(f, 1)[0]
	r, name := create(f)
	record(f, r, []*model.World{w, w})
	r.Close()
	whole, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte("{}\n"))
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0x58, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		name := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		tape, err := Open(name)
		if err != nil {
			return
		}
		defer tape.Close()
		for i := range tape.Times() {
			_, _, _ = tape.Facts(i)
		}
	})
}
