package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// machine is a namespace that is being furnished. The first error stays in err
// and makes every later call do nothing, so that a list of calls reads like
// the list of what is there.
type machine struct {
	name  string // complete name of the namespace
	fd    netns.NsHandle
	h     *netlink.Handle
	again bool         // furnished before: what is there already is no error
	own6  []netip.Addr // IPv6 addresses that it was given
	err   error
}

// role says which settings a namespace gets.
type role int

const (
	host   role = iota // forwards nothing: a pod, the monitoring host
	router             // forwards: a node
	fabric             // forwards, and answers every packet whose time is exceeded
)

// newMachine makes a namespace, bound under its name, with its settings made
// and its loopback up.
func newMachine(name string, r role) (*machine, error) {
	fd, err := netspace.Create(name, sysctls(r))
	if err != nil {
		return nil, fmt.Errorf("make network namespace %s: %w", name, err)
	}
	h, err := netlink.NewHandleAt(fd, unix.NETLINK_ROUTE)
	if err != nil {
		netspace.Close(fd)
		return nil, fmt.Errorf("netlink in %s: %w", name, err)
	}
	m := &machine{name: name, fd: fd, h: h}
	m.up("lo")
	return m, m.err
}

// reopenMachine returns the machine of a namespace that is there, to be
// furnished again.
func reopenMachine(name string) (*machine, error) {
	fd, err := netns.GetFromName(name)
	if err != nil {
		return nil, fmt.Errorf("network namespace %s: %w", name, err)
	}
	h, err := netlink.NewHandleAt(fd, unix.NETLINK_ROUTE)
	if err != nil {
		netspace.Close(fd)
		return nil, fmt.Errorf("netlink in %s: %w", name, err)
	}
	return &machine{name: name, fd: fd, h: h, again: true}, nil
}

// close lets go of the namespace, which stays bound.
func (m *machine) close() {
	m.h.Close()
	netspace.Close(m.fd)
}

// sysctls returns the settings of a new namespace, before it has any device.
func sysctls(r role) [][2]string {
	settings := [][2]string{
		{"net/ipv4/conf/all/rp_filter", "0"},
		{"net/ipv4/conf/default/rp_filter", "0"},
		{"net/ipv6/conf/all/accept_dad", "0"},
		{"net/ipv6/conf/default/accept_dad", "0"},
		{"net/ipv4/fib_multipath_hash_policy", "1"},
		{"net/ipv6/fib_multipath_hash_policy", "1"},
	}
	if r == host {
		return settings
	}
	settings = append(settings, [][2]string{
		{"net/ipv4/ip_forward", "1"},
		{"net/ipv6/conf/all/forwarding", "1"},
		{"net/ipv6/conf/default/forwarding", "1"},
	}...)
	if r == fabric {
		// Linux answers once a second and destination, and 1,000 times a
		// second in all. Routers that answer less are a fault of the lab.
		settings = append(settings, [][2]string{
			{"net/ipv4/icmp_ratelimit", "0"},
			{"net/ipv4/icmp_msgs_per_sec", "100000"},
			{"net/ipv4/icmp_msgs_burst", "10000"},
			{"net/ipv6/icmp/ratelimit", "0"},
		}...)
	}
	for _, hook := range []string{"iptables", "ip6tables"} {
		// Only where the kernel has br_netfilter; kubeadm asks nodes for
		// it, and on a ToR it makes access lists cover switched packets.
		path := "net/bridge/bridge-nf-call-" + hook
		if _, err := os.Stat("/proc/sys/" + path); err == nil {
			settings = append(settings, [2]string{path, "1"})
		}
	}
	return settings
}

// fail keeps the first error, with the machine and what was being done.
func (m *machine) fail(err error, format string, args ...any) {
	if m.again && errors.Is(err, unix.EEXIST) {
		return
	}
	if m.err == nil && err != nil {
		m.err = fmt.Errorf("%s: %s: %w", m.name, fmt.Sprintf(format, args...), err)
	}
}

// link returns a device by its name.
func (m *machine) link(name string) netlink.Link {
	if m.err != nil {
		return nil
	}
	l, err := m.h.LinkByName(name)
	m.fail(err, "device %s", name)
	return l
}

// add makes a device.
func (m *machine) add(l netlink.Link) {
	if m.err == nil {
		m.fail(m.h.LinkAdd(l), "add %s %s", l.Type(), l.Attrs().Name)
	}
}

func (m *machine) up(name string) {
	if l := m.link(name); m.err == nil {
		m.fail(m.h.LinkSetUp(l), "set %s up", name)
	}
}

// enslave makes a device a port of a bridge. Hairpin lets a pod reach itself
// through a Service, as CNI plugins set it.
func (m *machine) enslave(port, bridge string, hairpin bool) {
	l, b := m.link(port), m.link(bridge)
	if m.err == nil {
		m.fail(m.h.LinkSetMaster(l, b), "make %s a port of %s", port, bridge)
	}
	if m.err == nil && hairpin {
		m.fail(m.h.LinkSetHairpin(l, true), "set hairpin on %s", port)
	}
}

