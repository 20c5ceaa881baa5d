package rig

import (
	"context"
	"encoding/json"
	"fmt"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
)

// hardware is a kind of machine people have at home.
type hardware struct{ arch, os, kernel, cpu, memory string }

var machines = []hardware{
	{"amd64", "Debian GNU/Linux 13 (trixie)", "6.12.48+deb13-amd64", "4", "16Gi"},
	{"amd64", "Debian GNU/Linux 13 (trixie)", "6.12.48+deb13-amd64", "4", "8Gi"},
	{"arm64", "Raspberry Pi OS 13 (trixie)", "6.12.47+rpt-rpi-2712", "4", "8Gi"},
	{"arm64", "Raspberry Pi OS 13 (trixie)", "6.12.47+rpt-rpi-v8", "4", "4Gi"},
}

// createNodes registers every machine as its k3s would.
func (r *Rig) createNodes(ctx context.Context, c kubernetes.Interface) error {
	var g errgroup.Group
	g.SetLimit(30)
	index := 0
	for hi, h := range r.houses {
		for ni, name := range h.nodes {
			n := newNode(name, h.name, index, machines[(hi+ni)%len(machines)], ni == 0 && hi < 3)
			if ni == 0 {
				n = newNode(name, h.name, index, machines[min(hi, 1)], hi < 3)
			}
			index++
			if ni == 0 && r.hasMinIO() { // the house's server of the object store stands on it
				n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeExternalIP, Address: minioHost(hi)})
			}
			r.tellArgs(n)
			if r.cfg.Shape != nil {
				r.cfg.Shape(n)
			}
			g.Go(func() error {
				status := n.Status
				made, err := c.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{})
				if err != nil {
					return fmt.Errorf("node %s: %w", n.Name, err)
				}
				// The node controller may have been here already.
				return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
					made.Status = status
					_, err := c.CoreV1().Nodes().UpdateStatus(ctx, made, metav1.UpdateOptions{})
					if apierrors.IsConflict(err) {
						if now, geterr := c.CoreV1().Nodes().Get(ctx, n.Name, metav1.GetOptions{}); geterr == nil {
							made = now
						}
						return err
					}
					if err != nil {
						return fmt.Errorf("status of node %s: %w", n.Name, err)
					}
					return nil
				})
			})
		}
	}
	return g.Wait()
}

// tellArgs has a server tell, as k3s does, what its controller-manager goes by.
func (r *Rig) tellArgs(n *corev1.Node) {
	if n.Labels["node-role.kubernetes.io/control-plane"] == "" {
		return
	}
	args := []string{"server", "--flannel-iface", "tailscale0"}
	for _, a := range r.cfg.managerArgs() {
		args = append(args, "--kube-controller-manager-arg", a)
	}
	if b, err := json.Marshal(args); err == nil {
		n.Annotations["k3s.io/node-args"] = string(b)
	}
}

// newNode is a machine on a tailnet as k3s describes it. InternalDNS is the
// lab's own addition: the way on which the API server and metrics-server find
// the stand-in for its kubelet on loopback.
func newNode(name, house string, index int, hw hardware, server bool) *corev1.Node {
	address := nodeAddress(index)
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				corev1.LabelTopologyRegion: "mauritius", corev1.LabelTopologyZone: house, corev1.LabelHostname: name,
				corev1.LabelOSStable: "linux", corev1.LabelArchStable: hw.arch, corev1.LabelInstanceTypeStable: "k3s",
				"beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": hw.arch, "beta.kubernetes.io/instance-type": "k3s",
			},
			Annotations: map[string]string{
				"k3s.io/hostname": name, "k3s.io/internal-ip": address, "k3s.io/node-args": `["agent","--flannel-iface","tailscale0"]`,
				"flannel.alpha.coreos.com/backend-type": "vxlan", "flannel.alpha.coreos.com/public-ip": address, "flannel.alpha.coreos.com/public-ip-overwrite": address,
				"metrics.k8s.io/resource-metrics-path": "/metrics/nodes/" + name + "/metrics/resource",
			},
		},
		Spec: corev1.NodeSpec{PodCIDR: fmt.Sprintf("10.42.%d.0/24", index%256), PodCIDRs: []string{fmt.Sprintf("10.42.%d.0/24", index%256)}},
		Status: corev1.NodeStatus{
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: address}, {Type: corev1.NodeHostName, Address: name}, {Type: corev1.NodeInternalDNS, Address: "localhost"},
			},
			NodeInfo: corev1.NodeSystemInfo{
				Architecture: hw.arch, OperatingSystem: "linux", OSImage: hw.os, KernelVersion: hw.kernel, KubeletVersion: kubernetesVersion + "+k3s1",
				ContainerRuntimeVersion: "containerd://2.1.5-k3s1", MachineID: name, SystemUUID: name, BootID: name,
			},
		},
	}
	n.Status.Capacity = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(hw.cpu), corev1.ResourceMemory: resource.MustParse(hw.memory),
		corev1.ResourceEphemeralStorage: resource.MustParse("200Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	n.Status.Allocatable = n.Status.Capacity
	if server {
		for _, role := range []string{"control-plane", "etcd", "master"} {
			n.Labels["node-role.kubernetes.io/"+role] = "true"
		}
		n.Annotations["k3s.io/node-args"] = `["server","--flannel-iface","tailscale0"]`
		n.Annotations["etcd.k3s.cattle.io/node-name"] = memberName(name)
		n.Annotations["etcd.k3s.cattle.io/node-address"] = address
	}
	return n
}
