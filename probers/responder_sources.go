package probers

import (
	"net/netip"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxSources is how many addresses a responder remembers.
const maxSources = 4096

// sourcesFor is for how long an address is kept when room is needed.
const sourcesFor = time.Minute

// sources remembers from which addresses a responder was probed, and when last.
// Only those are noted that cannot be forged: of UDP packets with the cluster's
// key, and of TCP connections that were made.
type sources struct {
	mu   sync.Mutex
	seen map[netip.Addr]int64 // unix time in seconds
}

// note notes a probe. When there is no room, it is that of addresses that have
// been silent for a minute, or the new one is not noted.
func (s *sources) note(addr netip.Addr, now time.Time) {
	at := now.Unix()
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.seen[addr]; ok && last >= at {
		return
	} else if !ok && len(s.seen) >= maxSources {
		s.forget(now.Add(-sourcesFor).Unix())
		if len(s.seen) >= maxSources {
			return
		}
	}
	if s.seen == nil {
		s.seen = make(map[netip.Addr]int64)
	}
	s.seen[addr] = at
}

func (s *sources) forget(before int64) {
	for addr, last := range s.seen {
		if last < before {
			delete(s.seen, addr)
		}
	}
}

// since returns the addresses that probed since a time, in no order.
func (s *sources) since(since time.Time) []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []netip.Addr
	for addr, last := range s.seen {
		if last >= since.Unix() {
			all = append(all, addr)
		}
	}
	return all
}

// Sources returns the addresses from which the responder was probed since a
// time, in no order: by UDP with the cluster's key, or by TCP. At most 4,096 are
// remembered, for a minute at least.
func (r *Responder) Sources(since time.Time) []netip.Addr { return r.counters.sources.since(since) }

// sourceAddr returns the address in a socket address. IPv4 addresses that an IPv6
// socket sees are IPv4.
func sourceAddr(from *unix.RawSockaddrInet6) netip.Addr {
	if from.Family == unix.AF_INET {
		return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(from)).Addr)
	}
	return netip.AddrFrom16(from.Addr).Unmap()
}
