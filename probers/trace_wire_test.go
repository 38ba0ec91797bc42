package probers

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// trace returns the next packet of a trace that was sent to tun4 or tun6.
func (d tun) trace(t testing.TB) []byte {
	t.Helper()
	b := make([]byte, 2048)
	d.file.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		n, err := d.file.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		v4 := b[0]>>4 == 4 && b[19] == 2
		v6 := b[0]>>4 == 6 && b[39] == 2 && b[24] == 0xfd
		if v4 || v6 {
			return b[:n]
		}
	}
}

// segmentOf returns what is behind the IP header.
func segmentOf(b []byte) []byte {
	if b[0]>>4 == 4 {
		return b[ipv4Header:]
	}
	return b[ipv6Header:]
}

// intact says whether the checksum of a packet's protocol is right.
func intact(b []byte) bool {
	m := segmentOf(b)
	pseudo := uint64(len(m))
	switch {
	case b[0]>>4 == 6:
		pseudo += uint64(b[6]) + sum(b[8:40])
	case b[9] == protocolICMP4:
		pseudo = 0
	default:
		pseudo += uint64(b[9]) + sum(b[12:20])
	}
	return fold(sum(m)+pseudo) == 0xffff
}

// exceeded returns the answer of a router at .1.1 or ::1:1 to a packet, which
// quotes so many bytes of it behind the IP header.
func exceeded(packet []byte, quote int) []byte {
	if packet[0]>>4 == 4 {
		quoted := packet[:ipv4Header+quote]
		b := make([]byte, ipv4Header+icmpHeader, ipv4Header+icmpHeader+len(quoted))
		b = append(b, quoted...)
		b[0], b[8], b[9] = 0x45, 64, protocolICMP4
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		copy(b[12:], []byte{10, 7, 1, 1})
		copy(b[16:], packet[12:16])
		binary.BigEndian.PutUint16(b[10:], checksum(b[:ipv4Header]))
		b[ipv4Header] = timeExceeded4
		binary.BigEndian.PutUint16(b[ipv4Header+2:], checksum(b[ipv4Header:]))
		return b
	}
	quoted := packet[:ipv6Header+quote]
	b := make([]byte, ipv6Header+icmpHeader, ipv6Header+icmpHeader+len(quoted))
	b = append(b, quoted...)
	b[0], b[6], b[7] = 0x60, protocolICMP6, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-ipv6Header))
	router := netip.MustParseAddr("fd07::1:1").As16()
	copy(b[8:], router[:])
	copy(b[24:], packet[8:24])
	b[ipv6Header] = timeExceeded6
	n := uint64(len(b) - ipv6Header + protocolICMP6)
	binary.BigEndian.PutUint16(b[ipv6Header+2:], ^fold(sum(b[8:40])+sum(b[ipv6Header:])+n))
	return b
}

func traceTo(tag uint64, kind Kind, to string, ttl uint8, flow uint16) Probe {
	return Probe{Tag: tag, Kind: kind, To: netip.AddrPortFrom(netip.MustParseAddrPort(to).Addr(), 0), Timeout: 10 * time.Second, TTL: ttl, Flow: flow}
}

// eachTrace runs f for every kind of trace over both families.
func eachTrace(t *testing.T, f func(t *testing.T, kind Kind, e *Engine, d tun, to string)) {
	for _, kind := range []Kind{ICMP, TraceUDP, TraceTCP} {
		t.Run(kind.String(), func(t *testing.T) {
			bothFamilies(t, func(t *testing.T, e *Engine, d tun, to string) { f(t, kind, e, d, to) })
		})
	}
}

// TestTracePacketsOfAFlowLookAlike reads what leaves: routers hash addresses,
// ports, the first four bytes of ICMP, its id, and the IPv6 flow label.
func TestTracePacketsOfAFlowLookAlike(t *testing.T) {
	eachTrace(t, func(t *testing.T, kind Kind, e *Engine, d tun, to string) {
		flows := map[string]uint16{}
		for flow := range uint16(traceFlows) {
			var first string
			for ttl := range uint8(5) {
				e.Send(traceTo(1, kind, to, ttl+1, flow))
				b := d.trace(t)
				if !intact(b) {
					t.Fatalf("wrong checksum: % x", b)
				}
				hashed := fmt.Sprintf("%x", segmentOf(b)[:4])
				gotTTL := b[8]
				if b[0]>>4 == 6 {
					gotTTL = b[7]
					hashed += fmt.Sprintf(" label %x", b[1:4])
				}
				if kind == ICMP {
					hashed += fmt.Sprintf(" id %x", segmentOf(b)[4:6])
				}
				if gotTTL != ttl+1 {
					t.Errorf("TTL is %d; want %d", gotTTL, ttl+1)
				}
				if first == "" {
					first = hashed
				}
				if hashed != first {
					t.Errorf("flow %d, TTL %d: %s; want %s as for TTL 1", flow, ttl+1, hashed, first)
				}
			}
			if other, is := flows[first]; is {
				t.Errorf("flows %d and %d look alike: %s", flow, other, first)
			}
			flows[first] = flow
		}
	})
}

