// Package metrics is the only place that names the metrics of probes.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/podnet-exporter/podnet_exporter/exporter/verdict"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// Path is what a target is called in labels. Equal Paths are the same series.
type Path struct {
	Probe      string // kind of probe: icmp, tcp
	Vantage    string // where it is sent from: node, pod
	TargetKind string // node, pod, service, dns, external
	Target     string // address, with the port where the probe has one
	PeerNode   string // node that the target is on
	PeerZone   string // its zone as podnet_mesh_rtt_seconds has it, "" if unknown
	Family     string // ipv4, ipv6
}

// SameLayer reports whether the probe goes from node to node or from pod to
// pod.
func (p Path) SameLayer() bool { return p.Vantage == p.TargetKind }

// Series returns the Path without what is in no series of the target's own.
// Paths with equal Series share these.
func (p Path) Series() Path {
	p.PeerZone = ""
	return p
}

// Recorder counts what probes measured and what verdicts said.
type Recorder struct {
	sent, failures, reasons    *prometheus.CounterVec
	late, duplicates, impaired *prometheus.CounterVec
	reordered, lostDirection   *prometheus.CounterVec
	rtt, meshRTT               *prometheus.HistogramVec
	verdicts                   *prometheus.CounterVec
	excess                     *prometheus.GaugeVec

	zones map[string]bool // of the histograms that were kept last
}

// NewRecorder returns a Recorder whose metrics are registered with reg.
func NewRecorder(reg prometheus.Registerer) *Recorder {
	auto := promauto.With(reg)
	path := []string{"probe", "vantage", "target_kind", "target", "peer_node", "family"}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return auto.NewCounterVec(prometheus.CounterOpts{
			Namespace: "podnet", Subsystem: "probe", Name: name, Help: help,
		}, append(path[:len(path):len(path)], labels...))
	}
	return &Recorder{
		sent: counter("sent_total",
			"Probes sent to the target, whatever became of them."),
		failures: counter("failures_total",
			"Probes that failed. Divide by podnet_probe_sent_total for the failure ratio; impaired probes are not among them."),
		reasons: counter("failure_reasons_total",
			"Probes that failed, by reason. A reason's series appears when it first happens, so use podnet_probe_failures_total to detect.", "reason"),
		late: counter("late_total",
			"Probes whose reply arrived after the time-out. They are failures too; the series appears with the first."),
		duplicates: counter("duplicates_total",
			"Further replies to a probe that was answered already. The series appears with the first."),
		impaired: counter("impaired_total",
			"Probes without a result because the prober itself was late, stopped or starved. They are no failures; the series appears with the first."),
		reordered: counter("reordered_total",
			"Packets of UDP probes that a later packet of the same flow overtook, by the direction in which it did. The series appears with the first.", "direction"),
		lostDirection: counter("lost_direction_total",
			"Lost UDP probes by the direction in which the packet was lost, told by the responder's own count: forward is towards the target, unknown is one or the other. The series appears with the first.", "direction"),
		rtt: auto.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "podnet", Subsystem: "probe", Name: "rtt_seconds",
			Help:                            "Round-trip time of probes that succeeded, by the kernel's clock: from nodes to nodes and from pods to pods. A native histogram only; see podnet_mesh_rtt_seconds for classic buckets.",
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, path),
		meshRTT: auto.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "podnet", Subsystem: "mesh", Name: "rtt_seconds",
			Help:                            "Round-trip time of ICMP and TCP probes that succeeded, from nodes to nodes and from pods to pods, by the zone of the peer instead of the peer. If the probed nodes are in more than three zones, all but this node's own are peer_zone other.",
			Buckets:                         []float64{50e-6, 200e-6, 1e-3, 5e-3, 10e-3, 100e-3, 500e-3},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"probe", "vantage", "target_kind", "peer_zone", "family"}),
		verdicts: auto.NewCounterVec(prometheus.CounterOpts{
			Namespace: "podnet", Name: "peer_verdicts_total",
			Help: "Cycles judged, by what all probes of the cycle to the peer say together: one verdict per peer, family and cycle. The peer that is this node itself is the control.",
		}, []string{"peer_node", "peer_zone", "family", "verdict"}),
		excess: auto.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "podnet", Subsystem: "peer", Name: "excess_delay_seconds",
			Help: "How much longer UDP packets take to the peer's node (forward) and back (reverse) than at best in the last minutes, by the clocks of both ends. No series below a millisecond, while a clock is stepped, or if nothing is known.",
		}, []string{"peer_node", "family", "direction"}),
	}
}

// A Target is the series of one path, looked up once.
type Target struct {
	r              *Recorder
	path           Path
	labels         []string
	sent, failures prometheus.Counter
	rtt, meshRTT   prometheus.Observer // nil if the probe is in neither
}

// Target creates the series of a path at zero, so that the first failure is an
// increase and not a new series that rate() cannot see.
func (r *Recorder) Target(p Path) *Target {
	labels := []string{p.Probe, p.Vantage, p.TargetKind, p.Target, p.PeerNode, p.Family}
	t := &Target{
		r: r, path: p, labels: labels,
		sent:     r.sent.WithLabelValues(labels...),
		failures: r.failures.WithLabelValues(labels...),
	}
	if p.SameLayer() {
		t.rtt = r.rtt.WithLabelValues(labels...)
	}
	if p.SameLayer() && p.Probe != probers.UDP.String() { // which takes as long as ICMP
		t.meshRTT = r.meshRTT.WithLabelValues(p.Probe, p.Vantage, p.TargetKind, p.PeerZone, p.Family)
	}
	return t
}

