package discovery

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/podnet-exporter/podnet_exporter/exporter/strictyaml"
)

// The file as it is written. The types of the mesh have no YAML names, so that
// another source can fill them from elsewhere.
type (
	fileNodes struct {
		Nodes   []fileNode   `yaml:"nodes"`
		Routers []fileRouter `yaml:"routers"`
	}
	fileRouter struct {
		Name      string       `yaml:"name"`
		Addresses []netip.Addr `yaml:"addresses"`
	}
	fileNode struct {
		Name      string       `yaml:"name"`
		Zone      string       `yaml:"zone"`
		State     string       `yaml:"state"`
		Addresses []netip.Addr `yaml:"addresses"`
		Endpoint  fileEndpoint `yaml:"endpoint"`
		Pods      []filePod    `yaml:"pods"`
	}
	fileEndpoint struct {
		Namespace string       `yaml:"namespace"`
		Pod       string       `yaml:"pod"`
		Addresses []netip.Addr `yaml:"addresses"`
		Netns     string       `yaml:"netns"`
	}
	filePod struct {
		Namespace string `yaml:"namespace"`
		Pod       string `yaml:"pod"`
		Netns     string `yaml:"netns"`
	}
)

// ReadFile reads and checks a file of nodes once. The error is a
// [strictyaml.Mistakes] if the file could be read.
func ReadFile(path string) (Snapshot, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Snapshot{}, fmt.Errorf("discovery: %w", err)
	}
	return parseNodes(path, data)
}

// parseNodes reads the text of a file of nodes.
func parseNodes(path string, data []byte) (Snapshot, error) {
	var f fileNodes
	doc := strictyaml.Decode(path, data, &f)
	if !doc.Wrong("") && !doc.Wrong("nodes") {
		checkNodes(doc.Reject, f.Nodes)
	}
	if !doc.Wrong("routers") {
		checkRouters(doc.Reject, f.Routers)
	}
	if err := doc.Mistakes.Err(); err != nil {
		return Snapshot{}, err
	}
	s := Snapshot{Nodes: make([]*Node, len(f.Nodes))}
	for i, n := range f.Nodes {
		s.Nodes[i] = n.node()
	}
	for _, r := range f.Routers {
		s.Routers = append(s.Routers, Router{Name: r.Name, Addresses: unmap(r.Addresses)})
	}
	slices.SortFunc(s.Nodes, func(a, b *Node) int { return cmp.Compare(a.Name, b.Name) })
	return s, nil
}

// node returns n as a node of the mesh.
func (n fileNode) node() *Node {
	node := &Node{
		Name:      n.Name,
		Zone:      n.Zone,
		State:     cmp.Or(State(n.State), Ready),
		Addresses: unmap(n.Addresses),
		Endpoint: Endpoint{
			Pod:       Pod{Namespace: n.Endpoint.Namespace, Name: n.Endpoint.Pod, Netns: n.Endpoint.Netns},
			Addresses: unmap(n.Endpoint.Addresses),
		},
	}
	for _, p := range n.Pods {
		node.Pods = append(node.Pods, Pod{Namespace: p.Namespace, Name: p.Pod, Netns: p.Netns})
	}
	return node
}

// unmap writes IPv4 addresses that came as IPv6 (::ffff:a.b.c.d) as IPv4, so
// that equal addresses are equal.
func unmap(addrs []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, a := range addrs {
		out = append(out, a.Unmap())
	}
	return out
}

// states returns the allowed values of a state, as text.
func states() []string {
	return []string{string(Ready), string(NotReady), string(Cordoned), string(Draining)}
}

// nodeCheck is what is known of the nodes before the one that is checked.
type nodeCheck struct {
	reject func(path, text string)
	names  map[string]int        // to the index of the node
	owners map[netip.Addr]string // to the name of the node
}

// checkNodes calls reject with the path of everything that cannot be meant.
func checkNodes(reject func(path, text string), nodes []fileNode) {
	if len(nodes) == 0 {
		reject("nodes", "empty; list every node of the mesh, this one among them, each with a name and its addresses")
	}
	c := nodeCheck{reject: reject, names: map[string]int{}, owners: map[netip.Addr]string{}}
	for i, n := range nodes {
		c.node(i, n)
	}
}

