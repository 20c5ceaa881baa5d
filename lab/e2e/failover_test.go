package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/geotop/geotop/lab/rig"
	"github.com/geotop/geotop/model"
)

// TestGoesOnWithAnotherAPIServer kills the kubeconfig's server while a second
// one of the cluster lives, and then that one while the first is back. Somebody
// else's server, which is asked as well, must get nothing of it.
func TestGoesOnWithAnotherAPIServer(t *testing.T) {
	var fooled atomic.Int32
	rogue := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fooled.Add(1)
		fmt.Fprint(w, "ok")
	}))
	defer rogue.Close()
	second, err := shared.StartSecondAPI(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(shared.StopSecondAPI)
	e := open(t, reader(t, shared.Kubeconfig("viewer"), rogue.Listener.Addr().String(), second))
	e.settled()
	shared.StopAPI()
	afterwards(t, allUp)
	afterwards(t, shared.StartAPI)
	using := func(address string) func(w *model.World) error {
		return func(w *model.World) error {
			if api := source(w, model.SourceAPI); api.Status != model.SourceOK || w.Clusters[0].Server != "https://"+address {
				return fmt.Errorf("api is %s (%s), by %s", api.Status, api.Error, w.Clusters[0].Server)
			}
			if nodes := source(w, model.SourceNodes); nodes.Status != model.SourceOK {
				return fmt.Errorf("nodes are %s: %s", nodes.Status, nodes.Error)
			}
			return nil
		}
	}
	w := e.until("on the second server", using(second))
	if !slices.ContainsFunc(w.Reasons, func(r model.Reason) bool {
		return r.Object == "cluster/lab" && strings.Contains(r.Text, "going on with https://"+second)
	}) {
		t.Errorf("nothing is said of it:\n%s", describe(w))
	}
	admin, err := rig.LoadConfig(shared.Kubeconfig("admin"))
	if err != nil {
		t.Fatal(err)
	}
	admin.Host = "https://" + second
	other, err := kubernetes.NewForConfig(admin)
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "elsewhere", Namespace: "default"},
		Spec:       corev1.PodSpec{NodeName: "flacq-2", Containers: []corev1.Container{{Name: "c", Image: "registry.example/visitor:1"}}},
	}
	if _, err := other.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	afterwards(t, func(ctx context.Context) error {
		now := int64(0)
		return client.CoreV1().Pods("default").Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	})
	e.until("a new pod seen", func(w *model.World) error {
		if w.Pod("lab", "default", "elsewhere") == nil {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	if err := shared.StartAPI(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	shared.StopSecondAPI()
	e.until("back on the first", using(shared.APIAddress()))
	if n := fooled.Load(); n > 0 {
		t.Errorf("a server of nobody we know was asked %d times", n)
	}
}
