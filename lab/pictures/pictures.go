package pictures

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
	{"home.svg", "geotop: sites, what needs attention, and the dark house's details", "powercut", 3 * time.Minute, 120, 36, "", "curepipe", "dark"},
	{"workloads.svg", "geotop: workloads and where they run", "weak", 0, 100, 30, "6", "WORKLOAD", "dark"},
	{"tailnet.svg", "geotop: links to every house, and the machines of the tailnet", "weak", 0, 100, 20, "3", "PATH", "dark"},
	{"volumes.svg", "geotop: volumes and the houses of their copies", "powercut", 3 * time.Minute, 120, 18, "4", "COPIES", "dark"},
	{"whatif.svg", "geotop: what breaks when a house goes dark", "weak", 0, 120, 30, "9G", "IF LOST", "dark"},
	{"nodes.svg", "geotop: nodes with their load", "weak", 0, 100, 16, "2", "ROLES", "dark"},
	{"details.svg", "geotop: details of a node that is lost", "powercut", 3 * time.Minute, 80, 30, "2d", "taint", "dark"},
	{"timeline.svg", "geotop: what happened, newest first", "powercut", 3 * time.Minute, 100, 14, "8", "no sign of life", "dark"},
	{"map.svg", "geotop on a wide screen, with a map of the houses and their links", "weak", 0, 150, 50, "", "relayed", "dark"},
	{"backups.svg", "geotop: backups, and which of them are in the bucket", "weak", 0, 120, 20, "5", "verified", "dark"},
	{"pods.svg", "geotop: pods, those in trouble only", "weak", 0, 100, 14, "7!", "POD", "dark"},
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
		err := p.on(ctx, binary, tmp, func(t *term.Term) error {
			return os.WriteFile(filepath.Join(dir, p.file), []byte(SVG(t.Emulator(), p.title)), 0o644)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", p.file, err)
		}
	}
	return sheet(ctx, binary, tmp, filepath.Join(dir, "phone.svg"))
}

// panes are all of them on a phone, by their keys.
var panes = []struct{ key, shows string }{
	{"1", "curepipe"}, {"2", "curepipe-1"}, {"3", "direct"}, {"4", "data"}, {"5", "verified"}, {"6", "postgres"}, {"7", "postgres"}, {"8", "dark"}, {"9", "curepipe"},
}

// sheet draws all panes on a phone beside each other, three in a row.
func sheet(ctx context.Context, binary, tmp, out string) error {
	const width, height, row, gap = 46, 19, 3, 10.0
	wide, high := size(width, cellWidth)+gap, size(height, cellHeight)+gap
	var b strings.Builder
	begin(&b, row*wide-gap, float64((len(panes)+row-1)/row)*high-gap, "geotop on a phone: all panes at 46x19, one house dark")
	for i, pane := range panes {
		p := picture{scenario: "powercut", after: 3 * time.Minute, width: width, height: height, keys: pane.key, shows: pane.shows, theme: "dark"}
		err := p.on(ctx, binary, tmp, func(t *term.Term) error {
			fmt.Fprintf(&b, `<g transform="translate(%.1f %.1f)">`+"\n%s</g>\n", float64(i%row)*wide, float64(i/row)*high, inner(t.Emulator()))
			return nil
		})
		if err != nil {
			return fmt.Errorf("pane %s: %w", pane.key, err)
		}
	}
	b.WriteString("</svg>\n")
	return os.WriteFile(out, []byte(b.String()), 0o644)
}

// on has the picture's screen on a terminal while it is drawn.
func (p picture) on(ctx context.Context, binary, tmp string, draw func(t *term.Term) error) error {
	saved := filepath.Join(tmp, fmt.Sprintf("%s-%s.json", p.scenario, p.after))
	if _, err := os.Stat(saved); errors.Is(err, fs.ErrNotExist) {
		w, err := still.Of(ctx, p.scenario, 1, p.after)
		if err != nil {
			return err
		}
		doc, err := json.Marshal(w)
		if err != nil {
			return err
		}
		if err := os.WriteFile(saved, doc, 0o600); err != nil {
			return err
		}
	}
	t, err := term.Start(p.width, p.height, []string{"COLORTERM=truecolor", "GEOTOP_CONFIG=" + os.DevNull}, binary, "--from", saved, "--theme", p.theme)
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
	return draw(t)
}
