package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/process"
)

// up makes the cluster anew, and unless bare installs podnet_exporter and what
// watches it. It returns once all of it runs.
func (c *Cluster) up(ctx context.Context, bare bool) error {
	if err := programsThere(c.asked.Proxy); err != nil {
		return err
	}
	if err := c.build(ctx); err != nil {
		return err
	}
	start := time.Now()
	c.Plan = newPlan(c.asked)
	if _, err := c.remove(); err != nil {
		return fmt.Errorf("remove what is left of an earlier cluster: %w", err)
	}
	if err := c.prepare(); err != nil {
		return err
	}
	images := make(chan error, 1)
	go func() { images <- c.writeImages(ctx) }()
	if err := errors.Join(c.makeControlPlane(ctx), <-images); err != nil {
		return err
	}
	c.say(start, "the control plane serves")
	products := make(chan error, 1)
	go func() { products <- c.installAll(ctx, bare) }()
	if err := errors.Join(c.join(ctx, c.Plan.Nodes...), <-products); err != nil {
		return err
	}
	c.say(start, fmt.Sprintf("%d nodes are ready", len(c.Plan.Nodes)))
	if bare {
		return nil
	}
	if err := c.rolledOut(ctx); err != nil {
		return err
	}
	c.say(start, "podnet_exporter runs on each")
	return nil
}

// installAll installs podnet_exporter and what watches it, which needs no node
// yet, unless nothing is to be installed.
func (c *Cluster) installAll(ctx context.Context, bare bool) error {
	if bare {
		return nil
	}
	return errors.Join(c.startMonitoring(ctx), c.install(ctx))
}

// say prints what has come about, and how long after the start.
func (c *Cluster) say(start time.Time, what string) {
	fmt.Fprintf(c.Out, "%5.1f s  %s\n", time.Since(start).Seconds(), what)
}

// makeControlPlane makes the LAN and starts the control plane.
func (c *Cluster) makeControlPlane(ctx context.Context) error {
	if err := c.makeLAN(); err != nil {
		return err
	}
	return c.startControlPlane(ctx)
}

// prepare writes what the control plane and the nodes read. The state is
// written before anything is made: a crash from there on leaves a cluster that
// down knows.
func (c *Cluster) prepare() error {
	for _, dir := range []string{"", "log", "pki", "nodes", "images"} {
		if err := os.MkdirAll(c.path(dir), 0o755); err != nil {
			return fmt.Errorf("state directory: %w", err)
		}
	}
	if err := c.changeState(func(*State) {}); err != nil {
		return err
	}
	return c.writePKI()
}

// join adds nodes side by side, and returns once they are ready.
func (c *Cluster) join(ctx context.Context, nodes ...NodePlan) error {
	err := eachNode(nodes, func(n NodePlan) error {
		if err := c.makeNodeNetwork(n); err != nil {
			return err
		}
		return c.startNode(n)
	})
	if err != nil {
		return err
	}
	return c.connectNodes(ctx, nodes...)
}

// connectNodes waits until nodes have registered and gives their pods a
// network, as a CNI's daemon does, until they are ready.
func (c *Cluster) connectNodes(ctx context.Context, nodes ...NodePlan) error {
	var ended error
	err := paging.Poll(ctx, startWithin, func(ctx context.Context) error {
		if ended = c.alive(nodes); ended != nil {
			return nil
		}
		return c.programPods(ctx)
	})
	if err = errors.Join(ended, err); err == nil {
		err = paging.Poll(ctx, startWithin, func(ctx context.Context) error { return c.nodesReady(ctx, nodes) })
	}
	if err != nil {
		for _, n := range nodes {
			err = fmt.Errorf("%w\nlog of %s's kubelet:\n%s", err, n.Name, process.LogTail(c.logFile(n.Name+"-kubelet")))
		}
	}
	return err
}

// alive fails if a node's first process has ended.
func (c *Cluster) alive(nodes []NodePlan) error {
	var errs []error
	for _, n := range nodes {
		if _, err := c.proc(n.Name); errors.Is(err, process.ErrNotRunning) {
			errs = append(errs, fmt.Errorf("%w; its log says:\n%s", err, process.LogTail(c.logFile(n.Name))))
		}
	}
	return errors.Join(errs...)
}

// eachNode does something for nodes side by side.
func eachNode(nodes []NodePlan, do func(NodePlan) error) error {
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() { errs[i] = do(n) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// down removes the cluster and says what it removed.
func (c *Cluster) down() error {
	removed, err := c.remove()
	for _, line := range removed {
		fmt.Fprintln(c.Out, "removed", line)
	}
	if len(removed) == 0 && err == nil {
		fmt.Fprintln(c.Out, "no cluster to remove")
	}
	return err
}

// programsThere looks for the programs of the machine that a node runs: without
// its own, kube-proxy ends at once, and nobody reaches the API server.
func programsThere(proxy string) error {
	ofProxy := map[string]string{proxyIPTables: "iptables", proxyNFTables: "nft"}[proxy]
	for _, program := range []string{"containerd", "runc", ofProxy} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w; make e2e-tools installs it", err)
		}
	}
	return nil
}
