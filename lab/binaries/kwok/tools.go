//go:build tools

// Package kwok pins the stand-in for kubelets that the lab builds.
package kwok

import _ "sigs.k8s.io/kwok/cmd/kwok"
