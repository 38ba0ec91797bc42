package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

// rollout returns the step that replaces all pods of a DaemonSet.
func rollout(name string) func(context.Context, *Cluster, NodePlan) error {
	return func(ctx context.Context, c *Cluster, _ NodePlan) error {
		if _, err := c.kubectl(ctx, nil, "rollout", "restart", "daemonset/"+name, "--namespace="+namespace); err != nil {
			return err
		}
		return c.rolledOut(ctx)
	}
}

// settled waits until all pods run.
func settled(ctx context.Context, c *Cluster, _ NodePlan) error { return c.rolledOut(ctx) }

// drainNode takes a node out of service for good as its administrator does:
// cordon, drain, power off, delete.
func drainNode(ctx context.Context, c *Cluster, n NodePlan) error {
	if err := c.drain(ctx, n); err != nil {
		return err
	}
	return c.deleteNode(ctx, n)
}

// maintainNode takes a node out of service for a while: cordon, drain, power
// off.
func maintainNode(ctx context.Context, c *Cluster, n NodePlan) error {
	if err := c.drain(ctx, n); err != nil {
		return err
	}
	return c.powerOff(n)
}

// backInService is the end of maintenance.
func backInService(ctx context.Context, c *Cluster, n NodePlan) error {
	if err := joinAgain(ctx, c, n); err != nil {
		return err
	}
	_, err := c.kubectl(ctx, nil, "uncordon", n.Name)
	return err
}

// drain cordons and drains a node, and waits until all others know.
func (c *Cluster) drain(ctx context.Context, n NodePlan) error {
	for _, args := range [][]string{
		{"cordon", n.Name},
		{"drain", n.Name, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=60s"},
	} {
		if _, err := c.kubectl(ctx, nil, args...); err != nil {
			return err
		}
	}
	return c.peersKnow(ctx, n)
}

// deleteNode powers a node off and deletes it from Kubernetes.
func (c *Cluster) deleteNode(ctx context.Context, n NodePlan) error {
	if err := c.powerOff(n); err != nil {
		return err
	}
	_, err := c.kubectl(ctx, nil, "delete", "node", n.Name, "--ignore-not-found")
	return err
}

// knownWithin is how long all nodes may take to know that one is out of
// service. A drain takes longer where there is anything to move away.
const knownWithin = 10 * time.Second

// peersKnow waits until the agents of all other nodes know that a node is out
// of service.
func (c *Cluster) peersKnow(ctx context.Context, n NodePlan) error {
	expr := fmt.Sprintf(`sum by (node) (podnet_peers{node!=%q, state=~"cordoned|draining"}) > 0`, n.Name)
	return paging.Poll(ctx, knownWithin, func(ctx context.Context) error {
		know, err := c.monitor().Query(ctx, expr)
		if err != nil {
			return err
		}
		if others := len(c.Plan.Nodes) - 1; len(know) != others {
			return fmt.Errorf("%d of %d nodes know that %s is cordoned", len(know), others, n.Name)
		}
		return nil
	})
}

// powerOff ends a node, and all that it had is gone with it: the LAN has no
// port for it, and a node that is started under its name is a new one.
func (c *Cluster) powerOff(n NodePlan) error {
	if err := c.unplug(n); err != nil {
		return err
	}
	if err := c.stopNode(n); err != nil {
		return err
	}
	names, err := netspace.With(n.Netns)
	if err != nil {
		return err
	}
	if _, err := netspace.Remove(names); err != nil {
		return err
	}
	return os.RemoveAll(c.nodePath(n))
}

// cutPower powers a node off that is in service.
func cutPower(_ context.Context, c *Cluster, n NodePlan) error { return c.powerOff(n) }

// joinAgain brings a node back that was powered off, and waits until podnet_exporter
// runs on it.
func joinAgain(ctx context.Context, c *Cluster, n NodePlan) error {
	if err := c.join(ctx, n); err != nil {
		return err
	}
	return c.rolledOut(ctx)
}

// joinNode adds a node to the cluster.
func joinNode(ctx context.Context, c *Cluster, n NodePlan) error {
	c.Plan.Nodes = append(slices.Clone(c.Plan.Nodes), n)
	return joinAgain(ctx, c, n)
}

// leaveNode takes it out again, and what is there of one that did not come up.
func leaveNode(ctx context.Context, c *Cluster, n NodePlan) error {
	leave := drainNode
	if _, err := c.proc(n.Name); err != nil {
		leave = func(ctx context.Context, c *Cluster, n NodePlan) error { return c.deleteNode(ctx, n) }
	}
	if err := leave(ctx, c, n); err != nil {
		return err
	}
	c.Plan.Nodes = slices.DeleteFunc(slices.Clone(c.Plan.Nodes), func(o NodePlan) bool { return o.Name == n.Name })
	return nil
}

// foundWithin is how long all may take to find the apiserver again. client-go
// waits for up to a minute between two attempts: first that of a node's
// kube-proxy, which refuses connections to the apiserver's Service as long as
// that has no endpoint, as it had when the apiserver ended, and then the agent's.
const foundWithin = 2*time.Minute + 30*time.Second

// stopAPIServer ends the apiserver.
func stopAPIServer(_ context.Context, c *Cluster, _ NodePlan) error { return c.stop("kube-apiserver") }

// startAPIServerAgain starts it, and waits until everybody has found it.
func startAPIServerAgain(ctx context.Context, c *Cluster, _ NodePlan) error {
	if err := c.startAPIServer(); err != nil {
		return err
	}
	if err := c.waitFor(ctx, "kube-apiserver", c.apiReady); err != nil {
		return err
	}
	return paging.Poll(ctx, foundWithin, func(ctx context.Context) error {
		away, err := c.monitor().Query(ctx, `podnet_kubernetes_api_up == 0`)
		if err != nil {
			return err
		}
		if len(away) > 0 {
			return errors.New("agents that have not found the apiserver" + labelsOf(away))
		}
		return c.nodesReady(ctx, c.Plan.Nodes)
	})
}
