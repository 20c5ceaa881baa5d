package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/geotop/geotop/actions"
	"github.com/geotop/geotop/collectors/kube"
	"github.com/geotop/geotop/lab/rig"
	"github.com/geotop/geotop/lab/term"
	"github.com/geotop/geotop/model"
)

// rights are the roles of a file in deploy/, as the cluster has them.
type rights struct {
	t        testing.TB
	clusters []*rbacv1.ClusterRole
	roles    []*rbacv1.Role
}

// right is one verb on one resource, of a role.
type right struct {
	namespace, role       string
	group, resource, verb string
	names                 []string
}

func (r right) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", r.verb, strings.Trim(r.resource+"."+r.group, "."), strings.Join(r.names, " ")))
}

// apply makes what a file in deploy/ says, until the test ends.
func apply(t testing.TB, name string) *rights {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	r, ctx := &rights{t: t}, within(t, time.Minute)
	docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(b)))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return r
		}
		if err != nil {
			t.Fatal(err)
		}
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(doc, &kind); err != nil {
			t.Fatal(err)
		}
		api := client.RbacV1()
		switch kind.Kind {
		case "ClusterRole":
			o := &rbacv1.ClusterRole{}
			must(t, yaml.UnmarshalStrict(doc, o))
			o, err = api.ClusterRoles().Create(ctx, o, metav1.CreateOptions{})
			r.clusters = append(r.clusters, o)
			afterwards(t, func(ctx context.Context) error {
				return api.ClusterRoles().Delete(ctx, o.Name, metav1.DeleteOptions{})
			})
		case "ClusterRoleBinding":
			o := &rbacv1.ClusterRoleBinding{}
			must(t, yaml.UnmarshalStrict(doc, o))
			_, err = api.ClusterRoleBindings().Create(ctx, o, metav1.CreateOptions{})
			afterwards(t, func(ctx context.Context) error {
				return api.ClusterRoleBindings().Delete(ctx, o.Name, metav1.DeleteOptions{})
			})
		case "Role":
			o := &rbacv1.Role{}
			must(t, yaml.UnmarshalStrict(doc, o))
			o, err = api.Roles(o.Namespace).Create(ctx, o, metav1.CreateOptions{})
			r.roles = append(r.roles, o)
			afterwards(t, func(ctx context.Context) error {
				return api.Roles(o.Namespace).Delete(ctx, o.Name, metav1.DeleteOptions{})
			})
		case "RoleBinding":
			o := &rbacv1.RoleBinding{}
			must(t, yaml.UnmarshalStrict(doc, o))
			_, err = api.RoleBindings(o.Namespace).Create(ctx, o, metav1.CreateOptions{})
			afterwards(t, func(ctx context.Context) error {
				return api.RoleBindings(o.Namespace).Delete(ctx, o.Name, metav1.DeleteOptions{})
			})
		default:
			t.Fatalf("%s: a %s", name, kind.Kind)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// each lists every right there is.
func (r *rights) each() (all []right) {
	add := func(namespace, role string, rules []rbacv1.PolicyRule) {
		for _, rule := range rules {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					all = append(all, right{namespace, role, rule.APIGroups[0], resource, verb, rule.ResourceNames})
				}
			}
		}
	}
	for _, c := range r.clusters {
		add("", c.Name, c.Rules)
	}
	for _, o := range r.roles {
		add(o.Namespace, o.Name, o.Rules)
	}
	return all
}

// without takes one right away, has do run, and gives it back.
func (r *rights) without(gone right, as rest.ImpersonationConfig, do func()) {
	r.t.Helper()
	rules := []rbacv1.PolicyRule{}
	for _, o := range r.each() {
		if o.namespace == gone.namespace && o.role == gone.role && o.String() != gone.String() {
			rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{o.group}, Resources: []string{o.resource}, Verbs: []string{o.verb}, ResourceNames: o.names})
		}
	}
	whole := r.set(gone, rules)
	defer func() {
		r.set(gone, whole)
		r.await(gone, as, true)
	}()
	r.await(gone, as, false)
	do()
}

