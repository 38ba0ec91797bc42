package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// lanBridge joins the nodes, in the namespace of the control plane.
const lanBridge = "lan0"

// makeLAN makes the namespace of the control plane, with the bridge that the
// nodes are ports of. The machine itself gets no device and no route.
func (c *Cluster) makeLAN() error {
	p := c.Plan.Control
	return furnish(p.Netns, false, func(h *netlink.Handle) error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: lanBridge}}
		if err := h.LinkAdd(bridge); err != nil {
			return fmt.Errorf("add %s: %w", lanBridge, err)
		}
		return address(h, lanBridge, p)
	})
}

// makeNodeNetwork makes the namespace of a node, and its cable to the LAN.
func (c *Cluster) makeNodeNetwork(n NodePlan) error {
	return furnish(n.Netns, true, func(h *netlink.Handle) error {
		if err := c.plug(h, n); err != nil {
			return err
		}
		if err := address(h, "eth0", n); err != nil {
			return err
		}
		for _, gw := range c.Plan.Control.Addrs() {
			route := &netlink.Route{Dst: ipNet(netip.PrefixFrom(unspecified(gw), 0)), Gw: gw.AsSlice()}
			if err := h.RouteAdd(route); err != nil {
				return fmt.Errorf("default route: %w", err)
			}
		}
		return nil
	})
}

// plug makes the pair of devices between a node and the LAN.
func (c *Cluster) plug(node *netlink.Handle, n NodePlan) error {
	lan, err := netspace.Netlink(c.Plan.Control.Netns)
	if err != nil {
		return err
	}
	defer lan.Close()
	bridge, err := lan.LinkByName(lanBridge)
	if err != nil {
		return fmt.Errorf("%s: %w", lanBridge, err)
	}
	ns, err := netspace.Open(c.Plan.Control.Netns)
	if err != nil {
		return err
	}
	defer netspace.Close(ns)
	// A machine that is started again has its card as before: the others'
	// neighbour entries hold.
	card := net.HardwareAddr{0x02, 0xe2, 0xe0, 0, 0, byte(n.Index)}
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0", HardwareAddr: card}, PeerName: n.Name, PeerNamespace: netlink.NsFd(ns)}
	if err := node.LinkAdd(veth); err != nil {
		return fmt.Errorf("add eth0: %w", err)
	}
	port, err := lan.LinkByName(n.Name)
	if err != nil {
		return fmt.Errorf("port %s of the LAN: %w", n.Name, err)
	}
	return errors.Join(lan.LinkSetMaster(port, bridge), lan.LinkSetUp(port))
}

// furnish makes a namespace that forwards or not, with its loopback up.
//
// The control plane does not: it has routes to all pods, and would be the way
// around for a node that has lost its own, whose default route leads there.
func furnish(name string, forwards bool, with func(*netlink.Handle) error) error {
	forwarding := "0"
	if forwards {
		forwarding = "1"
	}
	settings := [][2]string{
		{"net/ipv4/conf/all/rp_filter", "0"}, {"net/ipv4/conf/default/rp_filter", "0"},
		{"net/ipv6/conf/all/accept_dad", "0"}, {"net/ipv6/conf/default/accept_dad", "0"},
		{"net/ipv4/ip_forward", forwarding}, {"net/ipv6/conf/all/forwarding", forwarding},
	}
	for _, hook := range []string{"iptables", "ip6tables"} {
		// Only where the kernel has br_netfilter, which kubeadm asks nodes for.
		path := "net/bridge/bridge-nf-call-" + hook
		if _, err := os.Stat("/proc/sys/" + path); err == nil {
			settings = append(settings, [2]string{path, "1"})
		}
	}
	ns, err := netspace.Create(name, settings)
	if err != nil {
		return fmt.Errorf("make network namespace %s: %w", name, err)
	}
	netspace.Close(ns)
	h, err := netspace.Netlink(name)
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("%s: lo: %w", name, err)
	}
	if err := errors.Join(h.LinkSetUp(lo), with(h)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// address sets a device up and gives it a place's addresses.
func address(h *netlink.Handle, device string, n NodePlan) error {
	link, err := h.LinkByName(device)
	if err != nil {
		return fmt.Errorf("%s: %w", device, err)
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", device, err)
	}
	for _, a := range n.Addrs() {
		addr := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a, lanBits(a)))}
		if a.Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := h.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("address %s on %s: %w", a, device, err)
		}
	}
	return nil
}

// routePods gives every node, and the control plane, routes to the pods of all
// other nodes: each node is the gateway of its own pods, which is what flannel
// calls host-gw. Pods come to the apiserver with their own addresses, for
// nothing masquerades them. podCIDRs are those of the nodes that there are, by
// name.
func (c *Cluster) routePods(podCIDRs map[string][]netip.Prefix) error {
	var errs []error
	for _, at := range append([]NodePlan{c.Plan.Control}, c.Plan.Nodes...) {
		errs = append(errs, c.routePodsAt(at, podCIDRs))
	}
	return errors.Join(errs...)
}

func (c *Cluster) routePodsAt(at NodePlan, podCIDRs map[string][]netip.Prefix) error {
	h, err := netspace.Netlink(at.Netns)
	if err != nil {
		return err
	}
	defer h.Close()
	for _, to := range c.Plan.Nodes {
		for _, dst := range podCIDRs[to.Name] {
			gw := to.Addr4
			if dst.Addr().Is6() {
				gw = to.Addr6
			}
			if to.Name == at.Name {
				continue
			}
			if err := h.RouteReplace(&netlink.Route{Dst: ipNet(dst), Gw: gw.AsSlice()}); err != nil {
				return fmt.Errorf("%s: route to %s: %w", at.Name, dst, err)
			}
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// unplug removes the pair of devices between a node and the LAN, if it is there.
func (c *Cluster) unplug(n NodePlan) error {
	lan, err := netspace.Netlink(c.Plan.Control.Netns)
	if err != nil {
		return err
	}
	defer lan.Close()
	port, err := lan.LinkByName(n.Name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("port %s of the LAN: %w", n.Name, err)
	}
	return lan.LinkDel(port)
}
