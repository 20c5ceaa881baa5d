package drill

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/geotop/geotop/model"
)

// Case is one loss, kept: a cluster as geotop read it, what it lost, and what
// Kubernetes made of that.
type Case struct {
	Name    string           `json:"name"`
	Lost    []string         `json:"lost"`
	Outcome map[string]Count `json:"outcome"` // by app
	World   json.RawMessage  `json:"world"`   // geotop's own document
	// Fault says why the outcome is not what geotop forecasts, nor should be.
	Fault string `json:"fault,omitempty"`
}

// keep writes the loss to a folder, when it was not as forecast.
func (r *Result) keep(dir string) error {
	if len(r.Different) == 0 {
		return nil
	}
	world, err := json.Marshal(r.world)
	if err != nil {
		return err
	}
	c := Case{Name: fmt.Sprintf("%d.%d", r.Seed, r.Loss), Lost: r.Lost, Outcome: r.Outcome, World: world}
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
	r := &Result{Lost: c.Lost, Outcome: c.Outcome, world: model.Assemble(facts, at, siteLabels)}
	r.forecast()
	r.compare()
	return &c, r, nil
}
