// Command rackwright-silicon stands in for what only real GPUs can answer: the device plugin, feature discovery,
// nvidia-smi, the DCGM exporter, the operator and its validator, all from one description of a node's GPUs.
//
// The name it is called by, or else the first argument, picks the program. Everything it says is emulated, and it says so.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
)

var programs = map[string]func(ctx context.Context, args []string) error{
	"device-plugin":     runDevicePlugin,
	"feature-discovery": runFeatureDiscovery,
	"find":              runFind,
	"nvidia-smi":        runSmi,
	"dcgm-exporter":     runExporter,
	"driver":            runDriver,
	"operator":          runOperator,
	"validator":         runValidator,
}

func main() {
	name, args := filepath.Base(os.Args[0]), os.Args[1:]
	program, found := programs[name]
	if !found && len(args) > 0 {
		name, args = args[0], args[1:]
		program, found = programs[name]
	}
	if !found {
		names := make([]string, 0, len(programs))
		for known := range programs {
			names = append(names, known)
		}
		sort.Strings(names)
		fmt.Fprintf(os.Stderr, "usage: rackwright-silicon %s [arguments]\n", strings.Join(names, "|"))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := program(ctx, args); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// runDriver is the driver container: there is no kernel module to load, so it says what it stands for and stays, for
// nvidia-smi to be run in it.
func runDriver(ctx context.Context, _ []string) error {
	silicon, err := loadSilicon()
	if err != nil {
		return err
	}
	logf("driver %s (emulated) serves %d x %s", silicon.driverVersion(), len(silicon.GPUs), silicon.product())
	<-ctx.Done()
	return nil
}
