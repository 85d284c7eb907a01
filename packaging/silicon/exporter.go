package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
)

const exporterAddress = ":9400"

// metrics of the DCGM exporter's default set that dashboards and alerts look at most. Those of NVLink need links.
var metrics = []struct {
	name, kind, help string
	needsLinks       bool
	value            func(*Silicon, GPU) int
}{
	{"DCGM_FI_DEV_GPU_UTIL", "gauge", "GPU utilization (in %)", false,
		func(s *Silicon, g GPU) int { return s.reading(g.Index).Utilisation }},
	{"DCGM_FI_DEV_GPU_TEMP", "gauge", "GPU temperature (in C)", false,
		func(s *Silicon, g GPU) int { return s.reading(g.Index).Temperature }},
	{"DCGM_FI_DEV_POWER_USAGE", "gauge", "Power draw (in W)", false,
		func(s *Silicon, g GPU) int { return s.reading(g.Index).Watts }},
	{"DCGM_FI_DEV_FB_USED", "gauge", "Framebuffer memory used (in MiB)", false,
		func(s *Silicon, g GPU) int { return s.reading(g.Index).MemoryUsedMiB }},
	{"DCGM_FI_DEV_FB_FREE", "gauge", "Framebuffer memory free (in MiB)", false,
		func(s *Silicon, g GPU) int { return s.memory() - s.reading(g.Index).MemoryUsedMiB }},
	{"DCGM_FI_DEV_XID_ERRORS", "gauge", "Value of the last XID error encountered", false,
		func(*Silicon, GPU) int { return 0 }},
	{"DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", "counter", "Total number of NVLink bandwidth counters for all lanes", true,
		func(*Silicon, GPU) int { return 0 }},
}

func writeMetrics(out io.Writer, silicon *Silicon, host string) {
	for _, metric := range metrics {
		if metric.needsLinks && silicon.allLinks(0) == 0 {
			continue
		}
		fmt.Fprintf(out, "# HELP %s %s (%s)\n# TYPE %s %s\n", metric.name, metric.help, notice, metric.name, metric.kind)
		for _, gpu := range silicon.GPUs {
			fmt.Fprintf(out, "%s{gpu=\"%d\",UUID=%q,pci_bus_id=%q,device=\"nvidia%d\",modelName=%q,Hostname=%q} %d\n",
				metric.name, gpu.Index, gpu.UUID, gpu.BusID, gpu.Index, silicon.product(), host, metric.value(silicon, gpu))
		}
	}
}

// runExporter serves /metrics and /health.
func runExporter(ctx context.Context, _ []string) error {
	if _, err := loadSilicon(); err != nil {
		return err
	}
	host := os.Getenv("NODE_NAME")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		silicon, err := loadSilicon()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		writeMetrics(w, silicon, host)
	})
	return listen(ctx, exporterAddress, mux)
}
