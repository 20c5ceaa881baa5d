package drill

import (
	"path/filepath"
	"testing"
)

// What Kubernetes once made of a loss is what geotop forecasts of it: losses that it
// was wrong about, and some that are made of what is hard to get right.
func TestKeptCases(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no cases")
	}
	for _, file := range files {
		c, r, err := Read(file)
		if err != nil {
			t.Fatal(err)
		}
		right := len(r.Different) == 0 || r.Chance
		switch {
		case !right && c.Fault == "":
			for _, d := range r.Different {
				t.Errorf("%s, without %v: %s", c.Name, c.Lost, d)
			}
		case right && c.Fault != "":
			t.Errorf("%s is as forecast now, in spite of: %s", c.Name, c.Fault)
		}
	}
}
