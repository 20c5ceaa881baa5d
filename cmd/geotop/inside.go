package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
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
	cmd.Flags().StringVarP(&i.namespace, "namespace", "n", "", "`namespace` of the pod (default: NAMESPACE/POD, or the kubeconfig's, or default)")
	cmd.Flags().StringVarP(&i.container, "container", "c", "", "`name` of the container (default: what the pod says, or its first)")
}

// open reaches the cluster and finds the pod's containers. Nothing else is read.
func (i *inside) open(ctx context.Context, cmd *cobra.Command, pod string) (*source, session.Target, *session.Choice, error) {
	t := session.Target{Namespace: i.namespace, Pod: pod, Container: i.container}
	if ns, name, told := strings.Cut(pod, "/"); told && t.Namespace == "" {
		t.Namespace, t.Pod = ns, name
	}
	t.Namespace = cmp.Or(t.Namespace, i.usualNamespace(), "default")
	src, err := i.flags.open(cmd.InOrStdin())
	if err != nil {
		return nil, t, nil, err
	}
	if src.pods == nil {
		return nil, t, nil, usage("there are no containers to go into: a file has none")
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
		ValidArgsFunction: f.names(1, i.inPods),
	}
	i.register(cmd)
	cmd.Flags().BoolVarP(&opt.Follow, "follow", "f", false, "go on with what is said from now on")
	cmd.Flags().BoolVarP(&opt.Previous, "previous", "p", false, "of the container before its last restart")
	cmd.Flags().IntVar(&opt.Tail, "tail", -1, "so `many` last lines")
	cmd.Flags().DurationVar(&opt.Since, "since", 0, "only what is not older than this `time`")
	cmd.Flags().BoolVar(&all, "all-containers", false, "of all containers, each line with its name")
	return cmd
}

// enter is this program, opening a shell in a pod of the same cluster, or forwarding to
// it.
func (f *flags) enter(command, namespace, pod string, more ...string) *exec.Cmd {
	args := []string{command}
	if namespace != "" {
		args = append(args, "--namespace", namespace)
	}
	for name, value := range map[string]string{"--kubeconfig": f.kubeconfig, "--context": f.context, "--other-server": strings.Join(f.others, ","), "--as": f.as, "--as-group": strings.Join(f.asGroups, ",")} {
		if value != "" {
			args = append(args, name+"="+value)
		}
	}
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	objects := []string{pod}
	for _, m := range more {
		if strings.HasPrefix(m, "--") {
			args = append(args, m)
		} else {
			objects = append(objects, m)
		}
	}
	return exec.Command(self, append(append(args, "--"), objects...)...)
}

// logPatience is how long a log may take: a kubelet may be behind a slow link.
const logPatience = 20 * time.Second

// newForward has ports of this machine lead to a pod.
func newForward(f *flags) *cobra.Command {
	i := &inside{flags: f}
	cmd := &cobra.Command{
		Use:   "forward POD [[LOCAL:]PORT...]",
		Short: "have ports of this machine lead to a pod",
		Long: `forward opens ports on this machine's loopback address that lead to a pod, until
Ctrl-C: PORT, LOCAL:PORT, or :PORT for any free one; those that its containers
declare when none is named. A connection that is lost is made anew.`,
		Example: "  geotop forward -n monitoring prometheus-0 9090\n  geotop forward web/blog-5b787d7cf6-v5sq4 8080:80",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ports := args[1:]
			for _, p := range ports {
				if !portWords.MatchString(p) {
					return usage("%q is no port; PORT, LOCAL:PORT and :PORT are", model.Clean(p, 40))
				}
			}
			if i.demo != "" {
				return usage("there are no ports to reach: the demo has none")
			}
			src, t, choice, err := i.open(cmd.Context(), cmd, args[0])
			if err != nil {
				return err
			}
			if len(ports) == 0 {
				if ports = choice.Ports; len(ports) == 0 {
					return usage("pod %s/%s declares no ports: say which", t.Namespace, t.Pod)
				}
				for n, p := range ports { // a low one is not to be had by everyone
					if number, _ := strconv.Atoi(p); number < 1024 {
						ports[n] = ":" + p
					}
				}
			}
			done := i.audit("forward", "pod/"+t.Namespace+"/"+t.Pod, strings.Join(ports, " "))
			err = session.Forward(cmd.Context(), src.pods, src.pods.Rest(), t, ports, func(words string) {
				fmt.Fprintln(cmd.ErrOrStderr(), model.Strip(words))
			})
			if err != nil {
				done("failed", err.Error())
				return &exitError{exitFailed, err}
			}
			done("done", "")
			return nil
		},
		ValidArgsFunction: f.names(1, i.inPods),
	}
	i.register(cmd)
	return cmd
}

// portWords are how ports are named.
var portWords = regexp.MustCompile(`^(\d{0,5}:)?\d{1,5}$`)

