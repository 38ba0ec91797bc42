package web

import "time"

// Agent is what the pages need to know of the agent. Its methods are called
// by many goroutines at once.
type Agent interface {
	// Ready returns nil once the agent probes, and why it does not until then.
	Ready() error

	// Reload reads the configuration again. An error means that the old one
	// stays in force.
	Reload() error

	// Status returns what the agent sees now.
	Status() Status
}

// Status is what an agent sees at one moment.
type Status struct {
	Node       string      `json:"node"`
	Version    string      `json:"version"`
	Vantages   []Vantage   `json:"vantages"`
	Peers      []Peer      `json:"peers"`
	Namespaces []Namespace `json:"namespaces"`
	Collectors []Collector `json:"collectors"`
}

// Vantage is a place that probes are sent from.
type Vantage struct {
	Name     string `json:"name"`            // node or pod
	Path     string `json:"path"`            // of its network namespace, "" if it is the agent's own, or unknown
	Up       bool   `json:"up"`              // probes can be sent
	Impaired bool   `json:"impaired"`        // the agent is too slow for its results to say anything
	Error    string `json:"error,omitempty"` // why it is not up
}

// Peer is a node that is probed, this one among them, in one address family.
type Peer struct {
	Node    string    `json:"node"`
	Zone    string    `json:"zone"`
	State   string    `json:"state"`  // of the node, by discovery
	Family  string    `json:"family"` // ipv4 or ipv6
	Verdict string    `json:"verdict"`
	Since   time.Time `json:"since"` // when the verdict became this one
}

// Namespace is a network namespace of the node that the collectors read.
type Namespace struct {
	Name  string `json:"name"` // node, or namespace/pod
	Path  string `json:"path"`
	Inode uint64 `json:"inode"`
}

// Collector is a source of the kernel's that is read.
type Collector struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"` // of the last collection
}
