package collectors

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Route reports what the routing tables say about the addresses of every peer
// that is probed, this node among them, seen from the node and from its
// endpoint. A pod sends everything one way as a rule, so that from the endpoint
// only what has no route is reported.
// A lookup stands for a packet that the namespace sends itself, so policy
// rules for marks and incoming interfaces do not take part.
//
// A pod has little but a default route, so from there a default route is as
// good as any. From the node a default route to a pod is told apart: where the
// overlay should have a route of its own, that one is missing.
//
// Source: rtnetlink, RTM_GETROUTE.
type Route struct {
	handles  *Handles
	peers    Peers
	endpoint func(Namespace) bool
	now      func() time.Time

	mu     sync.Mutex
	looked time.Time
	last   []lookup
	err    error

	lookup *prometheus.Desc
}

// routeMaxAge is how old a lookup may be when it is reported: several
// Prometheus servers that scrape at the same time cost one round of lookups.
const routeMaxAge = 500 * time.Millisecond

// lookup is one lookup, as labels.
type lookup struct {
	peerNode, targetKind, vantage, family string
	result                                fibResult
	device                                string
}

// NewRoute returns a Route for the namespaces of h that are the node's own or
// chosen by endpoint.
func NewRoute(h *Handles, peers Peers, endpoint func(Namespace) bool) *Route {
	return &Route{
		handles:  h,
		peers:    peers,
		endpoint: endpoint,
		now:      time.Now,
		lookup: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "route_lookup"),
			"1 for what the routing table of the vantage (the node, or its endpoint pod) says about the peer's node or pod address; of the endpoint only what is not ok. "+
				"result: ok, default (a pod's address is reached by the node's default route only), no_route, unreachable, blackhole or prohibit. "+
				"device: the interface it goes out of, several with a comma if the route has several paths, empty if there is none.",
			[]string{"peer_node", "target_kind", "vantage", "family", "result", "device"}, nil),
	}
}

// Describe implements [Collector].
func (c *Route) Describe(ch chan<- *prometheus.Desc) { ch <- c.lookup }

// Collect implements [Collector].
func (c *Route) Collect(ch chan<- prometheus.Metric) error {
	lookups, err := c.lookups()
	for _, l := range lookups {
		if l.vantage == "pod" && l.result == routeOK {
			continue
		}
		ch <- prometheus.MustNewConstMetric(c.lookup, prometheus.GaugeValue, 1,
			l.peerNode, l.targetKind, l.vantage, l.family, string(l.result), l.device)
	}
	if err != nil {
		return fmt.Errorf("route: %w", err)
	}
	return nil
}

// lookups returns the last round of lookups, or does another if that one is
// too old.
func (c *Route) lookups() ([]lookup, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); c.looked.IsZero() || now.Sub(c.looked) > routeMaxAge {
		c.looked = now
		c.last, c.err = c.look()
	}
	return c.last, c.err
}

// look asks for every address of every peer, from both vantages. When the pod
// of the endpoint is replaced there may be two of them for a moment: the last
// one listed is the vantage.
func (c *Route) look() ([]lookup, error) {
	byVantage := map[string][]lookup{}
	peers := c.peers.Peers()
	err := c.handles.each(func(ns Namespace) error {
		vantage := "node"
		if !ns.Node {
			vantage = "pod"
			if !c.endpoint(ns) {
				return nil
			}
		}
		lookups, err := c.from(ns, vantage, peers)
		byVantage[vantage] = lookups
		return err
	})
	return append(byVantage["node"], byVantage["pod"]...), err
}

// from looks up every peer from one namespace.
func (c *Route) from(ns Namespace, vantage string, peers []*Peer) ([]lookup, error) {
	names := deviceNames{handles: c.handles, ns: ns, names: map[int32]string{}}
	var found []lookup
	for _, peer := range peers {
		for _, target := range []struct {
			kind      string
			addresses []netip.Addr
		}{{"node", peer.NodeAddresses}, {"pod", peer.PodAddresses}} {
			seen := map[string]bool{}
			for _, addr := range target.addresses {
				l := lookup{peerNode: peer.Node, targetKind: target.kind, vantage: vantage, family: family(addr)}
				if seen[l.family] {
					continue
				}
				seen[l.family] = true
				r, err := c.handles.fib(ns, addr.Unmap())
				if err != nil {
					return found, err
				}
				l.result, l.device = judge(r.result, vantage, target.kind), names.join(r)
				found = append(found, l)
			}
		}
	}
	return found, nil
}

// judge returns the result as it is reported: a default route is worth
// mentioning only where the node should know better.
func judge(result fibResult, vantage, targetKind string) fibResult {
	if result == routeDefault && (vantage == "pod" || targetKind == "node") {
		return routeOK
	}
	return result
}

// family returns the value of the label family.
func family(addr netip.Addr) string {
	if addr.Unmap().Is4() {
		return "ipv4"
	}
	return "ipv6"
}
