package probers

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// outcome is what a table expects of a Result: RTT only by its sign.
type outcome struct {
	Reason Reason
	From   string // of the ICMP error, "" for none
	Type   uint8
	Code   uint8
	MTU    int
}

func outcomeOf(r Result) outcome {
	o := outcome{Reason: r.Reason, Type: r.ICMP.Type, Code: r.ICMP.Code, MTU: r.ICMP.MTU}
	if r.ICMP.From.IsValid() {
		o.From = r.ICMP.From.String()
	}
	return o
}

const (
	far4, far6 = "10.9.0.2:9798", "[fd09::2]:9798"
	timeout    = 5 * time.Second // that a probe which is answered does not need, also on a busy machine
)

// allow is the timeout of a probe with a known outcome: one that nothing will
// answer is not waited for long.
func allow(want Reason) time.Duration {
	if want == Timeout {
		return 200 * time.Millisecond
	}
	return timeout
}

// TestOutcome breaks the far end, or the way to it, and looks at what each
// kind of probe says.
func TestOutcome(t *testing.T) {
	input, output := nftables.ChainHookInput, nftables.ChainHookOutput
	tests := []struct {
		name   string
		breaks func(t *testing.T, near, far *space)
		to     string
		size   int
		icmp   outcome
		tcp    outcome
	}{
		{name: "a listening IPv4 target answers", to: far4},
		{name: "a listening IPv6 target answers", to: far6},
		{name: "IPv4 loopback answers", to: "127.0.0.1:9798", tcp: outcome{Reason: Refused}},
		{name: "IPv6 loopback answers", to: "[::1]:9798", tcp: outcome{Reason: Refused}},
		{name: "an IPv4-mapped IPv6 address is IPv4", to: "[::ffff:10.9.0.2]:9798"},
		{name: "nobody listens on the IPv4 port", to: "10.9.0.2:9", tcp: outcome{Reason: Refused}},
		{name: "nobody listens on the IPv6 port", to: "[fd09::2]:9", tcp: outcome{Reason: Refused}},
		{
			name:   "the target drops everything over IPv4",
			breaks: func(t *testing.T, _, far *space) { far.filter(t, input, drop()) },
			to:     far4, icmp: outcome{Reason: Timeout}, tcp: outcome{Reason: Timeout},
		},
		{
			name:   "the target drops everything over IPv6",
			breaks: func(t *testing.T, _, far *space) { far.filter(t, input, drop()) },
			to:     far6, icmp: outcome{Reason: Timeout}, tcp: outcome{Reason: Timeout},
		},
		{
			name: "the target rejects as administratively prohibited over IPv4",
			breaks: func(t *testing.T, _, far *space) {
				far.filter(t, input, reject(unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED))
			},
			to:   far4,
			icmp: outcome{Reason: AdminProhibited, From: "10.9.0.2", Type: 3, Code: 13},
			tcp:  outcome{Reason: AdminProhibited, From: "10.9.0.2", Type: 3, Code: 13},
		},
		{
			name: "the target rejects as administratively prohibited over IPv6",
			breaks: func(t *testing.T, _, far *space) {
				far.filter(t, input, reject(unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED))
			},
			to:   far6,
			icmp: outcome{Reason: AdminProhibited, From: "fd09::2", Type: 1, Code: 1},
			tcp:  outcome{Reason: AdminProhibited, From: "fd09::2", Type: 1, Code: 1},
		},
		{
			name:   "the target rejects with port unreachable over IPv4",
			breaks: func(t *testing.T, _, far *space) { far.filter(t, input, reject(unix.NFT_REJECT_ICMPX_PORT_UNREACH)) },
			to:     far4,
			icmp:   outcome{Reason: PortUnreachable, From: "10.9.0.2", Type: 3, Code: 3},
			tcp:    outcome{Reason: PortUnreachable, From: "10.9.0.2", Type: 3, Code: 3},
		},
		{
			name:   "the target rejects with port unreachable over IPv6",
			breaks: func(t *testing.T, _, far *space) { far.filter(t, input, reject(unix.NFT_REJECT_ICMPX_PORT_UNREACH)) },
			to:     far6,
			icmp:   outcome{Reason: PortUnreachable, From: "fd09::2", Type: 1, Code: 4},
			tcp:    outcome{Reason: PortUnreachable, From: "fd09::2", Type: 1, Code: 4},
		},
		{
			name:   "the target rejects with host unreachable over IPv6",
			breaks: func(t *testing.T, _, far *space) { far.filter(t, input, reject(unix.NFT_REJECT_ICMPX_HOST_UNREACH)) },
			to:     far6,
			icmp:   outcome{Reason: HostUnreachable, From: "fd09::2", Type: 1, Code: 3},
			tcp:    outcome{Reason: HostUnreachable, From: "fd09::2", Type: 1, Code: 3},
		},
		{
			name:   "the target rejects TCP with a reset, and ICMP passes",
			breaks: func(t *testing.T, _, far *space) { far.filter(t, input, tcpReset()...) },
			to:     far4, tcp: outcome{Reason: Refused},
		},
		{
			// The SYN is lost silently: tcp_connect ignores that it could not
			// be sent, and would send it again after a second.
			name:   "this node drops what it sends over IPv4",
			breaks: func(t *testing.T, near, _ *space) { near.filter(t, output, drop()) },
			to:     far4, icmp: outcome{Reason: LocalDenied}, tcp: outcome{Reason: Timeout},
		},
		{
			name:   "this node drops what it sends over IPv6",
			breaks: func(t *testing.T, near, _ *space) { near.filter(t, output, drop()) },
			to:     far6, icmp: outcome{Reason: LocalDenied}, tcp: outcome{Reason: Timeout},
		},
		{name: "there is no IPv4 route", to: "10.8.0.1:1", icmp: outcome{Reason: NoRoute}, tcp: outcome{Reason: NoRoute}},
		{name: "there is no IPv6 route", to: "[fd08::1]:1", icmp: outcome{Reason: NoRoute}, tcp: outcome{Reason: NoRoute}},
		{
			name:   "the IPv4 route is a black hole",
			breaks: func(t *testing.T, near, _ *space) { near.route(t, "10.8.0.0/16", "", "", unix.RTN_BLACKHOLE) },
			to:     "10.8.0.1:1", icmp: outcome{Reason: NoRoute}, tcp: outcome{Reason: NoRoute},
		},
		{
			name:   "the IPv6 route is a black hole",
			breaks: func(t *testing.T, near, _ *space) { near.route(t, "fd08::/16", "", "", unix.RTN_BLACKHOLE) },
			to:     "[fd08::1]:1", icmp: outcome{Reason: NoRoute}, tcp: outcome{Reason: NoRoute},
		},
		{
			name:   "the IPv4 route says unreachable",
			breaks: func(t *testing.T, near, _ *space) { near.route(t, "10.8.0.0/16", "", "", unix.RTN_UNREACHABLE) },
			to:     "10.8.0.1:1", icmp: outcome{Reason: HostUnreachable}, tcp: outcome{Reason: HostUnreachable},
		},
		{
			name:   "the IPv4 route says prohibited",
			breaks: func(t *testing.T, near, _ *space) { near.route(t, "10.8.0.0/16", "", "", unix.RTN_PROHIBIT) },
			to:     "10.8.0.1:1", icmp: outcome{Reason: LocalDenied}, tcp: outcome{Reason: LocalDenied},
		},
		{
			name:   "the IPv6 route says prohibited",
			breaks: func(t *testing.T, near, _ *space) { near.route(t, "fd08::/16", "", "", unix.RTN_PROHIBIT) },
			to:     "[fd08::1]:1", icmp: outcome{Reason: LocalDenied}, tcp: outcome{Reason: LocalDenied},
		},
		{
			// Without a carrier packets are lost in the device, not refused.
			name: "the far end of the veth is down",
			breaks: func(t *testing.T, _, far *space) {
				if err := far.link.LinkSetDown(far.get(t, "eth0")); err != nil {
					t.Fatal(err)
				}
			},
			to: far4, icmp: outcome{Reason: Timeout}, tcp: outcome{Reason: Timeout},
		},
		{
			name: "the near end of the veth is down",
			breaks: func(t *testing.T, near, _ *space) {
				if err := near.link.LinkSetDown(near.get(t, "eth0")); err != nil {
					t.Fatal(err)
				}
			},
			to: far4, icmp: outcome{Reason: NoRoute}, tcp: outcome{Reason: NoRoute},
		},
		{
			name: "the packet is larger than the IPv4 interface's MTU", to: far4, size: 1501,
			icmp: outcome{Reason: FragNeeded},
		},
		{name: "the packet is as large as the IPv4 interface's MTU", to: far4, size: 1500},
		{name: "the packet is as large as the IPv6 interface's MTU", to: far6, size: 1500},
		{name: "a packet that is too small for a probe is made larger", to: far6, size: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			near, far := pair(t)
			near.wait(t, "10.9.0.2", "fd09::2")
			far.listen(t, "tcp", ":9798")
			if tt.breaks != nil {
				tt.breaks(t, near, far)
			}
			e := near.engine(t)
			for kind, want := range map[Kind]outcome{ICMP: tt.icmp, TCP: tt.tcp} {
				p := Probe{Tag: 7, Kind: kind, To: netip.MustParseAddrPort(tt.to), Timeout: allow(want.Reason), Size: tt.size}
				got := near.probe(t, e, p)
				if diff := cmp.Diff(want, outcomeOf(got)); diff != "" {
					t.Errorf("%v: outcome differs (-want +got):\n%s", kind, diff)
				}
				timed := got.Reason == OK || kind == ICMP && got.ICMP != ICMPError{}
				if ok := got.RTT > 0 && got.RTT < timeout; got.Tag != 7 || ok != timed {
					t.Errorf("%v: got %+v; want tag 7, and an RTT if there was an answer", kind, got)
				}
			}
			if s := e.Stats(); s.InFlight != 0 || s.NoTimestamp != 0 || s.Foreign != 0 {
				t.Errorf("Stats() = %+v; want nothing in flight and an exact RTT of everything", s)
			}
		})
	}
}

