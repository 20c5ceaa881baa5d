// Package keymap declares every key binding once: what it does, which keys
// trigger it, where it applies and how help and footer describe it.
//
// Nothing needs Ctrl, Alt or a function key, and no key that edits text
// (Backspace, Delete) ever acts: phones lack the former, and people lean on the
// latter while they correct a filter.
package keymap

import (
	"fmt"
	"slices"
)

// Action names what a key does.
type Action string

// The actions there are.
const (
	Quit         Action = "quit"
	Back         Action = "back"
	Help         Action = "help"
	Redraw       Action = "redraw"
	Pause        Action = "pause"
	Zoom         Action = "zoom"
	StepBack     Action = "replay.back"
	StepOn       Action = "replay.on"
	Sites        Action = "pane.sites"
	Nodes        Action = "pane.nodes"
	Tailnet      Action = "pane.tailnet"
	Volumes      Action = "pane.volumes"
	Backups      Action = "pane.backups"
	Workloads    Action = "pane.workloads"
	Pods         Action = "pane.pods"
	Timeline     Action = "pane.timeline"
	WhatIf       Action = "pane.whatif"
	NextPane     Action = "pane.next"
	Previous     Action = "pane.previous"
	Up           Action = "cursor.up"
	Down         Action = "cursor.down"
	PageUp       Action = "cursor.pageup"
	PageDown     Action = "cursor.pagedown"
	Top          Action = "cursor.top"
	Bottom       Action = "cursor.bottom"
	NextProblem  Action = "problem.next"
	PrevProblem  Action = "problem.previous"
	OnlyProblems Action = "problem.only"
	Open         Action = "open"
	Details      Action = "details"
	Filter       Action = "filter"
	NextSite     Action = "site.next"
	PrevSite     Action = "site.previous"
	Sort         Action = "sort"
	Reverse      Action = "sort.reverse"
	Columns      Action = "columns"
	Mark         Action = "mark"
	Theme        Action = "theme"
	Write        Action = "write"
	Accept       Action = "accept" // of a question
	Clear        Action = "clear"  // of the filter being typed
	Done         Action = "done"   // with typing the filter
	Menu         Action = "menu"
	Pick         Action = "menu.pick"
	Cordon       Action = "cordon"
	Uncordon     Action = "uncordon"
	Drain        Action = "drain"
	Backup       Action = "backup"
	BackupStale  Action = "backup.stale"
	Rebalance    Action = "rebalance"
	Shell        Action = "shell"
	Logs         Action = "logs"
	Debug        Action = "shell.debug"
	Forward      Action = "forward"
	Copy         Action = "copy"
	YAML         Action = "yaml"
	OldLog       Action = "log.previous"
	AllLogs      Action = "log.all"
	Wrap         Action = "log.wrap"
	Plans        Action = "plans"
	Find         Action = "palette"
	Agree        Action = "plan.agree"
	Stop         Action = "plan.stop"
	Finish       Action = "plan.finish"
	Undo         Action = "plan.undo"
	Forget       Action = "plan.forget"
)

// Scope is where a binding applies. Scopes are asked from the innermost out.
type Scope string

// The scopes there are.
const (
	Global   Scope = "everywhere"
	List     Scope = "in lists"
	Page     Scope = "in details and help"
	Log      Scope = "in a log"
	Filtered Scope = "while typing a filter"
	Question Scope = "in a question"
	Choice   Scope = "in the menu of actions"
	Plan     Scope = "in a plan"
	Palette  Scope = "in the palette"
	Typed    Scope = "while typing a name or an answer"
)

// Scopes lists all scopes in the order help shows them.
var Scopes = []Scope{Global, List, Page, Log, Filtered, Choice, Palette, Plan, Typed, Question}

// Binding is one entry of the table. Keys are as Bubble Tea spells them; the
// first is the one shown.
type Binding struct {
	Action Action
	Scope  Scope
	Keys   []string
	Help   string // a full phrase, for help
	Short  string // one word for the footer; empty: not in the footer
}

// Map is a set of bindings.
type Map struct{ bindings []Binding }

