package ui

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

const (
	minWidth  = 30 // below this, or minHeight, the worst state is all there is room for
	minHeight = 8
)

// redraw makes the frame anew.
func (a *App) redraw() {
	switch {
	case a.width <= 0 || a.height <= 0 || a.world == nil:
		a.frame = ""
	case a.width < minWidth || a.height < minHeight:
		a.frame = a.drawTiny()
	default:
		a.frame = a.drawFull()
	}
	if a.cfg.ASCII {
		a.frame = text.ASCII(a.frame)
	}
}

// drawTiny is the worst state and how to leave.
func (a *App) drawTiny() string {
	lines := []string{text.Cut(a.headline(), a.width)}
	if a.width < 3 {
		lines[0] = view.Mark(a.world.Status).Text
	}
	if a.height > 1 {
		lines = append(lines, text.Cut("q quit", a.width))
	}
	return strings.Join(lines, "\n")
}

// headline is the state of everything in one line without style.
func (a *App) headline() string {
	mark := view.Mark(a.world.Status).Text
	if len(a.world.Reasons) == 0 {
		return mark + " ok"
	}
	r := a.world.Reasons[0]
	return mark + " " + reasonName(r) + ": " + model.Clean(r.Text, 0)
}

func (a *App) drawFull() string {
	body := a.bodyHeight()
	lines := append(make([]string, 0, a.height), a.header(), a.tabs())
	var content []string
	switch {
	case a.isHome():
		content = a.drawHome(a.width, body)
	case a.isTailnet():
		content = a.drawTailnet(a.width, body)
	case a.isWhatIf():
		content = a.drawWhatIf(a.width, body)
	default:
		content = a.top().draw(a, a.width, body)
	}
	if a.palette != nil {
		content = a.palette.draw(a, a.width, body)
	}
	if a.question != nil {
		content = overlay(content, a.drawQuestion(), a.width, body)
	}
	content = a.withNote(content, body)
	for i := range body {
		if i < len(content) {
			lines = append(lines, content[i])
		} else {
			lines = append(lines, "")
		}
	}
	return strings.Join(append(lines, a.footer()), "\n")
}

// withNote puts what is the matter with the row under the cursor on the body's
// last line.
func (a *App) withNote(content []string, body int) []string {
	l, ok := a.top().(*listScreen)
	if !ok || a.question != nil || a.palette != nil || a.isHome() || !l.noteLine(a) {
		return content
	}
	c := l.rows.Note(l.at)
	for len(content) < body {
		content = append(content, "")
	}
	content[body-1] = a.theme.Paint(c.Token, text.Cut(c.Text, a.width))
	return content
}

// bodyHeight is the room between the two lines above and the one below.
func (a *App) bodyHeight() int { return max(1, a.height-3) }

// header: the state of everything, the cluster, the sources, RO or RW.
func (a *App) header() string {
	mode := badge{"RO", themes.Dim}
	if a.write {
		mode = badge{" RW ", themes.Write}
	}
	left := []badge{a.statusBadge()}
	if b, is := a.reelBadge(); is { // before the name: what is not live must say so
		left = append(left, b)
	}
	if len(a.world.Clusters) > 0 {
		left = append(left, badge{model.Clean(a.world.Clusters[0].Name, 40), themes.Strong})
	}
	if a.paused {
		age := time.Duration(0)
		if a.held != nil {
			age = a.held.At.Sub(a.world.At)
		}
		left = append(left, badge{"paused " + model.Ago(age), themes.Alert})
	}
	if a.busy() {
		p := a.job.plan
		doing := fmt.Sprintf("› %s %d/%d", model.Clean(p.Action, 40), p.Done(), len(p.Steps))
		if len(p.Steps) == 0 {
			doing = "› taking over"
		}
		left = append(left, badge{doing, themes.Accent})
	}
	right := append(sourceBadges(a.world), mode)
	if row(left)+2+row(right) > a.width {
		right = append(fewerBadges(right[:len(right)-1]), mode)
	}
	return joinBadges(a.theme, left, right, a.width)
}

