package main

import (
	"net/netip"
	"slices"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
	"github.com/podnet-exporter/podnet_exporter/exporter/mesh"
	"github.com/podnet-exporter/podnet_exporter/exporter/schedule"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// courseKey is what a course measures. Equal keys are the same course.
type courseKey struct {
	probe   string // path, pmtu
	vantage string
	peer    peerKey
	addr    netip.AddrPort
	config  any // the section of the configuration
}

// course is a measurement that takes several turns, and its series.
type course interface {
	schedule.Course
	schedule.Sink
	forget()
}

// courses returns what is measured along the paths to the chosen nodes: from
// this node to theirs, and from this node's pod to theirs. Paths to some of them
// are enough: every node is measured by as many others as it measures.
func (a *agent) courses(nodes []*discovery.Node) []courseKey {
	others := slices.DeleteFunc(slices.Clone(nodes), func(n *discovery.Node) bool { return n.Name == a.node })
	var keys []courseKey
	if cfg := a.cfg.Probes.Path; cfg.Enabled {
		keys = courseKeys(keys, "path", mesh.Nearest(a.node, others, cfg.Peers), a.cfg.Probes.UDP.Port, cfg)
	}
	if cfg := a.cfg.Probes.PMTU; cfg.Enabled {
		keys = courseKeys(keys, "pmtu", mesh.Nearest(a.node, others, cfg.Peers), a.transferPort(), cfg)
	}
	return keys
}

// courseKeys appends the courses of one kind to both addresses of the nodes.
func courseKeys(keys []courseKey, probe string, nodes []*discovery.Node, port uint16, config any) []courseKey {
	for _, n := range nodes {
		for vantage, addrs := range map[string][]netip.Addr{vantageNode: n.Addresses, vantagePod: n.Endpoint.Addresses} {
			for _, addr := range addrs {
				peer := peerKey{n.Name, n.Zone, family(addr)}
				keys = append(keys, courseKey{probe, vantage, peer, netip.AddrPortFrom(addr, port), config})
			}
		}
	}
	return keys
}

// newCourse returns the measurement of a key.
func (a *agent) newCourse(k courseKey) course {
	v := a.vantages[k.vantage]
	if k.probe == "pmtu" {
		return newMTUCourse(k, a.cfg.Probes.PMTU, a.paths.MTU(k.vantage, k.peer.node, k.peer.family), v, a.board)
	}
	return newPathCourse(k, a.cfg.Probes.Path, a.pathKind(), pathOutside{
		series: a.paths.Hops(k.vantage, k.peer.node, k.peer.family), vantage: v, board: a.board, names: a.names.name,
	})
}

// pathKind returns how hops are probed.
func (a *agent) pathKind() probers.Kind {
	switch p := a.cfg.Probes.Path.Protocol; {
	case p == "tcp":
		return probers.TraceTCP
	case p == "udp" && len(a.key) > 0:
		return probers.UDP
	}
	return probers.ICMP
}

// scheduled returns a course as the loop wants it.
func (k courseKey) scheduled(c course) schedule.Target {
	t := schedule.Target{Key: k.probe + " " + k.vantage + " " + k.addr.String(), Course: c, Sink: c}
	switch cfg := k.config.(type) {
	case config.PathProbe:
		t.Interval = pathTurn(cfg)
	case config.PMTUProbe:
		t.Interval = mtuTurn(cfg)
	}
	return t
}
