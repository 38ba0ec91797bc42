package probers

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// way is a path that answers as told: one address per hop, "" for a silent
// one; the last is the far end.
type way []string

var pathTarget = netip.MustParseAddr("10.0.0.99")

// farName is a router that answers with the address of the far end.
const farName = "10.0.0.99"

func addrOf(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

// answer is what a probe gets on this way. Packets with a TTL beyond the far
// end reach it too.
func (w way) answer(p Probe) Result {
	i := min(int(p.TTL), len(w)) - 1
	r := Result{Tag: p.Tag, Event: Done, RTT: time.Duration(i+1) * time.Millisecond, From: addrOf(w[i])}
	switch {
	case w[i] == "":
		r.Reason, r.RTT = Timeout, 0
	case i+1 < len(w), r.From != p.To.Addr():
		r.Reason = TTLExceeded
		r.ICMP = ICMPError{From: r.From, Type: 11}
	}
	return r
}

// cycle sends a cycle, each probe after the answer to the one before.
func cycle(p *Path, answer func(Probe) Result) (sent []Probe) {
	for probe, ok := p.Next(); ok; probe, ok = p.Next() {
		sent = append(sent, probe)
		p.Add(answer(probe))
	}
	return sent
}

func newTestPath(o PathOptions) *Path {
	o.Kind, o.To = ICMP, netip.AddrPortFrom(pathTarget, 0)
	return NewPath(o)
}

func cmpAddr() cmp.Option { return cmp.Comparer(func(a, b netip.Addr) bool { return a == b }) }

func ttls(probes []Probe) (ttls []int) {
	for _, p := range probes {
		ttls = append(ttls, int(p.TTL))
	}
	return ttls
}

func TestCycleEndsAtTheFarEnd(t *testing.T) {
	router := way{"10.0.1.1", "10.0.2.1", pathTarget.String()}
	tests := []struct {
		name    string
		options PathOptions
		way     way
		want    [][]int
	}{
		{"a short path", PathOptions{}, router, [][]int{{1, 2, 3}, {1, 2, 3}}},
		{"not from the first hop", PathOptions{FirstTTL: 2}, router, [][]int{{2, 3}, {2, 3}}},
		{"not up to the far end", PathOptions{MaxTTL: 2}, router, [][]int{{1, 2}, {1, 2}}},
		{"a silent hop is passed", PathOptions{MaxUnknown: 2}, way{"10.0.1.1", "", pathTarget.String()}, [][]int{{1, 2, 3}}},
		{"too many silent hops end it", PathOptions{MaxUnknown: 2}, way{"10.0.1.1", "", "", pathTarget.String()}, [][]int{{1, 2, 3}, {1, 2, 3}}},
		{"routers answer in the name of the far end", PathOptions{}, way{"10.0.1.1", farName, farName, pathTarget.String()}, [][]int{{1, 2, 3, 4}, {1, 2, 3, 4}}},
		{"and it is taken for the far end", PathOptions{EndAtAddress: true}, way{"10.0.1.1", farName, farName, pathTarget.String()}, [][]int{{1, 2}, {1, 2}}},
		{"nobody answers", PathOptions{MaxUnknown: 3}, way{""}, [][]int{{1, 2, 3}, {1, 2, 3}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newTestPath(tt.options)
			for i, want := range tt.want {
				if diff := cmp.Diff(want, ttls(cycle(p, tt.way.answer))); diff != "" {
					t.Errorf("cycle %d (-want +got):\n%s", i+1, diff)
				}
			}
			if p.Cycles() != len(tt.want) {
				t.Errorf("Cycles() = %d; want %d", p.Cycles(), len(tt.want))
			}
		})
	}
}

func TestProbesOfACycleAtOnce(t *testing.T) {
	p := newTestPath(PathOptions{Flows: 2, Flow: 7, MaxTTL: 3, Tag: 9, Size: 100, Timeout: time.Second})
	probes := p.Probes()
	if len(probes) != 6 {
		t.Fatalf("%d probes; want 6", len(probes))
	}
	seen := make(map[uint64]bool)
	for i, probe := range probes {
		flow, ttl := p.HopOf(probe.Tag)
		if flow != i%2 || int(ttl) != i/2+1 || probe.Flow != 7+uint16(flow) || probe.TTL != ttl || probe.Tag>>32 != 9 || seen[probe.Tag] {
			t.Errorf("probe %d: %+v is of flow %d, TTL %d", i, probe, flow, ttl)
		}
		seen[probe.Tag] = true
		p.Add(way{"10.0.1.1", pathTarget.String()}.answer(probe))
	}
	for i, f := range p.Report().Flows {
		if !f.Reached || len(f.Hops) != 2 {
			t.Errorf("flow %d: %d hops, reached %v; want 2, true", i, len(f.Hops), f.Reached)
		}
	}
	if got := p.Expected(); got != 4 {
		t.Errorf("Expected() = %d; want 4", got)
	}
}

func TestHopStatistics(t *testing.T) {
	p := newTestPath(PathOptions{MaxTTL: 1})
	values := []time.Duration{4 * time.Millisecond, 0, 1 * time.Millisecond, 7 * time.Millisecond}
	for _, rtt := range values {
		cycle(p, func(probe Probe) Result {
			if rtt == 0 {
				return Result{Tag: probe.Tag, Event: Done, Reason: Timeout}
			}
			return Result{Tag: probe.Tag, Event: Done, RTT: rtt, From: pathTarget}
		})
	}
	got := p.Report().Hops[0]
	rfc := 0.0
	for _, j := range []float64{0, 3e6, 6e6} {
		rfc += j - rfc/16
	}
	want := HopReport{
		TTL: 1, Tally: Tally{Sent: 4, Received: 3, Lost: 1}, Addr: pathTarget, Addrs: []HopAddr{{Addr: pathTarget, Count: 3}},
		Current: []netip.Addr{pathTarget}, Reached: true, Unsteady: true,
		Last: 7 * time.Millisecond, Best: time.Millisecond, Worst: 7 * time.Millisecond, Mean: 4 * time.Millisecond, Sum: 12 * time.Millisecond,
		StdDev: 3 * time.Millisecond, GeometricMean: time.Duration(math.Round(math.Pow(28, 1.0/3) * 1e6)),
		Jitter: 6 * time.Millisecond, JitterMean: 3 * time.Millisecond, JitterWorst: 6 * time.Millisecond, JitterRFC: time.Duration(rfc),
		Recent: Loss{4, 1},
	}
	if diff := cmp.Diff(want, got, cmpAddr(), cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() < 2 })); diff != "" {
		t.Errorf("hop (-want +got):\n%s", diff)
	}
}

