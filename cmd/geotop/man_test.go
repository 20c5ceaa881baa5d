package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/geotop/geotop/internal/golden"
	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
)

// page writes a manual page in man(7)'s macros.
type page struct{ strings.Builder }

// roff has text stand for itself.
var roff = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "~", `\(ti`, "^", `\(ha`, "…", "...", "↑", `\(ua`, "↓", `\(da`, "←", `\(<-`, "→", `\(->`, "↵", "Enter")

func (p *page) text(s string) {
	for line := range strings.SplitSeq(roff.Replace(s), "\n") {
		if strings.HasPrefix(line, ".") {
			line = `\&` + line
		}
		p.WriteString(line + "\n")
	}
}

func (p *page) head(name string) { p.WriteString(".SH " + name + "\n") }

// paragraphs are what empty lines part.
func (p *page) paragraphs(s string) {
	for part := range strings.SplitSeq(strings.TrimSpace(s), "\n\n") {
		p.WriteString(".PP\n")
		p.text(strings.TrimSpace(part))
	}
}

// item is a term and what it means.
func (p *page) item(term, means string) {
	p.WriteString(".TP\n.B " + roff.Replace(term) + "\n")
	p.text(means)
}

// code stands as it is.
func (p *page) code(s string) {
	p.WriteString(".PP\n.RS 4\n.nf\n")
	p.text(s)
	p.WriteString(".fi\n.RE\n")
}

func (p *page) flags(set *pflag.FlagSet) {
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		kind, words := pflag.UnquoteUsage(f)
		term := "--" + f.Name
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		if kind != "" {
			term += " " + kind
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" && f.DefValue != "0s" {
			words += " (default " + f.DefValue + ")"
		}
		p.item(term, words)
	})
}

// environment is what geotop reads besides flags and files.
var environment = [][2]string{
	{"KUBECONFIG", "The kubeconfig, as for kubectl."},
	{"GEOTOP_CONFIG", "The configuration, in the place of the usual file."},
	{"GEOTOP_S3_ACCESS_KEY, GEOTOP_S3_SECRET_KEY", "Keys of the object store, in the place of those in the cluster."},
	{"GEOTOP_HEADSCALE_API_KEY, GEOTOP_TAILSCALE_API_KEY", "Keys to list the machines of the tailnet with where no tailscaled runs."},
	{"GEOTOP_PROMETHEUS_TOKEN", "Token for --prometheus."},
	{"NO_COLOR", "No colours, when set."},
	{"COLUMNS", "Width of printed tables."},
	{"TERM, LANG", "dumb is --plain; a locale without UTF-8 is --ascii."},
}

func commandPage(root *cobra.Command) string {
	p := &page{}
	p.WriteString(".TH GEOTOP 1 \"\" geotop \"User Commands\"\n")
	p.head("NAME")
	p.text(root.Name() + " - " + root.Short)
	p.head("SYNOPSIS")
	p.WriteString(".B geotop\n.RI [ flags ]\n.br\n.B geotop\n.I command\n.RI [ flags ] \" \" [ arguments ]\n")
	p.head("DESCRIPTION")
	p.paragraphs(root.Long)
	p.head("COMMANDS")
	for _, c := range root.Commands() {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		p.WriteString(".SS " + roff.Replace("geotop "+c.Use) + "\n")
		long := c.Long
		if long == "" {
			long = strings.ToUpper(c.Short[:1]) + c.Short[1:] + "."
		}
		p.paragraphs(long)
		for _, sub := range c.Commands() {
			if !sub.Hidden {
				p.item(c.Name()+" "+sub.Use, sub.Short)
			}
		}
		p.flags(c.LocalNonPersistentFlags())
		if c.Example != "" {
			p.code(strings.TrimRight(c.Example, "\n"))
		}
	}
	p.WriteString(".SS geotop completion bash|zsh|fish|powershell\n")
	p.text("Print a script that completes commands, flags and names in that shell.")
	p.head("OPTIONS")
	p.WriteString("Those of \\fBgeotop\\fR itself:\n")
	p.flags(root.LocalNonPersistentFlags())
	p.WriteString(".PP\nThose of every command:\n")
	p.flags(root.PersistentFlags())
	p.head("EXIT STATUS")
	for _, e := range [][2]string{
		{"0", "Done; with --check all is well."},
		{"1", "It failed, or failed in part; with --check something needs attention."},
		{"2", "With --check: something is down or lost."},
		{"3", "It could not look; with --check something could not be looked at."},
		{"64", "Flags, configuration, kubeconfig or a file make no sense."},
	} {
		p.item(e[0], e[1])
	}
	p.head("ENVIRONMENT")
	for _, e := range environment {
		p.item(e[0], e[1])
	}
	p.head("FILES")
	p.item("~/.config/geotop/config.yaml", "The configuration; see geotop-config(5).")
	p.item("~/.local/state/geotop/", "The last known state of each cluster, its timeline, how it was looked at, and the audit log; in $XDG_STATE_HOME where that is set. --no-state leaves it alone.")
	p.head("EXAMPLES")
	p.code(strings.TrimRight(root.Example, "\n"))
	p.head("SEE ALSO")
	p.WriteString(".BR geotop\\-config (5),\n.BR kubectl (1),\n.BR tailscale (8)\n")
	return p.String()
}

