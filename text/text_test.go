package text

import (
	"slices"
	"strings"
	"testing"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0B", 512: "512B", 1024: "1.0K", 1536: "1.5K", 512 << 20: "512M", 3 << 30: "3.0G", 16 << 30: "16G", 1000 << 20: "1.0G", 5 << 40: "5.0T",
	} {
		if got := Bytes(n); got != want || len(got) > 5 {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestCPU(t *testing.T) {
	for n, want := range map[int64]string{0: "0m", 250: "250m", 1000: "1.0", 1540: "1.5", 9940: "9.9", 9960: "10", 64000: "64"} {
		if got := CPU(n); got != want {
			t.Errorf("CPU(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1200: "1.2k", 9960: "10k", 20000: "20k", 1500000: "2M"} {
		if got := Count(n); got != want || len(got) > 4 {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestPercent(t *testing.T) {
	if got := Percent(1, 0); got != "-" {
		t.Errorf("nothing of nothing: %q", got)
	}
	if got := Percent(2, 3); got != "67%" {
		t.Errorf("two of three: %q", got)
	}
}

func TestGauge(t *testing.T) {
	for _, tc := range []struct {
		part, whole int64
		width, want int
	}{{0, 10, 5, 0}, {1, 1000, 5, 1}, {5, 10, 4, 2}, {10, 10, 5, 5}, {20, 10, 5, 5}, {1, 0, 5, 0}, {1, 1, 0, 0}} {
		filled, empty := Gauge(tc.part, tc.whole, tc.width)
		if filled != tc.want || filled+empty != tc.width {
			t.Errorf("Gauge(%d, %d, %d) = %d, %d; want %d filled", tc.part, tc.whole, tc.width, filled, empty, tc.want)
		}
	}
}

func TestShorteningNeverExceedsItsWidth(t *testing.T) {
	for _, s := range []string{"", "a", "curepipe", "nas-attic-old-02", "ノード東京一号", "é́combining", "mixed日本text"} {
		for width := -1; width < 12; width++ {
			for name, f := range map[string]func(string, int) string{"Cut": Cut, "Middle": Middle} {
				if got := f(s, width); Width(got) > max(0, width) {
					t.Errorf("%s(%q, %d) = %q takes %d cells", name, s, width, got, Width(got))
				}
			}
			if got := Fit(s, width); width > 0 && Width(got) != width {
				t.Errorf("Fit(%q, %d) = %q takes %d cells", s, width, got, Width(got))
			}
		}
	}
}

func TestMiddleKeepsHeadAndTail(t *testing.T) {
	if got := Middle("nas-attic-old-02", 9); got != "nas-…d-02" {
		t.Errorf("got %q", got)
	}
}

func TestWrap(t *testing.T) {
	for _, line := range Wrap("all 3 nodes unreachable for 3m: house dark or uplink down", 20) {
		if Width(line) > 20 {
			t.Errorf("%q is too wide", line)
		}
	}
	for in, want := range map[string]string{
		"one two three":        "one two|three",
		"on curepipe-1 today":  "on|curepip|e-1|today",
		"a very-long b":        "a|very-lo|ng b",
		"":                     "",
		"日本語の長い名前":             "日本語|の長い|名前",
		"  spaces   fold  too": "spaces|fold|too",
	} {
		if got := strings.Join(Wrap(in, 7), "|"); got != want {
			t.Errorf("Wrap(%q, 7) = %q, want %q", in, got, want)
		}
	}
}

func TestFoldKeepsEverything(t *testing.T) {
	for _, c := range []struct {
		in            string
		width, indent int
		want          []string
	}{
		{"", 10, 2, []string{""}},
		{"    at line 1", 20, 2, []string{"    at line 1"}},
		{"one  two three", 9, 2, []string{"one  two", "  three"}},
		{"abcdefghij", 4, 1, []string{"abcd", " efg", " hij"}},
		{"日本語です", 4, 0, []string{"日本", "語で", "す"}},
		{"日本", 1, 0, []string{""}},
		{"abc def", 3, 2, []string{"abc", "def"}},
	} {
		if got := Fold(c.in, c.width, c.indent); !slices.Equal(got, c.want) {
			t.Errorf("%q in %d: %q, not %q", c.in, c.width, got, c.want)
		}
	}
	for width := 1; width < 40; width++ {
		for _, l := range Fold(strings.Repeat("wörd 日本 \t", 20), width, 2) {
			if Width(l) > width {
				t.Errorf("%q is wider than %d", l, width)
			}
		}
	}
}

func TestASCII(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "",
		"plain":                           "plain",
		"● ok … x":                        "* ok ~ x",
		"\x1b[1;38;5;78m●\x1b[m moka":     "\x1b[1;38;5;78m*\x1b[m moka",
		"é世🏠e\u0301":                      "?????e",
		"⢀⡠⠃":                             "...",
		"━━──  26%\n● a\n":                "==--  26%\n* a\n",
		"e\u0301tude ok \u200b\u200dzero": "etude ok zero",
	} {
		got := ASCII(in)
		if got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
		if Width(got) != Width(in) {
			t.Errorf("%q is %d cells wide, %q %d", in, Width(in), got, Width(got))
		}
	}
	for _, broken := range []string{"\xff\xfe", "a\xc3", "\xe2\x97x"} {
		if got := ASCII(broken); strings.ContainsFunc(got, func(r rune) bool { return r > '~' }) {
			t.Errorf("%q became %q", broken, got)
		}
	}
}
