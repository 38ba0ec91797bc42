package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Prober says how well the agent itself keeps up, so that its own trouble is
// never read as the network's.
type Prober struct {
	delay    *prometheus.HistogramVec
	skipped  *prometheus.CounterVec
	drops    *prometheus.CounterVec
	vantage  *prometheus.GaugeVec
	impaired *prometheus.GaugeVec
	peers    *prometheus.GaugeVec
	zones    *prometheus.GaugeVec
	key      prometheus.Gauge
}

// NewProber returns a Prober whose metrics are registered with reg.
func NewProber(reg prometheus.Registerer) *Prober {
	auto := promauto.With(reg)
	byVantage := []string{"vantage"}
	return &Prober{
		delay: auto.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "podnet", Subsystem: "prober", Name: "delay_seconds",
			Help:    "How much later than planned probes were sent: the prober's own scheduling delay, never part of an RTT.",
			Buckets: []float64{1e-3, 5e-3, 20e-3, 50e-3, 100e-3, 500e-3},
		}, byVantage),
		skipped: auto.NewCounterVec(prometheus.CounterOpts{
			Namespace: "podnet", Subsystem: "prober", Name: "skipped_total",
			Help: "Probes that were not sent because the prober was stopped or starved when they were due. Nothing is caught up.",
		}, byVantage),
		drops: auto.NewCounterVec(prometheus.CounterOpts{
			Namespace: "podnet", Subsystem: "prober", Name: "socket_drops_total",
			Help: "Replies that the kernel dropped because the prober's own socket buffer was full.",
		}, byVantage),
		vantage: auto.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "podnet", Subsystem: "prober", Name: "vantage_up",
			Help: "1 if probes are sent from the vantage, 0 if its network namespace is gone or can not be entered.",
		}, byVantage),
		impaired: auto.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "podnet", Subsystem: "prober", Name: "impaired",
			Help: "1 if the prober sent late, skipped or lost by itself more than 1 % of its probes in the last 8 seconds, so that its failures say nothing about the network.",
		}, byVantage),
		peers: auto.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "podnet", Name: "peers",
			Help: "Nodes of the mesh that this agent probes, by what discovery knows of them; state unprobed counts those that others probe.",
		}, []string{"state"}),
		zones: auto.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "podnet", Subsystem: "peer", Name: "info",
			Help: "1 for every node that this agent probes. zones: this node's zone and the peer's, sorted and joined by a dash; empty if it is one zone, or one is not known.",
		}, []string{"peer_node", "zones"}),
		key: auto.NewGauge(prometheus.GaugeOpts{
			Namespace: "podnet", Subsystem: "prober", Name: "key_loaded",
			Help: "1 if the agent has the cluster's key, 0 if there is none or its file cannot be read: UDP is then neither probed nor answered.",
		}),
	}
}

// Vantage is the prober's series of one vantage.
type Vantage struct {
	delay          prometheus.Observer
	skipped, drops prometheus.Counter
	up, impaired   prometheus.Gauge
}

// Vantage creates the series of a vantage at zero.
func (p *Prober) Vantage(name string) *Vantage {
	return &Vantage{
		delay:    p.delay.WithLabelValues(name),
		skipped:  p.skipped.WithLabelValues(name),
		drops:    p.drops.WithLabelValues(name),
		up:       p.vantage.WithLabelValues(name),
		impaired: p.impaired.WithLabelValues(name),
	}
}

// Forget removes the series of a vantage.
func (p *Prober) Forget(name string) {
	for _, vec := range []interface{ DeleteLabelValues(...string) bool }{p.delay, p.skipped, p.drops, p.vantage, p.impaired} {
		vec.DeleteLabelValues(name)
	}
}

// Delay records how late a probe was sent.
func (v *Vantage) Delay(d time.Duration) { v.delay.Observe(max(d, 0).Seconds()) }

// Skipped counts probes that were not sent.
func (v *Vantage) Skipped(n uint64) { v.skipped.Add(float64(n)) }

// SocketDrops counts replies that overflowed the socket.
func (v *Vantage) SocketDrops(n uint64) { v.drops.Add(float64(n)) }

// Up says whether the vantage can be probed from.
func (v *Vantage) Up(up bool) { v.up.Set(boolean(up)) }

// Impaired says whether the prober has lately been its own problem.
func (v *Vantage) Impaired(is bool) { v.impaired.Set(boolean(is)) }

// Key says whether there is a key for UDP.
func (p *Prober) Key(loaded bool) { p.key.Set(boolean(loaded)) }

// Peers sets how many peers are in each state.
func (p *Prober) Peers(states map[string]int) {
	p.peers.Reset()
	for state, n := range states {
		p.peers.WithLabelValues(state).Set(float64(n))
	}
}

// Zones sets which peers there are and in which zones the pair is.
func (p *Prober) Zones(zones map[string]string) {
	p.zones.Reset()
	for peer, pair := range zones {
		p.zones.WithLabelValues(peer, pair).Set(1)
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
