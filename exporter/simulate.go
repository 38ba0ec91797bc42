package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/podnet-exporter/podnet_exporter/exporter/config"
)

// simulateHops is how long paths are in the simulation.
const simulateHops = 4

// simulateCommand is "simulate", which computes what a cluster of some size
// costs at default settings. It is for who develops or plans, and not in the help.
func simulateCommand(app *kingpin.Application, stdout io.Writer) command {
	cmd := app.Command("simulate", "Compute what an agent costs in a cluster of some size, and what is seen of a failure.").Hidden()
	nodes := cmd.Flag("nodes", "Sizes of the cluster.").Default("10,100,1000,5000").String()
	zones := cmd.Flag("zones", "Zones that the nodes are in.").Default("3").Int()
	return command{cmd.FullCommand(), func(context.Context, *slog.Logger) error {
		sizes, err := parseSizes(*nodes)
		if err != nil {
			return usageError{err}
		}
		if *zones < 1 {
			return usageError{fmt.Errorf("simulate: --zones %d; there is at least one", *zones)}
		}
		return simulate(stdout, sizes, *zones)
	}}
}

func parseSizes(text string) ([]int, error) {
	var sizes []int
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 2 || n > 65535 {
			return nil, fmt.Errorf("simulate: --nodes %q is not a list of numbers from 2 to 65535", text)
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}

// simulate writes two tables: what an agent costs, and what the agents see
// together.
func simulate(w io.Writer, sizes []int, zones int) error {
	fmt.Fprintf(w, "One agent at default settings, nodes in %d zones, paths of %d hops. Series without those of the kernel. At most: probes per second while every peer loses packets.\n\n", zones, simulateHops)
	fmt.Fprintln(w, "| nodes | families | series | probes sent per s | at most | heap | time to take up a mesh |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|")
	for _, n := range sizes {
		for _, dual := range []bool{false, true} {
			c, err := costOf(imagined{nodes: n, zones: zones, dual: dual})
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "| %d | %s | %d | %.0f | %.0f | %.1f MB | %.1f ms |\n",
				n, familiesText(dual), c.series, c.sent, c.most, float64(c.heap)/1e6, c.apply.Seconds()*1e3)
		}
	}
	fmt.Fprintln(w, "\nAll agents together. Seen: the time from the failure of a node, until so many others say node_unreachable of it: mean, and the longest of 100 failures.")
	fmt.Fprintln(w, "\n| nodes | probed by (least, mean, most) | pairs of zones probed | pairs moved by a join, a leave | everybody has visited everybody after | seen by 1 | by 4 | by 8 |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	for _, n := range sizes {
		fmt.Fprintln(w, coverageOf(imagined{nodes: n, zones: zones}).row())
	}
	return nil
}

func familiesText(dual bool) string {
	if dual {
		return "2"
	}
	return "1"
}

// cost is what one agent of a cluster costs.
type cost struct {
	series int
	sent   float64 // probes per second
	most   float64 // the same while every path between nodes loses packets
	heap   uint64  // bytes, of all that it keeps of the cluster and of its series
	apply  time.Duration
}

func costOf(c imagined) (cost, error) {
	before := heap()
	reg := prometheus.NewRegistry()
	a := dryAgent(c.snapshot(), reg)
	defer a.names.close()
	a.rotation.next(a.cfg, time.Now())
	a.report(simulateHops)
	_, series, err := seriesOf(reg)
	if err != nil {
		return cost{}, err
	}
	after := heap()
	start := time.Now()
	a.apply()
	return cost{series: series, sent: a.sentPerSecond(false), most: a.sentPerSecond(true), heap: after - min(before, after), apply: time.Since(start)}, nil
}

// heap returns the bytes that are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// sentPerSecond returns how many probes the agent sends per second, those to
// itself and for paths among them; lossy is while every peer loses packets.
// Searches for a path MTU are left out: they send a few probes every 15 s.
func (a *agent) sentPerSecond(lossy bool) float64 {
	rate := 0.0
	for t := range a.targets {
		interval, train := t.probe.interval, float64(t.probe.train)
		switch {
		case lossy:
			interval = t.probe.turn()
		case t.probe.turns() > 1:
			train = (1 + train) / 2 // every second one is sent
		}
		rate += train / interval.Seconds()
	}
	for _, targets := range a.rotation.targets(a.cfg, a.vantages) {
		for _, t := range targets {
			interval := t.Interval
			if !lossy {
				interval *= time.Duration(t.Spare + 1)
			}
			rate += float64(t.Train) / interval.Seconds()
		}
	}
	for k := range a.measuring {
		if cfg, ok := k.config.(config.PathProbe); ok {
			interval := cfg.Interval
			if lossy && k.vantage == vantageNode {
				interval = min(interval, cfg.IntervalOnLoss)
			}
			rate += float64(cfg.Flows*simulateHops) / interval.Seconds()
		}
	}
	return rate
}
