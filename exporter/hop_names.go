package main

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

// wayMaxAge is for how long the answers of the node's routing table are used.
const wayMaxAge = time.Minute

// hopNames knows what the hops of a path are called: nodes, endpoint pods and
// configured routers by the mesh; bridges and tunnels, which no mesh lists, by
// the routing table of this node.
type hopNames struct {
	network nodeNetwork // nil: no bridges and tunnels
	now     func() time.Time

	mu     sync.Mutex
	mesh   discovery.Snapshot
	self   string
	peers  []*discovery.Node // that paths lead to
	expiry time.Time         // of the following two
	found  map[netip.Addr]string
	ways   []podWay
}

// podWay is the entry of this node's routing table that a peer's pods are
// reached by.
type podWay struct {
	node string
	way
}

// way is an entry of the node's routing table.
type way struct {
	prefix  netip.Prefix // that it is for
	gateway netip.Addr   // invalid if there is none
	local   bool         // the address is one of this node's own
	kind    string       // of the interface, as rtnetlink names it: bridge, vxlan, device…
}

// nodeNetwork is what the node's own network namespace knows of addresses.
type nodeNetwork interface {
	// Way returns the entry that an address matches; false if there is none.
	Way(netip.Addr) (way, bool)
	Close()
}

// newHopNames returns names of which none is known.
func newHopNames(network nodeNetwork) *hopNames {
	return &hopNames{network: network, now: time.Now}
}

// openHopNames returns names of which none is known. The routing table is that
// of the calling thread's network namespace. With an error the names can still
// be used.
func openHopNames() (*hopNames, error) {
	table, err := openRoutingTable()
	if err != nil {
		return newHopNames(nil), err
	}
	return newHopNames(table), nil
}

// close ends the use of the names.
func (h *hopNames) close() {
	if h.network != nil {
		h.network.Close()
	}
}

// set takes the names of the mesh: nodes, endpoint pods, and routers. peers are
// the nodes that paths lead to. Names that were found stay, but for those of
// nodes that changed.
func (h *hopNames) set(s discovery.Snapshot, self string, peers []*discovery.Node) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for was, is := range discovery.Changes(h.mesh.Nodes, s.Nodes) {
		for _, n := range []*discovery.Node{was, is} {
			if n != nil {
				h.lose(n.Addresses)
				h.lose(n.Endpoint.Addresses)
			}
		}
	}
	if self != h.self || !slices.EqualFunc(peers, h.peers, (*discovery.Node).SameAs) || !sameRouters(s.Routers, h.mesh.Routers) {
		h.expiry = time.Time{} // bridges and tunnels follow from the peers
	}
	h.mesh, h.self, h.peers = s, self, peers
}

// lose forgets whose the addresses are.
func (h *hopNames) lose(addrs []netip.Addr) {
	for _, a := range addrs {
		delete(h.found, a)
	}
}

func sameRouters(a, b []discovery.Router) bool {
	return slices.EqualFunc(a, b, func(a, b discovery.Router) bool { return a.Name == b.Name && slices.Equal(a.Addresses, b.Addresses) })
}

// name returns the name of an address, or the address itself.
func (h *hopNames) name(addr netip.Addr) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := h.now(); !now.Before(h.expiry) {
		h.expiry, h.found, h.ways = now.Add(wayMaxAge), make(map[netip.Addr]string), podWays(h.network, h.self, h.peers)
	}
	name, ok := h.found[addr]
	if !ok {
		if name = h.listed(addr); name == "" {
			name = h.part(addr)
		}
		name = cmp.Or(name, addr.String())
		h.found[addr] = name
	}
	return name
}

// listed returns whose address it is by the mesh, "" if nobody's. Paths have
// few hops and a mesh has many addresses: it is searched for those that are
// asked for.
func (h *hopNames) listed(addr netip.Addr) string {
	for _, n := range h.mesh.Nodes {
		if slices.Contains(n.Endpoint.Addresses, addr) {
			return n.Endpoint.Namespace + "/" + n.Endpoint.Name
		}
		if slices.Contains(n.Addresses, addr) {
			return n.Name
		}
	}
	for _, r := range h.mesh.Routers {
		if slices.Contains(r.Addresses, addr) {
			return r.Name
		}
	}
	return ""
}

// part returns of which node the address is a part, and which; "" if of none.
//
// The bridge and the tunnel of a node have addresses out of its pods' range,
// which nobody announces. But this node's routing table has one entry for that
// range, and so the hop is on the node whose endpoint the same entry leads to,
// if that is one node only: a default route says nothing.
func (h *hopNames) part(addr netip.Addr) string {
	if h.network == nil {
		return ""
	}
	w, ok := h.network.Way(addr)
	switch {
	case !ok:
		return ""
	case w.local:
		return partName(w.kind, h.self)
	}
	var on []string
	for _, p := range h.ways {
		if p.prefix == w.prefix && !slices.Contains(on, p.node) {
			on = append(on, p.node)
		}
	}
	if len(on) != 1 {
		return ""
	}
	if isTunnel(w.kind) {
		return partName(w.kind, on[0])
	}
	return partName("bridge", on[0]) // of a node that routes to its pods
}

// podWays looks up the way to every peer's pods. Those that lead through a
// tunnel, or to the peer's own address, lead to that node; others may lead to a
// router that has much else behind it.
func podWays(network nodeNetwork, self string, peers []*discovery.Node) []podWay {
	var ways []podWay
	for _, n := range peers {
		if n.Name == self || network == nil {
			continue
		}
		for _, addr := range n.Endpoint.Addresses {
			w, ok := network.Way(addr)
			if ok && !w.local && w.prefix.Bits() > 0 && (isTunnel(w.kind) || slices.Contains(n.Addresses, w.gateway)) {
				ways = append(ways, podWay{n.Name, w})
			}
		}
	}
	return ways
}

// partName names an interface of a node by its kind. The name is the same from
// wherever the hop is seen, so it does not say how the device is called.
func partName(kind, node string) string {
	switch {
	case kind == "bridge":
		return "bridge of " + node
	case isTunnel(kind):
		return "tunnel of " + node
	}
	return node
}

// isTunnel reports whether an interface of the kind wraps packets into others.
func isTunnel(kind string) bool {
	switch kind {
	case "vxlan", "geneve", "bareudp", "wireguard", "ipip", "sit", "ip6tnl", "gre", "gretap", "ip6gre", "ip6gretap",
		"erspan", "ip6erspan", "vti", "vti6", "xfrm", "fou", "tun", "tuntap":
		return true
	}
	return false
}
