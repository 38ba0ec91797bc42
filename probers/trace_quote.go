package probers

import (
	"encoding/binary"
	"net/netip"
)

// IPv6 extension headers (RFC 8200) that may stand before what a probe sent.
// Probes have none, but routers of some networks add them.
const (
	hopByHop6    = 0
	routing6     = 43
	fragment6    = 44
	destination6 = 60

	maxExtensions = 4 // more are not looked at
)

// segment is what an ICMP error quotes of UDP or TCP, the first 8 bytes.
type segment struct {
	from, to uint16 // ports
	length   uint16 // UDP
	checksum uint16 // UDP
	sequence uint32 // TCP
}

// parseQuote reads what an ICMP error quotes behind the IP header. It is false
// for anything that no probe sends, and for less than 8 bytes.
func parseQuote(b []byte, protocol, echoRequest uint8) (icmpMessage, bool) {
	if len(b) < icmpHeader {
		return icmpMessage{}, false
	}
	switch protocol {
	case protocolICMP4, protocolICMP6:
		return echo(b), b[0] == echoRequest
	case protocolUDP, protocolTCP:
	default:
		return icmpMessage{}, false
	}
	m := icmpMessage{protocol: protocol}
	m.segment.from, m.segment.to = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if protocol == protocolTCP {
		m.segment.sequence = binary.BigEndian.Uint32(b[4:])
		return m, true
	}
	m.segment.length, m.segment.checksum = binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	m.payload = b[icmpHeader:]
	return m, true
}

// splitIPv6 returns the destination, the protocol and the content of an IPv6
// packet, which may be cut short.
func splitIPv6(b []byte) (to netip.Addr, protocol uint8, content []byte, ok bool) {
	if len(b) < ipv6Header || b[0]>>4 != 6 {
		return to, 0, nil, false
	}
	to, protocol, content = netip.AddrFrom16([16]byte(b[24:40])), b[6], b[ipv6Header:]
	for range maxExtensions {
		if !isExtension6(protocol) {
			return to, protocol, content, true
		}
		if len(content) < 8 {
			return to, 0, nil, false
		}
		length := 8 + 8*int(content[1])
		if protocol == fragment6 {
			length = 8
			if binary.BigEndian.Uint16(content[2:])&^7 != 0 {
				return to, 0, nil, false // a later fragment
			}
		}
		if length > len(content) {
			return to, 0, nil, false
		}
		protocol, content = content[0], content[length:]
	}
	return to, protocol, content, !isExtension6(protocol)
}

func isExtension6(protocol uint8) bool {
	return protocol == hopByHop6 || protocol == routing6 || protocol == fragment6 || protocol == destination6
}
