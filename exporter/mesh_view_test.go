package main

import (
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

// What does not change in a large mesh is not made anew: neither for the
// collectors, nor for the targets.
func TestAChangeElsewhereLeavesTargetsAndPeersAlone(t *testing.T) {
	s := imagined{nodes: 100, zones: 3, dual: true}.snapshot()
	a := dryAgent(s, prometheus.NewRegistry())
	defer a.names.close()
	all, probed, scheduled := wholeMesh{&a.view}.Peers(), a.view.Peers(), a.applied.nodes
	change := func(i int) {
		n := *a.snapshot.Nodes[i]
		n.State = discovery.NotReady
		a.snapshot.Nodes = slices.Clone(a.snapshot.Nodes)
		a.snapshot.Nodes[i] = &n
		a.apply()
	}
	far := slices.IndexFunc(s.Nodes, func(n *discovery.Node) bool { return !slices.Contains(scheduled, n) })
	near := slices.IndexFunc(s.Nodes, func(n *discovery.Node) bool { return n == scheduled[3] })

	change(far)
	for i, p := range (wholeMesh{&a.view}).Peers() {
		if (p == all[i]) == (i == far) {
			t.Errorf("peer %s: the same as before is %t; only %s changed", p.Node, p == all[i], s.Nodes[far].Name)
		}
	}
	if !slices.Equal(a.view.Peers(), probed) || &a.applied.nodes[0] != &scheduled[0] {
		t.Error("the targets were made anew for a node that is not probed")
	}
	change(near)
	if &a.applied.nodes[0] == &scheduled[0] {
		t.Error("the targets were not made anew for a node that is probed")
	}
	for key, p := range a.board.peers {
		if key.node == s.Nodes[near].Name && p.state != discovery.NotReady {
			t.Errorf("%s is judged as %s; want not_ready", key.node, p.state)
		}
	}
}
