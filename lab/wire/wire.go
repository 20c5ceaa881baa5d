// Package wire counts the bytes geotop writes to a terminal: what a phone on a bad line
// has to wait for.
package wire

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/geotop/geotop/lab/term"
)

// Sizes of terminals that are measured: a phone's and a desk's.
var sizes = [][2]int{{46, 19}, {120, 40}}

const (
	quiet = 1500 * time.Millisecond // nothing written for so long: a screen is there
	idle  = time.Minute
	dying = 30 * time.Second // from when the API is shown to be gone
	rows  = 100
)

// Run measures everything on the demo, at both sizes, with and without
// --low-bandwidth, and prints a table. It takes ten minutes, most of them waiting.
func Run(ctx context.Context, geotop string, out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tstart\tidle minute\ttwo houses die, first frame\t30 s on\t100 rows down\t")
	for _, size := range sizes {
		for _, low := range []bool{false, true} {
			m := measure{geotop: geotop, width: size[0], height: size[1]}
			name := fmt.Sprintf("%dx%d", size[0], size[1])
			if low {
				name += " --low-bandwidth"
				m.more = []string{"--low-bandwidth"}
			}
			start, still, err := m.idle(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			first, whole, err := m.death(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			scrolled, err := m.scroll(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t\n", name, start, still, first, whole, scrolled)
		}
	}
	return t.Flush()
}

// measure is one terminal and one way to start geotop.
type measure struct {
	geotop        string
	width, height int
	more          []string
}

// open starts a demo and waits until its first screen is there.
func (m *measure) open(ctx context.Context, demo string, shows ...string) (*term.Term, error) {
	args := append([]string{m.geotop, "--demo=" + demo}, m.more...)
	s, err := term.Start(m.width, m.height, []string{"LANG=C.UTF-8", "GEOTOP_CONFIG=" + os.DevNull}, args...)
	if err != nil {
		return nil, err
	}
	if err = s.Shows(ctx, shows...); err == nil {
		err = s.Quiet(ctx, quiet)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// during lets time pass: how much is written in it is what is asked.
func during(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (m *measure) idle(ctx context.Context) (start, still int64, err error) {
	s, err := m.open(ctx, "healthy", "curepipe", "RO")
	if err != nil {
		return 0, 0, err
	}
	defer s.Close()
	start = s.Bytes()
	if err := during(ctx, 10*time.Second); err != nil { // what is slow to come belongs to neither
		return 0, 0, err
	}
	from := s.Bytes()
	if err := during(ctx, idle); err != nil {
		return 0, 0, err
	}
	return start, s.Bytes() - from, nil
}

// death follows two of three houses that go dark while one looks on, and the API with
// them.
func (m *measure) death(ctx context.Context) (first, whole int64, err error) {
	s, err := m.open(ctx, "quorum", "curepipe", "RO")
	if err != nil {
		return 0, 0, err
	}
	defer s.Close()
	before := s.Bytes()
	if err := s.Wait(ctx, "the API gone", func(text string) bool { return strings.Contains(text, "unknown") || strings.Contains(text, "CRITICAL") }); err != nil {
		return 0, 0, err
	}
	if err := s.Quiet(ctx, 300*time.Millisecond); err != nil {
		return 0, 0, err
	}
	first = s.Bytes() - before
	if err := during(ctx, dying); err != nil {
		return 0, 0, err
	}
	return first, s.Bytes() - before, nil
}

// scroll goes down a list of very many pods, row by row.
func (m *measure) scroll(ctx context.Context) (int64, error) {
	s, err := m.open(ctx, "big", "RO")
	if err != nil {
		return 0, err
	}
	defer s.Close()
	if err := s.Type("7"); err != nil {
		return 0, err
	}
	if err := s.Shows(ctx, "POD"); err != nil {
		return 0, err
	}
	if err := s.Quiet(ctx, quiet); err != nil {
		return 0, err
	}
	before := s.Bytes()
	for range rows {
		if err := s.Type("j"); err != nil {
			return 0, err
		}
		if err := during(ctx, 50*time.Millisecond); err != nil { // as a held key repeats
			return 0, err
		}
	}
	if err := s.Quiet(ctx, 300*time.Millisecond); err != nil {
		return 0, err
	}
	return s.Bytes() - before, nil
}
