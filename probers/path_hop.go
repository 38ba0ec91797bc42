package probers

import (
	"math"
	"net/netip"
	"slices"
	"time"
)

// state is what the latest answer of a hop says about the path.
type state uint8

// The states of a hop.
const (
	silent   state = iota // never answered
	transit               // a router on the way
	reached               // the far end
	refusing              // a router or firewall that does not carry the probe any further
)

// hop is one TTL of one flow.
type hop struct {
	state    state
	tally    Tally
	rtt      spread
	jitter   jitter
	answers  hopIdentity
	refusal  ICMPError
	reason   Reason // of the latest answer, if it is no success and no time exceeded
	local    Reason // of the latest probe that this node could not send, or whose first neighbour did not answer
	recent   outcomes
	inFlight []uint16 // serial numbers
}

// Tally is what became of the probes of a hop.
type Tally struct {
	Sent       uint64 // probes asked for; the following five add up to it
	Received   uint64 // answered, by anybody
	Lost       uint64 // not answered in time, or with rubbish
	Impaired   uint64 // the prober was late or starved: says nothing about the path
	Unsent     uint64 // could not be sent: no route, a local firewall
	InFlight   uint64 // may still be answered
	Late       uint64 // of Lost, those whose answer came after all
	Duplicates uint64 // further answers
}

// Tried is how many probes count: those that were sent and are not in flight.
func (t Tally) Tried() uint64 { return t.Received + t.Lost }

// Loss is the part of the probes that was lost, 0 to 1.
func (t Tally) Loss() float64 {
	if t.Tried() == 0 {
		return 0
	}
	return float64(t.Lost) / float64(t.Tried())
}

func (t *Tally) add(o Tally) {
	t.Sent += o.Sent
	t.Received += o.Received
	t.Lost += o.Lost
	t.Impaired += o.Impaired
	t.Unsent += o.Unsent
	t.InFlight += o.InFlight
	t.Late += o.Late
	t.Duplicates += o.Duplicates
}

func (h *hop) sent(serial uint16) {
	h.inFlight = append(h.inFlight, serial)
	h.tally.Sent++
	h.tally.InFlight++
}

// ended takes a probe out of those in flight. It is false if it is none.
func (h *hop) ended(serial uint16) bool {
	i := slices.Index(h.inFlight, serial)
	if i < 0 {
		return false
	}
	h.inFlight = slices.Delete(h.inFlight, i, i+1)
	h.tally.InFlight--
	return true
}

// lost ends a probe that nobody answered.
func (h *hop) lost(serial uint16) {
	if h.ended(serial) {
		h.tally.Lost++
		h.recent.add(true)
	}
}

// done takes the outcome of a probe. from is who answered.
func (h *hop) done(r Result, from netip.Addr, o *PathOptions) {
	switch {
	case r.Reason == Impaired:
		h.tally.Impaired++
		return
	case isLocal(r):
		h.tally.Unsent++
		h.local = r.Reason
		return
	case !from.IsValid():
		h.tally.Lost++
		h.recent.add(true)
		if r.Reason != Timeout && r.Reason != BadReply {
			h.local = r.Reason
		}
		return
	}
	h.tally.Received++
	h.recent.add(false)
	h.state, h.reason, h.refusal = o.stateAfter(r, from), r.Reason, r.ICMP
	if h.state == transit {
		h.reason, h.refusal = OK, ICMPError{}
	}
	h.rtt.add(r.RTT)
	h.jitter.add(r.RTT)
}

// stateAfter returns what an answer says about its hop. Whom a packet is for
// does not ask for its TTL: behind a Service's address, and any other that is
// translated on the way, routers' answers come back in the name of the far end.
// What it does say itself is code 1, that fragments did not arrive in time.
func (o *PathOptions) stateAfter(r Result, from netip.Addr) state {
	far := from == o.To.Addr()
	switch {
	case far && r.Reason == TTLExceeded && r.ICMP.Code == 0 && !o.EndAtAddress:
		return transit
	case far, r.Reason == OK, r.Reason == Refused, r.Reason == WrongIdentity:
		return reached
	case r.Reason == TTLExceeded:
		return transit
	}
	return refusing
}

