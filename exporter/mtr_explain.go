package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// explainMtr says in words what the numbers mean: what is notable, and with
// --explain what is not, too.
func explainMtr(run *mtrRun) []string {
	r, at := run.report, run.at
	var lines []string
	points := r.LossBegins()
	for _, p := range points {
		lines = append(lines, run.lossLine(p))
	}
	if i := slices.IndexFunc(r.Hops, run.translated); i >= 0 {
		lines = append(lines, at(r.Hops[i].TTL, r.Hops[i].Addr)+" is not the destination yet: its address is translated there, as a Service's is, and routers from there on answer in its name")
	}
	last := r.Hops[len(r.Hops)-1]
	if refuses(last, run.options.Kind) {
		lines = append(lines, fmt.Sprintf("%s answers: %s", at(last.TTL, last.Addr), refusalMtr(last)))
	}
	if r.Changes > 0 {
		lines = append(lines, fmt.Sprintf("the path changed %d times: the numbers are of several paths", r.Changes))
	}
	if !run.options.Explain {
		return lines
	}
	for i, h := range r.Hops[:len(r.Hops)-1] {
		if h.Loss() > 0 && h.Received > 0 && !h.Reached && !losesBehind(points, h.TTL) {
			lines = append(lines, fmt.Sprintf("%s leaves %.1f%% unanswered and later hops do not: it limits its own answers, nothing is lost there", at(h.TTL, h.Addr), 100*h.Loss()))
		}
		if h.Received == 0 && i > 0 && !losesBehind(points, h.TTL) {
			lines = append(lines, fmt.Sprintf("hop %d never answers and later hops do: nothing is lost there", h.TTL))
		}
	}
	for _, h := range r.Hops {
		if h.Unsteady {
			lines = append(lines, fmt.Sprintf("%s: the mean says little, for the times vary: best %s, worst %s", at(h.TTL, h.Addr), h.Best, h.Worst))
		}
	}
	if len(points) == 0 && r.Reached {
		lines = append(lines, "NO LASTING LOSS")
	}
	return lines
}

// translated is whether a router answers at a hop with the address of the
// destination: its ICMP errors are translated back with all other answers.
func (r *mtrRun) translated(h probers.HopReport) bool { return h.Addr == r.to.Unmap() && !h.Reached }

// refuses is whether an answer of the last hop is none that its kind of probe
// hopes for.
func refuses(last probers.HopReport, kind probers.Kind) bool {
	switch last.Reason {
	case probers.OK, probers.WrongIdentity:
		return false
	case probers.PortUnreachable:
		return kind != probers.TraceUDP || !last.Reached
	}
	return true
}

// losesBehind is whether loss begins at or before a hop.
func losesBehind(points []probers.LossPoint, ttl uint8) bool {
	for _, p := range points {
		if p.TTL <= ttl {
			return true
		}
	}
	return false
}

// at names a hop.
func (r *mtrRun) at(ttl uint8, addr netip.Addr) string {
	if !addr.IsValid() {
		return fmt.Sprintf("hop %d", ttl)
	}
	return fmt.Sprintf("hop %d (%s)", ttl, addr)
}

func (r *mtrRun) lossLine(p probers.LossPoint) string {
	var b strings.Builder
	fmt.Fprintf(&b, "LOSS BEGINS at %s", r.at(p.TTL, p.Addr))
	if p.After.IsValid() {
		fmt.Fprintf(&b, " behind %s", p.After)
	}
	if r.options.Flows > 1 {
		fmt.Fprintf(&b, ", on flows %s of %d", numbers(p.Flows), r.options.Flows)
	}
	if p.Total {
		return b.String() + ": nothing comes back from there or beyond"
	}
	fmt.Fprintf(&b, ", and lasts to the end: %d of %d lost (%.1f%%)", p.Loss.Lost, p.Loss.Tried, 100*float64(p.Loss.Lost)/float64(p.Loss.Tried))
	return b.String()
}

func numbers(flows []uint16) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(flows), " ", ","), "[]")
}

// refusalMtr says why a hop does not let a probe through.
func refusalMtr(h probers.HopReport) string {
	words := map[probers.Reason]string{
		probers.Refused:         "connection refused: nothing listens on the port",
		probers.HostUnreachable: "host unreachable",
		probers.NetUnreachable:  "network unreachable",
		probers.PortUnreachable: "port unreachable",
		probers.AdminProhibited: "administratively prohibited: a firewall says no",
		probers.FragNeeded:      "the packet is too large for the next link",
		probers.TTLExceeded:     "fragments of the packet did not arrive in time",
	}
	word, ok := words[h.Reason]
	if !ok {
		word = string(h.Reason)
	}
	if !h.ICMP.From.IsValid() {
		return word
	}
	word += fmt.Sprintf(" (ICMP type %d code %d)", h.ICMP.Type, h.ICMP.Code)
	if h.ICMP.MTU > 0 {
		word += fmt.Sprintf(", its MTU is %d", h.ICMP.MTU)
	}
	return word
}

// localMtr says why a probe did not leave this host.
func localMtr(r probers.Reason) string {
	switch r {
	case probers.NoRoute:
		return "no route to the destination"
	case probers.LocalDenied:
		return "this host's own firewall or policy forbids it"
	case probers.LocalBuffer:
		return "no buffer space"
	case probers.FragNeeded:
		return "the packet is larger than the MTU of the interface"
	case probers.HostUnreachable:
		return "the next hop does not answer to ARP or neighbour discovery"
	}
	return strings.ReplaceAll(string(r), "_", " ")
}
