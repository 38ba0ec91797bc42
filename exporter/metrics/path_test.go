package metrics

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// hopReport is the report of a path of one hop, which has answered so often, in so
// long altogether, and of the last ten probes lost so many.
func hopReport(answers uint64, took time.Duration, lost int) probers.PathReport {
	return probers.PathReport{Hops: []probers.HopReport{{
		TTL: 1, Tally: probers.Tally{Sent: answers + 1, Received: answers, Lost: 1}, Sum: took,
		Recent: probers.Loss{Tried: 10, Lost: lost},
	}}}
}

func TestTheTimeOfAHopIsThatOfTheLatestCycle(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name    string
		reports []probers.PathReport
		want    string // the value, "" for no series
	}{
		{"nothing has answered", []probers.PathReport{hopReport(0, 0, 10)}, ""},
		{"the first cycle", []probers.PathReport{hopReport(4, 8*ms, 0)}, "0.002"},
		{"the hop has become slow", []probers.PathReport{hopReport(1000, 1000*ms, 0), hopReport(1002, 1100*ms, 0)}, "0.05"},
		{"the hop limits its answers", []probers.PathReport{hopReport(4, 8*ms, 0), hopReport(4, 8*ms, 9)}, "0.002"},
		{"the hop has become silent", []probers.PathReport{hopReport(4, 8*ms, 0), hopReport(4, 8*ms, 10)}, ""},
		{"the hop answers again", []probers.PathReport{hopReport(4, 8*ms, 0), hopReport(4, 8*ms, 10), hopReport(5, 9*ms, 9)}, "0.001"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			hops := NewPaths(reg).Hops("pod", "n2", "ipv4")
			for _, r := range tt.reports {
				hops.Report(r, nil, netip.Addr.String)
			}
			want := ""
			if tt.want != "" {
				want = `
# HELP podnet_path_hop_rtt_seconds Mean round-trip time to the hop over the answers of the latest cycle that it answered in, all flows together. No series: it answered none of the last probes that the judgement of loss looks at.
# TYPE podnet_path_hop_rtt_seconds gauge
podnet_path_hop_rtt_seconds{family="ipv4",peer_node="n2",ttl="1",vantage="pod"} ` + tt.want + "\n"
			}
			if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "podnet_path_hop_rtt_seconds"); err != nil {
				t.Error(err)
			}
		})
	}
}

// A scrape at any moment finds the hops of a path that has them.
func TestAReportLeavesNoGap(t *testing.T) {
	reg := prometheus.NewRegistry()
	hops := NewPaths(reg).Hops("pod", "n2", "ipv4")
	report := func(addresses ...string) probers.PathReport {
		r := hopReport(4, time.Millisecond, 0)
		for _, a := range addresses {
			r.Hops[0].Current = append(r.Hops[0].Current, netip.MustParseAddr(a))
		}
		return r
	}
	addresses := func() (all []string) {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.Metric {
				if f.GetName() == "podnet_path_hop_info" {
					all = append(all, m.Label[0].GetValue())
				}
			}
		}
		return all
	}
	hops.Report(report("10.0.0.1", "10.0.0.2"), nil, netip.Addr.String)
	// The names are asked for while the report is published.
	during := [][]string{}
	hops.Report(report("10.0.0.2", "10.0.0.3"), nil, func(a netip.Addr) string {
		during = append(during, addresses())
		return a.String()
	})
	want := [][]string{{"10.0.0.1", "10.0.0.2"}, {"10.0.0.1", "10.0.0.2"}}
	if diff := cmp.Diff(want, during); diff != "" {
		t.Errorf("addresses while a report is published (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"10.0.0.2", "10.0.0.3"}, addresses()); diff != "" {
		t.Errorf("addresses after it (-want +got):\n%s", diff)
	}
	hops.Forget()
	if got := addresses(); got != nil {
		t.Errorf("addresses after Forget: %v", got)
	}
}
