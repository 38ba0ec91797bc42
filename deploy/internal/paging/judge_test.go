package paging

import (
	"testing"
	"time"
)

// alert returns one that fires from began until it ended, both in seconds
// after the injection; an end of 0 is never. Its group is that of its cause
// and node.
func alert(severity, cause, node string, began, ended float64) firing {
	labels := map[string]string{"alertname": "PodNetX", "severity": severity, "cause": cause, "node": node}
	return firing{
		Labels: labels, Group: cause + node,
		Began: time.Duration(began * float64(time.Second)), Ended: time.Duration(ended * float64(time.Second)),
	}
}

func inGroup(group string, f firing) firing {
	f.Group = group
	return f
}

func TestJudgePage(t *testing.T) {
	want := LabPace().complete(Expectation{Cause: "firewall_drop", Node: "n2", Severity: SeverityPage})
	right := alert("page", "firewall_drop", "n2", 6, 30)
	for _, tt := range []struct {
		name    string
		fired   []firing
		problem string
		reason  string // "" passes
	}{
		{"one right page in time passes", []firing{right}, "", ""},
		{"tickets beside the page are welcome", []firing{alert("ticket", "prober_impaired", "n3", 1, 0), right}, "", ""},
		{"two alerts of one group are one page", []firing{right, right}, "", ""},
		{"no page fails", nil, "", "no page for firewall_drop on n2"},
		{
			"a ticket is no page", []firing{alert("ticket", "firewall_drop", "n2", 6, 30)}, "",
			"no page for firewall_drop on n2",
		},
		{
			"a wrong node fails", []firing{alert("page", "firewall_drop", "n1", 6, 30)}, "",
			"no page for firewall_drop on n2; page that must not be: PodNetX(firewall_drop·n1 page) after 6.0 s",
		},
		{
			"a wrong cause fails", []firing{alert("page", "route_missing", "n2", 6, 30)}, "",
			"no page for firewall_drop on n2; page that must not be: PodNetX(route_missing·n2 page) after 6.0 s",
		},
		{
			"an unknown cause besides the right page fails", []firing{alert("page", "unknown", "n2", 4, 6), right}, "",
			"page that must not be: PodNetX(unknown·n2 page) after 4.0 s",
		},
		{
			"the right page in two groups is two pages", []firing{right, inGroup("another", right)}, "",
			"2 pages for one fault: firewall_dropn2 and another",
		},
		{
			"a late page fails", []firing{alert("page", "firewall_drop", "n2", 15.1, 30)}, "",
			"the page is late: 15.1 s, more than 15",
		},
		{"a page in the last moment passes", []firing{alert("page", "firewall_drop", "n2", 15, 30)}, "", ""},
		{
			"a page that comes and goes while the fault lasts fails", []firing{alert("page", "firewall_drop", "n2", 6, 9)}, "",
			"PodNetX(firewall_drop·n2 page) resolved after 9.0 s while the fault was there",
		},
		{
			"a page that does not resolve fails", []firing{alert("page", "firewall_drop", "n2", 6, 0)}, "",
			"PodNetX(firewall_drop·n2 page) does not resolve",
		},
		{
			"a page that fires again afterwards fails", []firing{right, alert("page", "firewall_drop", "n2", 32, 40)}, "",
			"PodNetX(firewall_drop·n2 page) fires again 12.0 s after the fault was cleared",
		},
		{
			"another page during recovery fails", []firing{right, alert("page", "unknown", "n4", 24, 40)}, "",
			"page that must not be: PodNetX(unknown·n4 page) after 24.0 s",
		},
		{"a row that could not be run fails for that reason alone", nil, "inject: no such device", "inject: no such device"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pass, reason := judge(want, observation{Fired: tt.fired, Cleared: 20 * time.Second, Problem: tt.problem})
			if reason != tt.reason || pass != (tt.reason == "") {
				t.Errorf("judge() = %v, %q; want %q", pass, reason, tt.reason)
			}
		})
	}
}

func TestJudgeQuiet(t *testing.T) {
	want := LabPace().complete(Expectation{Cause: "prober_impaired", Node: "n2"})
	for _, tt := range []struct {
		name   string
		seen   observation
		reason string
	}{
		{"silence passes", observation{}, ""},
		{"a ticket passes", observation{Fired: []firing{alert("ticket", "prober_impaired", "n2", 5, 0)}}, ""},
		{
			"a page fails, also with the right cause and node",
			observation{Fired: []firing{alert("page", "prober_impaired", "n2", 5, 9)}},
			"page that must not be: PodNetX(prober_impaired·n2 page) after 5.0 s",
		},
		{"what must be seen and was passes", observation{MustSee: "up == 1", Seen: true}, ""},
		{"what must be seen and was not fails", observation{MustSee: "up == 1"}, "not seen: up == 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pass, reason := judge(want, tt.seen)
			if reason != tt.reason || pass != (tt.reason == "") {
				t.Errorf("judge() = %v, %q; want %q", pass, reason, tt.reason)
			}
		})
	}
}
