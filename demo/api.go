package demo

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

// api answers as a kube-apiserver of v1.36 would, for what a reader asks.
type api struct{ demo *Demo }

// request is what a URL of the API asks for.
type request struct {
	kind      *kind
	namespace string
	name      string
	codec     codec
	labels    labels.Selector
	fields    fields.Selector
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := negotiate(r.Header.Get("Accept"))
	path := strings.Trim(r.URL.Path, "/")
	if r.Method != http.MethodGet {
		a.write(w, r, path)
		return
	}
	switch path {
	case "readyz", "livez", "healthz":
		fmt.Fprint(w, "ok")
	case "version":
		a.json(w, map[string]string{"major": "1", "minor": "36", "gitVersion": serverVersion})
	case "apis/metrics.k8s.io/v1beta1/nodes":
		a.json(w, a.demo.nodeMetrics())
	case "apis/metrics.k8s.io/v1beta1/pods":
		a.json(w, a.demo.podMetrics())
	case "api/v1/namespaces/longhorn-system/secrets/" + bucketSecret:
		a.json(w, map[string]any{"kind": "Secret", "apiVersion": "v1", "data": map[string][]byte{
			"AWS_ACCESS_KEY_ID": []byte("demo"), "AWS_SECRET_ACCESS_KEY": []byte("demo"), "AWS_ENDPOINTS": []byte("http://minio.demo.invalid:9000"),
		}})
	default:
		switch parts := strings.Split(path, "/"); {
		case len(parts) == 8 && parts[1] == "apps" && parts[7] == "scale":
			a.scaleOf(w, parts[4], parts[6])
		case len(parts) == 7 && parts[4] == "pods" && parts[6] == "log":
			a.logs(w, r, parts[3], parts[5])
		case !a.serveCustom(w, r, path):
			a.resource(w, r, path, c)
		}
	}
}

