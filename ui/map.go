package ui

import (
	"math"

	"github.com/geotop/geotop/geo"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// Least room a map is worth drawing in.
const (
	mapWidth  = 40
	mapHeight = 9
	mapMost   = 24 // lines; more would be sea
)

// hasMap reports whether the places of two houses at least are known.
func hasMap(w *model.World) bool {
	places, _ := view.Map(w)
	return len(places) > 0
}

// drawMap draws coasts, houses and links, as near as shows all houses.
func (a *App) drawMap(width, height int) []string {
	places, ways := view.Map(a.world)
	c := newCanvas(width, height)
	box, x, y := mapFrame(places, width, height)
	geo.Coast(box, func(from, to geo.Point) {
		c.line(x(from.Lon), y(from.Lat), x(to.Lon), y(to.Lat), themes.Dim, 1, 0)
	})
	for _, w := range ways {
		from, to := places[w.From], places[w.To]
		on, off := 1, 0
		switch {
		case w.Dead:
			on, off = 1, 3
		case w.Dashed:
			on, off = 3, 3
		}
		c.line(x(lon(from, box)), y(from.Latitude), x(lon(to, box)), y(to.Latitude), w.Token, on, off)
	}
	for _, p := range places {
		c.write(int(x(lon(p, box))/2), int(y(p.Latitude)/4), p.Mark.Text, p.Mark.Token)
	}
	for _, p := range places {
		parts := []labelPart{{model.Clean(p.Name, 30), themes.Strong}}
		if p.Note != "" {
			token := themes.Dim
			if p.Mark.Token == themes.Critical {
				token = themes.Critical
			}
			parts = append(parts, labelPart{p.Note, token})
		}
		c.label(int(x(lon(p, box))/2), int(y(p.Latitude)/4), labelPart{p.Mark.Text, p.Mark.Token}, parts)
	}
	return c.draw(a.theme)
}

// lon is the place's longitude in the box's count, which may go beyond 180.
func lon(p view.Place, box geo.Box) float64 {
	if p.Longitude < box.West {
		return p.Longitude + 360
	}
	return p.Longitude
}

// near is the least a map shows from north to south, in degrees: some 20 km.
const near = 0.18

// mapFrame is what the map shows, and how degrees become dots: a dot is as high as it
// is wide, and so is a kilometre in the map's middle.
func mapFrame(places []view.Place, width, height int) (box geo.Box, x, y func(float64) float64) {
	box = geo.Box{South: 90, West: 540, North: -90, East: -180}
	across := farEast(places)
	for _, p := range places {
		east := p.Longitude
		if across && east < 0 {
			east += 360
		}
		box.South, box.North = min(box.South, p.Latitude), max(box.North, p.Latitude)
		box.West, box.East = min(box.West, east), max(box.East, east)
	}
	middle, centre := (box.South+box.North)/2, (box.West+box.East)/2
	shrink := max(0.1, math.Cos(middle*math.Pi/180))
	dotsX, dotsY := float64(2*width), float64(4*height)
	// Half as much again around the houses: what they lie in should be known again.
	scale := min(dotsY/max(near, 1.5*(box.North-box.South)), dotsX/max(near, 1.5*(box.East-box.West)*shrink))
	high, wide := dotsY/scale, dotsX/scale/shrink
	box = geo.Box{South: middle - high/2, North: middle + high/2, West: centre - wide/2, East: centre + wide/2}
	x = func(lon float64) float64 { return (lon - box.West) * scale * shrink }
	y = func(lat float64) float64 { return (box.North - lat) * scale }
	return box, x, y
}

// farEast reports whether the houses are nearer to each other across the antimeridian.
func farEast(places []view.Place) bool {
	plain := [2]float64{180, -180}
	turned := [2]float64{360, 0}
	for _, p := range places {
		plain[0], plain[1] = min(plain[0], p.Longitude), max(plain[1], p.Longitude)
		east := p.Longitude
		if east < 0 {
			east += 360
		}
		turned[0], turned[1] = min(turned[0], east), max(turned[1], east)
	}
	return turned[1]-turned[0] < plain[1]-plain[0]
}