// Default is the built-in table. Footer order is its order: help and quit come
// first, so that they are the last to be cut off.
func Default() *Map {
	return &Map{[]Binding{
		{Help, Global, []string{"?", "h"}, "this help", "help"},
		{Quit, Global, []string{"Q", "ctrl+c"}, "quit at once", ""},
		{Back, Global, []string{"q", "esc"}, "back; at the top, quit", "quit"},
		{Sites, Global, []string{"1"}, "sites: which house is up", ""},
		{Nodes, Global, []string{"2"}, "nodes", ""},
		{Tailnet, Global, []string{"3"}, "tailnet: links between sites, and machines", ""},
		{Volumes, Global, []string{"4"}, "volumes and the houses of their copies", ""},
		{Backups, Global, []string{"5"}, "backups", ""},
		{Workloads, Global, []string{"6"}, "workloads and where they run", ""},
		{Pods, Global, []string{"7"}, "pods", ""},
		{Timeline, Global, []string{"8"}, "timeline: what happened, newest first", ""},
		{WhatIf, Global, []string{"9", "x"}, "what if: what breaks when a house goes dark", ""},
		{Plans, Global, []string{"0"}, "the plan under way, or left; then what was done from here", ""},
		{Find, Global, []string{":"}, "palette: type what you look for or want done", ""},
		{NextPane, Global, []string{"tab"}, "next pane", ""},
		{Previous, Global, []string{"-"}, "the pane before this one", ""},
		{NextSite, Global, []string{"]", "right"}, "show only the next site", ""},
		{PrevSite, Global, []string{"[", "left"}, "show only the previous site", ""},
		{Theme, Global, []string{"t"}, "next theme", ""},
		{Write, Global, []string{"W"}, "allow or forbid changes to the cluster", ""},
		{Pause, Global, []string{"p"}, "hold the screen still; once more to go on; plays a recording", ""},
		{StepOn, Global, []string{">"}, "in a recording: the next moment", ""},
		{StepBack, Global, []string{"<"}, "in a recording: the moment before", ""},
		{Zoom, Global, []string{"z"}, "lists over the whole width, or with details beside them", ""},
		{Redraw, Global, []string{"r", "ctrl+l"}, "redraw the screen", ""},

		{Open, List, []string{"enter"}, "open: what belongs to this row", "open"},
		{Filter, List, []string{"/", "f"}, "filter as you type", "filter"},
		{OnlyProblems, List, []string{"!", "e"}, "only problems", "problems"},
		{Details, List, []string{"d"}, "details of this row", "details"},
		{NextProblem, List, []string{"n"}, "next problem", ""},
		{PrevProblem, List, []string{"N"}, "previous problem", ""},
		{Sort, List, []string{"o"}, "sort by the next column", "sort"},
		{Reverse, List, []string{"O"}, "sort the other way round", ""},
		{Columns, List, []string{"w"}, "more or fewer columns", ""},
		{Mark, List, []string{"m"}, "mark: houses in What if, to lose them together; volumes, to act on all", ""},
		{Menu, List, []string{"a"}, "actions: all that can be done to this row", "actions"},
		{Cordon, List, []string{"c"}, "cordon this machine, or this house", ""},
		{Uncordon, List, []string{"u"}, "uncordon it", ""},
		{Drain, List, []string{"D"}, "drain this machine, or this house", ""},
		{Backup, List, []string{"b"}, "back up this volume, or all with a copy in this house", ""},
		{BackupStale, List, []string{"B"}, "back up all that have no good backup of the last day", ""},
		{Logs, List, []string{"l"}, "the log of this pod, or of all pods of this workload", ""},
		{Shell, List, []string{"s"}, "a shell in this pod, or on this machine; exit comes back here", ""},
		{Debug, List, []string{"S"}, "a shell in a container put beside this pod's, for pods without one", ""},
		{Forward, List, []string{"F"}, "forward ports of this pod to this machine", ""},
		{Copy, List, []string{"y"}, "copy this row's name to your terminal's clipboard (OSC 52)", ""},
		{YAML, List, []string{"Y"}, "this row's object as the API has it, in YAML", ""},
		{Rebalance, List, []string{"R"}, "move copies of this volume, or out of this house, to where there is none", ""},
		{Down, List, []string{"j", "down"}, "down", ""},
		{Up, List, []string{"k", "up"}, "up", ""},
		{PageDown, List, []string{".", "pgdown", "space"}, "a page down", ""},
		{PageUp, List, []string{",", "pgup"}, "a page up", ""},
		{Top, List, []string{"g", "home"}, "to the first row", ""},
		{Bottom, List, []string{"G", "end"}, "to the last row", ""},

		{Filter, Page, []string{"/", "f"}, "only lines with this text", "search"},
		{Down, Page, []string{"j", "down"}, "down", ""},
		{Up, Page, []string{"k", "up"}, "up", ""},
		{PageDown, Page, []string{".", "pgdown", "space", "enter"}, "a page down", "page"},
		{PageUp, Page, []string{",", "pgup"}, "a page up", ""},
		{Top, Page, []string{"g", "home"}, "to the top", ""},
		{Bottom, Page, []string{"G", "end"}, "to the end", ""},

		{Filter, Log, []string{"/", "f"}, "only lines with this text", "search"},
		{OldLog, Log, []string{"p"}, "the log of before the last restart, or of now", "previous"},
		{AllLogs, Log, []string{"c"}, "all containers, or the usual one", "containers"},
		{Wrap, Log, []string{"w"}, "wrap long lines, or cut them", ""},
		{Down, Log, []string{"j", "down"}, "down", ""},
		{Up, Log, []string{"k", "up"}, "up", ""},
		{PageDown, Log, []string{".", "pgdown", "space", "enter"}, "a page down", ""},
		{PageUp, Log, []string{",", "pgup"}, "a page up", ""},
		{Top, Log, []string{"g", "home"}, "to the first line there is", ""},
		{Bottom, Log, []string{"G", "end"}, "to the end, and follow", "end"},

		{Open, Choice, []string{"enter"}, "plan this one; nothing is done yet", "plan"},
		{Pick, Choice, []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}, "plan that one", ""},
		{Down, Choice, []string{"j", "down"}, "down", ""},
		{Up, Choice, []string{"k", "up"}, "up", ""},

		{Done, Palette, []string{"enter"}, "go there, or plan that", "go"},
		{Clear, Palette, []string{"esc"}, "leave it", "leave"},
		{Down, Palette, []string{"tab", "down"}, "down", ""},
		{Up, Palette, []string{"shift+tab", "up"}, "up", ""},

		{Agree, Plan, []string{"y"}, "have it done", "do it"},
		{Stop, Plan, []string{"s"}, "stop after what is under way", "stop"},
		{Finish, Plan, []string{"f"}, "finish a plan that was left", "finish"},
		{Undo, Plan, []string{"u"}, "undo a plan that was left", "undo"},
		{Forget, Plan, []string{"F"}, "forget a plan that was left; the cluster stays as it is", "forget"},
		{Down, Plan, []string{"j", "down"}, "down", ""},
		{Up, Plan, []string{"k", "up"}, "up", ""},
		{PageDown, Plan, []string{".", "pgdown", "space"}, "a page down", ""},
		{PageUp, Plan, []string{",", "pgup"}, "a page up", ""},

		{Done, Typed, []string{"enter"}, "go on; a name agrees if it is right", "go on"},
		{Clear, Typed, []string{"esc"}, "leave it", "leave"},

		{Done, Filtered, []string{"enter", "down", "tab"}, "keep the filter", "keep"},
		{Clear, Filtered, []string{"esc"}, "clear the filter", "clear"},

		{Accept, Question, []string{"y"}, "yes", "yes"},
		{Back, Question, []string{"n", "q", "esc", "enter"}, "no", "no"},
	}}
}

