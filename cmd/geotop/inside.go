package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/model"
	"github.com/geotop/geotop/session"
)

// inside is how a pod is named on the command line.
type inside struct {
	*flags
	namespace, container string
}

func (i *inside) register(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&i.namespace, "namespace", "n", "", "`namespace` of the pod (default: NAMESPACE/POD, or default)")
	cmd.Flags().StringVarP(&i.container, "container", "c", "", "`name` of the container (default: what the pod says, or its first)")
}

// open reaches the cluster and finds the pod's containers. Nothing else is read.
func (i *inside) open(ctx context.Context, cmd *cobra.Command, pod string) (*source, session.Target, *session.Choice, error) {
	t := session.Target{Namespace: i.namespace, Pod: pod, Container: i.container}
	if ns, name, told := strings.Cut(pod, "/"); told && t.Namespace == "" {
		t.Namespace, t.Pod = ns, name
	}
	t.Namespace = cmp.Or(t.Namespace, "default")
	src, err := i.flags.open(cmd.InOrStdin())
	if err != nil {
		return nil, t, nil, err
	}
	if src.pods == nil || i.demo != "" {
		return nil, t, nil, usage("there are no containers to go into: a file and the demo have none")
	}
	ask, cancel := context.WithTimeout(ctx, i.timeout)
	defer cancel()
	choice, err := session.Containers(ask, src.pods, t.Namespace, t.Pod)
	if err != nil {
		return nil, t, nil, &exitError{exitUnseen, fmt.Errorf("pod %s/%s: %w", t.Namespace, t.Pod, err)}
	}
	if t.Container != "" && !slices.Contains(choice.Containers, t.Container) {
		return nil, t, nil, usage("pod %s/%s has no container %q; it has: %s", t.Namespace, t.Pod, model.Clean(t.Container, 60), model.Clean(strings.Join(choice.Containers, " "), 300))
	}
	t.Container = cmp.Or(t.Container, choice.Default)
	return src, t, choice, nil
}

