package main

import (
	"fmt"
	"net/netip"
)

// defaultPrefix begins the name of every network namespace of the lab.
const defaultPrefix = "podnet-"

// The ways in which pods of different nodes reach each other.
const (
	cniVXLAN  = "vxlan"  // as flannel: a bridge on each node, VXLAN between them
	cniRouted = "routed" // as calico: a /32 and a /128 route per pod, no tunnel
)

// Ports that the lab's programs listen on.
const (
	agentPort        = 9797
	endpointPort     = 9798
	prometheusPort   = 9090
	alertmanagerPort = 9093
	dnsPort          = 53
)

// MTUs in bytes. An IPv4 tunnel takes 50 bytes of the underlay's packet, an
// IPv6 tunnel 70.
const (
	underlayMTU = 1500
	tunnelMTU4  = underlayMTU - 50
	tunnelMTU6  = underlayMTU - 70
)

// Plan says which namespaces, devices and addresses the lab has. It is made by
// [NewPlan] and holds no state: the same arguments give the same Plan.
type Plan struct {
	Prefix  string // of every namespace's name, "podnet-"
	CNI     string // cniVXLAN or cniRouted
	Nodes   []NodePlan
	Routers []RouterPlan // tor1, tor2, spine1, spine2
	Cables  []Cable      // between routers, and from spines to the monitoring host
	Mon     MonPlan
}

// podMTU is that of the pods' interfaces, in bytes: what fits through both
// tunnels, or without them what the underlay carries.
func (p *Plan) podMTU() int {
	if p.CNI == cniRouted {
		return underlayMTU
	}
	return tunnelMTU6
}

// NodePlan is one node: its own namespace and those of its pods. Names of
// namespaces are complete, as `ip netns` knows them.
type NodePlan struct {
	Index      int    // 1 to 4
	Name       string // n1
	Rack, Zone string // r1, a
	Netns      string // podnet-n1
	ToR        string // name of its rack's router, tor1; the router's port has the node's name

	Addr4, Addr6       netip.Addr   // of eth0
	Net4, Net6         netip.Prefix // of the rack
	Gateway4, Gateway6 netip.Addr   // the rack's router

	PodCIDR4, PodCIDR6 netip.Prefix
	Bridge4, Bridge6   netip.Addr // of cni0, not used when routed
	Tunnel4, Tunnel6   netip.Addr // of flannel.1 and flannel-v6.1: the pod range's own address
	TunnelMAC4         string     // of flannel.1
	TunnelMAC6         string     // of flannel-v6.1

	EndpointNetns, AppNetns string
	Endpoint4, Endpoint6    netip.Addr
	App4, App6              netip.Addr
	EndpointVeth, AppVeth   string // host ends; the pod's own interface is eth0

	DNSNetns   string // of the cluster's DNS server, "" where there is none
	DNS4, DNS6 netip.Addr
	DNSVeth    string
}

// PodPlan is one pod of a node.
type PodPlan struct {
	Namespace, Name string // Kubernetes names
	Netns, Veth     string
	Addr4, Addr6    netip.Addr
}

// RouterPlan is a router of the fabric.
type RouterPlan struct {
	Name, Netns string
	Rack        string // "" for a spine
}

// Cable is a point-to-point link between two machines of the fabric. Each end
// is named after the other.
type Cable struct {
	A, B           string // names: a ToR and a spine, or a spine and mon
	A4, B4, A6, B6 netip.Prefix
}

// MonPlan is the host that Prometheus and Alertmanager run on.
type MonPlan struct {
	Netns        string
	Addr4, Addr6 netip.Addr
}

// NewPlan returns the lab's plan for a CNI, cniVXLAN if it is empty.
func NewPlan(cni string) Plan { return newPlan(cni, defaultPrefix) }

func newPlan(cni, prefix string) Plan {
	if cni == "" {
		cni = cniVXLAN
	}
	p := Plan{Prefix: prefix, CNI: cni}
	for i := 1; i <= 4; i++ {
		p.Nodes = append(p.Nodes, newNode(i, cni, prefix))
	}
	for _, r := range []RouterPlan{{Name: "tor1", Rack: "r1"}, {Name: "tor2", Rack: "r2"}, {Name: "spine1"}, {Name: "spine2"}} {
		r.Netns = prefix + r.Name
		p.Routers = append(p.Routers, r)
	}
	for s := 1; s <= 2; s++ {
		spine := fmt.Sprintf("spine%d", s)
		for t := 1; t <= 2; t++ {
			p.Cables = append(p.Cables, newCable(fmt.Sprintf("tor%d", t), spine, 10*t+s))
		}
		p.Cables = append(p.Cables, newCable(spine, "mon", 90+s))
	}
	p.Mon = MonPlan{Netns: prefix + "mon", Addr4: addr("172.20.9.10"), Addr6: addr("fd00:20:9::10")}
	return p
}

