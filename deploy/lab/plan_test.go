package main

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlanNode(t *testing.T) {
	n, ok := NewPlan(cniVXLAN).Node("n3")
	if !ok {
		t.Fatal("no n3")
	}
	want := NodePlan{
		Index: 3, Name: "n3", Rack: "r2", Zone: "b", Netns: "podnet-n3", ToR: "tor2",
		Addr4: addr("172.20.2.13"), Addr6: addr("fd00:20:2::13"),
		Net4: prefixOf("172.20.2.0/24"), Net6: prefixOf("fd00:20:2::/64"),
		Gateway4: addr("172.20.2.1"), Gateway6: addr("fd00:20:2::1"),
		PodCIDR4: prefixOf("10.244.3.0/24"), PodCIDR6: prefixOf("fd00:244:3::/64"),
		Bridge4: addr("10.244.3.1"), Bridge6: addr("fd00:244:3::1"),
		Tunnel4: addr("10.244.3.0"), Tunnel6: addr("fd00:244:3::"),
		TunnelMAC4: "0e:f1:00:00:04:03", TunnelMAC6: "0e:f1:00:00:06:03",
		EndpointNetns: "podnet-n3-endpoint", AppNetns: "podnet-n3-app",
		Endpoint4: addr("10.244.3.2"), Endpoint6: addr("fd00:244:3::2"),
		App4: addr("10.244.3.3"), App6: addr("fd00:244:3::3"),
		EndpointVeth: "veth-endpoint", AppVeth: "veth-app",
		DNSNetns: "podnet-n3-dns", DNSVeth: "veth-dns", DNS4: addr("10.244.3.4"), DNS6: addr("fd00:244:3::4"),
	}
	if diff := cmp.Diff(want, n, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestPlanNamesEverythingOnce(t *testing.T) {
	for _, cni := range []string{cniVXLAN, cniRouted} {
		p := NewPlan(cni)
		seen := map[string]bool{}
		once := func(what string) {
			if seen[what] {
				t.Errorf("%s: %s is there twice", cni, what)
			}
			seen[what] = true
		}
		for _, name := range p.Namespaces() {
			once(name)
		}
		for _, n := range p.Nodes {
			once(n.Addr4.String())
			once(n.Addr6.String())
			once(n.TunnelMAC4)
			once(n.TunnelMAC6)
			for _, pod := range n.Pods() {
				once(pod.Addr4.String())
				once(pod.Addr6.String())
			}
		}
		for _, c := range p.Cables {
			for _, end := range []netip.Prefix{c.A4, c.B4, c.A6, c.B6} {
				once(end.String())
			}
		}
	}
}

func TestPlanDestinations(t *testing.T) {
	for cni, want := range map[string]int{cniVXLAN: 4 + 2, cniRouted: 4 + 8 + 2} {
		top := topology{plan: NewPlan(cni)}
		if got := len(top.destinations()); got != want {
			t.Errorf("%s: the fabric knows %d destinations; want %d", cni, got, want)
		}
		for _, d := range top.destinations() {
			for _, r := range top.plan.Routers {
				if r.Rack != "" && r.Rack == d.rack {
					continue
				}
				want := 2 // both spines
				if r.Rack == "" {
					want = 1 // the one ToR, or the monitoring host
				}
				if got := len(top.hops(r, d)); got != want {
					t.Errorf("%s: %s has %d next hops to %s; want %d", cni, r.Name, got, d.prefix, want)
				}
			}
		}
	}
}
