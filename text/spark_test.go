package text

import (
	"math"
	"testing"
)

func TestSpark(t *testing.T) {
	for _, c := range []struct {
		values  []float64
		top     float64
		width   int
		braille bool
		want    string
	}{
		{[]float64{0, 0.01, 12.5, 13, 50, 100, 200}, 100, 7, false, "▁▁▁▂▄██"},
		{[]float64{1, 2, 3, 4}, 4, 2, false, "▆█"},
		{[]float64{4, -1, 4}, 4, 5, false, "  █ █"},
		{[]float64{1, 2, 3, 4}, 4, 3, true, " ⣠⣾"},
		{[]float64{4, 4, -1, 4, 4}, 4, 3, true, "⢸⡇⣿"},
		{nil, 4, 3, true, "   "},
		{[]float64{1}, 0, 3, false, "   "},
		{[]float64{1}, 1, 0, false, ""},
		{[]float64{1}, 1, -2, false, ""},
	} {
		if got := Spark(c.values, c.top, c.width, c.braille); got != c.want {
			t.Errorf("Spark(%v, %v, %d, %v) is %q, not %q", c.values, c.top, c.width, c.braille, got, c.want)
		}
	}
}

func TestTop(t *testing.T) {
	for most, want := range map[float64]float64{0: 0, 0.158: 0.2, 0.21: 0.5, 0.51: 1, 1: 1, 2: 2, 5: 5, 1500: 2000, 1e-9: 1e-9} {
		if got := Top([]float64{-1, most, most / 2}); math.Abs(got-want) > want/1e6 {
			t.Errorf("Top of %v is %v, not %v", most, got, want)
		}
	}
}
