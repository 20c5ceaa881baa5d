package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/session"
	"github.com/geotop/geotop/survive"
	"github.com/geotop/geotop/ui"
	"github.com/geotop/geotop/view"
)

func isTerminal() bool { return term.IsTerminal(os.Stdin.Fd()) && term.IsTerminal(os.Stdout.Fd()) }

// onlyASCII reports whether the terminal, or the locale, has no more than ASCII. One
// that says nothing is taken to have more: over SSH locales are often left behind.
func onlyASCII(env func(string) string) bool {
	if env("TERM") == "linux" { // the console's font lacks what maps and marks are made of
		return true
	}
	locale := strings.ToLower(cmp.Or(env("LC_ALL"), env("LC_CTYPE"), env("LANG")))
	return locale != "" && !strings.Contains(locale, "utf-8") && !strings.Contains(locale, "utf8")
}

// noScreen says why there can be no live screen here, "" when there can.
func noScreen() string {
	switch {
	case !term.IsTerminal(os.Stdin.Fd()):
		return "standard input is no terminal"
	case !term.IsTerminal(os.Stdout.Fd()):
		return "standard output is no terminal"
	default:
		return ""
	}
}

// fps bounds how soon a finished frame is written: after 40 ms. The gate decides
// how many there are. The framework's ticker runs on while nothing changes, and
// at its default of 60 it is the largest part of what idling costs.
const fps = 25

// gate is the least time between frames that nobody asked for by a key.
func (f *flags) gate() time.Duration {
	switch {
	case f.low:
		return time.Second
	case os.Getenv("SSH_CONNECTION") != "" || os.Getenv("SSH_TTY") != "":
		return 250 * time.Millisecond
	default:
		return 100 * time.Millisecond
	}
}

// leaveWithin is how long quitting waits for collectors to let go.
const leaveWithin = 50 * time.Millisecond

// writeDownWithin is how long a plan that is left may take to say so in the cluster.
// When it does not come to that, the record runs out by itself.
const writeDownWithin = 3 * time.Second

// within does something, and goes on without it after a while.
func within(d time.Duration, do func()) {
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(d):
	}
}

// screen runs the live screen until the operator leaves it.
func (f *flags) screen(ctx context.Context, src *source) error {
	ctx, cancel := context.WithCancel(uninterrupted(ctx))
	defer cancel()
	cfg := ui.Config{
		Context: ctx, Feed: src, Keys: f.keys, Theme: f.theme, Site: f.site, Namespace: f.namespace,
		Write: f.write, Gate: f.gate(), NoQuery: f.noQuery, ASCII: f.ascii || onlyASCII(os.Getenv), Braille: f.braille, Whole: f.low,
		Looked: src.looked, Greet: src.looked != nil, Mouse: f.mouse, Recording: src.recording,
		Lose: func(w *model.World, sites []string) *model.Verdict { return survive.New(w).Of(sites...) },
	}
	if src.reel != nil {
		cfg.Reel = src.reel
	}
	plans := func() {}
	if src.api != nil {
		acts := newActor(f.runner(src), src.api)
		cfg.Actor, plans = acts, acts.wait
	}
	if f.demo == "" && src.pods != nil {
		cfg.Enter = f.enter
	}
	if src.pods != nil {
		cfg.Logs = logsOf(ctx, src.pods)
		cfg.YAML = func(ctx context.Context, o view.Object) ([]string, error) {
			ctx, cancel := context.WithTimeout(ctx, logPatience)
			defer cancel()
			return session.YAML(ctx, src.pods, o.Kind, o.Namespace, o.Name)
		}
	}
	if src.past != nil {
		_ = src.past.View(&cfg.Kept) // what cannot be read is as good as none
	}
	app, err := ui.New(cfg)
	if err != nil {
		return usage("%w", err)
	}
	stop := src.start(ctx)
	p := tea.NewProgram(app, tea.WithContext(ctx), tea.WithFilter(ui.Filter), tea.WithFPS(fps), tea.WithColorProfile(f.profile()))
	_, err = p.Run()
	if src.past != nil && !reflect.DeepEqual(app.Kept(), cfg.Kept) {
		_ = src.past.KeepView(app.Kept()) // nothing depends on it
	}
	failed := err != nil && ctx.Err() == nil && !errors.Is(err, tea.ErrInterrupted)
	// The process ends here: a call that hangs on a dead link must not hold it.
	cancel()
	within(writeDownWithin, plans)
	within(leaveWithin, stop)
	if failed {
		return &exitError{exitFailed, err}
	}
	return nil
}
