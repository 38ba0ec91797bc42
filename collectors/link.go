package collectors

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// link is an interface as RTM_NEWLINK describes it.
type link struct {
	index          int32
	name           string
	kind           string // IFLA_INFO_KIND: veth, bridge, vxlan…; "" for hardware
	loopback       bool
	adminUp        bool   // IFF_UP
	carrier        bool   // IFF_LOWER_UP
	mtu            uint32 // bytes
	carrierChanges uint32
	master         int32 // index of the bridge, bond or VRF; 0: none
	peer           int32 // IFLA_LINK: of a veth the index of its other end; 0: none
	peerNetns      int32 // IFLA_LINK_NETNSID, as this namespace numbers others; -1: peer is in this namespace
	receive        traffic
	transmit       traffic
}

// traffic counts one direction of an interface since it was made.
type traffic struct {
	bytes, packets, errors, drops uint64
}

var errShort = errors.New("message is too short")

const ifInfoLen = 16 // struct ifinfomsg

// parseLink reads the payload of an RTM_NEWLINK message.
//
// Source: rtnetlink(7), kernel: include/uapi/linux/if_link.h.
func parseLink(b []byte) (link, error) {
	l := link{peerNetns: -1}
	if len(b) < ifInfoLen {
		return l, fmt.Errorf("link: %w", errShort)
	}
	l.index = int32(binary.NativeEndian.Uint32(b[4:]))
	flags := binary.NativeEndian.Uint32(b[8:])
	l.loopback = flags&unix.IFF_LOOPBACK != 0
	l.adminUp = flags&unix.IFF_UP != 0
	l.carrier = flags&unix.IFF_LOWER_UP != 0

	attrs, err := netlink.NewAttributeDecoder(b[ifInfoLen:])
	if err != nil {
		return l, fmt.Errorf("link: %w", err)
	}
	for attrs.Next() {
		l.set(attrs)
	}
	if err := attrs.Err(); err != nil {
		return l, fmt.Errorf("link: %w", err)
	}
	return l, nil
}

// set takes over the attribute that the decoder stands at.
func (l *link) set(attr *netlink.AttributeDecoder) {
	switch attr.Type() {
	case unix.IFLA_IFNAME:
		l.name = attr.String()
	case unix.IFLA_MTU:
		l.mtu = attr.Uint32()
	case unix.IFLA_LINK:
		l.peer = attr.Int32()
	case unix.IFLA_MASTER:
		l.master = attr.Int32()
	case unix.IFLA_LINK_NETNSID:
		l.peerNetns = attr.Int32()
	case unix.IFLA_CARRIER_CHANGES:
		l.carrierChanges = attr.Uint32()
	case unix.IFLA_STATS64:
		attr.Do(l.parseStats)
	case unix.IFLA_LINKINFO:
		attr.Nested(func(info *netlink.AttributeDecoder) error {
			for info.Next() {
				if info.Type() == unix.IFLA_INFO_KIND {
					l.kind = info.String()
				}
			}
			return nil
		})
	}
}

// parseStats reads struct rtnl_link_stats64. Like /proc/net/dev it counts
// frames that the hardware had no room for as dropped.
func (l *link) parseStats(b []byte) error {
	if len(b) < 16*8 {
		return fmt.Errorf("statistics: %w", errShort)
	}
	word := func(i int) uint64 { return binary.NativeEndian.Uint64(b[i*8:]) }
	const missed = 15
	l.receive = traffic{packets: word(0), bytes: word(2), errors: word(4), drops: word(6) + word(missed)}
	l.transmit = traffic{packets: word(1), bytes: word(3), errors: word(5), drops: word(7)}
	return nil
}

// links lists the interfaces of a namespace. Needs no capability.
func (h *Handles) links(ns Namespace) ([]link, error) {
	answer, err := h.query(ns, rtnetlink, netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETLINK, Flags: netlink.Request | netlink.Dump},
		Data:   make([]byte, ifInfoLen),
	})
	if err != nil {
		return nil, err
	}
	links := make([]link, 0, len(answer))
	for _, m := range answer {
		l, err := parseLink(m.Data)
		if err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}

// linkName returns the name of the interface with that index.
func (h *Handles) linkName(ns Namespace, index int32) (string, error) {
	request := make([]byte, ifInfoLen)
	binary.NativeEndian.PutUint32(request[4:], uint32(index))
	answer, err := h.query(ns, rtnetlink, netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETLINK, Flags: netlink.Request},
		Data:   request,
	})
	if err != nil {
		return "", err
	}
	if len(answer) != 1 {
		return "", fmt.Errorf("link %d: %w", index, errShort)
	}
	l, err := parseLink(answer[0].Data)
	return l.name, err
}
