package main

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// reportOf is what probe udp says of results, its last lines in words or its
// last object.
func reportOf(output string, results []probers.Result) string {
	var b bytes.Buffer
	f := &probeFlags{target: "10.0.0.7", output: output, stdout: &b}
	r := newProbeReport(f, offeredProbe{name: "udp", kind: probers.UDP}, netip.MustParseAddrPort("10.0.0.7:9798"))
	for range results {
		r.sent(time.Unix(0, 0))
	}
	for _, res := range results {
		r.count(res)
	}
	r.end()
	return b.String()
}

func TestUDPTellsTheWay(t *testing.T) {
	const ms = time.Millisecond
	ok := func(rtt, forward, reverse time.Duration) probers.Result {
		return probers.Result{Event: probers.Done, RTT: rtt, OneWay: probers.OneWay{Forward: forward, Reverse: reverse}}
	}
	lost := probers.Result{Event: probers.Done, Reason: probers.Timeout}
	told := ok(ms, ms, ms)
	told.Lost = probers.Losses{Forward: 2, Reverse: 1}
	overtaken := ok(ms, ms, ms)
	overtaken.Reordered = probers.Reverse
	tests := []struct {
		name    string
		results []probers.Result
		want    string // behind the first two lines
	}{
		{"one reply", []probers.Result{ok(ms, ms, ms)}, ""},
		{"steady replies", []probers.Result{ok(ms, ms, ms), ok(ms, ms, ms)}, "jitter of round trips 0.000 ms, requests 0.000 ms, replies 0.000 ms\n"},
		{"the requests differ by 16 ms", []probers.Result{ok(20*ms, 2*ms, 18*ms), ok(36*ms, 18*ms, 18*ms)},
			"jitter of round trips 1.000 ms, requests 1.000 ms, replies 0.000 ms\n"},
		{"a later reply tells where three were lost", []probers.Result{lost, lost, lost, told}, "lost: 2 requests, 1 replies\n"},
		{"nothing came after the last loss", []probers.Result{lost, lost, lost, told, lost}, "lost: 2 requests, 1 replies, 1 one or the other\n"},
		{"a late reply is no loss", []probers.Result{lost, {Event: probers.Late}}, ""},
		{"a request came twice", []probers.Result{ok(ms, ms, ms), {Event: probers.Duplicate, Doubled: probers.Forward}}, "doubled: 1 requests\n"},
		{"a reply was overtaken", []probers.Result{overtaken}, "overtaken: 1 replies\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines := bytes.SplitAfter([]byte(reportOf("text", tt.results)), []byte("\n"))
			got := ""
			for _, l := range lines {
				if bytes.HasPrefix(l, []byte("lost")) || bytes.HasPrefix(l, []byte("doubled")) || bytes.HasPrefix(l, []byte("over")) || bytes.HasPrefix(l, []byte("jitter")) {
					got += string(l)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestUDPAsJSON(t *testing.T) {
	const ms = time.Millisecond
	first := probers.Result{Event: probers.Done, RTT: 20 * ms, OneWay: probers.OneWay{Forward: 2 * ms, Reverse: 18 * ms}}
	second := probers.Result{Event: probers.Done, RTT: 36 * ms, OneWay: probers.OneWay{Forward: 18 * ms, Reverse: 18 * ms}, Lost: probers.Losses{Forward: 1}, Reordered: probers.Forward}
	var got struct{ UDP map[string]any }
	if err := json.Unmarshal([]byte(reportOf("json", []probers.Result{first, second})), &got); err != nil {
		t.Fatal(err)
	}
	none := map[string]any{"forward": 0., "reverse": 0., "unknown": 0.}
	one := map[string]any{"forward": 1., "reverse": 0., "unknown": 0.}
	want := map[string]any{"lost": one, "doubled": none, "reordered": one, "jitter_seconds": map[string]any{"rtt": 0.001, "forward": 0.001}}
	if diff := cmp.Diff(want, got.UDP); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