// fewerBadges counts the sources that are well, where there is no room to name
// them all: the others are what one has to know.
func fewerBadges(sources []badge) []badge {
	kept, well := []badge{}, 0
	for _, b := range sources {
		if b.token == themes.OK {
			well++
		} else {
			kept = append(kept, b)
		}
	}
	words := "sources ok"
	switch {
	case well == 0:
		return kept
	case len(kept) > 0 && well == 1:
		words = "other ok"
	case len(kept) > 0:
		words = "others ok"
	}
	return append([]badge{{fmt.Sprintf("%d %s", well, words), themes.OK}}, kept...)
}

// row is how wide badges are beside each other.
func row(bs []badge) int {
	n := 0
	for _, b := range bs {
		n += text.Width(b.text) + 2
	}
	return max(0, n-2)
}

// badge is a word of the header.
type badge struct {
	text  string
	token themes.Token
}

func (a *App) statusBadge() badge {
	c := view.Mark(a.world.Status)
	switch a.world.Status {
	case model.OK:
		return badge{c.Text + " ok", c.Token}
	case model.Critical:
		return badge{" " + c.Text + " CRITICAL ", themes.Alert}
	default:
		return badge{c.Text + " " + a.world.Status.String(), c.Token}
	}
}

// joinBadges puts badges to both ends of the line. What does not fit goes from
// the middle out: the first of the right while there are more than two, then
// the last of the left, then the rest.
func joinBadges(th *themes.Theme, left, right []badge, width int) string {
	for _, side := range [][]badge{left, right} {
		for i := range side {
			side[i].text = model.Strip(side[i].text) // names from outside are among them
		}
	}
	for row(left)+2+row(right) > width {
		switch {
		case len(right) > 2:
			right = right[1:]
		case len(left) > 1:
			room := width - 2 - row(right) - row(left[:len(left)-1]) - 2
			if room >= 6 {
				left[len(left)-1].text = text.Middle(left[len(left)-1].text, room)
				continue
			}
			left = left[:len(left)-1]
		case len(right) > 1:
			right = right[1:]
		default:
			return text.Cut(paintBadges(th, left), width)
		}
	}
	gap := width - row(left) - row(right)
	return paintBadges(th, left) + strings.Repeat(" ", gap) + paintBadges(th, right)
}

func paintBadges(th *themes.Theme, bs []badge) string {
	parts := make([]string, len(bs))
	for i, b := range bs {
		parts[i] = th.Paint(b.token, b.text)
	}
	return strings.Join(parts, "  ")
}

// groupNames are the words the header has room for.
var groupNames = map[string]string{"kube": "api"}

// sourceBadges shows every group of sources with its worst state and, once it
// is not fresh, its age. A fresh one shows no age: the screen is still then.
func sourceBadges(w *model.World) []badge {
	var order []string
	worst := map[string]model.Source{}
	for _, s := range w.Sources {
		g := s.Group()
		old, seen := worst[g]
		if !seen {
			order = append(order, g)
		}
		if !seen || (old.Status == model.SourceOK && s.Status != model.SourceOK && !s.Optional) {
			worst[g] = s
		}
	}
	var badges []badge
	for i := len(order) - 1; i >= 0; i-- { // the most important last: it is cut last
		s := worst[order[i]]
		if s.Status == model.SourceAbsent && s.Group() != "metrics" {
			continue // the cluster has no such thing
		}
		name := groupNames[order[i]]
		if name == "" {
			name = order[i]
		}
		badges = append(badges, sourceBadge(name, s, w))
	}
	return badges
}

func sourceBadge(name string, s model.Source, w *model.World) badge {
	switch s.Status {
	case model.SourceOK:
		return badge{name + " ok", themes.OK}
	case model.SourcePending:
		return badge{name + " …", themes.Dim}
	case model.SourceAbsent:
		return badge{name + " off", themes.Dim}
	case model.SourceForbidden:
		return badge{name + " denied", themes.Unknown}
	case model.SourceStale:
		return badge{name + " " + model.Ago(s.Age(w.At)) + "!", themes.Critical}
	default:
		return badge{name + " down", themes.Critical}
	}
}

