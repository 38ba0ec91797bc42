package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// probeLine is a result as JSON. The help describes it.
type probeLine struct {
	Type        string         `json:"type"` // "probe"
	Sequence    uint64         `json:"seq"`
	Time        time.Time      `json:"time"`
	Event       string         `json:"event"`
	Success     bool           `json:"success"`
	Reason      probers.Reason `json:"reason,omitempty"`
	RTT         float64        `json:"rtt_seconds,omitempty"`
	Retransmits int            `json:"retransmits,omitempty"`
	ICMP        *probeICMP     `json:"icmp,omitempty"`
	Doubled     string         `json:"doubled,omitempty"`
	Reordered   string         `json:"reordered,omitempty"`
	Text        string         `json:"text"`
}

// probeICMP is an ICMP error as JSON.
type probeICMP struct {
	From netip.Addr `json:"from"`
	Type uint8      `json:"type"`
	Code uint8      `json:"code"`
	MTU  int        `json:"mtu,omitempty"`
}

// probeSummary is the last line, as JSON.
type probeSummary struct {
	Type        string                 `json:"type"` // "summary"
	Kind        string                 `json:"kind"`
	Target      string                 `json:"target"`
	Address     netip.Addr             `json:"address"`
	Port        uint16                 `json:"port,omitempty"`
	Sent        int                    `json:"sent"`
	Succeeded   int                    `json:"succeeded"`
	Failed      int                    `json:"failed"`
	Late        int                    `json:"late"`
	Duplicates  int                    `json:"duplicates"`
	Retransmits int                    `json:"retransmits"`
	Reasons     map[probers.Reason]int `json:"reasons"`
	RTT         *probeRTT              `json:"rtt_seconds,omitempty"`
	UDP         *probeUDP              `json:"udp,omitempty"`
}

// probeRTT is about the RTTs of the probes that succeeded, in seconds.
type probeRTT struct {
	Min    float64 `json:"min"`
	Mean   float64 `json:"mean"`
	Max    float64 `json:"max"`
	StdDev float64 `json:"stddev"` // of the sample; 0 when it is of one
}

// probeReport writes results, and keeps what the summary needs.
type probeReport struct {
	probeSummary
	w         io.Writer
	json      bool
	kind      probers.Kind
	to        netip.AddrPort
	timeout   time.Duration
	times     map[uint64]time.Time // of the probes that have no outcome yet
	mean, sum float64              // of the RTTs so far, and the sum of squares of their distance to it (Welford)
}

func newProbeReport(f *probeFlags, kind offeredProbe, to netip.AddrPort) *probeReport {
	r := &probeReport{
		probeSummary: probeSummary{
			Type: "summary", Kind: kind.name, Target: f.target, Address: to.Addr(), Port: to.Port(), Reasons: map[probers.Reason]int{},
		},
		w: f.stdout, json: f.output == "json", kind: kind.kind, to: to, timeout: f.timeout, times: map[uint64]time.Time{},
	}
	if kind.kind == probers.UDP {
		r.UDP = &probeUDP{}
	}
	return r
}

// sent counts a probe that is being sent.
func (p *probeReport) sent(now time.Time) {
	p.Sent++
	p.times[uint64(p.Sent)] = now
}

// result reports one.
func (p *probeReport) result(r probers.Result) {
	p.count(r)
	text := probeSentence(p.kind, p.to, p.timeout, r)
	if !p.json {
		fmt.Fprintf(p.w, "%d %s\n", r.Tag, text)
		return
	}
	line := probeLine{
		Type: "probe", Sequence: r.Tag, Time: time.Now(), Event: "done", Success: r.Reason == probers.OK && r.Event == probers.Done,
		Reason: r.Reason, RTT: r.RTT.Seconds(), Retransmits: r.Retransmits, Text: text,
	}
	switch r.Event {
	case probers.Late:
		line.Event = "late"
	case probers.Duplicate:
		line.Event = "duplicate"
	case probers.Done:
		line.Time = p.times[r.Tag]
		delete(p.times, r.Tag)
	}
	if r.Doubled != 0 {
		line.Doubled = r.Doubled.String()
	}
	if r.Reordered != 0 {
		line.Reordered = r.Reordered.String()
	}
	if r.ICMP.From.IsValid() {
		line.ICMP = &probeICMP{r.ICMP.From, r.ICMP.Type, r.ICMP.Code, r.ICMP.MTU}
	}
	p.write(line)
}

// count keeps what the summary needs.
func (p *probeReport) count(r probers.Result) {
	p.Retransmits += r.Retransmits
	if p.UDP != nil {
		p.UDP.add(r)
	}
	switch {
	case r.Event == probers.Late:
		p.Late++
	case r.Event == probers.Duplicate:
		p.Duplicates++
	case r.Reason != probers.OK:
		p.Failed++
		p.Reasons[r.Reason]++
	default:
		p.Succeeded++
		p.rtt(r.RTT.Seconds())
	}
}

func (p *probeReport) rtt(seconds float64) {
	if p.RTT == nil {
		p.RTT = &probeRTT{Min: seconds, Max: seconds}
	}
	distance := seconds - p.mean
	p.mean += distance / float64(p.Succeeded)
	p.sum += distance * (seconds - p.mean)
	*p.RTT = probeRTT{Min: min(p.RTT.Min, seconds), Mean: p.mean, Max: max(p.RTT.Max, seconds)}
	if p.Succeeded > 1 {
		p.RTT.StdDev = math.Sqrt(p.sum / float64(p.Succeeded-1))
	}
}

// end writes the summary.
func (p *probeReport) end() {
	if p.UDP != nil {
		p.UDP.end(p.Reasons[probers.Timeout] - p.Late)
	}
	if p.json {
		p.write(p.probeSummary)
		return
	}
	text := fmt.Sprintf("\n%s %s: %d sent, %d succeeded, %d failed", p.Kind, p.Target, p.Sent, p.Succeeded, p.Failed)
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(p.Reasons)) {
		reasons = append(reasons, fmt.Sprintf("%d %s", p.Reasons[reason], reason))
	}
	if len(reasons) > 0 {
		text += " (" + strings.Join(reasons, ", ") + ")"
	}
	for _, extra := range []struct {
		n    int
		what string
	}{{p.Late, "late"}, {p.Duplicates, "duplicates"}, {p.Retransmits, "retransmits"}} {
		if extra.n > 0 {
			text += fmt.Sprintf(", %d %s", extra.n, extra.what)
		}
	}
	if p.RTT != nil {
		text += fmt.Sprintf("\nrtt min %.2f, mean %.2f, max %.2f, standard deviation %.2f ms",
			p.RTT.Min*1000, p.RTT.Mean*1000, p.RTT.Max*1000, p.RTT.StdDev*1000)
	}
	if p.UDP != nil {
		for _, line := range p.UDP.lines() {
			text += "\n" + line
		}
	}
	fmt.Fprintln(p.w, text)
}

func (p *probeReport) write(line any) {
	b, err := json.Marshal(line)
	if err != nil {
		return // no value of these types fails
	}
	fmt.Fprintf(p.w, "%s\n", b)
}

// exitStatus is 0 if every probe that ended succeeded, and one did.
func (p *probeReport) exitStatus() exitStatus {
	if p.Failed > 0 || p.Succeeded == 0 {
		return probeExitFailed
	}
	return 0
}
