package paging

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRecord(t *testing.T) {
	a := Alert{Labels: map[string]string{"alertname": "A", "node": "n1", "severity": "page"}}
	b := Alert{Labels: map[string]string{"alertname": "B", "node": "n2", "severity": "ticket"}}
	group := func(by string, alerts ...Alert) Group {
		return Group{Labels: map[string]string{"node": by}, Alerts: alerts}
	}
	fires := func(a Alert, by string, began, ended time.Duration) firing {
		return firing{Labels: a.Labels, Group: `{node="` + by + `"}`, Began: began * time.Second, Ended: ended * time.Second}
	}
	for _, tt := range []struct {
		name string
		said [][]Group // one answer a second
		want []firing
	}{
		{"nothing fires", [][]Group{nil, nil}, nil},
		{
			"alerts begin and end when they are first seen and first missed",
			[][]Group{nil, {group("n1", a)}, {group("n1", a), group("n2", b)}, {group("n2", b)}, nil},
			[]firing{fires(a, "n1", 1, 3), fires(b, "n2", 2, 4)},
		},
		{
			"an alert that comes back is another one",
			[][]Group{{group("n1", a)}, nil, {group("n1", a)}},
			[]firing{fires(a, "n1", 0, 1), fires(a, "n1", 2, 0)},
		},
		{
			"an alert that goes to two receivers is one",
			[][]Group{{group("n1", a), group("n1", a)}},
			[]firing{fires(a, "n1", 0, 0)},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			r := newRecord(start)
			for i, groups := range tt.said {
				r.note(start.Add(time.Duration(i)*time.Second), groups)
			}
			if diff := cmp.Diff(tt.want, r.all()); diff != "" {
				t.Errorf("recorded (-want +got):\n%s", diff)
			}
		})
	}
}
