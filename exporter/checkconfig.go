package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
)

// checkConfigCommand is "check-config FILE": says in one line what was read,
// or everything that is wrong.
func checkConfigCommand(app *kingpin.Application, stdout io.Writer) command {
	cmd := app.Command("check-config", "Check a configuration file, and the file of nodes that it names.")
	file := cmd.Arg("file", "The file to check.").Required().String()
	return command{cmd.FullCommand(), func(context.Context, *slog.Logger) error {
		summary, err := checkConfig(*file)
		if err != nil {
			return fmt.Errorf("the configuration cannot be used\n%w", err)
		}
		fmt.Fprintln(stdout, summary)
		return nil
	}}
}

// checkConfig reads a configuration and its file of nodes, and says what they
// hold. A file of nodes that is not there is no mistake: it may be written on
// another machine, or later.
func checkConfig(file string) (summary string, err error) {
	cfg, err := config.Load(file)
	if err != nil {
		return "", err
	}
	mesh, err := checkDiscovery(cfg.Discovery)
	if err != nil {
		return "", err
	}
	icmp, tcp := cfg.Probes.ICMP, cfg.Probes.TCP
	return fmt.Sprintf("%s is good: node %s, %s, icmp %s, tcp %s, responder %s, collectors %s", file, cfg.Node, mesh,
		pace(icmp.Enabled, icmp.Interval, fmt.Sprintf("%d bytes", icmp.Size)),
		pace(tcp.Enabled, tcp.Interval, fmt.Sprintf("port %d", tcp.Port)),
		onOff(cfg.Responder.Enabled, "on "+cfg.Responder.Listen),
		enabledCollectors(cfg.Collectors)), nil
}

// checkDiscovery says where nodes are found. Kubernetes is not asked: the
// configuration may be of another cluster.
func checkDiscovery(cfg config.Discovery) (string, error) {
	if k := cfg.Kubernetes; k.Enabled() {
		return fmt.Sprintf("nodes from the Services %s and %s in namespace %s", k.AgentsService, k.EndpointsService, k.Namespace), nil
	}
	nodes, err := discovery.ReadFile(cfg.File.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Sprintf("nodes in %s (not there yet)", cfg.File.Path), nil
	case err != nil:
		return "", err
	}
	return fmt.Sprintf("%d nodes in %s", len(nodes.Nodes), cfg.File.Path), nil
}

func pace(enabled bool, interval time.Duration, what string) string {
	return onOff(enabled, fmt.Sprintf("every %v (%s)", interval, what))
}

func onOff(enabled bool, how string) string {
	if !enabled {
		return "off"
	}
	return how
}

// enabledCollectors returns the names of those that are on.
func enabledCollectors(c config.Collectors) string {
	names := ""
	for _, collector := range []struct {
		name    string
		enabled bool
	}{
		{"interface", c.Interface.Enabled},
		{"conntrack", c.Conntrack.Enabled},
		{"softnet", c.Softnet.Enabled},
		{"sockets", c.Sockets.Enabled},
		{"tcp", c.TCP.Enabled},
		{"route", c.Route.Enabled},
		{"qdisc", c.Qdisc.Enabled}, {"drops", c.Drops.Enabled},
	} {
		if collector.enabled {
			names += " " + collector.name
		}
	}
	if names == "" {
		return "none"
	}
	return names[1:]
}
