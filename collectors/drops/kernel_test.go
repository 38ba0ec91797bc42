package drops

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestDropsOfProbes(t *testing.T) {
	far := func(b *testbed) *space { return b.far }
	near := func(b *testbed) *space { return b.near }
	pod := func(b *testbed) *space { return b.pod }
	tests := []struct {
		name     string
		broken   func(b *testbed)
		from     func(b *testbed) *space
		to       []netip.Addr
		networks []string
		want     string // labels of podnet_probe_drops_total, %s is the probe
	}{
		{
			"a rule in FORWARD names the interface that the packet came in by",
			func(b *testbed) { b.near.block(nftables.ChainHookForward) }, far, podAddresses, all(),
			"NETFILTER_DROP nft_do_chain eth0 - - n1 n2 %s forward",
		},
		{
			"a rule in the pod's INPUT names the pod",
			func(b *testbed) { b.pod.block(nftables.ChainHookInput) }, far, podAddresses, all(),
			"NETFILTER_DROP nft_do_chain eth0 podnet endpoint-1 n1 n2 %s forward",
		},
		{
			"a rule in OUTPUT names the interface that the packet was to leave by",
			func(b *testbed) { b.near.block(nftables.ChainHookOutput) }, near, farAddresses, all(),
			"NETFILTER_DROP nft_do_chain eth0 - - n2 n1 %s forward",
		},
		{
			"a reply dropped on its way out is of the probe that it answers",
			func(b *testbed) { b.pod.block(nftables.ChainHookOutput) }, far, podAddresses, []string{"icmp", "tcp"},
			"NETFILTER_DROP nft_do_chain eth0 podnet endpoint-1 n1 n2 %s reverse",
		},
		{
			"a reply dropped on its way back is of the probe that it answers",
			func(b *testbed) { b.near.block(nftables.ChainHookInput) }, near, farAddresses, []string{"icmp", "tcp"},
			"NETFILTER_DROP nft_do_chain eth0 - - n2 n1 %s reverse",
		},
		{
			"a pod's own probe",
			func(b *testbed) { b.near.block(nftables.ChainHookForward) }, pod, farAddresses, all(),
			"NETFILTER_DROP nft_do_chain veth-endpoint - - n2 n1 %s forward",
		},
		{
			"a packet for which the node has no route",
			func(b *testbed) { b.near.flush("veth-endpoint") }, far, podAddresses[:1], all(),
			"IP_INNOROUTES ip_error eth0 - - n1 n2 %s forward",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newTestbed(t)
			from := tt.from(b)
			for _, a := range tt.to {
				from.warm(a)
			}
			tt.broken(b)
			for _, network := range tt.networks {
				for i, a := range tt.to {
					from.send(network, a, "pnx1")
					expect(t, b, b.drops.probes, fmt.Sprintf(tt.want, network), uint64(i+1))
				}
			}
		})
	}
}

func all() []string { return []string{"icmp", "tcp", "udp"} }

func TestClosedPort(t *testing.T) {
	b := newTestbed(t)
	for _, a := range podAddresses {
		b.far.send("tcp", a, "")
		b.far.send("udp", a, "")
	}
	for _, function := range []string{"tcp_v4_rcv", "tcp_v6_rcv"} {
		expect(t, b, b.drops.probes, "NO_SOCKET "+function+" eth0 podnet endpoint-1 n1 n2 tcp forward", 1)
	}
	expect(t, b, b.drops.drops, "NO_SOCKET application tcp eth0 podnet endpoint-1", 2)
	expect(t, b, b.drops.drops, "NO_SOCKET application udp eth0 podnet endpoint-1", 2)
}

func TestHealthyProbesAreNotDropped(t *testing.T) {
	b := newTestbed(t)
	b.pod.listen()
	for range 20 {
		for _, network := range all() {
			for _, a := range podAddresses {
				b.far.send(network, a, "pnx1")
			}
			for _, a := range farAddresses {
				b.near.send("icmp", a, "pnx1")
				b.pod.send("icmp", a, "pnx1")
			}
		}
	}
	b.collect()
	if got := values(b.drops.probes); len(got) > 0 {
		t.Errorf("drops of probes:\n%s", list(got))
	}
}

func TestOtherPacketsAreNotProbes(t *testing.T) {
	b := newTestbed(t)
	b.near.block(nftables.ChainHookForward)
	for _, a := range podAddresses {
		b.far.send("icmp", a, "ping from elsewhere")
	}
	expect(t, b, b.drops.drops, "NETFILTER_DROP policy icmp eth0 - -", 2)
	if got := values(b.drops.probes); len(got) > 0 {
		t.Errorf("drops of probes:\n%s", list(got))
	}
}

func TestOtherNodesOnTheSameKernelDoNotCount(t *testing.T) {
	b := newTestbed(t)
	b.far.block(nftables.ChainHookOutput)
	b.near.block(nftables.ChainHookForward)
	for range 3 {
		b.far.send("icmp", nearAddresses[0], "pnx1") // dies in far
		b.pod.send("icmp", farAddresses[0], "pnx1")  // dies in near
	}
	expect(t, b, b.drops.drops, "NETFILTER_DROP policy icmp veth-endpoint - -", 3)
	want := map[string]uint64{"NETFILTER_DROP nft_do_chain veth-endpoint - - n2 n1 icmp forward": 3}
	got := values(b.drops.probes)
	if len(got) != 1 || got["NETFILTER_DROP nft_do_chain veth-endpoint - - n2 n1 icmp forward"] != 3 {
		t.Errorf("drops of probes:\n%swant\n%s", list(got), list(want))
	}
}

