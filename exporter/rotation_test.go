package main

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
	"github.com/podnet-exporter/podnet_exporter/exporter/mesh"
	"github.com/podnet-exporter/podnet_exporter/exporter/metrics"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// rotationTest is the rotation of the first node of a cluster, whose probes end
// as the test says.
type rotationTest struct {
	*rotation
	cfg   *config.Config
	reg   *prometheus.Registry
	nodes []*discovery.Node
	at    time.Time
}

func newRotationTest(t *testing.T, nodes int) *rotationTest {
	t.Helper()
	r := &rotationTest{
		cfg: config.Default(), reg: prometheus.NewRegistry(),
		nodes: imagined{nodes: nodes, zones: 3, dual: true}.snapshot().Nodes, at: now,
	}
	r.cfg.Node = r.nodes[0].Name
	r.rotation = newRotation(metrics.NewRotation(r.reg), newTestBoard(), slog.New(slog.DiscardHandler))
	r.take()
	return r
}

// take gives the rotation the nodes as they are.
func (r *rotationTest) take() {
	r.set(r.cfg.Node, r.nodes, chosen(r.cfg, r.nodes, &mesh.Chooser{Self: r.cfg.Node}))
}

// visit goes on to the next visit in which somebody is visited.
func (r *rotationTest) visit(t *testing.T) *visit {
	t.Helper()
	for range len(r.nodes) {
		r.next(r.cfg, r.at)
		if r.now != nil {
			return r.now
		}
		r.at = r.at.Add(visitTime(r.cfg))
	}
	t.Fatal("nobody is visited")
	return nil
}

// end ends the visits, whose probes all ended like this.
func (r *rotationTest) end(reason probers.Reason, visits ...*visit) {
	r.at = r.at.Add(visitTime(r.cfg))
	vantages := map[string]*vantage{}
	for _, scheduled := range r.targets(r.cfg, vantages) {
		for _, target := range scheduled {
			s := target.Sink.(*visitSink)
			for _, v := range visits {
				if s.visit == v {
					for range 2 {
						v.families[s.target.peer.family].note(s.target.at, reason, time.Millisecond, r.at, s.target.keep())
					}
				}
			}
		}
	}
	r.next(r.cfg, r.at)
}

func TestAVisitedNodeThatDoesNotAnswerIsNamedUntilItDoes(t *testing.T) {
	r := newRotationTest(t, 40)
	failed := r.visit(t)
	if n := testutil.CollectAndCount(r.reg, "podnet_rotation_unreachable"); n != 0 {
		t.Fatalf("%d nodes are unreachable before anybody was visited", n)
	}
	r.end(probers.Timeout, failed)
	want := `
# HELP podnet_rotation_unreachable 1 for a visited node that did not answer as it should, with what was found. The agent keeps probing it, and the series stays until it answers. There are at most four nodes; further ones are only counted in podnet_rotation_visits_total.
# TYPE podnet_rotation_unreachable gauge
podnet_rotation_unreachable{family="ipv4",peer_node="NODE",peer_zone="ZONE",verdict="node_unreachable"} 1
podnet_rotation_unreachable{family="ipv6",peer_node="NODE",peer_zone="ZONE",verdict="node_unreachable"} 1
# HELP podnet_rotation_visits_total Visits to nodes that are not probed all the time, by their result: ok, failed (see podnet_rotation_unreachable), expected_down (known to be going away or not yet up) or unknown (the prober was impaired).
# TYPE podnet_rotation_visits_total counter
podnet_rotation_visits_total{result="expected_down"} 0
podnet_rotation_visits_total{result="failed"} 1
podnet_rotation_visits_total{result="ok"} 0
podnet_rotation_visits_total{result="unknown"} 0
`
	want = strings.NewReplacer("NODE", failed.node.Name, "ZONE", failed.node.Zone).Replace(want)
	if err := testutil.GatherAndCompare(r.reg, strings.NewReader(want), "podnet_rotation_unreachable", "podnet_rotation_visits_total"); err != nil {
		t.Error(err)
	}
	second := r.visit(t)
	if second == failed {
		t.Fatal("the next visit is to the same node")
	}
	if targets := r.targets(r.cfg, map[string]*vantage{}); len(targets[vantageNode]) != 2*2*4 {
		t.Errorf("%d targets from the node; want ICMP and TCP in two families to both addresses of both nodes", len(targets[vantageNode]))
	}
	r.end(probers.OK, failed, second)
	if n := testutil.CollectAndCount(r.reg, "podnet_rotation_unreachable"); n != 0 || len(r.held) != 0 {
		t.Errorf("%d series and %d nodes after it answered; want none", n, len(r.held))
	}
	if n := value(t, r.reg, "podnet_rotation_visits_total", prometheus.Labels{"result": "ok"}); n != 1 {
		t.Errorf("%v good visits; want 1", n)
	}
}

