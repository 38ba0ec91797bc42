package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// What an Options.Proxy may be.
const (
	proxyIPTables = "iptables"
	proxyNFTables = "nftables"
)

// defaultPrefix begins the names of network namespaces and cgroups.
const defaultPrefix = "pne-"

// maxNodes is how many nodes the LAN's addresses are kept for.
const maxNodes = 9

// Options is what a cluster is made from.
type Options struct {
	Prefix   string `json:"prefix"`
	Proxy    string `json:"proxy"`
	IPv4Only bool   `json:"ipv4_only"`
	Nodes    int    `json:"nodes"`

	// Production is a cluster with the chart's defaults, and scrapes and rules as
	// in production: to measure what it takes.
	Production bool `json:"production"`
}

// Plan is the cluster as it shall be. All addresses are inside its own
// namespaces and meet nothing of the machine.
type Plan struct {
	Options
	Control NodePlan // the control plane and the LAN, no node of Kubernetes
	Nodes   []NodePlan

	Pods, Services []netip.Prefix // IPv4 first
	APIService     netip.Addr     // of the Service kubernetes.default
}

// NodePlan is one namespace on the LAN.
type NodePlan struct {
	Index        int // 1 for node1
	Name         string
	Netns        string
	Addr4, Addr6 netip.Addr // Addr6 is invalid in a cluster without IPv6
}

// Addrs returns the node's addresses, IPv4 first.
func (n NodePlan) Addrs() []netip.Addr {
	if !n.Addr6.IsValid() {
		return []netip.Addr{n.Addr4}
	}
	return []netip.Addr{n.Addr4, n.Addr6}
}

func newPlan(o Options) Plan {
	p := Plan{
		Options:    o,
		Control:    onLAN(o, 0, "cp"),
		Pods:       []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")},
		Services:   []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16")},
		APIService: netip.MustParseAddr("10.96.0.1"),
	}
	if !o.IPv4Only {
		p.Pods = append(p.Pods, netip.MustParsePrefix("fd00:244::/56"))
		p.Services = append(p.Services, netip.MustParsePrefix("fd00:96::/112"))
	}
	for i := range o.Nodes {
		p.Nodes = append(p.Nodes, onLAN(o, i+1, fmt.Sprintf("node%d", i+1)))
	}
	return p
}

// onLAN returns a place on the LAN: 10.200.0.1 for the control plane,
// 10.200.0.11 for node1, and fd00:200::1 and fd00:200::b.
func onLAN(o Options, index int, name string) NodePlan {
	host := uint32(1)
	if index > 0 {
		host = uint32(10 + index)
	}
	n := NodePlan{Index: index, Name: name, Netns: o.Prefix + name, Addr4: lowBits("10.200.0.0", host)}
	if !o.IPv4Only {
		n.Addr6 = lowBits("fd00:200::", host)
	}
	return n
}

// lowBits returns the address whose last bits are the number.
func lowBits(base string, n uint32) netip.Addr {
	b := netip.MustParseAddr(base).AsSlice()
	last := b[len(b)-4:]
	binary.BigEndian.PutUint32(last, binary.BigEndian.Uint32(last)|n)
	a, _ := netip.AddrFromSlice(b)
	return a
}

// Node returns the node of a name. The error lists those that there are.
func (p Plan) Node(name string) (NodePlan, error) {
	var known []string
	for _, n := range p.Nodes {
		if n.Name == name {
			return n, nil
		}
		known = append(known, n.Name)
	}
	return NodePlan{}, fmt.Errorf("no node %q; there are %v", name, known)
}

// lanBits is the prefix length of an address on the LAN.
func lanBits(a netip.Addr) int {
	if a.Is4() {
		return 24
	}
	return 64
}

// zone returns the node's zone: the first two share one.
func zone(n NodePlan) string {
	if n.Index <= 2 {
		return "a"
	}
	return "b"
}

// addresses joins a node's addresses as the kubelet wants them.
func addresses(n NodePlan) string {
	var texts []string
	for _, a := range n.Addrs() {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, ",")
}