// A probe that dies inside a tunnel's packet is found there.
func TestProbesInsideTunnels(t *testing.T) {
	for _, port := range []int{8472, 4789} {
		t.Run(fmt.Sprintf("vxlan on port %d", port), func(t *testing.T) {
			b := newTestbed(t)
			peers := testPeers()
			peers[1].PodAddresses = addresses("10.3.0.2", "fd00:3::2")
			b.far.vxlan(port, "10.1.0.2", peers[1].PodAddresses, "10.3.0.1/24", "fd00:3::1/64")
			b.drops.options.Peers = peerList(peers)
			if err := b.drops.Refresh(); err != nil {
				t.Fatal(err)
			}
			for _, a := range nearAddresses {
				b.far.warm(a)
			}
			b.near.block(nftables.ChainHookInput)
			for i, a := range peers[1].PodAddresses {
				for j, network := range all() {
					b.far.send(network, a, "pnx1")
					// The mesh does not know the tunnel's address that they are sent from.
					expect(t, b, b.drops.probes, fmt.Sprintf("NETFILTER_DROP nft_do_chain eth0 - - - n2 %s forward", network), uint64(i+1))
					expect(t, b, b.drops.drops, "NETFILTER_DROP policy udp eth0 - -", uint64(3*i+j+1))
				}
			}
		})
	}
}

// An ICMP error quotes the packet that it is about: losing it hides why the
// probe failed.
func TestICMPErrorsAboutProbes(t *testing.T) {
	b := newTestbed(t)
	for _, a := range podAddresses {
		b.far.warm(a)
	}
	b.pod.block(nftables.ChainHookOutput)
	for _, a := range podAddresses {
		b.far.send("udp", a, "pnx1") // a closed port: port unreachable
	}
	expect(t, b, b.drops.probes, "NETFILTER_DROP nft_do_chain eth0 podnet endpoint-1 n1 n2 udp forward", 2)
}

func TestNeighbourThatDoesNotAnswer(t *testing.T) {
	b := newTestbed(t)
	b.near.sysctl("net/ipv4/neigh/veth-endpoint/retrans_time_ms", "20")
	b.near.send("icmp", netip.MustParseAddr("10.2.0.3"), "pnx1")
	expect(t, b, b.drops.drops, "NEIGH_FAILED routing icmp veth-endpoint - -", 1)
}

// Making a tunnel device frees buffers that are no packets.
func TestBuffersThatAreNoPacketsDoNotCount(t *testing.T) {
	b := newTestbed(t)
	b.near.vxlan(8472, "10.1.0.1", nil)
	b.collect()
	for labels := range values(b.drops.drops) {
		if strings.HasPrefix(labels, "NOT_SPECIFIED config") {
			t.Errorf("drops of packets: {%s}", labels)
		}
	}
}

func TestCapabilitiesAreNamed(t *testing.T) {
	switch os.Getenv("DROPS_TEST") {
	case "drop":
		t.Setenv("DROPS_TEST", "collect")
		withoutCapabilities(t)
	case "collect":
		on := testCluster()
		c, err := New(Options{Namespaces: on, Peers: on})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("collect:", c.Collect(make(chan prometheus.Metric, 100)))
		return
	}
	needRoot(t)
	child := exec.Command(os.Args[0], "-test.run=^TestCapabilitiesAreNamed$")
	child.Env = append(os.Environ(), "DROPS_TEST=drop")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	want := "collect: drops: not supported here: needs CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN)"
	if !strings.Contains(string(out), want) {
		t.Errorf("without capabilities it said\n%swant %q", out, want)
	}
}

// withoutCapabilities starts the test binary anew with no capability, as a
// container that was given none would be.
func withoutCapabilities(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	// CAP_SETPCAP last: it is what allows the others to be dropped.
	for i := range uintptr(unix.CAP_LAST_CAP + 1) {
		capability := (unix.CAP_SETPCAP + 1 + i) % (unix.CAP_LAST_CAP + 1)
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal(unix.Exec(os.Args[0], os.Args, os.Environ()))
}

// vxlan makes a tunnel to another node, behind which there are some addresses.
func (s *space) vxlan(port int, remote string, behind []netip.Addr, prefixes ...string) {
	s.t.Helper()
	s.in(func(h *netlink.Handle) error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "flannel.1"
		return h.LinkAdd(&netlink.Vxlan{LinkAttrs: attrs, VxlanId: 1, Port: port, Group: netip.MustParseAddr(remote).AsSlice()})
	})
	s.up("flannel.1")
	s.address("flannel.1", prefixes...)
	s.in(func(h *netlink.Handle) error {
		link, err := h.LinkByName("flannel.1")
		for _, a := range behind {
			err = errors.Join(err, h.NeighAdd(&netlink.Neigh{
				LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT,
				IP: a.AsSlice(), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1},
			}))
		}
		return err
	})
}
