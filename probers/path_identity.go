package probers

import (
	"net/netip"
	"slices"
)

// steady is how many answers in a row, those of the old address before the
// first of the new one and those of the new one together, make a change of a
// hop's address: were two routers taking turns at random, so long a run of
// each would come once in 2,048 times.
const steady = 12

// shortest is how many of them at least are the new address's.
const shortest = 4

// HopAddr is an address that answered at a hop, and how often.
type HopAddr struct {
	Addr  netip.Addr
	Count uint64
	MPLS  []MPLSLabel // label stack of its latest answer that had one, outermost first
}

// mostAddresses is how many addresses of a hop are remembered. A hop with more
// is no router.
const mostAddresses = 64

// hopIdentity is who answers at one hop of one flow. Usually that is one address.
// Several of them in turn share the load packet by packet, which is a property
// of the path and no change of it.
type hopIdentity struct {
	seen    []HopAddr    // in order of appearance
	current []netip.Addr // who makes the hop now; more than one: they take turns
	since   []netip.Addr // others that answered since one of current did
	last    netip.Addr   // of the latest answer
	run     int          // how many answers in a row came from last
	before  int          // and from its predecessor before that
}

// saw takes the address of an answer, and its label stack. It is true when the
// hop has become another one.
func (d *hopIdentity) saw(a netip.Addr, labels []MPLSLabel) bool {
	if !d.count(a, labels) {
		return false
	}
	if a == d.last {
		d.run++
	} else {
		d.before, d.run, d.last = d.run, 1, a
	}
	switch {
	case len(d.current) == 0:
		d.current = []netip.Addr{a}
	case slices.Contains(d.current, a):
		// Those who answered meanwhile did not replace it: they take turns.
		d.current, d.since = append(d.current, d.since...), nil
	case d.run >= shortest && d.before+d.run >= steady:
		d.current, d.since = []netip.Addr{a}, nil
		return true
	case !slices.Contains(d.since, a):
		d.since = append(d.since, a)
	}
	return false
}

// count counts an address. It is false if there are too many to remember.
func (d *hopIdentity) count(a netip.Addr, labels []MPLSLabel) bool {
	i := slices.IndexFunc(d.seen, func(s HopAddr) bool { return s.Addr == a })
	if i < 0 {
		if len(d.seen) == mostAddresses {
			return false
		}
		d.seen = append(d.seen, HopAddr{Addr: a})
		i = len(d.seen) - 1
	}
	d.seen[i].Count++
	if labels != nil {
		d.seen[i].MPLS = labels
	}
	return true
}