// newLogs prints what containers said.
func newLogs(f *flags) *cobra.Command {
	i := &inside{flags: f}
	opt := session.LogOptions{}
	all := false
	cmd := &cobra.Command{
		Use:     "logs POD",
		Short:   "what a pod's containers said",
		Example: "  geotop logs -n db postgres-0 -f\n  geotop logs web/blog-5b787d7cf6-v5sq4 --previous",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			src, t, choice, err := i.open(cmd.Context(), cmd, args[0])
			if err != nil {
				return err
			}
			targets := []session.Target{t}
			if all {
				targets = nil
				for _, c := range choice.Containers {
					targets = append(targets, session.Target{Namespace: t.Namespace, Pod: t.Pod, Container: c})
				}
			}
			opt.Prefix = len(targets) > 1
			opt.Clean = cmd.OutOrStdout() == os.Stdout && term.IsTerminal(os.Stdout.Fd())
			if err := session.Logs(cmd.Context(), src.pods, targets, opt, cmd.OutOrStdout()); err != nil {
				return &exitError{exitFailed, err}
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	i.register(cmd)
	cmd.Flags().BoolVarP(&opt.Follow, "follow", "f", false, "go on with what is said from now on")
	cmd.Flags().BoolVarP(&opt.Previous, "previous", "p", false, "of the container before its last restart")
	cmd.Flags().IntVar(&opt.Tail, "tail", -1, "so `many` last lines")
	cmd.Flags().DurationVar(&opt.Since, "since", 0, "only what is not older than this `time`")
	cmd.Flags().BoolVar(&all, "all-containers", false, "of all containers, each line with its name")
	return cmd
}

// shellIn is this program, opening a shell in a pod of the same cluster.
func (f *flags) shellIn(namespace, pod string) *exec.Cmd {
	args := []string{"shell", "--namespace", namespace}
	for name, value := range map[string]string{"--kubeconfig": f.kubeconfig, "--context": f.context, "--other-server": strings.Join(f.others, ",")} {
		if value != "" {
			args = append(args, name+"="+value)
		}
	}
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return exec.Command(self, append(args, "--", pod)...)
}

// screenLines is how much of a log the screen shows.
const screenLines = 500

// logsOf reads the last lines of a pod's log, of the container that is meant when none is named.
func logsOf(api session.API) func(context.Context, string, string) ([]string, error) {
	return func(ctx context.Context, namespace, pod string) ([]string, error) {
		ctx, cancel := context.WithTimeout(ctx, logPatience)
		defer cancel()
		choice, err := session.Containers(ctx, api, namespace, pod)
		if err != nil {
			return nil, err
		}
		var out strings.Builder
		err = session.Logs(ctx, api, []session.Target{{Namespace: namespace, Pod: pod, Container: choice.Default}}, session.LogOptions{Tail: screenLines, Clean: true}, &out)
		return strings.SplitAfter(strings.TrimSuffix(out.String(), "\n"), "\n"), err
	}
}

// logPatience is how long a log may take: a kubelet may be behind a slow link.
const logPatience = 20 * time.Second

// newShell opens a shell in a container.
func newShell(f *flags) *cobra.Command {
	i := &inside{flags: f}
	cmd := &cobra.Command{
		Use:   "shell POD",
		Short: "a shell in a pod",
		Long: `shell runs bash, ash or sh in a container, whichever there is. A session that hangs
is left with ~. at the beginning of a line.`,
		Example: "  geotop shell -n dev code-server-57dcc4c7b6-dgch6\n  geotop shell db/postgres-0 -c postgres",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !term.IsTerminal(os.Stdin.Fd()) || !term.IsTerminal(os.Stdout.Fd()) {
				return usage("a shell needs a terminal")
			}
			src, t, choice, err := i.open(cmd.Context(), cmd, args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s\n", model.Strip(fmt.Sprintf("node %s, pod %s/%s, container %s; ~. at the beginning of a line leaves", choice.Node, t.Namespace, t.Pod, t.Container)))
			return i.shell(cmd.Context(), src, t)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	i.register(cmd)
	return cmd
}

// whole puts a terminal back into order, whatever a program did to it: main screen,
// visible cursor, no colours, no mouse, no bracketed paste.
const whole = "\x1b[?1049l\x1b[?25h\x1b[0m\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\r"

// shell hands the terminal to the container, and takes it back whole.
func (i *inside) shell(ctx context.Context, src *source, t session.Target) error {
	state, err := term.MakeRaw(os.Stdin.Fd())
	if err != nil {
		return &exitError{exitFailed, err}
	}
	back := func() {
		_, _ = io.WriteString(os.Stdout, whole)
		_ = term.Restore(os.Stdin.Fd(), state)
	}
	defer back()
	log, entry := i.auditLog(), actions.Entry{At: time.Now().UTC(), User: whoAmI(), Cluster: i.context, How: "run", Action: "shell", Target: "pod/" + t.Namespace + "/" + t.Pod, Objects: []string{t.Container}, Result: "begun"}
	_ = log.Write(entry)
	code, err := session.Shell(ctx, src.pods.Rest(), t, session.Terminal{
		In: os.Stdin, Out: os.Stdout, Term: cmp.Or(os.Getenv("TERM"), "xterm"),
		Size: func() (int, int) {
			w, h, err := term.GetSize(os.Stdout.Fd())
			if err != nil {
				return 0, 0
			}
			return w, h
		},
	})
	entry.At, entry.Result = time.Now().UTC(), "done"
	switch {
	case errors.Is(err, session.ErrLeft):
		err = nil
		entry.Result = "stopped"
	case err != nil:
		entry.Result, entry.Error = "failed", model.Clean(err.Error(), 500)
		err = &exitError{exitFailed, err}
	case code != 0:
		entry.Error = fmt.Sprintf("exit code %d", code)
		err = &exitError{code: code}
	}
	_ = log.Write(entry)
	return err
}
