package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/collectors/memory"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/output"
)

// act is how an action is asked for on the command line.
type act struct {
	*flags
	dryRun, yes bool
	override    string // the name typed to have a guarded plan done
}

// planner plans what an action does to what its arguments name.
type planner func(w *model.World, args []string) (*model.Plan, error)

// one is the planner of an action on one target.
func one(plan func(*model.World, string) (*model.Plan, error)) planner {
	return func(w *model.World, args []string) (*model.Plan, error) { return plan(w, args[0]) }
}

// verb is an action as a command.
type verb struct {
	use, short, long, example string
	args                      cobra.PositionalArgs
	plan                      planner
	flags                     func(*cobra.Command) // what else it takes; nil for nothing
	names                     completer            // of what it may be about
}

// verbs are the actions that are commands; each is planned only by geotop plan.
func (f *flags) verbs() []verb {
	const target = "SITE|node/NAME"
	return []verb{
		{"cordon " + target, "let no new pods onto a house or a machine", "", "  geotop cordon moka\n  geotop cordon node/moka-1 --dry-run", cobra.ExactArgs(1), one(actions.Cordon), nil, f.names(1, targets)},
		{"uncordon " + target, "let pods onto a house or a machine again", "", "  geotop uncordon moka", cobra.ExactArgs(1), one(actions.Uncordon), nil, f.names(1, targets)},
		{"drain " + target, "cordon a house or a machine and have its pods go elsewhere", "drain cordons all machines, then evicts their pods, budgets respected: machines\nthat are no servers first, those with an etcd member last.",
			"  geotop drain moka\n  geotop drain node/moka-1 --yes", cobra.ExactArgs(1), one(actions.Drain), nil, f.names(1, targets)},
		{"outage SITE", "get a house ready to be switched off", "outage backs up what has no good backup of the last day, moves copies so that\nnone is in that house alone, cordons and drains it, and says when it may go.\nAfterwards: geotop return SITE.",
			"  geotop plan outage moka\n  geotop outage moka", cobra.ExactArgs(1), one(actions.Outage), nil, f.names(1, sites)},
		{"return " + target, "bring a house back whose power is", "return takes away the out-of-service taint and the cordon, and watches until the\nhouse and all copies of volumes are well.", "  geotop return moka", cobra.ExactArgs(1), one(actions.Return), nil, f.names(1, targets)},
		{"dead " + target, "give up a house that is dark and stays so", "dead taints the machines of a dark house out of service: Kubernetes then forgets\npods that hang there and takes volumes off it, so that both go on elsewhere. Be\nsure that it is off.",
			"  geotop plan dead moka\n  geotop dead moka", cobra.ExactArgs(1), one(actions.Dead), nil, f.names(1, targets)},
		f.backup(), f.rebalance(), f.restore(),
		f.awaited("restart WORKLOAD", "have all pods of a workload made anew", "  geotop restart web/blog\n  geotop restart Deployment/web/blog --wait", cobra.ExactArgs(1), f.names(1, workloads), one(actions.Restart)),
		f.awaited("scale WORKLOAD PODS", "have more pods of a workload, or fewer", "  geotop scale web/blog 3 --wait", cobra.ExactArgs(2), f.names(1, workloads),
			func(w *model.World, args []string) (*model.Plan, error) { return actions.Scale(w, args[0], args[1]) }),
		f.awaited("delete POD", "end a pod", "  geotop delete web/blog-5b787d7cf6-v5sq4 --wait", cobra.ExactArgs(1), f.names(1, pods),
			func(w *model.World, args []string) (*model.Plan, error) { return actions.DeletePod(w, "pod/"+args[0]) }),
	}
}

// awaited is an action on a workload or a pod, which may wait until pods are ready.
func (f *flags) awaited(use, short, example string, args cobra.PositionalArgs, names completer, plan planner) verb {
	wait := false
	return verb{
		use: use, short: short, example: example, args: args, names: names,
		long: strings.ToUpper(short[:1]) + short[1:] + ".\n\nA workload is named by KIND/NAMESPACE/NAME, or NAMESPACE/NAME where that is but\none; a pod by NAMESPACE/NAME.",
		flags: func(cmd *cobra.Command) {
			cmd.Flags().BoolVar(&wait, "wait", false, "wait until the workload's pods are ready")
		},
		plan: func(w *model.World, names []string) (*model.Plan, error) {
			p, err := plan(w, names)
			if err == nil && wait {
				actions.Await(w, p)
			}
			return p, err
		},
	}
}