// wait waits until addresses answer: a new veth carries nothing until the
// kernel's link watch has run. What is broken after that is met by the probe
// and not by neighbour resolution.
func (s *space) wait(t testing.TB, addresses ...string) {
	t.Helper()
	e := s.engine(t)
	for _, a := range addresses {
		p := Probe{Kind: ICMP, To: netip.AddrPortFrom(netip.MustParseAddr(a), 0), Timeout: 100 * time.Millisecond}
		for tries := 0; s.probe(t, e, p).Reason != OK; tries++ {
			if tries == 100 {
				t.Fatalf("%s does not answer", a)
			}
		}
	}
}

// routed makes near and far with a router between them: 10.9.1.0/24 and
// fd09:1::/64 on the near side, 10.9.2.0/24 and fd09:2::/64 on the far side.
func routed(t testing.TB) (near, router, far *space) {
	t.Helper()
	near, router, far = newSpace(t), newSpace(t), newSpace(t)
	wire(t, near, router, "eth0")
	wire(t, router, far, "eth1")
	near.address(t, "eth0", "10.9.1.1/24", "fd09:1::1/64")
	router.address(t, "eth0", "10.9.1.2/24", "fd09:1::2/64")
	router.address(t, "eth1", "10.9.2.2/24", "fd09:2::2/64")
	far.address(t, "eth1", "10.9.2.1/24", "fd09:2::1/64")
	router.sysctl(t, "net/ipv4/ip_forward", "1")
	router.sysctl(t, "net/ipv6/conf/all/forwarding", "1")
	near.route(t, "10.9.0.0/16", "10.9.1.2", "", unix.RTN_UNICAST)
	near.route(t, "fd09::/16", "fd09:1::2", "", unix.RTN_UNICAST)
	far.route(t, "10.9.1.0/24", "10.9.2.2", "", unix.RTN_UNICAST)
	far.route(t, "fd09:1::/64", "fd09:2::2", "", unix.RTN_UNICAST)
	near.wait(t, "10.9.2.1", "fd09:2::1")
	return near, router, far
}

