package ui

import (
	"cmp"
	"context"
	"fmt"
	"maps"
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

// Actor carries out what the operator agrees to. Its methods but Progress may take
// long: they are called off the event loop.
type Actor interface {
	Check(ctx context.Context, p *model.Plan) error
	Run(ctx context.Context, p *model.Plan, stop <-chan struct{}) error
	// Resume finishes, or undoes, the plan that was left in the cluster.
	Resume(ctx context.Context, undo bool, stop <-chan struct{}) error
	Forget(ctx context.Context) error
	// Progress waits for a change of the plan being carried out; nil when ctx ends.
	Progress(ctx context.Context) *model.Plan
	// Log gives the newest entries of the audit log, the newest last.
	Log(most int) ([]actions.Entry, error)
}

// objectOf is how actions name the object of a row, "" for what they are not for.
func objectOf(o view.Object) string {
	switch o.Kind {
	case "Site":
		return "site/" + o.Name
	case "Node":
		return "node/" + o.Name
	case "Volume":
		return "volume/" + o.Name
	case "Backup":
		return "backup/" + o.Name
	case "Pod":
		return "pod/" + o.Namespace + "/" + o.Name
	case "Deployment", "StatefulSet", "DaemonSet":
		return o.Kind + "/" + o.Namespace + "/" + o.Name
	default:
		return ""
	}
}

// keyed are the actions that have a key of their own.
var keyed = map[keymap.Action]string{keymap.Cordon: "cordon", keymap.Uncordon: "uncordon", keymap.Drain: "drain", keymap.Backup: "backup", keymap.BackupStale: "backup stale", keymap.Rebalance: "rebalance"}

// change begins an action on the row.
func (s *listScreen) change(a *App, action keymap.Action) bool {
	name, has := keyed[action]
	switch {
	case action == keymap.Menu:
		s.offer(a)
	case has:
		a.propose(name, "", s.objects()...)
	case action == keymap.Copy:
		s.copy(a)
	case action == keymap.YAML:
		s.yaml(a)
	case action == keymap.Shell || action == keymap.Debug || action == keymap.Logs || action == keymap.Forward:
		s.enter(a, action)
	default:
		return false
	}
	return true
}

// offer opens the menu of what can be done to the row.
func (s *listScreen) offer(a *App) {
	object := s.object()
	offers := []actions.Offer{}
	if a.cfg.Actor != nil && object != "" {
		offers = actions.Offers(a.world, object)
	}
	if len(offers) == 0 {
		a.note = "nothing can be done to this row"
		return
	}
	m := &menuScreen{objects: s.objects(), called: s.rows.Object(s.at).Called(), offers: offers}
	if n := len(m.objects); n > 1 {
		m.called = fmt.Sprintf("%d marked", n)
	}
	a.push(m)
}

// object is the one under the cursor, as actions name it.
func (s *listScreen) object() string {
	if s.rows.Len() == 0 {
		return ""
	}
	return objectOf(s.rows.Object(s.at))
}

// objects are those that are marked, or the one under the cursor.
func (s *listScreen) objects() []string {
	if len(s.marked) == 0 {
		return []string{s.object()}
	}
	list := []string{}
	for _, o := range slices.SortedFunc(maps.Values(s.marked), func(a, b view.Object) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Called(), b.Called()), strings.Compare(a.Name, b.Name))
	}) {
		list = append(list, objectOf(o))
	}
	return list
}

// propose plans an action and shows what it would come to. The answer is to what the
// action asks.
func (a *App) propose(action, answer string, objects ...string) {
	if a.cfg.Actor == nil || len(objects) == 0 || objects[0] == "" {
		a.note = action + " is not for this row"
		return
	}
	s := &planScreen{title: action + " " + objects[0][strings.IndexByte(objects[0], '/')+1:]}
	a.push(s)
	p, err := actions.PlanFor(a.world, action, objects, answer)
	if err != nil {
		s.refused = actions.Why(err)
		return
	}
	s.plan, s.title, s.asking = p, p.Title, true
	ctx, actor := a.cfg.Context, a.cfg.Actor
	a.later = func() tea.Msg {
		checked := p.Clone()
		err := actor.Check(ctx, checked)
		return checkedMsg{s, checked, err}
	}
}

// menuScreen is what can be done to one object.
type menuScreen struct {
	objects []string
	called  string // what people call it
	offers  []actions.Offer
	at      int
}

func (s *menuScreen) scope() keymap.Scope { return keymap.Choice }
func (s *menuScreen) crumb() string {
	return model.Clean(s.called, 60) + " › actions"
}

func (s *menuScreen) act(a *App, action keymap.Action) bool {
	switch action {
	case keymap.Up:
		s.at = max(0, s.at-1)
	case keymap.Down:
		s.at = min(len(s.offers)-1, s.at+1)
	case keymap.Pick:
		at := int(a.key[0] - '1')
		if at >= len(s.offers) {
			return true
		}
		s.at = at
		s.take(a)
	case keymap.Open:
		s.take(a)
	default:
		return false
	}
	return true
}

func (s *menuScreen) take(a *App) {
	a.pop()
	a.take(s.offers[s.at], s.objects)
}

// take plans what is offered, once what it asks is answered.
func (a *App) take(o actions.Offer, objects []string) {
	if o.Ask == "" || o.Why != "" || len(objects) > 1 {
		a.propose(o.Action, o.Answer, objects...)
		return
	}
	a.typed = newTyped(o.Ask, o.Answer, func(a *App, answer string) { a.propose(o.Action, answer, objects...) })
}

func (s *menuScreen) draw(a *App, width, height int) []string {
	lines, first, last := []string{}, 0, 0 // first and last of the one under the cursor
	if !a.write {
		lines = append(lines, a.theme.Paint(themes.Dim, text.Cut(readOnly(a), width)), "")
	}
	for i, o := range s.offers {
		words := view.Cell{Text: o.Words}
		if o.Why != "" {
			words = view.Cell{Text: o.Why, Token: themes.Dim}
		}
		number, action := view.Cell{Text: string(rune('1'+i)) + " ", Token: themes.Key}, view.Cell{Text: text.Pad(o.Action, 14), Token: themes.Strong}
		item := wrapLine(a.theme, view.Line{number, action, words}, width-2)
		if i != s.at { // all are in sight, the one under the cursor in full
			item = []string{view.Line{number, action, words}.Draw(a.theme, width-2)}
		}
		mark := "  "
		if i == s.at {
			first, mark = len(lines), a.theme.Paint(themes.Accent, "›")+" "
		}
		for j, l := range item {
			if j > 0 {
				mark = "  "
			}
			lines = append(lines, mark+l)
		}
		if i == s.at {
			last = len(lines)
		}
	}
	from := max(0, min(first, last-height))
	if last <= height {
		from = 0
	}
	return lines[from:min(len(lines), from+height)]
}

// readOnly says that nothing is changed, and what lifts that.
func readOnly(a *App) string {
	return "read-only: plans are shown; " + a.cfg.Keys.Key(keymap.Global, keymap.Write) + " allows to carry them out"
}

// adoptAct takes in what came of something that was begun on the screen.
func (a *App) adoptAct(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case checkedMsg:
		return a.adoptCheck(msg)
	case armedMsg:
		msg.screen.armed = true
	case progressMsg:
		return a.adoptProgress(msg.plan)
	case ranMsg:
		a.adoptEnd(msg)
	case logMsg:
		a.adoptLog(msg)
	case linesMsg:
		return msg.screen.adopt(a, msg)
	case yamlMsg:
		a.adoptYAML(msg)
	case leftMsg:
		a.note = msg.words()
	}
	return nil
}
