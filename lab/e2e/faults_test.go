package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/model"
)

// fault is what happens at one call of the API.
type fault string

const (
	kill      fault = "killed before the call"
	killAfter fault = "killed before the answer"
	timeout   fault = "no answer, nothing done"
	lost      fault = "done, the answer lost"
	cut       fault = "connection cut"
	conflict  fault = "409"
	forbidden fault = "403"
	failing   fault = "500"
	gone      fault = "404"
)

var faults = []fault{kill, killAfter, timeout, lost, cut, conflict, forbidden, failing, gone}

// gate stands between an action and the API server, and has one call go wrong.
type gate struct {
	actions.API
	at    int          // which call, from 1; 0 for none
	then  func() error // must hold after every call; nil for nothing
	fault fault
	die   context.CancelCauseFunc

	mu    sync.Mutex
	calls int
	said  string // which call it was
	wrong error  // what did not hold
	dead  bool
}

var errKilled = errors.New("killed")

func (g *gate) Request(ctx context.Context, method, path string, query url.Values, contentType string, body []byte) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock() // one after another, so that calls are counted alike in every run
	if g.dead {
		return nil, errKilled
	}
	g.calls++
	pass := func() ([]byte, error) { return g.API.Request(ctx, method, path, query, contentType, body) }
	if g.then != nil {
		defer func() {
			if err := g.then(); err != nil && g.wrong == nil {
				g.wrong = fmt.Errorf("after %s %s: %w", method, path, err)
			}
		}()
	}
	if g.calls != g.at {
		return pass()
	}
	g.said = method + " " + path
	status := func(code int, reason metav1.StatusReason) ([]byte, error) {
		return nil, &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: "injected"}}
	}
	switch g.fault {
	case kill, killAfter:
		if g.fault == killAfter {
			_, _ = pass()
		}
		g.dead = true
		g.die(errKilled)
		return nil, errKilled
	case lost:
		_, _ = pass()
		return nil, context.DeadlineExceeded
	case timeout:
		return nil, context.DeadlineExceeded
	case cut:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	case conflict:
		return status(http.StatusConflict, metav1.StatusReasonConflict)
	case forbidden:
		return status(http.StatusForbidden, metav1.StatusReasonForbidden)
	case gone:
		return status(http.StatusNotFound, metav1.StatusReasonNotFound)
	default:
		return status(http.StatusInternalServerError, metav1.StatusReasonInternalError)
	}
}

// walk is an action through which faults are walked.
type walk struct {
	plan func(*model.World) (*model.Plan, error)
	// begin brings the cluster to where the action begins; done and undone say
	// whether it is as the action leaves it, and as before.
	begin        func(t *testing.T, e *eye)
	done, undone func() error
	always       func() error  // what must hold at every moment
	every        int           // take only each so manieth call, unless $GEOTOP_WALK is "all"
	look         time.Duration // how often the action looks what came of it; 50 ms when 0
}

// run carries the action out with one call going wrong.
func (k *walk) run(t *testing.T, e *eye, at int, f fault) (calls int, said string, err error) {
	t.Helper()
	ctx, die := context.WithCancelCause(within(t, patience))
	defer die(nil)
	g := &gate{API: admin(t), at: at, fault: f, die: die, then: k.always}
	p, err := k.plan(e.world())
	if err != nil {
		t.Fatal(err)
	}
	r := runner(g, e)
	if k.look > 0 {
		r.Every = k.look
	}
	last := ""
	r.Tell = func(p *model.Plan) {
		for _, s := range p.Steps {
			if s.State == model.StepRuns {
				last = s.Text + ": " + s.Note
			}
		}
	}
	if err = r.Run(ctx, p, nil); err != nil {
		err = fmt.Errorf("%w (at %s)", err, last)
	}
	if g.wrong != nil {
		t.Fatalf("call %d (%s) %s: %v", at, g.said, f, g.wrong)
	}
	return g.calls, g.said, err
}

