package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// one runs one row: waits until the lab is quiet, injects, watches, clears,
// and watches until it is quiet again.
func (t testRun) one(ctx context.Context, r row, title string) (result, error) {
	want := expectation{Cause: r.fault.Cause, Node: r.fault.suspect(t.lab.Plan, r.node), Severity: r.fault.Severity}
	t.say("%s: waiting until the lab is quiet", title)
	if err := poll(ctx, quietDeadline, t.lab.quietLab); err != nil {
		seen := observation{Problem: "the lab was not quiet before: " + oneLine(err)}
		return t.conclude(ctx, r, want, seen, t.gather(ctx)), nil
	}
	w := t.newWatch(r, title)
	seen := observation{MustSee: w.mustSee}

	injecting, cancel := context.WithCancel(ctx)
	defer cancel()
	injected := make(chan error, 1)
	go func() {
		defer close(injected)
		injected <- t.lab.injectFault(injecting, r.fault.ID, r.node.Name)
	}()
	err := w.until(ctx, "injected", w.broken(injected, want))
	notes := t.gather(ctx)

	t.say("%s: clearing", title)
	cancel()
	for range injected { // until it has returned: clearing must come after
	}
	seen.Cleared = time.Since(w.record.start)
	mended := t.lab.clearFaults(context.WithoutCancel(ctx))
	if err == nil && mended == nil {
		err = w.until(ctx, "cleared", w.mended(ctx, seen.Cleared))
	}
	if err := errors.Join(err, mended); err != nil {
		seen.Problem = oneLine(err)
	}
	seen.Fired, seen.Seen = w.record.all(), w.seen
	return t.conclude(ctx, r, want, seen, notes), mended
}

// conclude judges a row, and keeps what was noted if it failed.
func (t testRun) conclude(ctx context.Context, r row, want expectation, seen observation, notes map[string][]byte) result {
	res := newResult(r.fault.ID, want, seen)
	if !res.Pass && ctx.Err() == nil {
		if err := t.keep(r.fault.ID, notes); err != nil {
			res.Reason += "; " + oneLine(err)
		}
	}
	return res
}

// say replaces the line of progress on a terminal.
func (t testRun) say(format string, args ...any) {
	fmt.Fprintf(t.progress, "\r\x1b[K"+format, args...)
}

// watch follows one row through Alertmanager and Prometheus.
type watch struct {
	testRun
	title   string
	record  *record
	mustSee string // expression, "" for none
	seen    bool   // that it had a result
}

func (t testRun) newWatch(r row, title string) *watch {
	start := time.Now()
	expr := strings.NewReplacer(
		"NODE", r.node.Name,
		"BEGAN", strconv.FormatFloat(float64(start.UnixMilli())/1000, 'f', 3, 64),
	).Replace(r.fault.MustSee)
	return &watch{testRun: t, title: title, record: newRecord(start), mustSee: expr, seen: expr == ""}
}

// until looks every pollInterval until done says so, or fails.
func (w *watch) until(ctx context.Context, phase string, done func() (bool, error)) error {
	tick := time.NewTicker(pollInterval)
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
	groups, err := w.lab.alertGroups(ctx)
	if err != nil {
		return err
	}
	w.record.note(time.Now(), groups)
	if w.seen {
		return nil
	}
	samples, err := w.lab.promQuery(ctx, w.mustSee)
	if err != nil {
		return err
	}
	w.seen = len(samples) > 0
	return nil
}

// broken is done when the injection is and enough was seen of it: the first
// page and some time after it, or that none comes.
func (w *watch) broken(injected <-chan error, want expectation) func() (bool, error) {
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
		if want.Severity != severityPage {
			return now >= max(quietWatch, ready+settleFor), nil
		}
		first, paged := w.record.firstPage()
		if !paged {
			first = pageDeadline
		}
		return now >= first+settleFor, nil
	}
}

// mended is done when no page is left and the lab is quiet, or when that takes
// too long; then the record holds what is left.
func (w *watch) mended(ctx context.Context, cleared time.Duration) func() (bool, error) {
	return func() (bool, error) {
		if time.Since(w.record.start) > cleared+resolveDeadline {
			return true, nil
		}
		return !w.record.paging() && w.lab.quietLab(ctx) == nil, nil
	}
}
