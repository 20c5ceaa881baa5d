package ui

import (
	"slices"
	"strings"

	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// pageScreen is text one scrolls: details or help.
type pageScreen struct {
	name  string
	lines func(w *model.World) []view.Line
	find  string // only lines with each of its words are shown
	scroll
}

// setFilter shows only lines with a text.
func (s *pageScreen) setFilter(text string) { s.find, s.first = text, 0 }

// badges tells what narrows the page.
func (s *pageScreen) badges(a *App) []badge {
	if s.find == "" || a.filter != nil {
		return nil
	}
	return []badge{{filterPrompt + model.Clean(s.find, 40), themes.Accent}}
}

// has reports whether the line has all the words, case ignored.
func has(l view.Line, words []string) bool {
	hay := strings.ToLower(l.Text())
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(hay, w) })
}

// scroll is where in its lines a screen is.
type scroll struct {
	first int
	count int  // lines of the last frame, wrapped
	moved bool // by the operator
}

// turn moves, and reports whether the key was for that.
func (s *scroll) turn(a *App, action keymap.Action) bool {
	by := stride(action, a.bodyHeight()-1)
	switch {
	case by != 0:
		s.first += by
	case action == keymap.Top:
		s.first = 0
	case action == keymap.Bottom:
		s.first = s.count
	default:
		return false
	}
	s.moved = true
	return true
}

// stride is how far a key goes down, with pages of so many lines; 0 for other keys.
func stride(action keymap.Action, page int) int {
	switch action {
	case keymap.Up:
		return -1
	case keymap.Down:
		return 1
	case keymap.PageUp:
		return -max(1, page)
	case keymap.PageDown:
		return max(1, page)
	default:
		return 0
	}
}

func (s *pageScreen) scope() keymap.Scope { return keymap.Page }
func (s *pageScreen) crumb() string       { return s.name }

// newDetails shows the details of one row for as long as it exists.
func newDetails(l view.List, key, name string) *pageScreen {
	var last []view.Line
	return &pageScreen{name: name, lines: func(w *model.World) []view.Line {
		rows := l.Rows(w, view.Query{Sort: -1})
		i := rows.Find(key)
		if i < 0 {
			gone := view.Line{{Text: "no longer there; last seen:", Token: themes.Warning}}
			return append([]view.Line{gone, nil}, last...)
		}
		last = rows.Details(i)
		return last
	}}
}

// newHelp lists every binding of the table.
func newHelp(a *App) *pageScreen {
	return &pageScreen{name: "Help", lines: func(*model.World) []view.Line {
		lines := []view.Line{{{Text: "geotop shows one cluster by the houses it runs in.", Token: themes.Text}}}
		for _, scope := range keymap.Scopes {
			lines = append(lines, nil, view.Line{{Text: string(scope), Token: themes.Title}})
			for _, b := range a.cfg.Keys.In(scope) {
				names := make([]string, len(b.Keys))
				for i, k := range b.Keys {
					names[i] = a.keyName(k)
				}
				lines = append(lines, view.Line{
					{Text: text.Pad(strings.Join(names, " "), 14) + " ", Token: themes.Key},
					{Text: b.Help},
				})
			}
		}
		return append(lines, nil, view.Line{{Text: "marks", Token: themes.Title}},
			view.Line{view.Mark(model.OK), {Text: " well"}},
			view.Line{view.Mark(model.Warning), {Text: " needs attention"}},
			view.Line{view.Mark(model.Critical), {Text: " down or dark"}},
			view.Line{view.Mark(model.Unknown), {Text: " could not be looked at; never to be taken for well"}})
	}}
}

func (s *pageScreen) act(a *App, action keymap.Action) bool {
	switch {
	case action == keymap.Filter:
		a.startFilter(s.find)
	case action == keymap.Back && s.find != "": // what narrows goes before the page
		s.find = ""
	default:
		return s.turn(a, action) || action == keymap.Help && s.name == "Help"
	}
	return true
}

func (s *pageScreen) draw(a *App, width, height int) []string {
	var lines []string
	words := strings.Fields(strings.ToLower(s.find))
	for _, l := range s.lines(a.world) {
		if len(words) == 0 || has(l, words) {
			lines = append(lines, wrapLine(a.theme, l, width)...)
		}
	}
	if len(lines) == 0 && len(words) > 0 {
		lines = []string{a.theme.Paint(themes.Dim, text.Cut("nothing here has that", width))}
	}
	s.count = len(lines)
	s.first = max(0, min(s.first, s.count-height))
	return lines[s.first:min(s.count, s.first+height)]
}

// wrapLine draws a line; the last cell flows on under itself. One word alone
// is not worth a line of its own and is cut.
func wrapLine(th *themes.Theme, l view.Line, width int) []string {
	if text.Width(l.Text()) <= width || len(l) == 0 {
		return []string{l.Draw(th, width)}
	}
	head, last := l[:len(l)-1], l[len(l)-1]
	indent := text.Width(head.Text())
	if indent+4 < width && !strings.Contains(last.Text, " ") {
		return []string{l.Draw(th, width)}
	}
	if indent > width/2 {
		indent = min(2, width)
		out := []string{head.Draw(th, width)}
		for _, part := range text.Wrap(model.Clean(last.Text, 0), max(1, width-indent)) {
			out = append(out, strings.Repeat(" ", indent)+th.Paint(last.Token, part))
		}
		return out
	}
	var out []string
	for i, part := range text.Wrap(model.Clean(last.Text, 0), max(1, width-indent)) {
		lead := strings.Repeat(" ", indent)
		if i == 0 {
			lead = head.Draw(th, indent)
		}
		out = append(out, lead+th.Paint(last.Token, part))
	}
	return out
}

// drawLines draws as many lines as there is room for.
func drawLines(th *themes.Theme, lines []view.Line, width, height int) []string {
	var out []string
	for _, l := range lines {
		if out = append(out, wrapLine(th, l, width)...); len(out) >= height {
			return out[:height]
		}
	}
	return out
}

// beside puts two columns of lines next to each other with a rule between.
func beside(th *themes.Theme, left, right []string, width, height int) []string {
	rule := th.Paint(themes.Rule, "│")
	out := make([]string, 0, height)
	for i := range height {
		l, r := "", ""
		if i < len(left) {
			l = left[i]
		}
		if i < len(right) {
			r = right[i]
		}
		out = append(out, strings.TrimRight(text.Pad(l, width)+" "+rule+" "+r, " "))
	}
	return out
}
