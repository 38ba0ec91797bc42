package paging

import (
	"context"
	"fmt"
	"strings"
)

// Quiet fails unless a cluster is as it should be before something is done to
// it: of pairs of a node, its peer and an address family so many say ok, none
// says that something is broken, and no page fires or is about to, in
// Prometheus or in Alertmanager. Single lost packets and a busy machine are no
// reason to wait.
func (m Monitor) Quiet(ctx context.Context, pairs int) error {
	for _, q := range []struct {
		expr string
		want int // samples
		what string
	}{
		{`sum by (node, peer_node, family) (increase(podnet_peer_verdicts_total{verdict="ok"}[` + m.Pace.Now + `])) > 0`, pairs, "pairs of nodes that say ok"},
		{`increase(podnet_peer_verdicts_total{verdict!~"ok|lossy|impaired|expected_down"}[` + m.Pace.Now + `]) > 0`, 0, "verdicts that something is broken"},
		{`ALERTS{severity="page"}`, 0, "pages that fire or are pending"},
	} {
		got, err := m.Query(ctx, q.expr)
		if err != nil {
			return err
		}
		if len(got) != q.want {
			return fmt.Errorf("%d %s, not %d%s", len(got), q.what, q.want, surplus(got, q.want))
		}
	}
	return m.NoPage(ctx)
}

// surplus returns the first of samples that there should not be.
func surplus(got []Sample, want int) string {
	if len(got) <= want {
		return ""
	}
	return ", for example " + LabelText(got[0].Labels)
}

// NoPage fails while Alertmanager holds a page.
func (m Monitor) NoPage(ctx context.Context) error {
	pages, err := m.Pages(ctx)
	if err != nil || len(pages) == 0 {
		return err
	}
	var texts []string
	for _, p := range pages {
		texts = append(texts, p.Labels["alertname"]+" for "+p.Labels["node"])
	}
	return fmt.Errorf("pages that fire: %s", strings.Join(texts, ", "))
}

// Pages returns those of Alerts that wake somebody.
func (m Monitor) Pages(ctx context.Context) ([]Alert, error) {
	alerts, err := m.Alerts(ctx)
	var pages []Alert
	for _, a := range alerts {
		if a.Labels["severity"] == SeverityPage {
			pages = append(pages, a)
		}
	}
	return pages, err
}
