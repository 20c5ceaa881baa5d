package demo

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// thing is a custom resource before it is written out.
type thing = map[string]any

// put takes one thing by name, with its labels.
type put = func(name string, labels map[string]string, o thing)

// customGroup is an API group of custom resources.
type customGroup struct {
	version string
	has     func(s *sim) bool
	put     func(s *sim, plural string, now time.Time, put put)
}

var customGroups = map[string]customGroup{
	"longhorn.io":   {"v1beta2", func(s *sim) bool { return len(s.volumes) > 0 }, (*sim).putLonghorn},
	"k3s.cattle.io": {"v1", func(*sim) bool { return true }, (*sim).putK3s},
}

// serveCustom answers for a group of custom resources: every list is made anew
// from what the machines are like, and a watch tells what became different. It
// reports whether the path is of any.
func (a *api) serveCustom(w http.ResponseWriter, r *http.Request, path string) bool {
	parts := strings.Split(path, "/")
	if len(parts) < 2 {
		return false
	}
	name, plural, one := parts[1], parts[len(parts)-1], ""
	if len(parts) == 7 && parts[3] == "namespaces" {
		plural, one = parts[5], parts[6]
	}
	g, ok := customGroups[name]
	if !ok {
		return false
	}
	things := func() map[string]thing { return a.demo.things(g, name, plural) }
	switch {
	case !g.has(a.demo.sim):
		a.fail(w, negotiate(""), http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
		return true
	case len(parts) == 2:
		a.json(w, thing{"kind": "APIGroup", "name": name, "versions": []thing{{"groupVersion": name + "/" + g.version, "version": g.version}}})
		return true
	case r.URL.Query().Get("watch") == "true":
		a.watchCustom(w, r, things)
		return true
	}
	items := things()
	if one != "" {
		if items[one] == nil {
			a.fail(w, negotiate(""), http.StatusNotFound, metav1.StatusReasonNotFound, one+" not found")
		} else {
			a.json(w, items[one])
		}
		return true
	}
	key, value, _ := strings.Cut(r.URL.Query().Get("labelSelector"), "=")
	list := []thing{}
	for _, name := range slices.Sorted(maps.Keys(items)) {
		labels, _ := items[name]["metadata"].(thing)["labels"].(map[string]string)
		if key == "" || labels[key] == value {
			list = append(list, items[name])
		}
	}
	a.json(w, thing{"apiVersion": name + "/" + g.version, "metadata": thing{"resourceVersion": "1"}, "items": list})
	return true
}

// things gives all objects of a kind as they are now.
func (d *Demo) things(g customGroup, group, plural string) map[string]thing {
	now := d.Now()
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	items := map[string]thing{}
	g.put(d.sim, plural, now, func(name string, labels map[string]string, o thing) {
		o["metadata"] = thing{"name": name, "resourceVersion": "1", "uid": uid(group, plural, name), "labels": labels, "creationTimestamp": start.Add(-90 * 24 * time.Hour)}
		items[name] = o
	})
	return items
}

// watchCustom looks every second what differs from what was told before.
func (a *api) watchCustom(w http.ResponseWriter, r *http.Request, things func() map[string]thing) {
	told := map[string]string{}
	write := func(kind string, o thing) { _ = json.NewEncoder(w).Encode(thing{"type": kind, "object": o}) }
	tell := func(silent bool) {
		items := things()
		for _, name := range slices.Sorted(maps.Keys(items)) {
			b, err := json.Marshal(items[name])
			if err != nil || told[name] == string(b) {
				continue
			}
			told[name] = string(b)
			if !silent {
				write("MODIFIED", items[name])
			}
		}
		for _, name := range slices.Sorted(maps.Keys(told)) {
			if items[name] == nil {
				delete(told, name)
				write("DELETED", thing{"metadata": thing{"name": name, "resourceVersion": "1"}})
			}
		}
	}
	tell(true)
	w.(http.Flusher).Flush()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-a.demo.unreachable():
			return
		case <-ticker.C:
			tell(false)
		}
	}
}
