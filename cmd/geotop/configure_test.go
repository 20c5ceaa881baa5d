package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/geotop/geotop/keymap"
)

func written(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A flag goes before the context, that before what is for all.
func TestWhatGoesBeforeWhat(t *testing.T) {
	file := written(t, `
theme: light
low-bandwidth: true
site-label: [a, b]
sites: {moka: {location: "1, 2"}, flacq: {location: "3, 4"}}
keys: {zoom: [v], cursor.down: [j]}
contexts:
  home:
    theme: mono
    site-label: c
    sites: {moka: {location: "5, 6"}}
`)
	for _, c := range []struct {
		args  []string
		theme string
		label string
		moka  float64
	}{
		{nil, "light", "a b", 1},
		{[]string{"--context", "home"}, "mono", "c", 5},
		{[]string{"--context", "home", "--theme", "dark", "--site-label", "d"}, "dark", "d", 5},
		{[]string{"--context", "away"}, "light", "a b", 1},
	} {
		f := &flags{}
		cmd := commandOf(f)
		if err := cmd.ParseFlags(append(c.args, "--config", file)); err != nil {
			t.Fatal(err)
		}
		if err := f.configure(cmd); err != nil {
			t.Fatal(err)
		}
		if f.theme != c.theme || strings.Join(f.siteLabels, " ") != c.label || !f.low || f.locations["moka"].Latitude != c.moka || f.locations["flacq"].Latitude != 3 {
			t.Errorf("%v: theme %s, labels %v, low %v, %v", c.args, f.theme, f.siteLabels, f.low, f.locations)
		}
		if a, _ := f.keys.Lookup("v", keymap.Global); a != keymap.Zoom {
			t.Errorf("v does %q", a)
		}
		if _, is := f.keys.Lookup("z", keymap.Global); is {
			t.Error("z still does something")
		}
	}
}

func TestConfigCheck(t *testing.T) {
	for content, want := range map[string]string{
		"theme: light":                                     "nothing is wrong with it",
		"thme: light":                                      ":1: warning: unknown: thme; did you mean theme?",
		"keys: {pane.nodes: [n]}":                          ":1: warning: keys: n is problem.next in lists, and not pane.nodes",
		"\ntheme: neon":                                    "64 :2: theme: no theme \"neon\"",
		"contexts:\n  a:\n    timeout: soon":               "64 :3: timeout: ",
		"contexts: {a: {timeout: 0s, write: true}}":        "64 :1: timeout: --timeout must be more than nothing",
		"keys: {zoom: [q]}":                                "64 :1: keys: key q is both back and zoom",
		"keys: {zoom: [backspace]}":                        "64 :1: keys: zoom is bound to backspace",
		"keys: {zoom: [f5]}":                               "64 :1: keys: zoom in scope \"everywhere\" needs a key that phones lack",
		"keys: {accept: [enter]}":                          "64 :1: there is no action accept",
		"sites: {a: {location: \"91, 0\"}}":                "64 :1: \"91, 0\" is no latitude,longitude",
		"theme: [":                                         "64 :",
		"threshold:\n  backup-age: 26h/3d\n  disk-free: x": "64 :3: threshold: disk-free: \"x\" is no percentage",
		"threshold: {backup-age: 26h, link-rtt: 1s/2s}":    "nothing is wrong with it",
		"low-bandwidth: perhaps":                           "64 :1: low-bandwidth: ",
		"theme: \"\\e[31m\"":                               "64 :1: theme: no theme",
	} {
		file := written(t, content)
		out, _, code := geotop(t, "config", "check", file)
		bad := strings.HasPrefix(want, "64 ")
		if !strings.Contains(out, strings.TrimPrefix(want, "64 ")) || bad != (code == 64) || strings.Contains(out, "\x1b") {
			t.Errorf("%q: exit code %d, %q, want %q", content, code, out, want)
		}
		// Whatever is wrong with it is told when it is to be used, too; of a context only there.
		if _, errs, code := geotop(t, "--config", file, "--demo", "--once"); !strings.Contains(content, "contexts") && bad != (code == 64 && strings.Contains(errs, file)) {
			t.Errorf("%q: used, exit code %d, %s", content, code, errs)
		}
		if _, _, code := geotop(t, "--config", file, "version"); code != 0 {
			t.Errorf("%q: the version is not to be had", content)
		}
	}
	if _, errs, code := geotop(t, "--config", "/nowhere", "--demo", "--once"); code != 64 || !strings.Contains(errs, "/nowhere") {
		t.Errorf("one that is named and not there: exit code %d, %s", code, errs)
	}
}

// What can be set, and what keys can be chosen for, is listed.
func TestConfigLists(t *testing.T) {
	settings, _, _ := geotop(t, "config", "settings")
	for _, name := range lasting {
		if !strings.Contains(settings, name+" ") {
			t.Errorf("%s is not listed", name)
		}
	}
	actions, _, _ := geotop(t, "config", "actions")
	for _, a := range keymap.Default().Actions() {
		if !strings.Contains(actions, string(a)+" ") {
			t.Errorf("%s is not listed", a)
		}
	}
}

// The file in the docs is one that can be used.
func TestDocumentedConfiguration(t *testing.T) {
	doc, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```yaml\n")
	example, _, _ := strings.Cut(rest, "```")
	if out, _, code := geotop(t, "config", "check", written(t, example)); code != 0 || !strings.Contains(out, "nothing is wrong") {
		t.Errorf("exit code %d: %s", code, out)
	}
}