// set gives the role other rules, and tells which it had.
func (r *rights) set(of right, rules []rbacv1.PolicyRule) (before []rbacv1.PolicyRule) {
	r.t.Helper()
	ctx, api := within(r.t, time.Minute), client.RbacV1()
	if of.namespace == "" {
		o, err := api.ClusterRoles().Get(ctx, of.role, metav1.GetOptions{})
		if err == nil {
			before, o.Rules = o.Rules, rules
			_, err = api.ClusterRoles().Update(ctx, o, metav1.UpdateOptions{})
		}
		if err != nil {
			r.t.Fatal(err)
		}
		return before
	}
	o, err := api.Roles(of.namespace).Get(ctx, of.role, metav1.GetOptions{})
	if err == nil {
		before, o.Rules = o.Rules, rules
		_, err = api.Roles(of.namespace).Update(ctx, o, metav1.UpdateOptions{})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return before
}

// await waits until the API server goes by the rules.
func (r *rights) await(of right, as rest.ImpersonationConfig, allowed bool) {
	r.t.Helper()
	resource, sub, _ := strings.Cut(of.resource, "/")
	review := &authv1.SubjectAccessReview{Spec: authv1.SubjectAccessReviewSpec{User: as.UserName, Groups: as.Groups, ResourceAttributes: &authv1.ResourceAttributes{
		Namespace: of.namespace, Verb: of.verb, Group: of.group, Resource: resource, Subresource: sub,
	}}}
	if len(of.names) > 0 {
		review.Spec.ResourceAttributes.Name = of.names[0]
	}
	// The authorizer follows a watch; nothing tells when.
	must(r.t, wait.PollUntilContextCancel(within(r.t, time.Minute), 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		done, err := client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return err == nil && done.Status.Allowed == allowed, err
	}))
}

// sourceOf is what a resource is read for.
func sourceOf(r right) []string {
	switch {
	case r.group == "metrics.k8s.io":
		return []string{model.SourceNodeUsage}
	case r.group == "longhorn.io":
		return []string{"longhorn/" + r.resource}
	case r.resource == "events":
		return []string{model.SourceEvents, model.SourceNodeEvents}
	case r.resource == "leases":
		return []string{model.SourceLeases, "kube/plans"}
	case r.resource == "endpointslices":
		return []string{model.SourceAPIServers}
	case r.resource == "etcdsnapshotfiles":
		return []string{"kube/etcdsnapshots"}
	}
	return []string{"kube/" + r.resource}
}

// polled are read again and again, and never watched.
var polled = []string{model.SourceLeases, model.SourceNodeUsage}

