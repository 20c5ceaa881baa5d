// Package geotop is the cockpit for Kubernetes clusters that are stretched
// across houses. The program is in cmd/geotop; ARCHITECTURE.md is the map.
package geotop