// restore is of a backup by its name, or of the newest good one of a volume.
func (f *flags) restore() verb {
	as := ""
	return verb{
		use: "restore BACKUP|VOLUME", short: "make a new volume from a backup",
		long: `restore has Longhorn make a new volume from a backup, or from the newest whole
one of a volume, waits until its data are there, and makes a claim of the same
name for it. What is there now stays as it is: have a pod use the new claim to go
on with it.`,
		example: "  geotop restore db/data-postgres-0 --as postgres-sunday\n  geotop restore backup-0f3c9d2a77e14b60 --as look",
		args:    cobra.ExactArgs(1),
		names:   f.names(1, restorable),
		flags: func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&as, "name", "", "`name` of the new volume and claim (default: the claim's, with the backup's date)")
		},
		plan: func(w *model.World, names []string) (*model.Plan, error) {
			return actions.Restore(w, "backup/"+names[0], as)
		},
	}
}

// backup is of volumes by name, of those of a site (--site), of those that need it,
// or of all.
func (f *flags) backup() verb {
	var all, stale bool
	return verb{
		use: "backup [VOLUME...]", short: "back volumes up until they are in the bucket",
		long: `backup makes a snapshot and a backup of each volume, one after another, and waits
until each was found in the bucket. A volume is named by its claim, NAMESPACE/CLAIM,
or by Longhorn's name.`,
		example: "  geotop backup db/data-postgres-0\n  geotop backup --site moka --stale\n  geotop backup --all --yes",
		args:    cobra.ArbitraryArgs,
		names:   f.names(-1, volumes),
		flags: func(cmd *cobra.Command) {
			cmd.Flags().BoolVar(&all, "all", false, "all volumes")
			cmd.Flags().BoolVar(&stale, "stale", false, "those without a good backup of the last day")
		},
		plan: func(w *model.World, names []string) (*model.Plan, error) {
			site := f.site
			switch {
			case len(names) > 0 && (all || stale || site != ""):
				return nil, usage("name volumes, or say which by --site, --stale and --all")
			case len(names) > 0:
				return actions.Backup(w, names...)
			case stale:
				return actions.Backup(w, "stale/"+site)
			case site != "":
				return actions.Backup(w, "site/"+site)
			case all:
				return actions.Backup(w, "all/")
			default:
				return nil, usage("back up what? name volumes, or say --site, --stale or --all")
			}
		},
	}
}

// rebalance is of all volumes, of those named, or of copies in a site (--site).
func (f *flags) rebalance() verb {
	return verb{
		use: "rebalance [VOLUME...]", short: "move copies of volumes to houses that have none",
		long: `rebalance moves copies out of houses that hold two of the same volume to houses
that hold none, one after another: Longhorn makes one more, and only once it is
whole the old one goes, so that at no moment there are fewer.`,
		example: "  geotop plan rebalance\n  geotop rebalance --site moka\n  geotop rebalance dev/gitea-data",
		args:    cobra.ArbitraryArgs,
		names:   f.names(-1, volumes),
		plan: func(w *model.World, names []string) (*model.Plan, error) {
			if f.site != "" {
				names = append([]string{"site/" + f.site}, names...)
			}
			return actions.Rebalance(w, names...)
		},
	}
}

// addActions adds the commands that change the cluster.
func addActions(cmd *cobra.Command, f *flags) {
	plan := newPlan(f)
	for _, v := range f.verbs() {
		add(cmd, groupAct, v.command(f, false))
		add(plan, groupAct, v.command(f, true))
	}
	add(cmd, groupAct, plan)
	add(cmd, groupLook, newAudit(f))
	add(cmd, groupInside, newShell(f), newLogs(f), newForward(f))
}

// command is the verb; with only, one that plans and does nothing.
func (v verb) command(f *flags, only bool) *cobra.Command {
	a := &act{flags: f, dryRun: only}
	cmd := &cobra.Command{
		Use: v.use, Short: v.short, Long: v.long, Example: v.example, Args: v.args,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.run(cmd, v.plan, args) },
		ValidArgsFunction: v.names,
	}
	if v.flags != nil {
		v.flags(cmd)
	}
	if only {
		cmd.Long, cmd.Example = "", ""
		return cmd
	}
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, "say what would be done, and do nothing")
	cmd.Flags().BoolVarP(&a.yes, "yes", "y", false, "do not ask")
	cmd.Flags().StringVar(&a.override, "override", "", "`name` that the plan asks for: do it although it had better not be done")
	return cmd
}