// TestRightsToLook reads everything with exactly what deploy/rbac-view.yaml gives, and
// takes each right away in turn: what it is for says so then.
func TestRightsToLook(t *testing.T) {
	r := apply(t, "rbac-view.yaml")
	as := rest.ImpersonationConfig{UserName: "looker", Groups: []string{"geotop:view"}}
	all := r.each()
	for _, a := range all {
		r.await(a, as, true)
	}
	looker := func(t *testing.T) *kube.Collector {
		t.Helper()
		cfg, err := rig.LoadConfig(shared.Kubeconfig("admin"))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Impersonate = as
		c, err := kube.New(kube.Config{Name: "lab", Rest: cfg})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	whole := open(t, looker(t)).settled()
	for _, s := range whole.Sources {
		if s.Status != model.SourceOK {
			t.Errorf("with all of them, %s is %s: %s", s.Name, s.Status, s.Error)
		}
		if s.Interval > 0 && !slices.Contains(polled, s.Name) {
			t.Errorf("with all of them, %s is not watched", s.Name)
		}
	}
	out := cli(t, 0, "--as", as.UserName, "--as-group", as.Groups[0], "--once", "-o", `jsonpath={range .sources[*]}{.name} {.status}{"\n"}{end}`)
	if !strings.Contains(out, "store/default ok") || strings.Contains(out, "forbidden") {
		t.Errorf("on the command line: %s", out)
	}
	broken := 0
	for _, a := range all {
		t.Run(strings.ReplaceAll(a.String(), " ", "_"), func(t *testing.T) {
			r.without(a, as, func() {
				switch {
				case a.resource == "secrets":
					if out := cli(t, 0, "--as", as.UserName, "--as-group", as.Groups[0], "--once", "-o", `jsonpath={.sources[?(@.name=="store/default")].error}`); !strings.Contains(out, "secret") {
						t.Errorf("without it the store says %q", out)
					}
				case a.verb == "list":
					w := open(t, looker(t)).settled()
					for _, s := range w.Sources {
						if wanted := slices.Contains(sourceOf(a), s.Name); (s.Status == model.SourceForbidden) != wanted {
							t.Errorf("without it %s is %s: %s", s.Name, s.Status, s.Error)
						}
					}
				case a.verb == "watch":
					open(t, looker(t)).until("polled in the place of watched", func(w *model.World) error {
						for _, s := range w.Sources {
							if slices.Contains(sourceOf(a), s.Name) && !slices.Contains(polled, s.Name) && (s.Interval == 0 || s.Status != model.SourceOK) {
								return fmt.Errorf("%s is %s, asked every %s", s.Name, s.Status, s.Interval)
							}
						}
						return nil
					})
				default:
					t.Fatalf("what is %s for?", a)
				}
			})
			broken++
		})
	}
	if broken != len(all) || broken < 40 {
		t.Errorf("%d of %d rights were taken away", broken, len(all))
	}
}

// cli runs geotop on the lab as its administrator, or whom the arguments name.
func cli(t *testing.T, code int, args ...string) string {
	t.Helper()
	ctx := within(t, patience)
	args = append([]string{"--kubeconfig", shared.Kubeconfig("admin"), "--no-state", "--no-ping"}, args...)
	cmd := exec.CommandContext(ctx, binary, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("geotop %s: exit code %d (%v)\n%s%s", strings.Join(args, " "), got, err, out, errs.String())
	}
	return string(out) + errs.String()
}

// operator is somebody with exactly what both files in deploy/ give.
func operator(t *testing.T) (act *rights, as rest.ImpersonationConfig) {
	t.Helper()
	act, as = apply(t, "rbac-operate.yaml"), rest.ImpersonationConfig{UserName: "operator", Groups: []string{"geotop:view", "geotop:operate"}}
	for _, r := range append(apply(t, "rbac-view.yaml").each(), act.each()...) {
		act.await(r, as, true)
	}
	return act, as
}

// the is the one right that is called so.
func (r *rights) the(name string) right {
	r.t.Helper()
	all := r.each()
	at := slices.IndexFunc(all, func(o right) bool { return o.String() == name })
	if at < 0 {
		r.t.Fatalf("nothing gives %s", name)
	}
	return all[at]
}

// TestRightsToAct acts with exactly what the files in deploy/ give, and takes each right
// away in turn: the command that needs it names it then, before it does anything.
func TestRightsToAct(t *testing.T) {
	allWell(t)
	act, as := operator(t)
	who := []string{"--as", as.UserName, "--as-group", strings.Join(as.Groups, ",")}
	run := func(code int, args ...string) string {
		t.Helper()
		return cli(t, code, append(slices.Clone(who), args...)...)
	}

	for _, args := range [][]string{
		{"cordon", "node/moka-1", "--yes"}, {"uncordon", "node/moka-1", "--yes"}, {"backup", "dev/code-home", "--yes"},
		{"scale", "web/blog", "3", "--yes", "--wait"}, {"scale", "web/blog", "2", "--yes", "--wait"}, {"restart", "web/blog", "--yes", "--wait"},
	} {
		run(0, args...)
	}
	pod := blog(t)
	run(0, "logs", "web/"+pod)

	said := map[string][]string{ // the command that needs each, by resource
		"nodes": {"cordon", "node/moka-1"}, "pods/eviction": {"drain", "node/moka-1"}, "poddisruptionbudgets": {"drain", "node/moka-1"},
		"pods/log": {"logs", "web/" + pod}, "deployments": {"restart", "web/blog"}, "statefulsets": {"restart", "db/postgres"}, "daemonsets": {"restart", "monitoring/node-exporter"},
		"deployments/scale": {"scale", "web/blog", "3"}, "statefulsets/scale": {"scale", "db/postgres", "4"},
		"persistentvolumes": {"restore", "dev/code-home", "--name", "look"}, "persistentvolumeclaims": {"restore", "dev/code-home", "--name", "look"},
		"snapshots": {"backup", "dev/code-home"}, "backups": {"backup", "dev/code-home"}, "volumes": {"restore", "dev/code-home", "--name", "look"},
		"leases": {"backup", "dev/code-home"},
	}
	special := map[string][]string{
		"delete pods": {"delete", "web/" + pod}, "patch volumes.longhorn.io": {"rebalance"}, "delete replicas.longhorn.io": {"rebalance"},
	}
	for _, kind := range []string{"deployments web/blog", "statefulsets db/postgres", "daemonsets monitoring/node-exporter"} {
		resource, name, _ := strings.Cut(kind, " ")
		special["get "+resource+".apps"] = []string{"restart", name, "--wait"}
	}
	// Those to go into pods have a test of their own, and so has deleting backups, for which
	// there is no command.
	others := []string{
		"get pods", "create pods", "get pods/exec", "create pods/exec", "get pods/portforward", "create pods/portforward", "patch pods/ephemeralcontainers",
		"delete backups.longhorn.io",
	}
	quick(t)
	e := look(t, shared.Kubeconfig("admin"))
	whole(e)
	huddle(t, e) // so that there is a copy to move
	tried := 0
	for _, r := range act.each() {
		if slices.Contains(others, r.String()) {
			continue
		}
		t.Run(strings.ReplaceAll(r.String(), " ", "_"), func(t *testing.T) {
			args := special[r.String()]
			if args == nil {
				args = said[r.resource]
			}
			if args == nil {
				t.Fatalf("nothing says that %s is missing", r)
			}
			act.without(r, as, func() {
				ctx := within(t, patience)
				full := slices.Concat([]string{"--kubeconfig", shared.Kubeconfig("admin"), "--no-state", "--no-ping"}, who, args)
				if args[0] != "logs" {
					full = append(full, "--dry-run")
				}
				out, err := exec.CommandContext(ctx, binary, full...).CombinedOutput()
				resource := strings.Trim(r.resource+"."+r.group, ".")
				if err == nil || !strings.Contains(string(out), "may not "+r.verb+" "+resource) && !strings.Contains(string(out), `cannot `+r.verb+` resource "`+r.resource) {
					t.Errorf("%s without it: %v\n%s", strings.Join(args, " "), err, out)
				}
			})
			tried++
		})
	}
	if tried < 30 {
		t.Errorf("only %d rights were taken away", tried)
	}
	run(0, "rebalance", "--yes")
	must(t, spread(t))

	cfg, err := rig.LoadConfig(shared.Kubeconfig("admin"))
	must(t, err)
	cfg.Impersonate = as
	api, err := kube.New(kube.Config{Name: "lab", Rest: cfg})
	must(t, err)
	w := e.world()
	p, err := actions.DeleteBackup(w, "backup/"+w.Backups[0].Name)
	must(t, err)
	must(t, actions.Check(within(t, patience), api, p))
	act.without(act.the("delete backups.longhorn.io"), as, func() {
		if err := actions.Check(within(t, patience), api, p); err == nil || !strings.Contains(err.Error(), "may not delete backups.longhorn.io") {
			t.Errorf("a backup may be deleted without it: %v", err)
		}
	})
}

// TestRightsInside goes into a pod with exactly what the files in deploy/ give, and takes
// each right for that away in turn: what needs it ends, and names it.
func TestRightsInside(t *testing.T) {
	allWell(t)
	act, as := operator(t)
	pod := "web/" + blog(t)
	begin := func(args ...string) *term.Term {
		t.Helper()
		all := slices.Concat([]string{binary}, args, []string{"--kubeconfig", shared.Kubeconfig("admin"), "--as", as.UserName, "--as-group", strings.Join(as.Groups, ",")})
		s, err := term.Start(240, 24, []string{"XDG_STATE_HOME=" + t.TempDir()}, all...)
		must(t, err)
		t.Cleanup(s.Close)
		return s
	}
	shell := func(args ...string) {
		t.Helper()
		s := begin(append([]string{"shell"}, args...)...)
		shows(t, s, "leaves")
		must(t, s.Type("echo lab=$LAB\r"))
		shows(t, s, "lab=inside")
		must(t, s.Type("exit\r"))
		if code, err := s.Ended(within(t, patience)); err != nil || code != 0 {
			t.Errorf("exit code %d, %v\n%s", code, err, s.Screen())
		}
	}
	shell(pod)
	debug := []string{pod, "--debug", "--image", "nowhere.invalid/tools"}
	said := map[string][]string{
		"get pods": {"shell", pod}, "create pods/exec": {"shell", pod}, "create pods/portforward": {"forward", pod, ":7"},
		"patch pods/ephemeralcontainers": append([]string{"shell"}, debug...), "create pods": {"shell", "node/moka-1"},
	}
	tried := 0
	for _, r := range act.each() {
		what := r.verb + " " + r.resource
		if args := said[what]; args != nil {
			t.Run(strings.ReplaceAll(what, " ", "_"), func(t *testing.T) {
				act.without(r, as, func() {
					s := begin(args...)
					code, err := s.Ended(within(t, patience))
					if err != nil || code == 0 || !strings.Contains(s.Screen(), "cannot "+r.verb+` resource "`+r.resource+`"`) {
						t.Errorf("%s: exit code %d, %v\n%s", strings.Join(args, " "), code, err, s.Screen())
					}
				})
				tried++
			})
		}
	}
	if tried != len(said) {
		t.Errorf("%d of %d rights were taken away", tried, len(said))
	}
	act.without(act.the("get pods/exec"), as, func() { shell(pod) }) // it is for WebSockets, and there are other ways than those
	shell(debug...)
}

// blog is a pod of web/blog that is ready, and stays.
func blog(t testing.TB) (name string) {
	t.Helper()
	must(t, wait.PollUntilContextCancel(within(t, patience), 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		list, err := client.CoreV1().Pods("web").List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		for i := range list.Items {
			p := &list.Items[i]
			ready := slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
			})
			if strings.HasPrefix(p.Name, "blog-") && ready && p.DeletionTimestamp == nil {
				name = p.Name
			}
		}
		return name != "", nil
	}))
	return name
}
