// Package rig runs real Kubernetes components on loopback: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, metrics-server, and KWOK in the place
// of kubelets, one for each house, so that killing it is that house's power cut.
//
// A Rig belongs to the process that made it. Its components are that process's
// children and carry a parent-death signal: whatever way the owner ends, kill -9
// included, the kernel ends them too. Nothing is ever stopped by name. The
// command beside this package keeps a Rig alive in a process of its own.
//
// Everything listens on 127.0.0.1 and on free ports; every Rig has a folder of
// its own, so that several may run side by side.
package rig

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Config says what cluster to make. The zero value is three houses of three.
type Config struct {
	Dir string // its folder; a fresh one under the system's temporary folder when empty

	Houses   int // 3
	PerHouse int // 3
	Nodes    int // when set: so many nodes, dealt round over Sites
	Sites    int // 3
	Pods     int // when set: so many pods of many workloads in place of the homelab

	Grace       time.Duration // node-monitor-grace-period; 12 s, with over 100 nodes 50 s as by default
	Tolerations time.Duration // how long pods stay on a lost node; 10 s
	Lease       time.Duration // lease of a node, renewed at a quarter of it; 8 s, with over 100 nodes 40 s as by default
	EvictRate   float64       // nodes a second and zone; 0.1 as by default

	Etcd       int                              // members, in the first houses; 1 when 0, and then in none of them
	EtcdDelay  time.Duration                    // from one of several members to another, each way
	NoMetrics  bool                             // no metrics-server
	NoTailnet  bool                             // no tailnet; large rigs have none
	NoLonghorn bool                             // no Longhorn; large rigs have none
	Empty      bool                             // no workloads at all
	Shape      func(*corev1.Node)               `json:"-"` // changes a machine before it is made
	Broken     bool                             // add a Deployment that fits nowhere
	Log        func(format string, args ...any) `json:"-"`
}

func (c *Config) complete() error {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	defTime := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.Houses, 3)
	def(&c.PerHouse, 3)
	if c.Nodes > 0 {
		def(&c.Sites, 3)
		c.Houses = c.Sites
	}
	defTime(&c.Tolerations, 10*time.Second)
	if c.Nodes > 100 { // a thousand hasty kubelets are all that the API server would serve
		defTime(&c.Grace, 50*time.Second)
		defTime(&c.Lease, 40*time.Second)
	}
	defTime(&c.Grace, 12*time.Second)
	defTime(&c.Lease, 8*time.Second)
	if c.machines() > tailnetUpTo {
		c.NoTailnet = true
	}
	if c.machines() > longhornUpTo {
		c.NoLonghorn = true
	}
	if c.EvictRate == 0 {
		c.EvictRate = 0.1
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	switch {
	case c.Houses < 1 || c.PerHouse < 1 || c.Nodes < 0 || c.Pods < 0:
		return fmt.Errorf("houses, nodes and pods must be more than nothing")
	case c.Etcd < 0 || c.Etcd > c.Houses:
		return fmt.Errorf("%d etcd members cannot be in %d houses", c.Etcd, c.Houses)
	case c.Nodes > 0 && c.Nodes < c.Sites:
		return fmt.Errorf("%d nodes cannot fill %d sites", c.Nodes, c.Sites)
	case c.Lease < time.Second || c.Grace < c.Lease:
		return fmt.Errorf("the grace period (%v) must be at least a lease (%v), and that a second", c.Grace, c.Lease)
	}
	return nil
}

// managerArgs are the clocks of the controller-manager, as k3s would be told them.
func (c *Config) managerArgs() []string {
	return []string{
		"node-monitor-period=1s", "node-monitor-grace-period=" + c.Grace.String(), "node-eviction-rate=" + strconv.FormatFloat(c.EvictRate, 'f', -1, 64),
	}
}

// machines is how many nodes there will be.
func (c *Config) machines() int {
	if c.Nodes > 0 {
		return c.Nodes
	}
	return c.Houses * c.PerHouse
}

// towns of Mauritius name the houses; sites beyond them get numbers.
var towns = []string{
	"moka", "curepipe", "flacq", "albion", "bambous", "bel-air", "chamarel", "goodlands", "grand-baie", "lalmatie", "mahebourg",
	"pamplemousses", "phoenix", "port-louis", "quatre-bornes", "riviere-noire", "rose-belle", "rose-hill", "souillac", "tamarin",
	"triolet", "vacoas",
}

func houseName(i int) string {
	if i < len(towns) {
		return towns[i]
	}
	return fmt.Sprintf("site-%02d", i)
}
