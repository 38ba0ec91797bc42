// Package collectors reads what the kernel knows about the networks of a node
// and its pods, and reports it as Prometheus metrics.
//
// A collector reads and reports; it does not judge. The rules in alerts/ do.
package collectors

import (
	"errors"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"
)

// namespace is the first word of every metric's name.
const namespace = "podnet"

// ErrUnsupported is wrapped by a collector that cannot work on this machine at
// all: the kernel is too old, or a capability is missing. The text that wraps
// it says what is missing and what would provide it.
var ErrUnsupported = errors.New("not supported here")

// A Collector reports one source of the kernel's. Metrics that were sent
// before an error stay valid.
type Collector interface {
	Describe(ch chan<- *prometheus.Desc)
	Collect(ch chan<- prometheus.Metric) error
}

// Namespace is a network namespace of this node: its own, or a pod's.
type Namespace struct {
	Inode     uint64 // of the nsfs file: the namespace's identity while it lives (net->ns.inum)
	Path      string // a file that refers to it, e.g. /run/netns/x or /proc/PID/ns/net
	Namespace string // the pod's Kubernetes namespace, "" for the node
	Pod       string // the pod's name, "" for the node
	Node      bool   // the node's own namespace

	// Do runs f on a thread that has entered the namespace. Sockets that f
	// opens stay in the namespace after Do returned.
	Do func(f func() error) error
}

// Name returns the value of the label network_namespace: "node", or the pod
// as "namespace/pod".
func (n Namespace) Name() string {
	if n.Node {
		return "node"
	}
	return n.Namespace + "/" + n.Pod
}

// Namespaces tells which network namespaces this node has now, its own first.
type Namespaces interface {
	List() []Namespace
}

// Peer is a node of the mesh as the collectors need it: a name, and the
// addresses by which its packets are known.
type Peer struct {
	Node          string
	NodeAddresses []netip.Addr // of the agent (host network)
	PodAddresses  []netip.Addr // of the endpoint (pod network)
	Self          bool         // this node
}

// Peers tells which nodes the mesh has now, this node among them, sorted by name. A list that
// was returned does not change, and neither do the Peers in it: another mesh is
// another list, in which a Peer that did not change stands by the same pointer.
type Peers interface {
	Peers() []*Peer
}