// tabs: the panes where there is room, else where one is; then what narrows the list.
func (a *App) tabs() string {
	if a.palette != nil {
		return a.keyHints(a.cfg.Keys.In(keymap.Palette))
	}
	right := []badge{}
	if s, told := a.top().(interface{ badges(a *App) []badge }); told {
		right = s.badges(a)
	}
	if a.site != "" {
		right = append([]badge{{"site " + a.site, themes.Accent}}, right...)
	}
	if a.cfg.Namespace != "" {
		right = append([]badge{{"-n " + a.cfg.Namespace, themes.Accent}}, right...)
	}
	here := badge{a.crumbs(), themes.Title}
	if len(a.stack) > 1 {
		if room := a.width - 2 - row(right); row([]badge{here}) > room { // where one is stays, in the middle less
			here.text = text.Middle(here.text, max(room, a.width/2))
		}
		return joinBadges(a.theme, []badge{here}, right, a.width)
	}
	for _, try := range []struct {
		sep   string
		short bool
	}{{"  ", false}, {" ", false}, {" ", true}} {
		if line, ok := a.allTabs(try.sep, try.short, right); ok {
			return line
		}
	}
	return joinBadges(a.theme, []badge{here}, right, a.width)
}

// allTabs names all panes, this far apart, where there is room for them.
func (a *App) allTabs(sep string, short bool, right []badge) (line string, fits bool) {
	names, used := []string{}, 0
	for _, p := range paneOf {
		tab := a.cfg.Keys.Key(keymap.Global, p.action) + " " + listTitle(p.list, short && p.list != a.pane())
		token := themes.Dim
		if p.list == a.pane() {
			token = themes.Title
		}
		names = append(names, a.theme.Paint(token, tab))
		used += text.Width(tab) + len(sep)
	}
	for i := range right {
		right[i].text = model.Strip(right[i].text) // names from outside are among them
	}
	end := paintBadges(a.theme, right)
	room := a.width - (used - len(sep)) - text.Width(ansi.Strip(end))
	return strings.Join(names, sep) + strings.Repeat(" ", max(0, room)) + end, room >= 2
}

func listTitle(name string, short bool) string {
	for _, l := range view.Lists() {
		switch info := l.Info(); {
		case info.Name != name:
		case short && info.Short != "":
			return info.Short
		default:
			return info.Title
		}
	}
	return name
}

func (a *App) crumbs() string {
	parts := make([]string, len(a.stack))
	for i, s := range a.stack {
		parts[i] = model.Clean(s.crumb(), 0)
	}
	return strings.Join(parts, " › ")
}

// badges tells what narrows the list and where in it one is.
func (s *listScreen) badges(a *App) []badge {
	s.refresh(a)
	var bs []badge
	if n := len(s.marked); n > 0 {
		bs = append(bs, badge{fmt.Sprintf("%d marked", n), themes.Accent})
	}
	if s.query.Problems {
		bs = append(bs, badge{"only problems", themes.Accent})
	}
	if s.query.Text != "" && a.filter == nil {
		bs = append(bs, badge{filterPrompt + model.Clean(s.query.Text, 40), themes.Accent})
	}
	count := fmt.Sprintf("%d", s.rows.Len())
	if s.rows.Len() != s.rows.Total() {
		count = fmt.Sprintf("%d of %d", s.rows.Len(), s.rows.Total())
	}
	return append(bs, badge{count, themes.Dim})
}

// footer: the filter being typed, a note, or the keys that work now.
func (a *App) footer() string {
	switch {
	case a.filter != nil:
		return a.filter.line(a.width)
	case a.palette != nil:
		return a.palette.line(a.width)
	case a.typed != nil:
		return a.typed.line(a.width)
	case a.note != "":
		return a.theme.Paint(themes.Accent, text.Cut(a.note, a.width))
	case a.newHere && a.question == nil:
		return a.greeting()
	}
	scope := a.top().scope()
	if a.question != nil {
		return a.keyHints(a.cfg.Keys.In(keymap.Question))
	}
	return a.keyHints(append(a.cfg.Keys.In(keymap.Global), a.cfg.Keys.In(scope)...))
}

