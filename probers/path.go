package probers

import (
	"net/netip"
	"time"
)

// Defaults of PathOptions.
const (
	DefaultPathMaxTTL     = 30
	DefaultPathMaxUnknown = 12
	DefaultPathTimeout    = 2 * time.Second
)

// PathOptions says which path is measured, and how.
type PathOptions struct {
	Kind Kind           // ICMP, TraceUDP, TraceTCP, or UDP, whose far end is a responder
	To   netip.AddrPort // the far end; Port as in Probe

	// Flows is how many flows are measured, each for itself: packets of one
	// flow take one way through equal-cost paths. 0 means 1, at most 16.
	Flows int
	Flow  uint16 // of the first flow; the others count up from it

	FirstTTL     uint8         // 0 means 1
	MaxTTL       uint8         // 0 means 30
	MaxUnknown   int           // how many silent hops in a row end the search for the far end; 0 means 12
	Size         int           // of the IP packets in bytes, as in Probe
	DontFragment bool          // as in Probe
	Timeout      time.Duration // an answer after this is late and its probe lost; 0 means 2 s

	// EndAtAddress ends the path at the first hop that answers with the address
	// of the far end, whatever it says, as mtr does.
	EndAtAddress bool

	// Window is how many of the latest outcomes of each hop the judgement of
	// its loss looks at; 0 means all of them. A measurement that goes on for
	// ever needs one, to forget what is over.
	Window int

	// Tag fills the upper 32 bits of the tags of all probes of this path. The
	// lower ones are the path's own.
	Tag uint32
}

func (o PathOptions) withDefaults() PathOptions {
	o.To = netip.AddrPortFrom(o.To.Addr().Unmap(), o.To.Port())
	o.Flows = min(max(o.Flows, 1), traceFlows)
	if o.FirstTTL == 0 {
		o.FirstTTL = 1
	}
	if o.MaxTTL == 0 {
		o.MaxTTL = DefaultPathMaxTTL
	}
	o.MaxTTL = max(o.MaxTTL, o.FirstTTL)
	if o.MaxUnknown <= 0 {
		o.MaxUnknown = DefaultPathMaxUnknown
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultPathTimeout
	}
	return o
}

// A Path is the measurement of the way to one target, hop by hop, over one or
// several flows. It sends nothing and has no clock: it says which probes to
// send next, is told their Results, and reports. It belongs to one goroutine.
type Path struct {
	options PathOptions
	flows   []pathFlow
	cycle   int // the one that Next is in, from 1; 0 before the first
	ttl     int // of the next probe, when flow is within flows
	flow    int
	running bool   // a cycle has begun and Next has not yet said that it is over
	serial  uint16 // of the last probe
	cycles  int    // how many are over
}

// NewPath returns a Path that has measured nothing.
func NewPath(o PathOptions) *Path {
	p := &Path{options: o.withDefaults()}
	p.Reset()
	return p
}

// Reset forgets everything. Results of probes sent before are not expected
// any more, and ignored.
func (p *Path) Reset() {
	p.flows = make([]pathFlow, p.options.Flows)
	for i := range p.flows {
		p.flows[i].options = &p.options
	}
	p.cycle, p.cycles, p.running = 0, 0, false
}

// Next returns the next probe of the cycle, one for each hop of each flow, up
// to the far end as far as it is known at this moment. It is false, once, when
// the cycle is over: the call after that begins another. A probe that Next
// returned counts as sent.
//
// Probes that are sent some round trips apart end the first cycle at the far
// end; sent all at once, it goes MaxUnknown hops beyond.
func (p *Path) Next() (Probe, bool) {
	if !p.running {
		p.running, p.ttl, p.flow = true, int(p.options.FirstTTL), 0
		p.cycle++
	}
	for p.ttl <= int(p.options.MaxTTL) {
		i, ttl := p.flow, p.ttl
		if p.flow++; p.flow == len(p.flows) {
			p.flow, p.ttl = 0, p.ttl+1
		}
		if p.flows[i].wants(ttl) {
			return p.probe(i, ttl), true
		}
	}
	p.running = false
	p.cycles++
	return Probe{}, false
}

// Probes returns all probes of the next cycle, or what is left of the one that
// Next is in.
func (p *Path) Probes() []Probe {
	var probes []Probe
	for probe, ok := p.Next(); ok; probe, ok = p.Next() {
		probes = append(probes, probe)
	}
	return probes
}

// Expected returns how many probes a cycle has, as far as that is known, to
// pace them. Before anything is known it is for 10 hops.
func (p *Path) Expected() int {
	n := 0
	for i := range p.flows {
		n += p.flows[i].expected()
	}
	return n
}

// Cycles returns how many cycles are over.
func (p *Path) Cycles() int { return p.cycles }

// probe makes a probe and counts it.
func (p *Path) probe(flow, ttl int) Probe {
	p.serial++
	p.flows[flow].hop(ttl).sent(p.serial)
	o := &p.options
	return Probe{
		Tag:  uint64(o.Tag)<<32 | uint64(p.serial)<<16 | uint64(flow)<<8 | uint64(ttl),
		Kind: o.Kind, To: o.To, Timeout: o.Timeout, Size: o.Size,
		TTL: uint8(ttl), Flow: o.Flow + uint16(flow), DontFragment: o.DontFragment,
	}
}

// HopOf returns which probe of a path a tag belongs to: the index of its flow,
// counted from 0, and its TTL.
func (p *Path) HopOf(tag uint64) (flow int, ttl uint8) {
	return int(uint8(tag >> 8)), uint8(tag)
}

// Add takes a Result of one of the path's probes. It is false if the Result
// belongs to another path, or to a probe that is not in flight.
func (p *Path) Add(r Result) bool {
	flow, ttl := p.HopOf(r.Tag)
	if uint32(r.Tag>>32) != p.options.Tag || flow >= len(p.flows) {
		return false
	}
	f := &p.flows[flow]
	if int(ttl) < int(p.options.FirstTTL) || int(ttl) >= int(p.options.FirstTTL)+len(f.hops) {
		return false
	}
	return f.add(int(ttl), uint16(r.Tag>>16), r, p.cycle)
}

// Abandon calls the probes in flight lost: their answers are waited for no
// longer.
func (p *Path) Abandon() {
	for i := range p.flows {
		f := &p.flows[i]
		for ttl := range f.hops {
			h := &f.hops[ttl]
			for len(h.inFlight) > 0 {
				h.lost(h.inFlight[0])
			}
		}
	}
}