func configPage(root *cobra.Command) string {
	p := &page{}
	p.WriteString(".TH GEOTOP-CONFIG 5 \"\" geotop \"File Formats\"\n")
	p.head("NAME")
	p.text("geotop-config - what geotop(1) does every time")
	p.head("SYNOPSIS")
	p.WriteString(".I $GEOTOP_CONFIG\n.br\n.I $XDG_CONFIG_HOME/geotop/config.yaml\n.br\n.I \\(ti/.config/geotop/config.yaml\n")
	p.head("DESCRIPTION")
	p.paragraphs(`The file is YAML, and need not be there. The first of the names above that is set counts; --config FILE names another, which must be there.

What is said on the command line goes before what the file says for the context, and that before what it says for all. Unknown names are warnings, so that a file may serve several versions; anything else that is wrong keeps geotop from starting, with the line it stands in. "geotop config check" tells all of it.

No secret belongs in it: those are in the environment (see geotop(1)).`)
	p.head("SETTINGS")
	p.paragraphs("Every one is a flag of geotop(1) by the same name. Where a flag may be given again and again a list, or a mapping, does that here; a list for a context replaces that for all.")
	for _, name := range slices.Sorted(slices.Values(lasting)) {
		kind, words := pflag.UnquoteUsage(anyFlag(root, name))
		if kind == "" {
			kind = "true or false"
		}
		p.item(name+": "+kind, words)
	}
	p.head("THRESHOLDS")
	p.paragraphs("threshold is a mapping of what is limited to WARNING or WARNING/CRITICAL: from there on it is a finding, on the screen, for --check and for monitoring.")
	for _, l := range model.Limits() {
		worse := "More is worse."
		if l.Least {
			worse = "Less is worse."
		}
		p.item(l.Name+": "+l.Unit, strings.ToUpper(l.Says[:1])+l.Says[1:]+". "+worse)
	}
	p.head("SITES")
	p.paragraphs("sites is a mapping of houses, by their names, to what is known of them beside their nodes. location is \"latitude,longitude\" in degrees, north and east positive; it goes before what nodes are annotated with (" + model.LocationAnnotation + ").")
	p.head("KEYS")
	p.paragraphs("keys is a mapping of actions to the keys they shall have, one or a list. Each keeps one that phones have.")
	m := keymap.Default()
	for _, a := range m.Actions() {
		for _, s := range keymap.Scopes {
			if help := m.Help(s, a); help != "" {
				p.item(string(a), help+" ("+strings.Join(m.Keys(s, a), " ")+")")
				break
			}
		}
	}
	p.head("CONTEXTS")
	p.paragraphs("contexts is a mapping of contexts, by their names in the kubeconfig, to settings and sites that are for them alone.")
	p.head("EXAMPLE")
	p.code(`theme: light
site-label: [example.com/house]
threshold: {backup-age: 26h/3d, disk-free: 15%/5%}
sites:
  moka: {location: "-20.2230, 57.4960"}
keys: {zoom: v}
contexts:
  home: {write: true}`)
	p.head("SEE ALSO")
	p.WriteString(".BR geotop (1)\n")
	return p.String()
}

// TestManualPages keeps the manual as the flags, commands and settings are.
func TestManualPages(t *testing.T) {
	root := newCommand()
	for name, text := range map[string]string{"geotop.1": commandPage(root), "geotop-config.5": configPage(root)} {
		path := filepath.Join("..", "..", "docs", "man", name)
		golden.Equal(t, path, text)
		out, err := exec.Command("groff", "-man", "-Tutf8", "-ww", "-z", path).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("groff of %s: %v\n%s", name, err, out)
		}
	}
}
