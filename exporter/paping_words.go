package main

import (
	"fmt"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// papingFailure is the line of an attempt that did not connect. paping has one
// for all of them.
func papingFailure(r probers.Result, strict bool) string {
	const timedOut = "Connection timed out"
	if strict {
		return timedOut
	}
	text, found := map[probers.Reason]string{
		probers.Timeout:             timedOut,
		probers.Refused:             "Connection refused",
		probers.Reset:               "Connection reset",
		probers.HostUnreachable:     "Host unreachable",
		probers.NetUnreachable:      "Network unreachable",
		probers.PortUnreachable:     "Port unreachable",
		probers.AdminProhibited:     "Prohibited by a firewall",
		probers.TTLExceeded:         "Time to live exceeded",
		probers.NoRoute:             "No route to host",
		probers.LocalPortsExhausted: "No local port left",
		probers.LocalDenied:         "Denied by this host",
		probers.LocalBuffer:         "No buffer space on this host",
	}[r.Reason]
	if !found {
		text = fmt.Sprintf("General failure (%s)", r.Reason)
	}
	if e := r.ICMP; e.From.IsValid() {
		text += fmt.Sprintf(" (ICMP type %d code %d from %s)", e.Type, e.Code, e.From)
	}
	return text
}
