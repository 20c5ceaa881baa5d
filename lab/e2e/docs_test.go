package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/geotop/geotop/model"
)

// TestLabelsInDocs puts each label and annotation that the docs have people put on a node
// onto one, and sees geotop go by it.
func TestLabelsInDocs(t *testing.T) {
	allWell(t)
	files, err := filepath.Glob("../../docs/*.md")
	must(t, err)
	shown := regexp.MustCompile(`(?m)^ *kubectl (label|annotate) node \S+ ([^=\s]+)=(\S+)$`)
	e := look(t, shared.Kubeconfig("admin"))
	const name = "flacq-2"
	node := func() *model.Node { return e.world().Node("lab", name) }
	e.settled()
	seen := map[string]bool{}
	for _, file := range append(files, "../../README.md") {
		b, err := os.ReadFile(file)
		must(t, err)
		for _, m := range shown.FindAllStringSubmatch(string(b), -1) {
			if seen[m[0]] {
				continue
			}
			seen[m[0]] = true
			field, key, value := map[string]string{"label": "labels", "annotate": "annotations"}[m[1]], m[2], m[3]
			site, was := node().Site, any(nil)
			if field == "labels" {
				if before, has := node().Labels[key]; has {
					was = before
				}
			}
			put := func(value any) error {
				patch, err := json.Marshal(map[string]any{"metadata": map[string]any{field: map[string]any{key: value}}})
				if err == nil {
					_, err = client.CoreV1().Nodes().Patch(within(t, patience), name, types.MergePatchType, patch, metav1.PatchOptions{})
				}
				return err
			}
			must(t, put(value))
			e.until(m[0], func(w *model.World) error {
				switch at := w.Site(w.Node("lab", name).Site); {
				case field == "labels" && at.Name != value:
					return fmt.Errorf("it is in %s", at.Name)
				case field == "annotations" && (at.Location == nil || *at.Location != *model.ParseLocation(value)):
					return fmt.Errorf("%s is at %v", at.Name, at.Location)
				}
				return nil
			})
			must(t, put(was))
			e.until("the node where it was", func(w *model.World) error {
				if at := w.Node("lab", name).Site; at != site {
					return fmt.Errorf("it is in %s", at)
				}
				return nil
			})
		}
	}
	if len(seen) < 3 {
		t.Errorf("only %d are shown", len(seen))
	}
}
