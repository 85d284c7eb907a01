//go:build tools

// Package packaging pins the commands that the bundle builds.
package packaging

import (
	_ "helm.sh/helm/v4/cmd/helm"
)
