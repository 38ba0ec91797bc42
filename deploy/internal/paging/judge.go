package paging

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Expectation is what must be said about a fault on a node.
type Expectation struct {
	Cause    string `json:"cause"`
	Node     string `json:"node"`
	Severity string `json:"severity"` // SeverityPage, or "" when nothing may page

	// Within is how long after the beginning of the injection the page may
	// come, or how long is watched when nothing may page; 0 is the pace's.
	Within time.Duration `json:"-"`

	// Hold is how long the page must stay while the fault is there; 0 is the
	// pace's.
	Hold time.Duration `json:"-"`
}

// firing is an alert that Alertmanager held for active, neither silenced nor
// inhibited, at some time during a trial.
type firing struct {
	Labels map[string]string
	Group  string // Alertmanager's group: one notification to one person
	Began  time.Duration
	Ended  time.Duration // 0 if it was active at the last look
}

func (f firing) pages() bool { return f.Labels["severity"] == SeverityPage }

// is reports whether the alert names the expected cause and node.
func (f firing) is(want Expectation) bool {
	return f.Labels["cause"] == want.Cause && f.Labels["node"] == want.Node
}

// String returns the alert in few words, as the table of results has it.
func (f firing) String() string {
	return fmt.Sprintf("%s(%s·%s %s)", f.Labels["alertname"], f.Labels["cause"], f.Labels["node"], f.Labels["severity"])
}

// observation is all that was seen during a trial. Times count from the
// beginning of the injection.
type observation struct {
	Problem string // why the trial could not be run to its end; "" if it could
	Fired   []firing
	Cleared time.Duration // when the fault began to be cleared
	MustSee string        // what had to be seen besides alerts; "" for nothing
	Seen    bool          // and whether it was
}

// judge says whether a trial has passed, and if not, everything that is wrong
// with it in one line.
func judge(want Expectation, seen observation) (pass bool, reason string) {
	var wrong []string
	if seen.Problem != "" {
		wrong = append(wrong, seen.Problem)
	}
	if want.Severity == SeverityPage {
		wrong = append(wrong, judgePage(want, seen)...)
	}
	wrong = append(wrong, judgeOthers(want, seen)...)
	if seen.MustSee != "" && !seen.Seen {
		wrong = append(wrong, "not seen: "+seen.MustSee)
	}
	return len(wrong) == 0, strings.Join(wrong, "; ")
}

// judgePage says what is wrong with the one page that must come: that it is
// missing, late, or comes and goes, or stays.
func judgePage(want Expectation, seen observation) []string {
	at, found := secondsTo(want, seen)
	if !found {
		if seen.Problem != "" {
			return nil // that is the reason
		}
		return []string{fmt.Sprintf("no page for %s on %s", want.Cause, want.Node)}
	}
	var wrong []string
	if at > want.Within {
		wrong = append(wrong, fmt.Sprintf("the page is late: %.1f s, more than %.0f", at.Seconds(), want.Within.Seconds()))
	}
	for _, f := range seen.Fired {
		switch {
		case !f.pages() || !f.is(want):
		case f.Ended == 0:
			wrong = append(wrong, fmt.Sprintf("%v does not resolve", f))
		case f.Ended < seen.Cleared:
			wrong = append(wrong, fmt.Sprintf("%v resolved after %.1f s while the fault was there", f, f.Ended.Seconds()))
		}
	}
	return wrong
}

// judgeOthers says which pages nobody wanted. Alerts of one group are one page
// if all of them name the expected cause and node.
func judgeOthers(want Expectation, seen observation) []string {
	var wrong, groups []string
	for _, f := range seen.Fired {
		switch {
		case !f.pages():
		case want.Severity != SeverityPage || !f.is(want):
			wrong = append(wrong, fmt.Sprintf("page that must not be: %v after %.1f s", f, f.Began.Seconds()))
		case f.Began > seen.Cleared:
			wrong = append(wrong, fmt.Sprintf("%v fires again %.1f s after the fault was cleared", f, (f.Began-seen.Cleared).Seconds()))
		case !slices.Contains(groups, f.Group):
			groups = append(groups, f.Group)
		}
	}
	if len(groups) > 1 {
		wrong = append(wrong, fmt.Sprintf("%d pages for one fault: %s", len(groups), strings.Join(groups, " and ")))
	}
	return wrong
}

// secondsTo returns when the first alert that pages and names the expected
// cause and node began to fire.
func secondsTo(want Expectation, seen observation) (at time.Duration, found bool) {
	for _, f := range seen.Fired {
		if f.pages() && f.is(want) && (!found || f.Began < at) {
			at, found = f.Began, true
		}
	}
	return at, found
}
