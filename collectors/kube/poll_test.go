package kube

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/geotop/geotop/model"
)

func TestHeartbeatsByOurClock(t *testing.T) {
	start := time.Unix(1e9, 0)
	h := heartbeats{last: map[string]*model.Lease{}}
	look := func(at time.Duration, renewed time.Time) *model.Lease {
		l := &model.Lease{Node: "n", Duration: 40 * time.Second, Renewed: renewed}
		h.hear([]*model.Lease{l}, start.Add(at))
		return l
	}
	// A node whose clock is an hour behind: not watched renewing yet, its own time is all there is.
	behind := start.Add(-time.Hour)
	if l := look(0, behind); l.Watched || !l.Heard.Equal(behind) {
		t.Errorf("first look: %+v", l)
	}
	if l := look(10*time.Second, behind.Add(10*time.Second)); !l.Watched || !l.Heard.Equal(start.Add(10*time.Second)) {
		t.Errorf("after a renewal we saw: %+v", l)
	}
	if l := look(20*time.Second, behind.Add(10*time.Second)); !l.Heard.Equal(start.Add(10 * time.Second)) {
		t.Errorf("without a renewal: %+v", l)
	}
}

// While the API was away no kubelet could renew: silence counts from its return.
func TestSilenceCountsFromTheReturnOfTheAPI(t *testing.T) {
	start := time.Unix(1e9, 0)
	h := heartbeats{last: map[string]*model.Lease{}}
	look := func(at time.Duration) *model.Lease {
		l := &model.Lease{Node: "n", Duration: 40 * time.Second, Renewed: start}
		h.hear([]*model.Lease{l}, start.Add(at))
		return l
	}
	for _, at := range []time.Duration{0, 10 * time.Second, 21 * time.Second} {
		if l := look(at); !l.CountFrom.IsZero() {
			t.Errorf("looked on time at %v: %+v", at, l)
		}
	}
	if l := look(2 * time.Minute); !l.CountFrom.Equal(start.Add(2*time.Minute)) || !l.Heard.Equal(start) {
		t.Errorf("after the gap: %+v", l)
	}
	if l := look(130 * time.Second); !l.CountFrom.Equal(start.Add(2 * time.Minute)) {
		t.Errorf("afterwards: %+v", l)
	}
}

func TestHeartbeatFromTheFutureCountsAsNow(t *testing.T) {
	now := time.Unix(1e9, 0)
	h := heartbeats{last: map[string]*model.Lease{}}
	l := &model.Lease{Node: "n", Duration: 40 * time.Second, Renewed: now.Add(time.Hour)}
	h.hear([]*model.Lease{l}, now)
	if !l.Heard.Equal(now) {
		t.Errorf("heard %v", l.Heard)
	}
}

func TestLeasesAreAskedForAsOftenAsTheyRenew(t *testing.T) {
	h := heartbeats{last: map[string]*model.Lease{}}
	for _, tc := range []struct{ lease, want time.Duration }{{40 * time.Second, 10 * time.Second}, {8 * time.Second, 2 * time.Second}, {time.Second, time.Second}, {time.Hour, 10 * time.Second}} {
		if got := h.hear([]*model.Lease{{Node: "n", Duration: tc.lease}}, time.Now()); got != tc.want {
			t.Errorf("lease of %v: every %v, want %v", tc.lease, got, tc.want)
		}
	}
}

func TestDescribe(t *testing.T) {
	at := func(err error) error { return &url.Error{Op: "Get", URL: "https://192.0.2.1:6443/readyz", Err: err} }
	pods := schema.GroupResource{Resource: "pods"}
	for _, tc := range []struct {
		err        error
		text, hint string
	}{
		{at(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), "connection refused by 192.0.2.1:6443", "k3s"},
		{at(&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}), "no route to 192.0.2.1:6443", "tailnet"},
		{at(&net.DNSError{Name: "k3s.example", IsNotFound: true}), "cannot look up k3s.example", "DNS"},
		{at(context.DeadlineExceeded), "no answer from 192.0.2.1:6443 in time", ""},
		{at(x509.UnknownAuthorityError{}), "not signed by the cluster's CA", "right server"},
		{at(io.ErrUnexpectedEOF), "the connection to 192.0.2.1:6443 was cut", ""},
		{apierrors.NewUnauthorized("no"), "refuses our credentials (401", "log in"},
		{apierrors.NewForbidden(pods, "", errors.New("no")), "pods is forbidden", "right"},
		{errors.New("odd\x1b[2J"), "odd [2J", ""},
	} {
		text, hint := describe(tc.err)
		if !strings.Contains(text, tc.text) || !strings.Contains(hint, tc.hint) {
			t.Errorf("%v: %q, %q; want %q, %q", tc.err, text, hint, tc.text, tc.hint)
		}
	}
}

func TestOutcome(t *testing.T) {
	gr := schema.GroupResource{Resource: "nodes"}
	for _, tc := range []struct {
		err  error
		want model.SourceStatus
	}{
		{apierrors.NewForbidden(gr, "", nil), model.SourceForbidden},
		{apierrors.NewNotFound(gr, ""), model.SourceAbsent},
		{apierrors.NewUnauthorized(""), model.SourceFailed},
		{io.EOF, model.SourceFailed},
	} {
		if got := outcome(tc.err); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.err, got, tc.want)
		}
	}
}

func TestHeartbeatsAsExpectedWakeNobody(t *testing.T) {
	at := time.Unix(1e9, 0)
	lease := func(node string, heard time.Duration) *model.Lease {
		return &model.Lease{Node: node, Duration: 40 * time.Second, Heard: at.Add(-heard), Watched: true}
	}
	for _, tc := range []struct {
		name        string
		before, now []*model.Lease
		want        bool
	}{
		{"all heard again", []*model.Lease{lease("a", 12*time.Second)}, []*model.Lease{lease("a", 2*time.Second)}, true},
		{"one fell silent", []*model.Lease{lease("a", 30*time.Second)}, []*model.Lease{lease("a", 30*time.Second)}, false},
		{"one came back", []*model.Lease{lease("a", time.Minute)}, []*model.Lease{lease("a", 0)}, false},
		{"a new node", nil, []*model.Lease{lease("a", 0)}, false},
	} {
		if got := sameSilence(tc.before, tc.now, at); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}
