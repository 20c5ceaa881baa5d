// Package kube turns one Kubernetes API into model facts: nodes and their
// heartbeats, pods, what owns them, API servers, events and node usage.
//
// One goroutine per kind mirrors the server's objects over a shared connection;
// one more probes whether the server answers. It only reads.
package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/geotop/geotop/model"
)

// Config says which API to read.
type Config struct {
	Name string           // the cluster's name in the model: its kubeconfig context
	Rest *rest.Config     // server and credentials; not changed. Its Timeout is how long any answer is waited for; 0: as the link needs
	Now  func() time.Time // the clock ages are judged by; time.Now when nil
	// LonghornNamespace is where Longhorn lives; longhorn-system when empty.
	LonghornNamespace string
	Also              []string // addresses at which other API servers of the cluster may be: host or host:port
}

// Collector mirrors one cluster's API. It is a collectors.Collector.
type Collector struct {
	name string
	also []string
	api  *api

	nodes       *mirror[model.NodeFact]
	pods        *mirror[model.Pod]
	controllers []*mirror[model.Controller]
	servers     *mirror[apiServers]
	events      []*mirror[model.Event]
	leases      *poller[model.Lease]
	usage       *poller[model.Usage]
	persistent  *mirror[model.PersistentVolume]
	longhorn    *longhorn
	k3s         *k3s
	plans       *mirror[model.PlanRun]
}

// New makes a collector; it connects when Run is called.
func New(cfg Config) (*Collector, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	now := cfg.Now
	cfg.Now = func() time.Time { return now().UTC() }
	a, err := newAPI(cfg)
	if err != nil {
		return nil, err
	}
	c := &Collector{name: cfg.Name, also: cfg.Also, api: a}
	a.elsewhere = c.elsewhere
	c.nodes = newMirror(a, kind[model.NodeFact]{
		source: model.SourceNodes, path: "/api/v1/nodes", key: nodeKey, same: sameNode,
		decode: decoder(func(n *corev1.Node) *model.NodeFact { return nodeFact(cfg.Name, n) }),
	})
	c.pods = newMirror(a, kind[model.Pod]{
		source: model.SourcePods, path: "/api/v1/pods", key: podKey,
		decode: (&podDecoder{cluster: cfg.Name, names: newInterner()}).decode,
	})
	c.addControllers(cfg.Name)
	c.servers = newMirror(a, kind[apiServers]{
		source: model.SourceAPIServers, path: "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", optional: true,
		selectors: map[string]string{"labelSelector": discoveryv1.LabelServiceName + "=kubernetes"},
		key:       func(s *apiServers) key { return key{"", s.slice} },
		decode: decoder(func(s *discoveryv1.EndpointSlice) *apiServers {
			return &apiServers{slice: s.Name, list: endpoints(cfg.Name, s)}
		}),
	})
	c.persistent = newMirror(a, kind[model.PersistentVolume]{
		source: model.SourcePersistentVolumes, path: "/api/v1/persistentvolumes", optional: true,
		key:    func(v *model.PersistentVolume) key { return key{"", v.Name} },
		decode: decoder(func(o *corev1.PersistentVolume) *model.PersistentVolume { return persistentVolume(cfg.Name, o) }),
	})
	c.addEvents(cfg.Name)
	c.leases = newLeasePoller(a)
	c.usage = newUsagePoller(a)
	c.longhorn = newLonghorn(a, cfg.Name, cfg.LonghornNamespace)
	c.k3s = newK3s(a, cfg.Name)
	c.plans = newPlans(a, cfg.Name)
	return c, nil
}

// apiServers is what one EndpointSlice of the kubernetes service lists.
type apiServers struct {
	slice string
	list  []*model.APIServer
}

// apiObject is what the generated API types offer.
type apiObject[T any] interface {
	*T
	metav1.Object
	Unmarshal([]byte) error
}

