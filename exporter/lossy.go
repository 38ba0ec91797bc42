package main

import (
	"net/netip"
	"slices"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// lossHops returns where the lasting loss of a path begins. Where other flows
// to the same target take another way and lose nothing, the hop to blame is one
// that only the losing flows have.
//
// A link that loses is seen from both of its sides: the nodes on one side find
// that loss begins at the router behind it, and those on the other side at the
// router before it. What they have in common is the hop that the fine flows go
// round.
func lossHops(r probers.PathReport, name func(netip.Addr) string) []probers.LossPoint {
	points := r.LossBegins()
	if len(points) == 0 {
		return nil
	}
	var losing []uint16
	for _, p := range points {
		losing = append(losing, p.Flows...)
	}
	fine := make(map[string]bool) // the hops of flows that lose nothing
	for _, f := range r.Flows {
		if f.Reached && !slices.Contains(losing, f.Flow) {
			for _, h := range f.Hops {
				fine[name(h.Addr)] = true
			}
		}
	}
	if len(fine) == 0 {
		return points
	}
	for i := range points {
		blame(&points[i], r, name, fine)
	}
	return points
}

// blame moves a point to the nearest hop of its flows that no fine flow has, if
// that is before the hop that it names.
func blame(p *probers.LossPoint, r probers.PathReport, name func(netip.Addr) string, fine map[string]bool) {
	for _, f := range r.Flows {
		if !slices.Contains(p.Flows, f.Flow) {
			continue
		}
		for _, h := range f.Hops {
			if h.TTL < p.TTL && h.Addr.IsValid() && !fine[name(h.Addr)] {
				p.TTL, p.Addr = h.TTL, h.Addr
				return
			}
		}
	}
}
