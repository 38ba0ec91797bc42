package collectors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// fibResult is what the routing table says about a destination.
type fibResult string

// The results of a lookup.
const (
	routeOK          fibResult = "ok"
	routeDefault     fibResult = "default" // ok, by a default route
	routeUnreachable fibResult = "unreachable"
	routeBlackhole   fibResult = "blackhole"
	routeProhibit    fibResult = "prohibit"
	routeNone        fibResult = "no_route"
)

// route is the entry of the routing table that a destination matches.
type route struct {
	result  fibResult
	devices []int32 // indices of the interfaces it goes out of, one per path
}

const rtMsgLen = 12 // struct rtmsg

// fib looks up which route a packet of the namespace itself takes to addr.
// Needs no capability; asks for the matched entry (RTM_F_FIB_MATCH), which
// exists since Linux 4.13.
//
// The kernel answers a route that forbids with its errno; some versions answer
// with the route, for IPv6.
func (h *Handles) fib(ns Namespace, addr netip.Addr) (route, error) {
	answer, err := h.query(ns, rtnetlink, fibRequest(addr))
	switch {
	case errors.Is(err, unix.EINVAL):
		return route{result: routeBlackhole}, nil
	case errors.Is(err, unix.EACCES):
		return route{result: routeProhibit}, nil
	case errors.Is(err, unix.EHOSTUNREACH):
		return route{result: routeUnreachable}, nil
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.ESRCH), errors.Is(err, unix.EOPNOTSUPP): // the last: no IPv6
		return route{result: routeNone}, nil
	case err != nil:
		return route{}, err
	case len(answer) != 1:
		return route{}, fmt.Errorf("route to %s: %d answers", addr, len(answer))
	}
	return parseRoute(answer[0].Data)
}

// fibRequest is an RTM_GETROUTE for one address.
func fibRequest(addr netip.Addr) netlink.Message {
	destination := addr.AsSlice()
	data := make([]byte, rtMsgLen, rtMsgLen+4+len(destination))
	data[0] = unix.AF_INET
	if addr.Is6() {
		data[0] = unix.AF_INET6
	}
	data[1] = uint8(addr.BitLen())
	const fibMatch = 0x2000 // RTM_F_FIB_MATCH
	binary.NativeEndian.PutUint32(data[8:], fibMatch)
	data = binary.NativeEndian.AppendUint16(data, uint16(4+len(destination)))
	data = binary.NativeEndian.AppendUint16(data, unix.RTA_DST)
	return netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETROUTE, Flags: netlink.Request},
		Data:   append(data, destination...),
	}
}

// parseRoute reads the payload of an RTM_NEWROUTE message.
//
// Source: rtnetlink(7), kernel: include/uapi/linux/rtnetlink.h.
func parseRoute(b []byte) (route, error) {
	if len(b) < rtMsgLen {
		return route{}, fmt.Errorf("route: %w", errShort)
	}
	r := route{result: routeOK}
	if b[1] == 0 { // length of the matched prefix
		r.result = routeDefault
	}
	switch b[7] {
	case unix.RTN_UNREACHABLE:
		r.result = routeUnreachable
	case unix.RTN_BLACKHOLE:
		r.result = routeBlackhole
	case unix.RTN_PROHIBIT:
		r.result = routeProhibit
	}
	attrs, err := netlink.NewAttributeDecoder(b[rtMsgLen:])
	if err != nil {
		return route{}, fmt.Errorf("route: %w", err)
	}
	for attrs.Next() {
		switch attrs.Type() {
		case unix.RTA_OIF:
			r.devices = append(r.devices, attrs.Int32())
		case unix.RTA_MULTIPATH:
			attrs.Do(r.parseNextHops)
		}
	}
	if err := attrs.Err(); err != nil {
		return route{}, fmt.Errorf("route: %w", err)
	}
	return r, nil
}

// parseNextHops reads an array of struct rtnexthop, each with its length first
// and its interface at byte 4.
func (r *route) parseNextHops(b []byte) error {
	const headerLen = 8
	for len(b) >= headerLen {
		length := int(binary.NativeEndian.Uint16(b))
		if length < headerLen || length > len(b) {
			return fmt.Errorf("next hop: %w", errShort)
		}
		r.devices = append(r.devices, int32(binary.NativeEndian.Uint32(b[4:])))
		b = b[min((length+3)&^3, len(b)):]
	}
	return nil
}

// deviceNames names interfaces of a namespace, and remembers them for as long
// as one look at the table takes: an index can be renamed.
type deviceNames struct {
	handles *Handles
	ns      Namespace
	names   map[int32]string
}

// join returns the names of the route's interfaces, sorted, with a comma
// between them. One that vanished meanwhile is left out.
func (d *deviceNames) join(r route) string {
	var names []string
	for _, index := range r.devices {
		name, ok := d.names[index]
		if !ok {
			name, _ = d.handles.linkName(d.ns, index)
			d.names[index] = name
		}
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}