func TestOutcomeBehindRouter(t *testing.T) {
	tests := []struct {
		name   string
		breaks func(t *testing.T, near, router *space)
		to     string
		size   int
		icmp   outcome
		tcp    outcome
	}{
		{name: "the IPv4 target answers", to: "10.9.2.1:9798"},
		{name: "the IPv6 target answers", to: "[fd09:2::1]:9798"},
		{
			name:   "the IPv4 time to live ends at the router",
			breaks: func(t *testing.T, near, _ *space) { near.sysctl(t, "net/ipv4/ip_default_ttl", "1") },
			to:     "10.9.2.1:9798",
			icmp:   outcome{Reason: TTLExceeded, From: "10.9.1.2", Type: 11},
			tcp:    outcome{Reason: TTLExceeded, From: "10.9.1.2", Type: 11},
		},
		{
			name:   "the IPv6 hop limit ends at the router",
			breaks: func(t *testing.T, near, _ *space) { near.sysctl(t, "net/ipv6/conf/eth0/hop_limit", "1") },
			to:     "[fd09:2::1]:9798",
			icmp:   outcome{Reason: TTLExceeded, From: "fd09:1::2", Type: 3},
			tcp:    outcome{Reason: TTLExceeded, From: "fd09:1::2", Type: 3},
		},
		{
			name: "the IPv4 packet does not fit behind the router", breaks: narrow, to: "10.9.2.1:9798", size: 1500,
			icmp: outcome{Reason: FragNeeded, From: "10.9.1.2", Type: 3, Code: 4, MTU: 1400},
		},
		{
			name: "the IPv6 packet does not fit behind the router", breaks: narrow, to: "[fd09:2::1]:9798", size: 1500,
			icmp: outcome{Reason: FragNeeded, From: "fd09:1::2", Type: 2, MTU: 1400},
		},
		{
			name: "the router has no IPv4 route", to: "10.9.3.1:1",
			icmp: outcome{Reason: NetUnreachable, From: "10.9.1.2", Type: 3},
			tcp:  outcome{Reason: NetUnreachable, From: "10.9.1.2", Type: 3},
		},
		{
			name: "the router has no IPv6 route", to: "[fd09:3::1]:1",
			icmp: outcome{Reason: NetUnreachable, From: "fd09:1::2", Type: 1},
			tcp:  outcome{Reason: NetUnreachable, From: "fd09:1::2", Type: 1},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for kind, want := range map[Kind]outcome{ICMP: tt.icmp, TCP: tt.tcp} {
				near, router, far := routed(t) // one each: routers limit their ICMP errors
				far.listen(t, "tcp", ":9798")
				if tt.breaks != nil {
					tt.breaks(t, near, router)
				}
				e := near.engine(t)
				p := Probe{Kind: kind, To: netip.MustParseAddrPort(tt.to), Timeout: allow(want.Reason), Size: tt.size}
				for range 2 { // what the kernel learns from the first must not hide the second
					got := outcomeOf(near.probe(t, e, p))
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%v: outcome differs (-want +got):\n%s", kind, diff)
					}
				}
			}
		})
	}
}

