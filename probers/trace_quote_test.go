package probers

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// quoted returns a packet of a trace as a tracer writes it.
func quoted(kind Kind, is6 bool) []byte {
	e := &Engine{id: 0x1230, cookie: 0xdeadbeef, traces: traces{udp: portBlock{base: 61008}, tcp: portBlock{base: 61024}}}
	from, to := netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.9.0.2")
	t := &tracer{is6: is6, header: ipv4Header}
	if is6 {
		from, to, t.header = netip.MustParseAddr("fd09::1"), netip.MustParseAddr("fd09::2"), ipv6Header
	}
	f := &flight{number: 77, kind: kind, to: netip.AddrPortFrom(to, 33434), path: 3}
	return t.write(e, f, Probe{TTL: 5, Size: 84}, from)
}

// errorAbout4 and errorAbout6 are time-exceeded messages as raw sockets give
// them, that quote so many bytes of a packet.
func errorAbout4(packet []byte, quote int) []byte {
	b := append(reply4(0)[:ipv4Header], timeExceeded4, 0, 0, 0, 0, 0, 0, 0)
	return append(b, packet[:quote]...)
}

func errorAbout6(packet []byte, quote int) []byte {
	return append([]byte{timeExceeded6, 0, 0, 0, 0, 0, 0, 0}, packet[:quote]...)
}

// extended puts extension headers of 8 bytes between a packet's IPv6 header
// and the rest.
func extended(packet []byte, kinds ...uint8) []byte {
	b := append([]byte(nil), packet[:ipv6Header]...)
	last := b[6]
	b[6] = kinds[0]
	for i := range kinds {
		next := last
		if i+1 < len(kinds) {
			next = kinds[i+1]
		}
		b = append(b, next, 0, 0, 0, 0, 0, 0, 0)
	}
	return append(b, packet[ipv6Header:]...)
}

// labelled appends an extension with an MPLS label stack to an ICMP error, as
// RFC 4884 and RFC 4950 say.
func labelled(message []byte) []byte {
	for len(message) < ipv4Header+icmpHeader+128 {
		message = append(message, 0)
	}
	return append(message, 0x20, 0, 0, 0, 0, 8, 1, 1, 0, 1, 0x91, 5)
}

func TestParseQuote(t *testing.T) {
	syn := segment{from: 61027, to: 33434, sequence: 0xbeef004d}
	datagram := segment{from: 61011, to: 33434, length: 64, checksum: 77}
	datagram6 := segment{from: 61011, to: 33434, length: 44, checksum: 77}
	v4, v6 := quoted(TraceUDP, false), quoted(TraceUDP, true)
	tests := []struct {
		name  string
		parse func([]byte) (icmpMessage, bool)
		b     []byte
		want  segment
		whole bool
	}{
		{"all of UDP over IPv4", parseICMP4, errorAbout4(v4, len(v4)), datagram, true},
		{"all of UDP over IPv4, and MPLS labels", parseICMP4, labelled(errorAbout4(v4, len(v4))), datagram, true},
		{"8 bytes of UDP over IPv4", parseICMP4, errorAbout4(v4, 28), datagram, false},
		{"8 bytes of TCP over IPv4", parseICMP4, errorAbout4(quoted(TraceTCP, false), 28), syn, false},
		{"all of UDP over IPv6", parseICMP6, errorAbout6(v6, len(v6)), datagram6, true},
		{"8 bytes of UDP over IPv6", parseICMP6, errorAbout6(v6, 48), datagram6, false},
		{"8 bytes of TCP over IPv6", parseICMP6, errorAbout6(quoted(TraceTCP, true), 48), syn, false},
		{"UDP behind a routing header", parseICMP6, errorAbout6(extended(v6, routing6), len(v6)), datagram6, true},
		{"UDP behind three extension headers", parseICMP6, errorAbout6(extended(v6, hopByHop6, destination6, fragment6), 72), datagram6, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, ok := tt.parse(tt.b)
			if !ok || m.segment != tt.want || m.to.String() != "10.9.0.2" && m.to.String() != "fd09::2" {
				t.Fatalf("parse = %+v, %t; want %+v", m, ok, tt.want)
			}
			cookie, number, ok := stampOf(m.payload)
			if ok != tt.whole || ok && (cookie != 0xdeadbeef || number != 77) {
				t.Errorf("payload % x", m.payload)
			}
			for i := range tt.b { // cut short anywhere
				tt.parse(tt.b[:i])
			}
		})
	}
}

