package themes

import (
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