// decoder reads a message into its API type and keeps what convert takes of it.
func decoder[T any, P apiObject[T], V any](convert func(P) *V) func([]byte) (*V, string, error) {
	return func(raw []byte) (*V, string, error) {
		obj := P(new(T))
		if err := obj.Unmarshal(raw); err != nil {
			return nil, "", fmt.Errorf("%T: %w", obj, err)
		}
		return convert(obj), obj.GetResourceVersion(), nil
	}
}

func (c *Collector) addControllers(cluster string) {
	add := func(source, path string, decode func([]byte) (*model.Controller, string, error), metadataOnly bool) {
		c.controllers = append(c.controllers, newMirror(c.api, kind[model.Controller]{
			source: source, path: path, key: controllerKey, same: sameController, decode: decode, metadataOnly: metadataOnly,
		}))
	}
	for _, k := range model.ControllerKinds {
		switch k.Kind {
		case "Deployment":
			add(k.Source, "/apis/apps/v1/deployments", decoder(func(o *appsv1.Deployment) *model.Controller { return deployment(cluster, o) }), false)
		case "StatefulSet":
			add(k.Source, "/apis/apps/v1/statefulsets", decoder(func(o *appsv1.StatefulSet) *model.Controller { return statefulSet(cluster, o) }), false)
		case "DaemonSet":
			add(k.Source, "/apis/apps/v1/daemonsets", decoder(func(o *appsv1.DaemonSet) *model.Controller { return daemonSet(cluster, o) }), false)
		case "ReplicaSet":
			add(k.Source, "/apis/apps/v1/replicasets", decoder(func(o *metav1.PartialObjectMetadata) *model.Controller { return replicaSet(cluster, o) }), true)
		case "Job":
			add(k.Source, "/apis/batch/v1/jobs", decoder(func(o *batchv1.Job) *model.Controller { return job(cluster, o) }), false)
		case "CronJob":
			add(k.Source, "/apis/batch/v1/cronjobs", decoder(func(o *batchv1.CronJob) *model.Controller { return cronJob(cluster, o) }), false)
		}
	}
}

// addEvents mirrors what went wrong, and what happened to nodes. Normal events
// of pods are the bulk by far (scheduled, pulled, started) and stay unread.
func (c *Collector) addEvents(cluster string) {
	for _, e := range []struct{ source, fields string }{
		{model.SourceEvents, "type!=Normal"},
		{model.SourceNodeEvents, "involvedObject.kind=Node,type=Normal"},
	} {
		c.events = append(c.events, newMirror(c.api, kind[model.Event]{
			source: e.source, path: "/api/v1/events", optional: true, selectors: map[string]string{"fieldSelector": e.fields},
			key: eventKey, decode: decoder(func(o *corev1.Event) *model.Event { return event(cluster, o) }),
		}))
	}
}

// Run mirrors the API until ctx ends.
func (c *Collector) Run(ctx context.Context, changed func()) {
	c.api.changed = changed
	defer c.api.close()
	runs := []func(context.Context){c.api.watchHealth, c.nodes.run, c.leases.run, c.podsAfterNodes, c.servers.run, c.usage.run, c.persistent.run, c.longhorn.run, c.k3s.run, c.plans.run}
	for _, m := range c.controllers {
		runs = append(runs, m.run)
	}
	for _, m := range c.events {
		runs = append(runs, m.run)
	}
	var wg sync.WaitGroup
	for _, run := range runs {
		wg.Go(func() { run(ctx) })
	}
	wg.Wait()
}

// headStart is what the nodes get at most before the pods are asked for.
const headStart = 300 * time.Millisecond

// podsAfterNodes mirrors the pods, once the nodes are there: which house is up
// is the first thing to be seen, and the pods are the bulk by far.
func (c *Collector) podsAfterNodes(ctx context.Context) {
	timer := time.NewTimer(headStart)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-c.nodes.tried:
	case <-timer.C:
	}
	c.pods.run(ctx)
}

