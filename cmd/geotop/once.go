package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/output"
	"github.com/geotop/geotop/survive"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
)

// start runs the source until the returned function is called, which waits
// until all of it has ended.
func (s *source) start(ctx context.Context) (stop func()) {
	if s.run == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); s.run(ctx) }()
	return func() { cancel(); <-done }
}

// snapshot prints the World once every source has answered or refused, or at
// the deadline; with --watch again at every change.
func (f *flags) snapshot(cmd *cobra.Command, src *source, format output.Format) error {
	src.judge.eager = true
	stop := src.start(cmd.Context())
	defer stop()
	w, err := f.settled(cmd.Context(), src)
	if err != nil {
		return err
	}
	opt := f.printOptions(cmd, format)
	out := colorprofile.NewWriter(cmd.OutOrStdout(), os.Environ())
	out.Profile = f.profile()
	var said []byte
	for last := []byte(nil); ; {
		cut, err := f.cut(w)
		if err != nil {
			return err
		}
		if d := digest(cut); !bytes.Equal(d, last) {
			last = d
			var b bytes.Buffer
			if err := format.Write(&b, cut, opt); err != nil {
				return &exitError{exitFailed, err}
			}
			if f.ascii && !format.Structured() {
				b = *bytes.NewBufferString(text.ASCII(b.String()))
			}
			if !bytes.Equal(b.Bytes(), said) { // a line that is the same tells nobody anything
				said = bytes.Clone(b.Bytes())
				if _, err := b.WriteTo(out); err != nil {
					return &exitError{exitFailed, err}
				}
			}
		}
		if !f.watch {
			return f.verdict(w, cut)
		}
		select {
		case <-cmd.Context().Done():
			return f.verdict(w, cut)
		case <-src.Changed():
		case <-time.After(5 * time.Second): // ages may have made a difference
		}
		w = src.World()
	}
}

// settled waits for the first complete World.
func (f *flags) settled(ctx context.Context, src *source) (*model.World, error) {
	deadline := time.NewTimer(f.timeout)
	defer deadline.Stop()
	for {
		w := src.World()
		if w.Settled() {
			return w, nil
		}
		select {
		case <-ctx.Done():
			return nil, &exitError{exitFailed, context.Cause(ctx)}
		case <-deadline.C:
			return src.World(), nil
		case <-src.Changed():
		}
	}
}

// cut narrows the World to the site asked for.
func (f *flags) cut(w *model.World) (*model.World, error) {
	if len(f.lose) > 0 && w.Looked() {
		for _, name := range f.lose {
			if w.Site(name) == nil {
				return nil, noSite(w, name)
			}
		}
		alone := *w
		alone.Verdicts, alone.Fixes = survive.Ask(w, patientTries, f.lose)
		w = &alone
	}
	if f.namespace != "" {
		w = w.InNamespace(f.namespace)
	}
	if f.site == "" || !w.Looked() {
		return w, nil
	}
	in := w.InSite(f.site)
	if in == nil {
		return nil, noSite(w, f.site)
	}
	return in, nil
}

func noSite(w *model.World, name string) error {
	names := ""
	for _, s := range w.Sites {
		names += " " + model.Clean(s.Name, 60)
	}
	return usage("no site %q; there are:%s", name, names)
}

// verdict turns what was seen into the exit code.
func (f *flags) verdict(whole, w *model.World) error {
	if !whole.Looked() {
		text := "could not look"
		for _, s := range whole.Sources {
			if t := s.Trouble(); t != "" {
				text += ": " + t
				if s.Hint != "" {
					text += "; " + s.Hint
				}
				break
			}
		}
		return &exitError{exitUnseen, fmt.Errorf("%s", text)}
	}
	code := w.Status.CheckCode()
	if f.whatif {
		code = whatIfCode(w.Verdicts)
	}
	if f.check && code != 0 {
		return &exitError{code: code}
	}
	return nil
}

// whatIfCode is 2 when data would be lost, 1 when something would stay down.
func whatIfCode(list []*model.Verdict) int {
	code := 0
	for _, v := range list {
		switch v.Outcome {
		case model.DataLost:
			return 2
		case model.Down, model.Undecided:
			code = 1
		}
	}
	return code
}

func (f *flags) printOptions(cmd *cobra.Command, format output.Format) output.Options {
	opt := output.Options{Width: outputWidth(), Lines: f.watch, List: f.list, Details: len(f.lose) > 0}
	if cmd.OutOrStdout() != os.Stdout {
		opt.Width = 80
	}
	if !format.Structured() && f.profile() != colorprofile.NoTTY {
		if th, err := themes.Load(f.theme); err == nil {
			opt.Theme = th
		}
	}
	return opt
}

// outputWidth is $COLUMNS, the terminal's width, or 80.
func outputWidth() int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return max(n, 40)
	}
	if w, _, err := term.GetSize(os.Stdout.Fd()); err == nil && w > 0 {
		return max(w, 40)
	}
	return 80
}

// profile is how many colours standard output may have: the flag first, then
// NO_COLOR (any value, as its convention says), then what the terminal can do.
func (f *flags) profile() colorprofile.Profile {
	switch {
	case f.color == "never":
		return colorprofile.ASCII
	case f.color == "always":
		return max(colorprofile.ANSI256, colorprofile.Env(os.Environ()))
	case os.Getenv("NO_COLOR") != "":
		return colorprofile.ASCII
	default:
		return colorprofile.Detect(os.Stdout, os.Environ())
	}
}

// digest is equal for Worlds that tell a script the same; ages do not count.
func digest(w *model.World) []byte {
	type site struct {
		Name                   string
		Status                 model.SiteStatus
		Nodes, Ready, Cordoned int
		Pods, PodsReady        int
	}
	type node struct {
		Name     string
		State    model.NodeState
		Cordoned bool
	}
	type peer struct {
		ID    string
		State model.PeerState
		Path  model.PathKind
	}
	type workload struct {
		Object         string
		State          model.WorkloadState
		Ready, Desired int
	}
	d := struct {
		Status    model.Severity
		Reasons   []string
		Sources   []model.SourceStatus
		Sites     []site
		Nodes     []node
		Peers     []peer
		Workloads []workload
	}{Status: w.Status}
	for _, r := range w.Reasons {
		d.Reasons = append(d.Reasons, r.Severity.String()+" "+r.Object)
	}
	for _, s := range w.Sources {
		d.Sources = append(d.Sources, s.Status)
	}
	for _, s := range w.Sites {
		d.Sites = append(d.Sites, site{s.Name, s.Status, s.Nodes, s.Ready, s.Cordoned, s.Pods, s.PodsReady})
	}
	for _, n := range w.Nodes {
		d.Nodes = append(d.Nodes, node{n.Name, n.State, n.Unschedulable})
	}
	for _, p := range w.Peers {
		d.Peers = append(d.Peers, peer{p.ID, p.State, p.Path})
	}
	for _, wl := range w.Workloads {
		d.Workloads = append(d.Workloads, workload{wl.Object(), wl.State, wl.Ready, wl.Desired})
	}
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // plain values always marshal
	}
	return b
}
