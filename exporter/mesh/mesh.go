// Package mesh chooses which nodes a node probes.
//
// Every node chooses for itself, from the same list, without asking anybody;
// that the choices fit together is a property of the hashes, which are
// therefore part of the protocol between agents of different versions.
package mesh

import (
	"cmp"
	"slices"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

// ringPeers is how many of the peers are neighbours on a ring of all nodes: so
// many others probe every node.
const ringPeers = 8

// Choose returns the nodes that self probes, sorted by name and without
// itself.
//
// Up to cfg.FullMeshLimit nodes that is every other one. Above it there are
// cfg.Peers of them:
//
//   - the 8 that follow self on a ring of all nodes in the order of a hash, so
//     that exactly 8 others probe each node in this way;
//   - one in every other zone, or, where there are more zones than places,
//     one in those zones that fall to self among the nodes of its zone, so that
//     every pair of zones is probed in both directions as long as a zone has
//     at least (zones - 1) / (cfg.Peers - 8) nodes;
//   - those with the highest hash together with self for the rest.
//
// A node that joins or leaves changes about cfg.Peers pairs of other nodes. The
// state of a node changes none: a node that is drained keeps its place.
func Choose(self string, nodes []*discovery.Node, cfg config.Mesh) []*discovery.Node {
	others := make([]*discovery.Node, 0, len(nodes))
	zone := ""
	for _, n := range nodes {
		if n.Name == self {
			zone = n.Zone
		} else {
			others = append(others, n)
		}
	}
	if !slices.IsSortedFunc(others, byName) {
		slices.SortFunc(others, byName)
	}
	if len(others)+1 <= cfg.FullMeshLimit || len(others) <= cfg.Peers {
		return others
	}
	c := choice{self: self, zone: zone, others: others, chosen: make([]bool, len(others)), places: cfg.Peers}
	c.ring()
	c.zones()
	c.rest()
	var out []*discovery.Node
	for i, n := range others {
		if c.chosen[i] {
			out = append(out, n)
		}
	}
	return out
}

// A Chooser is [Choose] for one node, over and over. It depends on nothing but
// names and zones, so as long as these stay it returns the nodes that it chose
// before, as they are now.
type Chooser struct {
	Self string

	cfg    config.Mesh
	nodes  []*discovery.Node // that were chosen from
	chosen []int             // of these
}

// Choose returns the nodes that Self probes. The list of nodes is sorted by
// name.
func (c *Chooser) Choose(nodes []*discovery.Node, cfg config.Mesh) []*discovery.Node {
	if c.nodes == nil || cfg != c.cfg || !slices.EqualFunc(c.nodes, nodes, sameChoice) {
		c.cfg, c.chosen = cfg, c.chosen[:0]
		for _, n := range Choose(c.Self, nodes, cfg) {
			i, _ := slices.BinarySearchFunc(nodes, n, byName)
			c.chosen = append(c.chosen, i)
		}
	}
	c.nodes = nodes
	var out []*discovery.Node
	for _, i := range c.chosen {
		out = append(out, nodes[i])
	}
	return out
}

// sameChoice reports whether a node is chosen when the other is.
func sameChoice(a, b *discovery.Node) bool { return a == b || a.Name == b.Name && a.Zone == b.Zone }

// Nearest returns those so many of the peers of self that follow it on the ring,
// sorted by name. Every node is one of the 8 nearest of exactly 8 others,
// whether these are all its peers or a part of them.
func Nearest(self string, peers []*discovery.Node, count int) []*discovery.Node {
	if len(peers) <= count {
		return peers
	}
	at := hash("ring", self)
	nearest := best{count: count}
	for i, n := range peers {
		nearest.add(i, ^(hash("ring", n.Name) - at))
	}
	slices.Sort(nearest.nodes)
	out := make([]*discovery.Node, 0, count)
	for _, i := range nearest.nodes {
		out = append(out, peers[i])
	}
	return out
}

// choice is the choice of one node while it is made. Nodes are known by their
// index in others.
type choice struct {
	self, zone string
	others     []*discovery.Node // all nodes but self, sorted by name
	chosen     []bool
	places     int // left
}

// take chooses a node, unless it is chosen already.
func (c *choice) take(node int) {
	if !c.chosen[node] {
		c.chosen[node] = true
		c.places--
	}
}

// ring chooses the nodes behind self on the ring.
func (c *choice) ring() {
	at := hash("ring", c.self)
	nearest := best{count: min(ringPeers, c.places)}
	for i, n := range c.others {
		nearest.add(i, ^(hash("ring", n.Name) - at)) // distances go round, modulo 2^64
	}
	for _, i := range nearest.nodes {
		c.take(i)
	}
}

// zones chooses a node in each of the other zones that self has to cover.
func (c *choice) zones() {
	members := map[string][]int{}
	for i, n := range c.others {
		members[n.Zone] = append(members[n.Zone], i)
	}
	for _, zone := range c.duties(members, c.places) {
		first := best{count: 1}
		for _, i := range members[zone] {
			first.add(i, c.score(i))
		}
		c.take(first.nodes[0])
	}
}

// duties returns the zones that self has to cover. With a place for each, that
// is all; otherwise each zone falls to the node of self's zone with the
// highest hash among those that have a place left.
func (c *choice) duties(members map[string][]int, places int) []string {
	var zones []string
	for zone := range members {
		if zone != c.zone {
			zones = append(zones, zone)
		}
	}
	if len(zones) <= places {
		return zones
	}
	slices.SortFunc(zones, func(a, b string) int {
		return cmp.Or(cmp.Compare(hash(c.zone, a), hash(c.zone, b)), cmp.Compare(a, b))
	})
	free := map[string]int{c.self: places}
	for _, i := range members[c.zone] {
		free[c.others[i].Name] = places
	}
	var mine []string
	for _, zone := range zones {
		taker := c.taker(zone, free)
		if taker == "" {
			break // more zones than this one has places together
		}
		free[taker]--
		if taker == c.self {
			mine = append(mine, zone)
		}
	}
	return mine
}

// taker returns which node of self's zone is to cover another zone: the one
// with the highest hash that has a place free, "" if none has.
func (c *choice) taker(zone string, free map[string]int) string {
	taker, highest := "", uint64(0)
	for name, places := range free {
		score := hash(name, zone)
		if places > 0 && (taker == "" || score > highest || score == highest && name < taker) {
			taker, highest = name, score
		}
	}
	return taker
}

// rest fills the places that are left.
func (c *choice) rest() {
	rest := best{count: c.places}
	for i := range c.others {
		if !c.chosen[i] {
			rest.add(i, c.score(i))
		}
	}
	for _, i := range rest.nodes {
		c.take(i)
	}
}

// score is how well a node suits self.
func (c *choice) score(node int) uint64 { return hash(c.self, c.others[node].Name) }

// best is the so many nodes with the highest score, the highest first; of
// equal ones the first.
type best struct {
	count  int
	nodes  []int
	scores []uint64
}

func (b *best) add(node int, score uint64) {
	if len(b.nodes) == b.count && (b.count == 0 || score <= b.scores[b.count-1]) {
		return
	}
	at := len(b.scores)
	for at > 0 && b.scores[at-1] < score {
		at--
	}
	b.nodes, b.scores = slices.Insert(b.nodes, at, node), slices.Insert(b.scores, at, score)
	if len(b.nodes) > b.count {
		b.nodes, b.scores = b.nodes[:b.count], b.scores[:b.count]
	}
}

func byName(a, b *discovery.Node) int { return cmp.Compare(a.Name, b.Name) }

// hash returns the FNV-1a hash of the words, with its bits mixed as splitmix64
// does: names that differ in the last letter only have hashes that differ
// everywhere.
func hash(words ...string) uint64 {
	h := uint64(14695981039346656037)
	for _, word := range words {
		for i := range len(word) {
			h = (h ^ uint64(word[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211 // no letter of UTF-8
	}
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
