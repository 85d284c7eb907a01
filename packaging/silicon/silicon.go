package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

const siliconFile = "/etc/rackwright-silicon/gpus.json"

// Silicon describes the GPUs of one node, as the site's catalogue has them.
type Silicon struct {
	Machine      string `json:"machine"`      // the server's product name, such as "PowerEdge XE9680"; may be empty
	Product      string `json:"product"`      // as nvidia-smi prints it, such as "NVIDIA H100 80GB HBM3"
	Count        int    `json:"count"`        // GPUs in the node
	MemoryMiB    int    `json:"memory_mib"`   // of one GPU
	FormFactor   string `json:"form_factor"`  // "PCIe" or "SXM"
	Interconnect string `json:"interconnect"` // "nvswitch", "nvlink", "nvlink_bridge" or "none"
	Fabric       bool   `json:"fabric"`       // NVSwitches are there, so Fabric Manager has to have set them up
	FabricState  string `json:"fabric_state"` // Fabric Manager's verdict; empty: "Completed" where there is a fabric
	GPUs         []GPU  `json:"gpus"`
}

// GPU is one of them.
type GPU struct {
	Index int    `json:"index"`
	UUID  string `json:"uuid"`
	BusID string `json:"pci_bus_id"` // domain:bus:device.function
	NUMA  int    `json:"numa"`
	Peers []int  `json:"nvlink_peers"` // indices of the GPUs that it has NVLinks to
}

// loadSilicon reads the node's description; the error says what is wrong with it and what to do.
func loadSilicon() (*Silicon, error) {
	path := siliconFile
	if other := os.Getenv("RACKWRIGHT_SILICON"); other != "" {
		path = other
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no GPUs are described on this node: %s does not exist; "+
			"this program belongs only on nodes of a lab whose profile has GPUs", path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading this node's GPUs: %w", err)
	}
	silicon := &Silicon{}
	if err := json.Unmarshal(content, silicon); err != nil {
		return nil, fmt.Errorf("%s is not the description of a node's GPUs: %w", path, err)
	}
	if err := silicon.check(); err != nil {
		return nil, fmt.Errorf("%s contradicts itself: %w", path, err)
	}
	return silicon, nil
}

func (s *Silicon) check() error {
	if s.Product == "" || s.MemoryMiB <= 0 {
		return errors.New("product and memory_mib must be set")
	}
	if s.Count != len(s.GPUs) || s.Count == 0 {
		return fmt.Errorf("count is %d, but %d GPUs are listed", s.Count, len(s.GPUs))
	}
	seen := map[string]bool{}
	for position, gpu := range s.GPUs {
		if gpu.Index != position {
			return fmt.Errorf("GPU number %d has index %d", position, gpu.Index)
		}
		if gpu.UUID == "" || seen[gpu.UUID] {
			return fmt.Errorf("GPU %d has no uuid of its own: %q", position, gpu.UUID)
		}
		seen[gpu.UUID] = true
		for _, peer := range gpu.Peers {
			if peer < 0 || peer >= s.Count || peer == position {
				return fmt.Errorf("GPU %d cannot have an NVLink to %d", position, peer)
			}
		}
	}
	return nil
}

// fabricState is what nvidia-smi -q shows under Fabric, State.
func (s *Silicon) fabricState() string {
	switch {
	case !s.Fabric:
		return "N/A"
	case s.FabricState == "":
		return "Completed"
	default:
		return s.FabricState
	}
}

// usable says whether CUDA could start: on a fabric machine only once Fabric Manager has completed.
func (s *Silicon) usable() bool {
	return !s.Fabric || s.fabricState() == "Completed"
}

// links is the number of NVLinks between two GPUs.
func (s *Silicon) links(from, to int) int {
	for _, peer := range s.GPUs[from].Peers {
		if peer != to {
			continue
		}
		switch s.Interconnect {
		case "nvswitch":
			return 18
		case "nvlink_bridge":
			return 12
		case "nvlink":
			return 18 / len(s.GPUs[from].Peers)
		}
	}
	return 0
}

// allLinks is the number of NVLinks that a GPU has in use.
func (s *Silicon) allLinks(index int) int {
	switch {
	case len(s.GPUs[index].Peers) == 0 || s.Interconnect == "none":
		return 0
	case s.Interconnect == "nvlink_bridge":
		return 12
	default:
		return 18
	}
}

// chip is what a product's name alone tells.
type chip struct {
	family       string
	major, minor int
	watts        int
	idleWatts    int
	linkGBs      float64
	mig          bool
}

func (s *Silicon) chip() chip {
	name := s.Product
	has := func(part string) bool { return strings.Contains(name, part) }
	switch {
	case has("B200"), has("B300"):
		return chip{"blackwell", 10, 0, 1000, 140, 53.125, true}
	case has("H100 PCIe"):
		return chip{"hopper", 9, 0, 350, 48, 25.781, true}
	case has("H100"), has("H200"):
		return chip{"hopper", 9, 0, 700, 70, 26.562, true}
	case has("A100"):
		return chip{"ampere", 8, 0, 400, 55, 25, true}
	case has("L40S"):
		return chip{"ada-lovelace", 8, 9, 350, 34, 0, false}
	default:
		return chip{"ada-lovelace", 8, 9, 300, 34, 0, false}
	}
}

// Reading is what an idle GPU measures: constant, so that nothing emulated can be taken for a measurement.
type Reading struct {
	Utilisation, MemoryUsedMiB, Temperature, Watts int
}

func (s *Silicon) reading(index int) Reading {
	return Reading{Utilisation: 0, MemoryUsedMiB: 1, Temperature: 28 + index%4, Watts: s.chip().idleWatts}
}

// driverVersion is the version that the chart was asked to install.
func driverVersion() string {
	if version := os.Getenv("DRIVER_VERSION"); version != "" {
		return version
	}
	return "595.91.07"
}

// cudaVersion is the newest CUDA that a driver branch can run (CUDA's release notes, driver table).
func cudaVersion() string {
	branches := []struct {
		driver int
		cuda   string
	}{
		{595, "13.2"}, {590, "13.1"}, {580, "13.0"}, {575, "12.9"}, {570, "12.8"}, {565, "12.7"}, {560, "12.6"},
		{555, "12.5"}, {550, "12.4"}, {545, "12.3"}, {535, "12.2"}, {530, "12.1"}, {525, "12.0"}, {520, "11.8"},
	}
	var major int
	if _, err := fmt.Sscanf(driverVersion(), "%d", &major); err != nil {
		return "unknown"
	}
	for _, branch := range branches {
		if major >= branch.driver {
			return branch.cuda
		}
	}
	return "unknown"
}

// parts splits a dotted version into exactly three, empty where there is none.
func parts(version string) [3]string {
	var three [3]string
	copy(three[:], strings.SplitN(version, ".", 3))
	return three
}

func logf(format string, values ...any) {
	fmt.Printf("%s "+format+"\n", append([]any{time.Now().UTC().Format(time.RFC3339)}, values...)...)
}
