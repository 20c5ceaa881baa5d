package demo

import (
	"fmt"
	"time"
)

// What metrics.k8s.io/v1beta1 answers; its Go types live in a module of their own.
type metricsList struct {
	Kind       string        `json:"kind"`
	APIVersion string        `json:"apiVersion"`
	Metadata   struct{}      `json:"metadata"`
	Items      []metricsItem `json:"items"`
}

type metricsItem struct {
	Metadata   map[string]string  `json:"metadata"`
	Timestamp  time.Time          `json:"timestamp"`
	Window     string             `json:"window"`
	Usage      map[string]string  `json:"usage,omitempty"`
	Containers []metricsContainer `json:"containers,omitempty"`
}

type metricsContainer struct {
	Name  string            `json:"name"`
	Usage map[string]string `json:"usage"`
}

// measureEvery is metrics-server's resolution.
const measureEvery = 15 * time.Second

// wave is a load of about base per cent that moves gently with the time.
func (s *sim) wave(base int, at time.Time, parts ...any) int {
	slot := at.Unix() / int64(measureEvery/time.Second)
	swing := func(n int64) int { return s.chance(9, append(parts, n)...) - 4 }
	return max(1, base+(swing(slot/20)+swing(slot/4)+swing(slot))/2)
}

func (d *Demo) nodeMetrics() metricsList {
	at := d.Now().Truncate(measureEvery)
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	list := metricsList{Kind: "NodeMetricsList", APIVersion: "metrics.k8s.io/v1beta1", Items: []metricsItem{}}
	for _, m := range d.sim.machines {
		if m.alive {
			list.Items = append(list.Items, metricsItem{Metadata: map[string]string{"name": m.name}, Timestamp: at, Window: "15s", Usage: usage(d.sim.nodeLoad(m, at))})
		}
	}
	return list
}

// nodeLoad is the system's own share and what the pods take of their requests, in
// millicores and bytes.
func (s *sim) nodeLoad(m *machine, at time.Time) (cpu, memory int64) {
	for p := range m.pods {
		if p.running {
			cpu += p.of.milliCPU
			memory += p.of.memory
		}
	}
	slot := at.Unix() / int64(measureEvery/time.Second)
	if s.chance(8, "burst", m.name, slot/6) == 0 { // something is indexed, or converted
		cpu += m.milliCPU * int64(30+s.chance(40, "burst of", m.name, slot/6)) / 100
	}
	cpu = m.milliCPU*4/100 + cpu*int64(s.wave(45, at, "cpu", m.name))/100
	memory = 600<<20 + memory*int64(s.wave(85, at, "memory", m.name))/100
	return min(cpu, m.milliCPU), min(memory, m.memory)
}

func (d *Demo) podMetrics() metricsList {
	at := d.Now().Truncate(measureEvery)
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	list := metricsList{Kind: "PodMetricsList", APIVersion: "metrics.k8s.io/v1beta1", Items: []metricsItem{}}
	for _, m := range d.sim.machines {
		if !m.alive {
			continue
		}
		for _, p := range d.sim.podsOn(m) {
			if p.running {
				u := usage(p.of.milliCPU*int64(d.sim.wave(45, at, p.name))/100, p.of.memory*int64(d.sim.wave(85, at, p.name, "memory"))/100)
				list.Items = append(list.Items, metricsItem{
					Metadata: map[string]string{"name": p.name, "namespace": p.of.namespace}, Timestamp: at, Window: "15s",
					Containers: []metricsContainer{{p.of.name, u}},
				})
			}
		}
	}
	return list
}

func usage(milliCPU, memory int64) map[string]string {
	return map[string]string{"cpu": fmt.Sprintf("%dm", milliCPU), "memory": fmt.Sprintf("%dKi", memory>>10)}
}
