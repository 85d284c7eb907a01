package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// machine builds a description: count GPUs, each linked to the others of its group of span.
func machine(product string, count, span int, fabric *Fabric) *Silicon {
	silicon := &Silicon{DriverVersion: "580.95.05", Fabric: fabric}
	for index := range count {
		gpu := GPU{Index: index, UUID: fmt.Sprintf("GPU-%d", index), Product: product, MemoryMiB: 81559,
			BusID: fmt.Sprintf("00000000:%02X:00.0", 16+index), NUMA: index * 2 / count, Watts: 350}
		for peer := index - index%span; peer < index-index%span+span; peer++ {
			if peer != index {
				gpu.Peers = append(gpu.Peers, peer)
			}
		}
		silicon.GPUs = append(silicon.GPUs, gpu)
	}
	return silicon
}

func bridged() *Silicon { return machine("NVIDIA H100 PCIe", 4, 2, nil) }
func switched(state string) *Silicon {
	return machine("NVIDIA H100 80GB HBM3", 8, 8, &Fabric{State: state, Status: "Success"})
}

// describe writes a description where loadSilicon looks for it.
func describe(t *testing.T, silicon *Silicon) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gpus.json")
	content, err := json.Marshal(silicon)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RACKWRIGHT_SILICON", path)
	return path
}

