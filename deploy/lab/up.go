package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// up makes the lab anew and returns once all of it serves.
func (l *Lab) up(ctx context.Context) error {
	if err := l.build(ctx); err != nil {
		return err
	}
	start := time.Now()
	if _, err := l.remove(); err != nil {
		return fmt.Errorf("remove what is left of an earlier lab: %w", err)
	}
	// Written before anything is made: a crash from here on leaves a lab that
	// down knows.
	if err := os.MkdirAll(l.StateDir, 0o755); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if err := l.changeState(func(*State) {}); err != nil {
		return err
	}
	if err := l.writeFiles(); err != nil {
		return err
	}
	if err := makeTopology(l.Plan); err != nil {
		return err
	}
	if err := l.startAll(ctx); err != nil {
		return err
	}
	fmt.Fprintf(l.Out, "lab is up after %.1f s: %d namespaces, pods over %s\n", time.Since(start).Seconds(), len(l.Plan.Namespaces()), l.Plan.CNI)
	return nil
}

// startAll starts every program and waits until all serve.
func (l *Lab) startAll(ctx context.Context) error {
	checks := l.monitoringReady()
	if err := l.startMonitoring(); err != nil {
		return err
	}
	for _, n := range l.Plan.Nodes {
		if n.DNSNetns != "" && !l.NoDNS {
			if err := l.startDNS(n.Name); err != nil {
				return err
			}
			checks = append(checks, l.dnsReady(n))
		}
		if l.NoAgents {
			continue
		}
		if err := l.startEndpoint(n.Name); err != nil {
			return err
		}
		if err := l.startAgent(n.Name); err != nil {
			return err
		}
		checks = append(checks, l.endpointReady(n.Name), l.agentReady(n.Name))
	}
	return l.waitReady(ctx, checks)
}

func (l *Lab) startMonitoring() error {
	bin := func(name string) string { return filepath.Join(l.Repo, "bin", name) }
	err := l.startProcess("alertmanager", l.Plan.Mon.Netns, []string{
		bin("alertmanager"),
		"--config.file=" + l.path("alertmanager.yaml"), "--storage.path=" + l.path("alertmanager"),
		fmt.Sprintf("--web.listen-address=:%d", alertmanagerPort), "--cluster.listen-address=",
	})
	if err != nil {
		return err
	}
	return l.startProcess("prometheus", l.Plan.Mon.Netns, []string{
		bin("prometheus"),
		"--config.file=" + l.path("prometheus.yaml"), "--storage.tsdb.path=" + l.path("prometheus"),
		fmt.Sprintf("--web.listen-address=:%d", prometheusPort), "--web.enable-lifecycle",
	})
}

// down removes the lab and says what it removed.
func (l *Lab) down() error {
	removed, err := l.remove()
	for _, line := range removed {
		fmt.Fprintln(l.Out, "removed", line)
	}
	if len(removed) == 0 && err == nil {
		fmt.Fprintln(l.Out, "no lab to remove")
	}
	return err
}

// printWhereToLook says how a person sees into the lab.
func (l *Lab) printWhereToLook() {
	mon, n1 := l.Plan.Mon.Netns, l.Plan.Nodes[0]
	fmt.Fprintf(l.Out, `
look into it
  alerts       ip netns exec %[1]s curl -s localhost:%[2]d/api/v2/alerts
  a query      ip netns exec %[1]s curl -s 'localhost:%[3]d/api/v1/query?query=up'
  an agent     ip netns exec %[4]s curl -s %[5]s:%[6]d/metrics
  inside a pod ip netns exec %[7]s ip route
  a browser    ip netns exec %[1]s firefox http://localhost:%[3]d/alerts
  logs         %[8]s
`, mon, alertmanagerPort, prometheusPort, n1.Netns, n1.Addr4, agentPort, n1.AppNetns, l.path("log"))
}
