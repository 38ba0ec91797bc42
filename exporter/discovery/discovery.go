// Package discovery tells which nodes the mesh has, and where they answer.
package discovery

import (
	"context"
	"net/netip"
)

// State is what is known about a node apart from its answers.
type State string

// The states of a node. Only probes to a Ready node count as loss; the others
// are expected to be down, now or soon.
const (
	Ready    State = "ready"
	NotReady State = "not_ready" // not yet up, or the platform already knows that it is down
	Cordoned State = "cordoned"
	Draining State = "draining" // being emptied, or marked to be deleted
)

// Node is one node of the mesh.
type Node struct {
	Name      string
	Zone      string       // topology.kubernetes.io/zone, "" if unknown
	State     State        // "" is not a state: sources set Ready
	Addresses []netip.Addr // of the agent, host network; at most one per family
	Endpoint  Endpoint
	Pods      []Pod // pods of the node besides the endpoint; only this node's own are needed
}

// Endpoint is the pod of a node that answers probes. Its network namespace is
// the agent's pod vantage.
type Endpoint struct {
	Pod
	Addresses []netip.Addr // pod network; at most one per family; none: the node has no endpoint
}

// Pod is a pod and, on its own node, its network namespace: by a path, or by
// the UID that its processes' cgroups are named after.
type Pod struct {
	Namespace string
	Name      string
	Netns     string // path of a file that refers to the network namespace; "" if unknown
	UID       string // as the kubelet has it, which for a static pod is the hash in the annotation kubernetes.io/config.mirror of its mirror; "" if unknown
}

// Snapshot is the whole mesh at one moment, sorted by name. It is not changed
// after it was sent.
type Snapshot struct {
	Nodes   []Node
	Routers []Router // as they are written, for the names of hops
}

// Router is a hop between nodes, by the addresses that it answers with.
type Router struct {
	Name      string
	Addresses []netip.Addr
}

// Node returns the node of that name.
func (s Snapshot) Node(name string) (Node, bool) {
	for _, n := range s.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return Node{}, false
}

// A Source watches a place where nodes are listed.
type Source interface {
	// Run sends the mesh as it is, and again after every change, until ctx
	// ends. A place that can not be read is reported and read again later;
	// the last Snapshot stays valid.
	Run(ctx context.Context, to chan<- Snapshot) error
}
