package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	promcollectors "github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/version"
	"golang.org/x/sync/errgroup"

	"github.com/podnet-exporter/podnet_exporter/collectors"
	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/metrics"
	"github.com/podnet-exporter/podnet_exporter/exporter/web"
)

// runAgent probes, collects and serves metrics until ctx ends.
func runAgent(ctx context.Context, opts agentOptions) error {
	cfg, err := config.Load(opts.ConfigFile)
	if err != nil {
		return fmt.Errorf("%w\n(--config.file=%s; exporter/config/example.yaml documents every key)", err, opts.ConfigFile)
	}
	beFrugal()
	registry := prometheus.NewRegistry()
	labels := prometheus.Labels{"node": cfg.Node}
	registerProcess(registry)
	a := newAgent(cfg, opts.ConfigFile, registry, opts.Log)

	handler, err := web.Handler(web.Options{
		Agent:    a,
		Gatherer: metrics.Counted(registry, labels),
		Log:      opts.Log,
		Version:  version.Version,
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.run(ctx, opts.Reload) })
	group.Go(func() error { return web.Serve(ctx, opts.Log, opts.Web, handler) })
	return group.Wait()
}

// registerProcess registers what the program says about itself.
func registerProcess(reg prometheus.Registerer) {
	reg.MustRegister(
		promcollectors.NewProcessCollector(promcollectors.ProcessCollectorOpts{}),
		promcollectors.NewGoCollector(promcollectors.WithGoCollectorMemStatsMetricsDisabled()),
		versioncollector.NewCollector("podnet"),
	)
}

// Why an agent that has just started is not ready.
var (
	errStarting           = errors.New("the mesh is not known yet; is the discovery file there?")
	errStartingKubernetes = errors.New("the mesh is not known yet; podnet_kubernetes_source_ok and the log say what Kubernetes does not give")
)

// Ready implements [web.Agent].
func (a *agent) Ready() error {
	if !a.vantages[vantageNode].up() {
		return errors.New("no probes can be sent from the node's own network namespace; see the log")
	}
	if slices.ContainsFunc(a.view.Peers(), func(p *collectors.Peer) bool { return len(p.NodeAddresses) > 0 }) {
		return nil
	}
	if a.kubernetes.Load() != nil {
		return errStartingKubernetes
	}
	return errStarting
}

// Reload implements [web.Agent].
func (a *agent) Reload() error {
	answer := make(chan error, 1)
	select {
	case a.reloadNow <- answer:
		return <-answer
	case <-a.ended:
		return errors.New("the agent is stopping")
	}
}

// Status implements [web.Agent].
func (a *agent) Status() web.Status {
	s := web.Status{Node: a.node, Version: version.Version}
	for _, name := range []string{vantageNode, vantagePod} {
		s.Vantages = append(s.Vantages, a.vantages[name].status(time.Now()))
	}
	for _, p := range a.board.status() {
		s.Peers = append(s.Peers, web.Peer{
			Node: p.node, Zone: p.zone, State: string(p.state), Family: p.family,
			Verdict: string(p.verdict), Since: p.since,
		})
	}
	for _, ns := range a.namespaces.List() {
		s.Namespaces = append(s.Namespaces, web.Namespace{Name: ns.Name(), Path: ns.Path, Inode: ns.Inode})
	}
	if c := a.collectors.Load(); c != nil {
		for _, status := range c.set.Status() {
			line := web.Collector{Name: status.Name, OK: status.Err == nil}
			if status.Err != nil {
				line.Error = status.Err.Error()
			}
			s.Collectors = append(s.Collectors, line)
		}
	}
	return s
}
