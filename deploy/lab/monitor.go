package main

import (
	"context"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

// quiet fails unless the lab is as it should be before a fault.
func (l *Lab) quiet(ctx context.Context) error {
	return l.monitor().Quiet(ctx, len(l.Plan.Nodes)*len(l.Plan.Nodes)*2)
}

// monitor returns what watches the lab.
func (l *Lab) monitor() paging.Monitor {
	return paging.Monitor{Netns: l.Plan.Mon.Netns, PrometheusPort: prometheusPort, AlertmanagerPort: alertmanagerPort, Pace: l.pace()}
}
