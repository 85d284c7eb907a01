package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"sync/atomic"
	"time"
)

const healthAddress = ":8081"

// serveHealth answers /readyz by the given state until the context ends.
func serveHealth(ctx context.Context, ready *atomic.Bool) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return listen(ctx, healthAddress, mux)
}

// listen serves until the context ends.
func listen(ctx context.Context, address string, handler http.Handler) error {
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); ctx.Err() == nil {
		return fmt.Errorf("serving on %s: %w", address, err)
	}
	return nil
}

// runOperator reports, whenever it changes, how many GPUs each node offers. The chart itself holds the DaemonSets that
// the real operator would make.
func runOperator(ctx context.Context, _ []string) error {
	api, err := newCluster()
	if err != nil {
		return err
	}
	ready := &atomic.Bool{}
	last := ""
	go every(ctx, 15*time.Second, func(ctx context.Context) error {
		path := "/api/v1/nodes?labelSelector=nvidia.com%2Fgpu.present%3Dtrue"
		content, err := api.call(ctx, http.MethodGet, path, "", nil)
		if err != nil {
			return err
		}
		found := struct {
			Items []struct {
				node
				Metadata struct {
					Name string `json:"name"`
				} `json:"metadata"`
			} `json:"items"`
		}{}
		if err := json.Unmarshal(content, &found); err != nil {
			return err
		}
		offers := make([]string, 0, len(found.Items))
		for _, item := range found.Items {
			offers = append(offers, fmt.Sprintf("%s=%s", item.Metadata.Name, item.Status.Allocatable[resourceName]))
		}
		sort.Strings(offers)
		if now := fmt.Sprint(offers); now != last {
			logf("emulated GPUs by node: %s", now)
			last = now
		}
		ready.Store(true)
		return nil
	})
	return serveHealth(ctx, ready)
}

// validate says why the node's GPUs could not be used, or nothing.
func validate(silicon *Silicon, own *node) error {
	if state, status := silicon.fabric(); !silicon.usable() {
		return fmt.Errorf("the fabric is %q (%s), not Completed: CUDA could not start on any GPU", state, status)
	}
	if offered := own.Status.Allocatable[resourceName]; offered != strconv.Itoa(len(silicon.GPUs)) {
		return fmt.Errorf("the node offers %q %s, but has %d", offered, resourceName, len(silicon.GPUs))
	}
	for key, value := range featureLabels(silicon) {
		if own.Metadata.Labels[key] != value {
			return fmt.Errorf("label %s is %q, should be %q", key, own.Metadata.Labels[key], value)
		}
	}
	return nil
}

// runValidator is ready as long as everything that its node should offer is there.
func runValidator(ctx context.Context, _ []string) error {
	if _, err := loadSilicon(); err != nil {
		return err
	}
	api, err := newCluster()
	if err != nil {
		return err
	}
	ready := &atomic.Bool{}
	go every(ctx, 20*time.Second, func(ctx context.Context) error {
		silicon, err := loadSilicon()
		if err != nil {
			return err
		}
		own, name, err := api.ownNode(ctx)
		if err == nil {
			err = validate(silicon, own)
		}
		if err == nil && !ready.Load() {
			logf("all validations are successful: node %s offers %d %s", name, len(silicon.GPUs), resourceName)
		}
		ready.Store(err == nil)
		return err
	})
	return serveHealth(ctx, ready)
}
