package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// removeRoutes takes the routes to the next node's pods from the node.
func removeRoutes(_ context.Context, l *Lab, n NodePlan) error {
	h, err := netspace.Netlink(n.Netns)
	if err != nil {
		return err
	}
	defer h.Close()
	peer := l.Plan.next(n)
	for family, pods := range map[int]*netlink.Route{
		unix.AF_INET:  {Dst: ipNet(peer.PodCIDR4)},
		unix.AF_INET6: {Dst: ipNet(peer.PodCIDR6)},
	} {
		routes, err := h.RouteListFiltered(family, pods, netlink.RT_FILTER_DST)
		if err != nil {
			return fmt.Errorf("routes of %s: %w", n.Netns, err)
		}
		for _, r := range routes {
			if err := h.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("remove route %s of %s: %w", r.Dst, n.Netns, err)
			}
		}
	}
	return nil
}

// podLinkDown sets the host end of the endpoint's veth down.
func podLinkDown(_ context.Context, _ *Lab, n NodePlan) error {
	return setLinks(n.Netns, (*netlink.Handle).LinkSetDown, n.EndpointVeth)
}

// setLinks does the same to devices of a namespace, to all but the loopback
// when none is named.
func setLinks(netnsName string, set func(*netlink.Handle, netlink.Link) error, names ...string) error {
	h, err := netspace.Netlink(netnsName)
	if err != nil {
		return err
	}
	defer h.Close()
	links, err := h.LinkList()
	if err != nil {
		return fmt.Errorf("devices of %s: %w", netnsName, err)
	}
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	for _, link := range links {
		name := link.Attrs().Name
		if name == "lo" || len(names) > 0 && !wanted[name] {
			continue
		}
		delete(wanted, name)
		if err := set(h, link); err != nil {
			return fmt.Errorf("device %s of %s: %w", name, netnsName, err)
		}
	}
	for name := range wanted {
		return fmt.Errorf("device %s of %s: not found", name, netnsName)
	}
	return nil
}

// reprogram sets the links of the node up, and puts back the addresses, routes and
// forwarding entries that it should have and has not.
func reprogram(_ context.Context, l *Lab, n NodePlan) error {
	if err := setLinks(n.Netns, (*netlink.Handle).LinkSetUp, "eth0"); err != nil {
		return err
	}
	t := &topology{plan: l.Plan, machines: map[string]*machine{}}
	defer t.close()
	names := []string{n.Netns}
	for _, pod := range n.Pods() {
		names = append(names, pod.Netns)
	}
	for _, name := range names {
		m, err := reopenMachine(name)
		if err != nil {
			return err
		}
		t.machines[name] = m
	}
	return t.programNode(n)
}

// powerOff ends what runs on the node at once, and takes all its links down.
func powerOff(ctx context.Context, l *Lab, n NodePlan) error {
	if err := errors.Join(l.signalAndWait(ctx, agentOf(n), unix.SIGKILL), l.signalAndWait(ctx, endpointOf(n), unix.SIGKILL)); err != nil {
		return err
	}
	return setLinks(n.Netns, (*netlink.Handle).LinkSetDown)
}

// powerOn makes the node what it was before powerOff.
func powerOn(ctx context.Context, l *Lab, n NodePlan) error {
	if err := reprogram(ctx, l, n); err != nil {
		return err
	}
	return errors.Join(startEndpoint(ctx, l, n), startAgent(ctx, l, n))
}
