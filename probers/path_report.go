package probers

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"
)

// PathReport is what a Path has measured so far.
type PathReport struct {
	To      netip.Addr
	Cycles  int          // that are over
	Flows   []FlowReport // in the order of their numbers
	Hops    []HopReport  // of all flows together, nearest first; never empty
	Reached bool         // somebody at the far end answered, the latest time on at least one flow
	Silent  bool         // nobody ever answered, on no flow
	Changes uint64       // of the path, summed over the flows
}

// FlowReport is what was measured on one flow.
type FlowReport struct {
	Flow    uint16
	Hops    []HopReport // nearest first, from FirstTTL on without a gap, up to the end; never empty
	Reached bool        // the far end is the last of Hops
	Changes uint64      // how often a hop turned into another one; hops that change together are one change
}

// HopReport is what was measured at one hop. Durations are 0 while there is no
// answer.
type HopReport struct {
	TTL uint8
	Tally
	Addr     netip.Addr   // who answered last; invalid: nobody ever did
	Addrs    []HopAddr    // everybody who answered, in order of appearance
	Current  []netip.Addr // who makes the hop now, sorted: on one flow more than one only if they take turns
	Reached  bool         // the latest answer came from the far end
	Reason   Reason       // of the latest answer if it was neither a time exceeded nor a success, such as refused or admin_prohibited
	ICMP     ICMPError    // with its type, code and sender
	Local    Reason       // why the latest probe that never left this node did not
	Unsteady bool         // the mean is not to be trusted: read Best and Worst

	Last, Best, Worst, Mean time.Duration
	Sum                     time.Duration // of all Received: what it grew by since an earlier report, by what Received did, is the mean since then
	GeometricMean           time.Duration
	StdDev                  time.Duration // of a sample, sqrt(ssd/(n-1)); 0 with fewer than two answers

	Jitter      time.Duration // between the latest two answers
	JitterMean  time.Duration
	JitterWorst time.Duration
	JitterRFC   time.Duration // RFC 1889 A.8 as mtr shows it, which is 16 times the estimate

	Recent Loss // of the latest PathOptions.Window probes that count
}

// Report returns what was measured so far. Probes in flight are no loss.
func (p *Path) Report() PathReport {
	r := PathReport{To: p.options.To.Addr(), Cycles: p.cycles, Silent: true}
	for i := range p.flows {
		f := p.flows[i].report(p.options.Flow + uint16(i))
		r.Flows = append(r.Flows, f)
		r.Changes += f.Changes
		r.Reached = r.Reached || f.Reached
		r.Silent = r.Silent && p.flows[i].answering() < int(p.options.FirstTTL)
	}
	r.Hops = p.merge(r.Flows)
	return r
}

func (f *pathFlow) report(number uint16) FlowReport {
	r := FlowReport{Flow: number, Changes: f.changes}
	first := int(f.options.FirstTTL)
	for ttl := first; ttl <= max(first, f.rows()); ttl++ {
		h := f.hop(ttl)
		r.Hops = append(r.Hops, h.report(uint8(ttl)))
		r.Reached = h.state == reached
	}
	return r
}

func (h *hop) report(ttl uint8) HopReport {
	r := HopReport{
		TTL: ttl, Tally: h.tally,
		Addr: h.answers.last, Addrs: slices.Clone(h.answers.seen), Current: slices.Clone(h.answers.current),
		Reached: h.state == reached, Reason: h.reason, ICMP: h.refusal, Local: h.local,
		Jitter: time.Duration(h.jitter.last), JitterMean: time.Duration(h.jitter.mean),
		JitterWorst: time.Duration(h.jitter.worst), JitterRFC: time.Duration(h.jitter.sum),
		Recent: Loss{Tried: h.recent.n, Lost: h.recent.losses},
	}
	slices.SortFunc(r.Current, netip.Addr.Compare)
	r.setSpread(h.rtt)
	return r
}

func (r *HopReport) setSpread(s spread) {
	r.Last, r.Best, r.Worst, r.Mean = s.last, s.best, s.worst, time.Duration(s.mean)
	r.Sum, r.StdDev, r.GeometricMean = s.sum, s.deviation(), s.geometricMean()
	r.Unsteady = unsteady(s)
}

