package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
	"github.com/podnet-exporter/podnet_exporter/exporter/netns"
)

// What an agent may export at default settings, at any size of the cluster.
const (
	budgetSingle = 2000
	budgetDual   = 3000

	// kernelSeries is the part of it that is for what is read of the kernel, of
	// a node with 110 pods, and kernelMore what two address families add:
	// TestSeriesOfANodeFullOfPods.
	kernelSeries = 560
	kernelMore   = 60
)

func TestSeriesAreBoundedAtAnySizeOfTheCluster(t *testing.T) {
	limit := dryAgentConfig("n1").Mesh.FullMeshLimit
	for _, nodes := range []int{2, 10, limit, limit + 1, 32, 100, 1000, 5000} {
		for _, zones := range []int{1, 3, 20} {
			for _, dual := range []bool{false, true} {
				c := imagined{nodes: nodes, zones: zones, dual: dual}
				t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
					reg := prometheus.NewRegistry()
					a := dryAgent(c.snapshot(), reg)
					defer a.names.close()
					a.report(4)
					byMetric, probing, err := seriesOf(reg)
					if err != nil {
						t.Fatal(err)
					}
					all, budget := probing+kernelSeries, budgetSingle
					if dual {
						all, budget = all+kernelMore, budgetDual
					}
					t.Logf("%d series, %d of them of the kernel", all, all-probing)
					if all > budget {
						t.Errorf("%d series; want at most %d: %v", all, budget, byMetric)
					}
				})
			}
		}
	}
}

// A node of the size that the kubelet allows: 110 pods, each with a veth at
// the bridge, an overlay and an uplink, all healthy, and as many series of drops
// as there may be.
func TestSeriesOfANodeFullOfPods(t *testing.T) {
	if !inOwnNamespace(t) {
		return
	}
	const pods = 110
	reg := prometheus.NewRegistry()
	snapshot := imagined{nodes: 100, zones: 3, dual: true}.snapshot()
	self := snapshot.Nodes[0]
	addLinks(t)
	self.Endpoint.Netns = addPod(t, 0)
	for i := 1; i < pods; i++ {
		self.Pods = append(self.Pods, discovery.Pod{Namespace: "shop", Name: fmt.Sprintf("web-%d", i), Netns: addPod(t, i)})
	}
	a := dryAgent(snapshot, reg)
	defer a.names.close()
	_, probing, err := seriesOf(reg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := a.replaceCollectors(ctx, a.cfg); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); a.collecting.stop() }()
	byMetric, all, err := seriesOf(reg)
	if err != nil {
		t.Fatal(err)
	}
	if n := byMetric["podnet_interface_info"]; n != pods+5 {
		t.Errorf("%d interfaces; want that of each pod at the bridge, the endpoint's own, and the node's four", n)
	}
	const maxDrops = 120
	kernel := all - probing - byMetric["podnet_drops_total"] + maxDrops
	t.Logf("%d series of the kernel", kernel)
	if kernel > kernelSeries+kernelMore {
		t.Errorf("%d series of the kernel; want at most %d: %v", kernel, kernelSeries+kernelMore, byMetric)
	}
}

// addLinks makes the links of a node: two uplinks, a bridge and an overlay.
func addLinks(t *testing.T) {
	t.Helper()
	for _, link := range []netlink.Link{
		&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "cni0"}},
		&netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "flannel.1"}, VxlanId: 1, Port: 8472},
		&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth1"},
	} {
		if err := netlink.LinkAdd(link); err != nil {
			t.Fatalf("%s: %v", link.Attrs().Name, err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
	}
}

// addPod makes a network namespace with a veth at the bridge, and returns its
// path.
func addPod(t *testing.T, number int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "net")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	made := make(chan error)
	go func() { // its thread ends in the new namespace, with it
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- err
			return
		}
		made <- unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
	}()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	bridge, err := netlink.LinkByName("cni0")
	if err != nil {
		t.Fatal(err)
	}
	host := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("veth%d", number), MasterIndex: bridge.Attrs().Index},
		PeerName:  "eth0", PeerNamespace: netlink.NsFd(int(file.Fd())),
	}
	if err := netlink.LinkAdd(host); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(host); err != nil {
		t.Fatal(err)
	}
	ns, err := netns.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	err = ns.Do(func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(link)
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAFailureIsNoticedAsSoonAsTwoProbesOfEachKindAreLost(t *testing.T) {
	cfg := dryAgentConfig("n1")
	random := rand.New(rand.NewPCG(1, 2))
	for _, dual := range []bool{false, true} {
		targets := meshTargets(cfg, true, []*discovery.Node{imagined{nodes: 2, zones: 1, dual: dual}.node(1)})
		least, most := time.Hour, time.Duration(0)
		for range 200 {
			took := noticed(targets, random)
			least, most = min(least, took), max(most, took)
		}
		t.Logf("both families: %v: %v to %v", dual, least, most)
		second := cfg.Probes.TCP.IntervalOnLoss + cfg.Probes.TCP.Timeout
		if least < second || most > second+cfg.Probes.TCP.Interval+cycleInterval {
			t.Errorf("noticed after %v to %v; want no sooner than the second loss, %v, and no later than the last second loss and a cycle", least, most, second)
		}
	}
}

func TestSimulateSaysWhatItComputed(t *testing.T) {
	var out strings.Builder
	if err := simulate(&out, []int{2, 10, 40}, 2); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\n| 2 | 1, 1.0, 1 | 2 of 2 | 0, 0 | 0s |", "\n| 10 | 9, 9.0, 9 | 2 of 2 | 0, 0 | 0s |", "\n| 40 | ", " | 2m35s | "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}

func TestSimulateRefusesWhatIsNoSize(t *testing.T) {
	for _, text := range []string{"", "1", "ten", "10,,20", "70000"} {
		if sizes, err := parseSizes(text); err == nil {
			t.Errorf("parseSizes(%q) = %v; want an error", text, sizes)
		}
	}
	if sizes, err := parseSizes("10, 5000"); err != nil || len(sizes) != 2 {
		t.Errorf("parseSizes() = %v, %v; want two sizes", sizes, err)
	}
}
