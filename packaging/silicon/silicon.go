package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

const siliconFile = "/etc/rackwright-silicon/gpus.json"

// Silicon describes the GPUs of one node, all alike, as the site's catalogue has them.
type Silicon struct {
	DriverVersion string  `json:"driver_version"` // where the chart names none
	Machine       string  `json:"machine"`        // the server's product name; may be empty
	Fabric        *Fabric `json:"fabric"`         // where there are NVSwitches, which Fabric Manager sets up
	GPUs          []GPU   `json:"gpus"`
}

// Fabric is Fabric Manager's verdict, as nvidia-smi -q shows it.
type Fabric struct {
	State  string `json:"state"`  // "Completed" once GPUs can be used
	Status string `json:"status"` // "Success", or why not
}

// GPU is one of them.
type GPU struct {
	Index     int    `json:"index"`
	UUID      string `json:"uuid"`
	Product   string `json:"product"` // as nvidia-smi prints it, such as "NVIDIA H100 80GB HBM3"
	MemoryMiB int    `json:"memory_mib"`
	BusID     string `json:"pci_bus_id"` // domain:bus:device.function
	NUMA      int    `json:"numa"`
	Peers     []int  `json:"nvlink_peers"` // indices of the GPUs that it has NVLinks to
	Watts     int    `json:"power_limit_w"`
	Serial    string `json:"serial"`
}

// product is what all the node's GPUs are.
func (s *Silicon) product() string { return s.GPUs[0].Product }

// memory of one GPU, in MiB.
func (s *Silicon) memory() int { return s.GPUs[0].MemoryMiB }

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
	if len(s.GPUs) == 0 {
		return errors.New("no GPU is listed")
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
		if gpu.Product == "" || gpu.Product != s.product() || gpu.MemoryMiB <= 0 || gpu.MemoryMiB != s.memory() {
			return fmt.Errorf("GPU %d is %q with %d MiB: all must be of one product and memory",
				position, gpu.Product, gpu.MemoryMiB)
		}
		for _, peer := range gpu.Peers {
			if peer < 0 || peer >= len(s.GPUs) || peer == position {
				return fmt.Errorf("GPU %d cannot have an NVLink to %d", position, peer)
			}
		}
	}
	return nil
}

// fabric is what nvidia-smi -q shows under Fabric: State, Status.
func (s *Silicon) fabric() (state, status string) {
	if s.Fabric == nil {
		return "N/A", "N/A"
	}
	return s.Fabric.State, s.Fabric.Status
}

// usable says whether CUDA could start: on a machine with NVSwitches only once Fabric Manager has completed.
func (s *Silicon) usable() bool {
	return s.Fabric == nil || s.Fabric.State == "Completed"
}

// allLinks is the number of NVLinks that a GPU has in use: 12 by a bridge of PCIe cards, 18 of an SXM module.
func (s *Silicon) allLinks(index int) int {
	switch gpu := s.GPUs[index]; {
	case len(gpu.Peers) == 0:
		return 0
	case strings.Contains(gpu.Product, "PCIe"):
		return 12
	default:
		return 18
	}
}

// links is the number of NVLinks from one GPU to another: through NVSwitches all of them, else its share.
func (s *Silicon) links(from, to int) int {
	if !slices.Contains(s.GPUs[from].Peers, to) {
		return 0
	}
	if s.Fabric != nil {
		return s.allLinks(from)
	}
	return s.allLinks(from) / len(s.GPUs[from].Peers)
}

// chip is what a product's name alone tells.
type chip struct {
	family       string
	major, minor int
	idleWatts    int
	linkGBs      float64
	mig          bool
}

func (s *Silicon) chip() chip {
	name := s.product()
	has := func(part string) bool { return strings.Contains(name, part) }
	switch {
	case has("B200"), has("B300"):
		return chip{"blackwell", 10, 0, 140, 53.125, true}
	case has("H100 PCIe"):
		return chip{"hopper", 9, 0, 48, 25.781, true}
	case has("H100"), has("H200"):
		return chip{"hopper", 9, 0, 70, 26.562, true}
	case has("A100"):
		return chip{"ampere", 8, 0, 55, 25, true}
	case has("L40S"):
		return chip{"ada-lovelace", 8, 9, 34, 0, false}
	default:
		return chip{"ada-lovelace", 8, 9, 34, 0, false}
	}
}

// Reading is what an idle GPU measures: constant, so that nothing emulated can be taken for a measurement.
type Reading struct {
	Utilisation, MemoryUsedMiB, Temperature, Watts int
}

func (s *Silicon) reading(index int) Reading {
	return Reading{Utilisation: 0, MemoryUsedMiB: 1, Temperature: 28 + index%4, Watts: s.chip().idleWatts}
}

// driverVersion is the version that the chart was asked to install, else the description's.
func (s *Silicon) driverVersion() string {
	if version := os.Getenv("DRIVER_VERSION"); version != "" {
		return version
	}
	return s.DriverVersion
}

// cudaVersion is the newest CUDA that a driver branch can run (CUDA's release notes, driver table).
func (s *Silicon) cudaVersion() string {
	branches := []struct {
		driver int
		cuda   string
	}{
		{595, "13.2"}, {590, "13.1"}, {580, "13.0"}, {575, "12.9"}, {570, "12.8"}, {565, "12.7"}, {560, "12.6"},
		{555, "12.5"}, {550, "12.4"}, {545, "12.3"}, {535, "12.2"}, {530, "12.1"}, {525, "12.0"}, {520, "11.8"},
	}
	var major int
	if _, err := fmt.Sscanf(s.driverVersion(), "%d", &major); err != nil {
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
