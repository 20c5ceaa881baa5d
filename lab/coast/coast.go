// Package coast makes the coastlines geotop draws its map with: Natural Earth's,
// with what no terminal could show left out.
package coast

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/geotop/geotop/geo"
)

const (
	tolerance = 0.006 // degrees a line may be off: some 600 m
	speck     = 0.02  // islands of less than so many degrees are left out
)

// Pack reads ne_10m_coastline as GeoJSON and gives what geo embeds.
func Pack(r io.Reader) ([]byte, error) {
	var doc struct {
		Features []struct {
			Geometry struct {
				Type        string
				Coordinates json.RawMessage
			}
		}
	}
	if err := json.NewDecoder(r).Decode(&doc); err != nil {
		return nil, err
	}
	var lines [][]geo.Point
	for i, f := range doc.Features {
		var several [][][2]float64
		switch f.Geometry.Type {
		case "LineString":
			several = make([][][2]float64, 1)
			if err := json.Unmarshal(f.Geometry.Coordinates, &several[0]); err != nil {
				return nil, fmt.Errorf("feature %d: %w", i, err)
			}
		case "MultiLineString":
			if err := json.Unmarshal(f.Geometry.Coordinates, &several); err != nil {
				return nil, fmt.Errorf("feature %d: %w", i, err)
			}
		default:
			return nil, fmt.Errorf("feature %d is a %s", i, f.Geometry.Type)
		}
		for _, one := range several {
			line := make([]geo.Point, len(one))
			for j, c := range one {
				line[j] = geo.Point{Lat: c[1], Lon: c[0]}
			}
			if wide(line) {
				lines = append(lines, fewer(line))
			}
		}
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(geo.Encode(lines)); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func wide(line []geo.Point) bool {
	for _, p := range line {
		if math.Abs(p.Lat-line[0].Lat) >= speck || math.Abs(p.Lon-line[0].Lon) >= speck {
			return true
		}
	}
	return false
}

// fewer leaves out points that lie near enough to the line without them (Douglas and
// Peucker's way).
func fewer(line []geo.Point) []geo.Point {
	if len(line) < 3 {
		return line
	}
	a, b := line[0], line[len(line)-1]
	at, most := 0, 0.0
	for i, p := range line[1 : len(line)-1] {
		if d := off(p, a, b); d > most {
			at, most = i+1, d
		}
	}
	if most <= tolerance {
		return []geo.Point{a, b}
	}
	head := fewer(line[:at+1])
	return append(head[:len(head)-1:len(head)-1], fewer(line[at:])...)
}

// off is how far p is from the stretch between a and b, in degrees of latitude.
func off(p, a, b geo.Point) float64 {
	east := math.Cos(a.Lat * math.Pi / 180)
	px, py := (p.Lon-a.Lon)*east, p.Lat-a.Lat
	bx, by := (b.Lon-a.Lon)*east, b.Lat-a.Lat
	if long := bx*bx + by*by; long > 0 {
		along := max(0, min(1, (px*bx+py*by)/long))
		px, py = px-along*bx, py-along*by
	}
	return math.Hypot(px, py)
}
