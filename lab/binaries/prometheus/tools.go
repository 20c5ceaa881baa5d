//go:build tools

// Package prometheus pins Prometheus, which some people have beside their cluster.
package prometheus

import _ "github.com/prometheus/prometheus/cmd/prometheus"
