package main

import (
	"bufio"
	"fmt"
	"net/netip"

	"github.com/podnet-exporter/podnet_exporter/probers"
)

// The sequence numbers of mtr's probes.
const (
	mtrFirstSequence = 33000
	mtrSequences     = 65536 - mtrFirstSequence
)

// mtrRawView shows every event, for programs: a line for a probe that was
// sent, a hop's address when it is new, its name, an answer in microseconds.
// Hops count from 0.
type mtrRawView struct {
	run       *mtrRun
	out       *bufio.Writer
	count     int
	sequences map[uint64]int              // of the probes in flight, by tag
	addrs     map[int]map[netip.Addr]bool // that each hop ever had
	last      map[int]netip.Addr          // that each hop had last
	named     map[int]bool                // whose name was shown
}

func newMtrRawView(run *mtrRun, out *bufio.Writer) *mtrRawView {
	return &mtrRawView{
		run: run, out: out, sequences: make(map[uint64]int),
		addrs: make(map[int]map[netip.Addr]bool), last: make(map[int]netip.Addr), named: make(map[int]bool),
	}
}

func (v *mtrRawView) sent(p probers.Probe) {
	sequence := mtrFirstSequence + v.count%mtrSequences
	v.count++
	v.sequences[p.Tag] = sequence
	fmt.Fprintf(v.out, "x %d %d\n", p.TTL-1, sequence)
	_ = v.out.Flush() // the last one tells
}

func (v *mtrRawView) answered(r probers.Result) {
	sequence, ok := v.sequences[r.Tag]
	if !ok {
		return
	}
	delete(v.sequences, r.Tag)
	hop, from := int(uint8(r.Tag))-1, mtrAnswerer(r)
	v.host(hop, from, r.MPLS)
	if name := v.run.names.of(from); name != "" && !v.named[hop] {
		v.named[hop] = true
		fmt.Fprintf(v.out, "d %d %s\n", hop, name)
	}
	fmt.Fprintf(v.out, "p %d %d %d\n", hop, r.RTT.Microseconds(), sequence)
	_ = v.out.Flush() // the last one tells
}

// host shows the address of a hop when it is another than before; when it is
// one that the hop never had, twice, as mtr does.
func (v *mtrRawView) host(hop int, from netip.Addr, labels []probers.MPLSLabel) {
	if v.last[hop] == from {
		return
	}
	if v.addrs[hop] == nil {
		v.addrs[hop] = make(map[netip.Addr]bool)
	}
	if !v.addrs[hop][from] {
		v.addrs[hop][from] = true
		v.address(hop, from, labels)
	}
	v.last[hop] = from
	v.address(hop, from, labels)
}

func (v *mtrRawView) address(hop int, from netip.Addr, labels []probers.MPLSLabel) {
	fmt.Fprintf(v.out, "h %d %s\n", hop, from)
	if !v.run.options.MPLS {
		return
	}
	for _, l := range labels {
		fmt.Fprintf(v.out, "m %d %d %d %d %d\n", hop, l.Label, l.Class, bit(l.Bottom), l.TTL)
	}
}

func (v *mtrRawView) redraw(func() probers.PathReport) {}
func (v *mtrRawView) keys() <-chan byte                { return nil }
func (v *mtrRawView) end()                             {}
