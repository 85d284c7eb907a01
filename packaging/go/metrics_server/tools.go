//go:build tools

// Package packaging pins the commands that the bundle builds.
package packaging

import (
	_ "sigs.k8s.io/metrics-server/cmd/metrics-server"
)
