package drops

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/podnet-exporter/podnet_exporter/collectors"
)

// fakeKernel is a counter whose counts are set by the test.
type fakeKernel struct {
	counts
	watched map[uint32]bool
	nodes   map[netip.Addr]uint32
	deleted []uint32 // namespaces of the keys that were deleted
}

func newFakeKernel() *fakeKernel {
	return &fakeKernel{watched: make(map[uint32]bool), nodes: make(map[netip.Addr]uint32)}
}

func (k *fakeKernel) read() (counts, error) { return k.counts, nil }

func (k *fakeKernel) forget(drops []kernelDropKey, probes []kernelProbeKey) error {
	for _, d := range drops {
		k.deleted = append(k.deleted, d.Netns)
	}
	for _, p := range probes {
		k.deleted = append(k.deleted, p.Netns)
	}
	return nil
}

func (k *fakeKernel) watchNamespace(inode uint32, on bool) error {
	k.watched[inode] = on
	return nil
}

func (k *fakeKernel) setNode(a netip.Addr, node uint32) error {
	k.nodes[a] = node
	return nil
}

func (k *fakeKernel) removeNode(a netip.Addr) error {
	delete(k.nodes, a)
	return nil
}

func (k *fakeKernel) close() error { return nil }

// cluster is a source of namespaces and peers that tests change.
type cluster struct {
	namespaces []collectors.Namespace
	peers      []*collectors.Peer
}

func (c *cluster) List() []collectors.Namespace { return c.namespaces }
func (c *cluster) Peers() []*collectors.Peer    { return c.peers }

func testCluster() *cluster {
	return &cluster{
		namespaces: []collectors.Namespace{
			{Inode: 100, Node: true},
			{Inode: 200, Namespace: "podnet", Pod: "endpoint-1"},
		},
		peers: testPeers(),
	}
}

