package paging

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Trial is one way to break a lab, and what must be said about it.
type Trial struct {
	ID   string
	Want Expectation

	// MustSee is a PromQL expression that must have a result while or after
	// the fault is there, with BEGAN for the Unix time in seconds at which
	// injection began, and LATELY for the pace's range; "" asks for nothing.
	MustSee string

	// Inject breaks the lab; it is interrupted when enough was seen. Clear
	// puts right what it did, all or a part.
	Inject, Clear func(context.Context) error
}

// Runner tries what is said about trials, one after the other.
type Runner struct {
	Monitor
	Quiet     func(context.Context) error // fails unless the lab is as it should be
	Artifacts string                      // folder for what was seen when a trial fails
	Progress  io.Writer                   // of a terminal
}

// Run waits until the lab is quiet, injects, watches, clears, and watches until
// it is quiet again. The error is that the lab could not be mended.
func (r Runner) Run(ctx context.Context, t Trial, title string) (Result, error) {
	t.Want = r.Pace.complete(t.Want)
	r.say("%s: waiting until the lab is quiet", title)
	if err := Poll(ctx, r.Pace.Quiet, r.Quiet); err != nil {
		seen := observation{Problem: "the lab was not quiet before: " + oneLine(err)}
		return r.conclude(ctx, t, seen, r.gather(ctx)), nil
	}
	w := r.newWatch(t, title)
	seen := observation{MustSee: w.mustSee}

	injecting, cancel := context.WithCancel(ctx)
	defer cancel()
	injected := make(chan error, 1)
	go func() {
		defer close(injected)
		injected <- t.Inject(injecting)
	}()
	err := w.until(ctx, "injected", w.broken(injected, t.Want))
	notes := r.gather(ctx)

	r.say("%s: clearing", title)
	cancel()
	for range injected { // until it has returned: clearing must come after
	}
	seen.Cleared = time.Since(w.record.start)
	mended := t.Clear(context.WithoutCancel(ctx))
	if err == nil && mended == nil {
		err = w.until(ctx, "cleared", w.mended(ctx, seen.Cleared))
	}
	if err := errors.Join(err, mended); err != nil {
		seen.Problem = oneLine(err)
	}
	seen.Fired, seen.Seen = w.record.all(), w.seen
	return r.conclude(ctx, t, seen, notes), mended
}

// conclude judges a trial, and keeps what was noted if it failed.
func (r Runner) conclude(ctx context.Context, t Trial, seen observation, notes map[string][]byte) Result {
	res := newResult(t.ID, t.Want, seen)
	if !res.Pass && ctx.Err() == nil {
		if err := r.keep(t.ID, notes); err != nil {
			res.Reason += "; " + oneLine(err)
		}
	}
	return res
}

// say replaces the line of progress on a terminal.
func (r Runner) say(format string, args ...any) {
	fmt.Fprintf(r.Progress, "\r\x1b[K"+format, args...)
}

// watch follows one trial through Alertmanager and Prometheus.
type watch struct {
	Runner
	title   string
	record  *record
	mustSee string // expression, "" for none
	seen    bool   // that it had a result
}

func (r Runner) newWatch(t Trial, title string) *watch {
	start := time.Now()
	expr := strings.NewReplacer(
		"BEGAN", strconv.FormatFloat(float64(start.UnixMilli())/1000, 'f', 3, 64),
		"LATELY", r.Pace.Lately,
	).Replace(t.MustSee)
	return &watch{Runner: r, title: title, record: newRecord(start), mustSee: expr, seen: expr == ""}
}

// until looks every PollInterval until done says so, or fails.
func (w *watch) until(ctx context.Context, phase string, done func() (bool, error)) error {
	tick := time.NewTicker(PollInterval)
	defer tick.Stop()
	for {
		if err := w.look(ctx); err != nil {
			return err
		}
		w.say("%s: %s, %.1f s, %d alerts seen", w.title, phase, time.Since(w.record.start).Seconds(), len(w.record.all()))
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// look asks Alertmanager once, and Prometheus for what must be seen.
func (w *watch) look(ctx context.Context) error {
	groups, err := w.Groups(ctx)
	if err != nil {
		return err
	}
	w.record.note(time.Now(), groups)
	if w.seen {
		return nil
	}
	samples, err := w.Query(ctx, w.mustSee)
	if err != nil {
		return err
	}
	w.seen = len(samples) > 0
	return nil
}

// broken is done when the injection is and enough was seen of it: the first
// page and some time after it, or that none comes.
func (w *watch) broken(injected <-chan error, want Expectation) func() (bool, error) {
	ready := time.Duration(-1) // when Inject returned
	return func() (bool, error) {
		now := time.Since(w.record.start)
		if ready < 0 {
			select {
			case err := <-injected:
				if err != nil {
					return false, err
				}
				ready = now
			default:
				return false, nil
			}
		}
		if want.Severity != SeverityPage {
			return now >= max(want.Within, ready+want.Hold), nil
		}
		first, paged := w.record.firstPage()
		if !paged {
			first = want.Within
		}
		return now >= first+want.Hold, nil
	}
}

// mended is done when no page is left and the lab is quiet, or when that takes
// too long; then the record holds what is left.
func (w *watch) mended(ctx context.Context, cleared time.Duration) func() (bool, error) {
	return func() (bool, error) {
		if time.Since(w.record.start) > cleared+w.Pace.Resolve {
			return true, nil
		}
		return !w.record.paging() && w.Quiet(ctx) == nil, nil
	}
}

// oneLine returns an error's text without line breaks.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
