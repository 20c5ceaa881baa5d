package themes

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestEveryNamedThemeLoads(t *testing.T) {
	for _, name := range Names() {
		th, err := Load(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		// State must be visible without the word: no two of the states that a
		// list mixes may look alike, except in mono, where words and marks tell.
		if name == "mono" {
			continue
		}
		seen := map[string]Token{}
		for _, tok := range []Token{Text, OK, Warning, Critical, Unknown} {
			if other, dup := seen[th.start[tok]]; dup {
				t.Errorf("%s: %v looks like %v", name, tok, other)
			}
			seen[th.start[tok]] = tok
		}
	}
}

func TestMonoUsesNoColour(t *testing.T) {
	th, err := Load("mono")
	if err != nil {
		t.Fatal(err)
	}
	for tok, seq := range th.start {
		if strings.Contains(seq, "38;") {
			t.Errorf("%v has a colour: %q", Token(tok), seq)
		}
	}
}

func TestBodyTextKeepsTheTerminalsColours(t *testing.T) {
	for _, name := range Names() {
		th, _ := Load(name)
		if got := th.Paint(Text, "x"); got != "x" {
			t.Errorf("%s paints body text: %q", name, got)
		}
	}
}

func TestPaint(t *testing.T) {
	th, err := build("t", map[string]style{"ok": {FG: float64(78), Bold: true}, "critical": {FG: "#ff8000"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		tok  Token
		in   string
		want string
	}{
		{OK, "up", "\x1b[1;38;5;78mup\x1b[m"},
		{Critical, "x", "\x1b[38;2;255;128;0mx\x1b[m"},
		{Warning, "plain", "plain"},
		{OK, "", ""},
	} {
		if got := th.Paint(tc.tok, tc.in); got != tc.want {
			t.Errorf("Paint(%v, %q) = %q, want %q", tc.tok, tc.in, got, tc.want)
		}
	}
}

func TestBadPalettes(t *testing.T) {
	for name, palette := range map[string]map[string]style{
		"unknown token": {"okay": {Bold: true}},
		"number":        {"ok": {FG: float64(256)}},
		"fraction":      {"ok": {FG: 1.5}},
		"name":          {"ok": {FG: "red"}},
		"short":         {"ok": {FG: "#fff"}},
	} {
		if _, err := build("t", palette); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := Load("neon"); err == nil || !strings.Contains(err.Error(), "high-contrast") {
		t.Errorf("an unknown theme's error must list the known: %v", err)
	}
}

// Backgrounds that terminals of each sort come with: the darkest and the lightest
// theme of a kind must do on both ends.
var backgrounds = map[string][]string{
	"dark":          {"#000000", "#1e1e1e", "#282a36"},
	"cvd":           {"#000000", "#1e1e1e", "#282a36"},
	"light":         {"#ffffff", "#fdf6e3"},
	"high-contrast": {"#000000", "#1e1e1e"},

	"high-contrast" + onLight: {"#ffffff", "#fdf6e3"},
	"cvd" + onLight:           {"#ffffff", "#fdf6e3"},
}

// TestContrast holds every colour that carries text against the backgrounds it is made
// for, as WCAG 2 counts it: 4.5 to 1, and 7 to 1 where contrast is the point. Rules and
// the empty part of gauges carry none.
func TestContrast(t *testing.T) {
	for name, behind := range backgrounds {
		want := 4.5
		if strings.HasPrefix(name, "high-contrast") {
			want = 7
		}
		plain, light := strings.CutSuffix(name, onLight)
		th, err := load(plain, light)
		if err != nil {
			t.Fatal(err)
		}
		for i, seq := range th.start {
			token := Token(i)
			if token == Track || token == Rule {
				continue
			}
			if strings.Contains(seq, "\x1b[2") || strings.Contains(seq, ";2;38") {
				t.Errorf("%s: %v is faint, and nobody knows how faint", name, token)
			}
			fg, coloured := foreground(t, seq)
			if !coloured {
				continue // the terminal's own
			}
			for _, b := range behind {
				bg, _ := foreground(t, mustColour(t, b))
				if got := contrast(fg, bg); got < want {
					t.Errorf("%s: %v on %s has a contrast of %.1f to 1", name, token, b, got)
				}
			}
		}
	}
}

func mustColour(t *testing.T, hex string) string {
	t.Helper()
	c, err := colour(hex)
	if err != nil {
		t.Fatal(err)
	}
	return "\x1b[" + c + "m"
}

// foreground reads the colour out of a style's escape sequence.
func foreground(t *testing.T, seq string) (rgb [3]float64, coloured bool) {
	t.Helper()
	if _, after, found := strings.Cut(seq, "38;2;"); found {
		if _, err := fmt.Sscanf(after, "%g;%g;%gm", &rgb[0], &rgb[1], &rgb[2]); err != nil {
			t.Fatal(seq, err)
		}
		return rgb, true
	}
	_, after, found := strings.Cut(seq, "38;5;")
	if !found {
		return rgb, false
	}
	n := 0
	if _, err := fmt.Sscanf(after, "%dm", &n); err != nil {
		t.Fatal(seq, err)
	}
	switch {
	case n < 16:
		t.Errorf("%q: colour %d is the terminal's own, of no known contrast", seq, n)
	case n >= 232: // greys
		for i := range rgb {
			rgb[i] = float64(8 + 10*(n-232))
		}
	default: // a cube of six steps
		for i, step := range []int{36, 6, 1} {
			if at := (n - 16) / step % 6; at > 0 {
				rgb[i] = float64(55 + 40*at)
			}
		}
	}
	return rgb, true
}

// contrast is WCAG 2's ratio of relative luminances.
func contrast(a, b [3]float64) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(rgb [3]float64) (l float64) {
	for i, part := range []float64{0.2126, 0.7152, 0.0722} {
		c := rgb[i] / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		l += part * c
	}
	return l
}
