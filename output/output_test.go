package output

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
	for _, name := range []string{"table", "wide", "json", "yaml", "name", "jsonpath={.status}", "nagios"} {
		f, err := Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Write(full{}, world(t, "weak", 0), Options{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestSchemaHolds guards the JSON contract: every document is as docs/schema.json
// says, whose properties may only grow. It is written from what the scenarios
// hold, so that it never says what is not so.
func TestSchemaHolds(t *testing.T) {
	path := filepath.Join("..", "docs", "schema.json")
	var docs []any
	for scenario, after := range map[string]time.Duration{"powercut": 3 * time.Minute, "weak": 0, "healthy": 0, "quorum": 2 * time.Minute} {
		var doc any
		if err := json.Unmarshal([]byte(printed(t, world(t, scenario, after), "json", Options{})), &doc); err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
	inferred := infer(docs)
	inferred["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	inferred["title"] = fmt.Sprintf("geotop --once -o json, schemaVersion %d", model.SchemaVersion)
	got, err := json.MarshalIndent(inferred, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if golden.Updating() {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; make golden writes it", err)
	}
	var schema map[string]any
	if err := json.Unmarshal(raw, &schema); err != nil {
		t.Fatal(err)
	}
	for _, doc := range docs {
		for _, problem := range violations("", schema, doc) {
			t.Error(problem)
		}
	}
	if !slices.Equal(slices.Collect(lines(raw)), slices.Collect(lines(append(got, '\n')))) {
		t.Error("docs/schema.json is behind the documents; if fields were only added, make golden writes it anew")
	}
}

func lines(b []byte) func(func(string) bool) { return strings.Lines(string(b)) }

// open are objects whose keys are names from the cluster.
var open = []string{"labels", "annotations", "bySite"}

// infer gives the schema that all the values meet.
func infer(values []any) map[string]any {
	types := map[string]bool{}
	properties := map[string][]any{}
	var items []any
	objects := 0
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			types["null"] = true
		case string:
			types["string"] = true
		case bool:
			types["boolean"] = true
		case float64:
			types["number"] = true
		case []any:
			types["array"] = true
			items = append(items, v...)
		case map[string]any:
			types["object"] = true
			objects++
			for k, e := range v {
				properties[k] = append(properties[k], e)
			}
		}
	}
	s := map[string]any{"type": slices.Sorted(maps.Keys(types))}
	if len(types) == 1 {
		s["type"] = slices.Collect(maps.Keys(types))[0]
	}
	if len(items) > 0 {
		s["items"] = infer(items)
	}
	if len(properties) > 0 {
		props, required := map[string]any{}, []string{}
		for k, e := range properties {
			props[k] = infer(e)
			if slices.Contains(open, k) {
				props[k] = map[string]any{"type": "object"}
			}
			if len(e) == objects {
				required = append(required, k)
			}
		}
		slices.Sort(required)
		s["properties"], s["required"] = props, required
	}
	return s
}

// violations names where the value is not as the schema says.
func violations(at string, schema map[string]any, v any) (problems []string) {
	types := []any{schema["type"]}
	if many, ok := schema["type"].([]any); ok {
		types = many
	}
	if kind := infer([]any{v})["type"]; !slices.Contains(types, kind) {
		return []string{fmt.Sprintf("%s is %v, the contract says %v", at, kind, schema["type"])}
	}
	switch v := v.(type) {
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i, e := range v {
			if items != nil {
				problems = append(problems, violations(fmt.Sprintf("%s[%d]", at, i), items, e)...)
			}
		}
	case map[string]any:
		required, _ := schema["required"].([]any)
		for _, k := range required {
			if _, ok := v[k.(string)]; !ok {
				problems = append(problems, fmt.Sprintf("%s.%s is missing", at, k))
			}
		}
		props, _ := schema["properties"].(map[string]any)
		for k, e := range v {
			if p, ok := props[k].(map[string]any); ok {
				problems = append(problems, violations(at+"."+k, p, e)...)
			}
		}
	}
	return problems
}