// run plans, checks, shows, asks and does.
func (a *act) run(cmd *cobra.Command, plan planner, args []string) error {
	if !a.dryRun && !a.yes && a.override == "" && !term.IsTerminal(os.Stdin.Fd()) {
		return usage("there is no terminal to ask on: say --yes, or --dry-run")
	}
	src, err := a.open(cmd.InOrStdin())
	if err != nil {
		return err
	}
	if src.api == nil && !a.dryRun {
		return usage("what comes from a file cannot be changed")
	}
	ctx := cmd.Context()
	defer src.start(ctx)()
	w, err := a.look(ctx, src)
	if err != nil {
		return err
	}
	runner := a.runner(src)
	p, err := plan(w, args)
	if err == nil && src.api != nil {
		err = actions.Check(ctx, src.api, p)
	}
	if err != nil {
		return a.refused(cmd, runner, p, err)
	}
	if err := a.show(cmd.OutOrStdout(), p); err != nil || a.dryRun {
		return err
	}
	if err := a.agree(cmd, p); err != nil {
		runner.Refused(p, err)
		return err
	}
	return a.result(a.report(cmd, runner).Run(ctx, p, nil))
}

// look waits for a World to plan by.
func (a *act) look(ctx context.Context, src *source) (*model.World, error) {
	w, err := a.settled(ctx, src)
	if err == nil && !w.Looked() {
		err = a.verdict(w, w)
	}
	return w, err
}

// refused says why there is no plan.
func (a *act) refused(cmd *cobra.Command, runner *actions.Runner, p *model.Plan, err error) error {
	var r *actions.RefusedError
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		return err
	case !errors.As(err, &r):
		return &exitError{exitFailed, err}
	case r.Nothing:
		fmt.Fprintln(cmd.ErrOrStderr(), "geotop:", r)
		return nil
	case r.Unknown:
		return usage("%w", err)
	}
	if p != nil && !a.dryRun {
		runner.Refused(p, err)
	}
	return &exitError{exitFailed, err}
}

// show prints the plan.
func (a *act) show(out io.Writer, p *model.Plan) error {
	switch a.format {
	case "json":
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(p)
	case "yaml":
		b, err := yaml.Marshal(p)
		if err == nil {
			_, err = out.Write(b)
		}
		return err
	case "", "table", "wide":
		return output.Plan(out, p, a.format == "wide")
	default:
		return usage("-o %s is not for plans; there are table, wide, json, yaml", a.format)
	}
}

// agree asks the operator, or takes what the flags say.
func (a *act) agree(cmd *cobra.Command, p *model.Plan) error {
	guarded := len(p.Guards) > 0
	switch {
	case a.override != "":
		if a.override != p.Confirm && p.Confirm != "" {
			return usage("--override is %q, and the plan is about %q", a.override, p.Confirm)
		}
		return nil
	case a.yes && !guarded:
		return nil
	case a.yes || !term.IsTerminal(os.Stdin.Fd()):
		return &exitError{exitFailed, fmt.Errorf("not done: %s; --override %s has it done nevertheless", strings.Join(p.Guards, "; "), p.Confirm)}
	}
	question, want := "Do it? [y/N] ", "y"
	if p.Wide() {
		question, want = "Type "+p.Confirm+" to have it done: ", p.Confirm
	}
	fmt.Fprint(cmd.ErrOrStderr(), question)
	answers := make(chan string, 1)
	go func() {
		answer, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		answers <- answer
	}()
	select {
	case answer := <-answers:
		if strings.TrimSpace(answer) == want {
			return nil
		}
	case <-cmd.Context().Done(): // Ctrl-C; the process ends with the reading
		fmt.Fprintln(cmd.ErrOrStderr())
	}
	return &exitError{exitFailed, errors.New("not done")}
}

// runner carries out plans on the source's cluster.
func (f *flags) runner(src *source) *actions.Runner {
	return &actions.Runner{API: src.api, World: src.World, Who: whoAmI(), Audit: f.auditLog(), Now: src.now}
}

// auditLog is the log of this account; nil where there is no place for one.
func (f *flags) auditLog() *actions.Audit {
	if f.demo != "" {
		return actions.MemoryAudit()
	}
	dir, err := memory.Dir()
	if err != nil {
		return nil
	}
	return actions.OpenAudit(dir)
}

// whoAmI is user@machine.
func whoAmI() string {
	name, host := "somebody", "somewhere"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return model.Clean(name+"@"+host, 120)
}