// addr gives a device an address, without duplicate address detection.
func (m *machine) addr(device string, p netip.Prefix) {
	l := m.link(device)
	if m.err != nil {
		return
	}
	a := &netlink.Addr{IPNet: ipNet(p)}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
		m.own6 = append(m.own6, p.Addr())
	}
	m.fail(m.h.AddrAdd(l, a), "address %s on %s", p, device)
}

// settleTime is how long a kernel with much to do may take to settle.
const settleTime = 20 * time.Second

// settle waits until the machine takes packets for all its addresses, for so
// long at most. The kernel makes an IPv6 address's local route on a work queue
// after it has said that the address is there; until then the machine itself
// sends packets for it to its gateway, where they are lost.
//
// Source: kernel, net/ipv6/addrconf.c, addrconf_dad_work, __ipv6_ifa_notify.
func (m *machine) settle(limit time.Duration) {
	if m.err != nil {
		return
	}
	updates, done := make(chan netlink.RouteUpdate), make(chan struct{})
	err := netlink.RouteSubscribeWithOptions(updates, done, netlink.RouteSubscribeOptions{Namespace: &m.fd, ListExisting: true})
	if err != nil {
		m.fail(err, "watch routes")
		return
	}
	defer func() {
		close(done)
		for range updates { // lets the subscription end
		}
	}()
	missing := map[netip.Addr]bool{}
	for _, a := range m.own6 {
		missing[a] = true
	}
	for tooLate := time.After(limit); len(missing) > 0; {
		select {
		case u, open := <-updates:
			if !open {
				m.fail(errors.New("the kernel ended the subscription"), "watch routes")
				return
			}
			if u.Type == unix.RTM_NEWROUTE && u.Table == unix.RT_TABLE_LOCAL && u.Dst != nil {
				to, _ := netip.AddrFromSlice(u.Dst.IP)
				delete(missing, to)
			}
		case <-tooLate:
			m.fail(fmt.Errorf("not there after %s", limit), "local routes for %v", slices.Collect(maps.Keys(missing)))
			return
		}
	}
}

// via is a next hop: through a device, to a gateway if it has one.
type via struct {
	device string
	gw     netip.Addr
	onlink bool // the gateway counts as a neighbour whatever the addresses say
}

// route adds a route; with several next hops it is an equal-cost one. The
// source is the address that this machine's own packets get, or invalid.
func (m *machine) route(dst netip.Prefix, src netip.Addr, hops ...via) {
	r := &netlink.Route{Dst: ipNet(dst), Src: ip(src)}
	var next []*netlink.NexthopInfo
	for _, hop := range hops {
		l := m.link(hop.device)
		if m.err != nil {
			return
		}
		n := &netlink.NexthopInfo{LinkIndex: l.Attrs().Index, Gw: ip(hop.gw)}
		if hop.onlink {
			n.Flags = int(netlink.FLAG_ONLINK)
		}
		next = append(next, n)
	}
	if len(next) == 1 {
		r.LinkIndex, r.Gw, r.Flags = next[0].LinkIndex, next[0].Gw, next[0].Flags
		if r.Gw == nil && dst.Addr().Is4() {
			r.Scope = netlink.SCOPE_LINK
		}
	} else {
		r.MultiPath = next
	}
	m.fail(m.h.RouteAdd(r), "route %s", dst)
}

// neighbour adds a permanent neighbour, or with family AF_BRIDGE a forwarding
// entry of a tunnel device.
func (m *machine) neighbour(n netlink.Neigh, device string) {
	l := m.link(device)
	if m.err != nil {
		return
	}
	n.LinkIndex, n.State = l.Attrs().Index, netlink.NUD_PERMANENT
	if n.Family == unix.AF_BRIDGE {
		m.fail(m.h.NeighAppend(&n), "fdb entry %s of %s", n.HardwareAddr, device)
		return
	}
	m.fail(m.h.NeighSet(&n), "neighbour %s of %s", n.IP, device)
}

// wire lets a device send no packet that is larger than its MTU, as a wire
// does. Without it the kernel hands on what TCP sends in pieces of up to 64 KiB.
func (m *machine) wire(device string) {
	if l := m.link(device); m.err == nil {
		m.fail(m.h.LinkSetGSOMaxSegs(l, 1), "segmentation on %s", device)
	}
}

// end is one end of a cable.
type end struct {
	m      *machine
	device string
	mtu    int
}

// connect makes a veth pair with its ends in two machines, both up. It is made
// there at once, never in the caller's namespace.
func connect(a, b end) error {
	if err := errors.Join(a.m.err, b.m.err); err != nil {
		return err
	}
	a.m.add(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: a.device, MTU: a.mtu},
		PeerName:  b.device, PeerMTU: uint32(b.mtu), PeerNamespace: netlink.NsFd(b.m.fd),
	})
	if a.m.err != nil {
		return a.m.err
	}
	a.m.up(a.device)
	b.m.up(b.device)
	return errors.Join(a.m.err, b.m.err)
}

func ip(a netip.Addr) net.IP {
	if !a.IsValid() {
		return nil
	}
	return a.AsSlice()
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// single returns the prefix that holds one address only.
func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
