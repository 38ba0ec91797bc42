package main

import (
	"context"
	"net/netip"
	"time"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// maxProbesInFlight bounds what a long timeout and a short interval make.
const maxProbesInFlight = 10000

// probe sends what was asked for, from the network namespace of the calling
// thread, and reports it.
func (f *probeFlags) probe(ctx context.Context, kind offeredProbe, to netip.AddrPort) (exitStatus, error) {
	engine, err := probers.NewEngine()
	if err != nil {
		return probeExitFailed, err
	}
	defer engine.Close()
	engine.SetKey(f.key)
	engine.Batch = 0 // a person waits for each line
	engine.Threshold = max(engine.Threshold, f.timeout/2)

	if kind.name == probePMTU {
		return f.searchPMTU(ctx, engine, to)
	}
	report := newProbeReport(f, kind, to)
	if err := f.loop(ctx, engine, probers.Probe{
		Kind: kind.kind, To: to, Timeout: f.timeout, Size: f.size, TTL: uint8(f.ttl),
	}, report); err != nil {
		return probeExitFailed, err
	}
	report.end()
	return report.exitStatus(), nil
}

// loop sends a probe per interval and reports results until all have ended, or
// ctx has.
func (f *probeFlags) loop(ctx context.Context, engine *probers.Engine, p probers.Probe, report *probeReport) error {
	stop := context.AfterFunc(ctx, engine.Wake)
	defer stop()
	next, ended := time.Now(), 0
	var results []probers.Result
	for ctx.Err() == nil && (f.count == 0 || ended < f.count) {
		until := next
		more := f.count == 0 || report.Sent < f.count
		switch now := time.Now(); {
		case !more || report.Sent-ended >= maxProbesInFlight:
			until = now.Add(time.Hour)
		case !now.Before(next):
			report.sent(now)
			p.Tag = uint64(report.Sent)
			engine.Send(p)
			next = maxTime(next.Add(f.interval), now) // what was missed is not made up for
			until = next
		}
		results = engine.Poll(until, results[:0])
		if err := engine.Err(); err != nil {
			return err
		}
		for _, r := range results {
			if r.Event == probers.Done {
				ended++
			}
			report.result(r)
		}
	}
	return nil
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
