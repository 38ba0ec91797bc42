package main

import (
	"context"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
)

// smallPortMTU is the largest IP packet that a switch port with the fault
// carries, in bytes: less than the underlay's MTU, as in a switch where jumbo
// frames or room for the tunnel's header were forgotten.
const smallPortMTU = 1400

// smallPort drops larger packets from and to the node on the port of its
// rack's switch. A switch sends no ICMP, so nobody hears of it.
func smallPort(l *Lab, n NodePlan) (string, []ruleset) {
	large := append([]expr.Any{&expr.Meta{Key: expr.MetaKeyLEN, Register: 1}}, number(expr.CmpOpGt, smallPortMTU)...)
	on := func(key expr.MetaKey) [][]expr.Any { return [][]expr.Any{append(byDevice(key, n.Name), large...)} }
	return onSwitch(l, n), []ruleset{
		{nftables.TableFamilyBridge, "PREROUTING", nftables.ChainHookPrerouting, on(expr.MetaKeyIIFNAME)},
		{nftables.TableFamilyBridge, "POSTROUTING", nftables.ChainHookPostrouting, on(expr.MetaKeyOIFNAME)},
	}
}

// mtuDifference is by how many bytes an interface differs from its peers.
const mtuDifference = 100

// setMTU returns the step that gives the node's tunnels another MTU than they
// should have, or with a difference of 0 the one they should. Without tunnels
// it is both ends of the endpoint's veth.
func setMTU(difference int) func(context.Context, *Lab, NodePlan) error {
	return func(_ context.Context, l *Lab, n NodePlan) error {
		type device struct {
			netns, name string
			mtu         int
		}
		devices := []device{{n.Netns, "flannel.1", tunnelMTU4}, {n.Netns, "flannel-v6.1", tunnelMTU6}}
		if l.Plan.CNI == cniRouted {
			devices = []device{{n.Netns, n.EndpointVeth, l.Plan.podMTU()}, {n.EndpointNetns, "eth0", l.Plan.podMTU()}}
		}
		for _, d := range devices {
			set := func(h *netlink.Handle, link netlink.Link) error { return h.LinkSetMTU(link, d.mtu+difference) }
			if err := setLinks(d.netns, set, d.name); err != nil {
				return err
			}
		}
		return nil
	}
}

// setAppMTU returns the step that gives the node's ordinary pod another MTU than
// its endpoint has, or with a difference of 0 the same. The node's end of its
// veth keeps its own.
func setAppMTU(difference int) func(context.Context, *Lab, NodePlan) error {
	return func(_ context.Context, l *Lab, n NodePlan) error {
		set := func(h *netlink.Handle, link netlink.Link) error {
			return h.LinkSetMTU(link, l.Plan.podMTU()+difference)
		}
		return setLinks(n.AppNetns, set, "eth0")
	}
}
