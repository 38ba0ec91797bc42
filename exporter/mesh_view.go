package main

import (
	"cmp"
	"slices"
	"sync"

	"github.com/podnet-exporter/podnet_exporter/collectors"
	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

// meshView is the mesh as the collectors see it. Its Peers are the nodes that
// this one probes, itself among them.
type meshView struct {
	mu     sync.Mutex
	nodes  []*discovery.Node
	all    []*collectors.Peer // each of nodes
	probed []*collectors.Peer
	self   discovery.Pod // this node's endpoint
}

func (v *meshView) set(s discovery.Snapshot, self string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	peers := make([]*collectors.Peer, 0, len(s.Nodes))
	known := 0 // of the nodes before
	for _, n := range s.Nodes {
		for known < len(v.nodes) && v.nodes[known].Name < n.Name {
			known++
		}
		if known < len(v.nodes) && v.nodes[known] == n {
			peers = append(peers, v.all[known])
			continue
		}
		peers = append(peers, &collectors.Peer{
			Node: n.Name, NodeAddresses: n.Addresses, PodAddresses: n.Endpoint.Addresses, Self: n.Name == self,
		})
	}
	v.nodes, v.all = s.Nodes, peers
	if own, ok := s.Node(self); ok {
		v.self = own.Endpoint.Pod
	}
}

// own returns this node's endpoint.
func (v *meshView) own() discovery.Pod {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.self
}

// Peers implements [collectors.Peers].
func (v *meshView) Peers() []*collectors.Peer {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.probed
}

// setProbed takes the nodes of the mesh that are probed.
func (v *meshView) setProbed(nodes []*discovery.Node) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.probed = nil
	for _, n := range nodes {
		if i, found := slices.BinarySearchFunc(v.nodes, n.Name, byName); found {
			v.probed = append(v.probed, v.all[i])
		}
	}
	slices.SortFunc(v.probed, func(a, b *collectors.Peer) int { return cmp.Compare(a.Node, b.Node) })
}

// wholeMesh is the view whose Peers are all nodes: packets of all of them may
// die here.
type wholeMesh struct{ view *meshView }

// Peers implements [collectors.Peers].
func (w wholeMesh) Peers() []*collectors.Peer {
	w.view.mu.Lock()
	defer w.view.mu.Unlock()
	return w.view.all
}
