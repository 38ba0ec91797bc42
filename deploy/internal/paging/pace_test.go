package paging

import (
	"io"
	"strings"
	"testing"
	"time"
)

func TestPaceCompletesWhatIsLeftOpen(t *testing.T) {
	p := Pace{Page: 60 * time.Second, Watch: 120 * time.Second, Settle: 45 * time.Second}
	for _, tt := range []struct {
		name         string
		want         Expectation
		within, hold time.Duration
	}{
		{"a page has the pace's time", Expectation{Severity: SeverityPage}, 60 * time.Second, 45 * time.Second},
		{"silence is watched for as long as the pace says", Expectation{}, 120 * time.Second, 45 * time.Second},
		{"its own times stay", Expectation{Severity: SeverityPage, Within: 90 * time.Second, Hold: 50 * time.Second}, 90 * time.Second, 50 * time.Second},
		{"less than what is watched after every page does not", Expectation{Hold: time.Second}, 120 * time.Second, 45 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := p.complete(tt.want)
			if got.Within != tt.within || got.Hold != tt.hold {
				t.Errorf("within %s, hold %s; want %s, %s", got.Within, got.Hold, tt.within, tt.hold)
			}
		})
	}
}

func TestWhatMustBeSeenIsInTheRangeOfThePace(t *testing.T) {
	r := Runner{Monitor: Monitor{Pace: ProductionPace()}, Progress: io.Discard}
	w := r.newWatch(Trial{MustSee: "increase(x[LATELY]) > BEGAN"}, "")
	if !strings.HasPrefix(w.mustSee, "increase(x[1m]) > 1") {
		t.Errorf("expression %q", w.mustSee)
	}
}