// A visit is over soon, so only what has answered in it may leave turns out.
func TestAVisitSparesTurnsOnceItIsAnswered(t *testing.T) {
	r := newRotationTest(t, 40)
	v := r.visit(t)
	for _, target := range r.targets(r.cfg, map[string]*vantage{})[vantagePod] {
		s := target.Sink.(*visitSink)
		if target.Spare == 0 || s.Calm(r.at) {
			t.Fatalf("%s: %d spare turns, and calm before it answered: %v", target.Key, target.Spare, s.Calm(r.at))
		}
		for _, reason := range []probers.Reason{probers.OK, probers.Timeout, probers.OK} {
			v.families[s.target.peer.family].note(s.target.at, reason, time.Millisecond, r.at, s.target.keep())
			if s.Calm(r.at) != (reason == probers.OK) {
				t.Errorf("%s: calm is %v after %q", target.Key, s.Calm(r.at), reason)
			}
		}
	}
}

func TestNodesThatFailAreBounded(t *testing.T) {
	r := newRotationTest(t, 60)
	for range 10 {
		r.end(probers.Timeout, r.visit(t))
	}
	if n := testutil.CollectAndCount(r.reg, "podnet_rotation_unreachable"); n != 2*maxHeld {
		t.Errorf("%d series; want those of %d nodes in two families", n, maxHeld)
	}
	if n := value(t, r.reg, "podnet_rotation_visits_total", prometheus.Labels{"result": "failed"}); n != 10 {
		t.Errorf("%v failed visits; want all 10", n)
	}
	r.nodes = r.nodes[:17] // a full mesh
	r.take()
	r.next(r.cfg, r.at.Add(time.Minute))
	if n := testutil.CollectAndCount(r.reg, "podnet_rotation_unreachable"); n != 0 || r.now != nil {
		t.Errorf("%d series in a full mesh, visiting %v; want none", n, r.now)
	}
}

func TestVisitsThatSayNothingOfTheNetworkAreNoFailures(t *testing.T) {
	tests := []struct {
		name, result string
		reason       probers.Reason
		state        discovery.State
	}{
		{"a drained node is down", metrics.VisitExpected, probers.Timeout, discovery.Draining},
		{"a starved prober", metrics.VisitUnknown, probers.Impaired, discovery.Ready},
		{"a drained node still answers", metrics.VisitOK, probers.OK, discovery.Draining},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRotationTest(t, 40)
			for i := range r.nodes {
				r.nodes[i].State = tt.state
			}
			r.take()
			r.end(tt.reason, r.visit(t))
			if n := value(t, r.reg, "podnet_rotation_visits_total", prometheus.Labels{"result": tt.result}); n != 1 {
				t.Errorf("%v visits with result %s; want 1", n, tt.result)
			}
			if len(r.held) != 0 {
				t.Errorf("%d nodes are held; want none", len(r.held))
			}
		})
	}
}

func TestVisitsLastAsLongAsTwoLossesTake(t *testing.T) {
	cfg := config.Default()
	if got := visitTime(cfg); got != 5*time.Second {
		t.Errorf("visitTime() = %v at default settings; want 5s", got)
	}
	cfg.Probes.TCP.Interval, cfg.Probes.TCP.Timeout = 10*time.Second, 2*time.Second
	if got := visitTime(cfg); got != 9500*time.Millisecond {
		t.Errorf("visitTime() = %v with a probe every 10 s, and each 2.5 s when it is needed; want 9.5s", got)
	}
	cfg.Probes.TCP.IntervalOnLoss = time.Minute
	if got := visitTime(cfg); got != 32*time.Second {
		t.Errorf("visitTime() = %v with a probe every 10 s; want 32s", got)
	}
	cfg.Mesh.Visit = 0
	if got := visitTime(cfg); got != 0 {
		t.Errorf("visitTime() = %v; want none", got)
	}
}

// Whoever is visited when it leaves the mesh is not probed on.
func TestAVisitEndsWithItsNode(t *testing.T) {
	r := newRotationTest(t, 60)
	visited := r.visit(t)
	probed := chosen(r.cfg, r.nodes, &mesh.Chooser{Self: r.cfg.Node})
	if r.set(r.cfg.Node, r.nodes, probed) {
		t.Error("the same mesh ended a visit")
	}
	left := slices.DeleteFunc(slices.Clone(r.nodes), func(n *discovery.Node) bool { return n.Name == visited.node.Name })
	if !r.set(r.cfg.Node, left, probed) || len(r.targets(r.cfg, map[string]*vantage{})) != 0 {
		t.Error("a node that left is visited on")
	}
}