func TestOutcomesThatAreNoLoss(t *testing.T) {
	tests := []struct {
		name    string
		results []Result // of one probe, which may also get none
		want    Tally
	}{
		{"still in flight", nil, Tally{Sent: 1, InFlight: 1}},
		{"answered", []Result{{Event: Done, From: pathTarget, RTT: 1}}, Tally{Sent: 1, Received: 1}},
		{"answered twice", []Result{{Event: Done, From: pathTarget, RTT: 1}, {Event: Duplicate, From: pathTarget, RTT: 2}}, Tally{Sent: 1, Received: 1, Duplicates: 1}},
		{"the prober was late", []Result{{Event: Done, Reason: Impaired}}, Tally{Sent: 1, Impaired: 1}},
		{"could not be sent", []Result{{Event: Done, Reason: NoRoute}}, Tally{Sent: 1, Unsent: 1}},
		{"a firewall said no", []Result{{Event: Done, Reason: AdminProhibited, ICMP: ICMPError{From: addrOf("10.0.1.1"), Type: 3, Code: 13}}}, Tally{Sent: 1, Received: 1}},
		{"lost", []Result{{Event: Done, Reason: Timeout}}, Tally{Sent: 1, Lost: 1}},
		{"late is lost", []Result{{Event: Done, Reason: Timeout}, {Event: Late, From: pathTarget, RTT: 1}}, Tally{Sent: 1, Lost: 1, Late: 1}},
		{"rubbish is lost", []Result{{Event: Done, Reason: BadReply, From: pathTarget}}, Tally{Sent: 1, Lost: 1}},
		{"the neighbour does not answer", []Result{{Event: Done, Reason: HostUnreachable}}, Tally{Sent: 1, Lost: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newTestPath(PathOptions{MaxTTL: 1})
			probe, _ := p.Next()
			for _, r := range tt.results {
				r.Tag = probe.Tag
				p.Add(r)
			}
			if diff := cmp.Diff(tt.want, p.Report().Hops[0].Tally); diff != "" {
				t.Errorf("tally (-want +got):\n%s", diff)
			}
		})
	}
}

func TestResultsOfOthersAreRefused(t *testing.T) {
	p := newTestPath(PathOptions{MaxTTL: 2, Tag: 1})
	probe, _ := p.Next()
	for name, tag := range map[string]uint64{
		"another path": probe.Tag + 1<<32, "another flow": probe.Tag + 1<<8, "a hop that was not probed": probe.Tag + 7, "another probe": probe.Tag + 1<<16,
	} {
		if p.Add(Result{Tag: tag, Event: Done, From: pathTarget}) {
			t.Errorf("the result of %s was taken", name)
		}
	}
	if !p.Add(Result{Tag: probe.Tag, Event: Done, From: pathTarget}) || p.Add(Result{Tag: probe.Tag, Event: Done, From: pathTarget}) {
		t.Error("the result of the probe must be taken once")
	}
}

func TestAbandonedProbesAreLost(t *testing.T) {
	p := newTestPath(PathOptions{MaxTTL: 1})
	p.Probes()
	p.Abandon()
	if got, want := p.Report().Hops[0].Tally, (Tally{Sent: 1, Lost: 1}); got != want {
		t.Errorf("tally %+v; want %+v", got, want)
	}
}

