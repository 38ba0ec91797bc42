package drops

import (
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/podnet-exporter/podnet_exporter/collectors"
)

// mesh numbers the nodes of the mesh for the program in the kernel, and keeps
// their names for as long as a count can hold their number. Numbers are not
// used again.
type mesh struct {
	nodes   map[uint32]*node
	numbers map[string]uint32
	last    uint32

	// What the program was told last.
	peers []*collectors.Peer
	own   []netip.Addr

	touched map[netip.Addr]uint32 // what it could not be told, or may have been; else nil
}

// node is one node of the mesh.
type node struct {
	name string
	gone time.Time // zero: it is there
}

func newMesh() *mesh {
	return &mesh{nodes: make(map[uint32]*node), numbers: make(map[string]uint32)}
}

// sync gives the program the addresses that were added, and takes away those
// that are gone. An address that two nodes claim is the later one's. own are
// further addresses of this node, from which its probes may be sent. It is
// called every second, and does nothing unless the lists are others than
// before. After an error it is to be called again.
func (m *mesh) sync(peers []*collectors.Peer, own []netip.Addr, now time.Time, k counter) error {
	moved := !slices.Equal(own, m.own)
	if !moved && sameList(peers, m.peers) && m.touched == nil {
		return nil
	}
	if m.touched == nil {
		m.touched = make(map[netip.Addr]uint32)
	}
	for a := range m.touched {
		m.touched[a] = 0
	}
	m.compare(peers, now, func(p *collectors.Peer) {
		moved = moved || p.Self
		for a := range addressesOf(p) {
			m.touched[a] = 0
		}
	})
	if moved {
		for _, a := range slices.Concat(m.own, own) {
			m.touched[a] = 0
		}
	}
	m.claim(peers, own)
	for a, number := range m.touched {
		var err error
		if number == 0 {
			err = k.removeNode(a)
		} else {
			err = k.setNode(a, number)
		}
		if err != nil {
			return err
		}
	}
	m.peers, m.own, m.touched = peers, slices.Clone(own), nil
	return nil
}

// sameList tells whether two lists are one and the same.
func sameList(a, b []*collectors.Peer) bool {
	return len(a) == len(b) && unsafe.SliceData(a) == unsafe.SliceData(b)
}

// compare calls touch for all peers that came, went or changed since the last
// sync, as they were and as they are, and gives them numbers. A large mesh
// changes all the time, and little in it: whoever stands in both lists costs a
// comparison of pointers.
func (m *mesh) compare(peers []*collectors.Peer, now time.Time, touch func(*collectors.Peer)) {
	came := func(p *collectors.Peer) {
		m.number(p.Node)
		touch(p)
	}
	went := func(p *collectors.Peer) {
		if n := m.nodes[m.numbers[p.Node]]; n != nil && n.gone.IsZero() {
			n.gone = now
		}
		touch(p)
	}
	i, j := 0, 0
	for i < len(m.peers) && j < len(peers) {
		was, is := m.peers[i], peers[j]
		switch order := strings.Compare(was.Node, is.Node); {
		case was == is:
			i, j = i+1, j+1
		case order < 0:
			went(was)
			i++
		case order > 0:
			came(is)
			j++
		default:
			touch(was)
			came(is)
			i, j = i+1, j+1
		}
	}
	for ; i < len(m.peers); i++ {
		went(m.peers[i])
	}
	for ; j < len(peers); j++ {
		came(peers[j])
	}
}

// claim finds out which node has each of the touched addresses.
func (m *mesh) claim(peers []*collectors.Peer, own []netip.Addr) {
	if len(m.touched) == 0 {
		return
	}
	if i := slices.IndexFunc(peers, func(p *collectors.Peer) bool { return p.Self }); i >= 0 {
		for _, a := range own {
			if _, ok := m.touched[a]; ok {
				m.touched[a] = m.numbers[peers[i].Node]
			}
		}
	}
	// Few are touched, and every address of the mesh is looked at.
	var ends [256]bool
	for a := range m.touched {
		ends[lastByte(a)] = true
	}
	for _, p := range peers {
		for a := range addressesOf(p) {
			if !ends[lastByte(a)] {
				continue
			}
			if _, ok := m.touched[a]; ok {
				m.touched[a] = m.numbers[p.Node]
			}
		}
	}
}

func lastByte(a netip.Addr) byte {
	bytes := a.As16()
	return bytes[15]
}

// addressesOf returns the addresses of a node as packets have them.
func addressesOf(p *collectors.Peer) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for _, list := range [][]netip.Addr{p.NodeAddresses, p.PodAddresses} {
			for _, a := range list {
				if !yield(a.Unmap().WithZone("")) {
					return
				}
			}
		}
	}
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
