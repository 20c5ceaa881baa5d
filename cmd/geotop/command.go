package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/colorprofile"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/geotop/geotop/demo"
	"github.com/geotop/geotop/keymap"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/output"
	"github.com/geotop/geotop/text"
	"github.com/geotop/geotop/themes"
	"github.com/geotop/geotop/view"
)

// flags are the operator's choices.
type flags struct {
	config, kubeconfig, context                string
	demo                                       string
	seed                                       uint64
	from, recordTo, replay                     string
	site                                       string
	siteLabels, others                         []string
	as, namespace                              string
	asGroups                                   []string
	patience                                   time.Duration // of each request; 0 for what the link needs
	theme, color                               string
	write, low, noQuery, ascii, braille, words bool
	mouse                                      bool
	socket, s3, deep                           string
	headscale                                  string
	whatif                                     bool
	lose                                       []string // sites to lose together; none: each by itself
	prometheus                                 string
	etcd                                       map[string]string
	noPing, noState                            bool

	once, check, watch bool
	format             string
	timeout            time.Duration
	list               view.List // the one list to print; nil for what matters of all

	keys      *keymap.Map // as the configuration has them
	locations map[string]model.Location
	limits    thresholds
}

// deepPatience is how long a look at blocks may take when nobody says.
const deepPatience = 10 * time.Minute

const long = `geotop shows a Kubernetes cluster by the houses it runs in: which house is up,
what runs where, what needs attention.

Without flags it reads the cluster of the current kubeconfig context, changes
nothing, and opens a live screen: ? shows the keys, q leaves.`

const examples = `  geotop                          live screen of the current context
  geotop --demo                   the same on a simulated cluster
  geotop --once                   one snapshot as text, for pipes and watch(1)
  geotop --once --check; echo $?  0 ok, 1 warning, 2 critical, 3 unknown
  geotop --once -o json | jq .sites`

func newCommand() *cobra.Command { return commandOf(&flags{}) }

