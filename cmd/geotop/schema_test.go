package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/geotop/geotop/internal/golden"
	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/themes"
)

type thing = map[string]any

var configSchema = filepath.Join("..", "..", "docs", "config.schema.json")

// settingSchema is what a setting may be, by its flag.
func settingSchema(f *pflag.Flag) thing {
	_, words := pflag.UnquoteUsage(f)
	s := thing{"description": words}
	text := thing{"type": "string"}
	switch f.Value.Type() {
	case "bool":
		s["type"] = "boolean"
	case "duration":
		s["type"], s["pattern"] = "string", `^([0-9.]+(ns|us|µs|ms|s|m|h))+$`
	case "stringSlice":
		s["anyOf"] = []any{text, thing{"type": "array", "items": text}}
	case "stringToString":
		s["type"], s["additionalProperties"] = "object", text
	case "limit":
		limits := thing{}
		for _, l := range model.Limits() {
			limits[l.Name] = thing{"type": []string{"string", "number"}, "description": l.Says}
		}
		s["type"], s["properties"], s["additionalProperties"] = "object", limits, false
	default:
		s["type"] = "string"
	}
	switch f.Name {
	case "theme":
		s["enum"] = themes.Names()
	case "color":
		s["enum"] = []string{"auto", "always", "never"}
	}
	return s
}

// TestConfigSchema keeps docs/config.schema.json, for editors, as the settings are, and
// holds it against the example of docs/config.md.
func TestConfigSchema(t *testing.T) {
	root := newCommand()
	number := thing{"type": "number"}
	section := thing{"sites": thing{"type": "object", "additionalProperties": thing{
		"type": "object", "additionalProperties": false, "properties": thing{"location": thing{
			"description": "latitude and longitude in degrees, north and east positive",
			"anyOf":       []any{thing{"type": "string"}, thing{"type": "array", "items": number, "minItems": 2, "maxItems": 2}},
		}},
	}}}
	for _, name := range lasting {
		section[name] = settingSchema(anyFlag(root, name))
	}
	keys, key := thing{}, thing{"anyOf": []any{thing{"type": "string"}, thing{"type": "array", "items": thing{"type": "string"}}}}
	m := keymap.Default()
	for _, a := range m.Actions() {
		keys[string(a)] = key
	}
	all := thing{
		"keys":     thing{"type": "object", "properties": keys, "additionalProperties": false},
		"contexts": thing{"type": "object", "additionalProperties": thing{"type": "object", "properties": section, "additionalProperties": false}},
	}
	for name, s := range section {
		all[name] = s
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(thing{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "geotop's configuration; see geotop-config(5)",
		"type": "object", "properties": all, "additionalProperties": false,
	}); err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, configSchema, b.String())

	schema, err := jsonschema.NewCompiler().Compile(configSchema)
	if err != nil {
		t.Fatal(err)
	}
	for content, good := range map[string]bool{
		example(t):           true,
		"theme: neon":        false,
		"low-bandwidth: 3":   false,
		"low-bandwith: true": false,
		"threshold: {backup-age: 26h, nothing: 3}": false,
		"keys: {accept: [y]}":                      false,
		"sites: {a: {location: [1, 2]}}":           true,
		"timeout: soon":                            false,
		"contexts: {a: {keys: {zoom: v}}}":         false,
	} {
		j, err := yaml.YAMLToJSON([]byte(content))
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(j))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); (err == nil) != good {
			t.Errorf("%s: %v", content, err)
		}
	}
}

// example is the one of docs/config.md, which geotop itself must take, too.
func example(t *testing.T) string {
	t.Helper()
	_, rest, found := strings.Cut(readDoc(t, "config.md"), "```yaml\n")
	content, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("docs/config.md has no example")
	}
	if out, _, code := geotop(t, "config", "check", written(t, content)); code != 0 || !strings.Contains(out, "nothing is wrong") {
		t.Errorf("geotop says of the example: %s", out)
	}
	return content
}
