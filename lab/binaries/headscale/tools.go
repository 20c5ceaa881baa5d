//go:build tools

// Package headscale pins Headscale, the control server of a tailnet that people run themselves.
package headscale

import _ "github.com/juanfont/headscale/cmd/headscale"
