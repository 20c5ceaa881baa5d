package ui

import (
	"cmp"
	"maps"
)

// Kept is how somebody wants to look at a cluster, from one time to the next: what the
// screen looks like, and never what is left out of it. Who is woken at three must not
// find a filter of last week's.
type Kept struct {
	Theme string              `json:"theme,omitempty"` // when chosen with a key
	Whole *bool               `json:"whole,omitempty"` // lists over the whole width, when chosen
	Lists map[string]KeptList `json:"lists,omitempty"` // by name
}

// KeptList is the order of a list and how many of its columns there are.
type KeptList struct {
	Sort    string `json:"sort,omitempty"` // title of the column
	Reverse bool   `json:"reverse,omitempty"`
	Few     bool   `json:"few,omitempty"`
}

// Kept is how it is looked at now.
func (a *App) Kept() Kept { return a.kept }

// resume goes on as it was looked at the last time.
func (a *App) resume(k Kept) {
	a.kept = k
	a.kept.Lists = maps.Clone(k.Lists)
	if k.Theme != "" && a.cfg.Theme == "auto" {
		a.setTheme(k.Theme)
		a.note = ""
	}
	if k.Whole != nil && !a.cfg.Whole {
		a.whole = *k.Whole
	}
}

// recall gives a list the order it had.
func (a *App) recall(s *listScreen) {
	if a.world == nil || s.recalled {
		return
	}
	s.recalled = true
	k, is := a.kept.Lists[s.list.Info().Name]
	if !is {
		return
	}
	s.few = k.Few
	for i, c := range s.list.Columns(a.world) {
		if columnName(c.Title) == k.Sort {
			s.query.Sort, s.query.Reverse = i, k.Reverse
		}
	}
}

// columnName is the column's title; that of the marks has none.
func columnName(title string) string { return cmp.Or(title, "mark") }

// keep notes the order that a list was given.
func (a *App) keep(s *listScreen) {
	k := KeptList{Few: s.few}
	if columns := s.list.Columns(a.world); s.query.Sort >= 0 && s.query.Sort < len(columns) {
		k.Sort, k.Reverse = columnName(columns[s.query.Sort].Title), s.query.Reverse
	}
	name := s.list.Info().Name
	if a.kept.Lists == nil {
		a.kept.Lists = map[string]KeptList{}
	}
	if a.kept.Lists[name] = k; k == (KeptList{}) {
		delete(a.kept.Lists, name)
	}
}
