package main

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routingTable is the routing table of a network namespace.
//
// Source: rtnetlink, RTM_GETROUTE with RTM_F_FIB_MATCH (since Linux 4.13) and
// RTM_GETLINK. Needs no capability.
type routingTable struct{ handle *netlink.Handle }

// openRoutingTable returns the routing table of the network namespace of the
// calling thread.
func openRoutingTable() (routingTable, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return routingTable{}, fmt.Errorf("routing table: %w", err)
	}
	return routingTable{h}, nil
}

// Close closes its socket.
func (t routingTable) Close() { t.handle.Close() }

// Way implements [nodeNetwork].
func (t routingTable) Way(addr netip.Addr) (way, bool) {
	routes, err := t.handle.RouteGetWithOptions(addr.WithZone("").AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	if err != nil || len(routes) == 0 || routes[0].Type != unix.RTN_UNICAST && routes[0].Type != unix.RTN_LOCAL {
		return way{}, false
	}
	r := routes[0]
	if len(r.MultiPath) > 0 {
		r.LinkIndex, r.Gw = r.MultiPath[0].LinkIndex, r.MultiPath[0].Gw
	}
	w := way{prefix: netip.PrefixFrom(addr, 0), local: r.Type == unix.RTN_LOCAL}
	if r.Dst != nil {
		bits, _ := r.Dst.Mask.Size()
		w.prefix, _ = addr.WithZone("").Prefix(bits)
	}
	if gateway, ok := netip.AddrFromSlice(r.Gw); ok {
		w.gateway = gateway.Unmap()
	}
	if link, err := t.handle.LinkByIndex(r.LinkIndex); err == nil {
		w.kind = link.Type()
	}
	return w, true
}
