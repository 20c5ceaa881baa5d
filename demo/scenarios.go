package demo

import (
	"fmt"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Scenario describes one of the worlds.
type Scenario struct{ Name, Help string }

type scenario struct {
	Scenario
	build func(*sim)
}

var scenarios = []scenario{
	{Scenario{"weak", "all houses up, but several things would break"}, buildWeak},
	{Scenario{"healthy", "nothing is the matter"}, func(s *sim) { s.threeHouses(); s.homelab(); s.live() }},
	{Scenario{"powercut", "one house just went dark; it comes and goes"}, buildPowercut},
	{Scenario{"split", "two houses cannot see each other"}, buildSplit},
	{Scenario{"quorum", "two servers die: the control plane is lost"}, buildQuorum},
	{Scenario{"rebuild", "a house is back, its copies are being rebuilt"}, buildRebuild},
	{Scenario{"big", "50 sites, 1000 nodes, 20,000 pods"}, buildBig},
}

// Scenarios lists what New can make, the default first.
func Scenarios() []Scenario {
	list := make([]Scenario, len(scenarios))
	for i, sc := range scenarios {
		list[i] = sc.Scenario
	}
	return list
}

const (
	gib = int64(1) << 30
	mib = int64(1) << 20

	debian = "Debian GNU/Linux 13 (trixie)"
	rpiOS  = "Raspberry Pi OS 13 (trixie)"
)

// model of machines people have lying about.
type hardware struct {
	arch, os string
	milliCPU int64
	memory   int64
}

var (
	officePC = hardware{"amd64", debian, 4000, 16 * gib} // i5, third generation
	smallPC  = hardware{"amd64", debian, 4000, 8 * gib}  // i3, third generation
	pi5      = hardware{"arm64", rpiOS, 4000, 8 * gib}
	pi4      = hardware{"arm64", rpiOS, 4000, 4 * gib}
)

func (s *sim) machine(site string, n int, hw hardware, server bool) {
	m := &machine{
		name: fmt.Sprintf("%s-%d", site, n), site: site, index: len(s.machines), arch: hw.arch, os: hw.os, version: serverVersion,
		milliCPU: hw.milliCPU, memory: hw.memory, server: server, alive: true, pods: map[*pod]bool{},
	}
	m.born = s.now().Add(-time.Duration(200+s.chance(200, "node", m.name)) * 24 * time.Hour)
	s.machines = append(s.machines, m)
	s.byName[m.name] = m
}

// threeHouses is three houses with three machines each, a server in every one.
func (s *sim) threeHouses() {
	for _, h := range []struct {
		site     string
		machines []hardware
	}{
		{"curepipe", []hardware{smallPC, smallPC, pi4}},
		{"flacq", []hardware{smallPC, pi5, pi4}},
		{"moka", []hardware{officePC, smallPC, pi5}},
	} {
		for i, hw := range h.machines {
			s.machine(h.site, i+1, hw, i == 0)
		}
	}
}

// homelab is what such people run.
func (s *sim) homelab() {
	for _, w := range []*workload{
		{kind: "Deployment", namespace: "argocd", name: "argocd-server", image: "quay.io/argoproj/argocd:v3.2", replicas: 2, milliCPU: 100, memory: 256 * mib},
		{kind: "Deployment", namespace: "argocd", name: "argocd-repo-server", image: "quay.io/argoproj/argocd:v3.2", replicas: 1, milliCPU: 100, memory: 256 * mib},
		{kind: "StatefulSet", namespace: "db", name: "postgres", image: "docker.io/library/postgres:18", replicas: 3, milliCPU: 250, memory: 768 * mib, claim: "data", apart: true},
		{kind: "Deployment", namespace: "dev", name: "code-server", image: "docker.io/codercom/code-server:4", replicas: 1, milliCPU: 500, memory: gib, claim: "code-home"},
		{kind: "Deployment", namespace: "dev", name: "gitea", image: "docker.io/gitea/gitea:1", replicas: 1, milliCPU: 200, memory: 384 * mib, claim: "gitea-data"},
		{kind: "Deployment", namespace: "dev", name: "hakatime", image: "docker.io/mujx/hakatime:v1", replicas: 2, milliCPU: 50, memory: 128 * mib},
		{kind: "Deployment", namespace: "jobs", name: "bullmq-worker", image: "registry.example/bullmq-worker:12", replicas: 4, milliCPU: 100, memory: 192 * mib},
		{kind: "StatefulSet", namespace: "jobs", name: "redis", image: "docker.io/library/redis:8", replicas: 1, milliCPU: 100, memory: 256 * mib, claim: "data"},
		{kind: "Deployment", namespace: "kube-system", name: "coredns", image: "docker.io/rancher/mirrored-coredns-coredns:1.12", replicas: 2, milliCPU: 100, memory: 70 * mib},
		{kind: "Deployment", namespace: "kube-system", name: "metrics-server", image: "docker.io/rancher/mirrored-metrics-server:v0.8", replicas: 1, milliCPU: 100, memory: 70 * mib},
		{kind: "Deployment", namespace: "kube-system", name: "traefik", image: "docker.io/rancher/mirrored-library-traefik:3", replicas: 3, milliCPU: 100, memory: 128 * mib, apart: true},
		{kind: "DaemonSet", namespace: "longhorn-system", name: "longhorn-manager", image: "docker.io/longhornio/longhorn-manager:v1.10", milliCPU: 100, memory: 180 * mib, daemon: true},
		{kind: "Deployment", namespace: "longhorn-system", name: "longhorn-ui", image: "docker.io/longhornio/longhorn-ui:v1.10", replicas: 2, milliCPU: 20, memory: 32 * mib},
		{kind: "StatefulSet", namespace: "minio", name: "minio", image: "quay.io/minio/minio:latest", replicas: 3, milliCPU: 250, memory: 512 * mib, claim: "export", apart: true},
		{kind: "Deployment", namespace: "monitoring", name: "grafana", image: "docker.io/grafana/grafana:12", replicas: 1, milliCPU: 100, memory: 256 * mib},
		{kind: "DaemonSet", namespace: "monitoring", name: "node-exporter", image: "quay.io/prometheus/node-exporter:v1", milliCPU: 20, memory: 32 * mib, daemon: true},
		{kind: "StatefulSet", namespace: "monitoring", name: "prometheus", image: "quay.io/prometheus/prometheus:v3", replicas: 1, milliCPU: 300, memory: 1200 * mib, claim: "data"},
		{kind: "Deployment", namespace: "nextcloud", name: "nextcloud", image: "docker.io/library/nextcloud:32", replicas: 2, milliCPU: 400, memory: 768 * mib, claim: "nextcloud-data"},
		{kind: "Deployment", namespace: "web", name: "blog", image: "registry.example/blog:7", replicas: 2, milliCPU: 50, memory: 64 * mib},
		{kind: "Deployment", namespace: "web", name: "status-page", image: "registry.example/status-page:3", replicas: 3, milliCPU: 50, memory: 64 * mib, apart: true},
	} {
		s.add(w)
	}
	s.disks()
	s.addCron("nextcloud", "nextcloud-cron", "*/15 * * * *", s.now().Truncate(15*time.Minute))
	s.addCron("db", "postgres-dump", "30 2 * * *", s.now().Truncate(24*time.Hour).Add(22*time.Hour+30*time.Minute))
}

// live writes what was built and sets its daily life going.
func (s *sim) live() {
	s.apiServers()
	s.counts()
	for _, m := range s.machines {
		s.uplinkOf(m.site)
		m.heard = s.now()
		s.putNode(m)
		s.renew(m)
		s.every(time.Duration(s.chance(10000, "renew", m.name))*time.Millisecond, renewEvery, func() { s.renew(m) })
	}
	s.every(monitorEvery, monitorEvery, s.monitor)
	s.every(time.Minute, time.Minute, s.expireEvents)
}

// apiServers writes the EndpointSlice of the kubernetes service.
func (s *sim) apiServers() {
	name, port := "https", int32(6443)
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: "kubernetes", Labels: map[string]string{discoveryv1.LabelServiceName: "kubernetes"}, CreationTimestamp: stamp(s.now())},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
	}
	ready := true
	for _, m := range s.machines {
		if m.server && m.alive {
			slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{m.address()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}})
		}
	}
	s.demo.store.put(slice)
}

