package main

import (
	"context"
	"fmt"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/paging"
)

// quietLab fails unless the lab is as it should be before a fault: every node
// says ok of every node in both address families, none says that something is
// broken, and no page fires or is about to, in Prometheus or in Alertmanager.
// Single lost packets and a busy machine are no reason to wait.
func (l *Lab) quietLab(ctx context.Context) error {
	pairs := len(l.Plan.Nodes) * len(l.Plan.Nodes) * 2
	for _, q := range []struct {
		expr string
		want int // samples
		what string
	}{
		{`sum by (node, peer_node, family) (increase(podnet_peer_verdicts_total{verdict="ok"}[5s])) > 0`, pairs, "pairs of nodes that say ok"},
		{`increase(podnet_peer_verdicts_total{verdict!~"ok|lossy|impaired|expected_down"}[5s]) > 0`, 0, "verdicts that something is broken"},
		{`ALERTS{severity="page"}`, 0, "pages that fire or are pending"},
	} {
		got, err := l.monitor().Query(ctx, q.expr)
		if err != nil {
			return err
		}
		if len(got) != q.want {
			return fmt.Errorf("%d %s, not %d%s", len(got), q.what, q.want, example(got, q.want))
		}
	}
	return l.quiet(ctx)
}

// example returns the first of samples that there should not be.
func example(got []paging.Sample, want int) string {
	if len(got) <= want {
		return ""
	}
	return ", for example " + paging.LabelText(got[0].Labels)
}

// monitor returns what watches the lab.
func (l *Lab) monitor() paging.Monitor {
	return paging.Monitor{Netns: l.Plan.Mon.Netns, PrometheusPort: prometheusPort, AlertmanagerPort: alertmanagerPort}
}
