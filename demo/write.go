package demo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// shutdown is how long a pod of the demo takes to end.
const shutdown = 3 * time.Second

// problem is an answer that is no success.
type problem struct {
	code   int
	reason metav1.StatusReason
	text   string
}

func notFound(what string) *problem {
	return &problem{http.StatusNotFound, metav1.StatusReasonNotFound, what + " not found"}
}

var (
	conflict  = &problem{http.StatusConflict, metav1.StatusReasonConflict, "the object has been modified; please apply your changes to the latest version and try again"}
	malformed = &problem{http.StatusBadRequest, metav1.StatusReasonBadRequest, "the body cannot be read"}
	noSuch    = &problem{http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, "the demo cannot do that"}
)

// write answers requests that change something, as far as geotop makes such.
func (a *api) write(w http.ResponseWriter, r *http.Request, path string) {
	a.demo.Advance(a.demo.Now())
	answer, p := a.change(r, strings.Split(path, "/"))
	if p != nil {
		a.fail(w, negotiate(""), p.code, p.reason, p.text)
		return
	}
	a.demo.wake()
	a.json(w, answer)
}

// route is a change the demo can make: method and path, in which * is any one part.
type route struct {
	method, path string
	do           func(a *api, r *http.Request, parts []string) (any, *problem)
}

const (
	lhPath    = "apis/longhorn.io/v1beta2/namespaces/longhorn-system/"
	leasePath = "apis/coordination.k8s.io/v1/namespaces/*/leases"
)

var routes = []route{
	{http.MethodPost, "apis/authorization.k8s.io/v1/selfsubjectaccessreviews", func(*api, *http.Request, []string) (any, *problem) {
		return thing{"status": thing{"allowed": true}}, nil // whatever is asked
	}},
	{http.MethodPost, "apis/authentication.k8s.io/v1/selfsubjectreviews", func(*api, *http.Request, []string) (any, *problem) {
		return thing{"status": thing{"userInfo": thing{"username": "demo"}}}, nil
	}},
	{http.MethodPatch, "api/v1/nodes/*", func(a *api, r *http.Request, p []string) (any, *problem) { return a.demo.sim.patchNode(r, p[3]) }},
	{http.MethodPost, "api/v1/namespaces/*/pods/*/eviction", func(a *api, _ *http.Request, p []string) (any, *problem) { return a.demo.sim.endPod(p[3], p[5]) }},
	{http.MethodDelete, "api/v1/namespaces/*/pods/*", func(a *api, _ *http.Request, p []string) (any, *problem) { return a.demo.sim.endPod(p[3], p[5]) }},
	{http.MethodPost, "api/v1/persistentvolumes", func(a *api, r *http.Request, _ []string) (any, *problem) { return a.demo.sim.putClaim(r, "") }},
	{http.MethodPost, "api/v1/namespaces/*/persistentvolumeclaims", func(a *api, r *http.Request, p []string) (any, *problem) { return a.demo.sim.putClaim(r, p[3]) }},
	{http.MethodPatch, "apis/apps/v1/namespaces/*/*/*", func(a *api, r *http.Request, p []string) (any, *problem) {
		return a.demo.sim.patchWorkload(r, p[4], p[6])
	}},
	{http.MethodPatch, "apis/apps/v1/namespaces/*/*/*/scale", func(a *api, r *http.Request, p []string) (any, *problem) {
		return a.demo.sim.patchWorkload(r, p[4], p[6])
	}},
	{http.MethodPost, lhPath + "snapshots", func(a *api, r *http.Request, _ []string) (any, *problem) { return a.demo.sim.takeSnapshot(r) }},
	{http.MethodPost, lhPath + "backups", func(a *api, r *http.Request, _ []string) (any, *problem) { return a.demo.sim.askBackup(r) }},
	{http.MethodDelete, lhPath + "backups/*", func(a *api, _ *http.Request, p []string) (any, *problem) { return a.demo.sim.dropBackup(p[6]) }},
	{http.MethodPost, lhPath + "volumes", func(a *api, r *http.Request, _ []string) (any, *problem) { return a.demo.sim.restore(r) }},
	{http.MethodDelete, lhPath + "volumes/*", func(a *api, _ *http.Request, p []string) (any, *problem) { return a.demo.sim.dropRestored(p[6]) }},
	{http.MethodPatch, lhPath + "volumes/*", func(a *api, r *http.Request, p []string) (any, *problem) { return a.demo.sim.patchVolume(r, p[6]) }},
	{http.MethodDelete, lhPath + "replicas/*", func(a *api, _ *http.Request, p []string) (any, *problem) { return a.demo.sim.dropReplica(p[6]) }},
	{http.MethodPost, leasePath, func(a *api, r *http.Request, p []string) (any, *problem) { return a.changeLease(r, p[4], p[6:]) }},
	{http.MethodPut, leasePath + "/*", func(a *api, r *http.Request, p []string) (any, *problem) { return a.changeLease(r, p[4], p[6:]) }},
	{http.MethodDelete, leasePath + "/*", func(a *api, r *http.Request, p []string) (any, *problem) { return a.changeLease(r, p[4], p[6:]) }},
}

