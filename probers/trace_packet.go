package probers

import (
	"encoding/binary"
	"net/netip"
)

// What a trace's packets say, and where:
//
//   - Everything that a router may hash to choose among equal-cost paths is
//     one for all packets of a flow to a target, and another for other flows:
//     the UDP and TCP source port, the ICMP checksum and the last four bits of
//     the ICMP id (Augustin et al., "Avoiding traceroute anomalies with Paris
//     traceroute", 2006), and the flow label of IPv6.
//   - Which probe it was is in the first 8 bytes behind the IP header, since a
//     router may quote no more of it: the ICMP sequence number, the UDP
//     checksum, the TCP sequence number. So one of checksum and content must
//     give: a word of the payload makes up the difference. The IPv4 id says it
//     too, for people who look at a capture.
//   - The payload of ICMP and UDP begins with a stamp as other probes' does,
//     of another magic: to die on the way is what a trace is for, and must not
//     be counted with the probes that die.
const (
	traceMagic   = "pnt1"
	traceFlows   = 16 // flows that differ; flow 16 is flow 0
	stampBalance = 16 // offset of the word in the stamp that makes up for the checksum
	numberMask   = 1<<48 - 1

	protocolTCP = 6
	protocolUDP = 17

	tcpHeader = 24 // of a SYN with one option
	tcpFin    = 0x01
	tcpSyn    = 0x02
	tcpRst    = 0x04
	tcpAck    = 0x10
)

// quotable says whether a number can be told from 16 bits of checksum: of 0
// and 0xffff, which are the same number to it, neither can be used.
func quotable(number uint64) bool { return uint16(number) != 0 && uint16(number) != 0xffff }

// write writes the probe's packet.
func (t *tracer) write(e *Engine, f *flight, p Probe, from netip.Addr) []byte {
	f.size = tcpHeader
	if f.kind != TraceTCP {
		f.size = icmpSize(p.Size, t.is6)
	}
	if n := t.header + f.size; n > len(t.packet) {
		t.packet = make([]byte, n)
		t.fill(t.packet[t.header:])
	}
	b := t.packet[:t.header+f.size]
	ttl := p.TTL
	if ttl == 0 {
		ttl = defaultTTL
	}
	protocol := protocolOf(f.kind, t.is6)
	var pseudo uint64
	if t.is6 {
		writeIPv6(b, e.Trace.TOS, e.flowLabel(f.path), protocol, ttl)
		fromBytes, toBytes := from.As16(), f.to.Addr().As16()
		copy(b[8:], fromBytes[:])
		copy(b[24:], toBytes[:])
		pseudo = sum(b[8:40])
	} else {
		writeIPv4(b, e.Trace.TOS, uint16(f.number), p.DontFragment, protocol, ttl)
		fromBytes, toBytes := from.As4(), f.to.Addr().As4()
		copy(b[12:], fromBytes[:])
		copy(b[16:], toBytes[:])
		pseudo = sum(b[12:20])
	}
	pseudo += uint64(protocol) + uint64(f.size)
	m := b[t.header:]
	switch f.kind {
	case TraceUDP:
		writeTraceUDP(m, e.traces.udp.base+uint16(f.path), f, e.cookie, pseudo)
	case TraceTCP:
		writeSYN(m, e.traces.tcp.base+uint16(f.path), f, e.cookie, pseudo)
	default:
		if !t.is6 {
			pseudo = 0
		}
		writeTraceEcho(m, t.is6, f, e.id, e.cookie, pseudo)
	}
	return b
}

const defaultTTL = 64

func protocolOf(k Kind, is6 bool) uint8 {
	switch {
	case k == TraceUDP:
		return protocolUDP
	case k == TraceTCP:
		return protocolTCP
	case is6:
		return protocolICMP6
	}
	return protocolICMP4
}

// flowLabel is the IPv6 flow label of a flow, 20 bits (RFC 6437).
func (e *Engine) flowLabel(path uint8) uint32 {
	return (e.cookie + (uint32(path)+1)*0x9e3779b1) >> 12
}

// pathChecksum is the ICMP checksum of a flow.
func pathChecksum(cookie uint32, path uint8) uint16 {
	return uint16(cookie>>16) + uint16(path)*0x0907
}

// writeIPv4 writes the header without addresses. The kernel makes the
// checksum.
func writeIPv4(b []byte, tos uint8, id uint16, whole bool, protocol, ttl uint8) {
	b[0], b[1] = 0x45, tos
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], id)
	b[6], b[7] = 0, 0
	if whole {
		b[6] = 0x40
	}
	b[8], b[9], b[10], b[11] = ttl, protocol, 0, 0
}

// writeIPv6 writes the header without addresses.
func writeIPv6(b []byte, class uint8, label uint32, protocol, ttl uint8) {
	binary.BigEndian.PutUint32(b, 6<<28|uint32(class)<<20|label)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-ipv6Header))
	b[6], b[7] = protocol, ttl
}

func writeTraceEcho(m []byte, is6 bool, f *flight, id uint16, cookie uint32, pseudo uint64) {
	m[0], m[1] = echoRequest4, 0
	if is6 {
		m[0] = echoRequest6
	}
	binary.BigEndian.PutUint16(m[2:], pathChecksum(cookie, f.path))
	binary.BigEndian.PutUint16(m[4:], id|uint16(f.path))
	binary.BigEndian.PutUint16(m[6:], uint16(f.number))
	writeTraceStamp(m, cookie, f.number, pseudo)
}

func writeTraceUDP(m []byte, port uint16, f *flight, cookie uint32, pseudo uint64) {
	binary.BigEndian.PutUint16(m, port)
	binary.BigEndian.PutUint16(m[2:], f.to.Port())
	binary.BigEndian.PutUint16(m[4:], uint16(len(m)))
	binary.BigEndian.PutUint16(m[6:], uint16(f.number))
	writeTraceStamp(m, cookie, f.number, pseudo)
}

// writeTraceStamp writes the stamp behind the header of m, such that the
// checksum in the header is right.
func writeTraceStamp(m []byte, cookie uint32, number, pseudo uint64) {
	copy(m[icmpHeader:], traceMagic)
	binary.BigEndian.PutUint32(m[12:], cookie)
	binary.BigEndian.PutUint64(m[16:], number&numberMask) // and a balance of 0
	binary.BigEndian.PutUint16(m[stampBalance:], ^fold(sum(m)+pseudo))
}

// writeSYN writes a TCP SYN with a maximum segment size (RFC 9293), which some
// firewalls want.
func writeSYN(m []byte, port uint16, f *flight, cookie uint32, pseudo uint64) {
	binary.BigEndian.PutUint16(m, port)
	binary.BigEndian.PutUint16(m[2:], f.to.Port())
	binary.BigEndian.PutUint32(m[4:], synNumber(cookie, f.number))
	binary.BigEndian.PutUint32(m[8:], 0)
	binary.BigEndian.PutUint32(m[12:], tcpHeader/4<<28|tcpSyn<<16|0xfaf0)
	binary.BigEndian.PutUint32(m[16:], 0)
	binary.BigEndian.PutUint32(m[20:], 2<<24|4<<16|1400)
	binary.BigEndian.PutUint16(m[16:], ^fold(sum(m)+pseudo))
}

// synNumber is the TCP sequence number of a probe.
func synNumber(cookie uint32, number uint64) uint32 { return cookie<<16 | uint32(uint16(number)) }
