package paging

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Group is a group of alerts as Alertmanager would send it in one
// notification.
type Group struct {
	Labels map[string]string `json:"labels"`
	Alerts []Alert           `json:"alerts"`
}

// Groups returns the alerts that are active, neither silenced nor
// inhibited, by their group. A group that goes to several receivers comes
// once for each.
func (m Monitor) Groups(ctx context.Context) ([]Group, error) {
	var groups []Group
	err := m.get(ctx, m.AlertmanagerPort, "/api/v2/alerts/groups?active=true&silenced=false&inhibited=false", &groups)
	if err != nil {
		return nil, fmt.Errorf("alertmanager: %w", err)
	}
	return groups, nil
}

// record is what Alertmanager said during one trial.
type record struct {
	start time.Time

	mu    sync.Mutex
	fired []firing
	open  map[string]int // index in fired of what is active now, by labels
}

func newRecord(start time.Time) *record { return &record{start: start, open: map[string]int{}} }

// note takes down one answer of Alertmanager's, given at time now.
func (r *record) note(now time.Time, groups []Group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := now.Sub(r.start)
	active := map[string]bool{}
	for _, g := range groups {
		for _, a := range g.Alerts {
			key := LabelText(a.Labels)
			active[key] = true
			if _, known := r.open[key]; !known {
				r.open[key] = len(r.fired)
				r.fired = append(r.fired, firing{Labels: a.Labels, Group: LabelText(g.Labels), Began: at})
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

// LabelText returns labels as Prometheus writes them, sorted.
func LabelText(labels map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, fmt.Sprintf("%s=%q", name, labels[name]))
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}
