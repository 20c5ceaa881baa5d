package text

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// plainly is what stands for a character of ours where there is only ASCII: one cell
// for one.
var plainly = map[string]string{
	"●": "*", "○": "o", "…": "~", "›": ">", "─": "-", "━": "=", "│": "|", "┌": "+", "┐": "+", "└": "+", "┘": "+",
	"↑": "^", "↓": "v", "←": "<", "→": ">", "▲": "^", "×": "x", "·": ".",
	"▁": "_", "▂": ".", "▃": "-", "▄": "=", "▅": "+", "▆": "*", "▇": "%", "█": "#", "⠶": "=", "⠆": "=", "⠤": "-",
}

// ASCII gives s with every character that is not ASCII replaced by as many cells that
// are; escape sequences stay.
func ASCII(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	var state byte
	for len(s) > 0 {
		if s[0] < 0x80 && s[0] != 0x1b && state == ansi.NormalState && (len(s) == 1 || s[1] < 0x80) {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		seq, width, n, next := ansi.DecodeSequence(s, state, nil)
		state = next
		switch mapped, ours := plainly[seq]; {
		case ours:
			b.WriteString(mapped)
		case width == 0 || isASCII(seq):
			if seq[0] < 0x80 {
				b.WriteString(seq)
			}
		case strings.HasPrefix(seq, "\xe2\xa0") || strings.HasPrefix(seq, "\xe2\xa1") || strings.HasPrefix(seq, "\xe2\xa2") || strings.HasPrefix(seq, "\xe2\xa3"):
			b.WriteString(strings.Repeat(".", width)) // Braille: dots of a picture
		default:
			b.WriteString(strings.Repeat("?", width))
		}
		s = s[n:]
	}
	return b.String()
}
