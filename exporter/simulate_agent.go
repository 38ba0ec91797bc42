package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
	"github.com/podnet-exporter/podnet_exporter/exporter/metrics"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// imagined is a cluster that exists only in a snapshot.
type imagined struct {
	nodes, zones int
	dual         bool // both address families
}

// node returns a node of the cluster by its number.
func (c imagined) node(i int) *discovery.Node {
	addresses := func(network byte) []netip.Addr {
		all := []netip.Addr{netip.AddrFrom4([4]byte{10, network, byte(i >> 8), byte(i)})}
		if c.dual {
			all = append(all, netip.AddrFrom16([16]byte{0: 0xfd, 1: network, 14: byte(i >> 8), 15: byte(i)}))
		}
		return all
	}
	return &discovery.Node{
		Name:      fmt.Sprintf("ip-10-0-%03d-%03d.internal", i/256, i%256),
		Zone:      fmt.Sprintf("zone-%02d", i%c.zones),
		State:     discovery.Ready,
		Addresses: addresses(0),
		Endpoint: discovery.Endpoint{
			Pod:       discovery.Pod{Namespace: "podnet", Name: fmt.Sprintf("podnet-endpoint-%05d", i)},
			Addresses: addresses(128),
		},
	}
}

// snapshot returns the whole cluster.
func (c imagined) snapshot() discovery.Snapshot {
	nodes := make([]*discovery.Node, c.nodes)
	for i := range nodes {
		nodes[i] = c.node(i)
	}
	return discovery.Snapshot{Nodes: nodes}
}

// dryAgent is an agent at default settings as it is on the first node of the
// cluster, all of it but its sockets: nothing is sent, and no kernel is read.
func dryAgent(s discovery.Snapshot, reg *prometheus.Registry) *agent {
	cfg := dryAgentConfig(s.Nodes[0].Name)
	registerProcess(reg)
	a := newAgent(cfg, "", reg, slog.New(slog.DiscardHandler))
	a.key = []byte("imagined") // so that there are UDP probes
	a.snapshot, a.found = s, true
	a.apply()
	return a
}

// dryAgentConfig returns the default settings.
func dryAgentConfig(node string) *config.Config {
	cfg := config.Default()
	cfg.Node = node
	return cfg
}

// report publishes what an agent has to say once every probe was answered and
// every path measured: paths of so many hops, one of which has two addresses.
func (a *agent) report(hops int) {
	for _, s := range a.targets {
		s.target.Sent()
		s.target.Record(probers.Result{Event: probers.Done, Reason: probers.OK, RTT: time.Millisecond})
	}
	for _, c := range a.measuring {
		switch c := c.(type) {
		case *pathCourse:
			c.series.Report(imaginedPath(hops), nil, a.names.name)
		case *mtuCourse:
			c.series.Report(probers.PMTUReport{State: probers.PMTUFull, MTU: 1450})
			c.series.Transfer(true)
		}
	}
	a.board.judge(time.Now())
}

// imaginedPath returns the report of a path on which everybody answers.
func imaginedPath(hops int) probers.PathReport {
	var r probers.PathReport
	for ttl := range hops {
		h := probers.HopReport{
			TTL: uint8(ttl + 1), Tally: probers.Tally{Sent: 4, Received: 4}, Sum: 4 * time.Millisecond,
			Recent:  probers.Loss{Tried: 4},
			Current: []netip.Addr{netip.AddrFrom4([4]byte{172, 16, byte(ttl), 1})},
		}
		if ttl == 1 {
			h.Current = append(h.Current, netip.AddrFrom4([4]byte{172, 16, byte(ttl), 2}))
		}
		r.Hops = append(r.Hops, h)
	}
	return r
}

// seriesOf returns how many series a scrape makes, by metric and together, as
// podnet_series counts them.
func seriesOf(reg prometheus.Gatherer) (byMetric map[string]int, total int, err error) {
	families, err := metrics.Counted(reg, nil).Gather()
	if err != nil {
		return nil, 0, err
	}
	byMetric = make(map[string]int)
	for _, f := range families {
		byMetric[f.GetName()] = metrics.Series(f)
		total += metrics.Series(f)
	}
	return byMetric, total, nil
}
