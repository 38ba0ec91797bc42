package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// pmtuStep is a packet of a search, as JSON.
type pmtuStep struct {
	Type     string         `json:"type"` // "probe"
	Sequence int            `json:"seq"`
	Size     int            `json:"size"`
	Success  bool           `json:"success"`
	Reason   probers.Reason `json:"reason,omitempty"`
	RTT      float64        `json:"rtt_seconds,omitempty"`
	ICMP     *probeICMP     `json:"icmp,omitempty"`
	Text     string         `json:"text"`
}

// pmtuSummary is what a search found, as JSON.
type pmtuSummary struct {
	Type    string            `json:"type"` // "summary"
	Kind    string            `json:"kind"`
	Target  string            `json:"target"`
	Address netip.Addr        `json:"address"`
	Sent    int               `json:"sent"`
	State   probers.PMTUState `json:"state"`
	MTU     int               `json:"mtu"`
	Upper   int               `json:"upper"`
	ICMP    *probeICMP        `json:"icmp,omitempty"`
	Reason  probers.Reason    `json:"reason,omitempty"`
	Text    string            `json:"text"`
}

// searchPMTU searches the path MTU to the target once, and says each step.
func (f *probeFlags) searchPMTU(ctx context.Context, engine *probers.Engine, to netip.AddrPort) (exitStatus, error) {
	upper := f.size
	if upper == 0 {
		var err error
		if upper, err = engine.RouteMTU(to.Addr()); err != nil {
			return probeExitFailed, err
		}
		upper = min(upper, 65535) // the loopback device's is larger than any packet
	}
	search := probers.NewPMTU(probers.PMTUOptions{To: to, Timeout: f.timeout, Upper: upper})
	for seq := 1; ; seq++ {
		p, ok := search.Next()
		if !ok {
			break
		}
		p.TTL = uint8(f.ttl)
		r, err := probers.Once(ctx, engine, p)
		switch {
		case ctx.Err() != nil:
			return probeExitFailed, nil
		case err != nil:
			return probeExitFailed, err
		}
		search.Add(r)
		f.pmtuStep(seq, p, r)
	}
	report := search.Report()
	f.pmtuSummary(to, report)
	if report.State == probers.PMTUFull || report.State == probers.PMTUSmaller {
		return 0, nil
	}
	return probeExitFailed, nil
}

func (f *probeFlags) pmtuStep(seq int, p probers.Probe, r probers.Result) {
	text := fmt.Sprintf("%d bytes: %s", p.Size, probeSentence(p.Kind, p.To, p.Timeout, r))
	if f.output != "json" {
		fmt.Fprintf(f.stdout, "%d %s\n", seq, text)
		return
	}
	writeJSON(f.stdout, pmtuStep{
		Type: "probe", Sequence: seq, Size: p.Size, Success: r.Reason == probers.OK, Reason: r.Reason,
		RTT: r.RTT.Seconds(), ICMP: icmpOf(r.ICMP), Text: text,
	})
}

func (f *probeFlags) pmtuSummary(to netip.AddrPort, r probers.PMTUReport) {
	text := pmtuSentence(to.Addr(), r)
	if f.output != "json" {
		fmt.Fprintf(f.stdout, "\n%s %s: %s\n", f.kind, f.target, text)
		return
	}
	writeJSON(f.stdout, pmtuSummary{
		Type: "summary", Kind: f.kind, Target: f.target, Address: to.Addr(), Sent: r.Probes, State: r.State,
		MTU: r.MTU, Upper: r.Upper, ICMP: icmpOf(r.Told), Reason: r.Reason, Text: text,
	})
}

// pmtuSentence says in words what a search found.
func pmtuSentence(to netip.Addr, r probers.PMTUReport) string {
	switch r.State {
	case probers.PMTUFull:
		return fmt.Sprintf("path MTU %d bytes, all that the route allows", r.MTU)
	case probers.PMTUSmaller:
		who := "this host says so"
		if r.Told.From.IsValid() {
			who = fmt.Sprintf("%s says so, and connections adapt", r.Told.From)
		}
		return fmt.Sprintf("path MTU %d bytes of the %d that the route allows: %s", r.MTU, r.Upper, who)
	case probers.PMTUBlackHole:
		return fmt.Sprintf("black hole: %d bytes pass, larger packets up to %d vanish without a word; connections to %s hang once they send much",
			r.MTU, r.Upper, to)
	}
	return fmt.Sprintf("unknown: small packets fail as well (%s)", r.Reason)
}

// icmpOf returns an ICMP error as JSON, nil if there was none.
func icmpOf(e probers.ICMPError) *probeICMP {
	if !e.From.IsValid() {
		return nil
	}
	return &probeICMP{e.From, e.Type, e.Code, e.MTU}
}

func writeJSON(w io.Writer, line any) {
	b, err := json.Marshal(line)
	if err != nil {
		return // no value of these types fails
	}
	fmt.Fprintf(w, "%s\n", b)
}
