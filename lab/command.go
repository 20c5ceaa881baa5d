package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/geotop/geotop/lab/coast"
	"github.com/geotop/geotop/lab/rig"
)

// dir is the lab a verb is about.
var dir string

func newCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "lab", Short: "real Kubernetes components on loopback, house by house", SilenceUsage: true, SilenceErrors: true,
	}
	cmd.PersistentFlags().StringVar(&dir, "dir", "", "`folder` of the lab (default: the newest that is up)")
	cmd.AddCommand(newUp(), newBuild(), newBench(), newSoak(), newDrill(), newPictures(), newCoast(), newWire(), newServe(), newDown(), newStatus(), newKubeconfig(), newSlow(), newAPI(), newRelay(), newCycle(), newSocket(), newEtcd(),
		newSwitch("cut", "switch houses off, as a power cut would"), newSwitch("restore", "give houses their power back"))
	return cmd
}

func newCoast() *cobra.Command {
	return &cobra.Command{Use: "coast FILE", Short: "pack Natural Earth's ne_10m_coastline (GeoJSON) as geotop's map has it, to stdout", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		f, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		b, err := coast.Pack(f)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		_, err = cmd.OutOrStdout().Write(b)
		return err
	}}
}

func newUp() *cobra.Command {
	var cfg rig.Config
	var ttl time.Duration
	cmd := &cobra.Command{Use: "up", Short: "start a lab", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if cfg.Nodes == 0 && cmd.Flags().Changed("sites") {
			return fmt.Errorf("--sites goes with --nodes; for small labs say --houses and --per-house")
		}
		cfg.Dir = dir
		return up(cfg, ttl)
	}}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.IntVar(&cfg.Houses, "houses", 3, "how many houses")
	fs.IntVar(&cfg.PerHouse, "per-house", 3, "machines in each")
	fs.IntVar(&cfg.Nodes, "nodes", 0, "so many machines, dealt round over --sites")
	fs.IntVar(&cfg.Sites, "sites", 3, "how many sites --nodes are dealt over")
	fs.IntVar(&cfg.Pods, "pods", 0, "so many pods in place of the homelab's workloads")
	fs.DurationVar(&cfg.Grace, "grace", 0, "node-monitor-grace-period (default 12s; 50s for more than 100 nodes)")
	fs.DurationVar(&cfg.Tolerations, "tolerations", 10*time.Second, "how long pods stay on a lost machine")
	fs.DurationVar(&cfg.Lease, "lease", 0, "how long a machine's heartbeat holds (default 8s; 40s for more than 100 nodes)")
	fs.Float64Var(&cfg.EvictRate, "evict-rate", 0.1, "machines a second and house that pods are evicted from")
	fs.IntVar(&cfg.Etcd, "etcd", 0, "so many etcd members, one in each of the first houses, cut with it (default one, in none)")
	fs.DurationVar(&cfg.EtcdDelay, "etcd-delay", 0, "from one etcd member to another, each way")
	fs.BoolVar(&cfg.NoMetrics, "no-metrics", false, "no metrics-server")
	fs.BoolVar(&cfg.NoTailnet, "no-tailnet", false, "no tailnet (labs of more than 30 machines have none)")
	fs.BoolVar(&cfg.NoLonghorn, "no-longhorn", false, "no Longhorn (labs of more than 30 machines have none)")
	fs.BoolVar(&cfg.Broken, "broken", false, "add a workload that fits nowhere")
	fs.DurationVar(&ttl, "ttl", 4*time.Hour, "end by itself after this time")
	return cmd
}

func newBuild() *cobra.Command {
	return &cobra.Command{Use: "build", Short: "build the components into the cache, as up does when it must", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return rig.Build(cmd.Context(), func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), "lab: "+format+"\n", args...) })
	}}
}

func newDown() *cobra.Command {
	return &cobra.Command{Use: "down", Short: "stop a lab and remove its folder", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		d, err := current()
		if err != nil {
			return err
		}
		if _, err := ask(d, "down", nil); err == nil {
			return waitGone(d)
		}
		// Nobody answers: clean up what a crash may have left.
		return rig.Sweep(d)
	}}
}

func newStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "status", Short: "what runs, and how the houses are", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		body, s, err := status()
		if err != nil {
			return err
		}
		if asJSON {
			_, err = cmd.OutOrStdout().Write(body)
			return err
		}
		return printStatus(cmd, s)
	}}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// status asks the lab how it is: as it said it, and read.
func status() (body []byte, s rig.Status, err error) {
	d, err := current()
	if err != nil {
		return nil, s, err
	}
	if body, err = ask(d, "status", nil); err != nil {
		return nil, s, err
	}
	return body, s, json.Unmarshal(body, &s)
}

func printStatus(cmd *cobra.Command, s rig.Status) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "lab\t%s\napi\t%s\n\nCOMPONENT\tPID\tSTATE\n", s.Dir, s.API)
	for _, c := range s.Components {
		fmt.Fprintf(w, "%s\t%d\t%s\n", c.Name, c.PID, map[bool]string{true: "up", false: "dead"}[c.Up])
	}
	fmt.Fprint(w, "\nHOUSE\tREADY\tCUT\n")
	for _, h := range s.Houses {
		fmt.Fprintf(w, "%s\t%d/%d\t%d\n", h.Name, h.Ready, h.Nodes, h.Cut)
	}
	for _, p := range s.Proxies {
		fmt.Fprintf(w, "\nslow\t%s\t%+v\tup %d B, down %d B\n", p.Address, p.Slow, p.Up, p.Down)
	}
	if s.Error != "" {
		fmt.Fprintf(w, "\nthe API does not answer: %s\n", s.Error)
	}
	return w.Flush()
}

