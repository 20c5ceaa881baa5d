//go:build tools

// Package tailscale pins the daemon and its command.
package tailscale

import (
	_ "tailscale.com/cmd/tailscale"
	_ "tailscale.com/cmd/tailscaled"
)
