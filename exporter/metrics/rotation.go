package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/podnet-exporter/podnet_exporter/exporter/verdict"
)

// The values of the label result of podnet_rotation_visits_total.
const (
	VisitOK       = "ok"
	VisitFailed   = "failed"
	VisitExpected = "expected_down"
	VisitUnknown  = "unknown" // the prober was impaired
)

// Rotation names what comes of visiting, one after the other, the nodes that
// are not this node's peers. The visited have no series of their own, unless
// they do not answer.
type Rotation struct {
	visits      *prometheus.CounterVec
	nodes       prometheus.Gauge
	round       prometheus.Gauge
	unreachable *prometheus.GaugeVec
}

// NewRotation returns a Rotation whose metrics are registered with reg.
func NewRotation(reg prometheus.Registerer) *Rotation {
	auto := promauto.With(reg)
	gauge := func(name, help string) prometheus.Gauge {
		return auto.NewGauge(prometheus.GaugeOpts{Namespace: "podnet", Subsystem: "rotation", Name: name, Help: help})
	}
	r := &Rotation{
		visits: auto.NewCounterVec(prometheus.CounterOpts{
			Namespace: "podnet", Subsystem: "rotation", Name: "visits_total",
			Help: "Visits to nodes that are not probed all the time, by their result: ok, failed (see podnet_rotation_unreachable), expected_down (known to be going away or not yet up) or unknown (the prober was impaired).",
		}, []string{"result"}),
		nodes: gauge("nodes", "Nodes of the mesh that this agent visits one after the other. 0: it probes all of them all the time."),
		round: gauge("round_seconds", "Time until each of them has been visited."),
		unreachable: auto.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "podnet", Subsystem: "rotation", Name: "unreachable",
			Help: "1 for a visited node that did not answer as it should, with what was found. The agent keeps probing it, and the series stays until it answers. There are at most four nodes; further ones are only counted in podnet_rotation_visits_total.",
		}, []string{"peer_node", "peer_zone", "family", "verdict"}),
	}
	for _, result := range []string{VisitOK, VisitFailed, VisitExpected, VisitUnknown} {
		r.visits.WithLabelValues(result)
	}
	return r
}

// Visited counts a visit.
func (r *Rotation) Visited(result string) { r.visits.WithLabelValues(result).Inc() }

// Round sets how many nodes are visited in a round, and how long that takes.
func (r *Rotation) Round(nodes int, seconds float64) {
	r.nodes.Set(float64(nodes))
	r.round.Set(seconds)
}

// Unreachable sets what is found of a visited node in a family. OK removes it.
func (r *Rotation) Unreachable(node, zone, family string, v verdict.Verdict) {
	labels := prometheus.Labels{"peer_node": node, "peer_zone": zone, "family": family}
	if v != verdict.OK {
		r.unreachable.WithLabelValues(node, zone, family, string(v)).Set(1)
	}
	for _, other := range verdict.All() {
		if other != v || v == verdict.OK {
			labels["verdict"] = string(other)
			r.unreachable.Delete(labels)
		}
	}
}
