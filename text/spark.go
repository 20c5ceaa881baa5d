package text

import (
	"math"
	"strings"
)

// blocks are eight heights of a cell.
var blocks = [8]string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}

// halves are the Braille dots of a cell's left and right half, by height.
var halves = [2][5]rune{{0, 0x40, 0x44, 0x46, 0x47}, {0, 0x80, 0xa0, 0xb0, 0xb8}}

// Spark draws values as columns, the newest at the right, in width cells: one a cell,
// two where it is Braille. Those below nothing are not known and stay empty; top is as
// high as a cell.
func Spark(values []float64, top float64, width int, braille bool) string {
	if width <= 0 || top <= 0 {
		return strings.Repeat(" ", max(0, width))
	}
	per, steps := 1, len(blocks)
	if braille {
		per, steps = 2, len(halves[0])-1
	}
	values = values[max(0, len(values)-per*width):]
	var b strings.Builder
	for cell := range width {
		dots := rune(0)
		for half := range per {
			i := cell*per + half - (per*width - len(values))
			height := 0
			if i >= 0 && values[i] >= 0 {
				height = min(max(1, int(math.Ceil(min(1, values[i]/top)*float64(steps)))), steps)
			}
			switch {
			case braille:
				dots |= halves[half][height]
			case height == 0:
				b.WriteByte(' ')
			default:
				b.WriteString(blocks[height-1])
			}
		}
		switch {
		case !braille:
		case dots == 0:
			b.WriteByte(' ')
		default:
			b.WriteRune(0x2800 + dots)
		}
	}
	return b.String()
}

// Top is the round number, 1, 2 or 5 times a power of ten, that none of the values is
// above; 0 where none is above nothing.
func Top(values []float64) float64 {
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	if most <= 0 {
		return 0
	}
	scale := math.Pow(10, math.Floor(math.Log10(most)))
	for _, step := range []float64{1, 2, 5} {
		if most <= step*scale*(1+1e-9) {
			return step * scale
		}
	}
	return 10 * scale
}
