package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// leftMsg says that a program that had the terminal has ended and the screen is ours
// again.
type leftMsg struct {
	what string
	err  error
}

func (m leftMsg) words() string {
	if m.err != nil {
		return model.Clean(m.what+" ended: "+m.err.Error(), 0)
	}
	return "back from " + model.Clean(m.what, 100)
}

// enter reads the logs of the row's pod or workload, opens a shell in the pod, or
// forwards its ports. The latter two reach into the cluster: read-only, there are none.
func (s *listScreen) enter(a *App, action keymap.Action) {
	if s.rows.Len() > 0 && s.rows.Object(s.at).Kind == "Node" && action == keymap.Shell {
		s.onNode(a)
		return
	}
	pods := s.pods(a)
	if len(pods) == 0 || action != keymap.Logs && s.rows.Object(s.at).Kind != "Pod" {
		a.note = "that is for pods"
		return
	}
	p := pods[0]
	switch {
	case action == keymap.Logs && a.cfg.Logs != nil:
		a.followLog(s.rows.Object(s.at).Name, pods)
	case !a.mayEnter():
	case action == keymap.Shell:
		a.leaveFor("the shell in "+p.Name, "shell", p.Namespace, p.Name)
	case action == keymap.Debug:
		a.leaveFor("the shell beside "+p.Name, "shell", p.Namespace, p.Name, "--debug")
	default:
		a.typed = newTyped("port, LOCAL:PORT, or none", "", func(a *App, ports string) {
			a.leaveFor("forwarding to "+p.Name, "forward", p.Namespace, p.Name, strings.Fields(ports)...)
		})
	}
}

// onNode opens a shell on the row's machine.
func (s *listScreen) onNode(a *App) {
	if name := s.rows.Object(s.at).Name; a.mayEnter() {
		a.leaveFor("the shell on "+name, "shell", "", "node/"+name)
	}
}

// mayEnter says in the footer why nothing may be entered.
func (a *App) mayEnter() bool {
	switch {
	case a.cfg.Enter == nil:
		a.note = "there are no containers to go into here"
	case !a.write:
		a.note = "read-only: no shells and ports; " + a.cfg.Keys.Key(keymap.Global, keymap.Write) + " allows changes"
	default:
		return true
	}
	return false
}

// leaveFor lets another program have the terminal.
func (a *App) leaveFor(what, command, namespace, object string, args ...string) {
	a.later = tea.ExecProcess(a.cfg.Enter(command, namespace, object, args...), func(err error) tea.Msg { return leftMsg{what, err} })
}

// pods are the row's pod, or those of its workload.
func (s *listScreen) pods(a *App) (pods []*model.Pod) {
	if s.rows.Len() == 0 {
		return nil
	}
	o := s.rows.Object(s.at)
	for _, p := range a.world.Pods {
		if o.Cluster != p.Cluster || o.Namespace != p.Namespace {
			continue
		}
		if o.Kind == "Pod" {
			if p.Name == o.Name {
				return []*model.Pod{p}
			}
		} else if wl := a.world.WorkloadOf(p); wl != nil && wl.Kind == o.Kind && wl.Name == o.Name {
			pods = append(pods, p)
		}
	}
	return pods
}

// copy hands the row's name to the terminal's clipboard, which may be far away.
func (s *listScreen) copy(a *App) {
	if s.rows.Len() == 0 {
		return
	}
	name := model.Clean(s.rows.Object(s.at).Name, 0)
	a.note = "copied " + name + ", if your terminal lets programs do so"
	a.later = tea.SetClipboard(name)
}

// yamlMsg brings an object as the API has it.
type yamlMsg struct {
	name  string
	lines []string
	err   error
}

// yaml asks for the row's object.
func (s *listScreen) yaml(a *App) {
	if s.rows.Len() == 0 || a.cfg.YAML == nil {
		a.note = "there is no API to ask here"
		return
	}
	o := s.rows.Object(s.at)
	ctx, ask := a.cfg.Context, a.cfg.YAML
	a.note = "asking for " + model.Clean(o.Called(), 80) + " …"
	a.later = func() tea.Msg {
		lines, err := ask(ctx, o)
		return yamlMsg{o.Called(), lines, err}
	}
}

func (a *App) adoptYAML(msg yamlMsg) {
	a.note = ""
	if msg.err != nil {
		a.note = model.Clean(msg.err.Error(), 0)
		return
	}
	lines := []view.Line{}
	for _, l := range msg.lines {
		indent := len(l) - len(strings.TrimLeft(l, " -"))
		key, value, mapped := strings.Cut(l, ":")
		if !mapped || strings.ContainsAny(key[min(indent, len(key)):], " \"'{") {
			lines = append(lines, view.Line{{Text: l}})
			continue
		}
		lines = append(lines, view.Line{{Text: key + ":", Token: themes.Title}, {Text: value}})
	}
	a.push(&pageScreen{name: msg.name + " › yaml", lines: func(*model.World) []view.Line { return lines }})
}
