package main

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
	"github.com/podnet-exporter/podnet_exporter/exporter/discovery"
	"github.com/podnet-exporter/podnet_exporter/exporter/schedule"
	"github.com/podnet-exporter/podnet_exporter/exporter/verdict"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// seenBy returns how long it takes after the failure of a node until so many
// others have noticed.
func seenBy(count int, cfg *config.Config, nodes []*discovery.Node, observers map[string][]string, random *rand.Rand) delays {
	var d delays
	for range failures {
		node := nodes[random.IntN(len(nodes))]
		watching := len(observers[node.Name])
		if watching < count {
			return delays{never: true}
		}
		targets := meshTargets(cfg, true, []*discovery.Node{node})
		took := make([]time.Duration, watching)
		for i := range took {
			took[i] = noticed(targets, random)
		}
		slices.Sort(took)
		d.mean += took[count-1] / failures
		d.most = max(d.most, took[count-1])
	}
	return d
}

// ending is the end of one probe.
type ending struct {
	target meshTarget
	at     time.Time
	reason probers.Reason
}

// noticed returns how long it takes one agent, which was started at any time,
// to say of a node that failed that it cannot be reached: by the agent's own
// schedule, memory of outcomes and verdict. From the failure on nothing comes
// back. One address family is enough: the other takes as long.
func noticed(targets []meshTarget, random *rand.Rand) time.Duration {
	failed := time.Unix(1_000_000, 0)
	started := failed.Add(-time.Hour - time.Duration(random.Int64N(int64(time.Minute))))
	var ends []ending
	for _, t := range targets {
		if t.peer.family != targets[0].peer.family {
			continue
		}
		pacer := schedule.NewPacer[int](started)
		pacer.Add(0, t.scheduled(nil).Key, t.probe.interval, failed.Add(-2*t.probe.interval))
		for range 8 {
			_, due, _ := pacer.Pop(pacer.Next(failed, 0))
			end := ending{t, due.Add(time.Millisecond), probers.OK}
			if !due.Before(failed) {
				end = ending{t, due.Add(t.probe.timeout), probers.Timeout}
			}
			ends = append(ends, end)
		}
	}
	slices.SortFunc(ends, func(a, b ending) int { return a.at.Compare(b.at) })
	p := &peerState{state: discovery.Ready}
	judged := failed.Add(time.Duration(random.Int64N(int64(cycleInterval))) - 2*cycleInterval)
	for _, end := range ends {
		for ; judged.Before(end.at); judged = judged.Add(cycleInterval) {
			if judged.After(failed) && verdict.Of(p.cycle(judged)) == verdict.NodeUnreachable {
				return judged.Sub(failed)
			}
		}
		p.note(end.target.at, end.reason, time.Millisecond, end.at, end.target.keep())
	}
	return judged.Sub(failed)
}