// Actions lists what keys can be chosen for, in table order.
func (m *Map) Actions() []Action {
	var list []Action
	for _, b := range m.bindings {
		if !b.fixed() && !slices.Contains(list, b.Action) {
			list = append(list, b.Action)
		}
	}
	return list
}

// fixed reports whether a binding cannot be changed: what is typed, and what a question
// is answered with.
func (b *Binding) fixed() bool {
	return slices.Contains([]Scope{Filtered, Palette, Typed, Question}, b.Scope)
}

// With gives the table with other keys for some actions, wherever those apply. An error
// says which keys cannot be so.
func (m *Map) With(keys map[Action][]string) (*Map, error) {
	with := &Map{slices.Clone(m.bindings)}
	for i := range with.bindings {
		b := &with.bindings[i]
		if chosen, is := keys[b.Action]; is && !b.fixed() {
			b.Keys = chosen
		}
	}
	return with, with.Check()
}

// Lookup gives the action of a key in the first of the scopes that binds it.
func (m *Map) Lookup(key string, scopes ...Scope) (Action, bool) {
	for _, s := range scopes {
		for _, b := range m.bindings {
			if b.Scope == s && slices.Contains(b.Keys, key) {
				return b.Action, true
			}
		}
	}
	return "", false
}

// In lists the bindings of a scope in table order.
func (m *Map) In(s Scope) []Binding {
	var in []Binding
	for _, b := range m.bindings {
		if b.Scope == s {
			in = append(in, b)
		}
	}
	return in
}

