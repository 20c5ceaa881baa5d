package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc" // some kubeconfigs name this provider
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/collectors"
	"github.com/geotop/geotop/collectors/kube"
	"github.com/geotop/geotop/collectors/links"
	"github.com/geotop/geotop/collectors/memory"
	"github.com/geotop/geotop/collectors/objectstore"
	"github.com/geotop/geotop/collectors/tailnet"
	"github.com/geotop/geotop/demo"
	"github.com/geotop/geotop/model"
)

// source is where Worlds come from: live collectors, or a saved document.
type source struct {
	run     func(ctx context.Context) // nil when nothing has to run
	judge   *judge
	api     actions.API      // nil where nothing can be changed
	pods    *kube.Collector  // the way into pods; nil where there are none to go into
	looked  func()           // tells that somebody looks; nil where that is of no use
	past    *memory.Memory   // what is kept of the cluster; nil when nothing is
	now     func() time.Time // a demo has a clock of its own
	changed <-chan struct{}
	world   func() *model.World

	reel      *reel        // the recording it comes from; nil where it is live
	recording func() error // what ended the recording made of it; nil where none is
}

// Changed receives after the facts changed.
func (s *source) Changed() <-chan struct{} { return s.changed }

// World assembles the World of now.
func (s *source) World() *model.World { return s.world() }

// open makes the source the flags ask for.
func (f *flags) open(stdin io.Reader) (*source, error) {
	if f.headscale != "" && os.Getenv("GEOTOP_HEADSCALE_API_KEY") == "" {
		return nil, usage("--headscale needs a key in $GEOTOP_HEADSCALE_API_KEY: headscale apikeys create")
	}
	opt := model.Options{SiteLabels: slices.Concat(f.siteLabels, model.SiteLabels), Locations: f.locations, Limits: f.limits.set}
	switch {
	case f.from != "":
		return openFile(f.from, stdin, opt)
	case f.replay != "":
		return openReel(f.replay, opt)
	case f.demo != "":
		return openDemo(f.demo, f.seed, opt)
	default:
		store, err := f.store()
		if err != nil {
			return nil, err
		}
		name, cfg, err := loadKubeconfig(f.kubeconfig, f.context)
		if err != nil {
			return nil, err
		}
		f.asAsked(cfg)
		ways, err := f.ways()
		if err != nil {
			return nil, err
		}
		past, events := f.remember(name, cfg.Host)
		return live(parts{kube.Config{Name: name, Rest: cfg, Also: f.others, Now: time.Now}, f.tailnet(), ways, store, past, events, f.tries()}, opt)
	}
}

// store says how to look into the buckets.
func (f *flags) store() (objectstore.Config, error) {
	cfg := objectstore.Config{Endpoint: f.s3, AccessKey: os.Getenv("GEOTOP_S3_ACCESS_KEY"), SecretKey: os.Getenv("GEOTOP_S3_SECRET_KEY")}
	switch n, err := strconv.Atoi(f.deep); {
	case f.deep == "":
	case f.deep == "all":
		cfg.Deep = objectstore.All
	case err != nil || n <= 0:
		return cfg, usage("--deep is %q; it is a number of blocks, or all", f.deep)
	default:
		cfg.Deep = n
	}
	return cfg, nil
}

// tries is how much must be tried of what would help.
func (f *flags) tries() int {
	if f.whatif {
		return patientTries
	}
	return 0
}

// remember opens what is known of the cluster from before; past is nil when nothing
// is kept.
func (f *flags) remember(cluster, server string) (past *memory.Memory, events *memory.Timeline) {
	dir, err := memory.Dir()
	if err != nil || f.noState {
		return nil, memory.NewTimeline(time.Now)
	}
	past, _ = memory.Open(dir, cluster, server, time.Now) // what cannot be read is as good as none
	events, _ = memory.OpenTimeline(dir, cluster, server, time.Now)
	return past, events
}

