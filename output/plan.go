package output

import (
	"fmt"
	"io"

	"github.com/geotop/geotop/model"
)

// Plan prints what a plan would do; wide, with the commands one would type instead.
func Plan(out io.Writer, p *model.Plan, wide bool) error {
	lines := []string{p.Title}
	for _, g := range p.Guards {
		lines = append(lines, "X "+g)
	}
	for _, w := range p.Warnings {
		lines = append(lines, "! "+w)
	}
	for i, s := range p.Steps {
		line := fmt.Sprintf("%3d %s", i+1, s.Text)
		if s.Effect != "" {
			line += ": " + s.Effect
		}
		if s.State != model.StepWaits {
			line += "  (" + string(s.State) + ")"
		}
		if s.Note != "" {
			line += "  " + s.Note
		}
		lines = append(lines, line)
		if wide && s.Command != "" {
			lines = append(lines, "    $ "+s.Command)
		}
	}
	for _, l := range lines {
		if _, err := fmt.Fprintln(out, model.Strip(l)); err != nil {
			return err
		}
	}
	return nil
}
