package pictures

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/x/vt"

	"github.com/geotop/geotop/lab/term"
)

// Between two frames of a film lies the time that lay between them, within these.
const (
	shortest = 500 * time.Millisecond
	longest  = 2500 * time.Millisecond
	ending   = 4 * time.Second
)

// film is screens one after the other in one picture. Lines that are on several of them
// are kept once.
type film struct {
	width, height int
	title         string
	lines         map[string]int // by what is drawn
	kept          []string
	frames        []shot
}

// shot is one screen: its lines, and how long it stays.
type shot struct {
	lines []int
	text  string
	since time.Time
	stays time.Duration
}

// take adds what is on the screen now, unless it is there already.
func (f *film) take(t *term.Term, now time.Time) {
	text := t.Screen()
	if n := len(f.frames); n > 0 {
		last := &f.frames[n-1]
		if last.text == text {
			return
		}
		last.stays = max(shortest, min(longest, now.Sub(last.since)))
		if now.Sub(last.since) < shortest/2 && n > 1 { // half drawn, or too short to see
			f.frames = f.frames[:n-1]
		}
	}
	s := shot{text: text, since: now, stays: ending}
	t.Still(func(screen *vt.SafeEmulator) {
		for y := range f.height {
			s.lines = append(s.lines, f.keep(line(screen, y, 0)))
		}
	})
	f.frames = append(f.frames, s)
}

// keep gives the number of a line, -1 of an empty one.
func (f *film) keep(drawn string) int {
	if drawn == "" {
		return -1
	}
	id, known := f.lines[drawn]
	if !known {
		id = len(f.kept)
		f.lines[drawn] = id
		f.kept = append(f.kept, drawn)
	}
	return id
}

// svg shows the frames one after the other, for ever.
func (f *film) svg() string {
	var b strings.Builder
	begin(&b, size(f.width, cellWidth), size(f.height, cellHeight), f.title)
	whole := time.Duration(0)
	for _, s := range f.frames {
		whole += s.stays
	}
	b.WriteString("<style>\n.f{visibility:hidden;animation-duration:")
	fmt.Fprintf(&b, "%.2fs;animation-iteration-count:infinite;animation-timing-function:step-end}\n", whole.Seconds())
	at := time.Duration(0)
	for i, s := range f.frames {
		from, to := 100*at.Seconds()/whole.Seconds(), 100*(at+s.stays).Seconds()/whole.Seconds()
		at += s.stays
		before := "0%{visibility:hidden}"
		if i == 0 {
			before = ""
		}
		fmt.Fprintf(&b, "@keyframes k%d{%s%.3f%%{visibility:visible}%.3f%%,100%%{visibility:hidden}}.f%d{animation-name:k%d}\n", i, before, from, min(to, 99.999), i, i)
	}
	b.WriteString("</style>\n<defs>\n")
	for i, l := range f.kept {
		fmt.Fprintf(&b, `<g id="l%d">`+"\n%s</g>\n", i, l)
	}
	fmt.Fprintf(&b, "</defs>\n"+`<rect width="100%%" height="100%%" rx="8" fill="%s"/>`+"\n"+`<g %s>`+"\n", background, letters)
	for i, s := range f.frames {
		fmt.Fprintf(&b, `<g class="f f%d">`, i)
		for y, id := range s.lines {
			if id >= 0 {
				fmt.Fprintf(&b, `<use href="#l%d" y="%.0f"/>`, id, float64(y)*cellHeight)
			}
		}
		b.WriteString("</g>\n")
	}
	b.WriteString("</g></svg>\n")
	return b.String()
}

// scene is what is typed, and what is on the screen then.
type scene struct {
	keys, shows string
	still       time.Duration // for reading it
}

// Film has a house got ready to be switched off, on the living demo, and draws what is
// on the screen meanwhile.
func Film(ctx context.Context, binary, out string) error {
	f := film{width: 80, height: 24, title: "geotop gets a house ready for a planned power cut", lines: map[string]int{}}
	t, err := term.Start(f.width, f.height, []string{"COLORTERM=truecolor", "GEOTOP_CONFIG=" + os.DevNull}, binary, "--demo=healthy", "--write", "--theme", "dark")
	if err != nil {
		return err
	}
	defer t.Close()
	for _, s := range []scene{
		{"", "all is well", 2 * time.Second},
		{"G", "moka", time.Second},
		{"a", "outage", 2 * time.Second},
		{"4", "have it done", 3 * time.Second},
		{"y", "type moka", time.Second},
		{"moka", "moka: moka", time.Second},
		{"\r", "switched off: done", 3 * time.Second},
		{"q", "cordoned", 3 * time.Second},
	} {
		if err := t.Type(s.keys); err != nil {
			return err
		}
		if err := f.watch(ctx, t, s); err != nil {
			return err
		}
	}
	return os.WriteFile(out, []byte(f.svg()), 0o644)
}

// watch takes what is on the screen until it shows what the scene ends with, and on for
// as long as that is to be read.
func (f *film) watch(ctx context.Context, t *term.Term, s scene) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	until := time.Time{}
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("no %q on the screen: %w", s.shows, ctx.Err())
		case now := <-tick.C:
			f.take(t, now)
			switch {
			case until.IsZero() && strings.Contains(t.Screen(), s.shows):
				until = now.Add(s.still)
			case !until.IsZero() && now.After(until):
				return nil
			}
		}
	}
}
