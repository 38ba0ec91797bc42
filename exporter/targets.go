package main

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
	"github.com/podnet-exporter/podnet_exporter/exporter/mesh"
	"github.com/podnet-exporter/podnet_exporter/exporter/metrics"
	"github.com/podnet-exporter/podnet_exporter/exporter/schedule"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// The values of the labels vantage and target_kind.
const (
	vantageNode = "node"
	vantagePod  = "pod"
	kindNode    = "node"
	kindPod     = "pod"
)

// udpTrain is how many UDP packets follow each other at once: a packet can only
// be overtaken by one that is close behind it. While all is well every second
// time will do.
const udpTrain = 2

// probeKinds is the table of what is sent to every peer: adding a prober is
// one line here.
// UDP is sent only with the cluster's key.
func probeKinds(cfg *config.Config, keyed bool) []probeKind {
	icmp, tcp, udp := cfg.Probes.ICMP, cfg.Probes.TCP, cfg.Probes.UDP
	return []probeKind{
		{probers.ICMP, icmp.Enabled, icmp.Interval, icmp.IntervalOnLoss, icmp.Timeout, 0, icmp.Size, 1, 1, false},
		{probers.TCP, tcp.Enabled, tcp.Interval, tcp.IntervalOnLoss, tcp.Timeout, tcp.Port, 0, 1, 1, false},
		{probers.UDP, udp.Enabled && keyed, udp.Interval, udp.IntervalOnLoss, udp.Timeout, udp.Port, 0, udp.Flows, udpTrain, true},
	}
}

// probeKind is how one kind of probe is sent.
type probeKind struct {
	kind     probers.Kind
	enabled  bool
	interval time.Duration // while all is well
	onLoss   time.Duration // otherwise, if it is shorter
	timeout  time.Duration
	port     uint16 // 0: the probe has none
	size     int    // bytes, 0: the probe's own
	flows    uint16 // that the probes of a target take turns in
	train    int    // probes sent back to back

	// From nodes to nodes and from pods to pods only. From one to the other
	// ICMP and TCP tell the layers apart.
	sameLayer bool
}

// turns returns in how many turns an interval is divided, one of which is enough
// while all is well. No turn is shorter than the interval on loss, or ends before
// the probe has.
func (k probeKind) turns() int { return max(int(k.interval/max(k.onLoss, k.timeout+1)), 1) }

// turn returns how long a turn is.
func (k probeKind) turn() time.Duration { return k.interval / time.Duration(k.turns()) }

// meshTarget is one thing that is to be probed.
type meshTarget struct {
	vantage string
	peer    peerKey
	at      place
	path    metrics.Path
	probe   probeKind
	addr    netip.AddrPort
	answers uint64 // the identity of who is to answer
}

// meshTargets returns what this node probes: every chosen peer and itself, at
// both its addresses, from both vantages, by every probe, in both families.
func meshTargets(cfg *config.Config, keyed bool, nodes []*discovery.Node) []meshTarget {
	var targets []meshTarget
	kinds, zoneOf := probeKinds(cfg, keyed), rttZones(cfg.Node, nodes)
	for _, node := range nodes {
		for _, to := range []struct {
			kind  string
			addrs []netip.Addr
		}{{kindNode, node.Addresses}, {kindPod, node.Endpoint.Addresses}} {
			for _, addr := range to.addrs {
				for _, vantage := range []string{vantageNode, vantagePod} {
					targets = append(targets, addressTargets(kinds, node, zoneOf(node), vantage, to.kind, addr)...)
				}
			}
		}
	}
	return targets
}

// addressTargets returns the probes from one vantage to one address.
func addressTargets(kinds []probeKind, node *discovery.Node, zone, vantage, targetKind string, addr netip.Addr) []meshTarget {
	var targets []meshTarget
	peer := peerKey{node: node.Name, zone: node.Zone, family: family(addr)}
	for _, k := range kinds {
		if !k.enabled || k.sameLayer && vantage != targetKind {
			continue
		}
		to := netip.AddrPortFrom(addr, k.port)
		label := addr.String()
		if k.port != 0 {
			label = to.String()
		}
		targets = append(targets, meshTarget{
			vantage: vantage,
			peer:    peer,
			at:      place{vantage, targetKind, k.kind},
			probe:   k,
			addr:    to,
			answers: identity(node, targetKind),
			path: metrics.Path{
				Probe: k.kind.String(), Vantage: vantage, TargetKind: targetKind, Target: label,
				PeerNode: node.Name, PeerZone: zone, Family: peer.family,
			},
		})
	}
	return targets
}