// report has the runner's progress written as lines to stderr.
func (a *act) report(cmd *cobra.Command, r *actions.Runner) *actions.Runner {
	out, said := cmd.ErrOrStderr(), map[string]bool{}
	r.Tell = func(p *model.Plan) {
		for _, words := range p.Warnings {
			if len(p.Steps) == 0 && !said[words] { // it is not ours yet
				said[words] = true
				fmt.Fprintln(out, "waits   "+model.Strip(words))
			}
		}
		for _, s := range p.Steps {
			line := stepLine(s)
			if line != "" && !said[line] {
				said[line] = true
				fmt.Fprintln(out, line)
			}
		}
	}
	return r
}

// stepLine is what there is to say of a step; "" before it begins.
func stepLine(s *model.Step) string {
	if s.State == model.StepWaits {
		return ""
	}
	line := fmt.Sprintf("%-7s %s", s.State, s.Text)
	if s.Note != "" {
		line += ": " + s.Note
	}
	return model.Strip(line)
}

// result turns what became of a plan into the exit code.
func (a *act) result(err error) error {
	var r *actions.RefusedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r) && r.Unknown:
		return usage("%w", err)
	case errors.As(err, &r) && r.Nothing:
		return &exitError{exitFailed, err}
	default:
		return &exitError{exitFailed, fmt.Errorf("%w; geotop plan shows what is left, geotop plan finish or undo goes on", err)}
	}
}

// newPlan shows plans, and goes on with the one that was left.
func newPlan(f *flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "what an action would do; the plan that is under way or was left",
		Long: `plan says what an action would do, what follows from it and what stands in its
way, and changes nothing. Without an action it shows the plan that is under way
in the cluster, or was left before its end, by whatever geotop.`,
		Example: `  geotop plan drain moka
  geotop plan
  geotop plan undo`,
		Args: f.noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a := &act{flags: f, dryRun: true}
			src, err := f.open(cmd.InOrStdin())
			if err != nil {
				return err
			}
			defer src.start(cmd.Context())()
			w, err := a.look(cmd.Context(), src)
			if err != nil {
				return err
			}
			if len(w.Plans) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "geotop: no plan is under way, and none was left")
				return nil
			}
			for _, r := range w.Plans {
				if err := a.show(cmd.OutOrStdout(), &r.Plan); err != nil {
					return err
				}
				fmt.Fprintln(cmd.ErrOrStderr(), "geotop:", r.State(w.At))
			}
			return nil
		},
	}
	cmd.AddGroup(&cobra.Group{ID: groupLeft, Title: "A plan that was left:"}, &cobra.Group{ID: groupAct, Title: "Plan:"})
	for _, v := range []struct {
		name, short string
		do          func(context.Context, *actions.Runner) error
	}{
		{"finish", "go on with the plan that was left", func(ctx context.Context, r *actions.Runner) error { return r.Resume(ctx, false, nil) }},
		{"undo", "take back what was done of the plan that was left", func(ctx context.Context, r *actions.Runner) error { return r.Resume(ctx, true, nil) }},
		{"forget", "leave the cluster as it is, and forget the plan", func(ctx context.Context, r *actions.Runner) error { return r.Forget(ctx) }},
	} {
		a := &act{flags: f}
		sub := &cobra.Command{Use: v.name, Short: v.short, Args: f.noArguments, RunE: func(cmd *cobra.Command, _ []string) error {
			src, err := f.open(cmd.InOrStdin())
			if err != nil {
				return err
			}
			if src.api == nil {
				return usage("what comes from a file cannot be changed")
			}
			defer src.start(cmd.Context())()
			if _, err := a.look(cmd.Context(), src); err != nil {
				return err
			}
			return a.result(v.do(cmd.Context(), a.report(cmd, f.runner(src))))
		}}
		add(cmd, groupLeft, sub)
	}
	return cmd
}

// newAudit prints the log of what was attempted.
func newAudit(f *flags) *cobra.Command {
	most := 50
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "what was changed from this account, and what was tried",
		Args:  f.noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := f.auditLog()
			if log == nil {
				return usage("there is no audit log here")
			}
			entries, err := log.Read(most)
			if err != nil {
				return &exitError{exitFailed, err}
			}
			if f.format == "json" {
				for _, e := range entries {
					if err := json.NewEncoder(cmd.OutOrStdout()).Encode(e); err != nil {
						return err
					}
				}
				return nil
			}
			for _, e := range entries {
				line := fmt.Sprintf("%s  %-7s %-6s %s %s  %d/%d  %s", e.At.Local().Format("2006-01-02 15:04:05"), e.Result, e.How, e.Action, e.Target, e.Done, e.Steps, e.User)
				if e.Error != "" {
					line += "  " + e.Error
				}
				fmt.Fprintln(cmd.OutOrStdout(), model.Strip(line))
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&most, "last", most, "so `many` of the newest")
	return cmd
}
