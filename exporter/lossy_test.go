package main

import (
	"net/netip"
	"testing"

	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// fabric answers the probes of a path whose flows take turns in two spines:
// tor1, spine1 or spine2, tor2, the node. Of the flows through spine1, loses
// says which hops and the end lose every third probe.
func fabric(t *testing.T, loses map[string]bool) probers.PathReport {
	t.Helper()
	p := probers.NewPath(probers.PathOptions{Kind: probers.UDP, To: netip.MustParseAddrPort("172.20.1.11:9798"), Flows: 4})
	addr := map[string]string{"tor2": "10.0.0.2", "spine1": "10.0.1.1", "spine2": "10.0.2.1", "tor1 by spine1": "10.0.1.9", "tor1 by spine2": "10.0.2.9"}
	for cycle := range 60 {
		for probe, ok := p.Next(); ok; probe, ok = p.Next() {
			spine := "spine1"
			if probe.Flow%2 == 1 {
				spine = "spine2"
			}
			hops := []string{"tor2", spine, "tor1 by " + spine}
			res := probers.Result{Tag: probe.Tag, Event: probers.Done, RTT: 1000}
			hop := "end"
			if int(probe.TTL) <= len(hops) {
				hop = hops[probe.TTL-1]
				res.From = netip.MustParseAddr(addr[hop])
				res.Reason, res.ICMP = probers.TTLExceeded, probers.ICMPError{From: res.From, Type: 11}
			} else {
				res.From = probe.To.Addr()
			}
			if loses[hop] && spine == "spine1" && cycle%3 == 0 {
				res = probers.Result{Tag: probe.Tag, Event: probers.Done, Reason: probers.Timeout}
			}
			p.Add(res)
		}
	}
	return p.Report()
}

func TestLossHops(t *testing.T) {
	names := newHopNames(nil)
	names.set(discovery.Snapshot{
		Nodes: []*discovery.Node{{Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("172.20.1.11")}}},
		Routers: []discovery.Router{
			{Name: "tor2", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")}},
			{Name: "spine1", Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.1")}},
			{Name: "spine2", Addresses: []netip.Addr{netip.MustParseAddr("10.0.2.1")}},
			{Name: "tor1", Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.9"), netip.MustParseAddr("10.0.2.9")}},
		},
	}, "", nil)
	tests := []struct {
		name  string
		loses map[string]bool
		want  string // "" means no hop
	}{
		{"nothing is lost", nil, ""},
		{"the link to the spine loses", map[string]bool{"spine1": true, "tor1 by spine1": true, "end": true}, "spine1"},
		{"the link behind the spine loses", map[string]bool{"tor1 by spine1": true, "end": true}, "spine1"},
		{"only the answers from the end are lost on one way", map[string]bool{"end": true}, "spine1"},
		{"the spine limits its errors", map[string]bool{"spine1": true}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			for _, p := range lossHops(fabric(t, tt.loses), names.name) {
				got += names.name(p.Addr)
			}
			if got != tt.want {
				t.Errorf("loss begins at %q; want %q", got, tt.want)
			}
		})
	}
}
