package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/statefile"
)

// cniFile is where a node's CNI configuration is, below its "etc-cni".
const cniFile = "net.d/10-e2e.conflist"

// programPods gives the pods of all nodes that run a network: each node its
// CNI configuration, and all routes between them. It fails until every node of
// the plan has its share of the pods' addresses.
func (c *Cluster) programPods(ctx context.Context) error {
	shares, err := c.podCIDRs(ctx)
	if err != nil {
		return err
	}
	for _, n := range c.Plan.Nodes {
		if len(shares[n.Name]) == 0 {
			return fmt.Errorf("%s has no addresses for its pods", n.Name)
		}
		if err := c.writeCNI(n, shares[n.Name]); err != nil {
			return err
		}
	}
	return c.routePods(shares)
}

// podCIDRs returns the share of pods' addresses that the controllers gave to
// each node, in the order in which nodes registered.
func (c *Cluster) podCIDRs(ctx context.Context) (map[string][]netip.Prefix, error) {
	var nodes corev1.NodeList
	if err := c.get(ctx, &nodes, "nodes"); err != nil {
		return nil, err
	}
	shares := map[string][]netip.Prefix{}
	for _, n := range nodes.Items {
		for _, text := range n.Spec.PodCIDRs {
			p, err := netip.ParsePrefix(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", n.Name, err)
			}
			shares[n.Name] = append(shares[n.Name], p)
		}
	}
	return shares, nil
}

// writeCNI writes a node's CNI configuration.
func (c *Cluster) writeCNI(n NodePlan, share []netip.Prefix) error {
	if err := os.MkdirAll(c.nodePath(n, "etc-cni", "net.d"), 0o755); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	b, err := json.MarshalIndent(cniConfig(share), "", "  ")
	if err != nil {
		return err
	}
	return statefile.Write(c.nodePath(n, "etc-cni", cniFile), b)
}

// nodesReady fails unless Kubernetes says that nodes are ready.
func (c *Cluster) nodesReady(ctx context.Context, nodes []NodePlan) error {
	var all corev1.NodeList
	if err := c.get(ctx, &all, "nodes"); err != nil {
		return err
	}
	for _, n := range nodes {
		i := slices.IndexFunc(all.Items, func(o corev1.Node) bool { return o.Name == n.Name })
		if i < 0 {
			return fmt.Errorf("%s has not registered", n.Name)
		}
		if status, why := readiness(all.Items[i]); status != corev1.ConditionTrue {
			return fmt.Errorf("%s is not ready: %s", n.Name, why)
		}
	}
	return nil
}

// readiness returns a node's Ready condition, and what the kubelet says of it.
func readiness(n corev1.Node) (corev1.ConditionStatus, string) {
	for _, condition := range n.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status, condition.Message
		}
	}
	return corev1.ConditionUnknown, "nothing is known of it"
}
