package probers

import (
	"net/netip"
	"slices"
	"time"
)

// PMTUState says what a path does with packets as large as the interface
// allows.
type PMTUState string

// The states.
const (
	PMTUUnknown   PMTUState = "unknown"    // small packets fail as well, or the search has not ended
	PMTUFull      PMTUState = "full"       // they pass
	PMTUSmaller   PMTUState = "smaller"    // they do not, and an ICMP error says so: senders adapt
	PMTUBlackHole PMTUState = "black_hole" // they vanish without a word while smaller ones pass: connections hang
)

// The smallest MTU that a path must have: of IPv4 what every host must be able
// to receive (RFC 791), of IPv6 its minimum (RFC 8200).
const (
	minPMTU4 = 576
	minPMTU6 = 1280
)

// DefaultPMTUTries is how often a size is tried before it is taken for too
// large.
const DefaultPMTUTries = 3

// PMTUOptions is what a search is told. Upper is needed.
type PMTUOptions struct {
	Tag     uint64         // of its probes
	To      netip.AddrPort // the port is not used
	Timeout time.Duration  // of each probe
	Upper   int            // largest packet to try in bytes, IP header included: the MTU of the route, see Engine.RouteMTU
	Tries   int            // 0 means DefaultPMTUTries
	Last    int            // what the search before this one found, which shortens this one; 0 if there was none
}

// PMTUReport is what a search found.
type PMTUReport struct {
	State  PMTUState
	MTU    int       // the largest packet that was answered, in bytes with its IP header; 0 if none was
	Upper  int       // the largest that was tried
	Told   ICMPError // frag-needed or packet-too-big that was heard last: by whom, and which MTU it names; zero if none was
	Reason Reason    // why it is unknown
	Probes int       // that were sent
}

// PMTU searches the path MTU to one target with echo requests that must not be
// fragmented. It is pure: whoever uses it sends what Next returns and gives
// the outcome to Add, until Next has nothing more to send.
//
// In the usual case that is one probe. A size counts as too large after all
// its tries were lost, or after one ICMP error; an MTU that such an error
// names is tried next, and believed if it passes.
type PMTU struct {
	opts  PMTUOptions
	lower int

	size    int  // tried now
	waiting bool // for the outcome of a probe of that size
	lost    int  // probes of that size
	spared  int  // probes of that size that failed for local reasons
	passes  int  // largest size that passed, 0 if none did
	fails   int  // smallest that did not, or one more than Upper
	silent  bool // that one was lost, and not refused by an ICMP error
	ended   bool
	report  PMTUReport
}

// NewPMTU returns a search that has sent nothing.
func NewPMTU(opts PMTUOptions) *PMTU {
	if opts.Tries <= 0 {
		opts.Tries = DefaultPMTUTries
	}
	lower := minPMTU4
	if opts.To.Addr().Unmap().Is6() {
		lower = minPMTU6
	}
	return &PMTU{
		opts: opts, lower: min(lower, opts.Upper), size: opts.Upper, fails: opts.Upper + 1,
		report: PMTUReport{State: PMTUUnknown, Upper: opts.Upper},
	}
}

// Next returns the next probe to be sent. It is false while the outcome of the
// last one is not known, and when the search has ended.
func (s *PMTU) Next() (Probe, bool) {
	if s.ended || s.waiting {
		return Probe{}, false
	}
	s.waiting = true
	s.report.Probes++
	return Probe{
		Tag: s.opts.Tag, Kind: ICMP, To: s.opts.To, Timeout: s.opts.Timeout, Size: s.size, DontFragment: true,
	}, true
}

// Add takes the outcome of the last probe. Other events are ignored.
func (s *PMTU) Add(r Result) {
	if !s.waiting || r.Event != Done {
		return
	}
	s.waiting = false
	switch r.Reason {
	case OK:
		s.passes = s.size
	case FragNeeded:
		s.fails, s.silent = s.size, false
		if r.ICMP.From.IsValid() {
			s.report.Told = r.ICMP
		}
	case Timeout, BadReply:
		if s.lost++; s.lost < s.opts.Tries {
			return
		}
		s.fails, s.silent = s.size, true
	case Impaired, LocalBuffer:
		if s.spared++; s.spared > s.opts.Tries {
			s.end(r.Reason)
		}
		return
	default:
		s.end(r.Reason) // nothing to do with the size
		return
	}
	s.choose()
}

// Ended reports whether the search has ended.
func (s *PMTU) Ended() bool { return s.ended }

// Report returns what was found so far.
func (s *PMTU) Report() PMTUReport { return s.report }

// Vanishing reports whether it is known already that larger packets vanish
// without a word while smaller ones pass. From which size on is known when the
// search has ended.
func (s *PMTU) Vanishing() bool { return s.silent && s.passes > 0 && s.passes < s.opts.Upper }

// choose decides on the next size, or ends the search.
func (s *PMTU) choose() {
	s.lost, s.spared = 0, 0
	told := s.report.Told.MTU
	switch {
	case s.passes >= s.opts.Upper, s.passes+1 == s.fails, s.passes > 0 && s.passes == told && !s.silent:
		s.end(OK)
	case s.passes == 0 && s.fails <= s.lower:
		s.end(Timeout)
	case told > max(s.passes, s.lower-1) && told < s.fails:
		s.size = told
	case s.passes == 0:
		s.size = s.lower
	default:
		s.size = s.between()
	}
}

// end ends the search; OK means that it found what it was to find.
func (s *PMTU) end(reason Reason) {
	s.ended = true
	s.report.MTU, s.report.Reason = s.passes, reason
	switch {
	case reason != OK:
		s.report.State = PMTUUnknown
	case s.passes >= s.opts.Upper:
		s.report.State = PMTUFull
	case s.silent:
		s.report.State = PMTUBlackHole
	default:
		s.report.State = PMTUSmaller
	}
}

// between returns the size to try of those between what passes and what
// fails. MTUs are rarely any number: the usual ones are tried first.
func (s *PMTU) between() int {
	if last := s.opts.Last; s.passes < last && last < s.fails {
		return last
	}
	usual := usualMTUs()
	from, known := slices.BinarySearch(usual, s.passes)
	if known {
		from++
	}
	to, _ := slices.BinarySearch(usual, s.fails)
	switch {
	case s.passes == s.opts.Last, known && from == to:
		return s.passes + 1
	case from < to:
		return usual[(from+to)/2]
	}
	return (s.passes + s.fails) / 2
}

// usualMTUs are the sizes of packets that links and tunnels carry, in order.
func usualMTUs() []int {
	return []int{
		minPMTU4,
		1006,       // SLIP (RFC 1191)
		minPMTU6,   // IPv6's minimum
		1360, 1380, // clouds that leave room for tunnels of their own
		1400, 1410, // VXLAN in WireGuard, Geneve with options
		1420, 1430, 1440, // WireGuard over IPv6, VXLAN over IPv6, WireGuard over IPv4
		1450, 1460, 1476, 1480, // VXLAN over IPv4, Google Cloud, GRE, IP in IP
		1492, 1500, // PPPoE, Ethernet
		4352, 8000, 8192, 8900, 8930, 8950, 8951, 8980, 9000, 9001, 9216, // jumbo frames, with and without tunnels
		16384, 32768, 65535,
	}
}
