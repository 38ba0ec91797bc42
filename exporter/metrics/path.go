package metrics

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// Paths names what is measured along paths: their hops, where they lose, and
// how large a packet they carry.
type Paths struct {
	sent, lost, changes *prometheus.CounterVec
	rtt, info, begins   *prometheus.GaugeVec
	mtu, blackHole      *prometheus.GaugeVec
	transfer            *prometheus.GaugeVec
}

// NewPaths returns Paths whose metrics are registered with reg.
func NewPaths(reg prometheus.Registerer) *Paths {
	auto := promauto.With(reg)
	peer := []string{"vantage", "peer_node", "family"}
	hop := append(peer[:len(peer):len(peer)], "ttl")
	counter := func(name, help string, labels []string) *prometheus.CounterVec {
		return auto.NewCounterVec(prometheus.CounterOpts{Namespace: "podnet", Subsystem: "path", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels []string) *prometheus.GaugeVec {
		return auto.NewGaugeVec(prometheus.GaugeOpts{Namespace: "podnet", Subsystem: "path", Name: name, Help: help}, labels)
	}
	return &Paths{
		sent: counter("hop_sent_total",
			"Probes with this TTL that have an outcome, over all flows.", hop),
		lost: counter("hop_lost_total",
			"Those without an answer. In the middle of a path that is often the hop's own limit of ICMP errors and no loss; see podnet_path_loss_begins_hop.", hop),
		rtt: gauge("hop_rtt_seconds",
			"Mean round-trip time to the hop over the answers of the latest cycle that it answered in, all flows together. No series: it answered none of the last probes that the judgement of loss looks at.", hop),
		info: gauge("hop_info",
			"1 for each address that answers at the hop now, with its name: a node, the bridge or tunnel of a node, an endpoint pod, a configured router, or the address itself.",
			append(hop[:len(hop):len(hop)], "address", "name")),
		begins: gauge("loss_begins_hop",
			"The hop at which loss begins that lasts to the end of the path, by address and name; the value is the share lost at the end, 0 to 1. No series: no lasting loss, or what is lost is one burst, or nothing has been answered since.",
			append(hop[:len(hop):len(hop)], "address", "name")),
		changes: counter("changes_total",
			"How often a hop of the path became another one, summed over the flows. Packets that take turns between hops are no change.", peer),
		mtu: gauge("mtu_bytes",
			"The largest IP packet that reaches the peer unfragmented, in bytes with its header.", peer),
		blackHole: gauge("mtu_black_hole",
			"1 if larger packets, up to the interface's MTU, vanish and no ICMP error says that they are too large; 0 if they pass or are refused.", peer),
		transfer: gauge("transfer_ok",
			"1 if a TCP transfer of several segments to the peer and back was completed; 0 if two in a row were connected and then stalled: large segments vanish. No series: there was no connection.", peer),
	}
}

// Hops is the series of one path.
type Hops struct {
	p      *Paths
	labels []string // vantage, peer_node, family
	known  []tally  // what was counted so far, by TTL
	change uint64
	gauges map[hopGauge]bool // of the last report
}

// tally is what became of the probes of one hop.
type tally struct {
	sent, lost, received uint64
	took                 time.Duration // all that were received together
	mean                 time.Duration // of those that were new, when there were any last
}

// tallyOf returns the tally of a hop that had an earlier one. A hop answers in
// single cycles only if it limits its ICMP errors.
func tallyOf(h probers.HopReport, before tally) tally {
	t := tally{sent: h.Tried(), lost: h.Lost, received: h.Received, took: h.Sum, mean: before.mean}
	if t.received > before.received {
		t.mean = (t.took - before.took) / time.Duration(t.received-before.received)
	}
	return t
}

// Hops creates the series of a path. They appear hop by hop.
func (p *Paths) Hops(vantage, peer, family string) *Hops {
	labels := []string{vantage, peer, family}
	p.changes.WithLabelValues(labels...)
	return &Hops{p: p, labels: labels}
}

// Report publishes a report, which has counted since the path was made, and the
// hops at which loss begins.
func (p *Hops) Report(r probers.PathReport, begins []probers.LossPoint, name func(netip.Addr) string) {
	// New values first, and then those go that were not among them: a scrape in
	// between must not find a path without hops.
	before := p.gauges
	p.gauges = make(map[hopGauge]bool, len(before))
	for _, h := range r.Hops {
		if h.Tried() == 0 {
			continue
		}
		ttl := append(p.labels[:len(p.labels):len(p.labels)], strconv.Itoa(int(h.TTL)))
		p.count(ttl, h)
		for _, addr := range h.Current {
			p.set(p.p.info, 1, append(ttl[:len(ttl):len(ttl)], addr.String(), name(addr)))
		}
	}
	for _, l := range begins {
		hop := append(p.labels[:len(p.labels):len(p.labels)], strconv.Itoa(int(l.TTL)), addressOf(l.Addr), nameOf(l.Addr, name))
		p.set(p.p.begins, float64(l.Loss.Lost)/float64(max(l.Loss.Tried, 1)), hop)
	}
	for g := range before {
		if !p.gauges[g] {
			g.vec.DeleteLabelValues(g.values()...)
		}
	}
	p.p.changes.WithLabelValues(p.labels...).Add(float64(r.Changes - p.change))
	p.change = r.Changes
}

// hopGauge is a series that one report has and the next may not have.
type hopGauge struct {
	vec    *prometheus.GaugeVec
	labels string // the values, each ended by a byte that is in no text
}

func (g hopGauge) values() []string {
	return strings.Split(strings.TrimSuffix(g.labels, "\xff"), "\xff")
}

// set sets a gauge of the present report.
func (p *Hops) set(vec *prometheus.GaugeVec, value float64, labels []string) {
	vec.WithLabelValues(labels...).Set(value)
	p.gauges[hopGauge{vec, strings.Join(labels, "\xff") + "\xff"}] = true
}

// count adds what is new at a hop. The round-trip time is that of the new
// answers: a mean since the start would hide what is slow now.
func (p *Hops) count(labels []string, h probers.HopReport) {
	for len(p.known) <= int(h.TTL) {
		p.known = append(p.known, tally{})
	}
	before := p.known[h.TTL]
	now := tallyOf(h, before)
	p.p.sent.WithLabelValues(labels...).Add(float64(now.sent - min(before.sent, now.sent)))
	p.p.lost.WithLabelValues(labels...).Add(float64(now.lost - min(before.lost, now.lost)))
	if now.mean > 0 && h.Recent.Lost < h.Recent.Tried {
		p.set(p.p.rtt, now.mean.Seconds(), labels)
	}
	p.known[h.TTL] = now
}

func addressOf(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func nameOf(a netip.Addr, name func(netip.Addr) string) string {
	if !a.IsValid() {
		return ""
	}
	return name(a)
}

func (p *Hops) selector() prometheus.Labels {
	return prometheus.Labels{"vantage": p.labels[0], "peer_node": p.labels[1], "family": p.labels[2]}
}

// Forget removes every series of the path.
func (p *Hops) Forget() {
	for _, vec := range []*prometheus.GaugeVec{p.p.info, p.p.begins, p.p.rtt} {
		vec.DeletePartialMatch(p.selector())
	}
	p.gauges = nil
	for _, vec := range []*prometheus.CounterVec{p.p.sent, p.p.lost, p.p.changes} {
		vec.DeletePartialMatch(p.selector())
	}
}

// PathMTU is the series of one path's MTU.
type PathMTU struct {
	p      *Paths
	labels []string
}

// MTU returns the series of a path MTU. They appear with the first search that
// ends.
func (p *Paths) MTU(vantage, peer, family string) *PathMTU {
	return &PathMTU{p: p, labels: []string{vantage, peer, family}}
}

// Report publishes what a search found. Where not even small packets passed
// there is nothing to say about large ones.
func (m *PathMTU) Report(r probers.PMTUReport) {
	if r.State == probers.PMTUUnknown {
		m.forgetSearch()
		return
	}
	m.p.mtu.WithLabelValues(m.labels...).Set(float64(r.MTU))
	m.p.blackHole.WithLabelValues(m.labels...).Set(boolean(r.State == probers.PMTUBlackHole))
}

// Vanishing publishes that larger packets vanish. How large one may be is not
// known yet.
func (m *PathMTU) Vanishing() {
	m.p.mtu.DeleteLabelValues(m.labels...)
	m.p.blackHole.WithLabelValues(m.labels...).Set(1)
}

// Transfer publishes whether a transfer was completed, or stalled.
func (m *PathMTU) Transfer(ok bool) {
	m.p.transfer.WithLabelValues(m.labels...).Set(boolean(ok))
}

// ForgetTransfer removes what was published of transfers.
func (m *PathMTU) ForgetTransfer() { m.p.transfer.DeleteLabelValues(m.labels...) }

// Forget removes the series.
func (m *PathMTU) Forget() {
	m.forgetSearch()
	m.ForgetTransfer()
}

func (m *PathMTU) forgetSearch() {
	m.p.mtu.DeleteLabelValues(m.labels...)
	m.p.blackHole.DeleteLabelValues(m.labels...)
}