func (s *sim) workload(name string) *workload {
	for _, w := range s.workloads {
		if w.name == name {
			return w
		}
	}
	panic("the demo has no workload " + name)
}

// ail makes a pod wait for the given reason.
func (s *sim) ail(p *pod, reason string, restarts int) {
	p.trouble, p.ready, p.running, p.restarts = reason, false, restarts > 0, restarts
	p.since = s.now().Add(-40 * time.Minute)
	p.restartedAt = s.now().Add(-4 * time.Minute)
	s.putPod(p)
	s.event(p.object(), "Warning", "BackOff", troubleMessage(p), p.node.name)
}

func buildWeak(s *sim) {
	s.threeHouses()
	s.byName["flacq-2"].cordoned = true
	s.byName["curepipe-3"].version = "v1.36.1+k3s1"
	s.add(&workload{kind: "Deployment", namespace: "photos", name: "photo-ml", image: "registry.example/photo-ml:2", replicas: 2, milliCPU: 1500, memory: 9 * gib})
	s.homelab()
	s.gather("bullmq-worker", "moka")
	s.ail(s.workload("hakatime").pods[0], "CrashLoopBackOff", 23)
	s.ail(s.workload("blog").pods[1], "ImagePullBackOff", 0)
	s.live()
	// Its provider changes a house's address, and does not let packets in straight.
	s.relayed[houses("flacq", "moka")] = true
	s.disk("code-home").backups = "never"
	s.disk("nextcloud-data").backups = "failing"
	s.disk("data-prometheus-0").backups = "missing"
	gitea := s.disk("gitea-data")
	gitea.on = []*machine{s.byName["moka-1"], s.byName["moka-3"]}
	s.byName["curepipe-3"].keyExpiry = start.Add(9 * 24 * time.Hour)
	s.every(history+4*time.Minute, 10*time.Minute, func() { s.cycle("moka") })
	// A Pi on bad Wi-Fi loses its heartbeats for half a minute now and then.
	wifi := s.byName["flacq-3"]
	s.every(history+150*time.Second, 6*time.Minute, func() { wifi.quietUntil = s.now().Add(45 * time.Second) })
	crashing := s.workload("hakatime").pods[0]
	s.every(history+3*time.Minute, 5*time.Minute, func() {
		crashing.restarts++
		crashing.restartedAt = s.now()
		s.putPod(crashing)
		s.event(crashing.object(), "Warning", "BackOff", troubleMessage(crashing), crashing.node.name)
	})
}

