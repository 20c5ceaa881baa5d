// Package linear is the cockpit in words, line by line: for screen readers, braille
// displays, dumb terminals and very slow links. Nothing is drawn over; a line that was
// written stays. One types what one wants to hear of, and what changes is said.
package linear

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/view"
)

// Feed gives the newest World.
type Feed interface {
	// Changed receives after something changed since the last receive.
	Changed() <-chan struct{}
	// World assembles the World of now.
	World() *model.World
}

// Config is what a session needs.
type Config struct {
	Feed Feed
	// Lines are what is typed; closed when there is no more to come.
	Lines <-chan string
	Out   io.Writer
	Width int // cells a line may take
	Site  string
	// Every is how often changes are told at most.
	Every time.Duration
	// Lose says what breaks when sites go dark together.
	Lose func(w *model.World, sites []string) *model.Verdict
	// Looked is told of every line typed. It may be nil.
	Looked func()
}

// session is one run.
type session struct {
	Config
	world *model.World
	told  map[string]bool // changes that were told, or were there at the start
	list  view.List       // shown last
	rows  view.Rows
	next  int // its first row that was not read yet
}

// page is how many rows are read at a time.
const page = 12

// Run tells what is, then answers what is typed and tells what changes, until quit is
// typed, there is no more to come, or ctx ends.
func Run(ctx context.Context, w *model.World, cfg Config) error {
	s := &session{Config: cfg, world: w, told: map[string]bool{}}
	s.news(w)
	s.overview()
	s.prompt()
	var quiet <-chan time.Time // until then changes wait
	waiting := false
	for {
		changed := cfg.Feed.Changed()
		if quiet != nil {
			changed = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case line, more := <-cfg.Lines:
			if !more || s.answer(line) {
				return nil
			}
			s.prompt()
		case <-changed:
			waiting = true
			quiet = time.After(cfg.Every)
		case <-quiet:
			quiet = nil
			if waiting {
				waiting = false
				s.announce()
			}
		}
	}
}

func (s *session) prompt() { fmt.Fprint(s.Out, "geotop> ") }

// say writes a sentence, wrapped.
func (s *session) say(format string, args ...any) {
	for _, l := range text.Wrap(model.Clean(fmt.Sprintf(format, args...), 0), s.Width) {
		fmt.Fprintln(s.Out, l)
	}
}

// announce tells what changed since it last did.
func (s *session) announce() {
	before := s.world
	s.world = s.Feed.World()
	fresh := s.news(s.world)
	if len(fresh) == 0 && s.world.Status == before.Status {
		return
	}
	fmt.Fprintln(s.Out)
	for _, words := range fresh {
		s.say("%s", words)
	}
	if s.world.Status != before.Status {
		s.say("The whole is %s now.", s.world.Status)
	}
	s.prompt()
}

// news gives what the timeline has that was not told yet, the oldest first.
func (s *session) news(w *model.World) (fresh []string) {
	rows := view.Timeline().Rows(w, view.Query{Sort: -1, Site: s.Site})
	for i := range rows.Len() {
		key := rows.Key(i)
		if s.told[key] {
			continue
		}
		s.told[key] = true
		if rows.Object(i).Kind == "Change" || rows.Severity(i) != model.OK { // events that are well are many
			fresh = append(fresh, row(w, view.Timeline(), rows, i))
		}
	}
	slices.Reverse(fresh)
	return fresh
}

// overview is the first thing one wants to hear.
func (s *session) overview() {
	w := s.world
	for _, c := range w.Clusters {
		s.say("Cluster %s: %s. %d houses, %d nodes.", c.Name, w.Status, len(w.Sites), len(w.Nodes))
	}
	s.problems()
	if n := view.Unseen(w); n > 0 {
		s.say("%d things happened since you last looked, %s ago: type timeline.", n, model.Ago(w.At.Sub(w.LookedAt)))
	}
	s.read(view.Sites(), nil)
	s.say("Type help for what can be asked.")
}

