package model

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// StoreCluster is what a MinIO says of its servers to those who may ask (admin
// API, action admin:ServerInfo).
type StoreCluster struct {
	Mode    string         `json:"mode"`   // "online", "initializing", ...
	Parity  int            `json:"parity"` // drives of a set that may be lost; of the standard class
	Servers []*StoreServer `json:"servers"`
}

// StoreServer is one server of an object store.
type StoreServer struct {
	Endpoint string       `json:"endpoint"` // host:port, as the servers know each other
	Site     string       `json:"site"`     // set by Assemble; "" when it cannot be told
	Node     string       `json:"node"`     // likewise
	Online   bool         `json:"online"`
	Version  string       `json:"version,omitempty"`
	Uptime   float64      `json:"uptimeSeconds,omitempty"`
	Drives   []StoreDrive `json:"drives"`
	// Spare is whether the store keeps its quorum without this server, by its own
	// forecast; null when it could not be asked.
	Spare *bool `json:"spare"`
}

// StoreDrive is one drive of a server.
type StoreDrive struct {
	Path      string `json:"path"`
	State     string `json:"state"` // "ok", "offline", "faulty", ...
	Healing   bool   `json:"healing"`
	Pool      int    `json:"pool"`
	Set       int    `json:"set"` // erasure set in the pool
	Total     int64  `json:"totalBytes"`
	Available int64  `json:"availableBytes"` // of the file system it is in
}

// Good reports whether the drive takes part.
func (d StoreDrive) Good() bool { return d.State == "ok" && !d.Healing }

// place finds each server's machine and site: by its address, its name, or the
// pod it is.
func (w *World) placeServers(f *StoreFacts) {
	if f.Cluster == "" || f.MinIO == nil {
		return
	}
	placed := *f.MinIO
	placed.Servers = []*StoreServer{}
	for _, s := range f.MinIO.Servers {
		at := *s
		at.Node, at.Site = "", ""
		if n := w.hostOf(f.Cluster, s.Endpoint); n != nil {
			at.Node, at.Site = n.Name, n.Site
		}
		placed.Servers = append(placed.Servers, &at)
	}
	f.MinIO = &placed
}

// hostOf finds the node behind a host and port.
func (w *World) hostOf(cluster, endpoint string) *Node {
	host := endpoint
	if at := strings.LastIndexByte(endpoint, ':'); at > strings.LastIndexByte(endpoint, ']') {
		host = endpoint[:at]
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	_, notIP := netip.ParseAddr(host)
	labels := strings.Split(host, ".")
	if len(labels) >= 4 && labels[3] == "svc" { // POD.SERVICE.NAMESPACE.svc...
		if p := w.Pod(cluster, labels[2], labels[0]); p != nil {
			return w.Node(cluster, p.Node)
		}
	}
	for _, n := range w.Nodes {
		named := notIP != nil && (n.Name == host || n.Name == labels[0])
		if n.Cluster == cluster && (named || slices.ContainsFunc(n.Addresses, func(a Address) bool { return a.Address == host })) {
			return n
		}
	}
	return nil
}

// fullAt is how full a drive may be.
const fullAt = 90

// judgeServers reports servers and drives that are away or full; those of a site
// that is gone are that site's finding.
func (w *World) judgeServers(f *StoreFacts) {
	if f.MinIO == nil {
		return
	}
	name := SourceStore + "/" + f.Target
	for _, s := range f.MinIO.Servers {
		if site := w.sites[s.Site]; site != nil && site.gone() {
			continue
		}
		if !s.Online {
			w.reason(Warning, f.Cluster, s.Site, name, "its server "+s.Endpoint+" is offline")
			continue
		}
		for _, d := range s.Drives {
			switch {
			case d.State != "ok":
				w.reason(Warning, f.Cluster, s.Site, name, fmt.Sprintf("drive %s of %s is %s", d.Path, s.Endpoint, cmp.Or(d.State, "in no known state")))
			case d.Total > 0 && 100*(d.Total-d.Available) >= fullAt*d.Total:
				w.reason(Warning, f.Cluster, s.Site, name, fmt.Sprintf("drive %s of %s is %d %% full", d.Path, s.Endpoint, 100*(d.Total-d.Available)/d.Total))
			}
		}
	}
}

// Online counts the servers that are.
func (c *StoreCluster) Online() int {
	n := 0
	for _, s := range c.Servers {
		if s.Online {
			n++
		}
	}
	return n
}

// Free sums up what the drives that take part have left, and their size.
func (c *StoreCluster) Free() (available, total int64) {
	for _, s := range c.Servers {
		for _, d := range s.Drives {
			if d.Good() {
				available += d.Available
				total += d.Total
			}
		}
	}
	return available, total
}
