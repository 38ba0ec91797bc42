package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/process"
)

// readyWithin is how long the lab's programs may take to serve, and the first
// scrape of each agent at most an interval more.
const readyWithin = 20 * time.Second

// check asks whether a program serves.
type check struct {
	process string
	ask     func(ctx context.Context) error // nil error: it does
}

// waitReady waits until every check passes. It fails at once when a program
// has ended, and at the deadline; the error holds the end of the log of what
// is not ready.
func (l *Lab) waitReady(ctx context.Context, checks []check) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin+l.scrapeInterval())
	defer cancel()
	errs := make(chan error)
	for _, c := range checks {
		go func() { errs <- l.waitOne(ctx, c) }()
	}
	var all []error
	for range checks {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

func (l *Lab) waitOne(ctx context.Context, c check) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := c.ask(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil { // else it only says that time is up
			last = err
		}
		p, gone := l.proc(c.process)
		if gone != nil {
			return fmt.Errorf("%s has ended; its log says:\n%s", c.process, process.LogTail(l.path("log/"+c.process+".log")))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s (pid %d) is not ready: %w; its log says:\n%s", c.process, p.PID, last, process.LogTail(l.path("log/"+c.process+".log")))
		case <-tick.C:
		}
	}
}

// agentReady asks an agent inside its node.
func (l *Lab) agentReady(node string) check {
	n, _ := l.Plan.Node(node)
	return check{"agent-" + node, func(ctx context.Context) error {
		_, err := netspace.Get(ctx, n.Netns, fmt.Sprintf("http://127.0.0.1:%d/-/ready", agentPort))
		return err
	}}
}

// endpointReady connects to an endpoint inside its pod.
func (l *Lab) endpointReady(node string) check {
	n, _ := l.Plan.Node(node)
	return check{"endpoint-" + node, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		conn, err := netspace.Dial(n.EndpointNetns)(ctx, "tcp", netip.AddrPortFrom(n.Endpoint4, endpointPort).String())
		if err != nil {
			return err
		}
		return conn.Close()
	}}
}

// monitoringReady asks Prometheus, after that for its targets, and
// Alertmanager.
func (l *Lab) monitoringReady() []check {
	ask := func(port int, path string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := netspace.Get(ctx, l.Plan.Mon.Netns, fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
			return err
		}
	}
	return []check{
		{"alertmanager", ask(alertmanagerPort, "/-/ready")},
		{"prometheus", func(ctx context.Context) error {
			if err := ask(prometheusPort, "/-/ready")(ctx); err != nil {
				return err
			}
			return l.targetsUp(ctx)
		}},
	}
}

// target is one scrape target as Prometheus reports it.
type target struct {
	ScrapeURL string `json:"scrapeUrl"`
	Health    string `json:"health"` // up, down, unknown
	LastError string `json:"lastError"`
	Labels    map[string]string
}

// targets returns what Prometheus scrapes.
func (l *Lab) targets(ctx context.Context) ([]target, error) {
	var answer struct {
		Data struct {
			ActiveTargets []target `json:"activeTargets"`
		} `json:"data"`
	}
	if err := l.monitor().Prometheus(ctx, "/api/v1/targets?state=active", &answer); err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	return answer.Data.ActiveTargets, nil
}

// targetsUp fails unless every agent was scraped.
func (l *Lab) targetsUp(ctx context.Context) error {
	targets, err := l.targets(ctx)
	if err != nil {
		return err
	}
	if want := len(l.Plan.Nodes); len(targets) < want && !l.NoAgents {
		return fmt.Errorf("prometheus has %d targets, not %d", len(targets), want)
	}
	for _, t := range targets {
		if t.Health != "up" {
			return fmt.Errorf("target %s of prometheus is %s: %s", t.ScrapeURL, t.Health, t.LastError)
		}
	}
	return nil
}
