// Package discovery tells which nodes the mesh has, and where they answer.
package discovery

import (
	"cmp"
	"context"
	"iter"
	"net/netip"
	"slices"
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

// SameAs reports whether two nodes are the same in everything.
func (n *Node) SameAs(o *Node) bool {
	return n == o || n.Name == o.Name && n.Zone == o.Zone && n.State == o.State && n.Endpoint.Pod == o.Endpoint.Pod &&
		slices.Equal(n.Addresses, o.Addresses) && slices.Equal(n.Endpoint.Addresses, o.Endpoint.Addresses) && slices.Equal(n.Pods, o.Pods)
}

// Snapshot is the whole mesh at one moment, sorted by name. It is not changed
// after it was sent, and neither are its nodes. A node that stands in two
// Snapshots by the same pointer did not change; one that did not change may
// have two.
type Snapshot struct {
	Nodes   []*Node
	Routers []Router // as they are written, for the names of hops
}

// Router is a hop between nodes, by the addresses that it answers with.
type Router struct {
	Name      string
	Addresses []netip.Addr
}

// Node returns the node of that name; it is false, and the node empty, if there
// is none.
func (s Snapshot) Node(name string) (*Node, bool) {
	if i, found := slices.BinarySearchFunc(s.Nodes, name, compareName); found {
		return s.Nodes[i], true
	}
	return &Node{}, false
}

func compareName(n *Node, name string) int { return cmp.Compare(n.Name, name) }

// Changes returns what differs between two lists of nodes that are sorted by
// name, as pairs: nil stands for a node that is not in the list. Nodes are told
// apart by their pointers.
func Changes(before, after []*Node) iter.Seq2[*Node, *Node] {
	return func(yield func(before, after *Node) bool) {
		for i, j := 0, 0; i < len(before) || j < len(after); {
			var was, is *Node
			order := 0
			switch {
			case j == len(after):
				order = -1
			case i == len(before):
				order = 1
			case before[i] != after[j]:
				order = cmp.Compare(before[i].Name, after[j].Name)
			}
			if order <= 0 {
				was = before[i]
				i++
			}
			if order >= 0 {
				is = after[j]
				j++
			}
			if was != is && !yield(was, is) {
				return
			}
		}
	}
}

// A Source watches a place where nodes are listed.
type Source interface {
	// Run sends the mesh as it is, and again after every change, until ctx
	// ends. A place that can not be read is reported and read again later;
	// the last Snapshot stays valid.
	Run(ctx context.Context, to chan<- Snapshot) error
}
