package geotop

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/geotop/geotop/"

// allowed says which of our packages each may import: one direction, towards
// the model. A new package has to be put here, so that its place is thought of.
var allowed = map[string][]string{
	"model":                  {},
	"text":                   {},
	"geo":                    {},
	"linear":                 {"model", "text", "view"},
	"themes":                 {},
	"keymap":                 {},
	"actions":                {"model", "survive", "text"},
	"collectors":             {"model"},
	"collectors/kube":        {"collectors", "model"},
	"collectors/links":       {"collectors", "model"},
	"collectors/memory":      {"model"},
	"collectors/objectstore": {"collectors", "model"},
	"collectors/tailnet":     {"collectors", "model"},
	"demo":                   {},
	"demo/still":             {"collectors", "collectors/kube", "collectors/links", "collectors/objectstore", "collectors/tailnet", "demo", "model", "survive"},
	"config":                 {},
	"recording":              {"model"},
	"session":                {"model"},
	"survive":                {"model"},
	"view":                   {"model", "text", "themes"},
	"output":                 {"model", "text", "themes", "view"},
	"ui":                     {"actions", "geo", "keymap", "model", "text", "themes", "view"},
	"internal/golden":        {},
	"cmd/geotop":             {"actions", "collectors", "collectors/kube", "collectors/links", "collectors/memory", "collectors/objectstore", "collectors/tailnet", "config", "demo", "keymap", "linear", "model", "output", "recording", "session", "survive", "text", "themes", "ui", "view"},
}

// pure are packages that neither look at the world nor wait: no file, no
// network, no clock, no goroutine.
var pure = []string{"model", "survive", "view", "text", "keymap", "themes"}

var impure = []string{"os", "net", "net/http", "os/exec", "io/fs", "sync", "log", "context", "math/rand", "math/rand/v2"}

// TestImportDirection guards the layout that ARCHITECTURE.md describes.
func TestImportDirection(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || hasModule(path)):
			return fs.SkipDir // another module
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		if pkg == "." {
			return nil
		}
		seen[pkg] = true
		may, known := allowed[pkg]
		if !known {
			t.Errorf("%s: package %s has no place in the layout", path, pkg)
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imp := range file.Imports {
			name := strings.Trim(imp.Path.Value, `"`)
			if ours, ok := strings.CutPrefix(name, module); ok && !slices.Contains(may, ours) {
				t.Errorf("%s: %s must not import %s", path, pkg, ours)
			}
			if slices.Contains(pure, pkg) && slices.Contains(impure, name) {
				t.Errorf("%s: %s is pure and must not import %s", path, pkg, name)
			}
		}
		if slices.Contains(pure, pkg) {
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, bad := range []string{"time.Now(", "time.Sleep(", "\tgo func("} {
				if strings.Contains(string(source), bad) {
					t.Errorf("%s: %s is pure and must not use %s", path, pkg, strings.TrimSpace(bad))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range allowed {
		if !seen[pkg] {
			t.Errorf("package %s is in the table but not in the tree", pkg)
		}
	}
}

func hasModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}