// Sent counts a probe that was sent.
func (t *Target) Sent() { t.sent.Inc() }

// ReasonOf returns the reason that the end of a probe counts under. A handshake
// that needed a second SYN is a loss even when it then succeeded in time: the
// packet was lost, and its RTT is the timer's.
func ReasonOf(res probers.Result) probers.Reason {
	if res.Reason == probers.OK && res.Retransmits > 0 {
		return probers.Timeout
	}
	return res.Reason
}

// Record counts one event of a probe, and returns the reason that it was
// counted under, see [ReasonOf].
func (t *Target) Record(res probers.Result) probers.Reason {
	t.directions(res)
	switch res.Event {
	case probers.Late:
		t.r.late.WithLabelValues(t.labels...).Inc()
		return res.Reason
	case probers.Duplicate:
		t.r.duplicates.WithLabelValues(t.labels...).Inc()
		return res.Reason
	}
	reason := ReasonOf(res)
	switch reason {
	case probers.OK:
		if t.rtt != nil {
			t.rtt.Observe(res.RTT.Seconds())
		}
		if t.meshRTT != nil {
			t.meshRTT.Observe(res.RTT.Seconds())
		}
	case probers.Impaired:
		t.r.impaired.WithLabelValues(t.labels...).Inc()
	default:
		t.failures.Inc()
		t.r.reasons.WithLabelValues(append(t.labels[:len(t.labels):len(t.labels)], string(reason))...).Inc()
	}
	return reason
}

// directions counts what an event tells about the two ways of a UDP probe.
func (t *Target) directions(res probers.Result) {
	if res.Lost == (probers.Losses{}) && res.Reordered == 0 {
		return // as a rule
	}
	add := func(vec *prometheus.CounterVec, direction string, n int) {
		if n > 0 {
			vec.WithLabelValues(append(t.labels[:len(t.labels):len(t.labels)], direction)...).Add(float64(n))
		}
	}
	add(t.r.lostDirection, probers.Forward.String(), res.Lost.Forward)
	add(t.r.lostDirection, probers.Reverse.String(), res.Lost.Reverse)
	add(t.r.lostDirection, "unknown", res.Lost.Unknown)
	for _, way := range []probers.Ways{probers.Forward, probers.Reverse} {
		if res.Reordered&way != 0 {
			add(t.r.reordered, way.String(), 1)
		}
	}
}

// Forget removes every series of the path. The histogram by zone stays: other
// peers share it. See [Recorder.KeepZones].
func (t *Target) Forget() {
	gone := prometheus.Labels{
		"probe": t.path.Probe, "vantage": t.path.Vantage, "target_kind": t.path.TargetKind,
		"target": t.path.Target, "peer_node": t.path.PeerNode, "family": t.path.Family,
	}
	for _, vec := range []*prometheus.CounterVec{
		t.r.sent, t.r.failures, t.r.reasons, t.r.late, t.r.duplicates, t.r.impaired, t.r.reordered, t.r.lostDirection,
	} {
		vec.DeletePartialMatch(gone)
	}
	t.r.rtt.DeletePartialMatch(gone)
}

// KeepZones removes the histograms of all other zones.
func (r *Recorder) KeepZones(zones map[string]bool) {
	for zone := range r.zones {
		if !zones[zone] {
			r.meshRTT.DeletePartialMatch(prometheus.Labels{"peer_zone": zone})
		}
	}
	r.zones = zones
}

// Peer is the verdict counters of one peer in one family, looked up once.
type Peer struct {
	r                  *Recorder
	node, zone, family string
	counters           map[verdict.Verdict]prometheus.Counter
	late               map[probers.Ways]bool // directions that have a series of their delay
}

// Peer creates the verdict counters of a peer at zero: those that cycles can
// have. self: it is this node itself.
func (r *Recorder) Peer(node, zone, family string, self bool) *Peer {
	p := &Peer{r: r, node: node, zone: zone, family: family, counters: make(map[verdict.Verdict]prometheus.Counter), late: make(map[probers.Ways]bool)}
	for _, v := range verdict.Possible(self) {
		p.counters[v] = r.verdicts.WithLabelValues(node, zone, family, string(v))
	}
	return p
}

// Judge counts one cycle.
func (p *Peer) Judge(v verdict.Verdict) { p.counters[v].Inc() }

// Delays sets by how much the two directions are slower than they were. It is
// called in every cycle.
func (p *Peer) Delays(c probers.OneWayChange) {
	p.delay(probers.Forward, c.Known, c.Forward)
	p.delay(probers.Reverse, c.Known, c.Reverse)
}

func (p *Peer) delay(way probers.Ways, known bool, excess time.Duration) {
	switch late := known && excess >= leastExcess; {
	case late:
		p.late[way] = true
		p.r.excess.WithLabelValues(p.node, p.family, way.String()).Set(excess.Seconds())
	case p.late[way]:
		delete(p.late, way)
		p.r.excess.DeleteLabelValues(p.node, p.family, way.String())
	}
}

// leastExcess is the delay from which on it is worth a series: less is the
// unrest of any network.
const leastExcess = time.Millisecond

// Forget removes the peer's series.
func (p *Peer) Forget() {
	p.Delays(probers.OneWayChange{})
	p.r.verdicts.DeletePartialMatch(prometheus.Labels{"peer_node": p.node, "peer_zone": p.zone, "family": p.family})
}