// Secret reads a Secret in Longhorn's namespace: what its backup targets need.
// Its data is in no facts, and kept by nobody here.
func (c *Collector) Secret(ctx context.Context, name string) (map[string][]byte, error) {
	body, err := c.api.get(ctx, c.api.request().AbsPath("/api/v1/namespaces", c.longhorn.namespace, "secrets", name).SetHeader("Accept", "application/json"))
	if err != nil {
		text, _ := c.api.describe(err)
		return nil, errors.New(text)
	}
	var s corev1.Secret
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, errors.New("the answer is no Secret") // and nothing of it
	}
	return s.Data, nil
}

// Request sends one request to the server in use and gives the body of its answer.
// It is what changes to the cluster go through; the collector itself only reads.
func (c *Collector) Request(ctx context.Context, method, path string, query url.Values, contentType string, body []byte) ([]byte, error) {
	ctx, cancel := c.api.bind(ctx)
	defer cancel()
	req := c.api.server().client.Verb(method).AbsPath(path).MaxRetries(0).SetHeader("Accept", "application/json")
	for key, values := range query {
		for _, v := range values {
			req = req.Param(key, v)
		}
	}
	if body != nil {
		req = req.SetHeader("Content-Type", contentType).Body(body)
	}
	res := req.Do(ctx)
	if err := res.Error(); err != nil { // with the server's own words, which Raw leaves out
		return nil, because(ctx, err)
	}
	return res.Raw()
}

// Stream begins a request to the server in use whose answer has no end of its own;
// it ends with ctx, or when it is closed.
func (c *Collector) Stream(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	req := c.api.server().client.Get().AbsPath(path).MaxRetries(0)
	for key, values := range query {
		for _, v := range values {
			req = req.Param(key, v)
		}
	}
	return req.Stream(ctx)
}

// Rest is the way to the server in use, for what needs a connection of its own.
func (c *Collector) Rest() *rest.Config { return rest.CopyConfig(c.api.server().config) }

// elsewhere lists where other API servers may be: those the cluster tells of,
// those we were told, and the nodes of the control plane.
func (c *Collector) elsewhere() []string {
	list := []string{}
	for _, s := range c.servers.section(model.Source{}).Items {
		for _, e := range s.list {
			list = append(list, net.JoinHostPort(e.Address, strconv.Itoa(e.Port)))
		}
	}
	list = append(list, c.also...)
	for _, n := range c.nodes.section(model.Source{}).Items {
		list = append(list, n.ServerAddresses()...)
	}
	return list
}

// Facts adds the cluster to f.
func (c *Collector) Facts(f *model.Facts) {
	server, version := c.api.state()
	facts := model.ClusterFacts{
		Name: c.name, Server: c.api.server().url, Configured: c.api.primary.url, Version: version, API: server,
		Nodes: c.nodes.section(server), Leases: c.leases.section(server), Pods: c.pods.section(server),
		NodeUsage: c.usage.section(server), Longhorn: c.longhorn.facts(server), EtcdSnapshots: c.k3s.facts(server), PersistentVolumes: c.persistent.section(server), Plans: c.plans.section(server),
	}
	for _, m := range c.controllers {
		facts.Controllers = append(facts.Controllers, m.section(server))
	}
	for _, m := range c.events {
		facts.Events = append(facts.Events, m.section(server))
	}
	slices := c.servers.section(server)
	facts.APIServers.Source = slices.Source
	for _, s := range slices.Items {
		facts.APIServers.Items = append(facts.APIServers.Items, s.list...)
	}
	f.Clusters = append(f.Clusters, facts)
}

// bookmark reads the metadata of any object: metadata=1.
func bookmark(raw []byte, meta *objectMeta) error {
	names := newInterner()
	return eachField(raw, func(f protowire.Number, val []byte, _ uint64) error {
		if f != 1 {
			return nil
		}
		return meta.read(val, names)
	})
}
