package demo

import (
	"maps"
	"slices"
	"time"
)

// Figure is what was measured at a moment before one looks.
type Figure struct {
	At      time.Time
	Cluster string  // of a Node
	Kind    string  // Node, Site or Link
	Name    string  // of a link, "from>to>ping"
	Figure  string  // cpu and memory, of what is there; rtt, in seconds; loss, of packets
	Value   float64 // shares are 0 to 1
}

const (
	pastStep = 30 * time.Second
	pastKept = 60 // steps
)

// Past is what was measured in the last half hour, the oldest first.
func (d *Demo) Past() []Figure {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	return slices.Concat(d.sim.past...)
}

// remember measures from now on, and makes up what was before from how things are.
func (s *sim) remember() {
	for at := s.now().Add(-(pastKept - 1) * pastStep); at.Before(s.now()); at = at.Add(pastStep) {
		s.measure(at)
	}
	s.every(0, pastStep, func() { s.measure(s.now()) })
}

// measure notes every figure of one moment.
func (s *sim) measure(at time.Time) {
	s.past = append(s.past[max(0, len(s.past)+1-pastKept):], nil)
	now := &s.past[len(s.past)-1]
	type sums struct{ cpu, memory, allCPU, allMemory int64 }
	sites := map[string]*sums{}
	nearest := map[string]time.Duration{} // by house, of the machines that answer
	from, cluster := s.vantage(), s.demo.ClusterName()
	for _, m := range s.machines {
		if m.site != from.site && nearest[m.site] == 0 {
			nearest[m.site] = time.Hour
		}
		if !m.alive {
			continue
		}
		cpu, memory := s.nodeLoad(m, at.Truncate(measureEvery))
		*now = append(*now,
			Figure{at, cluster, "Node", m.name, "cpu", float64(cpu) / float64(m.milliCPU)},
			Figure{at, cluster, "Node", m.name, "memory", float64(memory) / float64(m.memory)})
		if sites[m.site] == nil {
			sites[m.site] = &sums{}
		}
		of := sites[m.site]
		of.cpu, of.memory, of.allCPU, of.allMemory = of.cpu+cpu, of.memory+memory, of.allCPU+m.milliCPU, of.allMemory+m.memory
		if m.site != from.site && !s.cutOff(from.site, m.site) {
			nearest[m.site] = min(nearest[m.site], s.pingTime(m, at))
		}
	}
	for _, site := range slices.Sorted(maps.Keys(sites)) {
		of := sites[site]
		*now = append(*now,
			Figure{at, "", "Site", site, "cpu", float64(of.cpu) / float64(of.allCPU)},
			Figure{at, "", "Site", site, "memory", float64(of.memory) / float64(of.allMemory)})
	}
	for _, site := range slices.Sorted(maps.Keys(nearest)) {
		name, rtt, loss := from.site+">"+site+">ping", nearest[site], 1.0
		if rtt < time.Hour {
			loss = 0
			*now = append(*now, Figure{at, "", "Link", name, "rtt", rtt.Seconds()})
		}
		*now = append(*now, Figure{at, "", "Link", name, "loss", loss})
	}
}
