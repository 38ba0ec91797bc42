package main

import (
	"errors"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// What calico gives to pods: a gateway that exists nowhere and that the host
// end of the veth answers for, by the one hardware address all host ends have.
const (
	caliMAC      = "ee:ee:ee:ee:ee:ee"
	caliGateway4 = "169.254.1.1"
	caliGateway6 = "fe80::ecee:eeff:feee:eeee" // the link-local address that caliMAC makes
)

// routePods connects the node's pods without a bridge, as calico does.
func (t *topology) routePods(n NodePlan) error {
	m := t.machines[n.Netns]
	for _, pod := range n.Pods() {
		p := t.machines[pod.Netns]
		if err := connectRouted(m, p, pod); err != nil {
			return err
		}
		// Without proxy_delay=0 the answer waits up to 0.8 s, by chance.
		for path, value := range map[string]string{
			"net/ipv4/conf/" + pod.Veth + "/proxy_arp":    "1",
			"net/ipv4/neigh/" + pod.Veth + "/proxy_delay": "0",
		} {
			if err := netspace.WriteSysctl(n.Netns, path, value); err != nil {
				return err
			}
		}
		m.route(single(pod.Addr4), netip.Addr{}, via{device: pod.Veth})
		m.route(single(pod.Addr6), netip.Addr{}, via{device: pod.Veth})
		p.addr("eth0", single(pod.Addr4))
		p.addr("eth0", single(pod.Addr6))
		gw4, gw6 := netip.MustParseAddr(caliGateway4), netip.MustParseAddr(caliGateway6)
		p.route(single(gw4), netip.Addr{}, via{device: "eth0"})
		p.route(defaultRoute(gw4), netip.Addr{}, via{device: "eth0", gw: gw4})
		p.route(defaultRoute(gw6), netip.Addr{}, via{device: "eth0", gw: gw6})
		if err := errors.Join(m.err, p.err); err != nil {
			return err
		}
	}
	return m.err
}

// connectRouted makes a pod's veth whose host end has calico's hardware
// address before it comes up, so that its link-local address follows from it.
func connectRouted(m, p *machine, pod PodPlan) error {
	hw, err := net.ParseMAC(caliMAC)
	if err != nil {
		return err
	}
	m.add(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: pod.Veth, MTU: underlayMTU, HardwareAddr: hw},
		PeerName:  "eth0", PeerMTU: underlayMTU, PeerNamespace: netlink.NsFd(p.fd),
	})
	m.up(pod.Veth)
	p.up("eth0")
	return errors.Join(m.err, p.err)
}

// routeToNodes gives the node a route to every other node's pods: to the node
// itself in its own rack, to the rack's router for others, as BGP would.
func (t *topology) routeToNodes(n NodePlan) error {
	m := t.machines[n.Netns]
	for _, peer := range t.plan.Nodes {
		gw4, gw6 := n.Gateway4, n.Gateway6
		if peer.Rack == n.Rack {
			gw4, gw6 = peer.Addr4, peer.Addr6
		}
		if peer.Name != n.Name {
			m.route(peer.PodCIDR4, netip.Addr{}, via{device: "eth0", gw: gw4})
			m.route(peer.PodCIDR6, netip.Addr{}, via{device: "eth0", gw: gw6})
		}
	}
	return m.err
}
