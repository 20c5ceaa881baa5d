package rig

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Status is what a rig looks like now.
type Status struct {
	Dir        string            `json:"dir"`
	API        string            `json:"api"`
	Components []ComponentStatus `json:"components"`
	Houses     []HouseStatus     `json:"houses"`
	Proxies    []ProxyStatus     `json:"proxies"`
	Etcd       map[string]string `json:"etcd"`            // where members in houses have their metrics, by machine
	Error      string            `json:"error,omitempty"` // why the nodes could not be read
}

// ComponentStatus is one process.
type ComponentStatus struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
	Up   bool   `json:"up"`
}

// HouseStatus is one house: how many of its nodes are ready, and cut.
type HouseStatus struct {
	Name  string `json:"name"`
	Nodes int    `json:"nodes"`
	Ready int    `json:"ready"`
	Cut   int    `json:"cut"`
}

// ProxyStatus is one slow way to the API.
type ProxyStatus struct {
	Address     string `json:"address"`
	Slow        Slow   `json:"slow"`
	Up          int64  `json:"bytesUp"`
	Down        int64  `json:"bytesDown"`
	Connections int64  `json:"connections"`
}

// Status looks at everything.
func (r *Rig) Status(ctx context.Context) Status {
	s := Status{Dir: r.Dir, API: "https://" + r.APIAddress(), Etcd: r.EtcdMetrics()}
	r.mu.Lock()
	newest := map[string]int{}
	for _, c := range r.components {
		if i, ok := newest[c.Name]; ok {
			s.Components[i] = ComponentStatus{c.Name, c.PID, c.Up()}
			continue
		}
		newest[c.Name] = len(s.Components)
		s.Components = append(s.Components, ComponentStatus{c.Name, c.PID, c.Up()})
	}
	for _, p := range r.proxies {
		s.Proxies = append(s.Proxies, ProxyStatus{p.Address(), p.get(), p.Up.Load(), p.Down.Load(), p.Connections.Load()})
	}
	r.mu.Unlock()
	readyIn := map[string]int{}
	if err := r.countReady(ctx, readyIn); err != nil {
		s.Error = err.Error()
	}
	for _, h := range r.houses {
		s.Houses = append(s.Houses, HouseStatus{h.name, len(h.nodes), readyIn[h.name], len(h.cut)})
	}
	return s
}

func (r *Rig) countReady(ctx context.Context, readyIn map[string]int) error {
	c, err := r.Client()
	if err != nil {
		return err
	}
	nodes, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return err
	}
	for i := range nodes.Items {
		if n := &nodes.Items[i]; ready(n) {
			readyIn[n.Labels["topology.kubernetes.io/zone"]]++
		}
	}
	return nil
}
