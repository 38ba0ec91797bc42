package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// kubectlCommand returns kubectl as the cluster's administrator. It is to be
// started inside the control plane's namespace, from where the apiserver is
// reached.
func (c *Cluster) kubectlCommand(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, c.bin("kubernetes/kubectl"), append([]string{"--kubeconfig=" + c.kubeconfig("admin")}, args...)...)
}

// kubectl runs kubectl with an input, which may be nil, and returns its output.
func (c *Cluster) kubectl(ctx context.Context, input []byte, args ...string) ([]byte, error) {
	cmd := c.kubectlCommand(ctx, args...)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &problems
	if err := netspace.In(c.Plan.Control.Netns, cmd.Start); err != nil {
		return nil, fmt.Errorf("kubectl: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("kubectl %s: %w: %s", args[0], err, strings.TrimSpace(problems.String()))
	}
	return out.Bytes(), nil
}

// get reads objects of the cluster: c.get(ctx, &nodes, "nodes").
func (c *Cluster) get(ctx context.Context, into any, args ...string) error {
	b, err := c.kubectl(ctx, nil, append([]string{"get", "--output=json"}, args...)...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("kubectl get %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// runKubectl runs kubectl for the person at the terminal.
func (c *Cluster) runKubectl(ctx context.Context, args []string) error {
	cmd := c.kubectlCommand(ctx, args...)
	return netspace.In(c.Plan.Control.Netns, func() error { return passThrough(cmd) })
}
