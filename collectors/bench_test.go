package collectors

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// BenchmarkCollect is one scrape of a node with 30 pods on a bridge, by
// collector: time, allocations and series.
func BenchmarkCollect(b *testing.B) {
	node := newSandbox(b, "")
	node.bridge(b, "cni0")
	node.address(b, "cni0", "10.1.0.1/24")
	sandboxes := []*sandbox{node}
	for i := range 30 {
		pod := newSandbox(b, fmt.Sprintf("pod-%d", i))
		node.connect(b, fmt.Sprintf("veth-%d", i), "cni0", pod)
		pod.address(b, "eth0", fmt.Sprintf("10.1.0.%d/24", i+2))
		sandboxes = append(sandboxes, pod)
	}
	h, _ := handlesFor(b, sandboxes...)
	endpoint := func(ns Namespace) bool { return ns.Pod == "pod-0" }
	var peers peerList
	for i := range 32 {
		peers = append(peers, &Peer{
			Node:          fmt.Sprintf("n%d", i),
			NodeAddresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 1, 0, byte(i)})},
			PodAddresses:  []netip.Addr{netip.AddrFrom4([4]byte{10, byte(i), 0, 2})},
		})
	}
	route := NewRoute(h, peers, endpoint)
	all := map[string]Collector{
		"interface": NewInterface(h),
		"conntrack": NewConntrack(h),
		"tcp":       NewTCP(h),
		"sockets":   NewSockets(h, []uint16{9798}, func(ns Namespace) bool { return ns.Node || endpoint(ns) }),
		"route":     route,
	}
	for _, name := range []string{"interface", "conntrack", "tcp", "sockets", "route"} {
		b.Run(name, func(b *testing.B) {
			scrape(b, NewSet(map[string]Collector{name: all[name]}, discard()), func() { route.looked = route.looked.Add(-routeMaxAge) })
		})
	}
	b.Run("all", func(b *testing.B) {
		scrape(b, NewSet(all, discard()), func() { route.looked = route.looked.Add(-routeMaxAge) })
	})
}

// scrape collects again and again, and reports the number of series.
func scrape(b *testing.B, set *Set, before func()) {
	b.ReportAllocs()
	series := 0
	for b.Loop() {
		before()
		ch := make(chan prometheus.Metric, 4096)
		set.Collect(ch)
		series = len(ch)
	}
	b.ReportMetric(float64(series), "series")
}