func TestAPathWhereNobodyAnswersHasHops(t *testing.T) {
	p := newTestPath(PathOptions{})
	if got := p.Report(); len(got.Hops) != 1 || len(got.Flows[0].Hops) != 1 || !got.Silent {
		t.Errorf("before anything was sent: %+v", got)
	}
	cycle(p, way{""}.answer)
	got := p.Report()
	if len(got.Hops) != 1 || got.Hops[0].Lost != 1 || !got.Silent || got.Reached {
		t.Errorf("report %+v; want one hop that lost its probe", got)
	}
	cycle(p, way{"10.0.1.1", ""}.answer)
	if got := p.Report(); len(got.Hops) != 2 || got.Silent {
		t.Errorf("%d hops, silent %v; want the router and the hop behind it", len(got.Hops), got.Silent)
	}
}

func TestRefusalEndsThePath(t *testing.T) {
	p := newTestPath(PathOptions{})
	refuse := func(probe Probe) Result {
		r := Result{Tag: probe.Tag, Event: Done, Reason: TTLExceeded, From: addrOf("10.0.1.1"), RTT: 1}
		r.ICMP = ICMPError{From: r.From, Type: 11}
		if probe.TTL > 1 {
			r.Reason, r.ICMP.Type, r.ICMP.Code = AdminProhibited, 3, 13
		}
		return r
	}
	if diff := cmp.Diff([]int{1, 2}, ttls(cycle(p, refuse))); diff != "" {
		t.Errorf("probes (-want +got):\n%s", diff)
	}
	got := p.Report()
	last := got.Hops[len(got.Hops)-1]
	if got.Reached || last.Reason != AdminProhibited || last.ICMP.Code != 13 || got.Hops[0].Reason != OK {
		t.Errorf("report %+v", got)
	}
}

func TestFlowsOfDifferentLengthAreNotMixed(t *testing.T) {
	short, long := way{"10.0.1.1", pathTarget.String()}, way{"10.0.2.1", "10.0.3.1", pathTarget.String()}
	p := newTestPath(PathOptions{Flows: 2})
	for range 5 {
		for _, probe := range p.Probes() { // at once: the first cycle goes beyond the far end
			if probe.Flow == 0 {
				p.Add(short.answer(probe))
			} else {
				p.Add(long.answer(probe))
			}
		}
	}
	hops := p.Report().Hops
	if len(hops) != 3 || hops[2].Sent != 5 || hops[2].Mean != 3*time.Millisecond || hops[1].Sent != 10 || hops[1].StdDev != 0 {
		t.Errorf("hops %+v", hops)
	}
	want := []HopAddr{{Addr: pathTarget, Count: 5}, {Addr: addrOf("10.0.3.1"), Count: 5}}
	if diff := cmp.Diff(want, hops[1].Addrs, cmpAddr()); diff != "" {
		t.Errorf("addresses of hop 2 (-want +got):\n%s", diff)
	}
}

func TestMergedStatisticsAreThoseOfAllAnswers(t *testing.T) {
	p := newTestPath(PathOptions{Flows: 3, MaxTTL: 1})
	var all spread
	for i := range 20 {
		cycle(p, func(probe Probe) Result {
			rtt := time.Duration((i*7+int(probe.Flow)*13)%29+1) * time.Millisecond
			all.add(rtt)
			return Result{Tag: probe.Tag, Event: Done, RTT: rtt, From: pathTarget}
		})
	}
	got := p.Report().Hops[0]
	for name, pair := range map[string][2]time.Duration{
		"mean": {got.Mean, time.Duration(all.mean)}, "deviation": {got.StdDev, all.deviation()}, "last": {got.Last, all.last},
		"best": {got.Best, all.best}, "worst": {got.Worst, all.worst}, "geometric mean": {got.GeometricMean, all.geometricMean()},
	} {
		if (pair[0] - pair[1]).Abs() > time.Microsecond {
			t.Errorf("%s %v; want %v", name, pair[0], pair[1])
		}
	}
}

func TestWindowForgets(t *testing.T) {
	p := newTestPath(PathOptions{MaxTTL: 1, Window: 10})
	for i := range 30 {
		cycle(p, func(probe Probe) Result {
			if i < 20 {
				return Result{Tag: probe.Tag, Event: Done, Reason: Timeout}
			}
			return Result{Tag: probe.Tag, Event: Done, From: pathTarget, RTT: 1}
		})
		if i == 19 && len(p.Report().LossBegins()) != 1 {
			t.Error("no loss while all is lost")
		}
	}
	r := p.Report()
	if r.Hops[0].Recent != (Loss{10, 0}) || r.Hops[0].Lost != 20 || len(r.LossBegins()) != 0 {
		t.Errorf("hop %+v", r.Hops[0])
	}
}

func ExamplePath() {
	p := NewPath(PathOptions{Kind: ICMP, To: netip.MustParseAddrPort("10.0.0.99:0")})
	for probe, ok := p.Next(); ok; probe, ok = p.Next() { // a cycle
		p.Add(way{"10.0.1.1", "10.0.0.99"}.answer(probe))
	}
	for _, hop := range p.Report().Hops {
		fmt.Println(hop.TTL, hop.Addr, hop.Lost, "of", hop.Sent, hop.Mean)
	}
	// Output:
	// 1 10.0.1.1 0 of 1 1ms
	// 2 10.0.0.99 0 of 1 2ms
}
