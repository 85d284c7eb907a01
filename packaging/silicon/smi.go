package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

const notice = "emulated by Rackwright: no GPU is behind this"

// runSmi answers the nvidia-smi calls that people and checks make most.
func runSmi(_ context.Context, args []string) error {
	silicon, err := loadSilicon()
	if err != nil {
		return err
	}
	out := os.Stdout
	switch {
	case len(args) == 0:
		smiTable(out, silicon)
	case args[0] == "-L" || args[0] == "--list-gpus":
		for _, gpu := range silicon.GPUs {
			fmt.Fprintf(out, "GPU %d: %s (UUID: %s)\n", gpu.Index, silicon.product(), gpu.UUID)
		}
	case args[0] == "-q" || args[0] == "--query":
		if len(args) > 1 && (args[1] == "-x" || args[1] == "--xml-format") {
			return smiXML(out, silicon)
		}
		smiQuery(out, silicon)
	case args[0] == "topo":
		smiTopology(out, silicon)
	case args[0] == "nvlink":
		smiLinks(out, silicon)
	case strings.HasPrefix(args[0], "--query-gpu="):
		return smiFields(out, silicon, args)
	default:
		return fmt.Errorf("%q is not emulated; there are: -L, -q [-x], --query-gpu=FIELDS --format=csv[,noheader][,nounits], "+
			"topo -m, nvlink --status", strings.Join(args, " "))
	}
	return nil
}

func smiTable(out io.Writer, silicon *Silicon) {
	bar := "+" + strings.Repeat("-", 89) + "+"
	line := func(format string, values ...any) { fmt.Fprintf(out, "| %-87s |\n", fmt.Sprintf(format, values...)) }
	fmt.Fprintln(out, time.Now().UTC().Format("Mon Jan _2 15:04:05 2006"))
	fmt.Fprintln(out, bar)
	line("NVIDIA-SMI %-16s Driver Version: %-16s CUDA Version: %s", silicon.driverVersion(), silicon.driverVersion(), silicon.cudaVersion())
	fmt.Fprintln(out, bar)
	line("GPU  %-27s %-17s %-5s %-13s %-12s", "Name", "Bus-Id", "Temp", "Pwr:Usage/Cap", "GPU-Util")
	line("     %s", "Memory-Usage")
	fmt.Fprintln(out, bar)
	for _, gpu := range silicon.GPUs {
		reading := silicon.reading(gpu.Index)
		line("%3d  %-27s %-17s %3dC  %4dW / %4dW  %6d%%", gpu.Index, silicon.product(), gpu.BusID,
			reading.Temperature, reading.Watts, gpu.Watts, reading.Utilisation)
		line("     %7dMiB / %7dMiB", reading.MemoryUsedMiB, silicon.memory())
	}
	fmt.Fprintln(out, bar)
	line("Processes: No running processes found")
	line("%s", notice)
	fmt.Fprintln(out, bar)
}

func smiQuery(out io.Writer, silicon *Silicon) {
	field := func(indent int, name, value string) {
		fmt.Fprintf(out, "%s%-*s : %s\n", strings.Repeat(" ", indent), 50-indent, name, value)
	}
	fmt.Fprintf(out, "\n==============NVSMI LOG==============\n\n")
	field(0, "Timestamp", time.Now().UTC().Format("Mon Jan _2 15:04:05 2006"))
	field(0, "Driver Version", silicon.driverVersion())
	field(0, "CUDA Version", silicon.cudaVersion())
	field(0, "Source", notice)
	fmt.Fprintln(out)
	field(0, "Attached GPUs", fmt.Sprint(len(silicon.GPUs)))
	chip := silicon.chip()
	state, status := silicon.fabric()
	for _, gpu := range silicon.GPUs {
		reading := silicon.reading(gpu.Index)
		fmt.Fprintf(out, "GPU %s\n", gpu.BusID)
		field(4, "Product Name", silicon.product())
		field(4, "Product Architecture", strings.ToUpper(chip.family[:1])+chip.family[1:])
		field(4, "Serial Number", gpu.Serial)
		field(4, "GPU UUID", gpu.UUID)
		field(4, "Minor Number", fmt.Sprint(gpu.Index))
		fmt.Fprintln(out, "    MIG Mode")
		field(8, "Current", mode(chip.mig))
		field(8, "Pending", mode(chip.mig))
		fmt.Fprintln(out, "    PCI")
		field(8, "Bus Id", gpu.BusID)
		fmt.Fprintln(out, "    Fabric")
		field(8, "State", state)
		field(8, "Status", status)
		fmt.Fprintln(out, "    FB Memory Usage")
		field(8, "Total", fmt.Sprintf("%d MiB", silicon.memory()))
		field(8, "Used", fmt.Sprintf("%d MiB", reading.MemoryUsedMiB))
		field(8, "Free", fmt.Sprintf("%d MiB", silicon.memory()-reading.MemoryUsedMiB))
		fmt.Fprintln(out, "    Utilization")
		field(8, "GPU", fmt.Sprintf("%d %%", reading.Utilisation))
		fmt.Fprintln(out, "    Temperature")
		field(8, "GPU Current Temp", fmt.Sprintf("%d C", reading.Temperature))
		fmt.Fprintln(out, "    GPU Power Readings")
		field(8, "Average Power Draw", fmt.Sprintf("%d.00 W", reading.Watts))
		field(8, "Current Power Limit", fmt.Sprintf("%d.00 W", gpu.Watts))
		fmt.Fprintln(out)
	}
}

