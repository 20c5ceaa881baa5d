package ui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// palette finds by its words whatever can be gone to or done: for who knows what, and
// not by which key.
type palette struct {
	*filterInput
	all   []command
	found []command
	at    int
}

// command is one line of the palette.
type command struct {
	words string
	help  string
	do    func(a *App) tea.Cmd
}

const palettePrompt = ":"

func (a *App) openPalette() {
	p := &palette{filterInput: newFilterInput(""), all: a.commands()}
	p.input.Prompt = palettePrompt
	p.find()
	a.palette = p
}

// commands are all there are now, those for the row under the cursor first.
func (a *App) commands() []command {
	list := []command{}
	add := func(words, help string, do func(a *App) tea.Cmd) { list = append(list, command{words, help, do}) }
	if l, on := a.top().(*listScreen); on && a.world != nil {
		for _, c := range l.commands(a) {
			add(c.words, c.help, c.do)
		}
	}
	for _, p := range paneOf {
		add(strings.ToLower(listTitle(p.list, false)), "pane "+a.cfg.Keys.Key(keymap.Global, p.action), func(a *App) tea.Cmd {
			a.show(p.list)
			return nil
		})
	}
	if a.world != nil {
		for _, s := range a.world.Sites {
			add("site "+model.Clean(s.Name, 60), "show only this house", func(a *App) tea.Cmd {
				a.site = s.Name
				return nil
			})
		}
	}
	add("all sites", "show every house", func(a *App) tea.Cmd {
		a.site = ""
		return nil
	})
	for _, c := range []struct {
		words  string
		action keymap.Action
	}{{"plans", keymap.Plans}, {"write", keymap.Write}, {"help", keymap.Help}, {"redraw", keymap.Redraw}, {"quit", keymap.Quit}} {
		add(c.words, a.cfg.Keys.Help(keymap.Global, c.action), func(a *App) tea.Cmd { return a.act(c.action) })
	}
	for _, name := range themes.Names()[1:] {
		add("theme "+name, "", func(a *App) tea.Cmd {
			a.setTheme(name)
			a.kept.Theme = name
			return nil
		})
	}
	return list
}

// commands are what can be done to the row under the cursor, or to those marked.
func (s *listScreen) commands(a *App) []command {
	s.refresh(a)
	object := s.object()
	if a.cfg.Actor == nil || object == "" {
		return nil
	}
	list, called := []command{}, s.rows.Object(s.at).Called()
	objects := s.objects()
	if n := len(objects); n > 1 {
		called = fmt.Sprintf("%d marked", n)
	}
	for _, o := range actions.Offers(a.world, object) {
		if o.Why != "" {
			continue // the menu says why
		}
		list = append(list, command{model.Clean(o.Action+" "+called, 80), o.Words, func(a *App) tea.Cmd {
			a.take(o, objects)
			return nil
		}})
	}
	return list
}

// find looks for commands with all the words that are typed, those that begin so first.
func (p *palette) find() {
	typed := strings.Fields(strings.ToLower(p.input.Value()))
	p.found, p.at = nil, 0
	for _, c := range p.all {
		words := strings.ToLower(c.words)
		if !slices.ContainsFunc(typed, func(w string) bool { return !strings.Contains(words, w) }) {
			p.found = append(p.found, c)
		}
	}
	if begun := strings.ToLower(strings.TrimSpace(p.input.Value())); begun != "" {
		slices.SortStableFunc(p.found, func(a, b command) int {
			first := func(c command) int {
				if strings.HasPrefix(strings.ToLower(c.words), begun) {
					return 0
				}
				return 1
			}
			return first(a) - first(b)
		})
	}
}

// typePalette edits what is looked for, moves, goes, or leaves.
func (a *App) typePalette(msg tea.KeyPressMsg) tea.Cmd {
	p := a.palette
	switch action, _ := a.cfg.Keys.Lookup(msg.String(), keymap.Palette); action {
	case keymap.Clear:
		a.palette = nil
	case keymap.Up:
		p.at = (p.at + max(1, len(p.found)) - 1) % max(1, len(p.found))
	case keymap.Down:
		p.at = (p.at + 1) % max(1, len(p.found))
	case keymap.Done:
		a.palette = nil
		if p.at < len(p.found) {
			return p.found[p.at].do(a)
		}
	default:
		var cmd tea.Cmd
		p.input, cmd = p.input.Update(msg)
		p.find()
		return cmd
	}
	return nil
}

// draw gives the commands that were found, as many as there is room for.
func (p *palette) draw(a *App, width, height int) []string {
	if len(p.found) == 0 {
		return []string{a.theme.Paint(themes.Dim, text.Cut("nothing is called so", width))}
	}
	column := 0
	for _, c := range p.found {
		column = max(column, text.Width(c.words))
	}
	column = min(column, width*3/5)
	first := max(0, min(p.at-height/2, len(p.found)-height))
	lines := []string{}
	for i, c := range p.found[first:min(len(p.found), first+height)] {
		line := view.Line{{Text: "  "}, {Text: text.Pad(text.Cut(c.words, column), column) + "  "}, {Text: c.help, Token: themes.Dim}}
		if first+i == p.at {
			line[0], line[1].Token = view.Cell{Text: "› ", Token: themes.Accent}, themes.Strong
		}
		lines = append(lines, line.Draw(a.theme, width))
	}
	return lines
}
