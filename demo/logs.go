package demo

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// logEvery is how often a container of the demo says something, at most.
const logEvery = 3 * time.Second

// logs answers with what a pod's container said: some lines, and with follow one now
// and then. All of it is made up.
func (a *api) logs(w http.ResponseWriter, r *http.Request, namespace, of string) {
	s := a.demo.sim
	s.mu.Lock()
	at := a.demo.store.get(kindNamed("", "v1", "pods"), objectName(namespace, of))
	s.mu.Unlock()
	if at == nil {
		a.fail(w, negotiate(""), http.StatusNotFound, metav1.StatusReasonNotFound, "pod "+namespace+"/"+of+" not found")
		return
	}
	q := r.URL.Query()
	lines := 40
	if tail, err := strconv.Atoi(q.Get("tailLines")); err == nil && tail >= 0 {
		lines = min(lines, tail)
	}
	now, stamped := a.demo.Now(), q.Get("timestamps") == "true"
	say := func(at time.Time) {
		if stamped {
			fmt.Fprint(w, at.UTC().Format(time.RFC3339Nano), " ")
		}
		fmt.Fprintln(w, s.logLine(of, at))
	}
	for i := lines; i > 0; i-- {
		say(now.Add(-time.Duration(i) * logEvery))
	}
	if q.Get("follow") != "true" {
		return
	}
	ticker := time.NewTicker(logEvery)
	defer ticker.Stop()
	for {
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-a.demo.unreachable():
			return
		case <-ticker.C:
			say(now)
			now = now.Add(logEvery)
		}
	}
}

// logLine is what a container says at a moment.
func (s *sim) logLine(pod string, at time.Time) string {
	at = at.Truncate(logEvery)
	part := []any{"log", pod, at.Unix()}
	pages := []string{"/", "/healthz", "/login", "/api/items", "/static/site.css"}
	stamp := at.UTC().Format(time.RFC3339)
	switch n := s.chance(20, part...); n {
	case 0:
		return stamp + " level=warn msg=\"slow answer\" took=" + strconv.Itoa(900+s.chance(2000, part...)) + "ms"
	case 1:
		return stamp + " level=error msg=\"upstream did not answer\" try=1"
	default:
		return fmt.Sprintf("%s level=info msg=request path=%s status=200 took=%dms", stamp, pages[n%len(pages)], 2+s.chance(60, part...))
	}
}
