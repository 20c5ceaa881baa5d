// Package text fits values into the few cells a screen has: widths, shortening,
// amounts and gauges. It is pure and knows nothing of Kubernetes.
package text

import (
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Width is how many cells s takes, escape sequences not counted.
func Width(s string) int {
	if isASCII(s) {
		return len(s)
	}
	return ansi.StringWidth(s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Fit gives s in exactly width cells: cut at its end with "…", or padded.
func Fit(s string, width int) string { return Pad(Cut(s, width), width) }

// Pad fills s with spaces up to width cells.
func Pad(s string, width int) string {
	if n := width - Width(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return s
}

// PadLeft puts the spaces in front, as for numbers.
func PadLeft(s string, width int) string {
	if n := width - Width(s); n > 0 {
		return strings.Repeat(" ", n) + s
	}
	return s
}

// Cut shortens s to at most width cells, "…" at its end when something is lost.
func Cut(s string, width int) string {
	if width <= 0 {
		return ""
	}
	if Width(s) <= width {
		return s
	}
	return ansi.Truncate(s, width, "…")
}

// Middle shortens s to at most width cells by taking out of its middle: heads
// and tails of names both tell them apart.
func Middle(s string, width int) string {
	if width <= 0 {
		return ""
	}
	w := Width(s)
	if w <= width {
		return s
	}
	if width < 4 {
		return ansi.Truncate(s, width, "…")
	}
	tail := (width - 1) / 2
	head := width - 1 - tail
	end := ansi.TruncateLeft(s, w-tail, "")
	if Width(end) > tail { // a wide character stood across the cut
		end = ansi.TruncateLeft(s, w-tail+1, "")
	}
	return ansi.Truncate(s, head, "") + "…" + end
}

// Bytes puts an amount into at most five cells: "512M", "1.5G", "16G".
func Bytes(n int64) string {
	units := "BKMGTPE"
	v, u := float64(n), 0
	for v >= 999.5 && u < len(units)-1 {
		v /= 1024
		u++
	}
	if u == 0 {
		return strconv.FormatInt(n, 10) + "B"
	}
	digits := 0
	if v < 9.95 {
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + units[u:u+1]
}

// CPU puts millicores into words: "250m", "1.5", "16".
func CPU(milli int64) string {
	switch {
	case milli < 1000:
		return strconv.FormatInt(milli, 10) + "m"
	case milli < 9950:
		return strconv.FormatFloat(float64(milli)/1000, 'f', 1, 64)
	default:
		return strconv.FormatFloat(float64(milli)/1000, 'f', 0, 64)
	}
}

// Percent gives part of whole in whole per cent, "-" when there is no whole.
func Percent(part, whole int64) string {
	if whole <= 0 {
		return "-"
	}
	return strconv.FormatInt((part*100+whole/2)/whole, 10) + "%"
}

// Count puts a number into at most four cells: "980", "1.2k", "20k".
func Count(n int) string {
	switch {
	case n < 1000:
		return strconv.Itoa(n)
	case n < 9950:
		return strconv.FormatFloat(float64(n)/1000, 'f', 1, 64) + "k"
	case n < 999500:
		return strconv.Itoa((n+500)/1000) + "k"
	default:
		return strconv.Itoa((n+500000)/1000000) + "M"
	}
}

// Gauge splits width cells into the filled and the empty part for part of
// whole. Anything above nothing fills at least one cell.
func Gauge(part, whole int64, width int) (filled, empty int) {
	if whole <= 0 || part <= 0 || width <= 0 {
		return 0, max(0, width)
	}
	filled = int((part*int64(width) + whole/2) / whole)
	filled = min(max(filled, 1), width)
	return filled, width - filled
}

// Fold breaks s into lines of at most width cells and keeps every character of it, but
// one space where it breaks at one. Lines after the first begin with indent spaces.
func Fold(s string, width, indent int) []string {
	lines, lead := []string{}, ""
	for {
		room := width - len(lead)
		head := ansi.Truncate(s, room, "")
		if len(head) == len(s) || head == "" { // or a character wider than the line
			return append(lines, lead+head)
		}
		if at := strings.LastIndexByte(head, ' '); at > len(head)/2 && s[len(head)] != ' ' {
			head = head[:at]
		}
		lines, s = append(lines, lead+head), strings.TrimPrefix(s[len(head):], " ")
		if width > 2*indent {
			lead = strings.Repeat(" ", indent)
		}
	}
}

// Wrap breaks s into lines of at most width cells, at spaces only: names with
// hyphens stay whole unless they are wider than a line.
func Wrap(s string, width int) []string {
	if width <= 0 {
		return nil
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		for Width(word) > width {
			if line != "" {
				lines = append(lines, line)
				line = ""
			}
			head := ansi.Truncate(word, width, "")
			if head == "" { // a character wider than the line
				return append(lines, "")
			}
			lines = append(lines, head)
			word = word[len(head):]
		}
		switch {
		case line == "":
			line = word
		case Width(line)+1+Width(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}