func newKubeconfig() *cobra.Command {
	user := "admin"
	cmd := &cobra.Command{Use: "kubeconfig", Short: "print the path of a kubeconfig", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		d, err := current()
		if err != nil {
			return err
		}
		path := filepath.Join(d, "kubeconfig-"+user)
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("no user %q; there are %s", user, strings.Join(rig.Users, ", "))
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), path)
		return err
	}}
	cmd.Flags().StringVar(&user, "user", user, strings.Join(rig.Users, "|"))
	return cmd
}

// newSwitch is cut or restore.
func newSwitch(verb, short string) *cobra.Command {
	var node, uplink bool
	cmd := &cobra.Command{Use: verb + " HOUSE...", Short: short, Args: cobra.MinimumNArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		if uplink {
			return tell("uplink", url.Values{"name": args, "on": {strconv.FormatBool(verb == "restore")}})
		}
		return tell(verb, url.Values{"name": args, "node": {strconv.FormatBool(node)}})
	}}
	cmd.Flags().BoolVar(&node, "node", false, "the names are machines, not houses")
	cmd.Flags().BoolVar(&uplink, "uplink", false, "only the house's links on the tailnet; its machines run on")
	cmd.MarkFlagsMutuallyExclusive("node", "uplink")
	return cmd
}

func newRelay() *cobra.Command {
	var off bool
	cmd := &cobra.Command{Use: "relay HOUSE HOUSE", Short: "no direct way between two houses: their traffic goes over the DERP relay", Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return tell("relay", url.Values{"a": {args[0]}, "b": {args[1]}, "on": {strconv.FormatBool(!off)}})
		}}
	cmd.Flags().BoolVar(&off, "off", false, "give the direct way back")
	return cmd
}

func newCycle() *cobra.Command {
	return &cobra.Command{Use: "cycle HOUSE", Short: "give a house a new public address", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return tell("cycle", url.Values{"name": args}) }}
}

func newSocket() *cobra.Command {
	return &cobra.Command{Use: "socket MACHINE", Short: "print the path of a machine's tailscaled socket", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := current()
			if err != nil {
				return err
			}
			path := filepath.Join(d, "tailscaled-"+args[0]+".sock")
			if _, err := os.Stat(path); err != nil {
				return fmt.Errorf("no machine %q on the tailnet of this lab", args[0])
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), path)
			return err
		}}
}

func newEtcd() *cobra.Command {
	return &cobra.Command{Use: "etcd", Short: "print the flags that show geotop the metrics of the members in houses", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, s, err := status()
			if err != nil {
				return err
			}
			for _, machine := range slices.Sorted(maps.Keys(s.Etcd)) {
				fmt.Fprintf(cmd.OutOrStdout(), "--etcd-metrics %s=%s\n", machine, s.Etcd[machine])
			}
			return nil
		}}
}

func newAPI() *cobra.Command {
	verbs := []string{"stop", "start", "second"}
	return &cobra.Command{Use: "api stop|start|second", Short: "kill the API server, start it again on the same data, or start a second one and print its address", Args: cobra.ExactArgs(1), ValidArgs: verbs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(verbs, args[0]) {
				return fmt.Errorf("api %q: there are %s", args[0], strings.Join(verbs, ", "))
			}
			d, err := current()
			if err != nil {
				return err
			}
			body, err := ask(d, "api-"+args[0], nil)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(body)
			return err
		}}
}

func newSlow() *cobra.Command {
	var s rig.Slow
	var reset bool
	etcd := ""
	cmd := &cobra.Command{Use: "slow", Short: "a bad way to the API: prints the kubeconfig that takes it; called again, changes it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := current()
			if err != nil {
				return err
			}
			how, err := json.Marshal(s)
			if err != nil {
				return err
			}
			if etcd != "" {
				return tell("slow-etcd", url.Values{"how": {string(how)}, "house": {etcd}})
			}
			body, err := ask(d, "slow", url.Values{"how": {string(how)}, "reset": {strconv.FormatBool(reset)}})
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(body)
			return err
		}}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.DurationVar(&s.Delay, "delay", 0, "each way")
	fs.DurationVar(&s.Jitter, "jitter", 0, "up to so much more")
	fs.IntVar(&s.Bandwidth, "bandwidth", 0, "bytes a second and direction")
	fs.BoolVar(&s.Hang, "hang", false, "connections stay open, nothing passes")
	fs.BoolVar(&s.Refuse, "refuse", false, "new connections are refused")
	fs.Float64Var(&s.Drop, "drop", 0, "chance that a chunk of data resets its connection")
	fs.StringVar(&etcd, "etcd", "", "not to the API, but from the other etcd members to the one in this `house`")
	fs.BoolVar(&reset, "reset", false, "also cut the connections under way")
	return cmd
}
