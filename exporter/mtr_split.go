package main

import (
	"bufio"
	"fmt"
	"time"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// mtrSplitView shows each hop's line whenever it has changed, for programs
// that draw: hop, name, loss in thousandths of a per cent, received, sent,
// best, mean and worst in whole milliseconds; and "-N" when hop N is gone.
type mtrSplitView struct {
	run   *mtrRun
	out   *bufio.Writer
	typed <-chan byte
	lines []string
	drawn int // hops that have a line, at most
}

func (v *mtrSplitView) redraw(report func() probers.PathReport) {
	hops := report().Hops
	last := int(hops[len(hops)-1].TTL)
	for ; v.drawn > last; v.drawn-- {
		fmt.Fprintf(v.out, "-%d\n", v.drawn)
		v.lines[v.drawn-1] = ""
	}
	for _, h := range hops {
		if !h.Addr.IsValid() {
			continue
		}
		for len(v.lines) < int(h.TTL) {
			v.lines = append(v.lines, "")
		}
		both := ""
		if v.run.options.ShowIPs {
			both = "NAME ADDRESS"
		}
		line := fmt.Sprintf("%s %d %d %d %d %d %d", v.run.names.show(h.Addr, both), mtrLoss(h), h.Received, mtrSent(h),
			ms(h.Best), ms(h.Mean), ms(h.Worst))
		if line != v.lines[h.TTL-1] {
			v.lines[h.TTL-1] = line
			v.drawn = max(v.drawn, int(h.TTL))
			fmt.Fprintf(v.out, "%d %s\n", h.TTL, line)
		}
	}
	_ = v.out.Flush() // the last one tells
}

// ms is a duration in whole milliseconds.
func ms(d time.Duration) int64 { return d.Milliseconds() }

func (v *mtrSplitView) sent(probers.Probe)      {}
func (v *mtrSplitView) answered(probers.Result) {}
func (v *mtrSplitView) keys() <-chan byte       { return v.typed }
func (v *mtrSplitView) end()                    {}
