package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

// table is a routing table: the longest prefix wins.
type table map[string]way

func (table) Close() {}

func (t table) Way(addr netip.Addr) (way, bool) {
	best, found := way{}, false
	for text, w := range t {
		if w.prefix = netip.MustParsePrefix(text); w.prefix.Contains(addr) && (!found || w.prefix.Bits() > best.prefix.Bits()) {
			best, found = w, true
		}
	}
	return best, found
}

// meshOf is n1, n2 and n3, whose endpoints have the given addresses.
func meshOf(endpoints ...string) []*discovery.Node {
	var nodes []*discovery.Node
	for i, text := range endpoints {
		name := "n" + string(rune('1'+i))
		n := &discovery.Node{Name: name, Addresses: []netip.Addr{netip.MustParseAddr("172.20.1.1" + string(rune('1'+i)))}}
		n.Endpoint.Namespace, n.Endpoint.Name = "podnet", "endpoint-"+name
		n.Endpoint.Addresses = []netip.Addr{netip.MustParseAddr(text)}
		nodes = append(nodes, n)
	}
	return nodes
}

func TestHopsAreNamedAfterWhatTheyAre(t *testing.T) {
	addr := netip.MustParseAddr
	overlay := []string{"10.244.1.2", "10.244.2.2", "10.244.3.2"}
	underlay := way{gateway: addr("172.20.1.1"), kind: "device"}
	tests := []struct {
		name      string
		endpoints []string
		network   nodeNetwork
		want      map[string]string // address → name
	}{
		{"flannel's VXLAN", overlay, table{
			"0.0.0.0/0": underlay, "172.20.1.0/24": {kind: "device"},
			"10.244.1.0/24": {kind: "bridge"}, "10.244.1.1/32": {kind: "bridge", local: true}, "10.244.1.0/32": {kind: "vxlan", local: true},
			"10.244.2.0/24": {gateway: addr("10.244.2.0"), kind: "vxlan"},
			"10.244.3.0/24": {gateway: addr("10.244.3.0"), kind: "vxlan"},
		}, map[string]string{
			"10.244.1.1": "bridge of n1", "10.244.1.0": "tunnel of n1", "10.244.2.0": "tunnel of n2", "10.244.3.0": "tunnel of n3",
			"10.244.3.2": "podnet/endpoint-n3", "172.20.1.13": "n3", "172.20.1.1": "tor1", "172.31.0.1": "172.31.0.1", "10.244.1.7": "10.244.1.7",
		}},
		{"one entry for the whole overlay", overlay, table{"10.244.0.0/16": {kind: "wireguard"}, "0.0.0.0/0": underlay},
			map[string]string{"10.244.3.0": "10.244.3.0"}},
		{"Calico's IP in IP", []string{"192.168.1.5", "192.168.2.5", "192.168.3.5"}, table{
			"0.0.0.0/0": underlay, "192.168.1.1/32": {kind: "ipip", local: true},
			"192.168.2.0/26": {gateway: addr("172.20.1.12"), kind: "ipip"}, "192.168.3.0/26": {gateway: addr("172.20.1.13"), kind: "ipip"},
		}, map[string]string{"192.168.3.1": "tunnel of n3", "192.168.1.1": "tunnel of n1"}},
		{"nodes that route to their pods", overlay, table{
			"0.0.0.0/0": underlay, "10.244.2.0/24": {gateway: addr("172.20.1.12"), kind: "device"}, "10.244.3.0/24": {gateway: addr("172.20.1.13"), kind: "device"},
		}, map[string]string{"10.244.3.1": "bridge of n3"}},
		{"a router that knows the pods", overlay, table{
			"0.0.0.0/0": underlay, "10.244.3.0/24": underlay,
		}, map[string]string{"10.244.3.1": "10.244.3.1"}},
		{"another address of this node", overlay, table{"192.0.2.1/32": {kind: "device", local: true}}, map[string]string{"192.0.2.1": "n1"}},
		{"IPv6", []string{"fd00:244:1::2", "fd00:244:2::2", "fd00:244:3::2"}, table{
			"fd00:244:1::1/128": {kind: "bridge", local: true},
			"fd00:244:2::/64":   {gateway: addr("fd00:244:2::"), kind: "vxlan"}, "fd00:244:3::/64": {gateway: addr("fd00:244:3::"), kind: "vxlan"},
		}, map[string]string{"fd00:244:1::1": "bridge of n1", "fd00:244:3::": "tunnel of n3"}},
		{"no routing table", overlay, nil, map[string]string{"10.244.3.0": "10.244.3.0", "172.20.1.12": "n2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nodes := meshOf(tt.endpoints...)
			h := newHopNames(tt.network)
			h.set(discovery.Snapshot{Nodes: nodes, Routers: []discovery.Router{{Name: "tor1", Addresses: []netip.Addr{addr("172.20.1.1")}}}}, "n1", nodes)
			got := make(map[string]string)
			for text := range tt.want {
				got[text] = h.name(addr(text))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNamesFollowTheRoutingTable(t *testing.T) {
	nodes := meshOf("10.244.1.2", "10.244.2.2", "10.244.3.2")
	network := table{}
	h := newHopNames(network)
	h.set(discovery.Snapshot{Nodes: nodes}, "n1", nodes)
	at := time.Unix(0, 0)
	h.now = func() time.Time { return at }
	tunnel := netip.MustParseAddr("10.244.3.0")
	if got := h.name(tunnel); got != "10.244.3.0" {
		t.Errorf("name() = %q before there is an overlay; want the address", got)
	}
	network["10.244.3.0/24"] = way{gateway: tunnel, kind: "vxlan"}
	if got := h.name(tunnel); got != "10.244.3.0" {
		t.Errorf("name() = %q at once; want the routing table not to be asked again within a minute", got)
	}
	at = at.Add(wayMaxAge)
	if got := h.name(tunnel); got != "tunnel of n3" {
		t.Errorf("name() = %q a minute later; want tunnel of n3", got)
	}
}

// asked counts how often the routing table is asked.
type asked struct {
	table
	times int
}

func (a *asked) Way(addr netip.Addr) (way, bool) {
	a.times++
	return a.table.Way(addr)
}

func TestNamesStayUnlessTheirNodeChanges(t *testing.T) {
	nodes := meshOf("10.244.1.2", "10.244.2.2", "10.244.3.2")
	network := &asked{table: table{"10.244.2.0/24": {gateway: netip.MustParseAddr("10.244.2.0"), kind: "vxlan"}}}
	h := newHopNames(network)
	h.set(discovery.Snapshot{Nodes: nodes}, "n1", nodes[:2])
	check := func(addr, want string) {
		t.Helper()
		if got := h.name(netip.MustParseAddr(addr)); got != want {
			t.Errorf("name(%s) = %q; want %q", addr, got, want)
		}
	}
	check("10.244.2.0", "tunnel of n2")
	check("10.244.3.9", "10.244.3.9")
	before := network.times

	moved := *nodes[2]
	moved.Endpoint.Addresses = []netip.Addr{netip.MustParseAddr("10.244.3.9")}
	now := []*discovery.Node{nodes[0], nodes[1], &moved}
	h.set(discovery.Snapshot{Nodes: now}, "n1", now[:2])
	check("10.244.2.0", "tunnel of n2")
	check("10.244.3.9", "podnet/endpoint-n3")
	if network.times != before {
		t.Errorf("the routing table was asked %d times after a change that does not concern it", network.times-before)
	}
	h.set(discovery.Snapshot{Nodes: nodes}, "n1", nodes[:2])
	check("10.244.3.9", "10.244.3.9")
	h.set(discovery.Snapshot{Nodes: now}, "n1", now)
	check("10.244.2.0", "tunnel of n2")
	if network.times <= before+1 {
		t.Error("other peers, and the routing table was not asked again")
	}
}