// problems tells what needs attention, worst first.
func (s *session) problems() {
	w := s.world
	if len(w.Reasons) == 0 {
		s.say("Nothing needs attention.")
		return
	}
	for i, r := range w.Reasons {
		s.say("Problem %d of %d, %s: %s: %s.", i+1, len(w.Reasons), r.Severity, r.Object, strings.TrimRight(r.Text, "."))
	}
}

// answer does what was typed and reports whether it was to quit.
func (s *session) answer(line string) (quit bool) {
	if s.Looked != nil {
		s.Looked()
	}
	s.world = s.Feed.World()
	s.news(s.world) // whoever asks hears it now
	words := strings.Fields(strings.ToLower(model.Clean(line, 200)))
	if len(words) == 0 {
		words = []string{"more"}
	}
	rest := words[1:]
	switch what := words[0]; {
	case begins("quit", what, 1), what == "exit":
		return true
	case begins("help", what, 1), what == "?":
		s.help()
	case begins("overview", what, 1):
		s.overview()
	case begins("problems", what, 2):
		s.problems()
	case begins("more", what, 1):
		s.more()
	case begins("details", what, 1):
		s.details(rest)
	case begins("only", what, 2):
		s.only(rest)
	case what == "what", begins("whatif", what, 2) && len(rest) > 0:
		s.whatIf(slices.DeleteFunc(rest, func(w string) bool { return w == "if" }))
	default:
		if l := listNamed(what); l != nil {
			s.read(l, rest)
		} else {
			s.say("%s is nothing geotop knows. Type help for what can be asked.", what)
		}
	}
	return false
}

// begins reports whether what was typed is the word, or its beginning.
func begins(word, typed string, least int) bool {
	return len(typed) >= least && strings.HasPrefix(word, typed)
}

// listNamed finds a list by its name, the beginning of it, or its digit on the screen.
func listNamed(typed string) view.List {
	for i, l := range view.Lists() {
		if info := l.Info(); begins(info.Name, typed, 2) || begins(strings.ToLower(info.Title), typed, 2) || typed == fmt.Sprint(i+1) {
			return l
		}
	}
	return nil
}

func (s *session) help() {
	names := []string{}
	for _, l := range view.Lists() {
		names = append(names, l.Info().Name)
	}
	s.say("Lists: %s. The beginning of a word will do. Words behind one pick rows: pods moka, volumes postgres.", strings.Join(names, ", "))
	s.say("more: goes on reading; so does Enter alone. details WORDS: all about the first row of the last list that has them.")
	s.say("problems: what needs attention, worst first. overview: what was said at the beginning.")
	s.say("whatif HOUSE...: what breaks when these go dark together. only HOUSE: of that house alone; only: of all.")
	s.say("What changes is said by itself. quit: leaves. geotop --help has the commands that change things.")
}

// only narrows what is read to a house.
func (s *session) only(words []string) {
	s.Site = strings.Join(words, " ")
	switch {
	case s.Site == "":
		s.say("All houses.")
	case s.world.Site(s.Site) == nil:
		s.Site = ""
		s.say("There is no such house. All houses.")
	default:
		s.say("Only %s.", s.Site)
	}
}

// read begins to read a list.
func (s *session) read(l view.List, words []string) {
	q := view.Query{Sort: -1, Text: strings.Join(words, " "), Site: s.Site}
	if l.Info().Name == "sites" && s.Site != "" {
		q.Text += " " + s.Site
		q.Site = ""
	}
	s.list, s.rows, s.next = l, l.Rows(s.world, q), 0
	title := l.Info().Title
	if s.rows.Len() == 0 {
		s.say("%s: none%s.", title, s.why(l))
		return
	}
	s.say("%s: %d.", title, s.rows.Len())
	s.more()
}

