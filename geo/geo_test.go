package geo

import (
	"bytes"
	"math"
	"testing"
)

func TestCoastsAreThere(t *testing.T) {
	lines, err := unpack()
	if err != nil {
		t.Fatal(err)
	}
	points := 0
	for _, l := range lines {
		points += len(l)
		if len(l) < 2 {
			t.Error("a line of one point")
		}
		for _, p := range l {
			if math.Abs(p.Lat) > 90 || math.Abs(p.Lon) > 180.01 {
				t.Fatalf("%+v is not on Earth", p)
			}
		}
	}
	if len(lines) < 1000 || points < 50_000 {
		t.Errorf("%d lines of %d points", len(lines), points)
	}
	if again, err := Decode(bytes.NewReader(Encode(lines))); err != nil || len(again) != len(lines) {
		t.Errorf("packed anew: %d lines, %v", len(again), err)
	}
}

// TestIslands finds islands where they are: Mauritius, and Taveuni, which lies across
// the antimeridian.
func TestIslands(t *testing.T) {
	for name, c := range map[string]struct {
		in   Box
		span Box
	}{
		"Mauritius": {Box{-20.7, 57.1, -19.8, 58}, Box{-20.53, 57.31, -19.98, 57.81}},
		"Taveuni":   {Box{-17.05, 179.75, -16.65, 180.25}, Box{-17.0, 179.78, -16.65, 180.18}}, // and the neighbours' tips
	} {
		got := Box{90, 360, -90, -360}
		length := 0.0
		Coast(c.in, func(a, b Point) {
			length += math.Hypot(b.Lat-a.Lat, b.Lon-a.Lon)
			for _, p := range []Point{a, b} {
				if c.in.Has(p) {
					got.South, got.North = min(got.South, p.Lat), max(got.North, p.Lat)
					got.West, got.East = min(got.West, p.Lon), max(got.East, p.Lon)
				}
			}
		})
		for _, d := range []float64{got.South - c.span.South, got.West - c.span.West, got.North - c.span.North, got.East - c.span.East} {
			if math.Abs(d) > 0.05 {
				t.Errorf("%s lies within %+v", name, got)
				break
			}
		}
		if length < 0.5 {
			t.Errorf("%s has a coast of %.2f degrees", name, length)
		}
	}
}

func TestDecodeRefusesWhatIsBroken(t *testing.T) {
	good := Encode([][]Point{{{1, 2}, {3, 4}}, {{-5, 179.9}, {6, -7}}})
	for n := 1; n < len(good); n++ {
		if n != 7 && n != 6 && n != 8 { // ends of lines
			if lines, err := Decode(bytes.NewReader(good[:n])); err == nil && len(lines) != 1 {
				t.Errorf("cut after %d bytes: %v", n, lines)
			}
		}
	}
	if _, err := Decode(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})); err == nil {
		t.Error("more points than there are bytes")
	}
}

func BenchmarkCoast(b *testing.B) {
	n := 0
	for b.Loop() {
		Coast(Box{-20.7, 57.1, -19.8, 58}, func(_, _ Point) { n++ })
	}
	if n == 0 {
		b.Fatal("nothing drawn")
	}
}
