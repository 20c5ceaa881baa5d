package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Config is a series of drills.
type Config struct {
	First  uint64 // seed of the first cluster
	Count  int
	Beside int    // how many run at the same time
	Keep   string // folder to keep each loss in; "" for none
	Out    io.Writer
}

// sums is what a series came to.
type sums struct {
	failed                     int
	clusters, exact, placeable int
	chance                     int // no more than that is wrong with the others
	losses, timed, near        int
	likely                     int // not near, but near to a forecast that is as likely
}

// drilled is what one drill came to.
type drilled struct {
	seed    uint64
	results []*Result
	err     error
	took    time.Duration
}

// Series runs drills, prints each, and sums them up. A drill that could not be run
// is an error, in the end.
func Series(ctx context.Context, cfg Config) error {
	done := make(chan drilled)
	go func() {
		defer close(done)
		var g errgroup.Group
		g.SetLimit(max(1, cfg.Beside))
		for seed := cfg.First; seed < cfg.First+uint64(cfg.Count) && ctx.Err() == nil; seed++ {
			g.Go(func() error {
				began := time.Now()
				list, err := Run(ctx, seed)
				done <- drilled{seed, list, err, time.Since(began)}
				return nil
			})
		}
		_ = g.Wait()
	}()
	var s sums
	var kept error
	for d := range done {
		s.add(d)
		d.print(cfg.Out)
		if cfg.Keep != "" {
			for _, r := range d.results {
				kept = errors.Join(kept, r.keep(cfg.Keep))
			}
		}
	}
	s.print(cfg.Out)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case kept != nil:
		return kept
	case s.failed > 0:
		return fmt.Errorf("%d drills could not be run", s.failed)
	}
	return nil
}

func (s *sums) add(d drilled) {
	if d.err != nil {
		s.failed++
		return
	}
	exact, placeable, chance := true, true, true
	for _, r := range d.results {
		s.losses++
		exact = exact && len(r.Wrong) == 0
		chance = chance && (len(r.Wrong) == 0 || r.Chance)
		placeable = placeable && sum(r.Forecast).Pending == sum(r.Outcome).Pending
		if r.Expected > 0 && r.Took > 0 {
			s.timed++
			if r.inTime() {
				s.near++
			} else if r.inLikelyTime() {
				s.likely++
			}
		}
	}
	s.clusters++
	if exact {
		s.exact++
	} else if chance {
		s.chance++
	}
	if placeable {
		s.placeable++
	}
}

func (s *sums) print(out io.Writer) {
	fmt.Fprintf(out, "%d clusters, %d losses: pending pods as forecast in %d clusters, as likely as the forecast in %d more; their number as forecast in %d\n", s.clusters, s.losses, s.exact, s.chance, s.placeable)
	if s.timed > 0 {
		fmt.Fprintf(out, "time until the last pod is back: within 20 %% of the forecast in %d of %d losses, of one as likely in %d more\n", s.near, s.timed, s.likely)
	}
	if s.failed > 0 {
		fmt.Fprintf(out, "%d drills could not be run\n", s.failed)
	}
}

func (d drilled) print(out io.Writer) {
	if d.err != nil {
		fmt.Fprintf(out, "drill %d could not be run: %v\n", d.seed, d.err)
		return
	}
	for _, r := range d.results {
		o := sum(r.Outcome)
		line := fmt.Sprintf("drill %d.%d: %d nodes, %d pods, without %s: %d placed anew, %d pending, %d ending, %d away", d.seed, r.Loss, r.Nodes, r.Pods, strings.Join(r.Lost, " "), o.Placed, o.Pending, o.Ending, o.Away)
		if r.Expected > 0 && r.Took > 0 {
			line += fmt.Sprintf("; back after %.0f s, forecast %.0f s", r.Took.Seconds(), r.Expected.Seconds())
		}
		fmt.Fprintln(out, line)
		if !r.inTime() {
			fmt.Fprintf(out, "    as likely: %.0f to %.0f s\n    %s\n", r.Soonest.Seconds(), r.Latest.Seconds(), strings.Join(r.Tries, "\n    "))
		}
		if len(r.Different) > 0 {
			fmt.Fprintf(out, "    %s\n", strings.Join(r.Machines, "\n    "))
		}
		for _, text := range r.Different {
			fmt.Fprintf(out, "    %s%s\n", text, map[bool]string{true: " (as likely as the forecast)"}[r.Chance])
		}
	}
}

func sum(by map[string]Count) Count {
	var s Count
	for _, c := range by {
		s.Stay += c.Stay
		s.Placed += c.Placed
		s.Pending += c.Pending
		s.Ending += c.Ending
		s.Away += c.Away
	}
	return s
}