// tailnet reads the tailscaled of this machine.
func (f *flags) tailnet() tailnet.Config {
	sockets := tailnet.Sockets
	if f.socket != "" {
		sockets = []string{f.socket}
	}
	cfg := tailnet.Config{Transport: tailnet.Unix(sockets...), PingEvery: pingEvery}
	cfg.Control = &tailnet.Control{Key: os.Getenv("GEOTOP_TAILSCALE_API_KEY")}
	if f.headscale != "" {
		cfg.Control = &tailnet.Control{Headscale: f.headscale, Key: os.Getenv("GEOTOP_HEADSCALE_API_KEY")}
	}
	switch {
	case f.noPing:
		cfg.PingEvery = 0
	case f.low:
		cfg.PingEvery = pingEveryLow
	}
	return cfg
}

// A ping keeps the path to a machine warm for 45 s at some 100 bytes a second.
const (
	pingEvery    = 20 * time.Second
	pingEveryLow = 2 * time.Minute
	waysEveryLow = 5 * time.Minute // a member's metrics are some 15 kB
)

// ways says who else measures links.
func (f *flags) ways() (links.Config, error) {
	cfg := links.Config{Etcd: f.etcd, Prometheus: f.prometheus, Token: os.Getenv("GEOTOP_PROMETHEUS_TOKEN")}
	if f.low {
		cfg.Every = waysEveryLow
	}
	for _, at := range append(slices.Collect(maps.Values(f.etcd)), f.prometheus) {
		if u, err := url.Parse(at); at != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			return cfg, usage("%q is no URL of http or https", at)
		}
	}
	return cfg, nil
}

// parts is what a live source is made of.
type parts struct {
	kube    kube.Config
	tailnet tailnet.Config
	links   links.Config
	store   objectstore.Config
	past    *memory.Memory // nil when nothing is kept
	events  *memory.Timeline
	tries   int // see judge
}

// live collects from a cluster, from the tailnet below it and from its buckets.
func live(p parts, opt model.Options) (*source, error) {
	kc, tail, past, store := p.kube, p.tailnet, p.past, p.store
	kc.Rest.UserAgent = "geotop/" + versionString()
	now := kc.Now
	if past != nil {
		kc.Also = slices.Concat(kc.Also, past.Servers())
	}
	c, err := kube.New(kc)
	if err != nil {
		return nil, usage("%w", err)
	}
	tail.Now, store.Now, p.links.Now = now, now, now
	store.Secret = func(ctx context.Context, _, secret string) (map[string][]byte, error) { return c.Secret(ctx, secret) }
	list := []collectors.Collector{c, tailnet.New(tail), objectstore.New(store), links.New(p.links), p.events}
	if past != nil {
		list = append(list, past) // the last: it fills in what the others lack
	}
	set := collectors.NewSet(list...)
	judge := &judge{tries: p.tries}
	return &source{run: set.Run, judge: judge, api: c, now: now, pods: c, past: past, looked: p.events.Look, changed: set.Changed(), world: func() *model.World { return judge.of(set.World(now(), opt)) }}, nil
}

func openDemo(scenario string, seed uint64, opt model.Options) (*source, error) {
	d, err := demo.New(scenario, seed)
	if err != nil {
		return nil, usage("%w", err)
	}
	cluster := kube.Config{Name: d.ClusterName(), Rest: d.RestConfig(), Now: d.Now}
	events := memory.NewTimeline(d.Now)
	for _, f := range d.Past() {
		events.Sample(f.At, model.TrailOf{Cluster: f.Cluster, Kind: f.Kind, Name: f.Name, Figure: f.Figure}, f.Value)
	}
	s, err := live(parts{
		kube: cluster, tailnet: tailnet.Config{Transport: d.LocalAPI(), PingEvery: pingEvery, PingAgain: demo.PingAgain},
		store: objectstore.Config{Transport: d.Bucket()}, links: links.Config{Transport: d.EtcdMetrics()},
		events: events,
	}, opt)
	if err != nil {
		return nil, err
	}
	collect := s.run
	s.run = func(ctx context.Context) {
		done := make(chan struct{})
		go func() { defer close(done); d.Run(ctx) }()
		collect(ctx)
		<-done
	}
	return s, nil
}

