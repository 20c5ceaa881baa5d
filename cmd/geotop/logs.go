package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/session"
	"github.com/geotop/geotop/ui"
)

// tailLines is how much of each container's log the screen begins with, and waiting
// how many lines are kept for a screen that does not fetch them; settles is how long
// nothing must come for the past to be complete.
const (
	tailLines = 500
	waiting   = 5000
	settles   = 150 * time.Millisecond
)

// followed are logs that are being read for the screen. It is a ui.Lines.
type followed struct {
	cancel context.CancelFunc
	wake   chan struct{}

	begun bool

	mu    sync.Mutex
	lines []said
	ended bool
}

// logsOf begins to read logs, each pod's for itself: one that cannot be read says so
// in a line of its own.
func logsOf(ctx context.Context, api session.API) func(ui.LogAsk) ui.Lines {
	return func(ask ui.LogAsk) ui.Lines {
		ctx, cancel := context.WithCancel(ctx)
		f := &followed{cancel: cancel, wake: make(chan struct{}, 1)}
		var all sync.WaitGroup
		tags := labels(ask.Pods)
		for i, p := range ask.Pods {
			all.Go(func() {
				if err := f.read(ctx, api, p, tags[i], ask); err != nil && ctx.Err() == nil {
					f.add(said{text: "-- " + model.Clean(err.Error(), 500)})
				}
			})
		}
		go func() {
			all.Wait()
			f.mu.Lock()
			f.ended = true
			f.mu.Unlock()
			f.tell()
		}()
		return f
	}
}

// read reads the logs of a pod's containers, each line with what tells them apart.
func (f *followed) read(ctx context.Context, api session.API, p *model.Pod, label string, ask ui.LogAsk) error {
	short, cancel := context.WithTimeout(ctx, logPatience)
	defer cancel()
	choice, err := session.Containers(short, api, p.Namespace, p.Name)
	if err != nil {
		return err
	}
	names := []string{choice.Default}
	if ask.All {
		names = choice.Containers
	}
	opt := session.LogOptions{Follow: !ask.Previous, Previous: ask.Previous, Tail: tailLines, Clean: true, Stamp: true}
	errs := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		tag := label
		if len(names) > 1 {
			tag = strings.TrimSpace(label + " " + name)
		}
		all.Go(func() {
			errs[i] = session.Logs(ctx, api, []session.Target{{Namespace: p.Namespace, Pod: p.Name, Container: name}}, opt, tagged{f, tag})
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// labels tell pods apart by what their names do not share.
func labels(pods []*model.Pod) []string {
	list := make([]string, len(pods))
	if len(pods) < 2 {
		return list
	}
	common := pods[0].Name
	for i, p := range pods {
		list[i] = p.Name
		for !strings.HasPrefix(p.Name, common) {
			common = common[:len(common)-1]
		}
	}
	common = common[:strings.LastIndexByte(common, '-')+1]
	for i := range list {
		list[i] = strings.TrimPrefix(list[i], common)
	}
	return list
}

// tagged takes the lines of one container.
type tagged struct {
	*followed
	tag string
}

// Write takes one line, with when it was said before it.
func (t tagged) Write(p []byte) (int, error) {
	line := said{text: strings.TrimSuffix(string(p), "\n")}
	if stamp, rest, cut := strings.Cut(line.text, " "); cut {
		if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
			line = said{at, rest}
		}
	}
	if t.tag != "" {
		line.text = "[" + t.tag + "] " + line.text
	}
	t.add(line)
	return len(p), nil
}

// said is a line of a log; at is zero where that is not known.
type said struct {
	at   time.Time
	text string
}

func (f *followed) add(line said) {
	f.mu.Lock()
	if line.at.IsZero() && len(f.lines) > 0 { // it stays behind what came before it
		line.at = f.lines[len(f.lines)-1].at
	}
	if f.lines = append(f.lines, line); len(f.lines) > waiting {
		f.lines = append([]said{}, f.lines[len(f.lines)-waiting/2:]...)
	}
	f.mu.Unlock()
	f.tell()
}

func (f *followed) tell() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Next gives what was said meanwhile in the order in which it was said. The first time
// it waits a moment, so that the past of all pods is in order.
func (f *followed) Next(ctx context.Context) ([]string, error) {
	if !f.begun {
		f.begun = true
		f.gather(ctx)
	}
	for {
		f.mu.Lock()
		lines, ended := f.lines, f.ended
		f.lines = nil
		f.mu.Unlock()
		switch {
		case ended:
			return inOrder(lines), io.EOF
		case len(lines) > 0:
			return inOrder(lines), nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.wake:
		}
	}
}

// gather waits until all logs were read to their end, or until nothing more came for a
// while after the first line; for one that is said all the time, not for long.
func (f *followed) gather(ctx context.Context) {
	quiet, late := time.NewTimer(logPatience), (<-chan time.Time)(nil)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-quiet.C:
			return
		case <-late:
			return
		case <-f.wake:
			f.mu.Lock()
			ended := f.ended
			f.mu.Unlock()
			if ended {
				return
			}
			if quiet.Reset(settles); late == nil {
				late = time.After(10 * settles)
			}
		}
	}
}

func inOrder(lines []said) []string {
	slices.SortStableFunc(lines, func(a, b said) int {
		return a.at.Compare(b.at)
	})
	list := make([]string, len(lines))
	for i, l := range lines {
		list[i] = l.text
	}
	return list
}

func (f *followed) Close() { f.cancel() }
