package probers

import (
	"encoding/binary"
	"net/netip"
)

// ICMP messages that the engine sends or takes (RFC 792, RFC 4443).
const (
	echoReply4        = 0
	unreachable4      = 3
	echoRequest4      = 8
	timeExceeded4     = 11
	parameterProblem4 = 12

	unreachable6      = 1
	packetTooBig6     = 2
	timeExceeded6     = 3
	parameterProblem6 = 4
	echoRequest6      = 128
	echoReply6        = 129

	protocolICMP4 = 1
	protocolICMP6 = 58
)

const (
	ipv4Header = 20
	ipv6Header = 40
	icmpHeader = 8  // type, code, checksum, id, sequence
	probeStamp = 16 // what every payload begins with: magic, cookie, probe number

	minICMP     = icmpHeader + probeStamp
	maxICMP     = 65535 - ipv6Header
	defaultSize = 64 // of the IP packet, in bytes
)

// magic is how the payload of every probe of this project begins.
const magic = "pnx1"

// icmpSize returns how many bytes of ICMP make an IP packet of the size that
// a Probe asks for.
func icmpSize(size int, is6 bool) int {
	if size <= 0 {
		size = defaultSize
	}
	if is6 {
		size -= ipv6Header
	} else {
		size -= ipv4Header
	}
	return min(max(size, minICMP), maxICMP)
}

// patternAt is the byte of every payload at an offset into the ICMP message,
// after the probe stamp.
func patternAt(i int) byte { return byte(i) ^ 0x5a }

// fillPattern fills b, an ICMP message, from its probe stamp on.
func fillPattern(b []byte) {
	for i := minICMP; i < len(b); i++ {
		b[i] = patternAt(i)
	}
}

// writeEcho writes the header and the probe stamp of an echo request into b.
// The pattern behind them must be there, and the checksum is made of all.
// IPv6's is left to the kernel, which knows the source address.
func writeEcho(b []byte, is6 bool, id uint16, cookie uint32, number uint64) {
	b[0], b[1], b[2], b[3] = echoRequest4, 0, 0, 0
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], uint16(number))
	copy(b[icmpHeader:], magic)
	binary.BigEndian.PutUint32(b[12:], cookie)
	binary.BigEndian.PutUint64(b[16:], number)
	if is6 {
		b[0] = echoRequest6
		return
	}
	binary.BigEndian.PutUint16(b[2:], checksum(b))
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 { return ^fold(sum(b)) }

// sum adds up 16-bit words, in some order of magnitude: see fold.
func sum(b []byte) uint64 {
	var sum uint64
	for len(b) >= 4 {
		sum += uint64(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	for i, c := range b {
		sum += uint64(c) << (24 - 8*i)
	}
	return sum
}

// fold makes 16 bits of a sum, with end-around carry.
func fold(sum uint64) uint16 {
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	return uint16(sum)
}

// icmpMessage is what a received ICMP packet says that matters to probes.
type icmpMessage struct {
	reply    bool       // an echo reply; else an ICMP error that quotes a probe
	error    ICMPError  // of an error; From is set for IPv4 only, IPv6 has it in the socket address
	from     netip.Addr // IPv4 only
	to       netip.Addr // of an error: where the quoted packet was going
	protocol uint8      // of the quoted packet: protocolICMP4 for both families, protocolUDP or protocolTCP
	id       uint16     // of an echo
	sequence uint16     // of an echo
	payload  []byte     // from the probe stamp on: of a reply all that was captured, of an error what was quoted
	segment  segment    // of UDP and TCP
	labels   []MPLSLabel
}

// parseICMP4 reads an IPv4 packet as a raw socket gives it. It is false for
// anything but an echo reply, or an ICMP error about what a probe sends.
func parseICMP4(b []byte) (icmpMessage, bool) {
	from, _, protocol, b, ok := splitIPv4(b)
	if !ok || protocol != protocolICMP4 || len(b) < icmpHeader {
		return icmpMessage{}, false
	}
	switch b[0] {
	case echoReply4:
		m := echo(b)
		m.reply, m.from = true, from
		return m, true
	case unreachable4, timeExceeded4, parameterProblem4:
		_, to, protocol, quoted, ok := splitIPv4(b[icmpHeader:])
		if !ok {
			return icmpMessage{}, false
		}
		m, ok := parseQuote(quoted, protocol, echoRequest4)
		m.from, m.to, m.labels = from, to, parseMPLS(b, false)
		m.error = ICMPError{From: from, Type: b[0], Code: b[1]}
		if b[0] == unreachable4 && b[1] == fragNeeded4 {
			m.error.MTU = int(binary.BigEndian.Uint16(b[6:]))
		}
		return m, ok
	}
	return icmpMessage{}, false
}

// parseICMP6 reads an ICMPv6 message as a raw socket gives it, without its
// IPv6 header. It is false for anything but an echo reply, or an ICMP error
// about what a probe sends.
func parseICMP6(b []byte) (icmpMessage, bool) {
	if len(b) < icmpHeader {
		return icmpMessage{}, false
	}
	switch b[0] {
	case echoReply6:
		m := echo(b)
		m.reply = true
		return m, true
	case unreachable6, packetTooBig6, timeExceeded6, parameterProblem6:
		to, protocol, quoted, ok := splitIPv6(b[icmpHeader:])
		if !ok {
			return icmpMessage{}, false
		}
		m, ok := parseQuote(quoted, protocol, echoRequest6)
		m.to = to
		if b[0] == unreachable6 || b[0] == timeExceeded6 {
			m.labels = parseMPLS(b, true)
		}
		m.error = ICMPError{Type: b[0], Code: b[1]}
		if b[0] == packetTooBig6 {
			m.error.MTU = int(binary.BigEndian.Uint32(b[4:]))
		}
		return m, ok
	}
	return icmpMessage{}, false
}

// splitIPv4 returns the addresses, the protocol and the content of an IPv4
// packet, which may be cut short.
func splitIPv4(b []byte) (from, to netip.Addr, protocol uint8, content []byte, ok bool) {
	if len(b) < ipv4Header || b[0]>>4 != 4 {
		return from, to, 0, nil, false
	}
	header := int(b[0]&0xf) * 4
	if header < ipv4Header || header > len(b) {
		return from, to, 0, nil, false
	}
	if binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		return from, to, 0, nil, false // a later fragment has no header of its protocol
	}
	return netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[9], b[header:], true
}

func echo(b []byte) icmpMessage {
	return icmpMessage{
		protocol: protocolICMP4,
		id:       binary.BigEndian.Uint16(b[4:]),
		sequence: binary.BigEndian.Uint16(b[6:]),
		payload:  b[icmpHeader:],
	}
}

// stampOf returns the cookie and the number of a payload. It is false when
// the payload is too short or not of a probe.
func stampOf(payload []byte) (cookie uint32, number uint64, ok bool) {
	if len(payload) < probeStamp {
		return 0, 0, false
	}
	cookie, number = binary.BigEndian.Uint32(payload[4:]), binary.BigEndian.Uint64(payload[8:])
	switch string(payload[:4]) {
	case magic:
		return cookie, number, true
	case traceMagic:
		return cookie, number & numberMask, true
	}
	return 0, 0, false
}

// patternHolds says whether a payload is intact behind its stamp.
func patternHolds(payload []byte) bool {
	for i := probeStamp; i < len(payload); i++ {
		if payload[i] != patternAt(i+icmpHeader) {
			return false
		}
	}
	return true
}