// fits reports whether the route is for a request.
func (t *route) fits(method string, parts []string) bool {
	pattern := strings.Split(t.path, "/")
	if t.method != method || len(pattern) != len(parts) {
		return false
	}
	for i, p := range pattern {
		if p != "*" && p != parts[i] {
			return false
		}
	}
	return true
}

// change does what the request asks for.
func (a *api) change(r *http.Request, parts []string) (any, *problem) {
	a.demo.sim.mu.Lock()
	defer a.demo.sim.mu.Unlock()
	for i := range routes {
		switch {
		case !routes[i].fits(r.Method, parts):
		case r.URL.Query().Get("dryRun") != "":
			return thing{}, nil
		default:
			return routes[i].do(a, r, parts)
		}
	}
	return nil, noSuch
}

// patchNode cordons or uncordons.
func (s *sim) patchNode(r *http.Request, name string) (any, *problem) {
	var patch struct {
		Metadata struct{ ResourceVersion string }
		Spec     struct{ Unschedulable *bool }
	}
	if json.NewDecoder(r.Body).Decode(&patch) != nil || patch.Spec.Unschedulable == nil {
		return nil, malformed
	}
	m := s.byName[name]
	if m == nil {
		return nil, notFound("node " + name)
	}
	now := s.demo.store.get(kindNamed("", "v1", "nodes"), objectName("", name))
	if v := patch.Metadata.ResourceVersion; v != "" && now != nil && v != now.GetResourceVersion() {
		return nil, conflict
	}
	m.cordoned = *patch.Spec.Unschedulable
	s.putNode(m)
	s.reconcile()
	return map[string]any{}, nil
}

// endPod has a pod end, and its workload make another.
func (s *sim) endPod(namespace, name string) (any, *problem) {
	for _, w := range s.workloads {
		at := slices.IndexFunc(w.pods, func(p *pod) bool { return p.name == name && w.namespace == namespace })
		if at < 0 {
			continue
		}
		s.end(w.pods[at])
		return map[string]any{}, nil
	}
	return nil, notFound(fmt.Sprintf("pod %s/%s", namespace, name))
}

// end has a pod end, as long as that takes.
func (s *sim) end(p *pod) {
	if p.leaving || p.gone {
		return
	}
	p.leaving, p.ready, p.deleteAt = true, false, s.now().Add(podGrace)
	s.putPod(p)
	s.reconcile()
	s.after(shutdown, func() {
		if !p.gone && (p.node == nil || p.node.alive) {
			s.dropPod(p)
			s.reconcile()
		}
	})
}

// changeLease makes, replaces or removes a Lease.
func (a *api) changeLease(r *http.Request, namespace string, rest []string) (any, *problem) {
	kind := kindNamed("coordination.k8s.io", "v1", "leases")
	found := func(leaf string) object { return a.demo.store.get(kind, objectName(namespace, leaf)) }
	if r.Method == http.MethodDelete && len(rest) == 1 {
		o := found(rest[0])
		if o == nil {
			return nil, notFound("lease " + rest[0])
		}
		a.demo.store.remove(o)
		return map[string]any{}, nil
	}
	l := &coordinationv1.Lease{}
	if json.NewDecoder(r.Body).Decode(l) != nil || l.Name == "" {
		return nil, malformed
	}
	l.Namespace = namespace
	switch old := found(l.Name); {
	case r.Method == http.MethodPost && old != nil:
		return nil, &problem{http.StatusConflict, metav1.StatusReasonAlreadyExists, "lease " + l.Name + " already exists"}
	case r.Method == http.MethodPut && old == nil:
		return nil, notFound("lease " + l.Name)
	case r.Method == http.MethodPut && l.ResourceVersion != "" && l.ResourceVersion != old.GetResourceVersion():
		return nil, conflict
	case r.Method == http.MethodPut:
		l.UID = old.GetUID()
	}
	a.demo.store.put(l)
	return l, nil
}

func objectName(namespace, of string) name { return name{namespace, of} }