// commandOf makes the command that fills these flags.
func commandOf(f *flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:           "geotop",
		Short:         "the cockpit for Kubernetes clusters stretched across houses",
		Long:          long,
		Example:       examples,
		Args:          f.noArguments,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			for c := cmd; c != nil; c = c.Parent() {
				if slices.Contains([]string{"config", "version", "completion", "help", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}, c.Name()) {
					return nil // they must work with a configuration that does not
				}
			}
			if err := f.configure(cmd); err != nil {
				return err
			}
			return f.likeKubectl(cmd)
		},
	}
	cmd.SetUsageTemplate(strings.ReplaceAll(cmd.UsageTemplate(), ".FlagUsages ", ".FlagUsagesWrapped 80 "))
	fs := cmd.PersistentFlags()
	fs.SortFlags = false
	cmd.Flags().SortFlags = false
	fs.StringVar(&f.config, "config", "", "configuration `file` (default: $GEOTOP_CONFIG, ~/.config/geotop/config.yaml)")
	fs.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig `file` (default: $KUBECONFIG, ~/.kube/config)")
	fs.StringVar(&f.context, "context", "", "kubeconfig context `name`")
	fs.StringSliceVar(&f.others, "other-server", nil, "`host:port` of another API server, to go on with when the kubeconfig's is silent")
	fs.StringVar(&f.as, "as", "", "`user` to do everything as, where the account may")
	fs.StringSliceVar(&f.asGroups, "as-group", nil, "`group` of that user; may be given again")
	fs.DurationVar(&f.patience, "request-timeout", 0, "wait this `time` for each answer of the API server, not as long as the link needs")
	fs.StringVar(&f.site, "site", "", "only this `site`")
	fs.StringSliceVar(&f.siteLabels, "site-label", nil, "node `label` that names the site; the first set one counts")
	fs.Var(&f.limits, "threshold", "`limit` from where on something is a finding, such as backup-age=26h/3d (warning/critical); geotop config thresholds lists them")
	fs.StringVar(&f.socket, "tailscale-socket", "", "`socket` of this machine's tailscaled (default: where it usually is)")
	fs.StringVar(&f.headscale, "headscale", "", "`URL` of the Headscale to ask where no tailscaled runs; its key is in $GEOTOP_HEADSCALE_API_KEY")
	fs.StringToStringVar(&f.etcd, "etcd-metrics", nil, "`node=URL` of an etcd member's metrics, where k3s does not expose them")
	fs.StringVar(&f.prometheus, "prometheus", "", "`URL` of a Prometheus that has etcd's or ping_exporter's metrics; a token for it is in $GEOTOP_PROMETHEUS_TOKEN")
	fs.BoolVar(&f.noPing, "no-ping", false, "send no pings over the tailnet")
	fs.StringVar(&f.s3, "s3-endpoint", "", "`URL` of the object store, when the one in the cluster's credentials is of no use here")
	fs.StringVar(&f.deep, "deep", "", "also look for the blocks of each volume's newest backup, and read so `many` of them; all: of all backups")
	fs.Lookup("deep").NoOptDefVal = "4"
	fs.BoolVar(&f.noState, "no-state", false, "neither read nor keep the last known state of the cluster")
	fs.StringVar(&f.demo, "demo", "", "simulated cluster: `scenario` "+scenarioNames())
	fs.Lookup("demo").NoOptDefVal = "weak"
	fs.Uint64Var(&f.seed, "seed", 1, "`number` that the demo's chances follow")
	fs.StringVar(&f.from, "from", "", "open a JSON `file` written by -o json (- for stdin)")
	fs.StringVar(&f.replay, "replay", "", "step through a `file` written by --record: > on, < back, p plays")
	fs.StringVar(&f.recordTo, "record", "", "record what happens in a new `file`, moment by moment")

	fs.StringVarP(&f.format, "output", "o", "", "`format`: "+strings.ReplaceAll(output.Formats, "|", ", ")+"; implies --once")
	fs.DurationVar(&f.timeout, "timeout", 10*time.Second, "look no longer than this `time`, then print what there is")
	fs.BoolVar(&f.watch, "watch", false, "print again at every change; implies --once")
	fs.StringVar(&f.theme, "theme", "auto", "`theme` "+strings.Join(themes.Names(), "|"))
	fs.StringVar(&f.color, "color", "auto", "`when` auto|always|never; NO_COLOR is honoured")
	fs.BoolVar(&f.ascii, "ascii", false, "draw with nothing but ASCII; on by itself where the terminal or the locale has no more")
	fs.BoolVar(&f.braille, "braille", false, "draw gauges and trends finely, in Braille dots")
	fs.BoolVar(&f.low, "low-bandwidth", false, "draw at most once a second, no details beside lists, ping less")

	own := cmd.Flags()
	own.StringVarP(&f.namespace, "namespace", "n", "", "only pods, workloads, volumes and backups of this `namespace`")
	own.BoolVar(&f.once, "once", false, "print one snapshot and end")
	own.BoolVar(&f.check, "check", false, "exit by state: 0 ok, 1 warning, 2 critical, 3 unknown; implies --once")
	own.BoolVar(&f.write, "write", false, "allow changes to the cluster")
	own.BoolVar(&f.words, "plain", false, "in words, line by line, in place of a screen: for screen readers; on by itself with TERM=dumb")
	own.BoolVar(&f.mouse, "mouse", false, "clicks and taps go to panes and rows; selecting text then needs Shift")
	own.BoolVar(&f.noQuery, "no-query", false, "ask the terminal nothing (colours, modes)")
	f.registerCompletions(cmd)
	cmd.AddGroup(&cobra.Group{ID: groupLook, Title: "Look:"}, &cobra.Group{ID: groupAct, Title: "Change, after a plan and a question:"}, &cobra.Group{ID: groupInside, Title: "Go inside:"})
	add(cmd, groupLook, newWhatIf(f), newLinks(f), newDoctor(f))
	addActions(cmd, f)
	cmd.AddCommand(newConfig(f), newVersion())
	for _, c := range cmd.Commands() {
		c.Long = flow(c.Long)
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%w; see geotop --help", err) })
	return cmd
}

// The groups of commands in the help.
const (
	groupLook   = "look"
	groupAct    = "act"
	groupInside = "inside"
	groupLeft   = "left"
)

// flow breaks the lines of paragraphs anew, to fit a terminal.
func flow(paragraphs string) string {
	list := strings.Split(paragraphs, "\n\n")
	for i, p := range list {
		list[i] = strings.Join(text.Wrap(p, 80), "\n")
	}
	return strings.Join(list, "\n\n")
}

func add(cmd *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
		cmd.AddCommand(c)
	}
}

// noArguments refuses arguments, and knows the one that is likely meant for a flag.
func (f *flags) noArguments(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if f.demo != "" {
		return usage("unexpected argument %q; a scenario is given as --demo=%s", args[0], args[0])
	}
	return usage("unexpected argument %q; see geotop --help", args[0])
}

func scenarioNames() string {
	names := []string{}
	for _, s := range demo.Scenarios() {
		names = append(names, s.Name)
	}
	return strings.Join(names, "|")
}

// version is set by the release build.
var version = ""

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "geotop %s %s/%s %s\n", versionString(), runtime.GOOS, runtime.GOARCH, runtime.Version())
			return err
		},
	}
}

