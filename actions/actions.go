// Package actions changes a cluster, and nothing else of geotop does.
//
// An action is planned from a World, which is pure; then checked with the cluster
// itself (rights, budgets, what a dry run says); then agreed to; then carried out
// step by step. Every step looks before it acts and can be begun anew from
// wherever it stands, so that a plan goes on after a conflict, a silent server, or
// the death of the geotop that began it: while it runs it is written down in a
// Lease in the cluster, with who carries it out. Whoever finds it left may finish
// or undo it.
package actions

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/geotop/geotop/model"
)

// API sends one request to the cluster's API server and gives the answer's body.
// An answer that is no success is an error of k8s.io/apimachinery/pkg/api/errors.
type API interface {
	Request(ctx context.Context, method, path string, query url.Values, contentType string, body []byte) ([]byte, error)
}

// RefusedError says why an action is not to be had, in words for the operator. Nothing
// was changed.
type RefusedError struct {
	Why     []string
	Nothing bool // everything is as wanted already
	Unknown bool // what it is asked for is not there, or not named well
}

func (r *RefusedError) Error() string { return strings.Join(r.Why, "; ") }

func refuse(format string, args ...any) error {
	return &RefusedError{Why: []string{fmt.Sprintf(format, args...)}}
}

func nothing(format string, args ...any) error {
	return &RefusedError{Why: []string{fmt.Sprintf(format, args...)}, Nothing: true}
}

func unknown(format string, args ...any) error {
	return &RefusedError{Why: []string{fmt.Sprintf(format, args...)}, Unknown: true}
}

// op carries out one kind of step.
type op struct {
	// do brings the step about from wherever it stands. It may be called again
	// after any failure, by another process too.
	do func(context.Context, *job, *model.Step) error
	// undo takes back what do did, or began to do; nil where nothing can be.
	undo func(context.Context, *job, *model.Step) error
	// check asks the cluster what the step would come to, and completes its words
	// and the plan's guards; nil where there is nothing to ask.
	check func(context.Context, client, *model.Plan, *model.Step) error
	// rights are what it takes, and rightsOf what this one step takes besides.
	rights   []right
	rightsOf func(*model.Step) []right
	// atomic steps are done or not, with nothing between.
	atomic bool
}

// ops are all kinds of steps, by the name they have in plans.
var ops map[string]op

// Steps read ops, and ops hold steps: that is tied here.
func init() {
	ops = map[string]op{
		opCordon: cordonOp(true), opUncordon: cordonOp(false), opDrain: drainOp, opBackup: backupOp, opMove: moveOp,
		opOutOfService: serviceOp(true), opInService: serviceOp(false), opClear: clearOp, opWell: wellOp,
		opDeletePod: deletePodOp, opRestart: restartOp, opScale: scaleOp, opReady: readyOp, opRestore: restoreOp, opClaim: claimOp, opDeleteBackup: deleteBackupOp,
	}
}

// right is what an account must be allowed.
type right struct{ verb, group, resource, sub, namespace, name string }

// leaseRights are what keeping the record of a plan takes.
func leaseRights() []right {
	list := []right{{verb: "create", group: "coordination.k8s.io", resource: "leases", namespace: model.PlanNamespace}}
	for _, verb := range []string{"get", "update", "delete"} {
		list = append(list, right{verb: verb, group: "coordination.k8s.io", resource: "leases", namespace: model.PlanNamespace, name: model.PlanLease})
	}
	return list
}

func (r right) String() string {
	s := r.verb + " " + r.resource
	if r.sub != "" {
		s += "/" + r.sub
	}
	if r.group != "" {
		s += "." + r.group
	}
	if r.name != "" {
		s += " " + r.name
	}
	if r.namespace != "" {
		s += " in " + r.namespace
	}
	return s
}

// recorded reports whether the plan is to be written down in the cluster: all but
// those of a single step that is done or not.
func recorded(p *model.Plan) bool {
	return len(p.Steps) != 1 || !ops[p.Steps[0].Op].atomic
}

// Check asks the cluster whether we may do what is planned, and what it would come
// to: it completes the plan's steps, warnings and guards. It changes nothing.
func Check(ctx context.Context, api API, p *model.Plan) error {
	c := client{api}
	need := []right{}
	for _, s := range p.Steps {
		o, known := ops[s.Op]
		if !known {
			return refuse("this geotop does not know the step %q; a newer one planned it", s.Op)
		}
		need = append(need, o.rights...)
		if o.rightsOf != nil {
			need = append(need, o.rightsOf(s)...)
		}
	}
	if recorded(p) {
		need = append(need, leaseRights()...)
	}
	slices.SortFunc(need, func(a, b right) int { return strings.Compare(a.String(), b.String()) })
	if err := c.allowed(ctx, slices.Compact(need)); err != nil {
		return err
	}
	for _, s := range p.Steps {
		if check := ops[s.Op].check; check != nil {
			if err := check(ctx, c, p, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// callTimeout is how long one request may take: links have up to 1.5 s each way,
// and a request may need several round trips.
const callTimeout = 20 * time.Second
