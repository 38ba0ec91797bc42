package main

import (
	"slices"
	"sync"

	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// announced is what other nodes said of themselves last. It holds while they
// do not answer: that is what they said it for.
type announced struct {
	mu      sync.Mutex
	states  map[string]discovery.State // by node; only of those that are not as usual
	changed bool
}

// note keeps what a node's agent announced.
func (a *announced) note(node string, said probers.UDPState) {
	var state discovery.State // "": as usual
	switch said {
	case probers.UDPCordoned:
		state = discovery.Cordoned
	case probers.UDPDraining:
		state = discovery.Draining
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.states[node] == state {
		return
	}
	a.changed = true
	if state == "" {
		delete(a.states, node)
		return
	}
	if a.states == nil {
		a.states = make(map[string]discovery.State)
	}
	a.states[node] = state
}

// take reports whether a node has announced something else since the last
// call.
func (a *announced) take() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	changed := a.changed
	a.changed = false
	return changed
}

// over returns the probed nodes with what they announced in the place of ready,
// and forgets what is not among them. Other states are kept: discovery knows
// then that the node is not up yet, or not any more.
func (a *announced) over(nodes []*discovery.Node) []*discovery.Node {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.states) == 0 {
		return nodes
	}
	nodes = slices.Clone(nodes)
	there := make(map[string]discovery.State, len(a.states))
	for i, n := range nodes {
		state, said := a.states[n.Name]
		if !said {
			continue
		}
		there[n.Name] = state
		if n.State == discovery.Ready {
			changed := *n
			changed.State = state
			nodes[i] = &changed
		}
	}
	a.states = there
	return nodes
}

// announcement returns what a node in a state says of itself.
func announcement(s discovery.State) probers.UDPState {
	switch s {
	case discovery.Cordoned:
		return probers.UDPCordoned
	case discovery.Draining:
		return probers.UDPDraining
	}
	return probers.UDPUsual
}
