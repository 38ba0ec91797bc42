package probers

// Codes of ICMP destination unreachable (RFC 792, RFC 1122, RFC 1812).
const (
	netUnreachable4      = 0
	hostUnreachable4     = 1
	protocolUnreachable4 = 2
	portUnreachable4     = 3
	fragNeeded4          = 4
	sourceRouteFailed4   = 5
	netUnknown4          = 6
	hostUnknown4         = 7
	hostIsolated4        = 8
	netProhibited4       = 9
	hostProhibited4      = 10
	netTOS4              = 11
	hostTOS4             = 12
	prohibited4          = 13
	precedence4          = 14
	precedenceCutoff4    = 15
)

// Codes of ICMPv6 destination unreachable (RFC 4443).
const (
	noRoute6            = 0
	prohibited6         = 1
	beyondScope6        = 2
	addressUnreachable6 = 3
	portUnreachable6    = 4
	policyFailed6       = 5
	rejectRoute6        = 6
)

// reasonOfICMP says what an ICMP error means. The node that sent it may be
// this one: the kernel tells itself by ICMP when neighbour resolution failed.
func reasonOfICMP(e ICMPError, is6 bool) Reason {
	if is6 {
		return reasonOfICMP6(e.Type, e.Code)
	}
	switch e.Type {
	case unreachable4:
		return reasonOfUnreachable4(e.Code)
	case timeExceeded4:
		return TTLExceeded
	}
	return BadReply // parameter problem: something on the way found our packet malformed
}

func reasonOfUnreachable4(code uint8) Reason {
	switch code {
	case netUnreachable4, netUnknown4, netTOS4, sourceRouteFailed4:
		return NetUnreachable
	case hostUnreachable4, hostUnknown4, hostIsolated4, hostTOS4:
		return HostUnreachable
	case portUnreachable4, protocolUnreachable4:
		return PortUnreachable
	case fragNeeded4:
		return FragNeeded
	case netProhibited4, hostProhibited4, prohibited4, precedence4, precedenceCutoff4:
		return AdminProhibited
	}
	return NetUnreachable
}

func reasonOfICMP6(kind, code uint8) Reason {
	switch kind {
	case packetTooBig6:
		return FragNeeded
	case timeExceeded6:
		return TTLExceeded
	case parameterProblem6:
		return BadReply
	}
	switch code {
	case noRoute6, beyondScope6:
		return NetUnreachable
	case prohibited6, policyFailed6, rejectRoute6:
		return AdminProhibited
	case portUnreachable6:
		return PortUnreachable
	}
	return HostUnreachable // address unreachable
}
