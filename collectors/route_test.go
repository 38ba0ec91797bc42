package collectors

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	nl "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestParseRoute(t *testing.T) {
	tests := []struct {
		name, file string
		want       route
	}{
		{"a network of its own", "connected", route{result: routeOK, devices: []int32{2}}},
		{"an IPv6 network of its own", "connected6", route{result: routeOK, devices: []int32{2}}},
		{"its own address", "local", route{result: routeOK, devices: []int32{2}}},
		{"nothing better than the default route", "default", route{result: routeDefault, devices: []int32{4}}},
		{"two paths", "multipath", route{result: routeOK, devices: []int32{4, 2}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseRoute(recorded(t, "route/"+tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(route{})); diff != "" {
				t.Errorf("parseRoute() differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRouteReadsWhatForbids(t *testing.T) {
	for kind, want := range map[byte]fibResult{
		unix.RTN_BLACKHOLE: routeBlackhole, unix.RTN_UNREACHABLE: routeUnreachable, unix.RTN_PROHIBIT: routeProhibit,
	} {
		b := recorded(t, "route/connected6")
		b[7] = kind
		if got, err := parseRoute(b); err != nil || got.result != want {
			t.Errorf("parseRoute() of type %d = %v, %v; want %s", kind, got, err, want)
		}
	}
	if _, err := parseRoute(make([]byte, rtMsgLen-1)); !errors.Is(err, errShort) {
		t.Errorf("parseRoute() of a short message = %v; want %v", err, errShort)
	}
}

func FuzzParseRoute(f *testing.F) {
	addRecorded(f, "route")
	f.Fuzz(func(_ *testing.T, b []byte) { parseRoute(b) })
}

// route adds a route to the sandbox; via is an address in the namespace's
// network, "" for a route of that type without one.
func (s *sandbox) route(t *testing.T, to string, kind int, via string) {
	t.Helper()
	_, network, err := net.ParseCIDR(to)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.handle.RouteAdd(&nl.Route{Dst: network, Type: kind, Gw: net.ParseIP(via)}); err != nil {
		t.Fatalf("%s: %v", to, err)
	}
}

func TestRouteTellsWhatTheTableSaysAboutEveryPeer(t *testing.T) {
	node, pod := newSandbox(t, ""), newSandbox(t, "endpoint-n1")
	node.connect(t, "eth0", "", newSandbox(t, "fabric"))
	node.connect(t, "veth-endpoint", "", pod)
	node.address(t, "eth0", "192.168.7.1/24")
	node.address(t, "eth0", "fd07::1/64")
	node.address(t, "veth-endpoint", "10.1.0.1/24")
	pod.address(t, "eth0", "10.1.0.2/24")
	node.route(t, "0.0.0.0/0", unix.RTN_UNICAST, "192.168.7.254")
	node.route(t, "10.2.0.0/24", unix.RTN_UNICAST, "192.168.7.2")
	node.route(t, "10.4.0.0/24", unix.RTN_BLACKHOLE, "")
	node.route(t, "10.5.0.0/24", unix.RTN_UNREACHABLE, "")
	node.route(t, "10.6.0.0/24", unix.RTN_PROHIBIT, "")
	node.route(t, "fd14::/64", unix.RTN_BLACKHOLE, "")
	node.route(t, "fd15::/64", unix.RTN_UNREACHABLE, "")
	pod.route(t, "0.0.0.0/0", unix.RTN_UNICAST, "10.1.0.1")

	peer := func(name, node string, pods ...string) *Peer {
		p := &Peer{Node: name, NodeAddresses: []netip.Addr{netip.MustParseAddr(node)}}
		for _, pod := range pods {
			p.PodAddresses = append(p.PodAddresses, netip.MustParseAddr(pod))
		}
		return p
	}
	h, _ := handlesFor(t, node, pod)
	set := setOf("route", NewRoute(h, peerList{
		peer("n1", "192.168.7.1", "10.1.0.2"),
		peer("n2", "192.168.7.2", "10.2.0.2", "fd07::2"),
		peer("n3", "192.168.9.3", "10.3.0.2", "fd13::2"), // no route but the default one
		peer("n4", "192.168.7.4", "10.4.0.2", "fd14::2"),
		peer("n5", "192.168.7.5", "10.5.0.2", "fd15::2"),
		peer("n6", "192.168.7.6", "10.6.0.2"),
	}, func(ns Namespace) bool { return ns.Pod == "endpoint-n1" }))

	var want strings.Builder
	fmt.Fprint(&want, `
# HELP podnet_route_lookup 1 for what the routing table of the vantage (the node, or its endpoint pod) says about the peer's node or pod address; of the endpoint only what is not ok. result: ok, default (a pod's address is reached by the node's default route only), no_route, unreachable, blackhole or prohibit. device: the interface it goes out of, several with a comma if the route has several paths, empty if there is none.
# TYPE podnet_route_lookup gauge
`)
	row := func(peer, kind, vantage, family, result, device string) {
		fmt.Fprintf(&want, "podnet_route_lookup{device=%q,family=%q,peer_node=%q,result=%q,target_kind=%q,vantage=%q} 1\n",
			device, family, peer, result, kind, vantage)
	}
	for _, n := range []string{"n1", "n2", "n3", "n4", "n5", "n6"} {
		row(n, "node", "node", "ipv4", "ok", "eth0")
	}
	for _, n := range []string{"n2", "n3", "n4", "n5"} {
		row(n, "pod", "pod", "ipv6", "no_route", "")
	}
	row("n1", "pod", "node", "ipv4", "ok", "veth-endpoint")
	row("n2", "pod", "node", "ipv4", "ok", "eth0")
	row("n2", "pod", "node", "ipv6", "ok", "eth0")
	row("n3", "pod", "node", "ipv4", "default", "eth0")
	row("n3", "pod", "node", "ipv6", "no_route", "")
	row("n4", "pod", "node", "ipv4", "blackhole", "")
	row("n4", "pod", "node", "ipv6", "blackhole", "")
	row("n5", "pod", "node", "ipv4", "unreachable", "")
	row("n5", "pod", "node", "ipv6", "unreachable", "")
	row("n6", "pod", "node", "ipv4", "prohibit", "")
	if err := testutil.CollectAndCompare(set, strings.NewReader(want.String()), "podnet_route_lookup"); err != nil {
		t.Error(err)
	}
	lint(t, set)
}

func TestRouteLooksAgainOnceTheLastLookIsOld(t *testing.T) {
	node := newSandbox(t, "")
	node.connect(t, "eth0", "", newSandbox(t, "fabric"))
	node.address(t, "eth0", "192.168.7.1/24")
	node.route(t, "10.2.0.0/24", unix.RTN_UNICAST, "192.168.7.2")
	h, _ := handlesFor(t, node)
	c := NewRoute(h, peerList{{Node: "n2", PodAddresses: []netip.Addr{netip.MustParseAddr("10.2.0.2")}}}, everywhere)
	now := time.Unix(1000, 0)
	c.now = func() time.Time { return now }
	result := func() fibResult {
		t.Helper()
		lookups, err := c.lookups()
		if err != nil || len(lookups) != 1 {
			t.Fatalf("lookups() = %v, %v; want one", lookups, err)
		}
		return lookups[0].result
	}
	if got := result(); got != routeOK {
		t.Errorf("result = %s; want %s", got, routeOK)
	}
	node.down(t, "eth0")
	if got := result(); got != routeOK {
		t.Errorf("result at once = %s; want that of the last look, %s", got, routeOK)
	}
	now = now.Add(routeMaxAge + 1)
	if got := result(); got != routeNone {
		t.Errorf("result later = %s; want %s", got, routeNone)
	}
}
