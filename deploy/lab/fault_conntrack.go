package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mdlayher/netlink"
	"github.com/ti-mo/conntrack"
	"github.com/ti-mo/netfilter"
	"golang.org/x/sys/unix"
)

const (
	fillMark    = 0x706f646e // connmark of the entries that fill a table: "podn"
	fillTimeout = 24 * 3600  // seconds that such an entry lives: longer than any fault is left in
	fillBatch   = 500        // entries sent to the kernel in one call
	fillRounds  = 10         // tries to take the places that other entries left
)

// fillConntrack fills the connection tracking table of the calling thread's
// namespace to its limit, so that no new flow finds a place: the kernel logs
// "nf_conntrack: table full, dropping packet". The limit is one number for the
// machine (net.netfilter.nf_conntrack_max), the entries are counted per
// namespace.
//
// The entries are assured, so that the kernel does not evict them for new
// flows (early drop), and belong to UDP flows between addresses of 198.18.0.0/15
// (RFC 2544), which nothing here uses. Entries of established TCP connections
// stay as they are; all others are removed, because the places that they leave
// when they expire would let a new flow through again and again.
func fillConntrack() error {
	c, err := conntrack.Dial(nil)
	if err != nil {
		return fmt.Errorf("fill conntrack table: %w", err)
	}
	defer c.Close() //nolint:errcheck // nothing is left to be sent
	if err := c.FlushFilter(conntrack.Filter{Mark: fillMark, Mask: ^uint32(0)}); err != nil {
		return fmt.Errorf("fill conntrack table: remove entries of an earlier fill: %w", err)
	}
	next := uint32(0)
	for round := range fillRounds {
		free, err := freeConntrack()
		if err != nil {
			return fmt.Errorf("fill conntrack table: %w", err)
		}
		if free == 0 && round > 1 {
			return nil
		}
		if err := createFlows(next, free); err != nil {
			return fmt.Errorf("fill conntrack table: %w", err)
		}
		next += free
		if err := expireShortLived(c); err != nil {
			return fmt.Errorf("fill conntrack table: %w", err)
		}
	}
	return nil
}

// freeConntrack returns how many entries the table still has room for.
func freeConntrack() (uint32, error) {
	entries, err := readNumber("net/netfilter/nf_conntrack_count")
	if err != nil {
		return 0, fmt.Errorf("entries of the table: %w", err)
	}
	limit, err := readNumber("net/netfilter/nf_conntrack_max")
	if err != nil {
		return 0, fmt.Errorf("limit of the table: %w", err)
	}
	if limit == 0 {
		return 0, errors.New("the table has no limit: set net.netfilter.nf_conntrack_max on the host")
	}
	return uint32(limit - min(entries, limit)), nil
}

// readNumber returns a setting of the calling thread's namespace.
func readNumber(path string) (uint64, error) {
	b, err := os.ReadFile(filepath.Join("/proc/sys", path))
	if err != nil {
		return 0, fmt.Errorf("sysctl: %w", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("sysctl %s: %w", path, err)
	}
	return n, nil
}

// expireShortLived removes the entries that would expire by themselves within
// seconds or minutes, and only leaves those of the fill and of established TCP
// connections.
func expireShortLived(c *conntrack.Conn) error {
	flows, err := c.DumpFilter(conntrack.Filter{Mark: 0, Mask: ^uint32(0)}, nil)
	if err != nil {
		return fmt.Errorf("list entries: %w", err)
	}
	for _, f := range flows {
		if tcp := f.ProtoInfo.TCP; tcp != nil && tcp.State == tcpEstablished {
			continue
		}
		if err := c.Delete(f); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove the entry of %v: %w", f.TupleOrig, err)
		}
	}
	return nil
}

// tcpEstablished is TCP_CONNTRACK_ESTABLISHED (kernel:
// include/uapi/linux/netfilter/nf_conntrack_tcp.h).
const tcpEstablished = 3

// emptyConntrack removes the entries that fillConntrack has made from the
// table of the calling thread's namespace, and no others.
func emptyConntrack() error {
	c, err := conntrack.Dial(nil)
	if err != nil {
		return fmt.Errorf("empty conntrack table: %w", err)
	}
	defer c.Close() //nolint:errcheck // nothing is left to be sent
	if err := c.FlushFilter(conntrack.Filter{Mark: fillMark, Mask: ^uint32(0)}); err != nil {
		return fmt.Errorf("empty conntrack table: %w", err)
	}
	return nil
}

