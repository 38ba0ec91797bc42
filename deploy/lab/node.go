package main

import (
	"errors"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// makeNode gives a node its addresses, its pods, its way to other nodes' pods,
// and its base rules.
func (t *topology) makeNode(n NodePlan) error {
	if err := t.programNode(n); err != nil {
		return err
	}
	if err := baseRules(n.Netns, t.plan); err != nil {
		return err
	}
	return serviceRules(n, services(t.plan))
}

// programNode gives a node its addresses, its pods, and its way to other
// nodes' pods. Done again, it puts back what is missing.
func (t *topology) programNode(n NodePlan) error {
	m := t.machines[n.Netns]
	m.addr("eth0", netip.PrefixFrom(n.Addr4, n.Net4.Bits()))
	m.addr("eth0", netip.PrefixFrom(n.Addr6, n.Net6.Bits()))
	m.route(defaultRoute(n.Gateway4), netip.Addr{}, via{device: "eth0", gw: n.Gateway4})
	m.route(defaultRoute(n.Gateway6), netip.Addr{}, via{device: "eth0", gw: n.Gateway6})
	if m.err != nil {
		return m.err
	}
	pods := t.bridgePods
	others := t.tunnelTo
	if t.plan.CNI == cniRouted {
		pods, others = t.routePods, t.routeToNodes
	}
	if err := pods(n); err != nil {
		return err
	}
	return others(n)
}

// defaultRoute returns the prefix of all addresses of a's family.
func defaultRoute(a netip.Addr) netip.Prefix {
	return netip.PrefixFrom(a, 0).Masked()
}

// bridgePods connects the node's pods to cni0, as the bridge CNI plugin does.
func (t *topology) bridgePods(n NodePlan) error {
	m, mtu := t.machines[n.Netns], t.plan.podMTU()
	m.add(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "cni0", MTU: mtu}})
	m.up("cni0")
	m.addr("cni0", netip.PrefixFrom(n.Bridge4, n.PodCIDR4.Bits()))
	m.addr("cni0", netip.PrefixFrom(n.Bridge6, n.PodCIDR6.Bits()))
	for _, pod := range n.Pods() {
		p := t.machines[pod.Netns]
		if err := connect(end{p, "eth0", mtu}, end{m, pod.Veth, mtu}); err != nil {
			return err
		}
		m.enslave(pod.Veth, "cni0", true)
		p.addr("eth0", netip.PrefixFrom(pod.Addr4, n.PodCIDR4.Bits()))
		p.addr("eth0", netip.PrefixFrom(pod.Addr6, n.PodCIDR6.Bits()))
		p.route(defaultRoute(n.Bridge4), netip.Addr{}, via{device: "eth0", gw: n.Bridge4})
		p.route(defaultRoute(n.Bridge6), netip.Addr{}, via{device: "eth0", gw: n.Bridge6})
		if err := errors.Join(m.err, p.err); err != nil {
			return err
		}
	}
	return m.err
}

// vni and vxlanPort are flannel's.
const (
	vni       = 1
	vxlanPort = 8472
)

// tunnelTo programs the node's tunnels as flannel's vxlan backend does: one
// device per family, and per other node a route, a permanent neighbour and a
// forwarding entry.
func (t *topology) tunnelTo(n NodePlan) error {
	m := t.machines[n.Netns]
	uplink := m.link("eth0")
	if m.err != nil {
		return m.err
	}
	tunnel := func(name, mac string, mtu int, from, own netip.Addr) {
		hw, err := net.ParseMAC(mac)
		m.fail(err, "tunnel %s", name)
		m.add(&netlink.Vxlan{
			LinkAttrs: netlink.LinkAttrs{Name: name, MTU: mtu, HardwareAddr: hw},
			VxlanId:   vni, VtepDevIndex: uplink.Attrs().Index, SrcAddr: ip(from), Port: vxlanPort, Learning: false,
		})
		m.addr(name, single(own))
		m.up(name)
	}
	tunnel("flannel.1", n.TunnelMAC4, tunnelMTU4, n.Addr4, n.Tunnel4)
	tunnel("flannel-v6.1", n.TunnelMAC6, tunnelMTU6, n.Addr6, n.Tunnel6)
	for _, peer := range t.plan.Nodes {
		if peer.Name != n.Name {
			t.tunnelPeer(m, "flannel.1", peer.TunnelMAC4, peer.PodCIDR4, peer.Tunnel4, peer.Addr4)
			t.tunnelPeer(m, "flannel-v6.1", peer.TunnelMAC6, peer.PodCIDR6, peer.Tunnel6, peer.Addr6)
		}
	}
	return m.err
}

func (t *topology) tunnelPeer(m *machine, device, mac string, pods netip.Prefix, tunnel, node netip.Addr) {
	hw, err := net.ParseMAC(mac)
	m.fail(err, "tunnel %s", device)
	m.neighbour(netlink.Neigh{IP: ip(tunnel), HardwareAddr: hw}, device)
	m.neighbour(netlink.Neigh{Family: unix.AF_BRIDGE, Flags: netlink.NTF_SELF, IP: ip(node), HardwareAddr: hw}, device)
	m.route(pods, netip.Addr{}, via{device: device, gw: tunnel, onlink: true})
}
