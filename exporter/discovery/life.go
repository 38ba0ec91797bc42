package discovery

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// forget is how long a pod that is gone from its Service stays with its last
// addresses, expected to be down: a rollout replaces it meanwhile, and the
// counters go on.
const forget = time.Minute

// podID is a pod as the slices name it.
type podID struct{ namespace, name, uid string }

// member is one pod of a Service on a node, as the Service's EndpointSlices
// have it at one moment.
type member struct {
	pod         *podID
	addrs       [2]netip.Addr // IPv4, IPv6; invalid if there is none
	ready       bool          // and not terminating
	terminating bool
}

// addresses returns the pod's addresses, IPv4 first: the list before if it has
// the same, so that the new one need not live.
func (m member) addresses(before []netip.Addr) []netip.Addr {
	var both [2]netip.Addr
	now := both[:0]
	for _, a := range m.addrs {
		if a.IsValid() {
			now = append(now, a)
		}
	}
	if slices.Equal(before, now) {
		return before
	}
	return append([]netip.Addr(nil), now...)
}

// phase is where a pod is in its life.
type phase uint8

// The phases. A pod that was ready once is up until it is deleted, whatever its
// readiness says then: a node that dies turns its pods unready, and must not
// excuse itself in this way.
const (
	absent   phase = iota // no pod, and none for a minute
	starting              // there, but not ready since it appeared
	up
	ending // being deleted
	gone   // not in the slices any more, for less than a minute
)

// side is one of the two pods that make a node of the mesh, its agent or its
// endpoint, over its life and that of its successors. The zero value is a side
// that no pod has had.
type side struct {
	pod       *podID       // the one that counts, also if it is gone; nil: none
	addresses []netip.Addr // of the pod, the last ones if it is gone; not changed
	phase     phase
	since     time.Duration // when the phase began
}

// next returns what becomes of the side when the slices have these pods for it
// at now, in any order. Times are since a common beginning.
func (s side) next(seen []member, now time.Duration) side {
	known := slices.IndexFunc(seen, func(m member) bool { return s.pod != nil && m.pod.uid == s.pod.uid })
	lived := s.phase == up || s.phase == ending || s.phase == gone
	switch {
	case slices.ContainsFunc(seen, member.isReady):
		if known < 0 || !seen[known].ready {
			known = first(seen, member.isReady)
		}
		return s.become(up, seen[known], now)
	case known >= 0 && lived && seen[known].terminating:
		return s.become(ending, seen[known], now)
	case known >= 0 && lived:
		return s.become(up, seen[known], now)
	case lived && !s.overdue(now):
		return s.enter(gone, now)
	}
	if i := first(seen, func(m member) bool { return !m.terminating }); i >= 0 {
		return s.become(starting, seen[i], now)
	}
	if i := first(seen, func(member) bool { return true }); i >= 0 {
		return s.become(ending, seen[i], now)
	}
	return s.become(absent, member{}, now)
}

func (m member) isReady() bool { return m.ready }

// first returns the index of the first pod in the order of UIDs that is as
// wanted, -1 if there is none. The order makes the choice the same whatever the
// slices' order is.
func first(seen []member, wanted func(member) bool) int {
	best := -1
	for i, m := range seen {
		if wanted(m) && (best < 0 || cmp.Less(m.pod.uid, seen[best].pod.uid)) {
			best = i
		}
	}
	return best
}

func (s side) become(p phase, m member, now time.Duration) side {
	s.pod, s.addresses = m.pod, m.addresses(s.addresses)
	return s.enter(p, now)
}

func (s side) enter(p phase, now time.Duration) side {
	if p != s.phase {
		s.since = now
	}
	s.phase = p
	return s
}

// overdue reports whether the side's pod has been gone for long enough to be
// forgotten.
func (s side) overdue(now time.Duration) bool {
	return s.phase == gone && now-s.since >= forget
}

// nodeState returns the state of a node with these two pods; it is false if
// nothing is left of the node.
//
// A node is what its agent says. An endpoint that is not up yet has no address
// to probe, so it excuses nothing; one that is going away excuses the node for
// the moment, because one verdict is passed on both.
func nodeState(agent, endpoint side) (State, bool) {
	switch {
	case agent.phase == absent && endpoint.phase == absent:
		return "", false
	case agent.phase == ending || endpoint.phase == ending:
		return Draining, true
	case agent.phase == up && endpoint.phase != gone:
		return Ready, true
	}
	return NotReady, true
}