// greeting is the footer of those who look for the first time.
func (a *App) greeting() string {
	key := func(s keymap.Scope, action keymap.Action) string {
		for _, b := range a.cfg.Keys.In(s) {
			if b.Action == action {
				return a.keyName(b.Keys[0])
			}
		}
		return ""
	}
	back := key(keymap.Global, keymap.Back)
	words := fmt.Sprintf("%s help  %s quit  new here: %s opens, %s goes back, %s finds anything",
		key(keymap.Global, keymap.Help), back, key(keymap.List, keymap.Open), back, key(keymap.Global, keymap.Find))
	return a.theme.Paint(themes.Accent, text.Cut(words, a.width))
}

// useful reports whether a key does anything on the screen as it is.
func (a *App) useful(action keymap.Action) bool {
	s, choosy := a.top().(interface {
		offers(*App, keymap.Action) bool
	})
	return !choosy || a.question != nil || s.offers(a, action)
}

// keyName is how a key is called on the screen.
func (a *App) keyName(key string) string {
	if name := keymap.Name(key); !a.cfg.ASCII || text.ASCII(name) == name {
		return name
	}
	return strings.ToUpper(key[:1]) + key[1:] // arrows, and Enter, are signs
}

// keyHints writes as many hints as fit, never half a one.
func (a *App) keyHints(bindings []keymap.Binding) string {
	var b strings.Builder
	left := a.width
	for _, k := range bindings {
		if k.Short == "" || !a.useful(k.Action) {
			continue
		}
		short := k.Short
		if k.Action == keymap.Back && k.Scope == keymap.Global && (len(a.stack) > 1 || !a.isHomePane()) {
			short = "back"
		}
		key := a.keyName(k.Keys[0])
		need := text.Width(key) + 1 + text.Width(short)
		if b.Len() > 0 {
			need += 2
		}
		if need > left {
			break
		}
		if b.Len() > 0 {
			b.WriteString("  ")
		}
		b.WriteString(a.theme.Paint(themes.Key, key) + " " + a.theme.Paint(themes.Dim, short))
		left -= need
	}
	return b.String()
}

func (a *App) isHomePane() bool { return a.pane() == view.Lists()[0].Info().Name }
func (a *App) isHome() bool     { return len(a.stack) == 1 && a.isHomePane() }

// drawQuestion gives the lines of the open question's box.
func (a *App) drawQuestion() []string {
	inner := min(a.width-4, 50)
	lines := []string{a.theme.Paint(themes.Title, text.Cut(a.question.title, inner)), ""}
	lines = append(lines, text.Wrap(a.question.text, inner)...)
	lines = append(lines, "", a.theme.Paint(themes.Key, "y")+" yes   "+a.theme.Paint(themes.Key, "n")+" no (default)")
	rule := func(l, r string) string { return a.theme.Paint(themes.Rule, l+strings.Repeat("─", inner+2)+r) }
	side := a.theme.Paint(themes.Rule, "│")
	box := []string{rule("┌", "┐")}
	for _, l := range lines {
		box = append(box, side+" "+text.Pad(l, inner)+" "+side)
	}
	return append(box, rule("└", "┘"))
}

// overlay puts the box over the middle of the content. Lines under the box are
// blanked: half-covered figures mislead.
func overlay(content, box []string, width, height int) []string {
	out := make([]string, height)
	copy(out, content)
	top := max(0, (height-len(box))/2)
	for i, l := range box {
		if top+i < height {
			out[top+i] = strings.Repeat(" ", max(0, (width-text.Width(l))/2)) + l
		}
	}
	return out
}

// source gives the state of the first of the named sources that is in trouble,
// or of the first named.
func (a *App) source(names []string) model.Source {
	var first model.Source
	for _, name := range names {
		for _, s := range a.world.Sources {
			if s.Name != name {
				continue
			}
			if first.Name == "" {
				first = s
			}
			if s.Status != model.SourceOK {
				return s
			}
		}
	}
	return first
}

// fresh reports whether what the named sources told is current.
func (a *App) fresh(names []string) bool {
	s := a.source(names)
	return s.Status == model.SourceOK || s.Status == model.SourcePending && s.ObservedAt.IsZero() || s.Status == ""
}
