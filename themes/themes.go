// Package themes turns meanings (ok, critical, dim, ...) into terminal styles.
// Palettes are data; code names tokens only, never a colour.
package themes

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// Token is a meaning that text on the screen can have.
type Token int

// The meanings themes give a style to.
const (
	Text     Token = iota // body text: the terminal's own colours
	Strong                // names that lead a row
	Dim                   // secondary, stale
	Title                 // of a pane or section
	Column                // column heads
	OK                    // known to be healthy
	Warning               // needs attention
	Critical              // down or lost
	Unknown               // could not be looked at
	Accent                // the chosen tab, an active filter
	Key                   // a key to press
	Selected              // the row under the cursor
	Alert                 // a badge that must not be missed
	Write                 // the RW badge
	Bar                   // the filled part of a gauge
	Track                 // its empty part
	Rule                  // lines between areas
	tokens
)

var tokenNames = [tokens]string{
	"text", "strong", "dim", "title", "column", "ok", "warning", "critical", "unknown",
	"accent", "key", "selected", "alert", "write", "bar", "track", "rule",
}

func (t Token) String() string { return tokenNames[t] }

// Theme is a palette ready for use. The zero Theme paints nothing.
type Theme struct {
	Name  string
	start [tokens]string // escape sequence that begins the token's style
	fine  bool
}

const reset = "\x1b[m"

// Paint gives s in the token's style.
func (t *Theme) Paint(tok Token, s string) string {
	if t == nil || t.start[tok] == "" || s == "" {
		return s
	}
	return t.start[tok] + s + reset
}

// Finely gives the theme with pictures drawn in Braille dots, not in blocks.
func (t *Theme) Finely() *Theme {
	fine := *t
	fine.fine = true
	return &fine
}

// Fine reports whether pictures are drawn in Braille dots.
func (t *Theme) Fine() bool { return t != nil && t.fine }

// Names lists the themes that Load knows, "auto" first: it stands for dark or
// light, whichever suits the terminal's background.
func Names() []string { return []string{"auto", "dark", "light", "mono", "high-contrast", "cvd"} }

//go:embed themes.yaml
var builtin []byte

// style is one token's entry in a palette.
type style struct {
	FG        any  `json:"fg"`
	Bold      bool `json:"bold"`
	Faint     bool `json:"faint"`
	Italic    bool `json:"italic"`
	Underline bool `json:"underline"`
	Reverse   bool `json:"reverse"`
}

// onLight is what the name of a palette made for light backgrounds ends in.
const onLight = " on light"

// Load gives the theme of that name as it is on a dark background; "auto" is dark.
func Load(name string) (*Theme, error) { return load(name, false) }

// LoadOnLight gives the theme of that name as it is on a light background; "auto" is
// light.
func LoadOnLight(name string) (*Theme, error) { return load(name, true) }

func load(name string, light bool) (*Theme, error) {
	if name == "" || name == "auto" {
		name = map[bool]string{false: "dark", true: "light"}[light]
	}
	var all map[string]map[string]style
	if err := yaml.UnmarshalStrict(builtin, &all); err != nil {
		return nil, fmt.Errorf("built-in themes: %w", err)
	}
	if palette, is := all[name+onLight]; light && is {
		return build(name, palette)
	}
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("no theme %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return build(name, all[name])
}

func build(name string, palette map[string]style) (*Theme, error) {
	t := &Theme{Name: name}
	for i, token := range tokenNames {
		seq, err := palette[token].sequence()
		if err != nil {
			return nil, fmt.Errorf("theme %s, token %s: %w", name, token, err)
		}
		t.start[i] = seq
		delete(palette, token)
	}
	for token := range palette {
		return nil, fmt.Errorf("theme %s: no token %q; there are %s", name, token, strings.Join(tokenNames[:], ", "))
	}
	return t, nil
}

// sequence writes the style as one SGR escape sequence.
func (s style) sequence() (string, error) {
	var codes []string
	for _, a := range []struct {
		on   bool
		code string
	}{{s.Bold, "1"}, {s.Faint, "2"}, {s.Italic, "3"}, {s.Underline, "4"}, {s.Reverse, "7"}} {
		if a.on {
			codes = append(codes, a.code)
		}
	}
	if s.FG != nil {
		c, err := colour(s.FG)
		if err != nil {
			return "", err
		}
		codes = append(codes, c)
	}
	if len(codes) == 0 {
		return "", nil
	}
	return "\x1b[" + strings.Join(codes, ";") + "m", nil
}

func colour(v any) (string, error) {
	switch v := v.(type) {
	case float64: // a number in YAML
		if n := int(v); float64(n) == v && n >= 0 && n <= 255 {
			return "38;5;" + strconv.Itoa(n), nil
		}
	case string:
		if n, err := strconv.ParseUint(strings.TrimPrefix(v, "#"), 16, 32); err == nil && len(v) == 7 && v[0] == '#' {
			return fmt.Sprintf("38;2;%d;%d;%d", n>>16, n>>8&255, n&255), nil
		}
	}
	return "", fmt.Errorf("%v is no colour: want 0 to 255 or \"#rrggbb\"", v)
}