// why says why a list may be empty though there is something.
func (s *session) why(l view.List) string {
	for _, name := range l.Info().Sources {
		for _, src := range s.world.Sources {
			if src.Name == name && src.Status != model.SourceOK {
				return ", as " + name + " is " + string(src.Status) + ": " + src.Error
			}
		}
	}
	return ""
}

func (s *session) more() {
	switch {
	case s.rows == nil:
		s.say("Nothing is being read.")
		return
	case s.next >= s.rows.Len():
		s.say("That was all.")
		return
	}
	last := min(s.rows.Len(), s.next+page)
	for ; s.next < last; s.next++ {
		s.say("%s", row(s.world, s.list, s.rows, s.next))
	}
	if left := s.rows.Len() - last; left > 0 {
		s.say("%d more: press Enter.", left)
	}
}

// spoken are the heads of columns that are short for want of room.
var spoken = map[string]string{"cp": "control planes", "mem": "memory", "mem req": "memory requested", "cpu req": "cpu requested", "×": "times", "rtt": "round trip"}

// row is a list's row as a sentence: its name, then what each column says.
func row(w *model.World, l view.List, rows view.Rows, i int) string {
	infos := l.Columns(w)
	columns := make([]int, 0, len(infos))
	for c := range infos {
		if infos[c].Title != "" {
			columns = append(columns, c)
		}
	}
	cells := rows.Cells(i, columns)
	parts := []string{}
	name := ""
	for j, c := range columns {
		said := strings.TrimSpace(cells[j].Text)
		switch title := strings.ToLower(infos[c].Title); {
		case said == "" || said == "-":
		case name == "" && l.Info().Name != "timeline":
			name = said
		case l.Info().Name == "timeline" && title == "age":
			name = strings.TrimPrefix(said, "*") + " ago"
		case slices.Contains([]string{"state", "message", "cause", "what", "object"}, title):
			parts = append(parts, said)
		default:
			parts = append(parts, cmp.Or(spoken[title], title)+" "+said)
		}
	}
	words := name + ": " + strings.Join(parts, ", ")
	if sev := rows.Severity(i); sev != model.OK {
		words = sev.String() + ": " + words
	}
	if note := rows.Note(i).Text; note != "" && rows.Severity(i) != model.OK && !strings.Contains(words, note) {
		words += "; " + note
	}
	return strings.TrimRight(words, ".") + "."
}

// details reads all about the first row that has the words.
func (s *session) details(words []string) {
	if s.list == nil {
		s.list = view.Sites()
	}
	rows := s.list.Rows(s.world, view.Query{Sort: -1, Text: strings.Join(words, " "), Site: s.Site})
	if rows.Len() == 0 {
		s.say("No row of %s has that.", strings.ToLower(s.list.Info().Title))
		return
	}
	s.lines(rows.Details(0))
}

// lines reads lines of details; empty ones say nothing.
func (s *session) lines(lines []view.Line) {
	for _, l := range lines {
		parts := []string{}
		for _, c := range l {
			said := strings.TrimSpace(c.Text)
			for sev := model.OK; sev <= model.Critical; sev++ {
				if m := view.Mark(sev); said == m.Text && c.Token == m.Token {
					said = sev.String() + ":"
				}
			}
			parts = append(parts, said)
		}
		if words := strings.Join(strings.Fields(strings.Join(parts, " ")), " "); words != "" {
			s.say("%s", words)
		}
	}
}

// whatIf reads what breaks when the houses go dark together.
func (s *session) whatIf(sites []string) {
	for _, name := range sites {
		if s.world.Site(name) == nil {
			s.say("There is no house %s.", name)
			return
		}
	}
	if len(sites) == 0 {
		s.read(view.WhatIf(), nil)
		return
	}
	alone := *s.world
	alone.Verdicts, alone.Fixes = []*model.Verdict{s.Lose(s.world, sites)}, nil
	rows := view.WhatIf().Rows(&alone, view.Query{Sort: -1})
	for i := range rows.Len() {
		s.lines(rows.Details(i))
	}
}
