package drops

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/collectors"
)

// devices names the interfaces of namespaces, which are read once per update.
type devices struct {
	list   func(in collectors.Namespace) map[uint32]string
	listed map[uint64]map[uint32]string // by inode of the namespace
}

func newDevices() *devices { return &devices{list: linkNames} }

// forget has the names read anew.
func (d *devices) forget() { d.listed = make(map[uint64]map[uint32]string) }

// name returns the name that an interface has now in a namespace: "" for
// index 0, which is no interface, and "unknown" for one that is gone.
func (d *devices) name(in collectors.Namespace, index uint32) string {
	if index == 0 {
		return ""
	}
	names, ok := d.listed[in.Inode]
	if !ok {
		names = d.list(in)
		d.listed[in.Inode] = names
	}
	if name, ok := names[index]; ok {
		return name
	}
	return unknown
}

// linkNames returns the names of the interfaces of a namespace, none if it is
// gone.
//
// Source: RTM_GETLINK over rtnetlink, in the namespace itself.
func linkNames(in collectors.Namespace) map[uint32]string {
	names := make(map[uint32]string)
	_ = in.Do(func() error {
		rtnetlink, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer rtnetlink.Close()
		links, err := rtnetlink.LinkList()
		for _, l := range links {
			names[uint32(l.Attrs().Index)] = l.Attrs().Name
		}
		return err
	})
	return names
}

// ownAddresses returns the addresses that the node has besides those that the
// mesh knows it by, for example on its bridge and its tunnel. Those of dummy
// interfaces are not its own: kube-proxy puts every service's on one.
//
// Source: RTM_GETLINK and RTM_GETADDR over rtnetlink, in the namespace itself.
func ownAddresses(in collectors.Namespace) ([]netip.Addr, error) {
	var own []netip.Addr
	err := in.Do(func() error {
		rtnetlink, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer rtnetlink.Close()
		links, err := rtnetlink.LinkList()
		if err != nil {
			return err
		}
		dummies := make(map[int]bool)
		for _, l := range links {
			dummies[l.Attrs().Index] = l.Type() == "dummy"
		}
		list, err := rtnetlink.AddrList(nil, netlink.FAMILY_ALL)
		if err != nil {
			return err
		}
		for _, a := range list {
			address, ok := netip.AddrFromSlice(a.IP)
			if address = address.Unmap(); ok && address.IsGlobalUnicast() && !dummies[a.LinkIndex] {
				own = append(own, address)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("own addresses: %w", err)
	}
	return own, nil
}