func narrow(t *testing.T, _, router *space) {
	if err := router.link.LinkSetMTU(router.get(t, "eth1"), 1400); err != nil {
		t.Fatal(err)
	}
}

func TestNeighbourThatDoesNotAnswerIsHostUnreachable(t *testing.T) {
	near, _ := pair(t)
	near.sysctl(t, "net/ipv4/neigh/eth0/retrans_time_ms", "20")
	near.sysctl(t, "net/ipv6/neigh/eth0/retrans_time_ms", "20")
	e := near.engine(t)
	for _, tt := range []struct {
		to   string
		want outcome
	}{
		{"10.9.0.77:1", outcome{Reason: HostUnreachable, From: "10.9.0.1", Type: 3, Code: 1}},
		{"[fd09::77]:1", outcome{Reason: HostUnreachable, From: "fd09::1", Type: 1, Code: 3}},
	} {
		for _, kind := range []Kind{ICMP, TCP} {
			got := near.probe(t, e, Probe{Kind: kind, To: netip.MustParseAddrPort(tt.to), Timeout: 5 * time.Second})
			if diff := cmp.Diff(tt.want, outcomeOf(got)); diff != "" {
				t.Errorf("%v to %s: outcome differs (-want +got):\n%s", kind, tt.to, diff)
			}
		}
	}
}

func TestLocalPortsExhausted(t *testing.T) {
	near, far := pair(t)
	to := far.listen(t, "tcp4", "10.9.0.2:9798")
	near.sysctl(t, "net/ipv4/ip_local_port_range", "40000 40000")
	near.do(func() {
		c, err := net.Dial("tcp", to.String())
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { c.Close() })
	})
	e := near.engine(t)
	if got := near.probe(t, e, Probe{Kind: TCP, To: to, Timeout: timeout}); got.Reason != LocalPortsExhausted {
		t.Errorf("got %+v; want %s", got, LocalPortsExhausted)
	}
}

