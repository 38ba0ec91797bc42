package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// As flannel makes it: a bridge, a VXLAN device, and a route to each other
// node's pods by way of an address that nobody answers ARP for.
func TestRoutingTable(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	var table routingTable
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		made <- func() (err error) {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			if table, err = openRoutingTable(); err != nil {
				return err
			}
			if err := likeFlannel(table.handle); err != nil {
				return err
			}
			return awaitLocal(netip.MustParseAddr("fd00:244:1::1"))
		}()
	}()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	defer table.Close()

	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	tests := []struct {
		name, addr string
		want       way
		found      bool
	}{
		{"the bridge's own address", "10.244.1.1", way{prefix: prefix("10.244.1.1/32"), local: true, kind: "bridge"}, true},
		{"the bridge's own IPv6 address", "fd00:244:1::1", way{prefix: prefix("fd00:244:1::1/128"), local: true, kind: "bridge"}, true},
		{"a pod of this node", "10.244.1.2", way{prefix: prefix("10.244.1.0/24"), kind: "bridge"}, true},
		{"a pod of another node", "10.244.3.2", way{prefix: prefix("10.244.3.0/24"), gateway: addr("10.244.3.0"), kind: "vxlan"}, true},
		{"the tunnel of another node", "10.244.3.0", way{prefix: prefix("10.244.3.0/24"), gateway: addr("10.244.3.0"), kind: "vxlan"}, true},
		{"IPv6 of another node", "fd00:244:3::2", way{prefix: prefix("fd00:244:3::/64"), gateway: addr("fd00:244:3::1"), kind: "vxlan"}, true},
		{"no route", "192.0.2.1", way{}, false},
		{"a route that refuses", "198.51.100.1", way{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, found := table.Way(addr(tt.addr))
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(way{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
				cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" || found != tt.found {
				t.Errorf("Way(%s), found %v (-want +got):\n%s", tt.addr, found, diff)
			}
		})
	}
}

// awaitLocal waits until the kernel has the local route of an address: that of
// an IPv6 address is made once the carrier of its link was noticed.
func awaitLocal(addr netip.Addr) error {
	updates, done := make(chan netlink.RouteUpdate), make(chan struct{})
	defer close(done)
	if err := netlink.RouteSubscribeWithOptions(updates, done, netlink.RouteSubscribeOptions{ListExisting: true}); err != nil {
		return err
	}
	tooLate := time.After(20 * time.Second)
	for {
		select {
		case u := <-updates:
			if u.Type != unix.RTM_NEWROUTE || u.Table != unix.RT_TABLE_LOCAL || u.Dst == nil {
				continue
			}
			if to, ok := netip.AddrFromSlice(u.Dst.IP); ok && to.Unmap() == addr {
				return nil
			}
		case <-tooLate:
			return fmt.Errorf("no local route for %s within 20 s", addr)
		}
	}
}

func likeFlannel(h *netlink.Handle) error {
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "cni0"}}
	tunnel := &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "flannel.1"}, VxlanId: 1, Port: 8472}
	for link, addrs := range map[netlink.Link][]string{
		bridge: {"10.244.1.1/24", "fd00:244:1::1/64"}, tunnel: {"10.244.1.0/32", "fd00:244:1::/128"},
	} {
		if err := h.LinkAdd(link); err != nil {
			return err
		}
		if err := h.LinkSetUp(link); err != nil {
			return err
		}
		for _, text := range addrs {
			addr, err := netlink.ParseAddr(text)
			if err != nil {
				return err
			}
			addr.Flags = unix.IFA_F_NODAD
			if err := h.AddrAdd(link, addr); err != nil {
				return err
			}
		}
	}
	// A bridge has a carrier as long as one of its ports has.
	port := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "veth0", MasterIndex: bridge.Index}, PeerName: "eth0"}
	if err := h.LinkAdd(port); err != nil {
		return err
	}
	for _, name := range []string{"veth0", "eth0"} {
		link, err := h.LinkByName(name)
		if err != nil {
			return err
		}
		if err := h.LinkSetUp(link); err != nil {
			return err
		}
	}
	for to, via := range map[string]string{"10.244.3.0/24": "10.244.3.0", "fd00:244:3::/64": "fd00:244:3::1", "198.51.100.0/24": ""} {
		_, dst, err := net.ParseCIDR(to)
		if err != nil {
			return err
		}
		r := &netlink.Route{Dst: dst, Type: unix.RTN_BLACKHOLE}
		if via != "" {
			r = &netlink.Route{Dst: dst, Gw: net.ParseIP(via), LinkIndex: tunnel.Index, Flags: int(netlink.FLAG_ONLINK)}
		}
		if err := h.RouteAdd(r); err != nil {
			return err
		}
	}
	return nil
}
