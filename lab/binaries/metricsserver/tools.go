//go:build tools

// Package metricsserver pins the metrics.k8s.io server that the lab builds.
package metricsserver

import _ "sigs.k8s.io/metrics-server/cmd/metrics-server"
