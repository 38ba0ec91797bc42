package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/prometheus/procfs"

	"github.com/podnet-exporter/podnet_exporter/collectors"
	"github.com/podnet-exporter/podnet_exporter/collectors/drops"
	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
	"github.com/podnet-exporter/podnet_exporter/exporter/netns"
)

// collection is the collectors that one configuration asks for.
type collection struct {
	set     *collectors.Set
	handles *collectors.Handles
	drops   *drops.Collector // nil if disabled
}

// newCollection makes the enabled collectors. This is the table of collectors:
// adding one is one line here.
func newCollection(cfg *config.Config, namespaces *netns.Table, view *meshView, log *slog.Logger) (*collection, error) {
	c := &collection{handles: collectors.NewHandles(namespaces)}
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, fmt.Errorf("collectors: %w", err)
	}
	if cfg.Collectors.Pods == config.PodsBrief {
		c.handles.Brief = view.brief
	}
	if cfg.Collectors.Drops.Enabled {
		c.drops, err = drops.New(drops.Options{
			Namespaces: namespaces, Peers: wholeMesh{view}, ResponderPort: cfg.Probes.TCP.Port, Brief: c.handles.Brief,
		})
		if err != nil {
			return nil, fmt.Errorf("collectors: %w", err)
		}
	}
	ports := []uint16{cfg.Probes.TCP.Port}
	enabled := make(map[string]collectors.Collector)
	for _, row := range []struct {
		name      string
		enabled   bool
		collector collectors.Collector
	}{
		{"namespaces", true, collectors.NewNetworkNamespaces(c.handles, namespaces)},
		{"interface", cfg.Collectors.Interface.Enabled, collectors.NewInterface(c.handles)},
		{"conntrack", cfg.Collectors.Conntrack.Enabled, collectors.NewConntrack(c.handles)},
		{"softnet", cfg.Collectors.Softnet.Enabled, collectors.NewSoftnet(proc)},
		{"qdisc", cfg.Collectors.Qdisc.Enabled, collectors.NewQdisc(c.handles)},
		{"sockets", cfg.Collectors.Sockets.Enabled, collectors.NewSockets(c.handles, ports, view.vantage)},
		{"tcp", cfg.Collectors.TCP.Enabled, collectors.NewTCP(c.handles)},
		{"route", cfg.Collectors.Route.Enabled, collectors.NewRoute(c.handles, view, view.endpoint)},
		{"drops", cfg.Collectors.Drops.Enabled, c.drops},
	} {
		if row.enabled {
			enabled[row.name] = row.collector
		}
	}
	c.set = collectors.NewSet(enabled, log)
	return c, nil
}

// run keeps the collectors' view of the node current until ctx ends, and then
// lets go of everything that they hold.
func (c *collection) run(ctx context.Context) {
	defer c.close()
	c.handles.Run(ctx)
}

func (c *collection) close() {
	c.handles.Close()
	if c.drops != nil {
		c.drops.Close()
	}
}

// refresh tells the collectors in the kernel about namespaces and peers that
// came or went.
func (c *collection) refresh() {
	if c.drops != nil {
		// What is wrong is said by the next scrape.
		_ = c.drops.Refresh()
	}
}

// vantage reports whether probes are sent from the namespace: the node's own,
// or its endpoint's.
func (v *meshView) vantage(ns collectors.Namespace) bool { return ns.Node || v.endpoint(ns) }

// brief reports whether little is to be reported of a pod: of all but the
// endpoint.
func (v *meshView) brief(namespace, pod string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return namespace != v.self.Namespace || pod != v.self.Name
}

// endpoint reports whether the namespace is that of this node's endpoint.
func (v *meshView) endpoint(ns collectors.Namespace) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return !ns.Node && ns.Namespace == v.self.Namespace && ns.Pod == v.self.Name
}

// replaceCollectors makes the collectors those of cfg, unless they are.
func (a *agent) replaceCollectors(ctx context.Context, cfg *config.Config) error {
	section := struct {
		collectors config.Collectors
		port       uint16
	}{cfg.Collectors, cfg.Probes.TCP.Port}
	if a.collecting.runs(section) {
		return nil
	}
	c, err := newCollection(cfg, a.namespaces, &a.view, a.log)
	if err != nil {
		return err
	}
	if old := a.collectors.Load(); old != nil {
		a.registerer.Unregister(old.set)
	}
	if err := a.registerer.Register(c.set); err != nil {
		c.close()
		return fmt.Errorf("collectors: %w", err)
	}
	a.collecting.replace(ctx, section, c.run)
	a.collectors.Store(c)
	return nil
}

// localPods returns the pods of this node, its endpoint first.
func localPods(self *discovery.Node) []discovery.Pod {
	return append([]discovery.Pod{self.Endpoint.Pod}, self.Pods...)
}