// checkRouters does the same for the routers. One may have many addresses, and
// routers may share a name, as the two of a redundant pair.
func checkRouters(reject func(path, text string), routers []fileRouter) {
	owners := map[netip.Addr]string{}
	for i, r := range routers {
		path := fmt.Sprintf("routers[%d]", i)
		if r.Name == "" {
			reject(path+".name", "empty; give the router's name")
		}
		if len(r.Addresses) == 0 {
			reject(path+".addresses", "empty; give the addresses that the router answers with, one for each of its interfaces")
		}
		for j, a := range unmap(r.Addresses) {
			at := fmt.Sprintf("%s.addresses[%d]", path, j)
			if owner, owned := owners[a]; owned && owner != r.Name {
				reject(at, fmt.Sprintf("%s is also an address of router %q; every address belongs to one", a, owner))
			}
			owners[a] = r.Name
		}
	}
}

func (c *nodeCheck) node(i int, n fileNode) {
	path := fmt.Sprintf("nodes[%d]", i)
	first, twice := c.names[n.Name]
	switch {
	case n.Name == "":
		c.reject(path+".name", "empty; give the node's name")
	case twice:
		c.reject(path+".name", fmt.Sprintf("%q is also the name of nodes[%d]; give every node once", n.Name, first))
	default:
		c.names[n.Name] = i
	}
	if n.State != "" && !slices.Contains(states(), n.State) {
		c.reject(path+".state", fmt.Sprintf("unknown state %q; allowed: %s", n.State, strings.Join(states(), ", ")))
	}
	if len(n.Addresses) == 0 {
		c.reject(path+".addresses", "empty; give the address of the node's agent, at most one IPv4 and one IPv6")
	}
	c.addresses(path+".addresses", n.Name, n.Addresses)
	c.addresses(path+".endpoint.addresses", n.Name, n.Endpoint.Addresses)
	c.pods(path, n)
}

// addresses checks the addresses of one list: each usable, at most one per
// family, and on no other node.
func (c *nodeCheck) addresses(path, node string, addrs []netip.Addr) {
	var families [2]bool
	for i, a := range addrs {
		at := fmt.Sprintf("%s[%d]", path, i)
		if !a.IsValid() { // was rejected when it was read, or left empty
			c.reject(at, "empty; give an IPv4 or IPv6 address")
			continue
		}
		a = a.Unmap()
		family, name := 0, "IPv4"
		if a.Is6() {
			family, name = 1, "IPv6"
		}
		owner, owned := c.owners[a]
		switch {
		case a.IsUnspecified() || a.IsMulticast() || a.Zone() != "":
			c.reject(at, fmt.Sprintf("%s is not the address of one node; give a unicast address without an interface name", a))
		case families[family]:
			c.reject(at, fmt.Sprintf("a second %s address (%s); give at most one per family", name, a))
		case owned && owner != node:
			c.reject(at, fmt.Sprintf("%s is also an address of node %q; every address belongs to one node", a, owner))
		}
		families[family] = true
		if !owned {
			c.owners[a] = node
		}
	}
}

// pods checks the endpoint and the pods of one node: each with a name of its
// own, because their metrics are told apart by it.
func (c *nodeCheck) pods(path string, n fileNode) {
	seen := map[[2]string]string{}
	netns := map[string]string{}
	check := func(at, namespace, pod, ns string) {
		if namespace == "" {
			c.reject(at+".namespace", "empty; give the pod's Kubernetes namespace, or any word that groups pods")
		}
		if pod == "" {
			c.reject(at+".pod", "empty; give the pod's name")
			return
		}
		id := [2]string{namespace, pod}
		if first, twice := seen[id]; twice {
			c.reject(at+".pod", fmt.Sprintf("%s/%s is also %s; give every pod once", namespace, pod, first))
		} else {
			seen[id] = at
		}
		if first, twice := netns[ns]; ns != "" && twice {
			c.reject(at+".netns", fmt.Sprintf("%s is also the network namespace of %s; a namespace belongs to one pod", ns, first))
		} else {
			netns[ns] = at
		}
	}
	if e := n.Endpoint; e.Namespace != "" || e.Pod != "" || e.Netns != "" || len(e.Addresses) > 0 {
		check(path+".endpoint", e.Namespace, e.Pod, e.Netns)
	}
	for i, p := range n.Pods {
		check(fmt.Sprintf("%s.pods[%d]", path, i), p.Namespace, p.Pod, p.Netns)
	}
}
