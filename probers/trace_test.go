package probers

import (
	"net/netip"
	"testing"
	"time"
)

// diamondTarget returns the diamond's far end with a port.
func diamondTarget(is6 bool, port uint16) netip.AddrPort {
	if is6 {
		return netip.AddrPortFrom(netip.MustParseAddr(diamond6), port)
	}
	return netip.AddrPortFrom(netip.MustParseAddr(diamond4), port)
}

// TestTraceSeesEveryHop looks at the answer to every TTL of every kind.
func TestTraceSeesEveryHop(t *testing.T) {
	f := newDiamond(t)
	f.dst.listen(t, "tcp", ":8080")
	tests := []struct {
		name string
		kind Kind
		port uint16
		last Reason // of the target itself
	}{
		{name: "an echo is answered", kind: ICMP},
		{name: "nobody listens on the UDP port", kind: TraceUDP, last: PortUnreachable},
		{name: "nobody listens on another UDP port", kind: TraceUDP, port: 999, last: PortUnreachable},
		{name: "the TCP port accepts", kind: TraceTCP, port: 8080},
		{name: "nobody listens on the TCP port", kind: TraceTCP, last: Refused},
	}
	for _, tt := range tests {
		for _, is6 := range []bool{false, true} {
			t.Run(tt.name+" over "+familyName(is6), func(t *testing.T) {
				e := f.src.engine(t)
				var probes []Probe
				for ttl := range uint8(6) {
					probes = append(probes, Probe{
						Tag: uint64(ttl + 1), Kind: tt.kind, To: diamondTarget(is6, tt.port), Timeout: 5 * time.Second, TTL: ttl + 1,
					})
				}
				got := burst(t, e, probes)
				r1, upper, lower := "10.20.0.2", "10.20.1.2", "10.20.2.2"
				if is6 {
					r1, upper, lower = "fd20::2", "fd20:1::2", "fd20:2::2"
				}
				for tag, r := range got {
					want := map[uint64]string{1: r1, 2: upper}[tag]
					if tag == 2 && r.From.String() == lower {
						want = lower
					}
					reason := TTLExceeded
					if tag > 2 {
						want, reason = diamondTarget(is6, 0).Addr().String(), tt.last
					}
					if r.From.String() != want || r.Reason != reason || r.RTT <= 0 || r.RTT > 5*time.Second {
						t.Errorf("TTL %d: %+v; want %s from %s", tag, r, reason, want)
					}
					if r.ICMP != (ICMPError{}) && r.ICMP.From != r.From {
						t.Errorf("TTL %d: ICMP error %+v; want it from %s", tag, r.ICMP, r.From)
					}
				}
				if s := e.Stats(); s.NoTimestamp > 0 || s.Foreign > 0 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

func familyName(is6 bool) string {
	if is6 {
		return "IPv6"
	}
	return "IPv4"
}

// TestFlowsKeepTheirWay sends every flow 20 times: each takes one way always,
// and together they take both.
func TestFlowsKeepTheirWay(t *testing.T) {
	f := newDiamond(t)
	for _, kind := range []Kind{TraceUDP, TraceTCP} {
		for _, is6 := range []bool{false, true} {
			t.Run(kind.String()+" over "+familyName(is6), func(t *testing.T) {
				e := f.src.engine(t)
				ways := make([]map[netip.Addr]bool, traceFlows)
				for i := range ways {
					ways[i] = map[netip.Addr]bool{}
				}
				for range 20 {
					var probes []Probe
					for flow := range uint16(traceFlows) {
						probes = append(probes, Probe{Tag: uint64(flow), Kind: kind, To: diamondTarget(is6, 0), Timeout: 5 * time.Second, TTL: 2, Flow: flow})
					}
					for tag, r := range burst(t, e, probes) {
						if r.Reason != TTLExceeded {
							t.Fatalf("flow %d: %+v", tag, r)
						}
						ways[tag][r.From] = true
					}
				}
				both := map[netip.Addr]bool{}
				for flow, seen := range ways {
					if len(seen) != 1 {
						t.Errorf("flow %d went over %v", flow, seen)
					}
					for a := range seen {
						both[a] = true
					}
				}
				if len(both) != 2 {
					t.Errorf("all flows went over %v; want two ways", both)
				}
			})
		}
	}
}