// TestTraceIsFoundInAShortQuote answers with as little as RFC 792 asks for,
// and out of order.
func TestTraceIsFoundInAShortQuote(t *testing.T) {
	for _, quote := range []int{8, 20, 24} {
		t.Run(fmt.Sprintf("%d bytes", quote), func(t *testing.T) {
			eachTrace(t, func(t *testing.T, kind Kind, e *Engine, d tun, to string) {
				const probes = 60
				var packets [][]byte
				for i := range uint64(probes) {
					e.Send(traceTo(i, kind, to, uint8(i%30)+1, uint16(i/30)))
					packets = append(packets, d.trace(t))
				}
				for i := range packets {
					d.write(t, exceeded(packets[(i*7)%probes], quote))
				}
				seen := map[uint64]bool{}
				for len(seen) < probes {
					for _, r := range next(t, e) {
						from := r.From.String()
						if r.Reason != TTLExceeded || from != "10.7.1.1" && from != "fd07::1:1" || r.ICMP.From != r.From || seen[r.Tag] {
							t.Fatalf("got %+v", r)
						}
						seen[r.Tag] = true
					}
				}
				if s := e.Stats(); s.Foreign != 0 || s.InFlight != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// TestQuoteOfSomebodyElseIsForeign changes one thing of a short quote that
// passes the filter all the same.
func TestQuoteOfSomebodyElseIsForeign(t *testing.T) {
	changes := map[string]func(ip, m []byte){
		"the destination":                 func(ip, _ []byte) { ip[len(ip)-1]++ },
		"the number":                      func(_, m []byte) { m[7]++ },
		"the flow's port, id or checksum": func(_, m []byte) { m[1]++; m[5]++ },
		"the destination port or id":      func(_, m []byte) { m[3]++; m[5]++ },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			eachTrace(t, func(t *testing.T, kind Kind, e *Engine, d tun, to string) {
				e.Send(traceTo(1, kind, to, 1, 0))
				packet := d.trace(t)
				other := append([]byte(nil), packet...)
				header := len(other) - len(segmentOf(other))
				change(other[:header], other[header:])
				d.write(t, exceeded(other, 8))
				d.write(t, exceeded(packet, 8))
				if got := next(t, e); len(got) != 1 || got[0].Event != Done || got[0].Reason != TTLExceeded {
					t.Errorf("got %+v; want one outcome", got)
				}
				if e.Stats().Foreign != 1 && name != "the flow's port, id or checksum" {
					t.Errorf("%+v; want one foreign message", e.Stats())
				}
			})
		})
	}
}

func TestTraceAnswerMayBeLateOrDouble(t *testing.T) {
	eachTrace(t, func(t *testing.T, kind Kind, e *Engine, d tun, to string) {
		p := traceTo(1, kind, to, 1, 0)
		p.Timeout = 30 * time.Millisecond
		e.Send(p)
		packet := d.trace(t)
		got := next(t, e)
		e.Send(traceTo(2, kind, to, 2, 0)) // keeps the engine reading
		second := d.trace(t)
		d.write(t, exceeded(packet, 8))
		d.write(t, exceeded(second, 28))
		d.write(t, exceeded(second, 8))
		for len(got) < 4 {
			got = append(got, next(t, e)...)
		}
		want := []Result{
			{Tag: 1, Event: Done, Reason: Timeout},
			{Tag: 1, Event: Late, Reason: TTLExceeded},
			{Tag: 2, Event: Done, Reason: TTLExceeded},
			{Tag: 2, Event: Duplicate, Reason: TTLExceeded},
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Result{}, "From", "ICMP")); diff != "" {
			t.Errorf("results differ (-want +got):\n%s", diff)
		}
	})
}

// TestDontFragmentIsInTheHeader reads DF, which IPv6 has no bit for.
func TestDontFragmentIsInTheHeader(t *testing.T) {
	s := newSpace(t)
	d, e := s.tun(t), s.engine(t)
	for _, kind := range []Kind{ICMP, TraceUDP} {
		for _, whole := range []bool{false, true} {
			p := traceTo(1, kind, tun4, 1, 0)
			p.Size, p.DontFragment = 777, whole
			e.Send(p)
			b := d.trace(t)
			if got := b[6]&0x40 != 0; got != whole || len(b) != 777 {
				t.Errorf("%s of %d bytes has DF %t; want %t and 777 bytes", kind, len(b), got, whole)
			}
		}
	}
}
