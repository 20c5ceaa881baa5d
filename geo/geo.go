// Package geo knows the coastlines of the world, coarsely: enough for a map the size
// of a terminal. It is pure but for its embedded data.
package geo

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the coastlines
	"encoding/binary"
	"errors"
	"io"
	"math"
	"sync"
)

// Point is a place in degrees: north and east are positive.
type Point struct{ Lat, Lon float64 }

// Box bounds a part of the world. East may be beyond 180 where it lies across the
// antimeridian; it is never less than West.
type Box struct{ South, West, North, East float64 }

// Has reports whether the point lies in the box.
func (b Box) Has(p Point) bool {
	return p.Lat >= b.South && p.Lat <= b.North && p.Lon >= b.West && p.Lon <= b.East
}

func (b Box) meets(o Box) bool {
	return b.South <= o.North && o.South <= b.North && b.West <= o.East && o.West <= b.East
}

// coast.bin.gz is made by lab coast from Natural Earth's 1:10m coastline
// (https://www.naturalearthdata.com), which is in the public domain.
//
//go:embed coast.bin.gz
var packed []byte

// shore is a stretch of coast and what it lies within.
type shore struct {
	box  Box
	line []Point
}

// all unpacks the coastlines when they are first asked for: a terminal without room
// for a map never does.
var all = sync.OnceValue(func() []shore {
	lines, _ := unpack() // without coasts there is a map still; a test reads them
	shores := make([]shore, len(lines))
	for i, l := range lines {
		shores[i] = shore{bounds(l), l}
	}
	return shores
})

func unpack() ([][]Point, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return Decode(z)
}

func bounds(line []Point) Box {
	b := Box{90, 180, -90, -180}
	for _, p := range line {
		b.South, b.North = min(b.South, p.Lat), max(b.North, p.Lat)
		b.West, b.East = min(b.West, p.Lon), max(b.East, p.Lon)
	}
	return b
}

// Coast calls draw with each piece of coast that may be seen in the box.
func Coast(in Box, draw func(from, to Point)) {
	for _, turn := range []float64{0, 360} { // what lies beyond the antimeridian
		for _, s := range all() {
			box := s.box
			box.West, box.East = box.West+turn, box.East+turn
			if !in.meets(box) {
				continue
			}
			for i := 1; i < len(s.line); i++ {
				a, b := s.line[i-1], s.line[i]
				a.Lon, b.Lon = a.Lon+turn, b.Lon+turn
				if in.meets(bounds([]Point{a, b})) {
					draw(a, b)
				}
			}
		}
	}
}

// grain is the precision kept, in parts of a degree: some 200 m.
const grain = 500

// Encode packs lines: their lengths and the steps between their points, in units of
// grain.
func Encode(lines [][]Point) []byte {
	var out []byte
	for _, l := range lines {
		out = binary.AppendUvarint(out, uint64(len(l)))
		var lat, lon int64
		for _, p := range l {
			la, lo := int64(math.Round(p.Lat*grain)), int64(math.Round(p.Lon*grain))
			out = binary.AppendVarint(binary.AppendVarint(out, la-lat), lo-lon)
			lat, lon = la, lo
		}
	}
	return out
}

// Decode reads what Encode wrote.
func Decode(r io.Reader) ([][]Point, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	in := bytes.NewReader(b)
	var lines [][]Point
	for in.Len() > 0 {
		n, err := binary.ReadUvarint(in)
		if err != nil || n > uint64(in.Len()) {
			return nil, errors.Join(errors.New("broken line"), err)
		}
		line := make([]Point, n)
		var lat, lon int64
		for i := range line {
			dlat, err1 := binary.ReadVarint(in)
			dlon, err2 := binary.ReadVarint(in)
			if err := errors.Join(err1, err2); err != nil {
				return nil, err
			}
			lat, lon = lat+dlat, lon+dlon
			line[i] = Point{float64(lat) / grain, float64(lon) / grain}
		}
		lines = append(lines, line)
	}
	return lines, nil
}
