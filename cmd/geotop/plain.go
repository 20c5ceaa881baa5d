package main

import (
	"bufio"
	"context"
	"io"
	"time"

	"github.com/geotop/geotop/linear"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/survive"
	"github.com/geotop/geotop/text"
)

// tellEvery is how often changes are told at most: what belongs together comes in one.
const tellEvery = 3 * time.Second

// plain runs the cockpit in words until the operator leaves it.
func (f *flags) plain(ctx context.Context, in io.Reader, out io.Writer, src *source) error {
	stop := src.start(ctx)
	defer within(leaveWithin, stop)
	w, err := f.settled(ctx, src)
	if err != nil {
		return err
	}
	if f.site != "" && w.Looked() && w.Site(f.site) == nil {
		return noSite(w, f.site)
	}
	if f.ascii {
		out = asciiWriter{out}
	}
	lines := make(chan string)
	go func() { // ends with its input: a read from a terminal cannot be called off
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return linear.Run(ctx, w, linear.Config{
		Feed: src, Lines: lines, Out: out, Width: outputWidth(), Site: f.site, Every: tellEvery, Looked: src.looked,
		Lose: func(w *model.World, sites []string) *model.Verdict { return survive.New(w).Of(sites...) },
	})
}

// asciiWriter writes nothing but ASCII.
type asciiWriter struct{ to io.Writer }

func (a asciiWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(a.to, text.ASCII(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
