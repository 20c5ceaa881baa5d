package rig

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// house is one failure domain and the KWOKs that play its kubelets.
type house struct {
	name   string
	nodes  []string
	cut    map[string]bool // nodes whose kubelet is off
	group  int             // houses of one group share a KWOK until one of them is cut
	alone  bool            // it has a KWOK of its own
	serves string          // name of the KWOK component that plays it
}

// ownKwok is up to how many houses each has a KWOK of its own. Beyond, houses
// share a few: fifty processes are too many for a small machine.
const ownKwok = 9

// shared is how many KWOKs share the houses of a large rig.
const shared = 4

// planHouses deals nodes to houses and gives each KWOK a port.
func (r *Rig) planHouses() error {
	for i := range r.cfg.Houses {
		r.houses = append(r.houses, &house{name: houseName(i), cut: map[string]bool{}, group: i % shared, alone: r.cfg.Houses <= ownKwok})
	}
	for i := range r.cfg.machines() {
		h := r.houses[i%len(r.houses)]
		h.nodes = append(h.nodes, fmt.Sprintf("%s-%d", h.name, len(h.nodes)+1))
	}
	names := []string{}
	for _, h := range r.houses {
		names = append(names, "kwok-"+h.name)
	}
	for g := range shared {
		names = append(names, fmt.Sprintf("kwok-group-%d", g))
	}
	return r.choosePorts(names...)
}

// Houses lists the houses' names.
func (r *Rig) Houses() []string {
	names := []string{}
	for _, h := range r.houses {
		names = append(names, h.name)
	}
	return names
}

func (r *Rig) house(name string) (*house, error) {
	for _, h := range r.houses {
		if h.name == name {
			return h, nil
		}
	}
	return nil, fmt.Errorf("no house %q; there are %s", name, strings.Join(r.Houses(), ", "))
}

