package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

// permissionsCheck is the name of the check that takes one permission away
// after the other.
const permissionsCheck = "permissions"

// saidWithin is how long an agent may take, from its start, to say what it
// misses.
const saidWithin = 60 * time.Second

// permission is what the chart lets the agent read, and what its metric calls
// the parts that need it.
type permission struct {
	resource string
	parts    []string
	probes   bool // goes on to probe its peers without
}

func permissions() []permission {
	return []permission{
		{"endpointslices", []string{"agents", "endpoints"}, false},
		{"services", []string{"services"}, true},
		{"nodes", []string{"node"}, true},
		{"pods", []string{"pods"}, true},
		{"events", []string{"events"}, true},
	}
}

// checkPermissions checks that the agent has no more permissions than it needs:
// each that is taken away is missed, in the log and in the metric of just the
// parts that need it, and the rest goes on.
func (c *Cluster) checkPermissions(ctx context.Context) paging.Result {
	result := paging.Result{ID: permissionsCheck, Pass: true}
	for _, p := range permissions() {
		if err := c.without(ctx, p); err != nil {
			result.Pass = false
			result.Reason = strings.TrimPrefix(result.Reason+"; without "+p.resource+": "+err.Error(), "; ")
		}
	}
	return result
}

// without restarts an agent that may not read a resource, and looks what it
// says. In the end it has the permission again.
func (c *Cluster) without(ctx context.Context, p permission) (err error) {
	n := c.Plan.Nodes[len(c.Plan.Nodes)-1]
	restore, err := c.revoke(ctx, p.resource)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, restore(), c.restartAgent(ctx, n), c.rolledOut(ctx), paging.Poll(ctx, coveredWithin, c.quiet))
	}()
	if err := c.restartAgent(ctx, n); err != nil {
		return err
	}
	return paging.Poll(ctx, saidWithin, func(ctx context.Context) error { return c.misses(ctx, n, p) })
}

// misses returns an error unless a node's agent says that it misses the
// permission, and nothing else.
func (c *Cluster) misses(ctx context.Context, n NodePlan, p permission) error {
	pod, err := c.agentPod(ctx, n)
	if err != nil {
		return err
	}
	log, err := c.kubectl(ctx, nil, "logs", pod, "--namespace="+namespace)
	if err != nil {
		return err
	}
	if said := strings.Count(string(log), "permission to read "+p.resource+" is missing"); said != 1 {
		return fmt.Errorf("%s says it %d times in its log, not once", pod, said)
	}
	missing, err := c.monitor().Query(ctx, fmt.Sprintf(`podnet_kubernetes_source_ok{node=%q} == 0`, n.Name))
	if err != nil {
		return err
	}
	parts := map[string]bool{}
	for _, s := range missing {
		parts[s.Labels["resource"]] = true
	}
	if got := slices.Sorted(maps.Keys(parts)); !slices.Equal(got, p.parts) {
		return fmt.Errorf("podnet_kubernetes_source_ok is 0 for %v, not for %v", got, p.parts)
	}
	if !p.probes {
		return nil
	}
	ok, err := c.monitor().Query(ctx, fmt.Sprintf(`sum by (peer_node) (increase(podnet_peer_verdicts_total{node=%q, verdict="ok"}[5s])) > 0`, n.Name))
	if err != nil {
		return err
	}
	if len(ok) != len(c.Plan.Nodes) {
		return fmt.Errorf("%s finds only %d of %d nodes well", n.Name, len(ok), len(c.Plan.Nodes))
	}
	return nil
}

// revoke takes the permission to read a resource from the agent, and returns
// what gives it back.
func (c *Cluster) revoke(ctx context.Context, resource string) (restore func() error, err error) {
	for _, role := range [][]string{{"role", "--namespace=" + namespace}, {"clusterrole"}} {
		var held rbacv1.ClusterRole // a Role has the same rules
		if err := c.get(ctx, &held, slices.Concat(role[:1], []string{"podnet-agent"}, role[1:])...); err != nil {
			return nil, err
		}
		rules := slices.DeleteFunc(slices.Clone(held.Rules), func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, resource) })
		if len(rules) == len(held.Rules) {
			continue
		}
		set := func(ctx context.Context, rules []rbacv1.PolicyRule) error {
			patch, err := json.Marshal(object{"rules": rules})
			if err != nil {
				return err
			}
			_, err = c.kubectl(ctx, nil, slices.Concat([]string{"patch"}, role[:1], []string{"podnet-agent", "--type=merge", "--patch=" + string(patch)}, role[1:])...)
			return err
		}
		if err := set(ctx, rules); err != nil {
			return nil, err
		}
		return func() error { return set(context.WithoutCancel(ctx), held.Rules) }, nil
	}
	return nil, fmt.Errorf("neither role of the agent has %s", resource)
}

// agentPod returns the name of a node's agent that runs.
func (c *Cluster) agentPod(ctx context.Context, n NodePlan) (string, error) {
	var pods corev1.PodList
	if err := c.get(ctx, &pods, "pods", "--namespace="+namespace, "--selector=app.kubernetes.io/component=agent", "--field-selector=spec.nodeName="+n.Name); err != nil {
		return "", err
	}
	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning {
			return p.Name, nil
		}
	}
	return "", fmt.Errorf("no agent runs on %s", n.Name)
}

// restartAgent replaces a node's agent.
func (c *Cluster) restartAgent(ctx context.Context, n NodePlan) error {
	pod, err := c.agentPod(ctx, n)
	if err != nil {
		return err
	}
	_, err = c.kubectl(ctx, nil, "delete", "pod", pod, "--namespace="+namespace, "--wait=true")
	return err
}
