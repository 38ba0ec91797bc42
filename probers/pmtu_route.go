package probers

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// RouteMTU returns the largest packet in bytes that this node sends to an
// address from the engine's namespace without being told of a smaller path
// MTU: the MTU of the route if it has one, and else that of its interface.
//
// Source: rtnetlink, RTM_GETROUTE; netdevice(7), SIOCGIFMTU. What the kernel has
// learnt about the path, which the first answers as well, is left out.
func (e *Engine) RouteMTU(to netip.Addr) (mtu int, err error) {
	if e.routes.netlink == nil {
		err = e.home.inside(e.routes.open)
	}
	if err == nil {
		mtu, err = e.routes.mtu(to.Unmap())
	}
	if err != nil {
		return 0, fmt.Errorf("mtu of the route to %s: %w", to, err)
	}
	return mtu, nil
}

// routes asks about the routes and interfaces of the network namespace that it
// was opened in.
type routes struct {
	netlink *netlink.Handle // nil: not open
	fd      int             // a socket of any kind, for ioctl
}

// open opens the sockets in the network namespace of the calling thread.
func (r *routes) open() error {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	fd, errno := socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if errno != 0 {
		handle.Close()
		return errno
	}
	*r = routes{handle, fd}
	return nil
}

func (r *routes) close() {
	if r.netlink != nil {
		r.netlink.Close()
		closeFD(r.fd)
	}
}

// mtu returns the MTU of the route to an address.
func (r *routes) mtu(to netip.Addr) (int, error) {
	found, err := r.netlink.RouteGetWithOptions(to.WithZone("").AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		return 0, errors.New("no route")
	}
	route := found[0]
	index := route.LinkIndex
	if len(route.MultiPath) > 0 {
		index = route.MultiPath[0].LinkIndex
	}
	mtu, err := r.interfaceMTU(index)
	if err == nil && route.MTU > 0 {
		mtu = min(mtu, route.MTU)
	}
	return mtu, err
}

// interfaceMTU returns the MTU of the interface with an index. An ioctl takes a
// twentieth of the time of rtnetlink, which tells everything about it.
func (r *routes) interfaceMTU(index int) (int, error) {
	ifreq, err := unix.NewIfreq("")
	if err != nil {
		return 0, err
	}
	ifreq.SetUint32(uint32(index))
	if err := unix.IoctlIfreq(r.fd, unix.SIOCGIFNAME, ifreq); err != nil {
		return 0, fmt.Errorf("name of interface %d: %w", index, err)
	}
	if err := unix.IoctlIfreq(r.fd, unix.SIOCGIFMTU, ifreq); err != nil {
		return 0, fmt.Errorf("mtu of interface %s: %w", ifreq.Name(), err)
	}
	return int(ifreq.Uint32()), nil
}
