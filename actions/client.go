package actions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// client asks and changes objects of the API, as JSON.
type client struct{ api API }

// object is what every object has that we go by.
type object struct {
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind,omitempty"`
	Metadata   meta   `json:"metadata"`
}

type meta struct {
	Name            string            `json:"name,omitempty"`
	Namespace       string            `json:"namespace,omitempty"`
	UID             string            `json:"uid,omitempty"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
	DeletionTime    *string           `json:"deletionTimestamp,omitempty"`
	Generation      int64             `json:"generation,omitempty"`
}

func (c client) send(ctx context.Context, method, path string, query url.Values, kind string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var raw []byte
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return err
		}
	}
	answer, err := c.api.Request(ctx, method, path, query, kind, raw)
	if err != nil {
		return err
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s %s: the answer cannot be read: %w", method, path, err)
	}
	return nil
}

func (c client) get(ctx context.Context, path string, into any) error {
	return c.send(ctx, http.MethodGet, path, nil, "", nil, into)
}

func (c client) list(ctx context.Context, path string, query url.Values, into any) error {
	return c.send(ctx, http.MethodGet, path, query, "", nil, into)
}

func (c client) create(ctx context.Context, path string, body, into any) error {
	return c.send(ctx, http.MethodPost, path, nil, "application/json", body, into)
}

func (c client) replace(ctx context.Context, path string, body, into any) error {
	return c.send(ctx, http.MethodPut, path, nil, "application/json", body, into)
}

// merge changes what the patch names. One that carries a resourceVersion is refused
// with a conflict when the object changed since.
func (c client) merge(ctx context.Context, path string, patch any) error {
	return c.send(ctx, http.MethodPatch, path, nil, string(types.MergePatchType), patch, nil)
}

// wouldMerge asks what merge would come to, and changes nothing: it is refused as that
// would be.
func (c client) wouldMerge(ctx context.Context, path string, patch any) error {
	return c.send(ctx, http.MethodPatch, path, dryRun, string(types.MergePatchType), patch, nil)
}

var dryRun = url.Values{"dryRun": {"All"}}

// remove deletes exactly the object that was seen.
func (c client) remove(ctx context.Context, path string, seen meta) error {
	pre := map[string]any{"uid": seen.UID}
	if seen.ResourceVersion != "" {
		pre["resourceVersion"] = seen.ResourceVersion
	}
	return c.send(ctx, http.MethodDelete, path, nil, "application/json", map[string]any{
		"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": pre,
	}, nil)
}

// allowed asks whether we have all the rights, and refuses with those we lack.
func (c client) allowed(ctx context.Context, need []right) error {
	lack := []string{}
	for _, r := range need {
		review := map[string]any{
			"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
			"spec": map[string]any{"resourceAttributes": map[string]any{
				"verb": r.verb, "group": r.group, "resource": r.resource, "subresource": r.sub, "namespace": r.namespace, "name": r.name,
			}},
		}
		var answer struct{ Status struct{ Allowed bool } }
		if err := c.create(ctx, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, &answer); err != nil {
			return fmt.Errorf("ask whether we may %s: %w", r, err)
		}
		if !answer.Status.Allowed {
			lack = append(lack, "this account may not "+r.String())
		}
	}
	if len(lack) > 0 {
		return &RefusedError{Why: lack}
	}
	return nil
}

// whoAmI is what the API server takes us for, "" when it does not tell.
func (c client) whoAmI(ctx context.Context) string {
	var answer struct {
		Status struct{ UserInfo struct{ Username string } }
	}
	review := map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
	if c.create(ctx, "/apis/authentication.k8s.io/v1/selfsubjectreviews", review, &answer) != nil {
		return ""
	}
	return answer.Status.UserInfo.Username
}

// transient reports whether the same may well succeed a little later. What the
// server does not say so of counts: a connection that broke, a server that is gone.
func transient(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		var refusal *RefusedError
		return !errors.As(err, &refusal) && !errors.Is(err, errLost)
	}
	code := status.Status().Code
	return code >= 500 || slices.Contains([]int32{http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusConflict}, code)
}

// words says what an error means to an operator.
func words(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "the API server does not answer"
	case apierrors.IsConflict(err):
		return "somebody else changed it meanwhile"
	}
	s := err.Error()
	if at := strings.LastIndex(s, "admission webhook"); at > 0 {
		s = s[at:]
	}
	return s
}