func versionString() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// newWhatIf plays losses through.
func newWhatIf(f *flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "whatif [SITE...]",
		Short: "what breaks when a house goes dark",
		Long: `whatif plays the loss of each house through, as Kubernetes would, or that of all
the named ones together: what of the control plane, workloads, volumes and object
store goes on, comes back by itself and when, stays down, or is lost, and why.`,
		Example: `  geotop whatif
  geotop whatif moka flacq
  geotop --demo whatif -o json | jq '.verdicts[] | {lost, verdict, why}'`,
		RunE: func(cmd *cobra.Command, sites []string) error {
			f.once, f.whatif, f.list, f.lose = true, true, view.WhatIf(), sites
			return f.run(cmd)
		},
		ValidArgsFunction: f.names(-1, sites),
	}
	cmd.Flags().BoolVar(&f.check, "check", false, "exit by the worst verdict: 2 data lost, 1 something down or not known, 0 else")
	return cmd
}

// newLinks prints one list instead of what matters of all.
func newLinks(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "links",
		Short: "the ways between sites: round trip, loss, direct or relayed",
		Long: `links prints how sites reach each other: as measured from this machine by pings
over the tailnet, and from others by etcd (k3s server --etcd-expose-metrics) or
by what a Prometheus knows (--prometheus). With -o json it prints the whole
document, for .links of it.`,
		Example: `  geotop links
  geotop links -o json | jq -r '.links[] | [.from, .to, .rttSeconds] | @tsv'`,
		Args: f.noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.once, f.list = true, view.Links()
			return f.run(cmd)
		},
	}
}

// newDoctor tells of the sources themselves.
func newDoctor(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "what geotop can and cannot see here, and how to mend that",
		Long: `doctor asks every source once and prints how each answers: which are there, what
they are for, what stands in the way of the others and what to do about it. It
exits 0 when all can be seen that is there, 1 otherwise.`,
		Args: f.noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			src, err := f.open(cmd.InOrStdin())
			if err != nil {
				return err
			}
			defer src.start(cmd.Context())()
			w, err := f.settled(cmd.Context(), src)
			if err != nil {
				return err
			}
			out := colorprofile.NewWriter(cmd.OutOrStdout(), os.Environ())
			out.Profile = f.profile()
			well, err := output.Doctor(out, w, f.printOptions(cmd, output.Format{}))
			if err == nil && !well {
				err = &exitError{code: exitFailed}
			}
			return err
		},
	}
}

// likeKubectl refuses values of kubectl's own flags that no API server could heed: left
// out silently, --as-group without a user would be everything the kubeconfig's may do.
func (f *flags) likeKubectl(cmd *cobra.Command) error {
	namespace := cmd.Flags().Lookup("namespace")
	switch {
	case len(f.asGroups) > 0 && f.as == "":
		return usage("--as-group needs --as: groups are those of a user")
	case f.patience < 0:
		return usage("--request-timeout must not be less than nothing")
	case namespace != nil && namespace.Changed && len(validation.IsDNS1123Label(namespace.Value.String())) > 0:
		return usage("--namespace: %q is no name that a namespace can have", model.Clean(namespace.Value.String(), 80))
	default:
		return nil
	}
}

// choices refuses values that are none of those there are.
func (f *flags) choices() error {
	if f.timeout <= 0 {
		return usage("--timeout must be more than nothing")
	}
	if _, err := themes.Load(f.theme); err != nil {
		return usage("%w", err)
	}
	if f.color != "auto" && f.color != "always" && f.color != "never" {
		return usage("--color is %q; there are auto, always, never", f.color)
	}
	return nil
}

// oneSource refuses flags that name several sources, or make a recording of one.
func (f *flags) oneSource() error {
	var given []string
	for _, s := range []struct{ flag, value string }{{"--demo", f.demo}, {"--from", f.from}, {"--replay", f.replay}} {
		if s.value != "" {
			given = append(given, s.flag)
		}
	}
	switch {
	case len(given) > 1:
		return usage("%s exclude each other", strings.Join(given, " and "))
	case f.recordTo != "" && (f.from != "" || f.replay != ""):
		return usage("--record is of what is live, and there is %s", given[0])
	default:
		return nil
	}
}

func (f *flags) run(cmd *cobra.Command) error {
	format, err := output.Parse(f.format)
	if err != nil {
		return usage("%w", err)
	}
	if err := f.oneSource(); err != nil {
		return err
	}
	if f.deep != "" && !cmd.Flags().Changed("timeout") {
		f.timeout = deepPatience
	}
	if err := f.choices(); err != nil {
		return err
	}
	src, err := f.open(cmd.InOrStdin())
	if err != nil {
		return err
	}
	end, err := f.record(src, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer end()
	if f.once || f.check || f.watch || f.format != "" {
		return f.snapshot(cmd, src, format)
	}
	if f.words || os.Getenv("TERM") == "dumb" && isTerminal() {
		return f.plain(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), src)
	}
	if why := noScreen(); why != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "geotop: %s: printing one snapshot, as --once does\n", why)
		return f.snapshot(cmd, src, format)
	}
	return f.screen(cmd.Context(), src)
}
