package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

// check is one thing that is done to the cluster, and what must be said about
// it.
type check struct {
	id, title string
	node      string        // that it is done to
	cause     string        // that is paged; "" if nobody may be
	within    time.Duration // of the page, or how long nobody may be paged; 0 is the usual
	hold      time.Duration // of the page while the fault is there; 0 is the usual
	mustSee   string        // PromQL that must have a result meanwhile, with NODE for the node

	inject, clear func(context.Context, *Cluster, NodePlan) error
}

// checks is everything that is tried, in the order in which it is.
func checks() []check {
	return append(faultChecks(), quietChecks()...)
}

// faultChecks are those that somebody is paged for.
func faultChecks() []check {
	return []check{
		{
			id: "forward-drop", title: "a rule of the node's FORWARD hook drops what its pods exchange with other nodes",
			node: "node2", cause: "firewall_drop",
			inject: dropForwarded, clear: clearRules,
		},
		{
			id: "route-missing", title: "the node has lost its routes to another node's pods",
			node: "node1", cause: "route_missing",
			inject: removeRoutes, clear: restoreRoutes,
		},
		{
			id: "pod-link-down", title: "the host end of the endpoint pod's veth is down",
			node: "node2", cause: "interface_down",
			inject: podLinkDown, clear: podLinkUp,
		},
		{
			id: "not-listening", title: "the process of the endpoint pod ends whenever it is started",
			node: "node2", cause: "not_listening",
			inject: crashEndpoint, clear: replaceEndpoint,
		},
		{
			// Kubernetes finds a node NotReady after 40 s, and its pods with
			// it: that must not take the page back.
			id: "node-down", title: "the node is powered off, and nobody told Kubernetes",
			node: "node3", cause: "node_unreachable", hold: time.Minute,
			inject: cutPower, clear: joinAgain,
		},
		{
			id: "cni-failing", title: "the CNI plugin returns an error, and a pod is to start",
			node: "node2", cause: "cni_failing", within: startingDeadline,
			inject: breakPlugin, clear: mendPlugin,
		},
		{
			id: "cni-missing", title: "the node has no CNI configuration",
			node: "node3", cause: "cni_not_installed", within: startingDeadline,
			inject: removeCNI, clear: restoreCNI,
		},
		{
			id: "ip-pool-exhausted", title: "the node's range of pods' addresses is used up, and a pod is to start",
			node: "node2", cause: "ip_pool_exhausted", within: startingDeadline,
			inject: fillPool, clear: emptyPool,
		},
	}
}

// quietChecks are those that nobody may be paged for.
func quietChecks() []check {
	return []check{
		{
			id: "endpoint-rollout", title: "the endpoints' DaemonSet is rolled out anew", node: "node1",
			inject: rollout("podnet-endpoint"), clear: settled,
		},
		{
			id: "exporter-restart", title: "the agents' DaemonSet is rolled out anew", node: "node1",
			inject: rollout("podnet-agent"), clear: settled,
		},
		{
			id: "node-drained", title: "a node is cordoned, drained, switched off and deleted", node: "node3",
			mustSee: `podnet_peer_verdicts_total{peer_node="NODE", verdict="expected_down"} > 0`,
			inject:  drainNode, clear: joinAgain,
		},
		{
			// Longer than Kubernetes needs to find it NotReady, and than the
			// ticket waits that its agent is down.
			id: "node-maintenance", title: "a node is cordoned, drained and switched off, to come back", node: "node3", within: time.Minute,
			mustSee: `max_over_time(up{node="NODE"}[45s]) == 0 unless on (node) ALERTS{alertname="PodNetAgentDown", alertstate="firing"}`,
			inject:  maintainNode, clear: backInService,
		},
		{
			id: "node-joins", title: "a node joins", node: joiner, within: time.Minute,
			mustSee: `count(sum by (node) (increase(podnet_peer_verdicts_total{peer_node="NODE", verdict="ok"}[5s])) > 0) >= 3`,
			inject:  joinNode, clear: leaveNode,
		},
		{
			id: "api-server-down", title: "the API server is away", node: "node1", within: 40 * time.Second,
			mustSee: `ALERTS{cause="api_server_away", severity="ticket", alertstate="firing"}`,
			inject:  stopAPIServer, clear: startAPIServerAgain,
		},
	}
}

// startingDeadline is how long the page may take that pods do not start: an
// agent gives each 10 s, and the kubelet says so within some more.
const startingDeadline = 60 * time.Second

// trial returns the check as the lab's runner wants it.
func (c *Cluster) trial(k check) (paging.Trial, error) {
	n, err := c.anyNode(k.node)
	if err != nil {
		return paging.Trial{}, err
	}
	t := paging.Trial{
		ID:      k.id,
		Want:    paging.Expectation{Cause: k.cause, Node: n.Name, Within: k.within, Hold: k.hold},
		MustSee: strings.ReplaceAll(k.mustSee, "NODE", n.Name),
		Inject:  func(ctx context.Context) error { return k.inject(ctx, c, n) },
		Clear:   func(ctx context.Context) error { return k.clear(ctx, c, n) },
	}
	if k.cause != "" {
		t.Want.Severity = paging.SeverityPage
	}
	return t, nil
}

// joiner is the node that is not in a cluster of three.
const joiner = "node4"

// anyNode returns a node of the plan, or one that could join.
func (c *Cluster) anyNode(name string) (NodePlan, error) {
	o := c.Plan.Options
	o.Nodes = maxNodes
	return newPlan(o).Node(name)
}

// checksOf returns the checks of these names, all if there is none.
func checksOf(ids []string) ([]check, error) {
	if len(ids) == 0 {
		return checks(), nil
	}
	var found []check
	var known []string
	for _, k := range checks() {
		known = append(known, k.id)
	}
	for _, id := range ids {
		before := len(found)
		for _, k := range checks() {
			if k.id == id {
				found = append(found, k)
			}
		}
		if len(found) == before {
			return nil, fmt.Errorf("no check %q; there are %s, %s, %s and %s", id, seriesCheck, permissionsCheck, commandsCheck, strings.Join(known, ", "))
		}
	}
	return found, nil
}