func TestConnectionToItselfIsRefused(t *testing.T) {
	s := newSpace(t)
	s.sysctl(t, "net/ipv4/ip_local_port_range", "40000 40000") // the kernel has no other choice
	e := s.engine(t)
	for _, to := range []string{"127.0.0.1:40000", "[::1]:40000"} {
		if got := s.probe(t, e, Probe{Kind: TCP, To: netip.MustParseAddrPort(to), Timeout: timeout}); got.Reason != Refused {
			t.Errorf("%s: got %+v; want %s", to, got, Refused)
		}
	}
}

func TestManyProbesAtOnceHaveOneOutcomeEach(t *testing.T) {
	near, far := pair(t)
	far.listen(t, "tcp", ":9798")
	near.wait(t, "10.9.0.2", "fd09::2")
	e := near.engine(t)
	const n = 3000 // more than the ring is made for
	targets := []string{far4, far6}
	for i := range uint64(n) {
		kind := ICMP
		if i%8 == 0 {
			kind = TCP
		}
		e.Send(Probe{Tag: i, Kind: kind, To: netip.MustParseAddrPort(targets[i%2]), Timeout: 10 * time.Second})
	}
	seen := map[uint64]Result{}
	var out []Result
	for len(seen) < n {
		out = e.Poll(time.Now().Add(time.Minute), out[:0])
		for _, r := range out {
			if r.Reason != OK || r.Event != Done || r.RTT <= 0 || r.RTT > time.Second {
				t.Fatalf("got %+v; want success", r)
			}
			if _, again := seen[r.Tag]; again {
				t.Fatalf("two outcomes of probe %d", r.Tag)
			}
			seen[r.Tag] = r
		}
	}
	if s := e.Stats(); s.InFlight != 0 || s.Drops != 0 || s.Sent != n {
		t.Errorf("Stats() = %+v", s)
	}
}

func TestWakeEndsPoll(t *testing.T) {
	near := newSpace(t)
	e := near.engine(t)
	for range 2 {
		go e.Wake()
		if got := e.Poll(time.Now().Add(time.Hour), nil); len(got) != 0 {
			t.Errorf("Poll() = %v; want nothing", got)
		}
	}
	start := time.Now()
	e.Poll(start.Add(10*time.Millisecond), nil)
	if took := time.Since(start); took < 10*time.Millisecond {
		t.Errorf("Poll() took %v; want 10ms, a Wake counts once", took)
	}
}

func TestOnceEndsWithItsContext(t *testing.T) {
	near, far := pair(t)
	far.filter(t, nftables.ChainHookInput, drop())
	e := near.engine(t)
	ctx, cancel := cancelled(t)
	defer cancel()
	for _, kind := range []Kind{ICMP, TCP} {
		if _, err := Once(ctx, e, Probe{Kind: kind, To: netip.MustParseAddrPort(far4), Timeout: time.Hour}); err == nil {
			t.Errorf("Once() of %v = nil; want the context's error", kind)
		}
	}
	if s := e.Stats(); s.InFlight != 0 {
		t.Errorf("Stats() = %+v; want nothing in flight", s)
	}
}

func TestMissingCapabilityIsNoPacketLoss(t *testing.T) {
	near := newSpace(t)
	e := near.engine(t)
	var got Result
	var err error
	near.unprivileged(t, func() {
		got, err = Once(t.Context(), e, Probe{Kind: ICMP, To: netip.MustParseAddrPort("127.0.0.1:0"), Timeout: timeout})
	})
	if got.Reason != Impaired || err == nil {
		t.Errorf("Once() = %+v, %v; want %s and an error that names the capability", got, err, Impaired)
	}
	t.Log(err)
}

func TestUnknownKindIsImpaired(t *testing.T) {
	e := newSpace(t).engine(t)
	e.Send(Probe{Tag: 3})
	want := []Result{{Tag: 3, Event: Done, Reason: Impaired}}
	if diff := cmp.Diff(want, e.Poll(time.Now(), nil), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	if e.Err() == nil {
		t.Error("Err() = nil")
	}
}
