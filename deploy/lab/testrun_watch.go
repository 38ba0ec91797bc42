package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// alertGroup is a group of alerts as Alertmanager would send it in one
// notification.
type alertGroup struct {
	Labels map[string]string `json:"labels"`
	Alerts []Alert           `json:"alerts"`
}

// alertGroups returns the alerts that are active, neither silenced nor
// inhibited, by their group. A group that goes to several receivers comes
// once for each.
func (l *Lab) alertGroups(ctx context.Context) ([]alertGroup, error) {
	var groups []alertGroup
	err := l.getJSON(ctx, alertmanagerPort, "/api/v2/alerts/groups?active=true&silenced=false&inhibited=false", &groups)
	if err != nil {
		return nil, fmt.Errorf("alertmanager: %w", err)
	}
	return groups, nil
}

// record is what Alertmanager said during one row.
type record struct {
	start time.Time

	mu    sync.Mutex
	fired []firing
	open  map[string]int // index in fired of what is active now, by labels
}

func newRecord(start time.Time) *record { return &record{start: start, open: map[string]int{}} }

// note takes down one answer of Alertmanager's, given at time now.
func (r *record) note(now time.Time, groups []alertGroup) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := now.Sub(r.start)
	active := map[string]bool{}
	for _, g := range groups {
		for _, a := range g.Alerts {
			key := labelText(a.Labels)
			active[key] = true
			if _, known := r.open[key]; !known {
				r.open[key] = len(r.fired)
				r.fired = append(r.fired, firing{Labels: a.Labels, Group: labelText(g.Labels), Began: at})
			}
		}
	}
	for key, i := range r.open {
		if !active[key] {
			r.fired[i].Ended = at
			delete(r.open, key)
		}
	}
}

// all returns what fired so far, the earliest first.
func (r *record) all() []firing {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.fired)
}

// firstPage returns when the first page began, whatever it says.
func (r *record) firstPage() (time.Duration, bool) {
	for _, f := range r.all() {
		if f.pages() {
			return f.Began, true
		}
	}
	return 0, false
}

// paging reports whether a page is active now.
func (r *record) paging() bool {
	return slices.ContainsFunc(r.all(), func(f firing) bool { return f.pages() && f.Ended == 0 })
}

// labelText returns labels as Prometheus writes them, sorted.
func labelText(labels map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, fmt.Sprintf("%s=%q", name, labels[name]))
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

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
		got, err := l.promQuery(ctx, q.expr)
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
func example(got []Sample, want int) string {
	if len(got) <= want {
		return ""
	}
	return ", for example " + labelText(got[0].Labels)
}
