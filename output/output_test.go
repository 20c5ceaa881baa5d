package output

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/geotop/geotop/demo/still"
	"github.com/geotop/geotop/internal/golden"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/themes"
)

var stills = map[string]*model.World{}

func world(t testing.TB, scenario string, after time.Duration) *model.World {
	t.Helper()
	key := fmt.Sprint(scenario, after)
	if stills[key] == nil {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		w, err := still.Of(ctx, scenario, 1, after)
		if err != nil {
			t.Fatal(err)
		}
		stills[key] = w
	}
	return stills[key]
}

func printed(t testing.TB, w *model.World, format string, opt Options) string {
	t.Helper()
	f, err := Parse(format)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := f.Write(&b, w, opt); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGoldenOutputs(t *testing.T) {
	for scenario, after := range map[string]time.Duration{"powercut": 3 * time.Minute, "weak": 0, "healthy": 0, "quorum": 2 * time.Minute} {
		w := world(t, scenario, after)
		for name, opt := range map[string]Options{"table": {Width: 80}, "wide": {}, "name": {}, "nagios": {}} {
			golden.Equal(t, filepath.Join("testdata", "golden", scenario+"-"+name+".txt"), printed(t, w, name, opt))
		}
	}
}

func TestTablesFitTheirWidth(t *testing.T) {
	for _, width := range []int{40, 60, 80, 120} {
		for i, l := range strings.Split(printed(t, world(t, "powercut", 3*time.Minute), "table", Options{Width: width}), "\n") {
			if n := len([]rune(l)); n > width {
				t.Errorf("at %d, line %d is %d wide: %q", width, i+1, n, l)
			}
		}
	}
}

func TestColourOnlyPaints(t *testing.T) {
	th, err := themes.Load("dark")
	if err != nil {
		t.Fatal(err)
	}
	w := world(t, "powercut", 3*time.Minute)
	coloured := printed(t, w, "table", Options{Width: 80, Theme: th})
	plain := printed(t, w, "table", Options{Width: 80})
	if !strings.Contains(coloured, "\x1b[") {
		t.Fatal("no colour at all")
	}
	if got := unstyled(coloured); got != plain {
		t.Errorf("colour changes the text:\n%s\n%s", got, plain)
	}
}

// unstyled takes SGR sequences out, and the spaces they kept at ends of lines.
func unstyled(s string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !found {
			break
		}
		_, s, _ = strings.Cut(rest, "m")
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func TestJSONAndYAMLTellTheSame(t *testing.T) {
	w := world(t, "weak", 0)
	var fromJSON, fromYAML any
	if err := json.Unmarshal([]byte(printed(t, w, "json", Options{})), &fromJSON); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(printed(t, w, "yaml", Options{})), &fromYAML); err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(fromJSON)
	b, _ := json.Marshal(fromYAML)
	if !bytes.Equal(a, b) {
		t.Error("JSON and YAML differ")
	}
	if line := printed(t, w, "json", Options{Lines: true}); strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
		t.Errorf("--watch wants one line, got %d", strings.Count(line, "\n"))
	}
}

func TestJSONPath(t *testing.T) {
	w := world(t, "powercut", 3*time.Minute)
	for template, want := range map[string]string{
		"{.status}": "critical", "status": "critical", ".status": "critical",
		"{.sites[*].name}":                        "curepipe flacq moka",
		`{.sites[?(@.status=="dark")].name}`:      "curepipe",
		"{range .sites[*]}{.name}={.ready},{end}": "curepipe=0,flacq=3,moka=3,",
	} {
		f, err := Parse("jsonpath=" + template)
		if err != nil {
			t.Errorf("%s: %v", template, err)
			continue
		}
		for range 2 { // --watch uses it again and again
			var b bytes.Buffer
			if err := f.Write(&b, w, Options{}); err != nil || strings.TrimSpace(b.String()) != want {
				t.Errorf("%s: %q, %v; want %q", template, b.String(), err, want)
			}
		}
	}
	f, err := Parse("jsonpath={range .hints[*]}{.}{end}")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Write(&bytes.Buffer{}, w, Options{}); err != nil {
			t.Errorf("an empty list: %v", err)
		}
	}
	for _, bad := range []string{"xml", "jsonpath={.sites[", "JSON", "jsonpath"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestAWriteThatFailsIsTold(t *testing.T) {
	for _, name := range []string{"table", "wide", "json", "yaml", "name", "jsonpath={.status}", "prom", "nagios"} {
		f, err := Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Write(full{}, world(t, "weak", 0), Options{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
