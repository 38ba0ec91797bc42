package main

import (
	"net/netip"
	"testing"

	"github.com/podnet-exporter/podnet_exporter/collectors"
)

func TestNodesAtCountsOtherNodesOnce(t *testing.T) {
	addresses := func(texts ...string) (all []netip.Addr) {
		for _, text := range texts {
			all = append(all, netip.MustParseAddr(text))
		}
		return all
	}
	mesh := []*collectors.Peer{
		{Node: "n1", NodeAddresses: addresses("10.1.0.1", "fd00::1"), PodAddresses: addresses("10.2.1.2"), Self: true},
		{Node: "n2", NodeAddresses: addresses("10.1.0.2", "fd00::2"), PodAddresses: addresses("10.2.2.2")},
		{Node: "n3", NodeAddresses: addresses("10.1.0.3"), PodAddresses: addresses("10.2.3.2")},
		{Node: "n4", NodeAddresses: addresses("10.1.0.4")},
	}
	tests := []struct {
		name    string
		sources []netip.Addr
		want    int
	}{
		{"nobody", nil, 0},
		{"itself", addresses("10.1.0.1", "10.2.1.2"), 0},
		{"a node from its host and its pod, in both families", addresses("10.1.0.2", "fd00::2", "10.2.2.2"), 1},
		{"a pod, and a node, and somebody else", addresses("10.2.3.2", "10.1.0.4", "192.0.2.1"), 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := nodesAt(mesh, tt.sources); got != tt.want {
				t.Errorf("nodesAt(%v) = %d; want %d", tt.sources, got, tt.want)
			}
		})
	}
}
