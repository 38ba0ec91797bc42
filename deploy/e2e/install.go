package main

import (
	"context"
	"fmt"
	"os/exec"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/statefile"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/windows"
)

// namespace is where podnet_exporter is installed.
const namespace = "podnet"

// chartValues are what the cluster needs: its own image, and unless it is to be
// as in production the probers every second, since the rules have the
// windows of a lab.
func (p Plan) chartValues() object {
	values := object{"image": object{"repository": productImage, "tag": productTag, "pullPolicy": "Never"}}
	if p.Production {
		return values
	}
	values["config"] = object{"probes": windows.Probes()}
	// One after the other: a rollout shall show that nobody is paged by it.
	for _, part := range []string{"agent", "endpoint"} {
		values[part] = object{"updateStrategy": object{"rollingUpdate": object{"maxUnavailable": 1}}}
	}
	return values
}

// install installs podnet_exporter from its chart, as a user does.
func (c *Cluster) install(ctx context.Context) error {
	values := c.path("values.yaml")
	if err := statefile.WriteYAML(values, c.Plan.chartValues()); err != nil {
		return err
	}
	return c.helm(ctx, "upgrade", "--install", "podnet", c.Repo+"/deploy/helm/podnet-exporter",
		"--namespace="+namespace, "--create-namespace", "--values="+values)
}

// rolledOut waits until the pods of both DaemonSets are those of the last
// change, and run.
func (c *Cluster) rolledOut(ctx context.Context) error {
	for _, name := range []string{"daemonset/podnet-endpoint", "daemonset/podnet-agent"} {
		if _, err := c.kubectl(ctx, nil, "rollout", "status", name, "--namespace="+namespace, "--timeout=90s"); err != nil {
			return fmt.Errorf("%w\n%s", err, c.describePods(ctx))
		}
	}
	return nil
}

// describePods returns why pods do not run, for people.
func (c *Cluster) describePods(ctx context.Context) []byte {
	pods, _ := c.kubectl(ctx, nil, "get", "pods", "--namespace="+namespace, "--output=wide")
	events, _ := c.kubectl(ctx, nil, "get", "events", "--namespace="+namespace, "--field-selector=type=Warning")
	logs, _ := c.kubectl(ctx, nil, "logs", "--namespace="+namespace, "daemonset/podnet-agent", "--tail=20")
	return append(append(pods, events...), logs...)
}

// helm runs helm as the cluster's administrator, from where the apiserver is
// reached. It keeps its own files in the state directory.
func (c *Cluster) helm(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, c.bin("helm"), append([]string{"--kubeconfig=" + c.kubeconfig("admin")}, args...)...)
	home := c.path("helm")
	cmd.Env = []string{"HOME=" + home, "XDG_CONFIG_HOME=" + home, "XDG_CACHE_HOME=" + home, "XDG_DATA_HOME=" + home}
	err := netspace.In(c.Plan.Control.Netns, func() error {
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("helm %s: %w", args[0], err)
	}
	return nil
}
