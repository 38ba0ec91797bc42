package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/strictyaml"
)

// The ranges that values have to be in.
const (
	minInterval = 10 * time.Millisecond // shorter, and a thousand targets would be a flood
	maxInterval = 10 * time.Minute
	minTimeout  = time.Millisecond
	minVisit    = time.Second
	minPeers    = 8 // so many neighbours of the ring probe every node
	maxPeers    = 256
	maxFullMesh = 1024
	minSize     = 28    // IPv4 header and ICMP header
	maxSize     = 65535 // the largest IP packet
)

// Validate reports everything that cannot work, as a [strictyaml.Mistakes]
// without lines.
func (c *Config) Validate() error {
	doc := strictyaml.Decode("", nil, c)
	c.check(doc.Reject)
	return doc.Mistakes.Err()
}

// check calls reject with the path of every impossible value.
func (c *Config) check(reject func(path, text string)) {
	if c.Node == "" {
		reject("node", "empty; give this node's name in discovery, or set NODE_NAME")
	}
	c.Discovery.check(reject)
	between := func(path string, value, low, high int) {
		if value < low || value > high {
			reject(path, fmt.Sprintf("%d is out of range; allowed: %d to %d", value, low, high))
		}
	}
	between("mesh.full_mesh_limit", c.Mesh.FullMeshLimit, 0, maxFullMesh)
	between("mesh.peers", c.Mesh.Peers, minPeers, maxPeers)
	if v := c.Mesh.Visit; v != 0 && (v < minVisit || v > maxInterval) {
		reject("mesh.visit", fmt.Sprintf("%s is out of range; allowed: 0, and %s to %s", short(v), short(minVisit), short(maxInterval)))
	}
	between("probes.icmp.size", c.Probes.ICMP.Size, minSize, maxSize)
	between("probes.tcp.port", int(c.Probes.TCP.Port), 1, 65535)
	checkPace(reject, "probes.icmp", c.Probes.ICMP.Interval, c.Probes.ICMP.Timeout)
	between("probes.udp.port", int(c.Probes.UDP.Port), 1, 65535)
	between("probes.udp.flows", int(c.Probes.UDP.Flows), 1, 16)
	checkPace(reject, "probes.udp", c.Probes.UDP.Interval, c.Probes.UDP.Timeout)
	between("probes.path.flows", c.Probes.Path.Flows, 1, 16)
	between("probes.path.max_ttl", c.Probes.Path.MaxTTL, 1, 64)
	between("probes.path.peers", c.Probes.Path.Peers, 1, maxFullMesh)
	between("probes.pmtu.peers", c.Probes.PMTU.Peers, 1, maxFullMesh)
	if p := c.Probes.Path.Protocol; p != "udp" && p != "tcp" && p != "icmp" {
		reject("probes.path.protocol", fmt.Sprintf("unknown protocol %q; allowed: udp, tcp, icmp", p))
	}
	checkPace(reject, "probes.path", c.Probes.Path.Interval, c.Probes.Path.Timeout)
	checkInterval(reject, "probes.icmp.interval_on_loss", c.Probes.ICMP.IntervalOnLoss)
	checkInterval(reject, "probes.tcp.interval_on_loss", c.Probes.TCP.IntervalOnLoss)
	checkInterval(reject, "probes.udp.interval_on_loss", c.Probes.UDP.IntervalOnLoss)
	checkInterval(reject, "probes.path.interval_on_loss", c.Probes.Path.IntervalOnLoss)
	checkPace(reject, "probes.pmtu", c.Probes.PMTU.Interval, c.Probes.PMTU.Timeout)
	checkPace(reject, "probes.tcp", c.Probes.TCP.Interval, c.Probes.TCP.Timeout)
	if p := c.Collectors.Pods; p != PodsBrief && p != PodsFull {
		reject("collectors.pods", fmt.Sprintf("unknown value %q; allowed: brief, full", p))
	}
	if err := checkListen(c.Responder.Listen); err != nil {
		reject("responder.listen", err.Error())
	}
}

