package probers

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// everyTrace runs f for each kind and family on one diamond.
func everyTrace(t *testing.T, d diamond, f func(t *testing.T, e *Engine, kind Kind, is6 bool)) {
	for _, kind := range []Kind{ICMP, TraceUDP, TraceTCP} {
		for _, is6 := range []bool{false, true} {
			t.Run(kind.String()+" over "+familyName(is6), func(t *testing.T) { f(t, d.src.engine(t), kind, is6) })
		}
	}
}

// sweep is one cycle: every TTL of every flow.
func sweep(kind Kind, is6 bool, ttls uint8, flows uint16, timeout time.Duration) []Probe {
	var probes []Probe
	for flow := range flows {
		for ttl := range ttls {
			probes = append(probes, Probe{
				Tag: uint64(flow)<<8 | uint64(ttl+1), Kind: kind, To: diamondTarget(is6, 0), Timeout: timeout, TTL: ttl + 1, Flow: flow,
			})
		}
	}
	return probes
}

func TestTraceMatchesManyFlowsAndHopsAtOnce(t *testing.T) {
	d := newDiamond(t)
	last := map[Kind]Reason{ICMP: OK, TraceUDP: PortUnreachable, TraceTCP: Refused}
	everyTrace(t, d, func(t *testing.T, e *Engine, kind Kind, is6 bool) {
		for tag, r := range burst(t, e, sweep(kind, is6, 30, 8, 5*time.Second)) {
			want := TTLExceeded
			if uint8(tag) > 2 {
				want = last[kind]
			}
			if r.Reason != want || !r.From.IsValid() || r.RTT <= 0 {
				t.Errorf("flow %d, TTL %d: %+v; want %q", tag>>8, uint8(tag), r, want)
			}
		}
		if s := e.Stats(); s.Foreign != 0 || s.NoTimestamp != 0 {
			t.Errorf("%+v", s)
		}
		for _, f := range e.flights.flights {
			if f.number != 0 && f.tx < f.sent.wall {
				t.Fatalf("%+v has no TX timestamp", f)
			}
		}
	})
}

func TestTraceSaysWhoProhibits(t *testing.T) {
	d := newDiamond(t)
	d.r1.filter(t, nftables.ChainHookForward, reject(unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED))
	everyTrace(t, d, func(t *testing.T, e *Engine, kind Kind, is6 bool) {
		r1 := "10.20.0.2"
		if is6 {
			r1 = "fd20::2"
		}
		for tag, r := range burst(t, e, sweep(kind, is6, 4, 1, 5*time.Second)) {
			want := AdminProhibited
			if tag == 1 {
				want = TTLExceeded
			}
			if r.Reason != want || r.From.String() != r1 {
				t.Errorf("TTL %d: %+v; want %s from %s", tag, r, want, r1)
			}
		}
	})
}

func TestSilentHopIsATimeout(t *testing.T) {
	d := newDiamond(t)
	d.r1.filter(t, nftables.ChainHookOutput, drop()) // answers nothing, and forwards
	everyTrace(t, d, func(t *testing.T, e *Engine, kind Kind, is6 bool) {
		for tag, r := range burst(t, e, sweep(kind, is6, 3, 1, 300*time.Millisecond)) {
			if got := r.Reason == Timeout; got != (tag == 1) || r.From.IsValid() == got {
				t.Errorf("TTL %d: %+v; want silence at the first hop only", tag, r)
			}
		}
	})
}

func TestRateLimitedHopAnswersSome(t *testing.T) {
	d := newDiamond(t)
	d.r1.sysctl(t, "net/ipv4/icmp_ratelimit", "10000") // one in 10 s, after a burst of six
	d.r1.sysctl(t, "net/ipv6/icmp/ratelimit", "10000")
	everyTrace(t, d, func(t *testing.T, e *Engine, kind Kind, is6 bool) {
		answers := map[uint8]int{}
		for tag, r := range burst(t, e, sweep(kind, is6, 3, traceFlows, 300*time.Millisecond)) {
			if r.Reason != Timeout {
				answers[uint8(tag)]++
			}
		}
		if answers[1] >= traceFlows || answers[2] != traceFlows || answers[3] != traceFlows {
			t.Errorf("answers by TTL: %v; want fewer than %d at the first hop only", answers, traceFlows)
		}
	})
}

