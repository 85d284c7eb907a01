//go:build tools

// Package packaging pins the commands that the bundle builds.
package packaging

import (
	_ "github.com/opencontainers/runc"
)
