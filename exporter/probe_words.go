package main

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// probeSentence says in words what a result means.
func probeSentence(kind probers.Kind, to netip.AddrPort, timeout time.Duration, r probers.Result) string {
	switch {
	case r.Event == probers.Late:
		return fmt.Sprintf("late reply from %s: rtt %s", to.Addr(), rttText(r.RTT))
	case r.Event == probers.Duplicate:
		return fmt.Sprintf("duplicate reply from %s: rtt %s", to.Addr(), rttText(r.RTT))
	case r.Transfer != nil && (r.Reason == probers.OK || r.Transfer.Established):
		return transferSentence(to, timeout, r)
	case r.Reason != probers.OK:
		return fmt.Sprintf("%s: %s", r.Reason, failureSentence(to, timeout, r))
	case kind == probers.TCP && r.Retransmits > 0:
		return fmt.Sprintf("connected to %s port %d: rtt %s, SYN retransmitted %d times: packets were lost", to.Addr(), to.Port(), rttText(r.RTT), r.Retransmits)
	case kind == probers.TCP:
		return fmt.Sprintf("connected to %s port %d: rtt %s", to.Addr(), to.Port(), rttText(r.RTT))
	}
	return fmt.Sprintf("reply from %s: rtt %s", to.Addr(), rttText(r.RTT))
}

// transferSentence says how far a transfer went whose connection opened.
func transferSentence(to netip.AddrPort, timeout time.Duration, r probers.Result) string {
	t := r.Transfer
	switch {
	case r.Reason == probers.OK:
		return fmt.Sprintf("%d bytes to %s port %d and back in %.2f ms: rtt %s, segments of %d bytes", t.Size, to.Addr(), to.Port(),
			milliseconds(t.Took), rttText(r.RTT), t.MSS)
	case r.Reason == probers.Timeout && t.Stalled() == probers.Forward:
		return fmt.Sprintf("%s: connected, and then %d of %d bytes in segments of %d were acknowledged within %v: large packets to %s are lost",
			r.Reason, t.Acked, t.Request, t.MSS, timeout, to.Addr())
	case r.Reason == probers.Timeout:
		return fmt.Sprintf("%s: connected and sent all, and then %d of %d bytes came back within %v: large packets from %s are lost, or it does not answer",
			r.Reason, t.Received, t.Size, timeout, to.Addr())
	case r.Reason == probers.HTTPStatus, r.Reason == probers.BadReply:
		return fmt.Sprintf("%s: %s port %d is no responder, or has too much to do", r.Reason, to.Addr(), to.Port())
	}
	return fmt.Sprintf("%s: %s", r.Reason, failureSentence(to, timeout, r))
}

func rttText(d time.Duration) string { return fmt.Sprintf("%.2f ms", milliseconds(d)) }

// failureSentence says why a probe failed, and who says so.
func failureSentence(to netip.AddrPort, timeout time.Duration, r probers.Result) string {
	target, icmp := to.Addr().String(), r.ICMP
	if icmp.From.IsValid() {
		return icmpSentence(to, r)
	}
	sentence, found := map[probers.Reason]string{
		probers.Timeout:             fmt.Sprintf("nothing came back from %s within %v", target, timeout),
		probers.Refused:             fmt.Sprintf("%s answered that nothing listens on port %d", target, to.Port()),
		probers.Reset:               fmt.Sprintf("%s reset the connection", target),
		probers.HostUnreachable:     fmt.Sprintf("%s does not answer ARP or neighbour discovery, or a route of this host says unreachable", target),
		probers.NetUnreachable:      fmt.Sprintf("the network of %s cannot be reached", target),
		probers.NoRoute:             fmt.Sprintf("this network namespace has no route to %s", target),
		probers.FragNeeded:          "the packet is larger than the MTU of the way that it would take; try a smaller --size",
		probers.LocalPortsExhausted: fmt.Sprintf("all local ports for %s port %d are taken", target, to.Port()),
		probers.LocalDenied:         "this host refused to send: a firewall rule of OUTPUT, a prohibit route, or a cgroup program",
		probers.LocalBuffer:         "this host has no buffer space left to send",
		probers.BadReply:            fmt.Sprintf("%s replied with other content than it was sent", target),
		probers.WrongIdentity:       fmt.Sprintf("another address than %s replied", target),
		probers.Impaired:            "this host was too busy to measure; says nothing about the network",
	}[r.Reason]
	if !found {
		return "the probe of " + target + " failed"
	}
	return sentence
}

// icmpSentence says what an ICMP error means.
func icmpSentence(to netip.AddrPort, r probers.Result) string {
	icmp := r.ICMP
	meaning, found := map[probers.Reason]string{
		probers.HostUnreachable: fmt.Sprintf("it cannot reach %s", to.Addr()),
		probers.NetUnreachable:  fmt.Sprintf("it has no route to the network of %s", to.Addr()),
		probers.PortUnreachable: "the port or protocol is closed, or a firewall rejects it",
		probers.AdminProhibited: "a firewall forbids it",
		probers.TTLExceeded:     "the time to live ran out there: a low --ttl, or a routing loop",
		probers.FragNeeded:      "the packet is too large",
		probers.BadReply:        "the packet is malformed",
	}[r.Reason]
	if !found {
		meaning = "it failed"
	}
	if r.Reason == probers.FragNeeded && icmp.MTU > 0 {
		meaning += fmt.Sprintf(" for the next link, of MTU %d", icmp.MTU)
	}
	protocol := "ICMP"
	if icmp.From.Is6() {
		protocol = "ICMPv6"
	}
	return fmt.Sprintf("%s says %s (%s type %d code %d)", icmp.From, meaning, protocol, icmp.Type, icmp.Code)
}
