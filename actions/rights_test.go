package actions

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/geotop/geotop/model"
)

// inside is what logs, shells and forwarding take: none of them is a plan.
var inside = []string{
	"get pods", "get pods/log", "get pods/exec", "create pods/exec", "get pods/portforward", "create pods/portforward",
	"patch pods/ephemeralcontainers", "create pods in kube-system",
}

// TestRightsToActAreThoseOfActions holds deploy/rbac-operate.yaml against what the steps
// of plans ask for: none is missing, and none is for nothing.
func TestRightsToActAreThoseOfActions(t *testing.T) {
	want := map[string]bool{}
	note := func(list []right) {
		for _, r := range list {
			if r.namespace != longhornNamespace && r.namespace != model.PlanNamespace {
				r.namespace = "" // of whichever it is
			}
			if r.resource != "daemonsets" || r.sub != "scale" { // nobody scales those
				want[r.String()] = true
			}
		}
	}
	note(leaseRights())
	for _, o := range ops {
		note(o.rights)
		if o.rightsOf != nil {
			for _, kind := range slices.Sorted(maps.Keys(plurals)) {
				note(o.rightsOf(&model.Step{Object: kind + "/some/thing"}))
			}
		}
	}
	for _, r := range inside {
		want[r] = true
	}
	got := map[string]bool{}
	for _, r := range granted(t, "rbac-operate.yaml") {
		got[r] = true
	}
	looking := granted(t, "rbac-view.yaml")
	for r := range want {
		everywhere, _, _ := strings.Cut(r, " in ")
		if !got[r] && !slices.Contains(looking, everywhere) {
			t.Errorf("rbac-operate.yaml lacks %s", r)
		}
	}
	for r := range got {
		if !want[r] {
			t.Errorf("rbac-operate.yaml gives %s, which nothing asks for", r)
		}
	}
}

// TestStepsInDocs holds the table of steps in docs/actions.md against the steps there are
// and what each asks for.
func TestStepsInDocs(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "docs", "actions.md"))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string][]string{}
	quoted := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(b)) {
		if cells := strings.Split(line, "|"); len(cells) == 7 && strings.HasPrefix(cells[1], " `") {
			name := strings.Trim(cells[1], " `")
			told[name] = []string{}
			for _, m := range quoted.FindAllStringSubmatch(cells[5], -1) {
				told[name] = append(told[name], m[1])
			}
		}
	}
	for name, o := range ops {
		want := map[string]bool{}
		asked := slices.Clone(o.rights)
		if o.rightsOf != nil {
			for kind := range plurals {
				asked = append(asked, o.rightsOf(&model.Step{Object: kind + "/some/thing"})...)
			}
		}
		for _, r := range asked {
			if r.namespace = ""; r.resource != "daemonsets" || r.sub != "scale" { // nobody scales those
				want[r.String()] = true
			}
		}
		if got := told[name]; got == nil {
			t.Errorf("docs/actions.md does not tell of the step %q", name)
		} else if slices.Sort(got); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
			t.Errorf("step %q takes %v; docs/actions.md says %v", name, slices.Sorted(maps.Keys(want)), got)
		}
		delete(told, name)
	}
	for name := range told {
		t.Errorf("docs/actions.md tells of a step %q that there is not", name)
	}
}

// granted is what the roles of a file give, in the words of rights.
func granted(t *testing.T, name string) (list []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(b)))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		var role rbacv1.Role
		if err := yaml.Unmarshal(doc, &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			names := rule.ResourceNames
			if len(names) == 0 {
				names = []string{""}
			}
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					for _, n := range names {
						r := right{verb: verb, group: rule.APIGroups[0], resource: resource, namespace: role.Namespace, name: n}
						list = append(list, fmt.Sprint(r))
					}
				}
			}
		}
	}
}
