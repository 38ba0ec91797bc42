package drops

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/collectors"
)

// testbed is a line of three namespaces without names, which end with the test:
//
//	far (node n1, foreign) eth0 — eth0 near (node n2) veth-endpoint — eth0 pod
//
// The collector under test is that of n2: near is its node, pod its pod.
type testbed struct {
	far, near, pod *space
	drops          *Collector
}

// space is a network namespace.
type space struct {
	t    testing.TB
	file *os.File
}

var (
	farAddresses  = addresses("10.1.0.1", "fd00:1::1")
	nearAddresses = addresses("10.1.0.2", "fd00:1::2")
	podAddresses  = addresses("10.2.0.2", "fd00:2::2")
)

func addresses(s ...string) (list []netip.Addr) {
	for _, a := range s {
		list = append(list, netip.MustParseAddr(a))
	}
	return list
}

func testPeers() []*collectors.Peer {
	return []*collectors.Peer{
		{Node: "n1", NodeAddresses: farAddresses},
		{Node: "n2", NodeAddresses: nearAddresses, PodAddresses: podAddresses, Self: true},
	}
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces and loads an eBPF program")
	}
}

func newTestbed(t testing.TB) *testbed {
	t.Helper()
	needRoot(t)
	b := &testbed{far: newSpace(t), near: newSpace(t), pod: newSpace(t)}
	join(t, b.far, "eth0", b.near, "eth0")
	join(t, b.near, "veth-endpoint", b.pod, "eth0")
	b.far.address("eth0", "10.1.0.1/24", "fd00:1::1/64")
	b.near.address("eth0", "10.1.0.2/24", "fd00:1::2/64")
	b.near.address("veth-endpoint", "10.2.0.1/24", "fd00:2::1/64")
	b.pod.address("eth0", "10.2.0.2/24", "fd00:2::2/64")
	b.far.route("10.2.0.0/16", "10.1.0.2")
	b.far.route("fd00:2::/64", "fd00:1::2")
	b.pod.route("10.1.0.0/24", "10.2.0.1")
	b.pod.route("fd00:1::/64", "fd00:2::1")
	b.near.sysctl("net/ipv4/ip_forward", "1")
	b.near.sysctl("net/ipv6/conf/all/forwarding", "1")

	c, err := New(Options{
		Namespaces: namespaces{
			b.near.namespace("", ""),
			b.pod.namespace("podnet", "endpoint-1"),
		},
		Peers: peerList(testPeers()),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if c.unsupported != nil {
		t.Skip(c.unsupported)
	}
	b.drops = c
	return b
}

type namespaces []collectors.Namespace

func (n namespaces) List() []collectors.Namespace { return n }

type peerList []*collectors.Peer

func (p peerList) Peers() []*collectors.Peer { return p }

func newSpace(t testing.TB) *space {
	t.Helper()
	s := &space{t: t}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			s.file, err = os.Open("/proc/thread-self/ns/net")
		}
		made <- err
	}()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.file.Close() })
	s.sysctl("net/ipv6/conf/default/accept_dad", "0")
	s.sysctl("net/ipv6/conf/default/dad_transmits", "0")
	s.in(func(h *netlink.Handle) error {
		lo, err := h.LinkByName("lo")
		return errors.Join(err, h.LinkSetUp(lo))
	})
	return s
}

func (s *space) namespace(namespace, pod string) collectors.Namespace {
	var stat unix.Stat_t
	if err := unix.Fstat(int(s.file.Fd()), &stat); err != nil {
		s.t.Fatal(err)
	}
	return collectors.Namespace{Inode: stat.Ino, Namespace: namespace, Pod: pod, Node: pod == "", Do: s.do}
}

// do runs f on a thread inside the namespace.
func (s *space) do(f func() error) error {
	errs := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil {
			errs <- err
			return
		}
		errs <- f()
	}()
	return <-errs
}

// in calls f with a handle of the namespace, and fails the test if f fails.
func (s *space) in(f func(h *netlink.Handle) error) {
	s.t.Helper()
	err := s.do(func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		return f(h)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func join(t testing.TB, a *space, aName string, b *space, bName string) {
	t.Helper()
	a.in(func(h *netlink.Handle) error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = aName
		return h.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: bName, PeerNamespace: netlink.NsFd(b.file.Fd())})
	})
	a.up(aName)
	b.up(bName)
}

func (s *space) up(name string) {
	s.t.Helper()
	s.in(func(h *netlink.Handle) error {
		link, err := h.LinkByName(name)
		if err != nil {
			return err
		}
		return h.LinkSetUp(link)
	})
}

func (s *space) address(device string, prefixes ...string) {
	s.t.Helper()
	s.in(func(h *netlink.Handle) error {
		link, err := h.LinkByName(device)
		for _, p := range prefixes {
			address, parse := netlink.ParseAddr(p)
			err = errors.Join(err, parse)
			if address.IP.To4() == nil {
				address.Flags = unix.IFA_F_NODAD
			}
			err = errors.Join(err, h.AddrAdd(link, address))
		}
		return err
	})
}

func (s *space) route(to, via string) {
	s.t.Helper()
	s.in(func(h *netlink.Handle) error {
		_, dst, err := net.ParseCIDR(to)
		return errors.Join(err, h.RouteAdd(&netlink.Route{Dst: dst, Gw: net.ParseIP(via)}))
	})
}

