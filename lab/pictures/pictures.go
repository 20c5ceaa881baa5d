package pictures

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/geotop/geotop/demo/still"
	"github.com/geotop/geotop/lab/term"
)

// picture is one file of docs/pictures.
type picture struct {
	file, title   string
	scenario      string
	after         time.Duration
	width, height int
	keys          string
	shows         string // on the screen once it is ready
	theme         string
}

var pictures = []picture{
	{"home-phone.svg", "geotop on a phone: one house is dark", "powercut", 3 * time.Minute, 46, 19, "", "curepipe", "dark"},
	{"home.svg", "geotop: sites, what needs attention, and the dark house's details", "powercut", 3 * time.Minute, 120, 36, "", "curepipe", "dark"},
	{"workloads.svg", "geotop: workloads and where they run", "weak", 0, 100, 30, "6", "WORKLOAD", "dark"},
	{"tailnet.svg", "geotop: links to every house, and the machines of the tailnet", "weak", 0, 100, 20, "3", "PATH", "dark"},
	{"volumes.svg", "geotop: volumes and the houses of their copies", "powercut", 3 * time.Minute, 120, 18, "4", "COPIES", "dark"},
	{"whatif.svg", "geotop: what breaks when a house goes dark", "weak", 0, 120, 30, "9G", "IF LOST", "dark"},
	{"nodes.svg", "geotop: nodes with their load", "weak", 0, 100, 16, "2", "ROLES", "dark"},
	{"details.svg", "geotop: details of a node that is lost", "powercut", 3 * time.Minute, 80, 30, "2d", "taint", "dark"},
	{"timeline.svg", "geotop: what happened, newest first", "powercut", 3 * time.Minute, 100, 14, "8", "no sign of life", "dark"},
	{"map.svg", "geotop on a wide screen, with a map of the houses and their links", "weak", 0, 150, 50, "", "relayed", "dark"},
	{"high-contrast.svg", "geotop in high contrast", "powercut", 3 * time.Minute, 80, 24, "", "curepipe", "high-contrast"},
}

// Draw runs the binary and writes all pictures into dir.
func Draw(ctx context.Context, binary, dir string) error {
	tmp, err := os.MkdirTemp("", "geotop-pictures-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range pictures {
		if err := p.draw(ctx, binary, tmp, filepath.Join(dir, p.file)); err != nil {
			return fmt.Errorf("%s: %w", p.file, err)
		}
	}
	return nil
}

func (p picture) draw(ctx context.Context, binary, tmp, out string) error {
	w, err := still.Of(ctx, p.scenario, 1, p.after)
	if err != nil {
		return err
	}
	doc, err := json.Marshal(w)
	if err != nil {
		return err
	}
	saved := filepath.Join(tmp, p.scenario+".json")
	if err := os.WriteFile(saved, doc, 0o600); err != nil {
		return err
	}
	t, err := term.Start(p.width, p.height, []string{"COLORTERM=truecolor"}, binary, "--from", saved, "--theme", p.theme)
	if err != nil {
		return err
	}
	defer t.Close()
	if err := t.Shows(ctx, "demo-"+p.scenario); err != nil {
		return err
	}
	if err := t.Type(p.keys); err != nil {
		return err
	}
	if err := t.Shows(ctx, p.shows); err != nil {
		return err
	}
	if err := t.Quiet(ctx, 300*time.Millisecond); err != nil {
		return err
	}
	return os.WriteFile(out, []byte(SVG(t.Emulator(), p.title)), 0o644)
}