// newFake returns a Collector that counts nothing but what the test says.
func newFake(t *testing.T, on *cluster) (*Collector, *fakeKernel) {
	t.Helper()
	symbols := filepath.Join(t.TempDir(), "kallsyms")
	if err := os.WriteFile(symbols, []byte(kallsyms), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := newCollector(Options{Namespaces: on, Peers: on, Symbols: symbols})
	if err != nil {
		t.Fatal(err)
	}
	k := newFakeKernel()
	c.kernel = k
	c.reasons = &reasons{names: map[uint32]string{2: notSpecified, 3: "NO_SOCKET", 12: "NETFILTER_DROP"}, tried: make(map[uint32]bool)}
	c.devices.list = func(in collectors.Namespace) map[uint32]string {
		if in.Node {
			return map[uint32]string{1: "eth0", 2: "cni0"}
		}
		return map[uint32]string{1: "eth0"}
	}
	c.addresses = func(collectors.Namespace) ([]netip.Addr, error) { return addresses("10.2.0.1"), nil }
	return c, k
}

func TestCollector(t *testing.T) {
	c, k := newFake(t, testCluster())
	if err := c.Refresh(); err != nil {
		t.Fatal(err)
	}
	n1, n2 := c.mesh.numbers["n1"], c.mesh.numbers["n2"]
	k.drops = []entry[kernelDropKey]{
		{kernelDropKey{Netns: 100, Ifindex: 1, Reason: 12, Protocol: 1}, 7},
		{kernelDropKey{Netns: 100, Ifindex: 2, Reason: 2, Protocol: 0, Multicast: true}, 9},
		{kernelDropKey{Netns: 200, Ifindex: 1, Reason: 3, Protocol: 2}, 5},
		{kernelDropKey{Netns: 200, Ifindex: 0, Reason: 999, Protocol: 3}, 1},
	}
	k.probes = []entry[kernelProbeKey]{
		{kernelProbeKey{Location: 0xffffffff81000208, Netns: 100, Ifindex: 1, Reason: 12, SourceNode: n1, PeerNode: n2, Probe: 1}, 6},
		{kernelProbeKey{Location: 0xffffffff81000110, Netns: 200, Ifindex: 1, Reason: 12, SourceNode: n1, PeerNode: n2, Probe: 2, Direction: 1}, 2},
		{kernelProbeKey{Location: 0x10, Netns: 200, Ifindex: 1, Reason: 3, SourceNode: 0, PeerNode: n2, Probe: 3}, 1},
	}
	k.missed = missed{drops: 3, probes: 2, nested: 1}

	set := collectors.NewSet(map[string]collectors.Collector{"drops": c}, slog.New(slog.DiscardHandler))
	want, err := os.Open("testdata/drops.prom")
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	if err := testutil.CollectAndCompare(set, want, "podnet_drops_total", "podnet_probe_drops_total", "podnet_drops_overflow_total"); err != nil {
		t.Error(err)
	}
	problems, err := testutil.CollectAndLint(set)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// In a pod of which little is reported only what is no healthy end of a
// packet is told apart.
func TestBenignDropsOfABriefPodShareASeries(t *testing.T) {
	on := testCluster()
	on.namespaces = append(on.namespaces, collectors.Namespace{Inode: 300, Namespace: "shop", Pod: "web"})
	c, k := newFake(t, on)
	c.options.Brief = func(_, pod string) bool { return pod == "web" }
	c.reasons.names[11] = "TCP_CLOSE"
	k.drops = []entry[kernelDropKey]{
		{kernelDropKey{Netns: 300, Ifindex: 1, Reason: 11, Protocol: 2}, 4},
		{kernelDropKey{Netns: 300, Ifindex: 0, Reason: 11, Protocol: 2}, 3},
		{kernelDropKey{Netns: 300, Ifindex: 1, Reason: 12, Protocol: 2}, 2},
		{kernelDropKey{Netns: 200, Ifindex: 1, Reason: 11, Protocol: 2}, 1},
	}
	c.collect(t)
	want := map[string]uint64{
		"TCP_CLOSE benign - - - -":                    7,
		"NETFILTER_DROP policy tcp eth0 shop web":     2,
		"TCP_CLOSE benign tcp eth0 podnet endpoint-1": 1,
	}
	if diff := cmp.Diff(want, values(c.drops)); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

// A mesh of thousands of nodes is not gone through every second.
func TestRefreshWithoutAChangeAsksTheKernelForNothing(t *testing.T) {
	on := testCluster()
	c, k := newFake(t, on)
	c.collect(t)
	clear(k.nodes)
	if err := c.Refresh(); err != nil {
		t.Fatal(err)
	}
	if len(k.nodes) != 0 {
		t.Errorf("addresses set again although nothing changed: %v", k.nodes)
	}
	on.peers = append(on.peers[:len(on.peers):len(on.peers)], &collectors.Peer{Node: "n3", NodeAddresses: addresses("10.1.0.3")})
	if err := c.Refresh(); err != nil {
		t.Fatal(err)
	}
	if len(k.nodes) != 1 {
		t.Errorf("addresses set after a node joined: %v; want its own only", k.nodes)
	}
}

func TestKernelKnowsNamespacesAndAddresses(t *testing.T) {
	on := testCluster()
	c, k := newFake(t, on)
	c.collect(t)
	n1, n2 := c.mesh.numbers["n1"], c.mesh.numbers["n2"]
	address := netip.MustParseAddr
	want := map[netip.Addr]uint32{
		address("10.1.0.1"): n1, address("fd00:1::1"): n1,
		address("10.1.0.2"): n2, address("fd00:1::2"): n2,
		address("10.2.0.2"): n2, address("fd00:2::2"): n2,
		address("10.2.0.1"): n2, // of an interface of this node
	}
	if diff := cmp.Diff(want, k.nodes, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}

	on.namespaces = append(on.namespaces[:1:1], collectors.Namespace{Inode: 300, Namespace: "default", Pod: "app"})
	on.peers = []*collectors.Peer{on.peers[1], {Node: "n3", NodeAddresses: addresses("10.1.0.1")}}
	if err := c.Refresh(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[uint32]bool{100: true, 200: false, 300: true}, k.watched); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
	if n3 := c.mesh.numbers["n3"]; k.nodes[address("10.1.0.1")] != n3 || n3 == n1 {
		t.Errorf("the address of n1 that n3 took is node %d's; want %d's", k.nodes[address("10.1.0.1")], n3)
	}
	if node, ok := k.nodes[address("fd00:1::1")]; ok {
		t.Errorf("the address of a node that left is still node %d's", node)
	}
	if got := c.mesh.name(n1); got != "n1" {
		t.Errorf("name of a node that has just left = %q; want n1", got)
	}
}

func TestCountsOfWhatIsGoneAreForgottenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := testCluster()
		c, k := newFake(t, on)
		c.collect(t)
		n1, n2 := c.mesh.numbers["n1"], c.mesh.numbers["n2"]
		k.drops = []entry[kernelDropKey]{
			{kernelDropKey{Netns: 100, Reason: 12}, 1}, {kernelDropKey{Netns: 200, Reason: 12}, 1},
		}
		k.probes = []entry[kernelProbeKey]{
			{kernelProbeKey{Netns: 100, Reason: 12, SourceNode: n1, PeerNode: n2}, 1},
			{kernelProbeKey{Netns: 100, Reason: 12, SourceNode: n2, PeerNode: n2}, 1},
		}
		on.namespaces, on.peers = on.namespaces[:1], on.peers[1:]

		for _, tt := range []struct {
			after         time.Duration
			drops, probes int
		}{{0, 2, 2}, {keep, 2, 2}, {time.Second, 1, 1}} {
			time.Sleep(tt.after)
			c.collect(t)
			if len(c.drops.named) != tt.drops || len(c.probes.named) != tt.probes {
				t.Errorf("%v later: %d drop and %d probe series; want %d and %d",
					tt.after, len(c.drops.named), len(c.probes.named), tt.drops, tt.probes)
			}
		}
		if diff := cmp.Diff([]uint32{200, 100}, k.deleted); diff != "" {
			t.Errorf("keys deleted in the kernel, by namespace (-want +got):\n%s", diff)
		}
	})
}