// audit notes that something begins in a container, and gives what notes its end.
func (i *inside) audit(action, target, object string) (end func(result, why string)) {
	log, entry := i.auditLog(), actions.Entry{At: time.Now().UTC(), User: whoAmI(), Cluster: i.context, How: "run", Action: action, Target: target, Objects: []string{object}, Result: "begun"}
	_ = log.Write(entry)
	return func(result, why string) {
		entry.At, entry.Result, entry.Error = time.Now().UTC(), result, model.Clean(why, 500)
		_ = log.Write(entry)
	}
}

// newShell opens a shell in a container.
func newShell(f *flags) *cobra.Command {
	i := &inside{flags: f}
	debug, image := false, ""
	cmd := &cobra.Command{
		Use:   "shell POD|node/NAME",
		Short: "a shell in a pod, or on a machine",
		Long: `shell runs bash, ash or sh in a container, whichever there is. A session that hangs
is left with ~. at the beginning of a line.

With --debug it puts a container with a shell into the pod, for those that have none;
that stays listed in the pod, and ends by itself after an hour.

On a machine (node/NAME) it starts a privileged pod in kube-system for the shell, and
deletes it afterwards; left behind, that ends by itself after an hour.`,
		Example: "  geotop shell -n dev code-server-57dcc4c7b6-dgch6\n  geotop shell db/postgres-0 -c postgres\n  geotop shell web/blog-5b787d7cf6-v5sq4 --debug\n  geotop shell node/moka-1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !term.IsTerminal(os.Stdin.Fd()) || !term.IsTerminal(os.Stdout.Fd()) {
				return usage("a shell needs a terminal")
			}
			if i.demo != "" {
				return usage("there are no containers to go into: the demo has none")
			}
			say := func(words string) { fmt.Fprintln(cmd.ErrOrStderr(), model.Strip(words)) }
			if node, is := strings.CutPrefix(args[0], "node/"); is {
				return i.onNode(cmd, node, image, say)
			}
			src, t, choice, err := i.open(cmd.Context(), cmd, args[0])
			if err != nil {
				return err
			}
			beside := ""
			if debug {
				beside = " beside " + t.Container
				if t, err = session.Debug(cmd.Context(), src.pods, t, image, say); err != nil {
					return &exitError{exitFailed, err}
				}
			}
			say(fmt.Sprintf("node %s, pod %s/%s, container %s%s; ~. at the beginning of a line leaves", choice.Node, t.Namespace, t.Pod, t.Container, beside))
			return i.shell(cmd.Context(), src, t, "pod/"+t.Namespace+"/"+t.Pod)
		},
		ValidArgsFunction: f.names(1, func(w *model.World) []string { return append(i.inPods(w), machines(w)...) }),
	}
	i.register(cmd)
	cmd.Flags().BoolVar(&debug, "debug", false, "put a container with a shell into the pod, and open it there")
	cmd.Flags().StringVar(&image, "image", session.DebugImage, "`image` of --debug, and of the pod on a machine")
	return cmd
}

// onNode opens a shell on a machine.
func (i *inside) onNode(cmd *cobra.Command, node, image string, say func(string)) error {
	src, err := i.flags.open(cmd.InOrStdin())
	if err != nil {
		return err
	}
	if src.pods == nil {
		return usage("there are no machines to go onto: a file has none")
	}
	t, end, err := session.NodeShell(cmd.Context(), src.pods, node, image, say)
	if end != nil {
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), i.timeout)
			defer cancel()
			if err := end(ctx); err != nil {
				say(fmt.Sprintf("pod %s/%s could not be deleted, and ends by itself within the hour: %v", t.Namespace, t.Pod, err))
			}
		}()
	}
	if err != nil {
		return &exitError{exitFailed, err}
	}
	say("on " + node + ", as root; ~. at the beginning of a line leaves")
	return i.shell(cmd.Context(), src, t, "node/"+node)
}

// whole puts a terminal back into order, whatever a program did to it: main screen,
// visible cursor, no colours, no mouse, no bracketed paste.
const whole = "\x1b[?1049l\x1b[?25h\x1b[0m\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\r"

// shell hands the terminal to the container, and takes it back whole.
func (i *inside) shell(ctx context.Context, src *source, t session.Target, object string) error {
	state, err := term.MakeRaw(os.Stdin.Fd())
	if err != nil {
		return &exitError{exitFailed, err}
	}
	back := func() {
		_, _ = io.WriteString(os.Stdout, whole)
		_ = term.Restore(os.Stdin.Fd(), state)
	}
	defer back()
	done := i.audit("shell", object, t.Container)
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
	switch {
	case errors.Is(err, session.ErrLeft):
		done("stopped", "")
		return nil
	case err != nil:
		done("failed", err.Error())
		return &exitError{exitFailed, err}
	case code != 0:
		done("done", fmt.Sprintf("exit code %d", code))
		return &exitError{code: code}
	}
	done("done", "")
	return nil
}
