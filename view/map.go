package view

import (
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/themes"
)

// Place is a house on the map.
type Place struct {
	Latitude, Longitude float64
	Mark                Cell
	Name                string
	Note                string // of its link, or what is the matter

	gone bool // the house as a whole
}

// Way is a link on the map, between two of its places.
type Way struct {
	From, To int
	Token    themes.Token // by how long a packet takes
	Dashed   bool         // by a relay
	Dead     bool         // nothing answers there

	seconds float64
}

// Map gives the houses whose places are known, and the links between them; nothing
// where there are not two places to tell apart.
func Map(w *model.World) (places []Place, ways []Way) {
	places, at := placesOf(w)
	if places == nil {
		return nil, nil
	}
	drawn := map[[2]int]int{}
	for _, l := range w.Links {
		from, known1 := at[l.From]
		to, known2 := at[l.To]
		if !known1 || !known2 || from == to {
			continue
		}
		way := wayOf(l, from, to)
		if way.Dead && (places[from].gone || places[to].gone) {
			continue // the house that is gone says it
		}
		pair := [2]int{min(from, to), max(from, to)}
		if i, seen := drawn[pair]; seen {
			ways[i].join(way)
		} else {
			drawn[pair] = len(ways)
			ways = append(ways, way)
		}
		if p := &places[to]; l.From == w.Here() && p.Note == "" && !way.Dead {
			p.Note = millis(l.RTT)
			if way.Dashed {
				p.Note += " relayed"
			}
		}
	}
	return places, ways
}

// placesOf gives the houses on the map and where each is among them.
func placesOf(w *model.World) (places []Place, at map[string]int) {
	at = map[string]int{}
	apart := false
	for _, s := range w.Sites {
		if s.Location == nil {
			continue
		}
		p := Place{Latitude: s.Location.Latitude, Longitude: s.Location.Longitude, Mark: Mark(s.Severity()), Name: s.Name}
		if s.Severity() == model.Critical {
			p.Note, p.gone = string(s.Status), true
		}
		apart = apart || len(places) > 0 && (p.Latitude != places[0].Latitude || p.Longitude != places[0].Longitude)
		at[s.Name] = len(places)
		places = append(places, p)
	}
	if !apart {
		return nil, nil
	}
	return places, at
}

func wayOf(l *model.Link, from, to int) Way {
	return Way{
		From: from, To: to, Token: pace(l), Dead: l.Answering == 0,
		Dashed: l.Path == model.PathDERP || l.Path == model.PathPeerRelay, seconds: l.RTT,
	}
}

// join takes in what else is told of the same way, from its other end or by somebody
// else: it is relayed if any says so, as slow as the slowest, and dead if nobody hears
// anything.
func (w *Way) join(o Way) {
	if !o.Dead && (w.Dead || o.seconds > w.seconds) {
		w.Token, w.seconds = o.Token, o.seconds
	}
	w.Dashed, w.Dead = w.Dashed || o.Dashed, w.Dead && o.Dead
}

// pace colours a link by its round trip: what a click, a copy of a volume and etcd
// each begin to suffer from.
func pace(l *model.Link) themes.Token {
	switch {
	case l.Answering == 0:
		return themes.Critical
	case l.RTT >= 0.25:
		return themes.Warning
	case l.RTT >= 0.1:
		return themes.Accent
	default:
		return themes.OK
	}
}
