package mesh

import (
	"cmp"
	"slices"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

// A Rotation is the order in which a node visits all others, one after the
// other, beside the peers that it probes all the time.
//
// In the visit of number k every node visits the one k places behind it on the
// ring. So at any moment all visit different nodes, each node is visited by one
// other, and after as many visits as there are nodes everybody has been at
// everybody's. The number follows from the time of day: clocks that are apart by
// less than a visit do little harm. A node that joins or leaves moves those
// behind it by one place: one may be visited twice in this round, or not
// before the next.
type Rotation struct {
	self  int // its place on the ring
	ring  []ringPlace
	nodes []*discovery.Node
}

// ringPlace is a node on the ring.
type ringPlace struct {
	hash uint64
	node int32 // its index
}

// NewRotation returns the rotation of self among the nodes, which are sorted by
// name and are not changed.
func NewRotation(self string, nodes []*discovery.Node) Rotation {
	ring := make([]ringPlace, len(nodes))
	own := int32(-1)
	for i := range nodes {
		ring[i] = ringPlace{hash("ring", nodes[i].Name), int32(i)}
		if nodes[i].Name == self {
			own = int32(i)
		}
	}
	slices.SortFunc(ring, func(a, b ringPlace) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.node, b.node))
	})
	at := slices.IndexFunc(ring, func(p ringPlace) bool { return p.node == own })
	return Rotation{self: at, ring: ring, nodes: nodes}
}

// Over returns the same rotation over another list, in which the nodes may have
// changed; it is false if it has other names.
func (r Rotation) Over(nodes []*discovery.Node) (Rotation, bool) {
	if !slices.EqualFunc(r.nodes, nodes, func(a, b *discovery.Node) bool { return a == b || a.Name == b.Name }) {
		return r, false
	}
	r.nodes = nodes
	return r, true
}

// Round returns how many visits there are until all nodes have been visited.
// The next 8 on the ring are peers in any case.
func (r Rotation) Round() int {
	if r.self < 0 {
		return 0
	}
	return max(len(r.nodes)-1-ringPeers, 0)
}

// Visit returns the node that is visited in the visit of a number. It is false
// if there is none: all are peers, or self is not among the nodes.
func (r Rotation) Visit(number int64) (*discovery.Node, bool) {
	round := r.Round()
	if round == 0 {
		return nil, false
	}
	behind := ringPeers + 1 + int(number%int64(round))
	return r.nodes[r.ring[(r.self+behind)%len(r.ring)].node], true
}

// Number returns the number of the visit at a time, if each takes so long.
func Number(at time.Time, visit time.Duration) int64 { return at.UnixNano() / int64(visit) }
