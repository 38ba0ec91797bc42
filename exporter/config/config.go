// Package config is the agent's YAML file: its types, defaults and checks.
// example.yaml documents every key.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/strictyaml"
)

// Config is everything that the agent is told. It is not changed after it was
// loaded; a reload makes a new one.
type Config struct {
	Node       string     `yaml:"node"` // this node, by its name in discovery
	Discovery  Discovery  `yaml:"discovery"`
	Mesh       Mesh       `yaml:"mesh"`
	Probes     Probes     `yaml:"probes"`
	Responder  Responder  `yaml:"responder"`
	Collectors Collectors `yaml:"collectors"`
}

// Discovery is where the nodes of the mesh are found: exactly one of the two.
type Discovery struct {
	File       FileDiscovery       `yaml:"file"`
	Kubernetes KubernetesDiscovery `yaml:"kubernetes"`
}

// FileDiscovery finds them in a YAML file, which is watched.
type FileDiscovery struct {
	Path string `yaml:"path"` // Load makes it relative to the folder of the config file
}

// KubernetesDiscovery finds them in the EndpointSlices of two headless
// Services. Its zero value means that it is not asked for.
type KubernetesDiscovery struct {
	Namespace        string `yaml:"namespace"`         // of the two Services
	AgentsService    string `yaml:"agents_service"`    // selects the agents, in the nodes' own network
	EndpointsService string `yaml:"endpoints_service"` // selects the endpoints, in the pod network
	Kubeconfig       string `yaml:"kubeconfig"`        // empty: the service account of the pod that the agent runs in
}

// Enabled reports whether nodes are to be found in this way.
func (k KubernetesDiscovery) Enabled() bool { return k != KubernetesDiscovery{} }

// Mesh is how many nodes are probed.
type Mesh struct {
	FullMeshLimit int `yaml:"full_mesh_limit"` // up to so many nodes, every node probes every other
	Peers         int `yaml:"peers"`           // above it, so many nodes per node

	// Visit is for how long each of the other nodes is probed in its turn; 0: it
	// is not.
	Visit time.Duration `yaml:"visit"`
}

// Probes is what is sent to each peer.
type Probes struct {
	ICMP ICMPProbe `yaml:"icmp"`
	TCP  TCPProbe  `yaml:"tcp"`
	UDP  UDPProbe  `yaml:"udp"`
	Path PathProbe `yaml:"path"`
	PMTU PMTUProbe `yaml:"pmtu"`
}

// ICMPProbe is an echo request.
type ICMPProbe struct {
	Enabled  bool          `yaml:"enabled"`
	Interval time.Duration `yaml:"interval"` // from one probe of a target to its next
	// IntervalOnLoss is that of a peer with which something is wrong, if it is
	// shorter: no target is ever probed more often.
	IntervalOnLoss time.Duration `yaml:"interval_on_loss"`
	Timeout        time.Duration `yaml:"timeout"` // a reply after this is late
	Size           int           `yaml:"size"`    // of the IP packet in bytes, headers included
}

// TCPProbe is a handshake with a responder.
type TCPProbe struct {
	Enabled        bool          `yaml:"enabled"`
	Interval       time.Duration `yaml:"interval"`
	IntervalOnLoss time.Duration `yaml:"interval_on_loss"`
	Timeout        time.Duration `yaml:"timeout"`
	Port           uint16        `yaml:"port"` // of the peers' responders
}

// UDPProbe is a keyed packet that a responder echoes. It needs the cluster's
// key, see Responder.KeyFile.
type UDPProbe struct {
	Enabled        bool          `yaml:"enabled"`
	Interval       time.Duration `yaml:"interval"`
	IntervalOnLoss time.Duration `yaml:"interval_on_loss"`
	Timeout        time.Duration `yaml:"timeout"`
	Port           uint16        `yaml:"port"`  // of the peers' responders
	Flows          uint16        `yaml:"flows"` // source ports that the probes of a target take turns in, 1 to 16
}

// PathProbe is a measurement of every hop on the way to a peer.
type PathProbe struct {
	Enabled  bool          `yaml:"enabled"`
	Interval time.Duration `yaml:"interval"` // of a cycle: one probe for each hop of each flow
	// IntervalOnLoss is that of paths between nodes that lose packets, if it
	// is shorter: no path is ever measured more often.
	IntervalOnLoss time.Duration `yaml:"interval_on_loss"`
	Timeout        time.Duration `yaml:"timeout"`
	Protocol       string        `yaml:"protocol"` // udp, tcp or icmp
	Flows          int           `yaml:"flows"`
	MaxTTL         int           `yaml:"max_ttl"`
	Peers          int           `yaml:"peers"` // paths to so many of the peers are measured
}

// PMTUProbe is a search for the largest packet that reaches a peer.
type PMTUProbe struct {
	Enabled  bool          `yaml:"enabled"`
	Interval time.Duration `yaml:"interval"` // from one search to the next
	Timeout  time.Duration `yaml:"timeout"`  // of one of its probes
	Peers    int           `yaml:"peers"`    // for so many of the peers
}