func TestTraceOfALargePacketMeetsASmallMTU(t *testing.T) {
	d := newDiamond(t)
	for _, s := range []*space{d.r1, d.upper} {
		if err := s.link.LinkSetMTU(s.get(t, "link1"), 1400); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*space{d.r1, d.lower} {
		if err := s.link.LinkSetMTU(s.get(t, "link2"), 1400); err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range []Kind{ICMP, TraceUDP} {
		for _, is6 := range []bool{false, true} {
			t.Run(kind.String()+" over "+familyName(is6), func(t *testing.T) {
				e := d.src.engine(t)
				p := Probe{Kind: kind, To: diamondTarget(is6, 0), Timeout: time.Second, TTL: 9, Size: 1450, DontFragment: true}
				for range 2 { // the second knows the path MTU, and is sent all the same
					got := burst(t, e, []Probe{p})[0]
					if got.Reason != FragNeeded || got.ICMP.MTU != 1400 || !got.ICMP.From.IsValid() {
						t.Errorf("got %+v; want an MTU of 1400", got)
					}
				}
				p.Size = 1501
				if got := burst(t, e, []Probe{p})[0]; got.Reason != FragNeeded || got.ICMP != (ICMPError{}) {
					t.Errorf("larger than the own link: got %+v", got)
				}
				p.Size, p.DontFragment = 1450, false
				want := OK
				if kind == TraceUDP {
					want = PortUnreachable
				}
				if is6 {
					want = FragNeeded // no router fragments IPv6
				}
				if got := burst(t, e, []Probe{p})[0]; got.Reason != want {
					t.Errorf("may be fragmented: got %+v; want %q", got, want)
				}
			})
		}
	}
}

func TestTraceThatCannotLeaveSaysWhy(t *testing.T) {
	s := newSpace(t)
	s.route(t, "10.8.0.0/16", "", "", unix.RTN_UNREACHABLE)
	s.route(t, "10.6.0.0/16", "", "", unix.RTN_BLACKHOLE)
	denied, _ := pair(t)
	denied.filter(t, nftables.ChainHookOutput, drop())
	tests := []struct {
		name string
		from *space
		to   string
		want Reason
	}{
		{"no IPv4 route", s, "10.5.0.1", NoRoute},
		{"no IPv6 route", s, "fd05::1", NoRoute},
		{"an unreachable route", s, "10.8.0.1", HostUnreachable},
		{"a black hole", s, "10.6.0.1", NoRoute},
		{"a local firewall, IPv4", denied, "10.9.0.2", LocalDenied},
		{"a local firewall, IPv6", denied, "fd09::2", LocalDenied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := tt.from.engine(t)
			for _, kind := range []Kind{ICMP, TraceUDP, TraceTCP} {
				p := Probe{Kind: kind, To: netip.AddrPortFrom(netip.MustParseAddr(tt.to), 0), Timeout: time.Second, TTL: 3}
				if got := burst(t, e, []Probe{p})[0]; got.Reason != tt.want {
					t.Errorf("%s: got %+v; want %s", kind, got, tt.want)
				}
			}
		})
	}
}

func TestNeighbourThatIsAwayIsHostUnreachable(t *testing.T) {
	near, _ := pair(t)
	near.sysctl(t, "net/ipv4/neigh/eth0/retrans_time_ms", "50")
	near.sysctl(t, "net/ipv6/neigh/eth0/retrans_time_ms", "50")
	e := near.engine(t)
	for _, kind := range []Kind{ICMP, TraceUDP, TraceTCP} {
		for _, to := range []string{"10.9.0.77", "fd09::77"} {
			p := Probe{Kind: kind, To: netip.AddrPortFrom(netip.MustParseAddr(to), 0), Timeout: 5 * time.Second, TTL: 3}
			if got := burst(t, e, []Probe{p})[0]; got.Reason != HostUnreachable {
				t.Errorf("%s to %s: got %+v", kind, to, got)
			}
		}
	}
}

func TestTraceNeedsRawSockets(t *testing.T) {
	near, _ := pair(t)
	near.unprivileged(t, func() {
		e, err := NewEngine()
		if err != nil {
			t.Error(err)
			return
		}
		defer e.Close()
		for _, kind := range []Kind{ICMP, TraceUDP, TraceTCP} {
			r, err := Once(t.Context(), e, Probe{Kind: kind, To: netip.MustParseAddrPort("10.9.0.2:0"), Timeout: time.Second, TTL: 1})
			if r.Reason != Impaired || err == nil {
				t.Errorf("%s: got %+v, %v; want it to be impaired, and an error", kind, r, err)
			}
		}
	})
}

// TestTracesShareSockets counts the process's file descriptors, which tests
// that run at the same time would change: it is not parallel.
func TestTracesShareSockets(t *testing.T) {
	d := newDiamond(t)
	e := d.src.engine(t)
	all := func() []Probe {
		var probes []Probe
		for _, kind := range []Kind{ICMP, TraceUDP, TraceTCP} {
			probes = append(probes, sweep(kind, false, 4, 8, time.Second)...)
			probes = append(probes, sweep(kind, true, 4, 8, time.Second)...)
		}
		for i := range probes {
			probes[i].Tag = uint64(i)
		}
		return probes
	}
	burst(t, e, all())
	before := countFDs(t)
	probes := all()
	for i := range probes {
		probes[i].To = netip.AddrPortFrom(probes[i].To.Addr(), uint16(40000+i))
	}
	burst(t, e, probes)
	if after := countFDs(t); after != before {
		t.Errorf("%d file descriptors after %d more targets; want %d as before", after, len(probes), before)
	}
	e.traces.tidy(e, moment{mono: e.now().mono + traceIdle})
	if after := countFDs(t); after != before-2 {
		t.Errorf("%d file descriptors when nobody traces by TCP any more; want %d", after, before-2)
	}
	if got := burst(t, e, []Probe{{Kind: TraceTCP, To: diamondTarget(true, 0), Timeout: time.Second}})[0]; got.Reason != Refused {
		t.Errorf("after that: %+v", got)
	}
}

func countFDs(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestTracesLeaveOtherProbesAlone has all kinds in flight together.
func TestTracesLeaveOtherProbesAlone(t *testing.T) {
	d := newDiamond(t)
	to := d.dst.listen(t, "tcp", ":0").Port()
	e := d.src.engine(t)
	var probes []Probe
	for i := range 400 {
		kind := []Kind{ICMP, TCP, ICMP, TraceUDP, TraceTCP}[i%5]
		p := Probe{Tag: uint64(i), Kind: kind, To: diamondTarget(i%2 == 0, to), Timeout: 5 * time.Second}
		if i%5 >= 2 {
			p.TTL, p.Flow = uint8(i%3+1), uint16(i%7)
		}
		probes = append(probes, p)
	}
	for tag, r := range burst(t, e, probes) {
		want := OK
		if p := probes[tag]; p.TTL == 1 || p.TTL == 2 {
			want = TTLExceeded
		} else if p.Kind == TraceUDP {
			want = PortUnreachable
		}
		if r.Reason != want || r.RTT <= 0 {
			t.Errorf("%s with TTL %d: %+v; want %q", probes[tag].Kind, probes[tag].TTL, r, want)
		}
	}
	if s := e.Stats(); s.Foreign != 0 || s.NoTimestamp != 0 {
		t.Errorf("%+v", s)
	}
}

// TestEchoFlowsTakeBothWays needs routers that hash what is not a port: the
// kernel's hash the flow label of IPv6 by their default policy, and nothing of
// ICMP over IPv4.
func TestEchoFlowsTakeBothWays(t *testing.T) {
	d := newDiamond(t)
	d.r1.sysctl(t, "net/ipv6/fib_multipath_hash_policy", "0")
	e := d.src.engine(t)
	ways := map[uint64]map[netip.Addr]bool{}
	both := map[netip.Addr]bool{}
	for range 20 {
		var probes []Probe
		for flow := range uint16(traceFlows) {
			probes = append(probes, Probe{Tag: uint64(flow), Kind: ICMP, To: diamondTarget(true, 0), Timeout: 5 * time.Second, TTL: 2, Flow: flow})
		}
		for tag, r := range burst(t, e, probes) {
			if ways[tag] == nil {
				ways[tag] = map[netip.Addr]bool{}
			}
			ways[tag][r.From], both[r.From] = true, true
		}
	}
	for flow, seen := range ways {
		if len(seen) != 1 {
			t.Errorf("flow %d went over %v", flow, seen)
		}
	}
	if len(both) != 2 {
		t.Errorf("all flows went over %v; want two ways", both)
	}
}
