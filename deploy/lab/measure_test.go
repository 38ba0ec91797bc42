package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// TestMain lets the test program be the processes that faults start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == impairCommandName || os.Args[1] == loadCommandName) {
		main()
		return
	}
	os.Exit(m.Run())
}

// sample is what became of the packets that were sent to an echo.
type sample struct {
	sent, lost, duplicates int
	overtaken              int // replies that came after a later one's
	rtt                    []time.Duration
	copies                 []time.Duration // the same of duplicates
}

func (s sample) median() time.Duration { return median(s.rtt) }

// least returns the shortest RTT, which a busy machine changes least; 0 of
// none.
func (s sample) least() time.Duration {
	if len(s.rtt) == 0 {
		return 0
	}
	return slices.Min(s.rtt)
}

// median returns the median of times, 0 of none.
func median(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

func (s sample) String() string {
	return fmt.Sprintf("%d sent, %d lost, %d duplicates, %d overtaken, RTT %s at least, median %s", s.sent, s.lost, s.duplicates, s.overtaken, s.least(), s.median())
}

// echoPort is where packets are sent back from.
const echoPort = 7007

// echo sends UDP packets back from a namespace until the test ends.
func echo(t *testing.T, netnsName string) {
	t.Helper()
	for _, network := range []string{"udp4", "udp6"} {
		var c net.PacketConn
		err := netspace.In(netnsName, func() error {
			var err error
			c, err = net.ListenPacket(network, fmt.Sprintf(":%d", echoPort))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.(*net.UDPConn).SetReadBuffer(4 << 20) // the machine may be busy
		go func() {
			for b := make([]byte, 2000); ; {
				n, from, err := c.ReadFrom(b)
				if errors.Is(err, net.ErrClosed) {
					return
				}
				if err == nil {
					c.WriteTo(b[:n], from)
				}
			}
		}()
	}
}

// flow is one UDP flow of packets that are as large as given, with their IP
// header, and must not be fragmented.
type flow struct {
	from  string // namespace, complete
	to    netip.Addr
	count int
	gap   time.Duration
	size  int // bytes, at least 64
	port  int // source port, 0 for any
}

// measure sends a flow and returns what became of it. A packet that the
// sender's own kernel refuses is lost.
func measure(t *testing.T, f flow) sample {
	t.Helper()
	c := dialFlow(t, f)
	defer c.Close()
	headers := 28
	if f.to.Is6() {
		headers = 48
	}
	s := sample{sent: f.count}
	sent := make([]time.Time, f.count)
	replies := make(chan uint32, 2*f.count)
	go func() {
		defer close(replies)
		for b := make([]byte, 2000); ; {
			n, err := c.Read(b)
			if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil && n >= 4 {
				replies <- binary.BigEndian.Uint32(b)
			}
		}
	}()
	tick := time.NewTicker(f.gap)
	defer tick.Stop()
	packet := make([]byte, f.size-headers)
	seen, last, next := map[uint32]bool{}, uint32(0), 0
	note := func(n uint32) {
		switch {
		case seen[n]:
			s.duplicates++
			s.copies = append(s.copies, time.Since(sent[n]))
			return
		case n < last:
			s.overtaken++
		}
		seen[n], last = true, max(last, n)
		s.rtt = append(s.rtt, time.Since(sent[n]))
	}
	for next < f.count {
		select {
		case n := <-replies:
			note(n)
		case <-tick.C:
			binary.BigEndian.PutUint32(packet, uint32(next))
			sent[next] = time.Now()
			c.Write(packet)
			next++
		}
	}
	for patience := 1500 * time.Millisecond; ; patience = 150 * time.Millisecond { // in which more copies may come
		c.SetReadDeadline(time.Now().Add(patience))
		for len(seen) < f.count || patience < time.Second {
			n, ok := <-replies
			if !ok {
				s.lost = f.count - len(seen)
				return s
			}
			note(n)
		}
	}
}

// dialFlow returns a socket that learns no path MTU and sends no fragments.
func dialFlow(t *testing.T, f flow) net.Conn {
	t.Helper()
	var c net.Conn
	err := netspace.In(f.from, func() error {
		d := net.Dialer{LocalAddr: &net.UDPAddr{Port: f.port}, Control: func(network, _ string, raw syscall.RawConn) error {
			var err error
			return errors.Join(raw.Control(func(fd uintptr) {
				if network == "udp4" {
					err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
				} else {
					err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
				}
			}), err)
		}}
		var err error
		c, err = d.DialContext(t.Context(), "udp", netip.AddrPortFrom(f.to, echoPort).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// expired sends echo requests that are allowed so many hops, and returns how
// many answers "time exceeded" came from each router, 300 ms after the last.
func expired(t *testing.T, from string, to netip.Addr, hops, count int, gap time.Duration) map[netip.Addr]int {
	t.Helper()
	network, request, answer, proto := "ip4:icmp", icmp.Type(ipv4.ICMPTypeEcho), icmp.Type(ipv4.ICMPTypeTimeExceeded), unix.IPPROTO_ICMP
	if to.Is6() {
		network, request, answer, proto = "ip6:ipv6-icmp", ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeTimeExceeded, unix.IPPROTO_ICMPV6
	}
	var c *icmp.PacketConn
	err := netspace.In(from, func() error {
		var err error
		c, err = icmp.ListenPacket(network, "")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if to.Is6() {
		err = c.IPv6PacketConn().SetHopLimit(hops)
	} else {
		err = c.IPv4PacketConn().SetTTL(hops)
	}
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(gap)
	defer tick.Stop()
	for i := range count {
		b, err := (&icmp.Message{Type: request, Body: &icmp.Echo{ID: os.Getpid() & 0xffff, Seq: i}}).Marshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.WriteTo(b, &net.IPAddr{IP: to.AsSlice()}); err != nil {
			t.Fatal(err)
		}
		<-tick.C
	}
	c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	answers := map[netip.Addr]int{}
	for b := make([]byte, 1500); ; {
		n, peer, err := c.ReadFrom(b)
		if err != nil {
			return answers
		}
		m, err := icmp.ParseMessage(proto, b[:n])
		if err == nil && m.Type == answer {
			a, _ := netip.AddrFromSlice(peer.(*net.IPAddr).IP)
			answers[a.Unmap()]++
		}
	}
}
