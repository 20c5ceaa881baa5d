package drill

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// Series runs drills one after another, prints each, and sums them up.
func Series(ctx context.Context, first uint64, count int, out io.Writer) error {
	if ctx == nil {
		ctx = context.Background()
	}
	var exact, chance, total, placeable int
	var ratios []float64
	for seed := first; seed < first+uint64(count); seed++ {
		began := time.Now()
		r, err := Run(ctx, seed)
		if err != nil {
			return fmt.Errorf("drill %d: %w", seed, err)
		}
		total++
		forecast, outcome := r.sum(r.Forecast), r.sum(r.Outcome)
		switch {
		case len(r.Wrong) == 0:
			exact++
		case r.Chance:
			chance++
		}
		if forecast.Pending == outcome.Pending {
			placeable++
		}
		line := fmt.Sprintf("drill %d: %d nodes, %d pods, without %s: %d placed anew, %d pending, %d ending, %d away", seed, r.Nodes, r.Pods, r.House, outcome.Placed, outcome.Pending, outcome.Ending, outcome.Away)
		if r.Expected > 0 && r.Took > 0 {
			ratios = append(ratios, r.Took.Seconds()/r.Expected.Seconds())
			line += fmt.Sprintf("; back after %.0f s, forecast %.0f s", r.Took.Seconds(), r.Expected.Seconds())
		}
		fmt.Fprintf(out, "%s  (%.0f s)\n", line, time.Since(began).Seconds())
		if len(r.Different) > 0 {
			fmt.Fprintf(out, "    %s\n", strings.Join(r.Machines, "\n    "))
		}
		for _, d := range r.Different {
			fmt.Fprintf(out, "    %s%s\n", d, map[bool]string{true: " (as likely as the forecast)"}[r.Chance])
		}
	}
	fmt.Fprintf(out, "%d drills: pending pods as forecast in %d (%.1f %%), as likely in %d more; their number as forecast in %d\n", total, exact, 100*float64(exact)/float64(total), chance, placeable)
	near := 0
	for _, r := range ratios {
		if r > 0.8 && r < 1.2 {
			near++
		}
	}
	if len(ratios) > 0 {
		fmt.Fprintf(out, "time until the last pod is back: within 20 %% of the forecast in %d of %d\n", near, len(ratios))
	}
	return nil
}

func (r *Result) sum(by map[string]Count) Count {
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
