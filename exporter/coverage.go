package main

import (
	"net/netip"
	"time"

	"github.com/podnet-exporter/podnet_exporter/collectors"
)

const (
	// coverageWindow is how long ago a probe counts.
	coverageWindow = time.Minute

	// coverageInterval is how often they are counted.
	coverageInterval = 10 * time.Second
)

// cover counts which nodes have probed this one lately. It is called every
// cycle.
func (a *agent) cover(now time.Time) {
	if now.Sub(a.covered) < coverageInterval {
		return
	}
	a.covered = now
	if a.answering == nil {
		a.coverage.Unknown()
		return
	}
	a.coverage.ProbedBy(nodesAt(wholeMesh{&a.view}.Peers(), a.answering.Sources(now.Add(-coverageWindow))))
}

// nodesAt returns how many nodes besides this one have at least one of the
// addresses. Probes of pods may arrive with the address of their node.
func nodesAt(mesh []*collectors.Peer, addresses []netip.Addr) int {
	wanted := make(map[netip.Addr]bool, len(addresses))
	for _, addr := range addresses {
		wanted[addr] = true
	}
	has := func(list []netip.Addr) bool {
		for _, addr := range list {
			if wanted[addr] {
				return true
			}
		}
		return false
	}
	nodes := 0
	for _, p := range mesh {
		if !p.Self && (has(p.NodeAddresses) || has(p.PodAddresses)) {
			nodes++
		}
	}
	return nodes
}
