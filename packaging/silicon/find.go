package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Where a virtual machine's firmware shows what the emulator was given for it, below the host's /sys/firmware; only
// root may read it.
const firmwareFile = "/host/firmware/qemu_fw_cfg/by_name/opt/rackwright/gpus/raw"

// runFind puts a node's description where the other programs look for it. A container has it there from the lab; an
// emulated machine carries it in its firmware, as a real one its GPUs on the PCI bus.
func runFind(_ context.Context, _ []string) error {
	from, to := firmwareFile, siliconFile
	if other := os.Getenv("RACKWRIGHT_FIRMWARE"); other != "" {
		from = other
	}
	if other := os.Getenv("RACKWRIGHT_SILICON"); other != "" {
		to = other
	}
	content, err := os.ReadFile(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil // no machine of this kind: what there is, is there already
	}
	if err != nil {
		return fmt.Errorf("reading the GPUs that this machine's firmware describes: %w", err)
	}
	if known, err := os.ReadFile(to); err == nil && bytes.Equal(known, content) {
		return nil
	}
	scratch, err := os.CreateTemp(filepath.Dir(to), ".gpus")
	if err != nil {
		return fmt.Errorf("writing this node's GPUs: %w", err)
	}
	defer os.Remove(scratch.Name())
	_, err = scratch.Write(content)
	if err = errors.Join(err, scratch.Chmod(0o644), scratch.Close()); err != nil {
		return fmt.Errorf("writing this node's GPUs: %w", err)
	}
	return os.Rename(scratch.Name(), to)
}
