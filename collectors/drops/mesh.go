package drops

import (
	"net/netip"
	"slices"
	"time"
	"unsafe"

	"github.com/podnet-exporter/podnet_exporter/collectors"
)

// mesh numbers the nodes of the mesh for the program in the kernel, and keeps
// their names for as long as a count can hold their number. Numbers are not
// used again.
type mesh struct {
	nodes     map[uint32]*node
	numbers   map[string]uint32
	addresses map[netip.Addr]uint32
	last      uint32

	// What sync was given last.
	peers []collectors.Peer
	own   []netip.Addr
}

// node is one node of the mesh.
type node struct {
	name string
	gone time.Time // zero: it is there
}

func newMesh() *mesh {
	return &mesh{
		nodes:     make(map[uint32]*node),
		numbers:   make(map[string]uint32),
		addresses: make(map[netip.Addr]uint32),
	}
}

// sync gives the program the addresses that were added, and takes away those
// that are gone. An address that two nodes claim is the later one's. own are
// further addresses of this node, from which its probes may be sent. It is
// called every second, and does nothing unless the lists are others than
// before.
func (m *mesh) sync(peers []collectors.Peer, own []netip.Addr, now time.Time, k counter) error {
	if sameList(peers, m.peers) && slices.Equal(own, m.own) {
		return nil
	}
	if err := m.change(peers, own, now, k); err != nil {
		return err
	}
	m.peers, m.own = peers, slices.Clone(own)
	return nil
}

// sameList tells whether two lists are one and the same. Lists of peers are not
// changed once they were returned.
func sameList(a, b []collectors.Peer) bool {
	return len(a) == len(b) && unsafe.SliceData(a) == unsafe.SliceData(b)
}

// change is sync for lists that changed.
func (m *mesh) change(peers []collectors.Peer, own []netip.Addr, now time.Time, k counter) error {
	there := make(map[uint32]bool, len(peers))
	addresses := make(map[netip.Addr]uint32, len(own)+4*len(peers))
	for _, p := range peers {
		number := m.number(p.Node)
		there[number] = true
		if !p.Self {
			continue
		}
		for _, a := range own {
			addresses[a] = number
		}
	}
	for _, p := range peers {
		for _, list := range [][]netip.Addr{p.NodeAddresses, p.PodAddresses} {
			for _, a := range list {
				addresses[a.Unmap().WithZone("")] = m.numbers[p.Node]
			}
		}
	}
	for number, n := range m.nodes {
		if !there[number] && n.gone.IsZero() {
			n.gone = now
		}
	}
	for a := range m.addresses {
		if _, ok := addresses[a]; ok {
			continue
		}
		if err := k.removeNode(a); err != nil {
			return err
		}
		delete(m.addresses, a)
	}
	for a, number := range addresses {
		if m.addresses[a] == number {
			continue
		}
		if err := k.setNode(a, number); err != nil {
			return err
		}
		m.addresses[a] = number
	}
	return nil
}

// number returns the number of a node that is there.
func (m *mesh) number(name string) uint32 {
	number, ok := m.numbers[name]
	if !ok {
		m.last++
		number = m.last
		m.numbers[name] = number
		m.nodes[number] = &node{name: name}
	}
	m.nodes[number].gone = time.Time{}
	return number
}

// name returns the name of a node by its number: "" for 0, which is a sender
// that the mesh does not know.
func (m *mesh) name(number uint32) string {
	if n, ok := m.nodes[number]; ok {
		return n.name
	}
	return ""
}

// expired tells whether a node has been gone since before a time.
func (m *mesh) expired(number uint32, before time.Time) bool {
	n, ok := m.nodes[number]
	return ok && !n.gone.IsZero() && n.gone.Before(before)
}

// forget ends the nodes that have been gone since before a time.
func (m *mesh) forget(before time.Time) {
	for number, n := range m.nodes {
		if m.expired(number, before) {
			delete(m.nodes, number)
			delete(m.numbers, n.name)
		}
	}
}
