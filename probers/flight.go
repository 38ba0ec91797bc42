package probers

import (
	"net/netip"
	"time"
)

// flight is one probe that was sent, until its place in the ring is needed
// for another: a reply may come long after the probe has failed.
type flight struct {
	number   uint64 // counts the engine's probes from 1; 0: the place is free
	tag      uint64
	to       netip.AddrPort
	kind     Kind
	done     bool   // its Done was reported
	answered bool   // a good reply was seen
	watched  bool   // TCP: the socket is in the epoll set
	fd       int    // TCP: the socket while not done
	txKey    uint32 // ICMP, UDP: the kernel's number of the send, see timestamp.go
	size     int    // ICMP and traces: bytes behind the IP header
	traced   bool   // a tracer wrote its packet
	path     uint8  // of a trace: its flow, of traceFlows
	tx       int64  // when the kernel gave it to the device, wall clock in ns; 0 if unknown
	sent     moment // just before the system call that sent it
	timeout  time.Duration

	transfer *transfer // TCP transfer: how far it is, while not done

	// Of UDP only:
	flow     *udpFlow // nil until it was sent
	port     uint8    // source port, of udpPorts
	bad      bool     // its target sent something that is no reply
	sequence uint64   // of the flow
	counted  uint64   // the responder's count in the first reply
	identity uint64   // expected, 0: any
}

// moment is one instant by two clocks.
type moment struct {
	mono int64 // ns since the engine was made, monotonic clock
	wall int64 // ns since 1970, the clock of the kernel's packet timestamps
}

const (
	minRing = 1 << 11
	maxRing = 1 << 16 // a larger one would hold two probes with one ICMP sequence number
)

// ring holds the last probes by their number.
type ring struct {
	flights []flight
	last    uint64 // number of the newest
}

func newRing() ring { return ring{flights: make([]flight, minRing)} }

// add returns a free place for the next probe, nil if maxRing probes are in
// flight. The pointer is good until the next add.
func (r *ring) add() *flight {
	number := r.last + 1
	for {
		f := r.at(number)
		if f.number == 0 || f.done {
			r.last = number
			*f = flight{number: number}
			return f
		}
		if len(r.flights) == maxRing {
			return nil
		}
		r.grow()
	}
}

// find returns the probe of that number, nil if it is forgotten.
func (r *ring) find(number uint64) *flight {
	if f := r.at(number); f.number == number && number != 0 {
		return f
	}
	return nil
}

// findSequence returns the newest probe whose number ends in the 16 bits of
// an ICMP sequence number, nil if it is forgotten.
func (r *ring) findSequence(sequence uint16) *flight {
	number := r.last - uint64(uint16(r.last)-sequence)
	if number > r.last {
		return nil // from before the first probe
	}
	return r.find(number)
}

func (r *ring) at(number uint64) *flight { return &r.flights[number&uint64(len(r.flights)-1)] }

func (r *ring) grow() {
	old := r.flights
	r.flights = make([]flight, 2*len(old))
	for _, f := range old {
		if f.number != 0 {
			*r.at(f.number) = f
		}
	}
}

// deadline is when a probe fails, unless it is done before.
type deadline struct {
	at     int64 // monotonic ns since the engine was made
	number uint64
}

// deadlines is a binary min-heap. Probes that are done stay in it until they
// reach the top: with equal time-outs that is soon, and removing is free.
type deadlines []deadline

func (h *deadlines) push(d deadline) {
	s := append(*h, d)
	*h = s
	for i := len(s) - 1; i > 0; {
		parent := (i - 1) / 2
		if s[parent].at <= s[i].at {
			return
		}
		s[parent], s[i] = s[i], s[parent]
		i = parent
	}
}

func (h *deadlines) pop() {
	s := *h
	last := len(s) - 1
	s[0] = s[last]
	s = s[:last]
	*h = s
	for i := 0; ; {
		least, left := i, 2*i+1
		for c := left; c < left+2 && c < last; c++ {
			if s[c].at < s[least].at {
				least = c
			}
		}
		if least == i {
			return
		}
		s[i], s[least] = s[least], s[i]
		i = least
	}
}
