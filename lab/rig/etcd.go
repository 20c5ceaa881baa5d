package rig

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

// member is one etcd of the rig.
type member struct {
	name  string // in etcd
	house string // "" for the rig's own, which no power cut ends
	node  string
	proxy *Proxy // on the way to it, for other members
}

// planEtcd chooses the members: the rig's own, or one on the first machine of
// each of so many houses, as k3s servers have them.
func (r *Rig) planEtcd() error {
	if r.cfg.Etcd <= 1 {
		r.members = []*member{{name: "lab"}}
	}
	for _, h := range r.houses[:min(r.cfg.Etcd, len(r.houses))] {
		if r.cfg.Etcd > 1 {
			r.members = append(r.members, &member{name: memberName(h.nodes[0]), house: h.name, node: h.nodes[0]})
		}
	}
	for _, m := range r.members {
		if err := r.choosePorts("etcd-"+m.name, "peer-"+m.name, "etcd-metrics-"+m.name); err != nil {
			return err
		}
	}
	return nil
}

// memberName is the name k3s gives the etcd member of a node.
func memberName(node string) string {
	h := fnv.New32a()
	h.Write([]byte(node))
	return fmt.Sprintf("%s-%08x", node, h.Sum32())
}

func (m *member) component() string { return strings.TrimSuffix("etcd-"+m.house, "-") }

// peerURL is where other members reach it: through a proxy where there are others.
func (r *Rig) peerURL(m *member) string {
	if m.proxy != nil {
		return "http://" + m.proxy.Address()
	}
	return "http://" + r.address("peer-"+m.name)
}

func (r *Rig) startEtcd(ctx context.Context) error {
	if len(r.members) > 1 {
		for _, m := range r.members {
			var err error
			if m.proxy, err = NewProxy(r.address("peer-" + m.name)); err != nil {
				return err
			}
			m.proxy.Set(Slow{Delay: r.cfg.EtcdDelay})
			r.mu.Lock()
			r.ends = append(r.ends, m.proxy.Close)
			r.mu.Unlock()
		}
	}
	for _, m := range r.members {
		if err := r.launchEtcd(m); err != nil {
			return err
		}
	}
	for _, m := range r.members {
		if err := r.awaitEtcd(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rig) awaitEtcd(ctx context.Context, m *member) error {
	return r.component(m.component()).await(ctx, 30*time.Second, func(ctx context.Context) error {
		return answers(ctx, "http://"+r.address("etcd-"+m.name)+"/health")
	})
}

// launchEtcd starts a member, with k3s's patience where there are several.
func (r *Rig) launchEtcd(m *member) error {
	client, cluster := "http://"+r.address("etcd-"+m.name), []string{}
	for _, o := range r.members {
		cluster = append(cluster, o.name+"="+r.peerURL(o))
	}
	args := []string{r.bin["etcd"], "--name=" + m.name, "--data-dir=" + r.file("etcd-"+m.name), "--unsafe-no-fsync",
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client, "--listen-metrics-urls=http://" + r.address("etcd-metrics-"+m.name),
		"--listen-peer-urls=http://" + r.address("peer-"+m.name), "--initial-advertise-peer-urls=" + r.peerURL(m),
		"--initial-cluster=" + strings.Join(cluster, ","), "--quota-backend-bytes=8589934592", "--log-level=warn"}
	if len(r.members) > 1 {
		args = append(args, "--heartbeat-interval=500", "--election-timeout=5000")
	}
	_, err := r.launch(m.component(), m.house, args...)
	return err
}

// etcdServers is what API servers are told.
func (r *Rig) etcdServers() string {
	urls := []string{}
	for _, m := range r.members {
		urls = append(urls, "http://"+r.address("etcd-"+m.name))
	}
	return strings.Join(urls, ",")
}

// powerEtcd switches the house's member.
func (r *Rig) powerEtcd(house string, on bool) error {
	for _, m := range r.members {
		c := r.component(m.component())
		switch {
		case m.house != house || c == nil:
		case on && !c.Up():
			return r.launchEtcd(m)
		case !on:
			c.kill()
		}
	}
	return nil
}

// EtcdMetrics is where the members' metrics are, by node.
func (r *Rig) EtcdMetrics() map[string]string {
	urls := map[string]string{}
	for _, m := range r.members {
		if m.node != "" {
			urls[m.node] = "http://" + r.address("etcd-metrics-"+m.name) + "/metrics"
		}
	}
	return urls
}

// SlowEtcd makes the way to the member in the house slow, for the other members.
func (r *Rig) SlowEtcd(house string, s Slow) error {
	for _, m := range r.members {
		if m.house == house && m.proxy != nil {
			m.proxy.Set(s)
			return nil
		}
	}
	return fmt.Errorf("no etcd member of several in %q", house)
}