func (a *api) resource(w http.ResponseWriter, r *http.Request, path string, c codec) {
	req, ok := parsePath(path)
	if !ok {
		a.fail(w, c, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
		return
	}
	req.codec = c
	q := r.URL.Query()
	var err error
	if req.labels, err = labels.Parse(q.Get("labelSelector")); err == nil {
		req.fields, err = fields.ParseSelector(q.Get("fieldSelector"))
	}
	if err != nil {
		a.fail(w, c, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	switch {
	case req.name != "":
		a.get(w, req)
	case q.Get("watch") == "true" || q.Get("watch") == "1":
		a.watch(w, r, req)
	default:
		a.list(w, r, req)
	}
}

// parsePath reads /api/v1/... and /apis/GROUP/VERSION/..., with or without a namespace.
func parsePath(path string) (request, bool) {
	parts := strings.Split(path, "/")
	group := ""
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[1:]
	case len(parts) > 3 && parts[0] == "apis":
		group = parts[1]
		parts = parts[2:]
	default:
		return request{}, false
	}
	version, parts := parts[0], parts[1:]
	var req request
	if len(parts) > 2 && parts[0] == "namespaces" {
		req.namespace, parts = parts[1], parts[2:]
	}
	req.kind = kindNamed(group, version, parts[0])
	if len(parts) == 2 {
		req.name = parts[1]
	}
	return req, req.kind != nil && len(parts) <= 2
}

func (r *request) matches(o object) bool {
	if r.namespace != "" && o.GetNamespace() != r.namespace {
		return false
	}
	if !r.labels.Empty() && !r.labels.Matches(labels.Set(o.GetLabels())) {
		return false
	}
	if r.fields.Empty() {
		return true
	}
	set := fields.Set{"metadata.name": o.GetName(), "metadata.namespace": o.GetNamespace()}
	if r.kind.fields != nil {
		for k, v := range r.kind.fields(o) {
			set[k] = v
		}
	}
	return r.fields.Matches(set)
}

func (a *api) get(w http.ResponseWriter, req request) {
	o := a.demo.store.get(req.kind, name{req.namespace, req.name})
	if o == nil {
		a.fail(w, req.codec, http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("%s %q not found", req.kind.resource, req.name))
		return
	}
	body, err := req.codec.object(req.kind, o)
	a.answer(w, req.codec, body, err)
}

// page is a continue token: where the next page begins, and the version the
// first one had. A watch from there brings what changed meanwhile.
type page struct {
	After   string `json:"after"`
	Version uint64 `json:"version"`
}

func (a *api) list(w http.ResponseWriter, r *http.Request, req request) {
	all, version := a.demo.store.list(req.kind)
	q := r.URL.Query()
	limit, _ := strconv.Atoi(q.Get("limit"))
	var from page
	if token := q.Get("continue"); token != "" {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || json.Unmarshal(raw, &from) != nil {
			a.fail(w, req.codec, http.StatusBadRequest, metav1.StatusReasonBadRequest, "continue key is not valid")
			return
		}
		version = from.Version
	}
	var items []object
	next := ""
	for _, o := range all {
		at := o.GetNamespace() + "\x00" + o.GetName()
		if at <= from.After && from.After != "" || !req.matches(o) {
			continue
		}
		if limit > 0 && len(items) == limit {
			last := items[limit-1]
			raw, _ := json.Marshal(page{last.GetNamespace() + "\x00" + last.GetName(), version})
			next = base64.RawURLEncoding.EncodeToString(raw)
			break
		}
		items = append(items, o)
	}
	body, err := req.codec.list(req.kind, items, version, next)
	a.answer(w, req.codec, body, err)
}

// bookmarkEvery is how often a quiet watch says where it stands.
const bookmarkEvery = time.Minute

func (a *api) watch(w http.ResponseWriter, r *http.Request, req request) {
	q := r.URL.Query()
	version, _ := strconv.ParseUint(q.Get("resourceVersion"), 10, 64)
	w.Header().Set("Content-Type", req.codec.contentType(true))
	s := &stream{api: a, w: w, req: req, seen: map[name]bool{}}
	if q.Get("sendInitialEvents") == "true" || version == 0 {
		version = s.initial(q.Get("sendInitialEvents") == "true")
	}
	timeout := time.Duration(1<<62 - 1)
	if sec, err := strconv.Atoi(q.Get("timeoutSeconds")); err == nil && sec > 0 {
		timeout = time.Duration(sec) * time.Second
	}
	end := time.NewTimer(timeout)
	defer end.Stop()
	beat := time.NewTicker(bookmarkEvery)
	defer beat.Stop()
	for s.err == nil {
		changes, newest, more, ok := a.demo.store.since(req.kind, version)
		if !ok {
			s.send(req.codec.failure(&metav1.Status{Status: metav1.StatusFailure, Code: http.StatusGone, Reason: metav1.StatusReasonExpired,
				Message: fmt.Sprintf("too old resource version: %d", version)}))
			return
		}
		for _, c := range changes {
			s.change(c)
		}
		version = newest
		s.flush()
		select {
		case <-r.Context().Done():
			return
		case <-end.C:
			return
		case <-a.demo.unreachable():
			return
		case <-more:
		case <-beat.C:
			s.bookmark(version, false)
		}
	}
}

// stream is one running watch.
type stream struct {
	api  *api
	w    http.ResponseWriter
	req  request
	seen map[name]bool // objects the client has, so that one that stops matching is deleted there
	err  error
}

func (s *stream) send(frame []byte, err error) {
	if err == nil {
		_, err = s.w.Write(frame)
	}
	if s.err == nil {
		s.err = err
	}
}

func (s *stream) flush() { s.w.(http.Flusher).Flush() }

// initial sends everything there is, and where that ends if it was asked for.
func (s *stream) initial(announce bool) uint64 {
	all, version := s.api.demo.store.list(s.req.kind)
	for _, o := range all {
		if s.req.matches(o) {
			s.seen[name{o.GetNamespace(), o.GetName()}] = true
			s.send(s.req.codec.event("ADDED", s.req.kind, o))
		}
	}
	if announce {
		s.bookmark(version, true)
	}
	return version
}

func (s *stream) change(c change) {
	n := name{c.object.GetNamespace(), c.object.GetName()}
	verb, matches := c.verb, s.req.matches(c.object)
	switch {
	case !matches && !s.seen[n]:
		return
	case !matches, verb == "DELETED":
		verb = "DELETED"
		delete(s.seen, n)
	default:
		s.seen[n] = true
	}
	s.send(s.req.codec.event(verb, s.req.kind, c.object))
}

func (s *stream) bookmark(version uint64, end bool) {
	o := s.req.kind.empty()
	o.SetResourceVersion(strconv.FormatUint(version, 10))
	if end {
		o.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	}
	s.send(s.req.codec.event("BOOKMARK", s.req.kind, o))
	s.flush()
}

// empty gives a new object of the kind.
func (k *kind) empty() object {
	for t, other := range kinds {
		if other == k {
			return reflect.New(t.Elem()).Interface().(object)
		}
	}
	panic("kind " + k.resource + " is not in the table")
}

func (a *api) answer(w http.ResponseWriter, c codec, body []byte, err error) {
	if err != nil {
		a.fail(w, c, http.StatusInternalServerError, metav1.StatusReasonInternalError, err.Error())
		return
	}
	w.Header().Set("Content-Type", c.contentType(false))
	_, _ = w.Write(body) // the client going away is no error of ours
}

func (a *api) json(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	a.answer(w, codec{}, body, err)
}

func (a *api) fail(w http.ResponseWriter, c codec, code int, reason metav1.StatusReason, message string) {
	body, err := c.status(&metav1.Status{Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message})
	if err != nil {
		http.Error(w, message, code)
		return
	}
	w.Header().Set("Content-Type", c.contentType(false))
	w.WriteHeader(code)
	_, _ = w.Write(body)
}
