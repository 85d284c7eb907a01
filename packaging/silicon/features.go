package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// featureLabels is what node feature discovery and GPU feature discovery would set on the node, and the operator's
// marks for the DaemonSets that are to run there.
func featureLabels(silicon *Silicon) map[string]string {
	chip, driver, cuda := silicon.chip(), parts(silicon.driverVersion()), parts(silicon.cudaVersion())
	labels := map[string]string{
		"feature.node.kubernetes.io/pci-10de.present": "true",
		"nvidia.com/gpu.present":                      "true",
		"nvidia.com/gpu.count":                        strconv.Itoa(len(silicon.GPUs)),
		"nvidia.com/gpu.product":                      labelValue(silicon.product()),
		"nvidia.com/gpu.memory":                       strconv.Itoa(silicon.memory()),
		"nvidia.com/gpu.family":                       chip.family,
		"nvidia.com/gpu.compute.major":                strconv.Itoa(chip.major),
		"nvidia.com/gpu.compute.minor":                strconv.Itoa(chip.minor),
		"nvidia.com/gpu.mode":                         "compute",
		"nvidia.com/gpu.replicas":                     "1",
		"nvidia.com/gpu.sharing-strategy":             "none",
		"nvidia.com/mig.capable":                      strconv.FormatBool(chip.mig),
		"nvidia.com/mps.capable":                      "false",
		"nvidia.com/vgpu.present":                     "false",
		"nvidia.com/cuda.driver-version.full":         silicon.driverVersion(),
		"nvidia.com/cuda.driver-version.major":        driver[0],
		"nvidia.com/cuda.driver-version.minor":        driver[1],
		"nvidia.com/cuda.driver-version.revision":     driver[2],
		"nvidia.com/cuda.runtime-version.full":        silicon.cudaVersion(),
		"nvidia.com/cuda.runtime-version.major":       cuda[0],
		"nvidia.com/cuda.runtime-version.minor":       cuda[1],
	}
	if strategy := os.Getenv("MIG_STRATEGY"); strategy != "" {
		labels["nvidia.com/mig.strategy"] = strategy
	}
	if silicon.Machine != "" {
		labels["nvidia.com/gpu.machine"] = labelValue(silicon.Machine)
	}
	for _, component := range []string{
		"container-toolkit", "dcgm", "dcgm-exporter", "device-plugin", "driver", "gpu-feature-discovery",
		"node-status-exporter", "operator-validator",
	} {
		labels["nvidia.com/gpu.deploy."+component] = "true"
	}
	return labels
}

// labelValue makes a product's name fit for a label's value.
func labelValue(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), " ", "-")
}

// runFeatureDiscovery keeps the labels of its own node as the description has them.
func runFeatureDiscovery(ctx context.Context, _ []string) error {
	if _, err := loadSilicon(); err != nil {
		return err
	}
	api, err := newCluster()
	if err != nil {
		return err
	}
	every(ctx, time.Minute, func(ctx context.Context) error {
		silicon, err := loadSilicon()
		if err != nil {
			return err
		}
		own, name, err := api.ownNode(ctx)
		if err != nil {
			return fmt.Errorf("reading node %s: %w", name, err)
		}
		missing := map[string]string{}
		for key, value := range featureLabels(silicon) {
			if own.Metadata.Labels[key] != value {
				missing[key] = value
			}
		}
		if len(missing) == 0 {
			return nil
		}
		if err := api.label(ctx, name, missing); err != nil {
			return fmt.Errorf("labelling node %s: %w", name, err)
		}
		logf("set %d labels of node %s", len(missing), name)
		return nil
	})
	return nil
}
