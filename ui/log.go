package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
)

// LogAsk says which logs are wanted.
type LogAsk struct {
	Pods     []*model.Pod
	All      bool // containers; else the one a pod means when none is named
	Previous bool // of before their last restarts
}

// Lines is a log being read.
type Lines interface {
	// Next waits for lines that were not given yet. An error comes with the last:
	// io.EOF when there will be no more.
	Next(ctx context.Context) ([]string, error)
	Close()
}

// Of a log so much is kept, of one line so much, and of a workload so many pods' logs
// are followed.
const (
	keptLines = 5000
	lineMost  = 4000
	podsMost  = 12
)

// logScreen follows a log: at its end it moves with it, elsewhere it stays.
type logScreen struct {
	name   string
	ask    LogAsk
	note   string
	log    Lines
	next   tea.Cmd // waits for more of it
	cancel context.CancelFunc

	lines  []string
	text   string   // only lines with this, in small letters
	found  []string // those, as long as there is a text
	last   int      // line at the bottom of the screen
	follow bool
	cut    bool  // long lines are cut, not wrapped
	err    error // why there will be no more
}

// linesMsg brings more of a log.
type linesMsg struct {
	screen *logScreen
	log    Lines
	lines  []string
	err    error
}

// followLog opens the log of a pod, or those of a workload.
func (a *App) followLog(name string, pods []*model.Pod) {
	s := &logScreen{name: name, ask: LogAsk{Pods: pods}}
	if n := len(pods); n > podsMost {
		s.ask.Pods, s.note = pods[:podsMost], fmt.Sprintf("%d of %d pods", podsMost, n)
	}
	s.begin(a)
	a.push(s)
}

// begin reads from the start.
func (s *logScreen) begin(a *App) {
	s.close()
	ctx, cancel := context.WithCancel(a.cfg.Context)
	log := a.cfg.Logs(s.ask)
	s.log, s.cancel = log, cancel
	s.next = func() tea.Msg {
		lines, err := log.Next(ctx)
		return linesMsg{s, log, lines, err}
	}
	s.lines, s.found, s.last, s.follow, s.err = nil, nil, 0, true, nil
	a.later = s.next
}

func (s *logScreen) close() {
	if s.log != nil {
		s.cancel()
		s.log.Close()
		s.log = nil
	}
}

// adopt takes lines in and waits for more; those of a log that was left are late.
func (s *logScreen) adopt(a *App, msg linesMsg) tea.Cmd {
	if msg.log != s.log {
		return nil
	}
	for _, l := range msg.lines {
		l = model.Clean(strings.TrimRight(l, "\r\n"), lineMost)
		s.lines = append(s.lines, l)
		if s.text != "" && s.matches(l) {
			s.found = append(s.found, l)
		}
	}
	s.forget(len(s.lines) - keptLines)
	if msg.err != nil {
		s.err = msg.err
		s.close()
		return nil
	}
	// What is said all the time is shown as often as anything that nobody asked for.
	next := s.next
	return tea.Tick(a.cfg.Gate, func(time.Time) tea.Msg { return next() })
}

func (s *logScreen) matches(l string) bool { return strings.Contains(strings.ToLower(l), s.text) }

// forget drops so many of the oldest lines; what is at the bottom of the screen stays.
func (s *logScreen) forget(n int) {
	if n <= 0 {
		return
	}
	gone := n
	if s.text != "" {
		gone = len(slices.DeleteFunc(slices.Clone(s.lines[:n]), func(l string) bool { return !s.matches(l) }))
		s.found = slices.Clone(s.found[gone:])
	}
	s.lines = slices.Clone(s.lines[n:])
	s.last -= gone
}

func (s *logScreen) scope() keymap.Scope { return keymap.Log }
func (s *logScreen) crumb() string       { return model.Clean(s.name, 60) + " › log" }

// setFilter shows only lines with a text, the newest at the bottom.
func (s *logScreen) setFilter(text string) {
	s.text, s.found = strings.ToLower(text), nil
	if s.text != "" {
		for _, l := range s.lines {
			if s.matches(l) {
				s.found = append(s.found, l)
			}
		}
	}
	s.follow = true
}

// shown are the lines to choose from.
func (s *logScreen) shown() []string {
	if s.text != "" {
		return s.found
	}
	return s.lines
}

