package main

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// mtrRun is one measurement: what was asked for, and what came of it.
type mtrRun struct {
	options mtrOptions
	source  string     // name of this host
	host    string     // the destination as it was given
	to      netip.Addr // and its address
	names   *mtrNames
	started time.Time
	report  probers.PathReport // once it is over
}

// path returns what is measured.
func (r *mtrRun) path() probers.PathOptions {
	o := r.options
	size := o.Size
	if size < 0 {
		size = mtrMinSize + rand.IntN(max(1, -size-mtrMinSize))
	}
	return probers.PathOptions{
		Kind: o.Kind, To: netip.AddrPortFrom(r.to, uint16(o.Port)), Flows: o.Flows, Flow: uint16(o.LocalPort % 16),
		FirstTTL: uint8(o.FirstTTL), MaxTTL: uint8(o.MaxTTL), MaxUnknown: o.MaxUnknown,
		Size: max(size, mtrMinSize), Timeout: max(o.Timeout, time.Millisecond),
		EndAtAddress: o.Strict,
	}
}

// rows returns the hops to be shown. mtr shows none when nobody answered.
func (r *mtrRun) rows() []probers.HopReport {
	if r.report.Silent && (r.options.Strict || r.report.Hops[0].Sent == 0) {
		return nil
	}
	return r.report.Hops
}

// mtrEngine sends probes and collects their results.
type mtrEngine interface {
	Send(probers.Probe)
	Poll(until time.Time, out []probers.Result) []probers.Result
	Wake()
}

// mtrView shows a measurement while it goes on, or when it is over.
type mtrView interface {
	sent(p probers.Probe)
	answered(r probers.Result)
	redraw(report func() probers.PathReport) // after results, and at least once per second
	keys() <-chan byte                       // what a person types; nil if nobody can
	end()
}

// mtrSession does a measurement.
type mtrSession struct {
	run    *mtrRun
	engine mtrEngine
	view   mtrView
	path   *probers.Path

	inFlight int
	paused   bool
	next     time.Time // of the next probe
	over     time.Time // when answers are waited for no longer; zero: probes are still to be sent
}

// measure goes on until all cycles are done and answered, until a person says
// so, or until ctx ends.
func (s *mtrSession) measure(ctx context.Context) {
	defer context.AfterFunc(ctx, s.engine.Wake)()
	s.next = time.Now()
	if s.ends() && s.run.options.Cycles == 0 {
		return
	}
	s.view.redraw(s.path.Report)
	var results []probers.Result
	for ctx.Err() == nil && s.obey() {
		now := time.Now()
		if s.over.IsZero() && !s.paused && !now.Before(s.next) {
			s.send(now)
		}
		if !s.over.IsZero() && (s.inFlight <= 0 || !now.Before(s.over)) {
			break
		}
		results = s.engine.Poll(s.until(now), results[:0])
		for _, r := range results {
			s.take(r)
		}
		s.view.redraw(s.path.Report)
	}
	s.path.Abandon()
	s.view.redraw(s.path.Report)
}

// until returns until when there is nothing to do but to wait for answers.
func (s *mtrSession) until(now time.Time) time.Time {
	switch {
	case !s.over.IsZero():
		return s.over
	case s.paused:
		return now.Add(time.Second)
	}
	return earlier(s.next, now.Add(time.Second))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// send sends the next probe. A cycle takes an interval, in which its probes
// are spread evenly.
func (s *mtrSession) send(now time.Time) {
	p, ok := s.path.Next()
	if !ok && s.ends() && s.path.Cycles() >= s.run.options.Cycles {
		s.over = now.Add(s.run.options.Grace)
		return
	}
	if !ok {
		p, _ = s.path.Next() // a cycle has at least one probe
	}
	s.inFlight++
	s.view.sent(p)
	s.engine.Send(p)
	s.next = s.next.Add(s.run.options.Interval / time.Duration(s.path.Expected()))
	if s.next.Before(now) { // after a stop, what was missed is not made up for
		s.next = now
	}
}

// ends is whether the number of cycles is limited.
func (s *mtrSession) ends() bool {
	return s.run.options.HasCycles || !s.run.options.Mode.interactive()
}

func (s *mtrSession) take(r probers.Result) {
	if r.Event == probers.Done {
		s.inFlight--
	}
	if !s.path.Add(r) {
		return
	}
	if from := mtrAnswerer(r); from.IsValid() {
		s.run.names.ask(from)
		s.view.answered(r)
	}
}

// mtrAnswerer returns who answered a probe, invalid if nobody did in time.
func mtrAnswerer(r probers.Result) netip.Addr {
	switch {
	case r.Event != probers.Done, r.Reason == probers.Timeout, r.Reason == probers.BadReply:
		return netip.Addr{}
	case r.ICMP.From.IsValid():
		return r.ICMP.From.Unmap()
	}
	return r.From.Unmap()
}

// obey does what a person typed. It is false if that is to end.
func (s *mtrSession) obey() bool {
	for {
		select {
		case key, open := <-s.view.keys():
			switch {
			case !open:
				return s.ends() // nobody is there to say when
			case key == 'q' || key == 'Q' || key == 3:
				return false
			case key == 'r' || key == 'R':
				s.path.Reset()
				s.inFlight = 0
			case key == 'p' || key == 'P' || key == 19:
				s.paused = true
			case key == ' ' || key == 17:
				s.paused, s.next = false, time.Now()
			}
		default:
			return true
		}
	}
}