// Key gives the key shown for an action in a scope, "" when it has none.
func (m *Map) Key(s Scope, a Action) string {
	for _, b := range m.bindings {
		if b.Scope == s && b.Action == a {
			return Name(b.Keys[0])
		}
	}
	return ""
}

// Keys gives all keys of an action in a scope, in people's form.
func (m *Map) Keys(s Scope, a Action) []string {
	var keys []string
	for _, b := range m.bindings {
		if b.Scope == s && b.Action == a {
			for _, k := range b.Keys {
				keys = append(keys, Name(k))
			}
		}
	}
	return keys
}

// Help gives the phrase for an action in a scope, "" when it has none.
func (m *Map) Help(s Scope, a Action) string {
	for _, b := range m.bindings {
		if b.Scope == s && b.Action == a {
			return b.Help
		}
	}
	return ""
}

// Name puts a key into the form people know it by.
func Name(key string) string {
	switch key {
	case "enter":
		return "↵"
	case "space":
		return "Space"
	case "esc":
		return "Esc"
	case "up":
		return "↑"
	case "down":
		return "↓"
	case "left":
		return "←"
	case "right":
		return "→"
	case "tab":
		return "Tab"
	case "pgup":
		return "PgUp"
	case "pgdown":
		return "PgDn"
	case "home":
		return "Home"
	case "end":
		return "End"
	case "ctrl+c":
		return "Ctrl-c"
	case "ctrl+l":
		return "Ctrl-l"
	default:
		return key
	}
}

// Check reports what is wrong with a table: a key bound twice in one scope, a
// binding nobody can reach on a phone, a key that edits text.
func (m *Map) Check() error {
	seen := map[Scope]map[string]Action{}
	for _, b := range m.bindings {
		if len(b.Keys) == 0 || b.Help == "" {
			return fmt.Errorf("%s in scope %q has no key or no help", b.Action, b.Scope)
		}
		easy := false
		for _, k := range b.Keys {
			if seen[b.Scope] == nil {
				seen[b.Scope] = map[string]Action{}
			}
			if other, dup := seen[b.Scope][k]; dup {
				return fmt.Errorf("key %s is both %s and %s in scope %q", k, other, b.Action, b.Scope)
			}
			seen[b.Scope][k] = b.Action
			if k == "backspace" || k == "delete" {
				return fmt.Errorf("%s is bound to %s, which edits text", b.Action, k)
			}
			easy = easy || len(k) == 1 || slices.Contains([]string{"enter", "esc", "tab"}, k)
		}
		if !easy && b.Scope != Palette { // where letters are what is typed, Tab goes round
			return fmt.Errorf("%s in scope %q needs a key that phones lack", b.Action, b.Scope)
		}
	}
	return nil
}