func TestInodeOfAnotherPodBeginsAnew(t *testing.T) {
	on := testCluster()
	c, k := newFake(t, on)
	k.drops = []entry[kernelDropKey]{{kernelDropKey{Netns: 200, Reason: 12}, 4}}
	c.collect(t)
	on.namespaces = append(on.namespaces[:1:1], collectors.Namespace{Inode: 200, Namespace: "default", Pod: "app"})
	if err := c.Refresh(); err != nil {
		t.Fatal(err)
	}
	k.drops = []entry[kernelDropKey]{{kernelDropKey{Netns: 200, Reason: 12}, 1}}
	c.collect(t)
	want := map[string]uint64{"NETFILTER_DROP policy other - default app": 1}
	if diff := cmp.Diff(want, values(c.drops)); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

func TestNewSeriesWereZeroAtTheLastScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, k := newFake(t, testCluster())
		c.collect(t)
		scraped := time.Now()
		time.Sleep(15 * time.Second)
		k.drops = []entry[kernelDropKey]{{kernelDropKey{Netns: 200, Reason: 12}, 4}}
		for range 2 {
			c.collect(t)
			for _, s := range c.drops.named {
				if !s.since.Equal(scraped) {
					t.Errorf("created %v; want %v, when the last scrape did not have it", s.since, scraped)
				}
			}
		}
	})
}

func TestMissingBTF(t *testing.T) {
	on := testCluster()
	c, err := New(Options{Namespaces: on, Peers: on, BTF: filepath.Join(t.TempDir(), "vmlinux")})
	if err != nil {
		t.Fatalf("New() = %v; want a collector that says why it does not work", err)
	}
	err = c.Collect(make(chan prometheus.Metric, 100))
	if !errors.Is(err, collectors.ErrUnsupported) || !strings.Contains(err.Error(), "kernel has no BTF (CONFIG_DEBUG_INFO_BTF)") {
		t.Errorf("Collect() = %v; want ErrUnsupported, and what the kernel lacks", err)
	}
	if err := errors.Join(c.Refresh(), c.Close()); err != nil {
		t.Errorf("Refresh and Close: %v", err)
	}
}

func TestOptionsAreNeeded(t *testing.T) {
	if c, err := New(Options{}); err == nil {
		c.Close()
		t.Error("New without namespaces and peers succeeded")
	}
}