// xmlLog is what -q -x prints of what is emulated; what isn't, such as PCIe links and ECC counts, is left out.
type xmlLog struct {
	XMLName xml.Name `xml:"nvidia_smi_log"`
	Notice  string   `xml:",comment"`
	Driver  string   `xml:"driver_version"`
	CUDA    string   `xml:"cuda_version"`
	Count   int      `xml:"attached_gpus"`
	GPUs    []xmlGPU `xml:"gpu"`
}

type xmlGPU struct {
	Bus         string `xml:"id,attr"`
	Product     string `xml:"product_name"`
	UUID        string `xml:"uuid"`
	MIG         string `xml:"mig_mode>current_mig"`
	State       string `xml:"fabric>state"`
	Status      string `xml:"fabric>status"`
	Total       string `xml:"fb_memory_usage>total"`
	Used        string `xml:"fb_memory_usage>used"`
	Temperature string `xml:"temperature>gpu_temp"`
	Draw        string `xml:"gpu_power_readings>instant_power_draw"`
	Limit       string `xml:"gpu_power_readings>current_power_limit"`
}

func smiXML(out io.Writer, silicon *Silicon) error {
	log := xmlLog{Notice: " " + notice + " ", Driver: silicon.driverVersion(), CUDA: silicon.cudaVersion(), Count: len(silicon.GPUs)}
	state, status := silicon.fabric()
	for _, gpu := range silicon.GPUs {
		reading := silicon.reading(gpu.Index)
		log.GPUs = append(log.GPUs, xmlGPU{
			Bus: gpu.BusID, Product: silicon.product(), UUID: gpu.UUID, MIG: mode(silicon.chip().mig),
			State: state, Status: status,
			Total: fmt.Sprintf("%d MiB", silicon.memory()), Used: fmt.Sprintf("%d MiB", reading.MemoryUsedMiB),
			Temperature: fmt.Sprintf("%d C", reading.Temperature),
			Draw:        fmt.Sprintf("%d.00 W", reading.Watts), Limit: fmt.Sprintf("%d.00 W", gpu.Watts),
		})
	}
	text, err := xml.MarshalIndent(log, "", "\t")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s%s\n", xml.Header, text)
	return err
}

func mode(capable bool) string {
	if capable {
		return "Disabled"
	}
	return "N/A"
}

// smiFields prints the fields that --query-gpu names, in the CSV dialect of nvidia-smi: ", " between them.
func smiFields(out io.Writer, silicon *Silicon, args []string) error {
	header, units := true, true
	for _, arg := range args[1:] {
		options, found := strings.CutPrefix(arg, "--format=")
		if !found {
			return fmt.Errorf("%q is not emulated beside --query-gpu", arg)
		}
		for _, option := range strings.Split(options, ",") {
			switch option {
			case "csv":
			case "noheader":
				header = false
			case "nounits":
				units = false
			default:
				return fmt.Errorf("--format=%s: only csv, noheader and nounits are emulated", option)
			}
		}
	}
	names := strings.Split(strings.TrimPrefix(args[0], "--query-gpu="), ",")
	var titles []string
	var rows [][]string
	for _, gpu := range silicon.GPUs {
		values := fieldsOf(silicon, gpu)
		titles = nil
		var row []string
		for _, name := range names {
			name = strings.TrimSpace(name)
			value, known := values[name]
			if !known {
				return fmt.Errorf("field %q is not a valid field to query (or not emulated)", name)
			}
			title, text := name, value.text
			if value.unit != "" {
				title += " [" + value.unit + "]"
				if units {
					text += " " + value.unit
				}
			}
			titles, row = append(titles, title), append(row, text)
		}
		rows = append(rows, row)
	}
	if header {
		fmt.Fprintln(out, strings.Join(titles, ", "))
	}
	for _, row := range rows {
		fmt.Fprintln(out, strings.Join(row, ", "))
	}
	return nil
}

