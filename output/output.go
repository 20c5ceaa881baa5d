// Package output prints a World for scripts and pipes: as tables, JSON, YAML,
// names, a JSONPath of the document, metrics, or one line for monitoring plugins. It
// writes data only; warnings are the caller's, on stderr.
package output

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"

	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// Formats lists what Parse knows, as shown in help.
const Formats = "table|wide|json|yaml|name|jsonpath=TEMPLATE|prom|nagios"

// Format is a parsed -o value.
type Format struct {
	name     string
	template string // of jsonpath
}

// Options shape tables.
type Options struct {
	Width int           // cells a line may take; 0 for no limit
	Theme *themes.Theme // nil for no colour
	Lines bool          // JSON on one line, as --watch wants it
	List  view.List     // tables show only this list; nil for all that matters
	// Details has the rows of List printed whole in place of as a table.
	Details bool
}

// Parse reads a -o value in kubectl's spelling.
func Parse(s string) (Format, error) {
	switch s {
	case "":
		return Format{name: "table"}, nil
	case "table", "wide", "json", "yaml", "name", "prom", "nagios":
		return Format{name: s}, nil
	}
	template, ok := strings.CutPrefix(s, "jsonpath=")
	if !ok {
		return Format{}, fmt.Errorf("no output format %q; there are %s", s, Formats)
	}
	// kubectl takes "{.sites}", ".sites" and "sites" alike.
	if !strings.Contains(template, "{") {
		template = "{." + strings.TrimPrefix(template, ".") + "}"
	}
	if _, err := parsePath(template); err != nil {
		return Format{}, fmt.Errorf("output jsonpath=%s: %w", template, err)
	}
	return Format{name: "jsonpath", template: template}, nil
}

// parsePath reads a template for one use: a JSONPath that ranged over an empty
// list cannot be executed again.
func parsePath(template string) (*jsonpath.JSONPath, error) {
	p := jsonpath.New("geotop").AllowMissingKeys(true) // as kubectl get does
	return p, p.Parse(template)
}

// Structured reports whether the format is for programs.
func (f Format) Structured() bool { return f.name != "table" && f.name != "wide" }

// Write prints the World.
func (f Format) Write(out io.Writer, w *model.World, opt Options) error {
	switch f.name {
	case "json":
		return writeJSON(out, w, opt.Lines)
	case "yaml":
		b, err := yaml.Marshal(w)
		if err != nil {
			return err
		}
		if opt.Lines {
			b = append([]byte("---\n"), b...)
		}
		_, err = out.Write(b)
		return err
	case "jsonpath":
		return f.writePath(out, w)
	case "name":
		return writeNames(out, w)
	case "prom":
		return writeProm(out, w)
	case "nagios":
		_, err := fmt.Fprintln(out, nagios(w))
		return err
	default:
		return writeTable(out, w, f.name == "wide", opt)
	}
}

func writeJSON(out io.Writer, w *model.World, line bool) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if !line {
		enc.SetIndent("", "  ")
	}
	return enc.Encode(w)
}

func (f Format) writePath(out io.Writer, w *model.World) error {
	b, err := json.Marshal(w)
	if err != nil {
		return err
	}
	var doc any
	if err := json.Unmarshal(b, &doc); err != nil {
		return err
	}
	path, err := parsePath(f.template)
	if err != nil {
		return err
	}
	var s strings.Builder
	if err := path.Execute(&s, doc); err != nil {
		return fmt.Errorf("output jsonpath: %w", err)
	}
	_, err = fmt.Fprintln(out, s.String())
	return err
}

func writeNames(out io.Writer, w *model.World) error {
	var b strings.Builder
	for _, s := range w.Sites {
		fmt.Fprintf(&b, "site/%s\n", model.Clean(s.Name, 0))
	}
	for _, n := range w.Nodes {
		fmt.Fprintf(&b, "node/%s\n", model.Clean(n.Name, 0))
	}
	for _, wl := range w.Workloads {
		fmt.Fprintf(&b, "%s/%s/%s\n", strings.ToLower(wl.Kind), wl.Namespace, model.Clean(wl.Name, 0))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// nagios writes one line as monitoring plugins do: state, the worst findings,
// then figures behind the bar.
func nagios(w *model.World) string {
	var dark, ready, pods, podsReady, down int
	for _, s := range w.Sites {
		if s.LastKnown == model.SiteDark {
			dark++
		}
		ready += s.Ready
		pods += s.Pods
		podsReady += s.PodsReady
	}
	for _, wl := range w.Workloads {
		if wl.State == model.WorkloadDown {
			down++
		}
	}
	needed := "U" // unknown, to such monitors
	if len(w.Verdicts) > 0 {
		n := 0
		for _, v := range w.Verdicts {
			if v.Outcome >= model.Down {
				n++
			}
		}
		needed = fmt.Sprint(n)
	}
	return fmt.Sprintf("GEOTOP %s - %s | sites=%d;;;0 sites_dark=%d;;1;0 sites_needed=%s;;;0 nodes=%d;;;0 nodes_ready=%d;;;0 pods=%d;;;0 pods_ready=%d;;;0 workloads_down=%d;;1;0",
		strings.ToUpper(w.Status.String()), strings.ReplaceAll(summary(w), "|", "/"), len(w.Sites), dark, needed, len(w.Nodes), ready, pods, podsReady, down)
}

// summary is the state in one sentence.
func summary(w *model.World) string {
	if len(w.Reasons) == 0 {
		return fmt.Sprintf("%d sites, %d nodes, all well", len(w.Sites), len(w.Nodes))
	}
	r := w.Reasons[0]
	s := model.Clean(r.Object+": "+r.Text, 0)
	if n := len(w.Reasons) - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more)", n)
	}
	return s
}
