package model

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes text from outside fit for one line of a terminal: escape and
// other control characters, invalid UTF-8, format characters (bidirectional
// overrides, joiners) and variation selectors, whose width terminals disagree
// on, are taken out; white space becomes single spaces. limit bounds the
// result's bytes, with "…" behind a cut; 0 means no bound.
func Clean(s string, limit int) string {
	if limit > 0 && len(s) > limit {
		cut := limit
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strings.Join(strings.Fields(Strip(s)), " ")
}

// Strip is Clean for text that is laid out already: every control character and
// white space becomes one space, and no space is taken out.
func Strip(s string) string {
	if plain(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r):
			return -1
		case unicode.IsControl(r) || unicode.IsSpace(r):
			return ' '
		default:
			return r
		}
	}, s)
}

// plain reports whether s is printable ASCII: nearly all text is, and needs no work.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