func (s *logScreen) act(a *App, action keymap.Action) bool {
	if by := stride(action, a.bodyHeight()-1); by != 0 {
		s.move(by)
		return true
	}
	switch action {
	case keymap.Top:
		s.follow, s.last = false, 0
	case keymap.Bottom:
		s.follow = true
	case keymap.Filter:
		a.startFilter(s.text)
	case keymap.Wrap:
		s.cut = !s.cut
	case keymap.OldLog:
		s.ask.Previous = !s.ask.Previous
		s.begin(a)
	case keymap.AllLogs:
		s.ask.All = !s.ask.All
		s.begin(a)
	default:
		return false
	}
	return true
}

// offers reports whether a key is of use now.
func (s *logScreen) offers(_ *App, action keymap.Action) bool {
	return action != keymap.Bottom || !s.follow
}

// move goes so many lines down; past the end it follows again.
func (s *logScreen) move(by int) {
	end := len(s.shown()) - 1
	if s.follow {
		s.last = end
	}
	s.last += by
	s.follow = s.last >= end
}

// draw fills the screen from the line at its bottom upwards.
func (s *logScreen) draw(a *App, width, height int) []string {
	shown := s.shown()
	if s.follow {
		s.last = len(shown) - 1
	}
	s.last = max(0, min(s.last, len(shown)-1))
	switch {
	case len(shown) == 0 && s.err == nil:
		words := "nothing yet; what is said from now on appears here"
		if s.text != "" {
			words = "no line with this text yet"
		}
		return []string{a.theme.Paint(themes.Dim, text.Cut(words, width))}
	case len(shown) == 0:
		return s.end(a, width)
	}
	lines := []string{}
	if s.follow {
		lines = s.end(a, width)
	}
	first := s.last
	for ; first >= 0 && len(lines) < height; first-- {
		lines = append(s.line(a, shown[first], width), lines...)
	}
	if over := len(lines) - height; over > 0 {
		lines = lines[over:]
	}
	for first = s.last + 1; len(lines) < height && first < len(shown); first++ { // at the top
		lines = append(lines, s.line(a, shown[first], width)...)
	}
	return lines[:min(len(lines), height)]
}

// end says why there will be no more.
func (s *logScreen) end(a *App, width int) []string {
	switch {
	case s.err == nil:
		return nil
	case !errors.Is(s.err, io.EOF):
		lines := []string{}
		for _, l := range text.Wrap(model.Clean(s.err.Error(), 0), width) {
			lines = append(lines, a.theme.Paint(themes.Warning, l))
		}
		return lines
	case len(s.lines) == 0:
		return []string{a.theme.Paint(themes.Dim, "it said nothing")}
	default:
		return []string{a.theme.Paint(themes.Dim, "its end")}
	}
}

// line draws one line of the log, as many as it takes, what was searched for marked.
func (s *logScreen) line(a *App, l string, width int) []string {
	parts := []string{text.Cut(l, width)}
	if !s.cut {
		parts = text.Fold(l, width, 2)
	}
	if s.text == "" {
		return parts
	}
	for i, p := range parts {
		low, at, out := strings.ToLower(p), 0, strings.Builder{}
		if len(low) != len(p) { // letters whose small form is longer: positions would be wrong
			continue
		}
		for {
			next := strings.Index(low[at:], s.text)
			if next < 0 {
				break
			}
			out.WriteString(p[at : at+next])
			out.WriteString(a.theme.Paint(themes.Accent, p[at+next:at+next+len(s.text)]))
			at += next + len(s.text)
		}
		parts[i] = out.String() + p[at:]
	}
	return parts
}

// badges tells what narrows the log and where in it one is.
func (s *logScreen) badges(a *App) []badge {
	bs := []badge{}
	add := func(when bool, words string, token themes.Token) {
		if when {
			bs = append(bs, badge{words, token})
		}
	}
	add(s.note != "", s.note, themes.Warning)
	add(s.ask.Previous, "previous", themes.Accent)
	add(s.ask.All, "all containers", themes.Accent)
	add(s.text != "" && a.filter == nil, filterPrompt+model.Clean(s.text, 40), themes.Accent)
	n := len(s.shown())
	add(s.follow && s.err == nil, fmt.Sprintf("%d, follows", n), themes.Dim)
	add(!s.follow || s.err != nil, fmt.Sprintf("%d of %d", min(s.last+1, n), n), themes.Dim)
	return bs
}