// openFile reads a saved document; its time stands still.
func openFile(name string, stdin io.Reader, opt model.Options) (*source, error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, usage("--from: %w", err)
		}
		defer file.Close()
		in = file
	}
	facts, at, err := model.Read(in)
	if err != nil {
		return nil, usage("--from %s: %w", name, err)
	}
	changed := make(chan struct{}, 1)
	changed <- struct{}{}
	judge := &judge{eager: true} // its time stands still
	return &source{judge: judge, now: time.Now, changed: changed, world: func() *model.World { return judge.of(model.Assemble(facts, at, opt)) }}, nil
}

// k3sConfig is where k3s puts its own kubeconfig on a server.
const k3sConfig = "/etc/rancher/k3s/k3s.yaml"

func rules(file string) *clientcmd.ClientConfigLoadingRules {
	r := clientcmd.NewDefaultClientConfigLoadingRules()
	r.ExplicitPath = file
	r.WarnIfAllMissing = false
	if file == "" && os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "" {
		r.Precedence = append(r.Precedence, k3sConfig)
	}
	return r
}

// loadKubeconfig gives the context's name and how to reach its cluster.
func loadKubeconfig(file, context string) (string, *rest.Config, error) {
	loading := rules(file)
	raw, err := loading.Load()
	if err != nil {
		return "", nil, usage("kubeconfig: %w", err)
	}
	if clientcmdapi.IsConfigEmpty(raw) {
		if cfg, err := rest.InClusterConfig(); err == nil {
			return "in-cluster", cfg, nil
		}
		return "", nil, usage("no kubeconfig found%s; pass --kubeconfig FILE, set KUBECONFIG, or try geotop --demo", unreadableK3s())
	}
	name := context
	if name == "" {
		name = raw.CurrentContext
	}
	if name == "" {
		return "", nil, usage("the kubeconfig has no current context; pass --context, one of: %s", contextList(raw))
	}
	if raw.Contexts[name] == nil {
		return "", nil, usage("no context %q in the kubeconfig; there are: %s", name, contextList(raw))
	}
	cfg, err := clientcmd.NewNonInteractiveClientConfig(*raw, name, &clientcmd.ConfigOverrides{}, loading).ClientConfig()
	if err != nil {
		return "", nil, usage("kubeconfig context %s: %w", name, err)
	}
	return name, cfg, nil
}

// asAsked takes in what kubectl's own flags say of requests.
func (f *flags) asAsked(cfg *rest.Config) {
	cfg.Timeout = f.patience
	if f.as != "" {
		cfg.Impersonate = rest.ImpersonationConfig{UserName: f.as, Groups: f.asGroups}
	}
}

// usualNamespace is the one that the kubeconfig's context names, "" where none does.
func (f *flags) usualNamespace() string {
	if f.demo != "" || f.from != "" || f.replay != "" {
		return ""
	}
	raw, err := rules(f.kubeconfig).Load()
	if err != nil {
		return ""
	}
	if c := raw.Contexts[cmp.Or(f.context, raw.CurrentContext)]; c != nil {
		return c.Namespace
	}
	return ""
}

func contextList(c *clientcmdapi.Config) string {
	names := slices.Sorted(maps.Keys(c.Contexts))
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func contextNames(file string) []string {
	raw, err := rules(file).Load()
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(raw.Contexts))
}

// unreadableK3s says when this is a k3s server whose kubeconfig only root may read.
func unreadableK3s() string {
	f, err := os.Open(k3sConfig)
	if err == nil {
		f.Close()
		return ""
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Sprintf(" (%s is there but not readable: sudo cat it into ~/.kube/config)", k3sConfig)
	}
	return ""
}
