package model_test

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/geotop/geotop/demo/still"
	"github.com/geotop/geotop/internal/golden"
	"github.com/geotop/geotop/model"
)

var schemaFile = filepath.Join("..", "docs", "schema.json")

// TestSchema guards the JSON contract: docs/schema.json is made from the types that are
// written, with what their comments say, and every document is as it says. Under one
// version fields are only ever added, which a look at its difference shows.
func TestSchema(t *testing.T) {
	s := &schemas{t: t, words: readWords(t), defs: map[string]any{}}
	root := s.object(model.DocumentType)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = fmt.Sprintf("geotop --once -o json, schemaVersion %d", model.SchemaVersion)
	root["description"] = "Times are RFC 3339 in UTC; seconds and bytes are numbers. Fields are only ever added under one schemaVersion, so readers skip what they do not know."
	root["$defs"] = s.defs
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(root); err != nil {
		t.Fatal(err)
	}
	if golden.Updating() {
		if err := os.WriteFile(schemaFile, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("docs/schema.json is behind the types (%v); if fields were only added, make golden writes it anew", err)
	}
	schema := compiled(t)
	for scenario, after := range map[string]time.Duration{"powercut": 3 * time.Minute, "weak": 0, "healthy": 0, "quorum": 2 * time.Minute, "rebuild": time.Minute, "split": time.Minute} {
		w, err := still.Of(t.Context(), scenario, 1, after)
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range map[string]*model.World{scenario: w, scenario + " in moka": w.InSite("moka"), "nothing": model.Assemble(model.Facts{}, time.Unix(0, 0), model.Options{})} {
			if w == nil {
				continue // nobody could read that there is such a site
			}
			if err := holds(t, schema, w); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// A schema that takes anything guards nothing.
func TestSchemaRefuses(t *testing.T) {
	schema := compiled(t)
	w, err := still.Of(t.Context(), "weak", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{`"status":"critical"`, `"status":"bad"`},
		{`"generatedAt":"2026`, `"generatedAt":"tomorrow`},
		{`"reasons":[`, `"reasons":null,"was":[`},
		{`"schemaVersion":1`, `"schemaVersion":"1"`},
		{`"sites":[{"name":"curepipe"`, `"sites":[{"named":"curepipe"`},
		{`"healthy":true`, `"healthy":"yes"`},
	} {
		bad := strings.Replace(string(doc), c[0], c[1], 1)
		if bad == string(doc) {
			t.Fatalf("there is no %s", c[0])
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(v) == nil {
			t.Errorf("%s was taken", c[1])
		}
	}
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func holds(t *testing.T, schema *jsonschema.Schema, w *model.World) error {
	t.Helper()
	doc, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(v)
}

// schemas makes the schema of types.
type schemas struct {
	t     *testing.T
	words *comments
	defs  map[string]any
}

var (
	timeType      = reflect.TypeFor[time.Time]()
	severityType  = reflect.TypeFor[model.Severity]()
	outcomeType   = reflect.TypeFor[model.Outcome]()
	textType      = reflect.TypeFor[encoding.TextMarshaler]()
	marshalerType = reflect.TypeFor[json.Marshaler]()
)

// of gives the schema of a type, as its values are written.
func (s *schemas) of(t reflect.Type) map[string]any {
	switch {
	case t == timeType:
		return map[string]any{"type": "string", "format": "date-time"}
	case t == severityType:
		return map[string]any{"enum": model.SeverityNames}
	case t == outcomeType:
		return map[string]any{"enum": model.OutcomeNames}
	case t == reflect.TypeFor[model.SiteCounts]():
		return map[string]any{"type": "object", "additionalProperties": s.of(model.SiteCountType)}
	case t == reflect.TypeFor[model.Source]():
		return s.named("Source", model.SourceJSON)
	case t.Implements(textType):
		return map[string]any{"type": "string"}
	case t.Implements(marshalerType):
		s.t.Fatalf("%s writes itself; tell how", t)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.String:
		if values := s.words.values[t.Name()]; strings.HasSuffix(t.PkgPath(), "/model") && len(values) > 0 {
			return map[string]any{"type": "string", "examples": values}
		}
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.named(strings.TrimSuffix(t.Name(), "JSON"), t)
	}
	s.t.Fatalf("no schema for %s", t)
	return nil
}

// named refers to a struct, which is written once.
func (s *schemas) named(name string, t reflect.Type) map[string]any {
	if _, is := s.defs[name]; !is {
		s.defs[name] = nil // it may hold itself
		s.defs[name] = s.object(t)
	}
	return map[string]any{"$ref": "#/$defs/" + name}
}

// object gives the schema of a struct by its fields.
func (s *schemas) object(t reflect.Type) map[string]any {
	props, required := map[string]any{}, []string{}
	s.fields(t, props, &required)
	slices.Sort(required)
	o := map[string]any{"type": "object", "properties": props, "required": required}
	if doc := s.words.types[t.Name()]; doc != "" && strings.HasSuffix(t.PkgPath(), "/model") && t != model.DocumentType {
		o["description"] = doc
	}
	return o
}

func (s *schemas) fields(t reflect.Type, props map[string]any, required *[]string) {
	for f := range t.Fields() {
		tag, has := f.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case f.Anonymous && name == "":
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			s.fields(inner, props, required)
			continue
		case !has || name == "":
			s.t.Fatalf("%s.%s has no name in the document", t, f.Name)
		}
		p := s.of(f.Type)
		sometimes := strings.Contains(options, "omit")
		if f.Type.Kind() == reflect.Pointer && !sometimes {
			p = map[string]any{"anyOf": []any{p, map[string]any{"type": "null"}}}
		}
		if doc := s.words.fields[t.Name()+"."+f.Name]; doc != "" {
			p["description"] = doc
		}
		props[name] = p
		if !sometimes {
			*required = append(*required, name)
		}
	}
}

// comments is what the model's sources say of its types and their fields.
type comments struct {
	types, fields map[string]string
	values        map[string][]string // of string types, by their constants
}

func readWords(t *testing.T) *comments {
	t.Helper()
	c := &comments{map[string]string{}, map[string]string{}, map[string][]string{}}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if g, is := d.(*ast.GenDecl); is {
				c.read(g)
			}
		}
	}
	if len(c.types) == 0 {
		t.Fatal(fs.ErrNotExist)
	}
	return c
}

func (c *comments) read(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			c.types[spec.Name.Name] = sentence(g.Doc)
			st, is := spec.Type.(*ast.StructType)
			if !is {
				continue
			}
			for _, f := range st.Fields.List {
				for _, n := range f.Names {
					doc := sentence(f.Comment)
					if doc == "" {
						doc = sentence(f.Doc)
					}
					c.fields[spec.Name.Name+"."+n.Name] = doc
				}
			}
		case *ast.ValueSpec:
			of, is := spec.Type.(*ast.Ident)
			if !is || len(spec.Values) != 1 {
				continue
			}
			if lit, is := spec.Values[0].(*ast.BasicLit); is && lit.Kind == token.STRING {
				if v, err := strconv.Unquote(lit.Value); err == nil {
					c.values[of.Name] = append(c.values[of.Name], v)
				}
			}
		}
	}
}

func sentence(g *ast.CommentGroup) string {
	if g == nil {
		return ""
	}
	return strings.Join(strings.Fields(g.Text()), " ")
}
