package main

import (
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
	"github.com/podnet-exporter/podnet_exporter/exporter/mesh"
	"github.com/podnet-exporter/podnet_exporter/exporter/metrics"
	"github.com/podnet-exporter/podnet_exporter/exporter/schedule"
	"github.com/podnet-exporter/podnet_exporter/exporter/verdict"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// maxHeld is how many nodes that failed their visit are probed on until they
// answer. Whoever sees more fail is likely cut off itself, and its peers say so.
const maxHeld = 4

// rotation visits the nodes that are not this node's peers, one after the
// other. It belongs to the agent's goroutine, but for what probes end with.
type rotation struct {
	series *metrics.Rotation
	board  *board
	log    *slog.Logger

	self   string
	nodes  []*discovery.Node // of the mesh; another list is another mesh
	peers  map[string]bool   // probed anyway
	order  mesh.Rotation
	sorted bool // order is that of nodes

	number int64             // of the present visit
	now    *visit            // nil: nobody
	held   map[string]*visit // failed, by node
}

// visit is a node that is visited.
type visit struct {
	node *discovery.Node

	mu       sync.Mutex
	families map[string]*peerState
}

func newRotation(series *metrics.Rotation, b *board, log *slog.Logger) *rotation {
	return &rotation{series: series, board: b, log: log, held: make(map[string]*visit)}
}

// set takes another mesh, and whom this node probes all the time. It reports
// whether a visit ended by that.
func (r *rotation) set(self string, nodes, probed []*discovery.Node) (ended bool) {
	r.order, r.sorted = r.order.Over(nodes)
	r.self, r.nodes = self, nodes
	r.peers = make(map[string]bool, len(probed))
	for _, n := range probed {
		r.peers[n.Name] = true
	}
	all := discovery.Snapshot{Nodes: nodes}
	goesOn := func(v *visit) bool {
		node, there := all.Node(v.node.Name)
		return there && !r.peers[node.Name] && v.follow(node)
	}
	for _, v := range r.held {
		if !goesOn(v) {
			r.release(v)
			ended = true
		}
	}
	if r.now != nil && !goesOn(r.now) {
		r.now = nil
		ended = true
	}
	return ended
}

// follow takes what is known of the node now. It is false if the node has other
// addresses: what it was probed at says nothing any more.
func (v *visit) follow(node *discovery.Node) bool {
	if !sameAddresses(v.node, node) {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.node = node
	return true
}

// next ends the visit whose time is over and begins the one of now. It reports
// whether other nodes are to be probed than before.
func (r *rotation) next(cfg *config.Config, now time.Time) bool {
	took := visitTime(cfg)
	if took == 0 {
		changed := r.now != nil || len(r.held) > 0
		r.end()
		r.series.Round(0, 0)
		return changed
	}
	number := mesh.Number(now, took)
	if number == r.number {
		return false
	}
	changed := r.now != nil
	r.judge(now)
	if !r.sorted {
		r.order, r.sorted = mesh.NewRotation(r.self, r.nodes), true
	}
	round := r.order.Round()
	if len(r.nodes)-1 <= len(r.peers) {
		round = 0 // a full mesh
	}
	r.series.Round(round, float64(round)*took.Seconds())
	r.number, r.now = number, nil
	node, ok := r.order.Visit(number)
	if !ok || round == 0 || r.peers[node.Name] || r.held[node.Name] != nil {
		return changed
	}
	r.now = newVisit(node)
	return true
}

// end stops visiting.
func (r *rotation) end() {
	r.now = nil
	for _, v := range r.held {
		r.release(v)
	}
}

func newVisit(node *discovery.Node) *visit {
	v := &visit{node: node, families: make(map[string]*peerState)}
	for _, list := range [][]netip.Addr{node.Addresses, node.Endpoint.Addresses} {
		for _, addr := range list {
			v.families[family(addr)] = &peerState{}
		}
	}
	return v
}

// judge says what came of the visit, and of those to the nodes that failed
// before.
func (r *rotation) judge(now time.Time) {
	isolated := r.board.isolated(now)
	for _, v := range r.held {
		if result := r.publish(v, v.verdicts(now, isolated)); result == metrics.VisitOK {
			r.release(v)
		}
	}
	if r.now == nil {
		return
	}
	verdicts := r.now.verdicts(now, isolated)
	result := resultOf(verdicts)
	r.series.Visited(result)
	if result == metrics.VisitFailed && len(r.held) < maxHeld {
		r.held[r.now.node.Name] = r.now
		r.publish(r.now, verdicts)
		r.log.Warn("a node that is not one of this node's peers did not answer its visit, probing on until it does",
			"peer", r.now.node.Name, "verdicts", verdicts)
	}
}

// publish sets the series of a node that failed, and returns the result. While
// the prober is impaired they stay.
func (r *rotation) publish(v *visit, verdicts map[string]verdict.Verdict) string {
	for family, is := range verdicts {
		switch resultOf(map[string]verdict.Verdict{family: is}) {
		case metrics.VisitUnknown:
			continue
		case metrics.VisitOK, metrics.VisitExpected:
			is = verdict.OK
		}
		r.series.Unreachable(v.node.Name, v.node.Zone, family, is)
	}
	return resultOf(verdicts)
}

// release ends the probing of a node that failed before.
func (r *rotation) release(v *visit) {
	delete(r.held, v.node.Name)
	for family := range v.families {
		r.series.Unreachable(v.node.Name, v.node.Zone, family, verdict.OK)
	}
	r.log.Info("a node that did not answer its visit is not probed any more: it answers, is gone, or has become a peer", "peer", v.node.Name)
}

// resultOf returns the result of a visit with these verdicts, the worst of them.
func resultOf(verdicts map[string]verdict.Verdict) string {
	result := metrics.VisitOK
	for _, v := range verdicts {
		switch v {
		case verdict.OK, verdict.Lossy, verdict.Slow:
		case verdict.Impaired:
			if result == metrics.VisitOK {
				result = metrics.VisitUnknown
			}
		case verdict.ExpectedDown:
			if result != metrics.VisitFailed {
				result = metrics.VisitExpected
			}
		default:
			result = metrics.VisitFailed
		}
	}
	return result
}

// verdicts returns what the probes of each family say together.
func (v *visit) verdicts(now time.Time, isolated map[string]bool) map[string]verdict.Verdict {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := make(map[string]verdict.Verdict, len(v.families))
	for family, p := range v.families {
		p.state = v.node.State
		c := p.cycle(now)
		c.PodIsolated = isolated[family]
		all[family] = verdict.Of(c)
	}
	return all
}

// targets returns the probes of the present visits, by vantage.
func (r *rotation) targets(cfg *config.Config, vantages map[string]*vantage) map[string][]schedule.Target {
	byVantage := make(map[string][]schedule.Target)
	add := func(v *visit) {
		for _, t := range meshTargets(cfg, false, []*discovery.Node{v.node}) {
			s := &visitSink{visit: v, vantage: vantages[t.vantage], target: t}
			scheduled := t.scheduled(s)
			scheduled.Key = "visit " + scheduled.Key
			byVantage[t.vantage] = append(byVantage[t.vantage], scheduled)
		}
	}
	for _, v := range r.held {
		add(v)
	}
	if r.now != nil {
		add(r.now)
	}
	return byVantage
}

// visitSink takes the results of one target of a visit.
type visitSink struct {
	visit   *visit
	vantage *vantage
	target  meshTarget
}

// Calm implements [schedule.Sink]. A visit is short: what has not answered yet
// has nothing to spare.
func (s *visitSink) Calm(time.Time) bool {
	s.visit.mu.Lock()
	defer s.visit.mu.Unlock()
	return s.visit.families[s.target.peer.family].cells.at(s.target.at).outcome == verdict.Answer
}

// Sent implements [schedule.Sink].
func (s *visitSink) Sent(now time.Time, delay time.Duration) { s.vantage.sent(now, delay) }

// Result implements [schedule.Sink].
func (s *visitSink) Result(res probers.Result) {
	if res.Event != probers.Done {
		return
	}
	now, reason := time.Now(), metrics.ReasonOf(res)
	if reason == probers.Impaired {
		s.vantage.probed(now, 0, 1)
	}
	s.visit.mu.Lock()
	defer s.visit.mu.Unlock()
	s.visit.families[s.target.peer.family].note(s.target.at, reason, res.RTT, now, s.target.keep())
}

// visitTime returns how long a visit takes: long enough to lose two probes of a
// kind in a row. It is the same on all nodes. 0: there are none.
func visitTime(cfg *config.Config) time.Duration {
	took := cfg.Mesh.Visit
	if took == 0 {
		return 0
	}
	for _, k := range probeKinds(cfg, false) {
		if k.enabled {
			took = max(took, 3*k.turn()+k.timeout)
		}
	}
	return took
}

// sameAddresses reports whether a node is probed at the same addresses.
func sameAddresses(a, b *discovery.Node) bool {
	return slices.Equal(a.Addresses, b.Addresses) && slices.Equal(a.Endpoint.Addresses, b.Endpoint.Addresses)
}
