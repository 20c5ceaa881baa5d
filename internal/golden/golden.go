// Package golden compares what a test made with a file that a person has looked
// at. Tests import it and nothing else does.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write golden files anew")

// Updating reports whether golden files are being written rather than compared.
func Updating() bool { return *update }

// Equal fails the test when the file at path differs from got; with -update it
// writes the file instead.
func Equal(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; make golden writes it", err)
	}
	if string(want) != got {
		t.Errorf("%s differs; make golden writes it anew\n--- want\n%s--- got\n%s", path, want, got)
	}
}
