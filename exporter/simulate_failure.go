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

// noticed returns how long it takes one agent, which was started at any time,
// to say of a node that failed that it cannot be reached: by the agent's own
// schedule, memory of outcomes and verdict. From the failure on nothing comes
// back. One address family is enough: the other takes as long.
func noticed(targets []meshTarget, random *rand.Rand) time.Duration {
	failed := time.Unix(1_000_000, 0)
	started := failed.Add(-time.Hour - time.Duration(random.Int64N(int64(time.Minute))))
	pacer := schedule.NewPacer[int](started)
	scheduled := make([]schedule.Target, len(targets))
	for i, t := range targets {
		if scheduled[i] = t.scheduled(nil); t.peer.family == targets[0].peer.family {
			pacer.Add(i, scheduled[i].Key, scheduled[i].Interval, failed.Add(-2*t.probe.interval))
		}
	}
	p := &peerState{state: discovery.Ready}
	judged := failed.Add(time.Duration(random.Int64N(int64(cycleInterval))) - 2*cycleInterval)
	var ends []ending // in order
	for {
		due := pacer.Next(failed, 0)
		if len(ends) == 0 || due.Before(ends[0].at) {
			i, due, _ := pacer.Pop(due)
			if !scheduled[i].Spares(started, due) || !p.calm(due) {
				ends = insertEnd(ends, endingOf(i, targets[i], due, failed))
			}
			continue
		}
		end := ends[0]
		ends = ends[1:]
		for ; judged.Before(end.at); judged = judged.Add(cycleInterval) {
			if judged.After(failed) && verdict.Of(p.cycle(judged)) == verdict.NodeUnreachable {
				return judged.Sub(failed)
			}
		}
		t := targets[end.target]
		p.note(t.at, end.reason, time.Millisecond, end.at, t.keep())
	}
}

// ending is the end of one probe.
type ending struct {
	target int
	at     time.Time
	reason probers.Reason
}

// endingOf returns how a probe ends that is sent at some time.
func endingOf(number int, t meshTarget, sent, failed time.Time) ending {
	if sent.Before(failed) {
		return ending{number, sent.Add(time.Millisecond), probers.OK}
	}
	return ending{number, sent.Add(t.probe.timeout), probers.Timeout}
}

// insertEnd puts an end into a list that is in order.
func insertEnd(ends []ending, e ending) []ending {
	i, _ := slices.BinarySearchFunc(ends, e.at, func(e ending, at time.Time) int { return e.at.Compare(at) })
	return slices.Insert(ends, i, e)
}