// isLocal is whether the probe never left this node.
func isLocal(r Result) bool {
	switch r.Reason {
	case NoRoute, LocalPortsExhausted, LocalDenied, LocalBuffer:
		return true
	}
	return false
}

// answerer returns who answered, invalid if nobody did.
func answerer(r Result) netip.Addr {
	switch {
	case r.Reason == Timeout, r.Reason == BadReply:
		return netip.Addr{}
	case r.ICMP.From.IsValid():
		return r.ICMP.From.Unmap()
	}
	return r.From.Unmap()
}

// spread is the distribution of the round trip times of a hop.
type spread struct {
	n           uint64
	last        time.Duration
	best, worst time.Duration
	sum         time.Duration
	mean        float64 // ns
	squares     float64 // sum of the squared differences from the mean (Welford)
	logs        float64 // sum of logarithms, of the geometric mean
}

func (s *spread) add(rtt time.Duration) {
	if s.n++; s.n == 1 {
		s.best, s.worst = rtt, rtt
	}
	s.last, s.best, s.worst = rtt, min(s.best, rtt), max(s.worst, rtt)
	s.sum += rtt
	before := float64(rtt) - s.mean
	s.mean += before / float64(s.n)
	s.squares += before * (float64(rtt) - s.mean)
	s.logs += math.Log(max(float64(rtt), 1))
}

// merge adds the values of another spread (Chan). Its last value stays.
func (s *spread) merge(o spread) {
	if o.n == 0 {
		return
	}
	if s.n == 0 {
		*s = o
		return
	}
	n, m := float64(s.n), float64(o.n)
	apart := o.mean - s.mean
	s.mean += apart * m / (n + m)
	s.squares += o.squares + apart*apart*n*m/(n+m)
	s.n += o.n
	s.sum += o.sum
	s.best, s.worst, s.logs = min(s.best, o.best), max(s.worst, o.worst), s.logs+o.logs
}

// deviation is the standard deviation of a sample: sqrt(ssd/(n-1)).
func (s *spread) deviation() time.Duration {
	if s.n < 2 {
		return 0
	}
	return time.Duration(math.Sqrt(max(s.squares, 0) / float64(s.n-1)))
}

func (s *spread) geometricMean() time.Duration {
	if s.n == 0 {
		return 0
	}
	return time.Duration(math.Round(math.Exp(s.logs / float64(s.n))))
}

// jitter is how the round trip times of a hop differ from one answer to the
// next, in the four ways of mtr. All in ns; the first answer has none.
type jitter struct {
	n                      uint64
	before                 time.Duration
	last, mean, worst, sum float64
}

func (j *jitter) add(rtt time.Duration) {
	if j.n++; j.n > 1 {
		j.last = math.Abs(float64(rtt - j.before))
	}
	j.before = rtt
	j.mean += (j.last - j.mean) / float64(j.n)
	j.worst = max(j.worst, j.last)
	j.sum += j.last - j.sum/16 // RFC 1889 A.8, where the reported jitter is a 16th of this; mtr shows this
}

// outcomes are the latest outcomes of a hop, lost or not.
type outcomes struct {
	window int
	lost   []bool // a ring once it is window long
	next   int
	n      int
	losses int
}

func (o *outcomes) add(lost bool) {
	if lost {
		o.losses++
	}
	if o.window == 0 {
		o.n++
		return
	}
	if len(o.lost) < o.window {
		o.lost = append(o.lost, lost)
		o.n++
		return
	}
	if o.lost[o.next] {
		o.losses--
	}
	o.lost[o.next] = lost
	o.next = (o.next + 1) % o.window
}
