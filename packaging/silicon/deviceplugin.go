package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	resourceName = "nvidia.com/gpu"
	socketName   = "rackwright-silicon.sock"
	pollInterval = time.Second
)

// plugin serves the kubelet's device-plugin API for the GPUs of one description.
type plugin struct {
	api.UnimplementedDevicePluginServer
	silicon *Silicon
	stop    chan struct{}
}

// runDevicePlugin registers with the kubelet, and again after each restart of it, which the kubelet announces by
// emptying its plugin directory.
func runDevicePlugin(ctx context.Context, args []string) error {
	directory := api.DevicePluginPath
	if len(args) > 0 {
		directory = args[0]
	}
	for {
		silicon, err := loadSilicon()
		if err != nil {
			return err
		}
		err = serve(ctx, silicon, directory)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			logf("%v; trying again", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollInterval):
		}
	}
}

// serve runs one registration: it returns when the kubelet has gone away or restarted, or with the reason it failed.
func serve(ctx context.Context, silicon *Silicon, directory string) error {
	own := filepath.Join(directory, socketName)
	kubelet := filepath.Join(directory, filepath.Base(api.KubeletSocket))
	registeredWith, err := inode(kubelet)
	if err != nil {
		return fmt.Errorf("the kubelet is not there yet: %w", err)
	}
	if err := os.Remove(own); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing an old socket: %w", err)
	}
	listener, err := net.Listen("unix", own)
	if err != nil {
		return fmt.Errorf("listening for the kubelet: %w", err)
	}
	served := &plugin{silicon: silicon, stop: make(chan struct{})}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, served)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	defer server.Stop()
	defer close(served.stop)
	if err := register(ctx, kubelet); err != nil {
		return err
	}
	logf("registered %d %s with the kubelet", len(silicon.GPUs), resourceName)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return fmt.Errorf("the plugin's server ended: %w", err)
		case <-time.After(pollInterval):
		}
		if _, err := os.Stat(own); err != nil {
			return errors.New("the kubelet has removed the socket: it restarted")
		}
		if now, err := inode(kubelet); err != nil || now != registeredWith {
			return errors.New("the kubelet's socket is another one: it restarted")
		}
	}
}

func inode(path string) (uint64, error) {
	status, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return status.Sys().(*syscall.Stat_t).Ino, nil
}

func register(ctx context.Context, kubelet string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	connection, err := grpc.NewClient("unix://"+kubelet, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("reaching the kubelet: %w", err)
	}
	defer connection.Close()
	_, err = api.NewRegistrationClient(connection).Register(ctx, &api.RegisterRequest{
		Version:      api.Version,
		Endpoint:     socketName,
		ResourceName: resourceName,
		Options:      &api.DevicePluginOptions{GetPreferredAllocationAvailable: true},
	})
	if err != nil {
		return fmt.Errorf("registering with the kubelet: %w", err)
	}
	return nil
}

func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{GetPreferredAllocationAvailable: true}, nil
}

// devices is the list for the kubelet; every GPU is unhealthy while the fabric is not set up, because CUDA could not
// start on any of them.
func devices(silicon *Silicon) []*api.Device {
	health := api.Healthy
	if !silicon.usable() {
		health = api.Unhealthy
	}
	list := make([]*api.Device, 0, len(silicon.GPUs))
	for _, gpu := range silicon.GPUs {
		list = append(list, &api.Device{
			ID:       gpu.UUID,
			Health:   health,
			Topology: &api.TopologyInfo{Nodes: []*api.NUMANode{{ID: int64(gpu.NUMA)}}},
		})
	}
	return list
}

// ListAndWatch sends the list at once and again whenever the description has changed.
func (p *plugin) ListAndWatch(_ *api.Empty, stream grpc.ServerStreamingServer[api.ListAndWatchResponse]) error {
	sent := ""
	for {
		if fresh, err := loadSilicon(); err == nil {
			p.silicon = fresh
		}
		list := devices(p.silicon)
		if now := fmt.Sprint(list); now != sent {
			if err := stream.Send(&api.ListAndWatchResponse{Devices: list}); err != nil {
				return err
			}
			state, _ := p.silicon.fabric()
			logf("told the kubelet of %d GPUs, fabric %s", len(list), state)
			sent = now
		}
		select {
		case <-p.stop:
			return nil
		case <-stream.Context().Done():
			return nil
		case <-time.After(5 * pollInterval):
		}
	}
}

func (p *plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	response := &api.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		ids := append([]string(nil), container.DevicesIds...)
		sort.Strings(ids)
		response.ContainerResponses = append(response.ContainerResponses, &api.ContainerAllocateResponse{
			Envs: map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(ids, ",")},
		})
	}
	return response, nil
}

func (p *plugin) GetPreferredAllocation(
	_ context.Context, request *api.PreferredAllocationRequest,
) (*api.PreferredAllocationResponse, error) {
	response := &api.PreferredAllocationResponse{}
	for _, container := range request.ContainerRequests {
		ids := prefer(p.silicon, container.AvailableDeviceIDs, container.MustIncludeDeviceIDs, int(container.AllocationSize))
		response.ContainerResponses = append(response.ContainerResponses,
			&api.ContainerPreferredAllocationResponse{DeviceIDs: ids})
	}
	return response, nil
}

// prefer chooses GPUs that are linked to each other: the smallest group of peers with enough free ones, so that whole
// groups stay free for those who need them; where no group is large enough, the largest groups first.
func prefer(silicon *Silicon, available, must []string, size int) []string {
	chosen := append([]string(nil), must...)
	taken := map[string]bool{}
	for _, id := range must {
		taken[id] = true
	}
	free := map[string]bool{}
	for _, id := range available {
		free[id] = !taken[id]
	}
	groups := map[int][]string{}
	withMust := map[int]bool{}
	for _, gpu := range silicon.GPUs {
		group := gpu.Index
		for _, peer := range gpu.Peers {
			group = min(group, peer)
		}
		withMust[group] = withMust[group] || taken[gpu.UUID]
		if free[gpu.UUID] {
			groups[group] = append(groups[group], gpu.UUID)
		}
	}
	order := make([]int, 0, len(groups))
	for group := range groups {
		order = append(order, group)
	}
	needed := size - len(chosen)
	sort.Slice(order, func(i, j int) bool {
		a, b := order[i], order[j]
		if withMust[a] != withMust[b] {
			return withMust[a]
		}
		fitsA, fitsB := len(groups[a]) >= needed, len(groups[b]) >= needed
		switch {
		case fitsA != fitsB:
			return fitsA
		case len(groups[a]) != len(groups[b]):
			return (len(groups[a]) < len(groups[b])) == fitsA
		default:
			return a < b
		}
	})
	for _, group := range order {
		for _, id := range groups[group] {
			if len(chosen) < size {
				chosen = append(chosen, id)
			}
		}
	}
	return chosen
}