// unsteady is whether a mean says little: the values differ by more than half
// of it, and by more than what a loaded machine explains.
func unsteady(s spread) bool {
	const noise = 100 * time.Microsecond
	return s.deviation() > max(time.Duration(s.mean)/2, noise)
}

// merge puts the flows' hops of equal TTL together. Flows may differ in
// length: each counts up to its own end, and the far end of a short one is no
// part of a long one's statistics beyond that.
func (p *Path) merge(flows []FlowReport) []HopReport {
	var merged []HopReport
	for row := 0; ; row++ {
		var hop *HopReport
		var rtt spread
		var answered float64
		for i, f := range flows {
			if row >= len(f.Hops) {
				continue
			}
			if hop == nil {
				merged = append(merged, HopReport{TTL: f.Hops[row].TTL})
				hop = &merged[row]
			}
			h := &p.flows[i].hops[row]
			rtt.merge(h.rtt)
			hop.join(f.Hops[row], answered)
			answered += float64(h.rtt.n)
		}
		if hop == nil {
			return merged
		}
		rtt.last = hop.Last
		hop.setSpread(rtt)
	}
}

// join adds a hop of another flow to a merged one, in which so many answers
// are already. What can be of one flow only, such as the latest answer, is of
// the last flow that has it. Jitter is within a flow: its means are weighted.
func (r *HopReport) join(o HopReport, answered float64) {
	r.add(o.Tally)
	r.Recent.Tried += o.Recent.Tried
	r.Recent.Lost += o.Recent.Lost
	r.Reached = r.Reached || o.Reached
	if o.Reason != OK {
		r.Reason, r.ICMP = o.Reason, o.ICMP
	}
	if o.Local != OK {
		r.Local = o.Local
	}
	if !o.Addr.IsValid() {
		return
	}
	n := float64(o.Received)
	weigh := func(a, b time.Duration) time.Duration {
		return time.Duration((float64(a)*answered + float64(b)*n) / max(1, answered+n))
	}
	r.JitterMean, r.JitterRFC = weigh(r.JitterMean, o.JitterMean), weigh(r.JitterRFC, o.JitterRFC)
	r.Addr, r.Last, r.Jitter = o.Addr, o.Last, o.Jitter
	r.JitterWorst = max(r.JitterWorst, o.JitterWorst)
	r.Addrs = joinAddrs(r.Addrs, o.Addrs)
	for _, a := range o.Current {
		if !slices.Contains(r.Current, a) {
			r.Current = append(r.Current, a)
		}
	}
	slices.SortFunc(r.Current, netip.Addr.Compare)
}

func joinAddrs(a, b []HopAddr) []HopAddr {
	joined := slices.Clone(a)
	for _, x := range b {
		if i := slices.IndexFunc(joined, func(y HopAddr) bool { return x.Addr == y.Addr }); i >= 0 {
			joined[i].Count += x.Count
			if x.MPLS != nil {
				joined[i].MPLS = x.MPLS
			}
		} else {
			joined = append(joined, x)
		}
	}
	return joined
}

// ID identifies the way that the flow takes: a hash over the names of its
// hops, "?" for a silent one. Hops that take turns are one hop with all their
// names. Silent hops behind the last that answers are no part of it. name may
// be nil: then addresses are names.
func (f FlowReport) ID(name func(netip.Addr) string) string {
	if name == nil {
		name = netip.Addr.String
	}
	hash, silent := fnv.New64a(), 0
	for _, h := range f.Hops {
		if len(h.Current) == 0 {
			silent++
			continue
		}
		for ; silent > 0; silent-- {
			fmt.Fprint(hash, "?\n")
		}
		names := make([]string, 0, len(h.Current))
		for _, a := range h.Current {
			names = append(names, name(a))
		}
		slices.Sort(names)
		for _, n := range slices.Compact(names) {
			fmt.Fprint(hash, n, "|")
		}
		fmt.Fprint(hash, "\n")
	}
	return fmt.Sprintf("%016x", hash.Sum64())
}
