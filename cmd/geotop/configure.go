package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/geotop/geotop/config"
	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
)

// lasting are the flags that make sense for more than one run: what a configuration may
// have.
var lasting = []string{
	"theme", "color", "ascii", "braille", "low-bandwidth", "mouse", "no-query", "plain", "write", "site", "site-label", "threshold", "other-server", "tailscale-socket", "headscale",
	"etcd-metrics", "prometheus", "no-ping", "s3-endpoint", "no-state", "timeout",
}

// inFile says what a configuration may hold.
var inFile = config.Is{
	Setting: func(name string) bool { return slices.Contains(lasting, name) },
	Action:  func(name string) bool { return slices.Contains(keymap.Default().Actions(), keymap.Action(name)) },
	Known:   func() []string { return slices.Clone(lasting) },
}

// configure takes from the configuration what no flag says.
func (f *flags) configure(cmd *cobra.Command) error {
	f.keys = keymap.Default()
	file, err := f.configFile()
	if err != nil {
		return usage("configuration: %w", err)
	}
	if problems := wrong(file, f.apply(file, cmd.Flags())); len(problems) > 0 {
		more := ""
		if len(problems) > 1 {
			more = fmt.Sprintf(" (and %d more; geotop config check lists them)", len(problems)-1)
		}
		return usage("%s%s", problems[0], more)
	}
	return nil
}

// configFile opens the configuration: the one named, which must be there, or the usual one.
func (f *flags) configFile() (*config.File, error) {
	if f.config != "" {
		if _, err := os.Stat(f.config); err != nil {
			return nil, err
		}
		return config.Open(f.config, inFile)
	}
	path := config.Path()
	if path == "" {
		return &config.File{}, nil
	}
	return config.Open(path, inFile)
}

// wrong puts into words what makes a file of no use.
func wrong(file *config.File, more []config.Problem) []string {
	var list []string
	for _, p := range slices.Concat(file.Problems, more) {
		if !p.Warning {
			list = append(list, told(file, p))
		}
	}
	return list
}

func told(file *config.File, p config.Problem) string {
	where := file.Path
	if p.Line > 0 {
		where = fmt.Sprintf("%s:%d", file.Path, p.Line)
	}
	if p.Warning {
		where += ": warning"
	}
	return where + ": " + model.Clean(p.Text, 300)
}

// apply sets what no flag said: of the context first, then what is for all.
func (f *flags) apply(file *config.File, given *pflag.FlagSet) []config.Problem {
	problems := f.bindKeys(file)
	sections := []config.Section{file.Section}
	if len(file.Contexts) > 0 {
		if s, is := file.Contexts[f.contextName()]; is {
			sections = slices.Insert(sections, 0, s)
		}
	}
	set := map[string]bool{}
	for _, s := range sections {
		for _, name := range slices.Sorted(maps.Keys(s.Settings)) {
			flag := given.Lookup(name)
			if flag == nil || flag.Changed || set[name] {
				continue
			}
			set[name] = true
			for i, text := range s.Settings[name].Texts {
				err := flag.Value.Set(text)
				if err == nil {
					err = f.choices()
				}
				if err != nil {
					_ = flag.Value.Set(flag.DefValue) // so that it spoils nothing else
					problems = append(problems, config.Problem{Line: s.Settings[name].Lines[i], Text: fmt.Sprintf("%s: %v", name, err)})
				}
			}
		}
		problems = append(problems, f.place(s)...)
	}
	return problems
}

// place takes in where sites are.
func (f *flags) place(s config.Section) (problems []config.Problem) {
	for name, p := range s.Sites {
		text := strings.Join(p.Location.Texts, ",") // "a,b" and [a, b] are the same
		at := model.ParseLocation(text)
		switch {
		case text == "":
		case at == nil:
			problems = append(problems, config.Problem{Line: p.Location.Line, Text: fmt.Sprintf("%q is no latitude,longitude in degrees", text)})
		default:
			if f.locations == nil {
				f.locations = map[string]model.Location{}
			}
			if _, told := f.locations[name]; !told {
				f.locations[name] = *at
			}
		}
	}
	return problems
}

func (f *flags) bindKeys(file *config.File) []config.Problem {
	keys := map[keymap.Action][]string{}
	for action, v := range file.Keys {
		keys[keymap.Action(action)] = v.Texts
	}
	with, err := keymap.Default().With(keys)
	if err == nil {
		f.keys = with
		return hidden(file, with)
	}
	line := 0
	for action, v := range file.Keys { // the last of those it names
		if strings.Contains(err.Error(), action) {
			line = max(line, v.Line)
		}
	}
	return []config.Problem{{Line: line, Text: "keys: " + err.Error()}}
}

