package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/output"
	"github.com/geotop/geotop/themes"
)

// completer gives what a word on the command line may be.
type completer = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

func fixed(values ...string) completer {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return values, cobra.ShellCompDirectiveNoFileComp
	}
}

// registerCompletions completes flags from what there really is.
func (f *flags) registerCompletions(cmd *cobra.Command) {
	for name, c := range map[string]completer{
		"theme":  fixed(themes.Names()...),
		"demo":   fixed(strings.Split(scenarioNames(), "|")...),
		"output": fixed(strings.Split(output.Formats, "|")...),
		"color":  fixed("auto", "always", "never"),
		"site":   f.names(-1, sites),

		"threshold": completeThreshold,
		"context": func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			file, _ := cmd.Flags().GetString("kubeconfig")
			return contextNames(file), cobra.ShellCompDirectiveNoFileComp
		},
	} {
		if err := cmd.RegisterFlagCompletionFunc(name, c); err != nil {
			panic(err) // a flag of that name does not exist: a bug no user can cause
		}
	}
}

// completesWithin is how long a shell waits for names. Mostly they are remembered.
const completesWithin = 3 * time.Second

// names completes up to so many arguments (any number when negative) by names from the
// cluster, as it is or was, none of them twice.
func (f *flags) names(most int, of func(w *model.World) []string) completer {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if most >= 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		w := f.known(cmd.Context(), cmd.InOrStdin())
		if w == nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list := slices.DeleteFunc(of(w), func(name string) bool {
			return !strings.HasPrefix(name, begun) || slices.Contains(args, name) || name != model.Clean(name, 0) || strings.ContainsAny(name, " \t")
		})
		slices.Sort(list)
		return slices.Compact(list), cobra.ShellCompDirectiveNoFileComp
	}
}

// known is the cluster as it was the last time, or as it is; nil when neither is to be
// had.
func (f *flags) known(ctx context.Context, stdin io.Reader) *model.World {
	if ctx == nil { // of a command that is only completed
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completesWithin)
	defer cancel()
	src, err := f.open(stdin)
	if err != nil {
		return nil
	}
	if w := src.World(); len(w.Nodes) > 0 {
		return w
	}
	defer src.start(ctx)()
	w, err := f.settled(ctx, src)
	if err != nil {
		return src.World()
	}
	return w
}

func sites(w *model.World) (list []string) {
	for _, s := range w.Sites {
		list = append(list, s.Name)
	}
	return list
}

// targets are houses and machines.
func targets(w *model.World) []string { return append(sites(w), machines(w)...) }

func machines(w *model.World) (list []string) {
	for _, n := range w.Nodes {
		list = append(list, "node/"+n.Name)
	}
	return list
}

func volumes(w *model.World) (list []string) {
	for _, v := range w.Volumes {
		list = append(list, v.Namespace+"/"+v.Title())
	}
	return list
}

// restorable are volumes, for their newest backups, and backups.
func restorable(w *model.World) []string {
	list := volumes(w)
	for _, b := range w.Backups {
		if b.State == "Completed" {
			list = append(list, b.Name)
		}
	}
	return list
}

func workloads(w *model.World) (list []string) {
	for _, wl := range w.Workloads {
		if actions.Restartable(wl) {
			list = append(list, wl.Namespace+"/"+wl.Name)
		}
	}
	return list
}

func pods(w *model.World) (list []string) {
	for _, p := range w.Pods {
		list = append(list, p.Namespace+"/"+p.Name)
	}
	return list
}

// inPods are pods, without their namespace where -n says that.
func (i *inside) inPods(w *model.World) (list []string) {
	for _, p := range w.Pods {
		switch i.namespace {
		case "":
			list = append(list, p.Namespace+"/"+p.Name)
		case p.Namespace:
			list = append(list, p.Name)
		}
	}
	return list
}
