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

// change does what the request asks for. What is asked of rights is always granted.
func (a *api) change(r *http.Request, parts []string) (any, *problem) {
	s := a.demo.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	verb, last := r.Method, parts[len(parts)-1]
	switch {
	case last == "selfsubjectaccessreviews":
		return map[string]any{"status": map[string]any{"allowed": true}}, nil
	case last == "selfsubjectreviews":
		return map[string]any{"status": map[string]any{"userInfo": map[string]any{"username": "demo"}}}, nil
	case len(parts) == 4 && parts[2] == "nodes" && verb == http.MethodPatch:
		return s.patchNode(r, last)
	case len(parts) == 7 && last == "eviction" && verb == http.MethodPost:
		return s.endPod(parts[3], parts[5])
	case len(parts) >= 6 && parts[1] == "longhorn.io":
		return s.changeLonghorn(r, parts[5], parts[6:])
	case len(parts) == 6 && parts[4] == "pods" && verb == http.MethodDelete:
		return s.endPod(parts[3], last)
	case len(parts) >= 6 && parts[1] == "coordination.k8s.io" && parts[5] == "leases":
		return a.changeLease(r, parts[4], parts[6:])
	default:
		return nil, noSuch
	}
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
		p := w.pods[at]
		if !p.leaving {
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
		return map[string]any{}, nil
	}
	return nil, notFound(fmt.Sprintf("pod %s/%s", namespace, name))
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
