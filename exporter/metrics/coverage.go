package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Coverage names by whom this node is probed.
type Coverage struct {
	probedBy *prometheus.GaugeVec // without labels: it may have no series
}

// NewCoverage returns a Coverage whose metrics are registered with reg.
func NewCoverage(reg prometheus.Registerer) *Coverage {
	return &Coverage{probedBy: promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "podnet", Subsystem: "coverage", Name: "probed_by",
		Help: "Other nodes of the mesh that probed this one within the last minute, as its responder saw them: by UDP with the cluster's key, or by TCP. In a mesh that works it is all others, or at least eight. No series without a responder.",
	}, nil)}
}

// ProbedBy sets by how many other nodes this one was probed.
func (c *Coverage) ProbedBy(nodes int) { c.probedBy.WithLabelValues().Set(float64(nodes)) }

// Unknown removes the series.
func (c *Coverage) Unknown() { c.probedBy.Reset() }