// createFlows makes n entries, the first of them number first. Answers are not
// waited for: the kernel refuses entries once the table is full, and the
// caller counts what is there.
func createFlows(first, n uint32) error {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // nothing is left to be sent
	numbered, err := flowTemplate()
	if err != nil {
		return err
	}
	batch := make([]netlink.Message, 0, fillBatch)
	for i := range n {
		batch = append(batch, numbered(first+i))
		if len(batch) == fillBatch || i == n-1 {
			if _, err := c.SendMessages(batch); err != nil {
				return fmt.Errorf("create entries: %w", err)
			}
			batch = batch[:0]
		}
	}
	return nil
}

// flowTemplate returns a function that returns the request for the entry of a
// number. Requests differ in one address and one port only, which stand in
// both directions; encoding each anew takes longer than the kernel takes to
// make the entries.
func flowTemplate() (func(uint32) netlink.Message, error) {
	address, port := fillFlow(1<<24 - 1)
	m, err := createFlow(address, port)
	if err != nil {
		return nil, err
	}
	portBytes := binary.BigEndian.AppendUint16(nil, port)
	offsets := func(b []byte) [2]int { return [2]int{bytes.Index(m.Data, b), bytes.LastIndex(m.Data, b)} }
	addressAt, portAt := offsets(address.AsSlice()), offsets(portBytes)
	return func(i uint32) netlink.Message {
		address, port := fillFlow(i)
		next := netlink.Message{Header: m.Header, Data: bytes.Clone(m.Data)}
		for side := range 2 {
			copy(next.Data[addressAt[side]:], address.AsSlice())
			binary.BigEndian.PutUint16(next.Data[portAt[side]:], port)
		}
		return next
	}, nil
}

// fillFlow returns the source of the entry of that number, below 2^24: an
// address of 198.18.0.0/16 and a port from 32768 on.
func fillFlow(i uint32) (netip.Addr, uint16) {
	const ports = 1 << 15
	return netip.AddrFrom4([4]byte{198, 18, byte(i / ports >> 8), byte(i / ports)}), uint16(ports + i%ports)
}

// createFlow returns the request that creates the entry of a UDP flow from an
// address and port (IPCTNL_MSG_CT_NEW; kernel:
// include/uapi/linux/netfilter/nfnetlink_conntrack.h).
func createFlow(a netip.Addr, sport uint16) (netlink.Message, error) {
	b, dport := netip.AddrFrom4([4]byte{198, 19, 0, 1}), uint16(9)
	status := uint32(conntrack.StatusConfirmed | conntrack.StatusSeenReply | conntrack.StatusAssured)

	m, err := netfilter.MarshalNetlink(netfilter.Header{
		SubsystemID: netfilter.NFSubsysCTNetlink,
		MessageType: 0, // IPCTNL_MSG_CT_NEW
		Family:      netfilter.ProtoIPv4,
		Flags:       netlink.Request | netlink.Create | netlink.Excl,
	}, []netfilter.Attribute{
		tupleAttribute(1, a, b, sport, dport),               // CTA_TUPLE_ORIG
		tupleAttribute(2, b, a, dport, sport),               // CTA_TUPLE_REPLY
		{Type: 3, Data: netfilter.Uint32Bytes(status)},      // CTA_STATUS
		{Type: 7, Data: netfilter.Uint32Bytes(fillTimeout)}, // CTA_TIMEOUT
		{Type: 8, Data: netfilter.Uint32Bytes(fillMark)},    // CTA_MARK
	})
	if err != nil {
		return netlink.Message{}, fmt.Errorf("create entry: %w", err)
	}
	return m, nil
}

// tupleAttribute returns one direction of a UDP flow.
func tupleAttribute(kind uint16, src, dst netip.Addr, sport, dport uint16) netfilter.Attribute {
	return netfilter.Attribute{Type: kind, Nested: true, Children: []netfilter.Attribute{
		{Type: 1, Nested: true, Children: []netfilter.Attribute{ // CTA_TUPLE_IP
			{Type: 1, Data: src.AsSlice()}, // CTA_IP_V4_SRC
			{Type: 2, Data: dst.AsSlice()}, // CTA_IP_V4_DST
		}},
		{Type: 2, Nested: true, Children: []netfilter.Attribute{ // CTA_TUPLE_PROTO
			{Type: 1, Data: []byte{unix.IPPROTO_UDP}},                  // CTA_PROTO_NUM
			{Type: 2, Data: binary.BigEndian.AppendUint16(nil, sport)}, // CTA_PROTO_SRC_PORT
			{Type: 3, Data: binary.BigEndian.AppendUint16(nil, dport)}, // CTA_PROTO_DST_PORT
		}},
	}}
}
