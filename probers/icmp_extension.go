package probers

import "encoding/binary"

// MPLSLabel is an entry of the label stack that a packet had when a router
// answered for it (RFC 3032).
type MPLSLabel struct {
	Label  uint32 // 20 bits
	Class  uint8  // traffic class, 3 bits
	Bottom bool   // the last of the stack
	TTL    uint8
}

const (
	quotedAtLeast   = 128 // bytes of the original datagram, if it is followed by extensions
	extensionHeader = 4
	objectHeader    = 4
	mplsClass       = 1 // RFC 4950
	incomingStack   = 1
	mostLabels      = 8
)

// parseMPLS returns the label stack of an ICMP error, which begins at its ICMP
// header; nil if it says nothing of one.
//
// Source: RFC 4884 (extended ICMP), RFC 4950 (its object for MPLS). Routers
// older than that do not say where the extensions begin: then it is behind
// 128 bytes of the original datagram.
func parseMPLS(b []byte, is6 bool) []MPLSLabel {
	if len(b) < icmpHeader {
		return nil
	}
	at := int(b[5]) * 4
	if is6 {
		at = int(b[4]) * 8
	}
	switch {
	case at == 0:
		at = quotedAtLeast
	case at < quotedAtLeast:
		return nil
	}
	if len(b) < icmpHeader+at+extensionHeader {
		return nil
	}
	b = b[icmpHeader+at:]
	if b[0]>>4 != 2 || binary.BigEndian.Uint16(b[2:]) != 0 && checksum(b) != 0 {
		return nil // no extensions, or none that arrived whole
	}
	for b = b[extensionHeader:]; len(b) >= objectHeader; {
		length := int(binary.BigEndian.Uint16(b))
		if length < objectHeader || length > len(b) {
			return nil
		}
		if b[2] == mplsClass && b[3] == incomingStack {
			return labelStack(b[objectHeader:length])
		}
		b = b[length:]
	}
	return nil
}

func labelStack(b []byte) []MPLSLabel {
	var stack []MPLSLabel
	for ; len(b) >= 4 && len(stack) < mostLabels; b = b[4:] {
		entry := binary.BigEndian.Uint32(b)
		stack = append(stack, MPLSLabel{
			Label: entry >> 12, Class: uint8(entry>>9) & 7, Bottom: entry>>8&1 == 1, TTL: uint8(entry),
		})
	}
	return stack
}