func TestParseQuoteRefuses(t *testing.T) {
	later := quoted(TraceUDP, false)
	later[7] = 9
	later6 := extended(quoted(TraceUDP, true), fragment6)
	later6[ipv6Header+3] = 8
	sctp := quoted(TraceUDP, false)
	sctp[9] = 132
	v6 := quoted(TraceUDP, true)
	tests := []struct {
		name  string
		parse func([]byte) (icmpMessage, bool)
		b     []byte
	}{
		{"7 bytes of UDP over IPv4", parseICMP4, errorAbout4(quoted(TraceUDP, false), 27)},
		{"7 bytes of TCP over IPv6", parseICMP6, errorAbout6(quoted(TraceTCP, true), 47)},
		{"a later fragment over IPv4", parseICMP4, errorAbout4(later, 28)},
		{"a later fragment over IPv6", parseICMP6, errorAbout6(later6, 56)},
		{"a protocol that no probe uses", parseICMP4, errorAbout4(sctp, 28)},
		{"more extension headers than anybody adds", parseICMP6, errorAbout6(extended(v6, 0, 60, 43, 60, 60), 88)},
		{"an extension header that is cut off", parseICMP6, errorAbout6(extended(v6, routing6), 44)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if m, ok := tt.parse(tt.b); ok {
				t.Errorf("parse = %+v", m)
			}
		})
	}
}

// answerTo returns a segment that answers the SYN of quoted.
func answerTo(flags uint8) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, 33434)
	binary.BigEndian.PutUint16(b[2:], 61027)
	binary.BigEndian.PutUint32(b[8:], 0xbeef004d+1)
	b[12], b[13] = 0x50, flags
	return b
}

func TestParseSYNAnswer(t *testing.T) {
	tests := []struct {
		name      string
		b         []byte
		reset, ok bool
	}{
		{"SYN and ACK", answerTo(tcpSyn | tcpAck), false, true},
		{"RST and ACK", answerTo(tcpRst | tcpAck), true, true},
		{"RST without ACK acknowledges nothing", answerTo(tcpRst), true, false},
		{"SYN of somebody else", answerTo(tcpSyn), false, false},
		{"ACK and FIN", answerTo(tcpAck | tcpFin), false, false},
		{"a header that is cut off", answerTo(tcpSyn | tcpAck)[:19], false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			syn, reset, ok := parseSYNAnswer(tt.b)
			if ok != tt.ok || ok && (reset != tt.reset || syn != segment{from: 61027, to: 33434, sequence: 0xbeef004d}) {
				t.Errorf("parseSYNAnswer = %+v, %t, %t", syn, reset, ok)
			}
		})
	}
}

func FuzzParseSYNAnswer(f *testing.F) {
	for _, flags := range []uint8{tcpSyn | tcpAck, tcpRst | tcpAck, tcpRst} {
		f.Add(answerTo(flags))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		syn, reset, ok := parseSYNAnswer(b)
		if ok && (len(b) < 20 || !reset && b[13]&tcpSyn == 0 || syn.sequence+1 != binary.BigEndian.Uint32(b[8:])) {
			t.Errorf("parseSYNAnswer(% x) = %+v, %t, %t", b, syn, reset, ok)
		}
	})
}

// FuzzTraceOf gives an engine with traces in flight what a hostile network may
// quote: nothing may panic, and a match must have the port of the probe.
func FuzzTraceOf(f *testing.F) {
	f.Add(errorAbout4(quoted(TraceUDP, false), 28), false)
	f.Add(errorAbout4(quoted(TraceTCP, false), 28), false)
	f.Add(labelled(errorAbout4(quoted(ICMP, false), 84)), false)
	f.Add(errorAbout6(quoted(TraceUDP, true), 84), true)
	f.Add(errorAbout6(extended(quoted(TraceTCP, true), routing6), 56), true)
	f.Fuzz(func(t *testing.T, b []byte, is6 bool) {
		e := &Engine{id: 0x1230, cookie: 0xdeadbeef, flights: newRing(), traces: traces{udp: portBlock{base: 61008}, tcp: portBlock{base: 61024}}}
		for i := range 120 {
			to := netip.MustParseAddrPort("10.9.0.2:33434")
			if i%2 == 1 {
				to = netip.MustParseAddrPort("[fd09::2]:33434")
			}
			g := e.flights.add()
			g.kind, g.to, g.path, g.size, g.traced = []Kind{ICMP, TraceUDP, TraceTCP}[i%3], to, 3, 64, true
		}
		parse := parseICMP4
		if is6 {
			parse = parseICMP6
		}
		m, ok := parse(b)
		if !ok {
			return
		}
		found, stamped := e.probeOf(m, is6)
		if found == nil {
			return
		}
		if found.to.Addr().Is6() != is6 || !stamped && !m.reply && m.to != found.to.Addr() {
			t.Errorf("probeOf(%+v) = %+v", m, found)
		}
	})
}