type quantity struct{ text, unit string }

func fieldsOf(silicon *Silicon, gpu GPU) map[string]quantity {
	reading, chip := silicon.reading(gpu.Index), silicon.chip()
	plain := func(value any) quantity { return quantity{text: fmt.Sprint(value)} }
	state, status := silicon.fabric()
	return map[string]quantity{
		"timestamp":          plain(time.Now().UTC().Format("2006/01/02 15:04:05.000")),
		"count":              plain(len(silicon.GPUs)),
		"index":              plain(gpu.Index),
		"name":               plain(silicon.product()),
		"gpu_name":           plain(silicon.product()),
		"uuid":               plain(gpu.UUID),
		"gpu_uuid":           plain(gpu.UUID),
		"serial":             plain(gpu.Serial),
		"pci.bus_id":         plain(gpu.BusID),
		"gpu_bus_id":         plain(gpu.BusID),
		"driver_version":     plain(silicon.driverVersion()),
		"compute_cap":        plain(fmt.Sprintf("%d.%d", chip.major, chip.minor)),
		"mig.mode.current":   plain("[" + mode(chip.mig) + "]"),
		"temperature.gpu":    plain(reading.Temperature),
		"fabric.state":       plain(state),
		"fabric.status":      plain(status),
		"memory.total":       {fmt.Sprint(silicon.memory()), "MiB"},
		"memory.used":        {fmt.Sprint(reading.MemoryUsedMiB), "MiB"},
		"memory.free":        {fmt.Sprint(silicon.memory() - reading.MemoryUsedMiB), "MiB"},
		"utilization.gpu":    {fmt.Sprint(reading.Utilisation), "%"},
		"utilization.memory": {"0", "%"},
		"power.draw":         {fmt.Sprintf("%d.00", reading.Watts), "W"},
		"power.limit":        {fmt.Sprintf("%d.00", gpu.Watts), "W"},
	}
}

// smiTopology prints how each pair of GPUs is connected: NV# over # NVLinks, NODE within a NUMA node, SYS across.
func smiTopology(out io.Writer, silicon *Silicon) {
	for _, gpu := range silicon.GPUs {
		fmt.Fprintf(out, "\tGPU%d", gpu.Index)
	}
	fmt.Fprintln(out, "\tNUMA Affinity")
	for _, row := range silicon.GPUs {
		fmt.Fprintf(out, "GPU%d", row.Index)
		for _, column := range silicon.GPUs {
			fmt.Fprintf(out, "\t%s", connection(silicon, row, column))
		}
		fmt.Fprintf(out, "\t%d\n", row.NUMA)
	}
	fmt.Fprint(out, "\nLegend:\n\n  X    = Self\n  SYS  = over PCIe and between NUMA nodes\n"+
		"  NODE = over PCIe within a NUMA node\n  NV#  = over # NVLinks\n")
}

func connection(silicon *Silicon, from, to GPU) string {
	switch links := silicon.links(from.Index, to.Index); {
	case from.Index == to.Index:
		return " X "
	case links > 0:
		return fmt.Sprintf("NV%d", links)
	case from.NUMA == to.NUMA:
		return "NODE"
	default:
		return "SYS"
	}
}

func smiLinks(out io.Writer, silicon *Silicon) {
	for _, gpu := range silicon.GPUs {
		fmt.Fprintf(out, "GPU %d: %s (UUID: %s)\n", gpu.Index, silicon.product(), gpu.UUID)
		for link := range silicon.allLinks(gpu.Index) {
			fmt.Fprintf(out, "\t Link %d: %.3f GB/s\n", link, silicon.chip().linkGBs)
		}
	}
}
