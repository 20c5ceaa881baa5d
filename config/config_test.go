package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var is = Is{
	Setting: func(name string) bool { return name == "theme" || name == "site-label" || name == "low-bandwidth" },
	Action:  func(name string) bool { return name == "zoom" },
	Known:   func() []string { return []string{"theme", "site-label", "low-bandwidth"} },
}

func TestEverythingThereCanBe(t *testing.T) {
	f := Read("x", []byte(`
theme: light
site-label: [a, b]
sites:
  moka: {location: "-20.2, 57.5"}
keys: {zoom: [v, V]}
contexts:
  home:
    theme: mono
    sites: {moka: {location: [1, 2]}}
  empty:
`), is)
	got := fmt.Sprint(f.Problems, f.Settings, f.Sites, f.Keys, f.Contexts["home"].Settings, f.Contexts["home"].Sites, len(f.Contexts))
	want := "[] map[site-label:{3 [a b] [3 3]} theme:{2 [light] [2]}] map[moka:{{5 [-20.2, 57.5] [5]}}] map[zoom:{6 [v V] [6 6]}] map[theme:{9 [mono] [9]}] map[moka:{{10 [1 2] [10 10]}}] 2"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestProblemsSayWhereTheyAre(t *testing.T) {
	for content, want := range map[string]string{
		"":                                 "",
		"# nothing":                        "",
		"theme: [":                         "error",
		"- a":                              "1 here belong names with values, \"name: value\"",
		"thme: light":                      "1 warning: unknown: thme; did you mean theme?",
		"low_bandwith: true":               "1 warning: unknown: low_bandwith; did you mean low-bandwidth?",
		"frobnicate: 1":                    "1 warning: unknown: frobnicate",
		"theme:\n  - {a: b}":               "2 theme: here belongs a plain value",
		"theme:":                           "1 theme: here belongs a plain value",
		"theme: a\ntheme: b":               "2 theme is there twice",
		"keys:\n  fly: f":                  "2 there is no action fly; geotop config actions lists them",
		"keys: zoom":                       "1 here belong names with values, \"name: value\"",
		"sites: {a: {altitude: 3}}":        "1 warning: unknown: altitude",
		"a: &x 1\nb: *x":                   "1 warning: unknown: a\n2 warning: unknown: b",
		"theme: a\n---\ntheme: b":          "0 there is more than one document in it",
		"contexts: {c: {d: {e: f}, g: h}}": "1 warning: unknown: d\n1 warning: unknown: g",
	} {
		var said []string
		for _, p := range Read("x", []byte(content), is).Problems {
			said = append(said, fmt.Sprintf("%d %s%s", p.Line, map[bool]string{true: "warning: "}[p.Warning], p.Text))
		}
		got := strings.Join(said, "\n")
		if want == "error" && (len(said) != 1 || strings.HasPrefix(said[0], "0 ") || strings.Contains(got, "yaml:")) || want != "error" && got != want {
			t.Errorf("%q: %q, want %q", content, got, want)
		}
	}
}

func TestWhereItIs(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("GEOTOP_CONFIG", "")
	paths := []string{}
	for _, env := range [][2]string{{"HOME", dir}, {"XDG_CONFIG_HOME", filepath.Join(dir, "x")}, {"GEOTOP_CONFIG", filepath.Join(dir, "y.yaml")}} {
		t.Setenv(env[0], env[1])
		paths = append(paths, strings.TrimPrefix(Path(), dir))
	}
	if want := []string{"/.config/geotop/config.yaml", "/x/geotop/config.yaml", "/y.yaml"}; !slices.Equal(paths, want) {
		t.Error(paths)
	}
	if f, err := Open(filepath.Join(dir, "none"), is); err != nil || len(f.Problems) > 0 {
		t.Errorf("one that is not there: %v", err)
	}
	if _, err := Open(dir, is); err == nil {
		t.Error("a folder is read")
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, mostBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(large, is); err == nil {
		t.Error("a file of any size is read")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("theme: light\ncontexts: {a: {b: [1, {c: d}]}}\nkeys: {zoom: v}\n"))
	f.Add([]byte("a: &a [*a, *a]\n? [x]\n: y\n<<: *a\n"))
	f.Fuzz(func(_ *testing.T, b []byte) { Read("x", b, is) })
}
