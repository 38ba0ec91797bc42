package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlan(t *testing.T) {
	p := newPlan(Options{Prefix: "pne-", Nodes: 3})
	var got []string
	for _, n := range append([]NodePlan{p.Control}, p.Nodes...) {
		got = append(got, strings.Join([]string{n.Name, n.Netns, addresses(n), zone(n)}, " "))
	}
	want := []string{
		"cp pne-cp 10.200.0.1,fd00:200::1 a",
		"node1 pne-node1 10.200.0.11,fd00:200::b a",
		"node2 pne-node2 10.200.0.12,fd00:200::c a",
		"node3 pne-node3 10.200.0.13,fd00:200::d b",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := prefixes(p.Pods); got != "10.244.0.0/16,fd00:244::/56" {
		t.Errorf("pods of %s", got)
	}
}

func TestPlanWithoutIPv6(t *testing.T) {
	p := newPlan(Options{Prefix: "pne-", Nodes: 1, IPv4Only: true})
	if got := addresses(p.Nodes[0]) + " " + prefixes(p.Pods) + " " + prefixes(p.Services); strings.Contains(got, ":") {
		t.Errorf("there is IPv6 in %s", got)
	}
	if p.families() != 1 {
		t.Errorf("%d families", p.families())
	}
}

func TestNodeThatIsNotThere(t *testing.T) {
	_, err := newPlan(Options{Nodes: 2}).Node("node3")
	if err == nil || !strings.Contains(err.Error(), "node1 node2") {
		t.Errorf("error %v; it must name those that there are", err)
	}
}