func (d Discovery) check(reject func(path, text string)) {
	switch {
	case d.File.Path != "" && d.Kubernetes.Enabled():
		reject("discovery.kubernetes", "given beside discovery.file; nodes are found in one place only, so remove one of the two")
		return
	case d.File.Path == "" && !d.Kubernetes.Enabled():
		reject("discovery.file.path", "empty; give the YAML file that lists the nodes, for example /etc/podnet_exporter/nodes.yaml, or discovery.kubernetes in place of discovery.file")
	}
	if d.Kubernetes.Enabled() {
		d.Kubernetes.check(reject)
	}
}

func (k KubernetesDiscovery) check(reject func(path, text string)) {
	for _, key := range []struct{ name, value, what, hint string }{
		{"namespace", k.Namespace, "namespace", "give that of the two Services, or set POD_NAMESPACE"},
		{"agents_service", k.AgentsService, "Service", "give the headless Service that selects the agents, for example podnet-agent"},
		{"endpoints_service", k.EndpointsService, "Service", "give the headless Service that selects the endpoints, for example podnet-endpoint"},
	} {
		switch {
		case key.value == "":
			reject("discovery.kubernetes."+key.name, "empty; "+key.hint)
		case !isLabel(key.value):
			reject("discovery.kubernetes."+key.name, fmt.Sprintf(
				"%q cannot be the name of a %s; allowed: up to 63 lower-case letters, digits and -, with a letter or digit at both ends", key.value, key.what))
		}
	}
	if k.AgentsService == k.EndpointsService && k.AgentsService != "" {
		reject("discovery.kubernetes.endpoints_service", fmt.Sprintf(
			"%q is also agents_service; agents and endpoints are told apart by their Services", k.EndpointsService))
	}
}

// isLabel reports whether name is a DNS label (RFC 1123), what the API server
// takes as the name of a namespace or, since Kubernetes 1.34, of a Service.
func isLabel(name string) bool {
	inner := strings.Trim(name, "-")
	return len(name) <= 63 && inner == name && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// checkPace rejects intervals that flood or never come round, and timeouts
// that would let probes of one target overlap.
func checkPace(reject func(path, text string), probe string, interval, timeout time.Duration) {
	switch {
	case !checkInterval(reject, probe+".interval", interval):
		// Any timeout would look wrong beside it.
	case timeout < minTimeout:
		reject(probe+".timeout", fmt.Sprintf("%s is too short; allowed: %s up to less than the interval (%s)",
			short(timeout), short(minTimeout), short(interval)))
	case timeout >= interval:
		reject(probe+".timeout", fmt.Sprintf("%s is not shorter than the interval (%s); allowed: %s up to less than the interval",
			short(timeout), short(interval), short(minTimeout)))
	}
}

// checkInterval rejects an interval that floods or never comes round, and
// reports whether it is fine.
func checkInterval(reject func(path, text string), path string, interval time.Duration) bool {
	if interval >= minInterval && interval <= maxInterval {
		return true
	}
	reject(path, fmt.Sprintf("%s is out of range; allowed: %s to %s", short(interval), short(minInterval), short(maxInterval)))
	return false
}

// short writes a duration without the zeros that String puts behind it.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// checkListen takes ":PORT", "IPv4:PORT" and "[IPv6]:PORT".
func checkListen(listen string) error {
	const allowed = "allowed: :PORT, IPv4:PORT or [IPv6]:PORT with a port from 1 to 65535"
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("%q is not an address to listen on; %s", listen, allowed)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q is not a port; %s", port, allowed)
	}
	if _, err := netip.ParseAddr(host); host != "" && err != nil {
		return fmt.Errorf("%q is not an IP address; %s", host, allowed)
	}
	return nil
}