func runner(api actions.API, e *eye) *actions.Runner {
	return &actions.Runner{API: api, World: e.world, Who: "test@lab", Now: time.Now, Every: 50 * time.Millisecond, Lease: time.Second, Patience: 10 * time.Second}
}

// walkFaults has every call of an action go wrong in every way, one at a time. What
// comes of it must be whole, or written down, and then finish and undo.
func walkFaults(t *testing.T, k walk) {
	allWell(t)
	e := look(t, shared.Kubeconfig("admin"))
	whole(e)
	k.begin(t, e)
	calls, _, err := k.run(t, e, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	e.until("what was done", func(*model.World) error { return k.done() })
	if os.Getenv("GEOTOP_WALK") == "all" {
		k.every = 1
	}
	tried, left := 0, 0
	for at := 1; at <= calls; at += max(1, k.every) {
		for i, f := range faults {
			k.begin(t, e)
			_, said, err := k.run(t, e, at, f)
			what := fmt.Sprintf("call %d of %d (%s) %s", at, calls, said, f)
			switch {
			case said == "" && err == nil:
				continue // it took fewer calls this time
			case said == "":
				t.Fatalf("nothing went wrong, and yet: %v", err)
			case f == gone && strings.HasSuffix(said, "/leases/geotop") && recorded(t):
				if err := runner(admin(t), e).Forget(within(t, patience)); err != nil { // the record itself was lied about
					t.Fatal(err)
				}
				continue
			}
			tried++
			if k.always != nil {
				if broken := k.always(); broken != nil {
					t.Fatalf("%s: %v", what, broken)
				}
			}
			if err == nil {
				if wrong := k.done(); wrong != nil {
					t.Fatalf("%s: said to be done, and %v", what, wrong)
				}
				mustHaveNoRecord(t, what)
				continue
			}
			if (k.undone() == nil || k.done() == nil) && !recorded(t) {
				continue // nothing was done or all, and nothing is left
			}
			left++
			undo := (at+i)%2 == 1
			if !recorded(t) {
				t.Fatalf("%s: left undone (%v) without a record", what, err)
			}
			ran := err
			if err := runner(admin(t), e).Resume(within(t, patience), undo, nil); err != nil {
				t.Fatalf("%s: going on (undo %v) after %v: %v", what, undo, ran, err)
			}
			check := k.done
			if undo {
				check = k.undone
			}
			if wrong := check(); wrong != nil {
				t.Fatalf("%s: after going on (undo %v): %v", what, undo, wrong)
			}
			mustHaveNoRecord(t, what)
		}
	}
	t.Logf("%d calls, %d points tried, %d left a plan to be finished or undone", calls, tried, left)
	if tried < calls/max(1, k.every)*len(faults)/2 || left == 0 {
		t.Errorf("%d points tried of %d calls, %d left a plan", tried, calls, left)
	}
}

// recorded reports whether a plan is written down in the cluster.
func recorded(t *testing.T) bool {
	t.Helper()
	_, err := client.CoordinationV1().Leases(model.PlanNamespace).Get(within(t, patience), model.PlanLease, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

func mustHaveNoRecord(t *testing.T, what string) {
	t.Helper()
	if recorded(t) {
		t.Fatalf("%s: it is over, and its record is still there", what)
	}
}

// admin is the API as the administrator.
func admin(t *testing.T) actions.API { t.Helper(); return reader(t, shared.Kubeconfig("admin")) }

// unschedulable lists the cordoned nodes.
func unschedulable(t *testing.T) []string {
	t.Helper()
	list, err := client.CoreV1().Nodes().List(within(t, patience), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, n := range list.Items {
		if n.Spec.Unschedulable {
			names = append(names, n.Name)
		}
	}
	slices.Sort(names)
	return names
}

func wantCordoned(t *testing.T, want string) error {
	t.Helper()
	if got := strings.Join(unschedulable(t), " "); got != want {
		return fmt.Errorf("cordoned are %q, not %q", got, want)
	}
	return nil
}
