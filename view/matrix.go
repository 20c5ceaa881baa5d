package view

import (
	"slices"
	"strings"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/themes"
)

// Matrix is the links as a table, a row for each site that somebody measured
// from and a column for each site. It has no rows when there is one such site
// only: a list says that better.
func Matrix(w *model.World) (infos []ColumnInfo, rows [][]Cell) {
	from, to := []string{}, []string{}
	for _, l := range w.Links {
		if !slices.Contains(from, l.From) {
			from = append(from, l.From)
		}
		if !slices.Contains(to, l.To) {
			to = append(to, l.To)
		}
	}
	if len(from) < 2 {
		return nil, nil
	}
	slices.Sort(to)
	infos = []ColumnInfo{{Title: "FROM", Min: 6, Ideal: 8, Max: 16, Middle: true}}
	for _, site := range to {
		infos = append(infos, ColumnInfo{Title: strings.ToUpper(site), Min: 9, Ideal: 9, Max: 14, Right: true, Middle: true})
	}
	for _, f := range from {
		row := []Cell{strong(f)}
		for _, t := range to {
			row = append(row, matrixCell(w, f, t))
		}
		rows = append(rows, row)
	}
	return infos, rows
}

// MatrixKey says what the signs in a Matrix mean, as far as they occur.
func MatrixKey(w *model.World) string {
	words := []string{}
	say := func(text string, is func(*model.Link) bool) {
		if slices.ContainsFunc(w.Links, func(l *model.Link) bool { return w.Link(l.From, l.To) == l && is(l) }) {
			words = append(words, text)
		}
	}
	say("e by etcd", func(l *model.Link) bool { return l.Source == model.ByEtcd })
	say("p by Prometheus", func(l *model.Link) bool { return l.Source == model.ByPrometheus })
	say("r relayed", relayed)
	return strings.Join(append([]string{"round trips by our pings"}, words...), ", ")
}

func relayed(l *model.Link) bool {
	return l.Path == model.PathDERP || l.Path == model.PathPeerRelay
}

func matrixCell(w *model.World, from, to string) Cell {
	l := w.Link(from, to)
	switch {
	case l == nil && from == to:
		return dim("·  ")
	case l == nil:
		return dim("?  ")
	case l.Answering == 0:
		return alert("none  ", l.Severity())
	}
	sign := map[string]string{model.ByEtcd: "e", model.ByPrometheus: "p"}[l.Source]
	if relayed(l) {
		sign = "r"
	}
	if sign == "" {
		sign = " " // times stay below each other
	}
	c := alert(millis(l.RTT)+" "+sign, worseThan(l.Problem != "", l.Severity()))
	switch {
	case l.Problem != "":
	case from == to:
		c.Token = themes.Dim
	case relayed(l):
		c.Token = themes.Accent
	}
	return c
}
