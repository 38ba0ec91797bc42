package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/podnet-exporter/podnet_exporter/exporter/verdict"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

var toPod = Path{
	Probe: "tcp", Vantage: "pod", TargetKind: "pod", Target: "10.244.2.2:9798",
	PeerNode: "n2", PeerZone: "a", Family: "ipv4",
}

func TestTargetStartsAtZero(t *testing.T) {
	reg := prometheus.NewRegistry()
	NewRecorder(reg).Target(toPod)
	want := `
# HELP podnet_probe_failures_total Probes that failed. Divide by podnet_probe_sent_total for the failure ratio; impaired probes are not among them.
# TYPE podnet_probe_failures_total counter
podnet_probe_failures_total{family="ipv4",peer_node="n2",probe="tcp",target="10.244.2.2:9798",target_kind="pod",vantage="pod"} 0
# HELP podnet_probe_sent_total Probes sent to the target, whatever became of them.
# TYPE podnet_probe_sent_total counter
podnet_probe_sent_total{family="ipv4",peer_node="n2",probe="tcp",target="10.244.2.2:9798",target_kind="pod",vantage="pod"} 0
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want),
		"podnet_probe_sent_total", "podnet_probe_failures_total", "podnet_probe_failure_reasons_total"); err != nil {
		t.Error(err)
	}
}

func TestRecordPutsEachEventInItsPlace(t *testing.T) {
	done := func(reason probers.Reason) probers.Result {
		return probers.Result{Event: probers.Done, Reason: reason, RTT: time.Millisecond}
	}
	tests := []struct {
		name    string
		results []probers.Result
		want    map[string]float64 // of the metrics without the prefix; what is not named must be 0
		rtts    uint64
	}{
		{"a success is a latency", []probers.Result{done(probers.OK)}, nil, 1},
		{"a failure is no latency", []probers.Result{done(probers.Timeout)},
			map[string]float64{"failures": 1, "timeout": 1}, 0},
		{"an impaired probe is no failure", []probers.Result{done(probers.Impaired)},
			map[string]float64{"impaired": 1}, 0},
		{"a retransmitted SYN is a loss and no latency",
			[]probers.Result{{Event: probers.Done, RTT: time.Second, Retransmits: 1}},
			map[string]float64{"failures": 1, "timeout": 1}, 0},
		{"a late reply stays a failure",
			[]probers.Result{done(probers.Timeout), {Event: probers.Late, RTT: time.Second}},
			map[string]float64{"failures": 1, "timeout": 1, "late": 1}, 0},
		{"a duplicate is counted beside the success",
			[]probers.Result{done(probers.OK), {Event: probers.Duplicate}},
			map[string]float64{"duplicates": 1}, 1},
		{"losses and overtaking have a direction",
			[]probers.Result{{Event: probers.Done, Lost: probers.Losses{Forward: 2, Reverse: 1}, Reordered: probers.Forward}},
			map[string]float64{"directed": 3, "reordered": 1}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			r := NewRecorder(reg)
			target := r.Target(toPod)
			for _, res := range tt.results {
				target.Record(res)
			}
			got := map[string]float64{
				"failures":   testutil.ToFloat64(r.failures),
				"timeout":    sum(t, reg, "podnet_probe_failure_reasons_total"),
				"late":       sum(t, reg, "podnet_probe_late_total"),
				"duplicates": sum(t, reg, "podnet_probe_duplicates_total"),
				"impaired":   sum(t, reg, "podnet_probe_impaired_total"),
				"directed":   sum(t, reg, "podnet_probe_lost_direction_total"),
				"reordered":  sum(t, reg, "podnet_probe_reordered_total"),
			}
			for name, n := range got {
				if n != tt.want[name] {
					t.Errorf("%s = %v; want %v", name, n, tt.want[name])
				}
			}
			if n := observations(t, reg, "podnet_probe_rtt_seconds"); n != tt.rtts {
				t.Errorf("%d observations in podnet_probe_rtt_seconds; want %d", n, tt.rtts)
			}
			if n := observations(t, reg, "podnet_mesh_rtt_seconds"); n != tt.rtts {
				t.Errorf("%d observations in podnet_mesh_rtt_seconds; want %d", n, tt.rtts)
			}
		})
	}
}

func TestOnlyProbesOfOneLayerHaveHistograms(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := NewRecorder(reg)
	across := toPod
	across.Vantage, across.Target = "node", "10.244.2.2:9798"
	for _, path := range []Path{toPod, across} {
		r.Target(path).Record(probers.Result{Event: probers.Done, Reason: probers.OK, RTT: time.Millisecond})
	}
	if n := observations(t, reg, "podnet_probe_rtt_seconds"); n != 1 {
		t.Errorf("%d observations; want that from pod to pod only", n)
	}
	if n := testutil.CollectAndCount(r.sent); n != 2 {
		t.Errorf("%d series of probes sent; want both", n)
	}
}

func TestHistogramsOfZonesThatAreGoneAreRemoved(t *testing.T) {
	r := NewRecorder(prometheus.NewRegistry())
	other := toPod
	other.PeerZone = "b"
	r.Target(toPod)
	r.Target(other)
	r.KeepZones(map[string]bool{"a": true, "b": true})
	if n := testutil.CollectAndCount(r.meshRTT); n != 2 {
		t.Fatalf("%d histograms; want one per zone", n)
	}
	r.KeepZones(map[string]bool{"b": true})
	if n := testutil.CollectAndCount(r.meshRTT); n != 1 {
		t.Errorf("%d histograms; want that of zone b only", n)
	}
	if toPod.Series() != other.Series() {
		t.Error("a target whose zone changed has other series; want the same")
	}
}

func TestForgetLeavesOtherTargetsAlone(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := NewRecorder(reg)
	other := toPod
	other.Target, other.PeerNode = "10.244.3.2:9798", "n3"
	gone, stays := r.Target(toPod), r.Target(other)
	for _, target := range []*Target{gone, stays} {
		target.Sent()
		target.Record(probers.Result{Event: probers.Done, Reason: probers.Refused})
		target.Record(probers.Result{Event: probers.Late})
	}
	gone.Forget()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			for _, l := range m.Label {
				if l.GetValue() == "n2" {
					t.Errorf("%s still has a series of n2", f.GetName())
				}
			}
		}
	}
	if n := sum(t, reg, "podnet_probe_failures_total"); n != 1 {
		t.Errorf("failures of the other target = %v; want 1", n)
	}
}

func TestPeerCountsVerdictsFromZero(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := NewRecorder(reg)
	p := r.Peer("n2", "a", "ipv4", false)
	if n := testutil.CollectAndCount(r.verdicts); n != len(verdict.Possible(false)) {
		t.Fatalf("%d series before the first cycle; want one for each of the %d verdicts", n, len(verdict.Possible(false)))
	}
	p.Judge(verdict.PodNetwork)
	if n := testutil.ToFloat64(r.verdicts.WithLabelValues("n2", "a", "ipv4", "pod_network")); n != 1 {
		t.Errorf("pod_network = %v; want 1", n)
	}
	p.Delays(probers.OneWayChange{Known: true, Forward: 30 * time.Millisecond})
	if n := testutil.ToFloat64(r.excess.WithLabelValues("n2", "ipv4", "forward")); n != 0.03 {
		t.Errorf("excess delay forward = %v; want 0.03", n)
	}
	p.Delays(probers.OneWayChange{Known: true, Forward: 30 * time.Millisecond, Reverse: 900 * time.Microsecond})
	if n := testutil.CollectAndCount(r.excess); n != 1 {
		t.Errorf("%d series of excess delay; want none of less than a millisecond", n)
	}
	p.Delays(probers.OneWayChange{})
	if n := testutil.CollectAndCount(r.excess); n != 0 {
		t.Errorf("%d series of excess delay while it is unknown; want none", n)
	}
	p.Forget()
	if n := testutil.CollectAndCount(r.verdicts); n != 0 {
		t.Errorf("%d series after Forget; want none", n)
	}
}

func TestMetricsLint(t *testing.T) {
	reg := prometheus.NewRegistry()
	NewRecorder(reg).Target(toPod).Record(probers.Result{Event: probers.Done, Reason: probers.Timeout})
	p := NewProber(reg)
	p.Vantage("node").Delay(time.Millisecond)
	p.Peers(map[string]int{"ready": 3})
	p.Zones(map[string]string{"n2": "a-b"})
	NewReloads(reg)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestCountedCountsSeriesAsPrometheusStoresThem(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "one", Help: "One series."}))
	classic := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "classic", Help: "Six.", Buckets: []float64{1, 2, 3}})
	native := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "native", Help: "One.", NativeHistogramBucketFactor: 1.1})
	reg.MustRegister(classic, native)
	classic.Observe(2)
	native.Observe(2)
	got := sum(t, Counted(reg, prometheus.Labels{"node": "n1"}), "podnet_series")
	if want := 1.0 + 6 + 1 + 1; got != want { // and podnet_series itself
		t.Errorf("podnet_series = %v; want %v", got, want)
	}
}

func TestCountedGivesEverySeriesItsLabels(t *testing.T) {
	reg := prometheus.NewRegistry()
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "wanted", Help: "Has labels."}, []string{"zone", "device"})
	bare := prometheus.NewGauge(prometheus.GaugeOpts{Name: "bare", Help: "Has none."})
	reg.MustRegister(vec, bare)
	vec.WithLabelValues("a", "eth0").Set(1)
	g := Counted(reg, prometheus.Labels{"node": "n1"})
	for range 2 { // a scrape leaves the metrics what they are
		err := testutil.GatherAndCompare(g, strings.NewReader(`
# HELP bare Has none.
# TYPE bare gauge
bare{node="n1"} 0
# HELP wanted Has labels.
# TYPE wanted gauge
wanted{device="eth0",node="n1",zone="a"} 1
# HELP podnet_series Series in this exposition. A native histogram counts as one.
# TYPE podnet_series gauge
podnet_series{node="n1"} 3
`))
		if err != nil {
			t.Error(err)
		}
	}
}

// sum returns the sum over all series of a counter or gauge, 0 if it has none.
func sum(t *testing.T, g prometheus.Gatherer, name string) (total float64) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.Metric {
				total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return total
}

// observations returns the number of observations in all series of a
// histogram.
func observations(t *testing.T, g prometheus.Gatherer, name string) (n uint64) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.Metric {
				n += m.GetHistogram().GetSampleCount()
			}
		}
	}
	return n
}
