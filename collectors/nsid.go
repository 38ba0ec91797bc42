package collectors

import (
	"fmt"
	"sync"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// nsids tells which namespace another one means by a number. Each namespace
// numbers the others in its own way (RTM_GETNSID), and gives a number that is
// free to the next one.
type nsids struct {
	handles *Handles

	mu    sync.Mutex
	known map[nsid]uint64 // to Namespace.Inode
}

// nsid is a number and who uses it.
type nsid struct {
	observer uint64 // Namespace.Inode
	number   int32
}

func newNsids(h *Handles) *nsids {
	return &nsids{handles: h, known: map[nsid]uint64{}}
}

// keep forgets the numbers of and for namespaces that are not listed.
func (n *nsids) keep(alive map[uint64]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, inode := range n.known {
		if !alive[id.observer] || !alive[inode] {
			delete(n.known, id)
		}
	}
}

// resolve returns the inode of the listed namespace that observer means by
// number, and false if it is none of them.
func (n *nsids) resolve(observer Namespace, number int32, listed []Namespace) (uint64, bool) {
	want := nsid{observer.Inode, number}
	n.mu.Lock()
	defer n.mu.Unlock()
	if inode, ok := n.known[want]; ok {
		return inode, true
	}
	for _, ns := range listed {
		if ns.Inode == observer.Inode {
			continue
		}
		if got, err := n.handles.nsid(observer, ns); err == nil && got >= 0 {
			n.known[nsid{observer.Inode, got}] = ns.Inode
		}
	}
	inode, ok := n.known[want]
	return inode, ok
}

// nsid asks the kernel for the number that observer has for ns, -1 if none.
func (h *Handles) nsid(observer, ns Namespace) (int32, error) {
	f, err := h.netns(ns)
	if err != nil {
		return -1, err
	}
	const fdAttr = 3 // NETNSA_FD
	attrs := netlink.NewAttributeEncoder()
	attrs.Uint32(fdAttr, uint32(f.Fd()))
	data, err := attrs.Encode()
	if err != nil {
		return -1, fmt.Errorf("nsid: %w", err)
	}
	answer, err := h.query(observer, rtnetlink, netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETNSID, Flags: netlink.Request},
		Data:   append(make([]byte, rtGenLen), data...),
	})
	if err != nil || len(answer) != 1 {
		return -1, err
	}
	return parseNsid(answer[0].Data)
}

const rtGenLen = 4 // struct rtgenmsg, padded

// parseNsid reads the payload of an RTM_NEWNSID message (kernel:
// include/uapi/linux/net_namespace.h).
func parseNsid(b []byte) (int32, error) {
	if len(b) < rtGenLen {
		return -1, fmt.Errorf("nsid: %w", errShort)
	}
	attrs, err := netlink.NewAttributeDecoder(b[rtGenLen:])
	if err != nil {
		return -1, fmt.Errorf("nsid: %w", err)
	}
	number := int32(-1)
	for attrs.Next() {
		const nsidAttr = 1 // NETNSA_NSID
		if attrs.Type() == nsidAttr {
			number = attrs.Int32()
		}
	}
	if err := attrs.Err(); err != nil {
		return -1, fmt.Errorf("nsid: %w", err)
	}
	return number, nil
}