// gather moves all pods of a workload into one house, as a scheduler without
// spread constraints may have done long ago.
func (s *sim) gather(workload, site string) {
	var there []*machine
	for _, m := range s.machines {
		if m.site == site {
			there = append(there, m)
		}
	}
	for i, p := range s.workload(workload).pods {
		delete(p.node.pods, p)
		p.node = there[i%len(there)]
		s.putPod(p)
	}
}

// Times of the power cuts, from the demo's first moment on.
const (
	cutBefore = 70 * time.Second // the house went dark so long before
	cutLength = 5 * time.Minute
	cutPause  = 3 * time.Minute // of light between two cuts
)

func buildPowercut(s *sim) {
	s.threeHouses()
	s.homelab()
	s.live()
	s.every(history-cutBefore, cutLength+cutPause, func() {
		s.setPower("curepipe", false)
		s.after(15*time.Second, s.apiServers) // its API server's lease ran out
		s.after(cutLength, func() {
			s.setPower("curepipe", true)
			s.apiServers()
		})
	})
}

// buildRebuild has a house back for a minute after four of darkness.
func buildRebuild(s *sim) {
	s.threeHouses()
	s.homelab()
	s.live()
	s.every(history-5*time.Minute, 10*time.Minute, func() {
		s.setPower("moka", false)
		s.after(15*time.Second, s.apiServers)
		s.after(4*time.Minute, func() {
			s.setPower("moka", true)
			s.apiServers()
		})
	})
}

func buildSplit(s *sim) {
	s.threeHouses()
	s.homelab()
	s.live()
	s.split[houses("flacq", "moka")] = true
	s.every(history+4*time.Minute, 6*time.Minute, func() {
		s.split[houses("flacq", "moka")] = false
		s.after(2*time.Minute, func() { s.split[houses("flacq", "moka")] = true })
	})
}

func buildQuorum(s *sim) {
	s.threeHouses()
	s.homelab()
	s.live()
	s.after(history+8*time.Second, func() {
		s.setPower("curepipe", false)
		s.setPower("moka", false)
		s.demo.lose()
	})
}

// towns of Mauritius; sites beyond them get numbers.
var towns = []string{
	"albion", "bambous", "bel-air", "chamarel", "curepipe", "flacq", "goodlands", "grand-baie", "lalmatie", "mahebourg",
	"moka", "pamplemousses", "phoenix", "port-louis", "quatre-bornes", "riviere-noire", "rose-belle", "rose-hill", "souillac", "tamarin",
	"triolet", "vacoas",
}

func buildBig(s *sim) {
	for i := range 50 {
		site := fmt.Sprintf("site-%02d", i)
		if i < len(towns) {
			site = towns[i]
		}
		for n := range 20 {
			s.machine(site, n+1, []hardware{officePC, smallPC, pi5}[n%3], n == 0 && i < 5)
		}
	}
	const perWorkload = 50
	for i := range 400 {
		w := &workload{
			kind: []string{"Deployment", "Deployment", "StatefulSet"}[i%3], namespace: fmt.Sprintf("team-%02d", i%40), name: fmt.Sprintf("app-%03d", i),
			image: fmt.Sprintf("registry.example/app-%03d:1", i), replicas: perWorkload, milliCPU: 25, memory: 48 * mib,
		}
		s.addSpread(w, i*perWorkload)
	}
	s.live()
}

// addSpread is add for worlds so large that placing pod by pod takes too long:
// pods go round the machines.
func (s *sim) addSpread(w *workload, from int) {
	replicas := w.replicas
	w.replicas = 0
	s.add(w)
	w.replicas = replicas
	s.putReplicaSet(w)
	for i := range replicas {
		w.made++
		p := &pod{of: w, place: i, name: w.podName(s.demo.seed, i), running: true, ready: true, node: s.machines[(from+i)%len(s.machines)]}
		p.uid = uid("pod", w.namespace, p.name, w.made)
		p.born = s.now().Add(-time.Duration(30+s.chance(20000, "podage", p.name)) * time.Minute)
		p.since = p.born
		w.pods = append(w.pods, p)
		s.putPod(p)
	}
}