func TestAMachineBringsItsGPUsInItsFirmware(t *testing.T) {
	carried := describe(t, bridged())
	node := filepath.Join(t.TempDir(), "gpus.json")
	t.Setenv("RACKWRIGHT_SILICON", node)
	t.Setenv("RACKWRIGHT_FIRMWARE", filepath.Join(t.TempDir(), "none"))
	if err := runFind(context.Background(), nil); err != nil {
		t.Fatalf("a node that is no such machine: %v", err)
	}
	if _, err := loadSilicon(); err == nil {
		t.Fatal("GPUs were found where there are none")
	}
	t.Setenv("RACKWRIGHT_FIRMWARE", carried)
	for range 2 {
		if err := runFind(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		silicon, err := loadSilicon()
		if err != nil || len(silicon.GPUs) != 4 {
			t.Fatalf("found %v, %v", silicon, err)
		}
	}
	if info, err := os.Stat(node); err != nil || info.Mode().Perm() != 0o644 {
		t.Fatalf("not everybody may read it: %v, %v", info, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(node)); len(left) != 1 {
		t.Fatalf("something is left beside it: %v", left)
	}
}

func TestAContradictoryDescriptionIsRefused(t *testing.T) {
	for want, spoil := range map[string]func(*Silicon){
		"no GPU is listed":       func(s *Silicon) { s.GPUs = nil },
		"GPU number 1 has index": func(s *Silicon) { s.GPUs[1].Index = 5 },
		"no uuid of its own":     func(s *Silicon) { s.GPUs[1].UUID = s.GPUs[0].UUID },
		"cannot have an NVLink":  func(s *Silicon) { s.GPUs[1].Peers = []int{9} },
		"all must be of one":     func(s *Silicon) { s.GPUs[1].MemoryMiB = 1 },
	} {
		silicon := bridged()
		spoil(silicon)
		describe(t, silicon)
		if _, err := loadSilicon(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestWithoutADescriptionThePluginEndsAndSaysWhy(t *testing.T) {
	t.Setenv("RACKWRIGHT_SILICON", filepath.Join(t.TempDir(), "gpus.json"))
	if err := runDevicePlugin(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("got %v", err)
	}
}

func TestTopology(t *testing.T) {
	mesh := machine("NVIDIA H100 80GB HBM3", 4, 4, nil)
	for _, test := range []struct {
		silicon  *Silicon
		from, to int
		want     string
	}{
		{bridged(), 0, 1, "NV12"}, {bridged(), 0, 2, "SYS"}, {machine("NVIDIA L40", 4, 1, nil), 0, 1, "NODE"},
		{mesh, 0, 3, "NV6"}, {switched("Completed"), 0, 7, "NV18"}, {mesh, 2, 2, " X "},
	} {
		got := connection(test.silicon, test.silicon.GPUs[test.from], test.silicon.GPUs[test.to])
		if got != test.want {
			t.Errorf("%s %d-%d: %s, want %s", test.silicon.product(), test.from, test.to, got, test.want)
		}
	}
}

func TestQueryHasTheFabricSection(t *testing.T) {
	for state, usable := range map[string]bool{"Completed": true, "In Progress": false} {
		var out bytes.Buffer
		silicon := switched(state)
		smiQuery(&out, silicon)
		lines := strings.Split(out.String(), "\n")
		found := 0
		for index, line := range lines {
			if strings.TrimSpace(line) == "Fabric" && strings.HasSuffix(lines[index+1], ": "+state) {
				found++
			}
		}
		if found != 8 || silicon.usable() != usable {
			t.Errorf("%s: %d Fabric sections, usable %v", state, found, silicon.usable())
		}
	}
}

func TestXMLNamesWhatIsEmulatedAndSaysSo(t *testing.T) {
	var out bytes.Buffer
	if err := smiXML(&out, switched("Completed")); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, part := range []string{
		"<product_name>NVIDIA H100 80GB HBM3</product_name>", "<fabric>", "<state>Completed</state>",
		"<total>81559 MiB</total>", "<current_power_limit>350.00 W</current_power_limit>", "<!-- " + notice + " -->",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no %s in %s", part, text)
		}
	}
	if strings.Count(text, "<gpu id=") != 8 || strings.Contains(text, "ecc") {
		t.Errorf("not eight GPUs, or something that isn't emulated: %s", text)
	}
}

func TestQueryFields(t *testing.T) {
	var out bytes.Buffer
	args := []string{"--query-gpu=index,memory.total,driver_version", "--format=csv,noheader,nounits"}
	if err := smiFields(&out, bridged(), args); err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(out.String(), "\n"); first != "0, 81559, 580.95.05" {
		t.Errorf("got %q", first)
	}
	if err := smiFields(&out, bridged(), []string{"--query-gpu=wishes", "--format=csv"}); err == nil {
		t.Error("an unknown field was accepted")
	}
}

func TestLabels(t *testing.T) {
	labels := featureLabels(bridged())
	for key, want := range map[string]string{
		"nvidia.com/gpu.product": "NVIDIA-H100-PCIe", "nvidia.com/gpu.count": "4", "nvidia.com/gpu.memory": "81559",
		"nvidia.com/gpu.family": "hopper", "nvidia.com/mig.capable": "true", "nvidia.com/cuda.runtime-version.full": "13.0",
		"nvidia.com/cuda.driver-version.minor": "95", "nvidia.com/gpu.deploy.driver": "true",
	} {
		if labels[key] != want {
			t.Errorf("%s is %q, want %q", key, labels[key], want)
		}
	}
}

func TestValidation(t *testing.T) {
	own := &node{}
	own.Metadata.Labels = featureLabels(bridged())
	own.Status.Allocatable = map[string]string{resourceName: "4"}
	if err := validate(bridged(), own); err != nil {
		t.Error(err)
	}
	own.Status.Allocatable[resourceName] = "3"
	if err := validate(bridged(), own); err == nil {
		t.Error("a missing GPU was not noticed")
	}
	if err := validate(switched("Not Started"), own); err == nil || !strings.Contains(err.Error(), "fabric") {
		t.Errorf("a dead fabric was not noticed: %v", err)
	}
}

func TestMetricsSayTheyAreEmulated(t *testing.T) {
	var out bytes.Buffer
	writeMetrics(&out, bridged(), "worker")
	for _, line := range strings.Split(out.String(), "\n") {
		if strings.HasPrefix(line, "# HELP") && !strings.Contains(line, "emulated") {
			t.Errorf("not said to be emulated: %s", line)
		}
	}
	if !strings.Contains(out.String(), `DCGM_FI_DEV_FB_FREE{gpu="3",UUID="GPU-3"`) {
		t.Error(out.String())
	}
}

func TestLinkedGPUsAreAllocatedTogether(t *testing.T) {
	for _, test := range []struct {
		available, must []string
		size            int
		want            []string
	}{
		{[]string{"GPU-0", "GPU-2", "GPU-3"}, nil, 2, []string{"GPU-2", "GPU-3"}},
		{[]string{"GPU-0", "GPU-2", "GPU-3"}, nil, 1, []string{"GPU-0"}},
		{[]string{"GPU-0", "GPU-1", "GPU-2", "GPU-3"}, []string{"GPU-3"}, 2, []string{"GPU-3", "GPU-2"}},
		{[]string{"GPU-0", "GPU-2", "GPU-3"}, nil, 3, []string{"GPU-2", "GPU-3", "GPU-0"}},
	} {
		if got := prefer(bridged(), test.available, test.must, test.size); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%v of %v with %v: %v, want %v", test.size, test.available, test.must, got, test.want)
		}
	}
}

// kubelet is the registration service of a kubelet, as far as a plugin sees it.
type kubelet struct {
	api.UnimplementedRegistrationServer
	seen chan *api.RegisterRequest
}

func (k *kubelet) Register(_ context.Context, request *api.RegisterRequest) (*api.Empty, error) {
	k.seen <- request
	return &api.Empty{}, nil
}

func startKubelet(t *testing.T, directory string) (*kubelet, *grpc.Server) {
	t.Helper()
	listener, err := net.Listen("unix", filepath.Join(directory, "kubelet.sock"))
	if err != nil {
		t.Fatal(err)
	}
	served := &kubelet{seen: make(chan *api.RegisterRequest, 1)}
	server := grpc.NewServer()
	api.RegisterRegistrationServer(server, served)
	go func() { _ = server.Serve(listener) }()
	return served, server
}

func watched(t *testing.T, directory string) api.DevicePlugin_ListAndWatchClient {
	t.Helper()
	connection, err := grpc.NewClient("unix://"+filepath.Join(directory, socketName),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	stream, err := api.NewDevicePluginClient(connection).ListAndWatch(t.Context(), &api.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func wait(t *testing.T, seen <-chan *api.RegisterRequest) {
	t.Helper()
	select {
	case request := <-seen:
		if request.ResourceName != resourceName || request.Endpoint != socketName {
			t.Errorf("registered %v", request)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the plugin did not register")
	}
}

func TestThePluginRegistersAgainAfterAKubeletRestart(t *testing.T) {
	path := describe(t, switched("Completed"))
	directory := t.TempDir()
	first, server := startKubelet(t, directory)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- runDevicePlugin(ctx, []string{directory}) }()
	wait(t, first.seen)
	server.GracefulStop()
	if err := os.RemoveAll(filepath.Join(directory, socketName)); err != nil {
		t.Fatal(err)
	}
	second, server := startKubelet(t, directory)
	defer server.Stop()
	wait(t, second.seen)

	stream := watched(t, directory)
	response, err := stream.Recv()
	if err != nil || len(response.Devices) != 8 || response.Devices[0].Health != api.Healthy {
		t.Fatalf("%v %v", response, err)
	}
	content, _ := json.Marshal(switched("In Progress"))
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	response, err = stream.Recv()
	if err != nil || response.Devices[7].Health != api.Unhealthy {
		t.Fatalf("with a dead fabric: %v %v", response, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
