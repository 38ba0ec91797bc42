package probers

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// RouteMTU returns the largest packet in bytes that this node sends to an
// address from the engine's namespace without being told of a smaller path
// MTU: the MTU of the route if it has one, and else that of its interface.
//
// Source: rtnetlink, RTM_GETROUTE and RTM_GETLINK. What the kernel has learnt
// about the path, which it answers as well, is left out.
func (e *Engine) RouteMTU(to netip.Addr) (mtu int, err error) {
	err = e.home.inside(func() error {
		h, err := netlink.NewHandle()
		if err != nil {
			return err
		}
		defer h.Close()
		mtu, err = routeMTU(h, to.Unmap())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("mtu of the route to %s: %w", to, err)
	}
	return mtu, nil
}

func routeMTU(h *netlink.Handle, to netip.Addr) (int, error) {
	routes, err := h.RouteGetWithOptions(to.WithZone("").AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	if err != nil {
		return 0, err
	}
	if len(routes) == 0 {
		return 0, errors.New("no route")
	}
	index := routes[0].LinkIndex
	if len(routes[0].MultiPath) > 0 {
		index = routes[0].MultiPath[0].LinkIndex
	}
	link, err := h.LinkByIndex(index)
	if err != nil {
		return 0, err
	}
	if mtu := routes[0].MTU; mtu > 0 && mtu < link.Attrs().MTU {
		return mtu, nil
	}
	return link.Attrs().MTU, nil
}