func newNode(i int, cni, prefix string) NodePlan {
	rack := (i + 1) / 2
	name := fmt.Sprintf("n%d", i)
	veth := "veth-"
	if cni == cniRouted {
		veth = "cali-"
	}
	pod4 := func(host int) netip.Addr { return addr("10.244.%d.%d", i, host) }
	pod6 := func(host int) netip.Addr { return addr("fd00:244:%d::%d", i, host) }
	n := NodePlan{
		Index: i, Name: name,
		Rack: fmt.Sprintf("r%d", rack), Zone: string(rune('a' + rack - 1)),
		Netns: prefix + name, ToR: fmt.Sprintf("tor%d", rack),
		Addr4: addr("172.20.%d.%d", rack, 10+i), Addr6: addr("fd00:20:%d::%d", rack, 10+i),
		Net4: prefixOf("172.20.%d.0/24", rack), Net6: prefixOf("fd00:20:%d::/64", rack),
		Gateway4: addr("172.20.%d.1", rack), Gateway6: addr("fd00:20:%d::1", rack),
		PodCIDR4: prefixOf("10.244.%d.0/24", i), PodCIDR6: prefixOf("fd00:244:%d::/64", i),
		Bridge4: pod4(1), Bridge6: pod6(1),
		Tunnel4: pod4(0), Tunnel6: pod6(0),
		TunnelMAC4: fmt.Sprintf("0e:f1:00:00:04:%02x", i), TunnelMAC6: fmt.Sprintf("0e:f1:00:00:06:%02x", i),
		EndpointNetns: prefix + name + "-endpoint", AppNetns: prefix + name + "-app",
		Endpoint4: pod4(2), Endpoint6: pod6(2), App4: pod4(3), App6: pod6(3),
		EndpointVeth: veth + "endpoint", AppVeth: veth + "app",
	}
	if i%2 == 1 { // the first node of each rack
		n.DNSNetns, n.DNSVeth, n.DNS4, n.DNS6 = prefix+name+"-dns", veth+"dns", pod4(4), pod6(4)
	}
	return n
}

func newCable(a, b string, n int) Cable {
	return Cable{
		A: a, B: b,
		A4: prefixOf("172.20.%d.1/30", n), B4: prefixOf("172.20.%d.2/30", n),
		A6: prefixOf("fd00:20:%d::1/64", n), B6: prefixOf("fd00:20:%d::2/64", n),
	}
}

// Netns returns the complete namespace name of a machine: "podnet-tor1".
func (p Plan) Netns(machine string) string { return p.Prefix + machine }

// Node returns the node of that name.
func (p Plan) Node(name string) (NodePlan, bool) {
	for _, n := range p.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return NodePlan{}, false
}

// Namespaces returns the name of every namespace of the lab.
func (p Plan) Namespaces() []string {
	var names []string
	for _, n := range p.Nodes {
		names = append(names, n.Netns)
		for _, pod := range n.Pods() {
			names = append(names, pod.Netns)
		}
	}
	for _, r := range p.Routers {
		names = append(names, r.Netns)
	}
	return append(names, p.Mon.Netns)
}

// Pods returns the node's pods, its endpoint first.
func (n NodePlan) Pods() []PodPlan {
	pods := []PodPlan{
		{"podnet", "endpoint-" + n.Name, n.EndpointNetns, n.EndpointVeth, n.Endpoint4, n.Endpoint6},
		{"default", "app-" + n.Name, n.AppNetns, n.AppVeth, n.App4, n.App6},
	}
	if n.DNSNetns != "" {
		pods = append(pods, PodPlan{"kube-system", "coredns-" + n.Name, n.DNSNetns, n.DNSVeth, n.DNS4, n.DNS6})
	}
	return pods
}

// addr returns an address that is written in this file; a wrong one is a
// mistake of the program.
func addr(format string, args ...any) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf(format, args...))
}

func prefixOf(format string, args ...any) netip.Prefix {
	return netip.MustParsePrefix(fmt.Sprintf(format, args...))
}
