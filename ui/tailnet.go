package ui

import "github.com/geotop/geotop/view"

// isTailnet reports whether the tailnet's own pane is on top.
func (a *App) isTailnet() bool { return len(a.stack) == 1 && a.pane() == view.Peers().Info().Name }

// drawTailnet is the links between sites, and below them the machines: first
// whether houses see each other, then who of each.
func (a *App) drawTailnet(width, height int) []string {
	peers := a.top().(*listScreen)
	links := min(len(a.world.Links), height/3)
	if links == 0 || height < 8 {
		return peers.draw(a, width, height)
	}
	if links < len(a.world.Links) {
		links-- // the last line tells of the others
	}
	layout, cells := a.table(view.Links(), width, links)
	lines := []string{layout.Head(a.theme, -1, false)}
	for _, c := range cells {
		lines = append(lines, layout.Row(a.theme, layout.Pick(c), true))
	}
	if more := len(a.world.Links) - len(cells); more > 0 {
		lines = append(lines, a.more(more))
	}
	lines = append(lines, "")
	return append(lines, peers.draw(a, width, height-len(lines))...)
}
