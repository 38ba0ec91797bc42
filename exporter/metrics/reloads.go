package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Reloads says whether the configuration on disk is the one that runs.
type Reloads struct {
	ok   prometheus.Gauge
	last prometheus.Gauge
}

// NewReloads returns Reloads for a configuration that was loaded just now,
// whose metrics are registered with reg.
func NewReloads(reg prometheus.Registerer) *Reloads {
	auto := promauto.With(reg)
	r := &Reloads{
		ok: auto.NewGauge(prometheus.GaugeOpts{
			Namespace: "podnet", Name: "config_last_reload_successful",
			Help: "1 if the last reading of the configuration succeeded, 0 if it was refused and an older one runs.",
		}),
		last: auto.NewGauge(prometheus.GaugeOpts{
			Namespace: "podnet", Name: "config_last_reload_success_timestamp_seconds",
			Help: "When the running configuration was read, in seconds since 1970.",
		}),
	}
	r.Done(true, time.Now())
	return r
}

// Done notes a reading of the configuration.
func (r *Reloads) Done(ok bool, now time.Time) {
	r.ok.Set(boolean(ok))
	if ok {
		r.last.Set(float64(now.UnixNano()) / 1e9)
	}
}
