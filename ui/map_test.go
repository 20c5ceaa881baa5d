package ui

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// Whatever is drawn, and wherever, a canvas is as large as it was made.
func TestCanvasKeepsItsSize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	th, err := themes.Load("dark")
	if err != nil {
		t.Fatal(err)
	}
	anywhere := func() float64 {
		return []float64{r.Float64() * 100, -1e9 * r.Float64(), 1e9 * r.Float64(), 0, 80}[r.IntN(5)]
	}
	for range 3000 {
		w, h := 1+r.IntN(40), 1+r.IntN(12)
		c := newCanvas(w, h)
		for range 8 {
			c.line(anywhere(), anywhere(), anywhere(), anywhere(), themes.Dim, 1+r.IntN(3), r.IntN(4))
			c.label(r.IntN(60)-10, r.IntN(20)-4, labelPart{"●", themes.OK}, []labelPart{{"moka", themes.Strong}, {"35ms", themes.Dim}})
		}
		lines := c.draw(th)
		if len(lines) != h {
			t.Fatalf("%d lines of %d", len(lines), h)
		}
		for _, l := range lines {
			if text.Width(l) > w {
				t.Fatalf("%d cells wide: %q", w, ansi.Strip(l))
			}
		}
	}
}

// TestMapShowsAllHouses places houses near, far and across the antimeridian.
func TestMapShowsAllHouses(t *testing.T) {
	for name, at := range map[string][][2]float64{
		"one island":       {{-20.32, 57.53}, {-20.19, 57.71}, {-20.23, 57.50}},
		"one street":       {{52.5200, 13.4050}, {52.5201, 13.4052}},
		"two continents":   {{52.52, 13.40}, {37.77, -122.42}, {-33.87, 151.21}},
		"the antimeridian": {{-16.8, 179.9}, {-16.7, -179.9}, {-18.1, 178.4}},
		"the poles":        {{89.9, 0}, {-90, 120}},
	} {
		var places []view.Place
		for _, p := range at {
			places = append(places, view.Place{Latitude: p[0], Longitude: p[1]})
		}
		for _, size := range [][2]int{{40, 9}, {117, 24}, {60, 30}} {
			box, x, y := mapFrame(places, size[0], size[1])
			for i, p := range places {
				px, py := x(lon(p, box)), y(p.Latitude)
				if !(px >= 0 && px < float64(2*size[0]) && py >= 0 && py < float64(4*size[1])) {
					t.Errorf("%s at %v: house %d is at %.0f,%.0f", name, size, i, px, py)
				}
			}
			if name == "the antimeridian" && box.East-box.West > 20 {
				t.Errorf("%s: the map goes round the world: %+v", name, box)
			}
			if span := box.North - box.South; math.IsNaN(span) || span < near/2 {
				t.Errorf("%s: %.4f degrees from north to south", name, span)
			}
		}
	}
}

// Two houses whose place nobody told have no map, and one alone neither.
func TestNoMapOfNowhere(t *testing.T) {
	w := *worldOf(t, moment{"weak", 0})
	sites := w.Sites
	w.Sites = nil
	for _, s := range sites {
		nowhere := *s
		nowhere.Location = nil
		w.Sites = append(w.Sites, &nowhere)
	}
	if hasMap(&w) {
		t.Error("a map of nowhere")
	}
	w.Sites[0].Location = sites[0].Location
	if hasMap(&w) {
		t.Error("a map of one house")
	}
	w.Sites[1].Location = sites[1].Location
	if !hasMap(&w) {
		t.Error("no map of two houses")
	}
	places, ways := view.Map(worldOf(t, moment{"weak", 0}))
	if len(places) != 3 || len(ways) != 3 || !strings.Contains(places[2].Note, "relayed") || !ways[2].Dashed || ways[0].Dashed {
		t.Errorf("%+v %+v", places, ways)
	}
}
