package ui

import (
	"context"
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
		a.propose(name, s.object())
	case action == keymap.Shell || action == keymap.Logs:
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
	a.push(&menuScreen{object: object, offers: offers})
}

// object is the one under the cursor, as actions name it.
func (s *listScreen) object() string {
	if s.rows.Len() == 0 {
		return ""
	}
	return objectOf(s.rows.Object(s.at))
}

// propose plans an action and shows what it would come to.
func (a *App) propose(action, object string) {
	if a.cfg.Actor == nil || object == "" {
		a.note = action + " is not for this row"
		return
	}
	s := &planScreen{title: action + " " + object[strings.IndexByte(object, '/')+1:]}
	a.push(s)
	p, err := actions.PlanFor(a.world, action, object)
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
	object string
	offers []actions.Offer
	at     int
}

func (s *menuScreen) scope() keymap.Scope { return keymap.Choice }
func (s *menuScreen) crumb() string {
	return s.object[strings.IndexByte(s.object, '/')+1:] + " › actions"
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
	a.stack = a.stack[:len(a.stack)-1]
	a.propose(s.offers[s.at].Action, s.object)
}

func (s *menuScreen) draw(a *App, width, height int) []string {
	lines, first, last := []string{}, 0, 0 // first and last of the one under the cursor
	if !a.write {
		lines = append(lines, a.theme.Paint(themes.Dim, text.Cut(readOnly(a), width)), "")
	}
	column := 14
	if width < narrowWidth {
		column = 0
	}
	for i, o := range s.offers {
		words := view.Cell{Text: o.Words}
		if o.Why != "" {
			words = view.Cell{Text: o.Why, Token: themes.Dim}
		}
		head := view.Line{{Text: string(rune('1'+i)) + " ", Token: themes.Key}, {Text: text.Pad(o.Action, column) + " ", Token: themes.Strong}}
		mark := "  "
		if i == s.at {
			first, mark = len(lines), a.theme.Paint(themes.Accent, "›")+" "
		}
		for j, l := range wrapLine(a.theme, append(head, words), width-2) {
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
		a.adoptLines(msg)
	case leftMsg:
		a.note = msg.words()
	}
	return nil
}