// hidden warns of keys that do something else in lists or on pages, which goes before
// what they do everywhere.
func hidden(file *config.File, m *keymap.Map) (problems []config.Problem) {
	for action, v := range file.Keys {
		if m.Help(keymap.Global, keymap.Action(action)) == "" {
			continue
		}
		for _, s := range []keymap.Scope{keymap.List, keymap.Page, keymap.Log} {
			for _, k := range v.Texts {
				if other, is := m.Lookup(k, s); is {
					problems = append(problems, config.Problem{Line: v.Line, Text: fmt.Sprintf("keys: %s is %s %s, and not %s", k, other, s, action), Warning: true})
				}
			}
		}
	}
	return problems
}

// contextName is the context that will be looked at.
func (f *flags) contextName() string {
	if f.context != "" || f.demo != "" || f.from != "" || f.replay != "" {
		return f.context
	}
	raw, err := rules(f.kubeconfig).Load()
	if err != nil {
		return ""
	}
	return raw.CurrentContext
}

func newConfig(f *flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "the configuration: check it, and what can be in it",
		Long: `config tells of the configuration file, $GEOTOP_CONFIG or geotop/config.yaml in
$XDG_CONFIG_HOME or ~/.config. None is needed. What it says, a flag overrides.`,
		Args: f.noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "check [FILE]",
		Short: "say line by line what is wrong with it",
		Long: `check reads the configuration, or FILE, and prints what is wrong with it. It
exits 0 when it is of use, though there may be warnings, else 64.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				f.config = args[0]
			}
			file, err := f.configFile()
			if err != nil {
				return usage("%w", err)
			}
			return checkFile(cmd.OutOrStdout(), file)
		},
	}, &cobra.Command{
		Use:   "settings",
		Short: "list the settings there can be",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range slices.Sorted(slices.Values(lasting)) {
				kind, words := pflag.UnquoteUsage(anyFlag(cmd.Root(), name))
				fmt.Fprintf(cmd.OutOrStdout(), "%-18s %-10s %s\n", name, kind, words)
			}
			return nil
		},
	}, &cobra.Command{
		Use:   "thresholds",
		Short: "list what limits can be set on",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, l := range model.Limits() {
				worse := "more"
				if l.Least {
					worse = "less"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%-12s %-8s %s (%s is worse)\n", l.Name, l.Unit, l.Says, worse)
			}
			return nil
		},
	}, &cobra.Command{
		Use:   "actions",
		Short: "list what keys can be chosen for, and the keys it has",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m := keymap.Default()
			for _, a := range m.Actions() {
				for _, s := range keymap.Scopes {
					if help := m.Help(s, a); help != "" {
						fmt.Fprintf(cmd.OutOrStdout(), "%-18s %-10s %s\n", a, strings.Join(m.Keys(s, a), " "), help)
						break
					}
				}
			}
			return nil
		},
	})
	return cmd
}

func anyFlag(root *cobra.Command, name string) *pflag.Flag {
	if flag := root.PersistentFlags().Lookup(name); flag != nil {
		return flag
	}
	return root.Flags().Lookup(name)
}

// checkFile applies each context of the file by itself, as any may be the one.
func checkFile(out io.Writer, file *config.File) error {
	all := slices.Clone(file.Problems)
	for _, name := range append([]string{""}, slices.Sorted(maps.Keys(file.Contexts))...) {
		fresh := &flags{context: name}
		cmd := commandOf(fresh)
		alone := *file
		if s, is := file.Contexts[name]; is {
			alone.Section, alone.Contexts = s, nil
		} else {
			alone.Contexts = nil
		}
		given := pflag.NewFlagSet("", pflag.ContinueOnError)
		given.AddFlagSet(cmd.PersistentFlags())
		given.AddFlagSet(cmd.Flags())
		all = append(all, fresh.apply(&alone, given)...)
	}
	slices.SortStableFunc(all, func(a, b config.Problem) int { return a.Line - b.Line })
	bad := false
	for _, p := range slices.CompactFunc(all, func(a, b config.Problem) bool { return a == b }) {
		bad = bad || !p.Warning
		fmt.Fprintln(out, told(file, p))
	}
	switch {
	case bad:
		return &exitError{code: exitUsage}
	case len(all) == 0:
		fmt.Fprintln(out, file.Path+": nothing is wrong with it")
	}
	return nil
}
