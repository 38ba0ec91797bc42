package probers

import (
	"math/rand/v2"
	"net/netip"
)

const (
	// udpPorts is how many source ports UDP probes leave from, per address
	// family.
	udpPorts   = 16
	udpSockets = 2 * udpPorts

	// maxUDPFlows is how many flows an engine keeps. One that was not used
	// while half as many others were may be forgotten, and begins anew.
	maxUDPFlows = 32768
)

// udpKey is a flow as the network sees it: one source port to one target.
// What is sent with a TTL of its own ends on the way, and would look lost in
// the responder's count: it is counted by itself.
type udpKey struct {
	to   netip.AddrPort
	port uint8 // which of the source ports
	hops bool  // with a TTL of its own
}

// udpFlow is what the engine knows of a flow.
type udpFlow struct {
	id       uint64 // for the responder, which counts from 0 what it has not seen
	last     uint64 // sequence number sent last
	newest   uint64 // number of that probe
	identity uint64 // of the responder that answered last
	high     uint64 // highest sequence number that was answered
	count    uint64 // of that reply
	loss     LossTracker
}

// reply notes the first reply to a request of the flow and returns what it
// says about the others.
func (f *udpFlow) reply(p UDPPacket) (Losses, Ways) {
	another := f.identity != p.Identity && f.identity != 0
	f.identity = p.Identity
	if another {
		f.high, f.count = p.Sequence, p.Received
		return f.loss.Restart(p.Sequence, p.Received), 0
	}
	return f.loss.Reply(p.Sequence, p.Received), f.overtaken(p)
}

// overtaken says in which direction a later packet of the flow overtook this
// one. At the responder the counts tell, and here the order of arrival. A
// packet that both overtook has been restored to its order before it arrived
// here: only the way there counts then.
func (f *udpFlow) overtaken(p UDPPacket) Ways {
	switch {
	case p.Sequence > f.high:
		f.high, f.count = p.Sequence, p.Received
		return 0
	case p.Received > f.count:
		return Forward
	}
	return Reverse
}

// flowTable are the flows that were used last, in two generations: when the
// young one is full, the old one is forgotten.
type flowTable struct {
	young, old map[udpKey]*udpFlow
	limit      int // of each generation
}

func newFlowTable(limit int) flowTable {
	return flowTable{young: map[udpKey]*udpFlow{}, limit: limit / 2}
}

// use returns a flow to send on.
func (f *flowTable) use(k udpKey) *udpFlow {
	if flow := f.young[k]; flow != nil {
		return flow
	}
	flow := f.old[k]
	if flow == nil {
		flow = &udpFlow{id: rand.Uint64()}
	}
	if len(f.young) >= f.limit {
		f.old, f.young = f.young, map[udpKey]*udpFlow{}
	}
	f.young[k] = flow
	return flow
}

// find returns a flow that was used, nil if there is none.
func (f *flowTable) find(k udpKey) *udpFlow {
	if flow := f.young[k]; flow != nil {
		return flow
	}
	return f.old[k]
}
