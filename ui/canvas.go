package ui

import (
	"math"
	"strings"

	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
)

// canvas is a picture of dots, two across and four down in each cell, with words
// upon it.
type canvas struct {
	width, height int // in cells
	cells         []dots
}

// dots is one cell: its dots, or a piece of text.
type dots struct {
	mask  byte
	token themes.Token
	text  string // of one cell's width; overrides the dots
}

func newCanvas(width, height int) *canvas {
	return &canvas{width, height, make([]dots, width*height)}
}

// braille is which bit of a Braille pattern the dot at [down][across] is.
var braille = [4][2]byte{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

// dot sets a dot; a later one gives its colour to the whole cell.
func (c *canvas) dot(x, y int, token themes.Token) {
	if x < 0 || y < 0 || x >= 2*c.width || y >= 4*c.height {
		return
	}
	cell := &c.cells[y/4*c.width+x/2]
	cell.mask |= braille[y%4][x%2]
	cell.token = token
}

// line draws from one dot to another; on and off are how many dots it is there and
// not there, off 0 for a whole line.
func (c *canvas) line(x0, y0, x1, y1 float64, token themes.Token, on, off int) {
	x0, y0, x1, y1, seen := clip(x0, y0, x1, y1, float64(2*c.width), float64(4*c.height))
	if !seen {
		return
	}
	steps := int(math.Ceil(max(math.Abs(x1-x0), math.Abs(y1-y0), 1)))
	for i := range steps + 1 {
		if off > 0 && i%(on+off) >= on {
			continue
		}
		part := float64(i) / float64(steps)
		c.dot(int(math.Floor(x0+(x1-x0)*part)), int(math.Floor(y0+(y1-y0)*part)), token)
	}
}

// clip cuts a line to what lies within (0,0) and (w,h), after Liang and Barsky.
func clip(x0, y0, x1, y1, w, h float64) (a, b, c, d float64, seen bool) {
	from, to := 0.0, 1.0
	dx, dy := x1-x0, y1-y0
	for _, edge := range [4][2]float64{{-dx, x0}, {dx, w - x0}, {-dy, y0}, {dy, h - y0}} {
		p, q := edge[0], edge[1]
		switch {
		case p == 0 && q < 0:
			return 0, 0, 0, 0, false
		case p < 0:
			from = max(from, q/p)
		case p > 0:
			to = min(to, q/p)
		}
	}
	return x0 + from*dx, y0 + from*dy, x0 + to*dx, y0 + to*dy, from <= to
}

// free reports whether there is no text yet on so many cells, and room for them.
func (c *canvas) free(col, row, cells int) bool {
	if row < 0 || row >= c.height || col < 0 || col+cells > c.width {
		return false
	}
	for _, d := range c.cells[row*c.width+col : row*c.width+col+cells] {
		if d.text != "" {
			return false
		}
	}
	return true
}

// write puts a word upon the picture; it takes one cell a character.
func (c *canvas) write(col, row int, word string, token themes.Token) {
	for _, r := range word {
		if row >= 0 && row < c.height && col >= 0 && col < c.width {
			c.cells[row*c.width+col] = dots{token: token, text: string(r)}
		}
		col++
	}
}

// draw gives the picture's lines; neighbours of one meaning share their style.
func (c *canvas) draw(th *themes.Theme) []string {
	lines := make([]string, c.height)
	for row := range c.height {
		var line, run strings.Builder
		of := themes.Text
		flush := func() {
			line.WriteString(th.Paint(of, run.String()))
			run.Reset()
		}
		for _, d := range c.cells[row*c.width : (row+1)*c.width] {
			s := " "
			switch {
			case d.text != "":
				s = d.text
			case d.mask != 0:
				s = string(rune(0x2800) + rune(d.mask))
			}
			if s != " " && d.token != of {
				flush()
				of = d.token
			}
			run.WriteString(s)
		}
		words := strings.TrimRight(run.String(), " ")
		run.Reset()
		run.WriteString(words)
		flush()
		lines[row] = line.String()
	}
	return lines
}

// label writes words beside the mark in a cell, where they cover no others: right of
// it, left of it, else above or below.
func (c *canvas) label(col, row int, mark labelPart, parts []labelPart) {
	wide := -1
	for _, p := range parts {
		wide += text.Width(p.text) + 1
	}
	for _, at := range [][2]int{{col + 2, row}, {col - wide - 1, row}, {col - wide/2, row - 1}, {col - wide/2, row + 1}} {
		if !c.free(at[0], at[1], wide) {
			continue
		}
		c.write(at[0]-1, at[1], strings.Repeat(" ", wide+2), themes.Text) // what is written on a line must be read
		for _, p := range parts {
			c.write(at[0], at[1], p.text, p.token)
			at[0] += text.Width(p.text) + 1
		}
		c.write(col, row, mark.text, mark.token)
		return
	}
}

// labelPart is a word of a label.
type labelPart struct {
	text  string
	token themes.Token
}
