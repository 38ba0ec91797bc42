package probers

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// tooBig matches the ICMP errors that say that a packet does not fit.
func (s *space) dropTooBig(t testing.TB) {
	t.Helper()
	for _, kind := range [][3]byte{{unix.IPPROTO_ICMP, unreachable4, fragNeeded4}, {unix.IPPROTO_ICMPV6, packetTooBig6, 0}} {
		s.filter(t, nftables.ChainHookOutput,
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: kind[:1]},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 2},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: kind[1:]},
			drop())
	}
}

// search runs a whole search.
func (s *space) search(t testing.TB, e *Engine, opts PMTUOptions) PMTUReport {
	t.Helper()
	if opts.Upper == 0 {
		mtu, err := e.RouteMTU(opts.To.Addr())
		if err != nil {
			t.Fatal(err)
		}
		opts.Upper = mtu
	}
	search := NewPMTU(opts)
	for {
		p, ok := search.Next()
		if !ok {
			return search.Report()
		}
		search.Add(s.probe(t, e, p))
	}
}

const behind4, behind6 = "10.9.2.1:9798", "[fd09:2::1]:9798"

func TestPMTUOfRealPaths(t *testing.T) {
	narrowed := func(mtu int) func(t *testing.T, near, router, far *space) {
		return func(t *testing.T, _, router, _ *space) {
			if err := router.link.LinkSetMTU(router.get(t, "eth1"), mtu); err != nil {
				t.Fatal(err)
			}
		}
	}
	hole := func(mtu int) func(t *testing.T, near, router, far *space) {
		return func(t *testing.T, near, router, far *space) {
			router.dropTooBig(t)
			narrowed(mtu)(t, near, router, far)
		}
	}
	told4 := ICMPError{From: netip.MustParseAddr("10.9.1.2"), Type: 3, Code: 4, MTU: 1400}
	told6 := ICMPError{From: netip.MustParseAddr("fd09:1::2"), Type: 2, MTU: 1400}
	tests := []struct {
		name   string
		breaks func(t *testing.T, near, router, far *space)
		to     string
		want   PMTUReport
	}{
		{name: "a whole IPv4 path", to: behind4, want: PMTUReport{State: PMTUFull, MTU: 1500, Upper: 1500, Probes: 1}},
		{name: "a whole IPv6 path", to: behind6, want: PMTUReport{State: PMTUFull, MTU: 1500, Upper: 1500, Probes: 1}},
		{
			name: "an IPv4 router says that a packet does not fit", breaks: narrowed(1400), to: behind4,
			want: PMTUReport{State: PMTUSmaller, MTU: 1400, Upper: 1500, Told: told4, Probes: 2},
		},
		{
			name: "an IPv6 router says that a packet is too big", breaks: narrowed(1400), to: behind6,
			want: PMTUReport{State: PMTUSmaller, MTU: 1400, Upper: 1500, Told: told6, Probes: 2},
		},
		{
			name: "an IPv4 black hole", breaks: hole(1400), to: behind4,
			want: PMTUReport{State: PMTUBlackHole, MTU: 1400, Upper: 1500},
		},
		{
			name: "an IPv6 black hole", breaks: hole(1400), to: behind6,
			want: PMTUReport{State: PMTUBlackHole, MTU: 1400, Upper: 1500},
		},
		{
			name: "an IPv4 black hole at an odd size", breaks: hole(1391), to: behind4,
			want: PMTUReport{State: PMTUBlackHole, MTU: 1391, Upper: 1500},
		},
		{
			name:   "a smaller MTU of the route",
			breaks: func(t *testing.T, near, _, _ *space) { near.routeMTU(t, "10.9.2.0/24", "10.9.1.2", 1450) },
			to:     behind4,
			want:   PMTUReport{State: PMTUFull, MTU: 1450, Upper: 1450, Probes: 1},
		},
		{
			name:   "everything is dropped",
			breaks: func(t *testing.T, _, _, far *space) { far.filter(t, nftables.ChainHookInput, drop()) },
			to:     behind4,
			want:   PMTUReport{State: PMTUUnknown, Upper: 1500, Reason: Timeout, Probes: 6},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			near, router, far := routed(t)
			if tt.breaks != nil {
				tt.breaks(t, near, router, far)
			}
			to := netip.MustParseAddrPort(tt.to)
			got := near.search(t, near.engine(t), PMTUOptions{Tag: 3, To: to, Timeout: 250 * time.Millisecond})
			if tt.want.Probes == 0 {
				t.Logf("%d probes", got.Probes)
				got.Probes = 0
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

// routeMTU adds a route with an MTU of its own.
func (s *space) routeMTU(t testing.TB, to, via string, mtu int) {
	t.Helper()
	_, dst, err := net.ParseCIDR(to)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.link.RouteAdd(&netlink.Route{Dst: dst, Gw: net.ParseIP(via), MTU: mtu}); err != nil {
		t.Fatal(err)
	}
}
