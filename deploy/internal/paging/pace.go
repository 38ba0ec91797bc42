package paging

import (
	"cmp"
	"time"
)

// Pace is how long the parts of a trial may take in a cluster, which its scrape
// interval and the windows of its rules decide.
type Pace struct {
	Page    time.Duration // from the beginning of the injection to the page
	Settle  time.Duration // watched on after the page, for another one
	Watch   time.Duration // watched when nothing may page
	Quiet   time.Duration // for the cluster to be quiet before a trial
	Resolve time.Duration // from clearing the fault to the end of the page

	// Now and Lately are ranges of PromQL: the shortest that has a rate, and
	// the last that happened.
	Now, Lately string
}

// LabPace is that of rules with the windows of a lab, whose agents are scraped
// every second.
func LabPace() Pace {
	return Pace{
		Page: 15 * time.Second, Settle: 8 * time.Second, Watch: 20 * time.Second, Quiet: time.Minute, Resolve: 45 * time.Second,
		Now: "5s", Lately: "10s",
	}
}

// ProductionPace is that of the rules as they are shipped, with agents at
// default settings that are scraped every 15 s.
func ProductionPace() Pace {
	return Pace{
		Page: time.Minute, Settle: 45 * time.Second, Watch: 2 * time.Minute, Quiet: 6 * time.Minute, Resolve: 6 * time.Minute,
		Now: "45s", Lately: "1m",
	}
}

// complete returns an expectation with the times that it leaves to the pace.
func (p Pace) complete(e Expectation) Expectation {
	usual := p.Page
	if e.Severity != SeverityPage {
		usual = p.Watch
	}
	e.Within = cmp.Or(e.Within, usual)
	e.Hold = max(e.Hold, p.Settle)
	return e
}
