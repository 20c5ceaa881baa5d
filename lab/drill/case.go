package drill

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/geotop/geotop/model"
)

// Case is one loss, kept: a cluster as geotop read it, what it lost, and what
// Kubernetes made of that.
type Case struct {
	Name    string           `json:"name"`
	Lost    []string         `json:"lost"`
	Outcome map[string]Count `json:"outcome"` // by app
	World   json.RawMessage  `json:"world"`   // geotop's own document
	// Homes are the nodes that new pods were placed on, by app.
	Homes map[string][]string `json:"homes,omitempty"`
	// Took is how many seconds it took until the last of them was.
	Took float64 `json:"tookSeconds,omitempty"`
	// Fault says why the outcome is not what geotop forecasts, nor should be.
	Fault string `json:"fault,omitempty"`
}

// keep writes the loss to a folder.
func (r *Result) keep(dir string) error {
	world, err := json.Marshal(r.world)
	if err != nil {
		return err
	}
	c := Case{Name: fmt.Sprintf("%d.%d", r.Seed, r.Loss), Lost: r.Lost, Outcome: r.Outcome, World: world, Homes: r.Homes, Took: r.Took.Seconds()}
	f, err := os.Create(filepath.Join(dir, "drill-"+c.Name+".json.gz"))
	if err != nil {
		return err
	}
	defer f.Close()
	z := gzip.NewWriter(f)
	if err := json.NewEncoder(z).Encode(c); err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	return z.Close()
}

// Again forecasts every case in a folder anew, prints those that are not as it was
// then, and how many are.
func Again(dir string, out io.Writer) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.json.gz"))
	if err != nil {
		return err
	}
	wrong := 0
	for _, file := range files {
		c, r, err := Read(file)
		if err != nil {
			return err
		}
		if len(r.Wrong) > 0 && !r.Chance {
			wrong++
		}
		for _, d := range r.Different {
			fmt.Fprintf(out, "%s: %s%s\n", c.Name, d, map[bool]string{true: " (as likely as the forecast)"}[r.Chance])
		}
	}
	fmt.Fprintf(out, "%d losses, the pending pods of %d not as forecast\n", len(files), wrong)
	return nil
}

// Read reads a case that was kept, and forecasts its loss anew.
func Read(file string) (*Case, *Result, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	var c Case
	if err := json.NewDecoder(z).Decode(&c); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	facts, at, err := model.Read(strings.NewReader(string(c.World)))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	r := &Result{Lost: c.Lost, Outcome: c.Outcome, Took: time.Duration(c.Took * float64(time.Second)), world: model.Assemble(facts, at, siteLabels)}
	r.forecast()
	r.compare()
	return &c, r, nil
}