// startKubelets starts KWOK for every house, or for groups of them.
func (r *Rig) startKubelets(ctx context.Context) error {
	for _, h := range r.houses {
		if h.alone {
			if err := r.playHouse(ctx, h); err != nil {
				return err
			}
		}
	}
	for g := range shared {
		if err := r.playGroup(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// playHouse starts the house's own KWOK over its nodes that are not cut.
func (r *Rig) playHouse(ctx context.Context, h *house) error {
	h.serves = "kwok-" + h.name
	selector := corev1.LabelTopologyZone + "=" + h.name
	if len(h.cut) == len(h.nodes) {
		return nil
	}
	if len(h.cut) > 0 {
		selector += "," + corev1.LabelHostname + " notin (" + strings.Join(sortedKeys(h.cut), ",") + ")"
	}
	return r.startKwok(ctx, h.serves, h.name, selector)
}

// playGroup starts the KWOK that the group's houses share.
func (r *Rig) playGroup(ctx context.Context, g int) error {
	name := fmt.Sprintf("kwok-group-%d", g)
	zones := []string{}
	for _, h := range r.houses {
		if !h.alone && h.group == g {
			h.serves = name
			zones = append(zones, h.name)
		}
	}
	if len(zones) == 0 {
		return nil
	}
	return r.startKwok(ctx, name, "", corev1.LabelTopologyZone+" in ("+strings.Join(zones, ",")+")")
}

func (r *Rig) startKwok(ctx context.Context, name, house, selector string) error {
	c, err := r.launch(name, house, r.bin["kwok"], "--kubeconfig="+r.Kubeconfig("admin"), "--config="+r.file("kwok.yaml"),
		"--manage-nodes-with-label-selector="+selector, "--node-lease-duration-seconds="+strconv.Itoa(int(r.cfg.Lease.Seconds())),
		"--cidr="+podNetwork, "--server-address="+r.address(name), "--node-port="+strconv.Itoa(r.ports[name]),
		"--tls-cert-file="+r.file("pki/kubelet.crt"), "--tls-private-key-file="+r.file("pki/kubelet.key"), "-v=WARN")
	if err != nil {
		return err
	}
	return c.await(ctx, 30*time.Second, func(ctx context.Context) error { return answers(ctx, "http://"+r.address(name)+"/healthz") })
}

// Cut takes the houses' power away: their kubelets stop without a word, and so
// do their machines on the tailnet, their object stores and etcd members.
func (r *Rig) Cut(ctx context.Context, houses ...string) error {
	for _, name := range houses {
		h, err := r.house(name)
		if err != nil {
			return err
		}
		if err := r.isolate(ctx, h); err != nil {
			return err
		}
	}
	for _, name := range houses {
		h, _ := r.house(name)
		for _, n := range h.nodes {
			h.cut[n] = true
		}
		if c := r.component(h.serves); c != nil {
			c.kill()
		}
		if err := r.powerTailnet(ctx, name, false); err != nil {
			return err
		}
		if err := r.powerMinIO(name, false); err != nil {
			return err
		}
		if err := r.powerEtcd(name, false); err != nil {
			return err
		}
	}
	return r.record()
}

// isolate gives the house a KWOK of its own. The old shared one is stopped only
// for as long as a process start takes, so that no lease of its other houses runs out.
func (r *Rig) isolate(ctx context.Context, h *house) error {
	if h.alone {
		return nil
	}
	h.alone = true
	if c := r.component(h.serves); c != nil {
		c.kill()
	}
	if err := r.playHouse(ctx, h); err != nil {
		return err
	}
	return r.playGroup(ctx, h.group)
}

// Restore gives the houses their power back.
func (r *Rig) Restore(ctx context.Context, houses ...string) error {
	for _, name := range houses {
		h, err := r.house(name)
		if err != nil {
			return err
		}
		if len(h.cut) == 0 {
			continue
		}
		clear(h.cut)
		if err := r.powerEtcd(name, true); err != nil {
			return err
		}
		if err := r.powerTailnet(ctx, name, true); err != nil {
			return err
		}
		if err := r.powerMinIO(name, true); err != nil {
			return err
		}
		if err := r.replay(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// CutNodes and RestoreNodes switch single machines, those of a house at once.
func (r *Rig) CutNodes(ctx context.Context, nodes ...string) error {
	return r.switchNodes(ctx, nodes, false)
}

// RestoreNodes gives single machines their power back.
func (r *Rig) RestoreNodes(ctx context.Context, nodes ...string) error {
	return r.switchNodes(ctx, nodes, true)
}

func (r *Rig) switchNodes(ctx context.Context, nodes []string, on bool) error {
	left := slices.Clone(nodes)
	for _, h := range r.houses {
		theirs := slices.DeleteFunc(slices.Clone(h.nodes), func(n string) bool { return !slices.Contains(nodes, n) })
		if len(theirs) == 0 {
			continue
		}
		if err := r.isolate(ctx, h); err != nil {
			return err
		}
		for _, n := range theirs {
			left = slices.DeleteFunc(left, func(o string) bool { return o == n })
			if on {
				delete(h.cut, n)
			} else {
				h.cut[n] = true
			}
		}
		if err := r.replay(ctx, h); err != nil {
			return err
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("no node %s", strings.Join(left, ", "))
	}
	return nil
}

// replayAll starts every KWOK anew.
func (r *Rig) replayAll(ctx context.Context) error {
	for _, h := range r.houses {
		if h.alone && len(h.cut) < len(h.nodes) {
			if err := r.replay(ctx, h); err != nil {
				return err
			}
		}
	}
	for g := range shared {
		if c := r.component(fmt.Sprintf("kwok-group-%d", g)); c != nil {
			c.kill()
			if err := r.playGroup(ctx, g); err != nil {
				return err
			}
		}
	}
	return nil
}

// replay starts the house's KWOK anew, for the nodes that have power.
func (r *Rig) replay(ctx context.Context, h *house) error {
	if c := r.component("kwok-" + h.name); c != nil {
		c.kill()
	}
	r.dropLeases(ctx, h)
	return r.playHouse(ctx, h)
}

// dropLeases removes the leases a KWOK that was killed left behind, as far as an
// API server answers. One that starts may take those for not there, fail to
// create them, and then leave the pods of their nodes alone for good.
func (r *Rig) dropLeases(ctx context.Context, h *house) {
	c, err := r.Client()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for _, node := range h.nodes {
		if !h.cut[node] {
			_ = c.CoordinationV1().Leases(corev1.NamespaceNodeLease).Delete(ctx, node, metav1.DeleteOptions{})
		}
	}
}

func sortedKeys(m map[string]bool) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// WaitNodes waits until exactly the named nodes are not ready and all others are.
func (r *Rig) WaitNodes(ctx context.Context, c kubernetes.Interface, down ...string) error {
	var last string
	for {
		nodes, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err == nil {
			wrong := wrongNodes(nodes.Items, down)
			if len(wrong) == 0 {
				return nil
			}
			last = strings.Join(wrong[:min(len(wrong), 5)], ", ")
		} else {
			last = err.Error()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nodes did not become as they should (%s): %w", last, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// wrongNodes lists the nodes whose readiness is not as expected.
func wrongNodes(nodes []corev1.Node, down []string) []string {
	var wrong []string
	for i := range nodes {
		n := &nodes[i]
		if ready(n) == slices.Contains(down, n.Name) {
			wrong = append(wrong, n.Name)
		}
	}
	return wrong
}

func ready(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