// flush removes the addresses of an interface, and with them its routes.
func (s *space) flush(device string) {
	s.t.Helper()
	s.in(func(h *netlink.Handle) error {
		link, err := h.LinkByName(device)
		if err != nil {
			return err
		}
		list, err := h.AddrList(link, netlink.FAMILY_ALL)
		for _, a := range list {
			err = errors.Join(err, h.AddrDel(link, &a))
		}
		return err
	})
}

func (s *space) sysctl(name, value string) {
	s.t.Helper()
	if err := s.do(func() error { return os.WriteFile("/proc/sys/"+name, []byte(value), 0) }); err != nil {
		s.t.Fatal(err)
	}
}

// block drops everything that passes a netfilter hook.
func (s *space) block(hook *nftables.ChainHook) {
	s.t.Helper()
	conn, err := nftables.New(nftables.WithNetNSFd(int(s.file.Fd())))
	if err != nil {
		s.t.Fatal(err)
	}
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "test"})
	chain := conn.AddChain(&nftables.Chain{
		Name: "drop", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: hook, Priority: nftables.ChainPriorityFilter,
	})
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}})
	if err := conn.Flush(); err != nil {
		s.t.Fatal(err)
	}
}

// send sends one probe. That the kernel refuses to send it, or that nobody
// answers, is not an error: tests make it so.
func (s *space) send(network string, to netip.Addr, payload string) {
	s.t.Helper()
	err := s.do(func() error {
		switch network {
		case "icmp":
			conn, err := sendEcho(to, payload)
			if err != nil {
				return err
			}
			return conn.Close()
		case "udp":
			conn, err := net.Dial("udp", netip.AddrPortFrom(to, 9798).String())
			if err != nil {
				return err
			}
			_, _ = conn.Write([]byte(payload))
			return conn.Close()
		}
		dialer := net.Dialer{Timeout: 100 * time.Millisecond}
		if conn, err := dialer.Dial("tcp", netip.AddrPortFrom(to, 9798).String()); err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
		return nil
	})
	if err != nil {
		s.t.Fatalf("send %s to %s: %v", network, to, err)
	}
}

// warm waits for an echo reply, so that all neighbours on the way are known.
func (s *space) warm(to netip.Addr) {
	s.t.Helper()
	err := s.do(func() error {
		conn, err := sendEcho(to, "warm")
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		reply := byte(ipv4.ICMPTypeEchoReply)
		if to.Is6() {
			reply = byte(ipv6.ICMPTypeEchoReply)
		}
		buffer := make([]byte, 1500)
		for buffer[0] = 0xff; buffer[0] != reply; {
			if _, _, err := conn.ReadFrom(buffer); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatalf("warm up %s: %v", to, err)
	}
}

// listen answers on port 9798, TCP and UDP, until the test ends.
func (s *space) listen() {
	s.t.Helper()
	var tcp net.Listener
	var udp net.PacketConn
	err := s.do(func() (err error) {
		if tcp, err = net.Listen("tcp", ":9798"); err == nil {
			udp, err = net.ListenPacket("udp", ":9798")
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { tcp.Close(); udp.Close() })
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("here"))
			conn.Close()
		}
	}()
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := udp.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = udp.WriteTo(buffer[:n], from)
		}
	}()
}

// sendEcho sends an ICMP echo request, and returns the socket for the reply.
func sendEcho(to netip.Addr, payload string) (*net.IPConn, error) {
	network, kind := "ip4:icmp", icmp.Type(ipv4.ICMPTypeEcho)
	if to.Is6() {
		network, kind = "ip6:ipv6-icmp", ipv6.ICMPTypeEchoRequest
	}
	message := icmp.Message{Type: kind, Body: &icmp.Echo{ID: 7, Seq: 1, Data: []byte(payload)}}
	packet, err := message.Marshal(nil)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial(network, to.String())
	if err != nil {
		return nil, err
	}
	_, _ = conn.Write(packet)
	return conn.(*net.IPConn), nil
}

// collect scrapes the collector, and forgets what it sends.
func (b *testbed) collect() {
	b.drops.collect(b.far.t)
}

func (c *Collector) collect(t testing.TB) {
	t.Helper()
	ch := make(chan prometheus.Metric, 10000)
	if err := c.Collect(ch); err != nil {
		t.Fatal(err)
	}
}

// values returns the counters of a table by the values of their labels.
func values[K comparable](t *table[K]) map[string]uint64 {
	all := make(map[string]uint64)
	for _, s := range t.named {
		var name bytes.Buffer
		for i, l := range s.labels {
			if i > 0 {
				name.WriteByte(' ')
			}
			if l == "" {
				l = "-"
			}
			name.WriteString(l)
		}
		all[name.String()] = s.packets
	}
	return all
}

// expect scrapes until a counter has reached a value.
func expect[K comparable](t *testing.T, b *testbed, in *table[K], labels string, want uint64) {
	t.Helper()
	deadline := time.After(2 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		b.collect()
		if values(in)[labels] >= want {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("counter {%s} has not reached %d; there are\n%s", labels, want, list(values(in)))
		case <-tick.C:
		}
	}
}

func list(all map[string]uint64) string {
	var text bytes.Buffer
	for name, n := range all {
		fmt.Fprintf(&text, "  %s = %d\n", name, n)
	}
	return text.String()
}