// maxRTTZones is how many zones have histograms of round-trip times of their
// own. A histogram has ten series.
const maxRTTZones = 3

// keep returns for how long what a probe ended with says something: until the
// next one has ended.
func (t meshTarget) keep() time.Duration { return 2*t.probe.interval + t.probe.timeout }

// rttZones returns how the histograms of round-trip times call the zone of a
// probed node.
func rttZones(self string, nodes []*discovery.Node) func(*discovery.Node) string {
	zones := make(map[string]bool)
	own := ""
	for _, n := range nodes {
		zones[n.Zone] = true
		if n.Name == self {
			own = n.Zone
		}
	}
	return func(n *discovery.Node) string {
		if len(zones) > maxRTTZones && n.Zone != own {
			return "other"
		}
		return n.Zone
	}
}

// scheduled returns the target as the loop wants it.
func (t meshTarget) scheduled(s schedule.Sink) schedule.Target {
	return schedule.Target{
		Key:      t.path.Probe + " " + t.path.Vantage + " " + t.path.Target,
		Interval: t.probe.turn(),
		Spare:    t.probe.turns() - 1,
		Flows:    t.probe.flows,
		Train:    t.probe.train,
		Probe: probers.Probe{
			Kind: t.probe.kind, To: t.addr, Timeout: t.probe.timeout, Size: t.probe.size, Identity: t.answers,
		},
		Sink: s,
	}
}

// identity returns who says to be at a node's host or pod address.
func identity(node *discovery.Node, targetKind string) uint64 {
	if targetKind == kindPod {
		return probers.UDPIdentity(node.Name, node.Endpoint.Namespace, node.Endpoint.Name)
	}
	return probers.UDPIdentity(node.Name, "", "")
}

// family returns the value of the label family.
func family(addr netip.Addr) string {
	if addr.Is4() {
		return "ipv4"
	}
	return "ipv6"
}

// sink takes one target's results to its series and to the board.
type sink struct {
	board     *board
	peer      *peerState // on the board
	target    *metrics.Target
	vantage   *vantage
	announced *announced
	node      string // of the peer
	at        place
	keep      time.Duration // how long an outcome is valid
}

// Calm implements [schedule.Sink].
func (s *sink) Calm(now time.Time) bool { return s.board.calm(s.peer, now) }

// Sent implements [schedule.Sink].
func (s *sink) Sent(now time.Time, delay time.Duration) {
	s.target.Sent()
	s.vantage.sent(now, delay)
}

// Result implements [schedule.Sink].
func (s *sink) Result(res probers.Result) {
	reason := s.target.Record(res)
	now := time.Now()
	if res.Event == probers.Duplicate || res.Reordered != 0 {
		s.board.trouble(s.peer, now)
	}
	if res.Event != probers.Done {
		return
	}
	if reason == probers.Impaired {
		s.vantage.probed(now, 0, 1)
	}
	if s.at == (place{vantageNode, kindNode, probers.UDP}) && reason == probers.OK {
		s.board.noteOneWay(s.peer, res.OneWay, now)
		s.announced.note(s.node, res.State)
	}
	s.board.note(s.peer, s.at, reason, res.RTT, now, s.keep)
}

// chosen returns the nodes that this one probes, itself first among them.
func chosen(cfg *config.Config, all []*discovery.Node, chooser *mesh.Chooser) []*discovery.Node {
	var nodes []*discovery.Node
	if i, found := slices.BinarySearchFunc(all, chooser.Self, byName); found {
		nodes = append(nodes, all[i])
	}
	return append(nodes, chooser.Choose(all, cfg.Mesh)...)
}

// byName compares nodes for lists that are sorted by name.
func byName(n *discovery.Node, name string) int { return cmp.Compare(n.Name, name) }

// peerStates returns how many of the probed nodes besides this one are in each
// state, and how many of all are not probed.
func peerStates(self string, probed []*discovery.Node, all int) map[string]int {
	states := map[string]int{"unprobed": all - len(probed)}
	for _, s := range []discovery.State{discovery.Ready, discovery.NotReady, discovery.Cordoned, discovery.Draining} {
		states[string(s)] = 0
	}
	for _, n := range probed {
		if n.Name != self {
			states[string(n.State)]++
		}
	}
	return states
}
