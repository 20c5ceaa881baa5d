package model

import "maps"

// Resources is an amount of what a node offers or a pod asks for.
type Resources struct {
	MilliCPU       int64            `json:"milliCPU"`
	MemoryBytes    int64            `json:"memoryBytes"`
	EphemeralBytes int64            `json:"ephemeralBytes,omitempty"`
	Pods           int64            `json:"pods,omitempty"`
	Extended       map[string]int64 `json:"extended,omitempty"` // by resource name, e.g. "example.com/coral"
}

// Add gives the sum of both; neither is changed.
func (r Resources) Add(o Resources) Resources {
	sum := Resources{
		MilliCPU:       r.MilliCPU + o.MilliCPU,
		MemoryBytes:    r.MemoryBytes + o.MemoryBytes,
		EphemeralBytes: r.EphemeralBytes + o.EphemeralBytes,
		Pods:           r.Pods + o.Pods,
		Extended:       r.Extended,
	}
	if len(o.Extended) == 0 {
		return sum
	}
	sum.Extended = maps.Clone(r.Extended)
	if sum.Extended == nil {
		sum.Extended = make(map[string]int64, len(o.Extended))
	}
	for name, n := range o.Extended {
		sum.Extended[name] += n
	}
	return sum
}

// Usage is what a node or pod was measured to use (metrics.k8s.io).
type Usage struct {
	Cluster     string `json:"cluster"`
	Name        string `json:"name"`
	MilliCPU    int64  `json:"milliCPU"`
	MemoryBytes int64  `json:"memoryBytes"`
}