// Responder is what answers the probes of others on the node's own addresses.
type Responder struct {
	Enabled bool   `yaml:"enabled"`
	Listen  string `yaml:"listen"`   // address and port, TCP and UDP, both families
	KeyFile string `yaml:"key_file"` // the cluster's key; without it UDP is neither answered nor probed
}

// Collectors is which sources of the kernel's are read.
type Collectors struct {
	Interface Collector `yaml:"interface"`
	Conntrack Collector `yaml:"conntrack"`
	Softnet   Collector `yaml:"softnet"`
	Qdisc     Collector `yaml:"qdisc"`
	Sockets   Collector `yaml:"sockets"`
	TCP       Collector `yaml:"tcp"`
	Route     Collector `yaml:"route"`
	Drops     Collector `yaml:"drops"`

	// Pods is how much is reported of the pods besides the endpoint: brief or
	// full.
	Pods string `yaml:"pods"`
}

// The values of collectors.pods.
const (
	PodsBrief = "brief" // their interface, whether it is up, and what went wrong
	PodsFull  = "full"  // everything, some 30 series per pod
)

// Collector is one source.
type Collector struct {
	Enabled bool `yaml:"enabled"`
}

// Default returns the values of every key that a file leaves out. It names no
// place to discover nodes in: that is the one thing every file has to say.
func Default() *Config {
	on := Collector{Enabled: true}
	return &Config{
		Node: nodeName(),
		Mesh: Mesh{FullMeshLimit: 17, Peers: 16, Visit: 5 * time.Second},
		Probes: Probes{
			ICMP: ICMPProbe{Enabled: true, Interval: 3 * time.Second, IntervalOnLoss: time.Second, Timeout: 800 * time.Millisecond, Size: 64},
			TCP:  TCPProbe{Enabled: true, Interval: 3 * time.Second, IntervalOnLoss: time.Second, Timeout: 800 * time.Millisecond, Port: 9798},
			UDP:  UDPProbe{Enabled: true, Interval: 3 * time.Second, IntervalOnLoss: time.Second, Timeout: 800 * time.Millisecond, Port: 9798, Flows: 16},
			Path: PathProbe{Enabled: true, Interval: 10 * time.Second, IntervalOnLoss: time.Second, Timeout: 2 * time.Second, Protocol: "udp", Flows: 4, MaxTTL: 16, Peers: 8},
			PMTU: PMTUProbe{Enabled: true, Interval: 15 * time.Second, Timeout: 500 * time.Millisecond, Peers: 8},
		},
		Responder:  Responder{Enabled: true, Listen: ":9798"},
		Collectors: Collectors{Interface: on, Conntrack: on, Softnet: on, Qdisc: on, Sockets: on, TCP: on, Route: on, Drops: on, Pods: PodsBrief},
	}
}

// fill sets what a file that asks for Kubernetes leaves out.
func (k *KubernetesDiscovery) fill(named func(path string) bool) {
	for _, key := range []struct {
		value          *string
		path, standard string
	}{
		{&k.Namespace, "discovery.kubernetes.namespace", os.Getenv("POD_NAMESPACE")},
		{&k.AgentsService, "discovery.kubernetes.agents_service", "podnet-agent"},
		{&k.EndpointsService, "discovery.kubernetes.endpoints_service", "podnet-endpoint"},
	} {
		if *key.value == "" && !named(key.path) {
			*key.value = key.standard
		}
	}
}

// nodeName is $NODE_NAME, which Kubernetes can set, or the host's name, or "".
func nodeName() string {
	if name := os.Getenv("NODE_NAME"); name != "" {
		return name
	}
	name, err := os.Hostname()
	if err != nil {
		return "" // Validate asks for it
	}
	return name
}

// Load reads and checks a file. Relative paths in it are taken from its own
// folder. The error is a [strictyaml.Mistakes] if the file could be read.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	c, err := parse(path, data)
	if err != nil {
		return nil, err
	}
	c.Discovery.File.Path = from(path, c.Discovery.File.Path)
	c.Discovery.Kubernetes.Kubeconfig = from(path, c.Discovery.Kubernetes.Kubeconfig)
	c.Responder.KeyFile = from(path, c.Responder.KeyFile)
	return c, nil
}

// from returns path as seen from the folder of the config file.
func from(file, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

// Parse reads and checks the text of a file.
func Parse(data []byte) (*Config, error) { return parse("", data) }

func parse(file string, data []byte) (*Config, error) {
	c := Default()
	doc := strictyaml.Decode(file, data, c)
	if doc.Named("discovery.kubernetes") {
		c.Discovery.Kubernetes.fill(doc.Named)
	}
	if !doc.Wrong("") { // nothing was read, so nothing is missing
		c.check(doc.Reject)
	}
	if err := doc.Mistakes.Err(); err != nil {
		return nil, err
	}
	return c, nil
}
