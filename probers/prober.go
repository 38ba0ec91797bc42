// Package probers measures the network paths from a network namespace of this
// node to a target.
//
// A prober measures and returns. It does not schedule itself, log, or know
// that Prometheus exists: package schedule decides when a probe is sent and
// package metrics decides what its Result is called on the wire.
package probers

import (
	"net/netip"
	"time"
)

// Kind is how a target is probed.
type Kind uint8

// The kinds of probe. The zero Kind is no probe at all, so that a forgotten
// field is found and not sent as something else.
const (
	ICMP        Kind = iota + 1 // echo request and reply (RFC 792, RFC 4443)
	TCP                         // three-way handshake, closed with a reset (paping)
	UDP                         // a keyed packet to a responder, which echoes it with its own counters
	TraceUDP                    // a UDP packet to a port where nobody listens (traceroute, mtr -u)
	TraceTCP                    // a single SYN, sent and answered past the kernel's TCP (mtr -T)
	TCPTransfer                 // an HTTP request to a responder, and its answer, of several segments each
)

// String returns the kind as it stands in the label "probe".
func (k Kind) String() string {
	switch k {
	case ICMP:
		return "icmp"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case TraceUDP:
		return "trace_udp"
	case TraceTCP:
		return "trace_tcp"
	case TCPTransfer:
		return "transfer"
	}
	return "unknown"
}

// Probe is one packet exchange to be measured, once.
type Probe struct {
	Tag     uint64         // chosen by the caller, returned in every Result of this probe
	Kind    Kind           // how to probe
	To      netip.AddrPort // where to; Port is not used by ICMP, and 0 means 33434 for TraceUDP, 80 for TraceTCP
	Timeout time.Duration  // a reply after this is late, and the probe has failed
	Size    int            // size of the IP packet in bytes, headers included; 0 means 64, or what the kind needs; not used by TCP and TraceTCP; of TCPTransfer: bytes of the body

	TTL          uint8  // time to live, or hop limit, of the packet; 0 means 64
	Flow         uint16 // equal flows to one target take one way through equal-cost paths, and others may take another; there are 16, and 16 is 0 again
	Identity     uint64 // UDP: who is to answer, see UDPIdentity; 0: anybody with the cluster's key
	DontFragment bool   // send with DF and past what the kernel thinks of the path MTU; not used by TCP and TraceTCP
}

// Event says what a Result reports about its probe. Every probe that was sent
// has exactly one Done; Late and Duplicate follow it and are extra.
type Event uint8

// The events.
const (
	Done      Event = iota + 1 // the probe's one outcome
	Late                       // its reply arrived after Done said Timeout or Impaired
	Duplicate                  // a further reply to a probe that was answered
)

// Result is what one event of a probe measured. The zero value of a field
// means that this prober does not measure it.
type Result struct {
	Tag         uint64        // of the Probe
	Event       Event         // what is reported
	Reason      Reason        // why the probe failed; "" means success
	RTT         time.Duration // by the kernel's clock, set on success and on Late, and for an ICMP error in answer to ICMP or a trace
	Retransmits int           // SYNs that TCP had to send again: each is a lost packet, not latency
	ICMP        ICMPError     // the ICMP error that ended the probe, if one did
	From        netip.Addr    // who answered, with a reply or an ICMP error; invalid if nobody did
	MPLS        []MPLSLabel   // the label stack that the packet had at the router which sent ICMP, if that said so

	// Of UDP only:
	Delay     time.Duration // how long the responder kept the packet; not part of RTT
	Lost      Losses        // earlier losses of the flow whose direction this event tells
	Reordered Ways          // where a later packet of the flow overtook this one
	Doubled   Ways          // of a Duplicate: which packet came twice, the request or the reply
	OneWay    OneWay        // by the clocks of both ends
	State     UDPState      // of a success: what the responder announces of its node

	Transfer *Transfer // of TCPTransfer only
}

// ICMPError is an ICMP or ICMPv6 error message about a probe. The zero value
// means that there was none.
type ICMPError struct {
	From netip.Addr // who sent it: the target itself, or a router or firewall on the way
	Type uint8      // RFC 792 or RFC 4443, by the address family of From
	Code uint8
	MTU  int // next-hop MTU in bytes, of frag-needed and packet-too-big only
}
