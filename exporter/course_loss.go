package main

import (
	"slices"
	"time"

	"github.com/podnet-exporter/podnet_exporter/exporter/verdict"
	"github.com/podnet-exporter/podnet_exporter/probers"
)

// losing reports whether the probes from this node to the peer's node lose
// packets now, and do not lose all.
func (b *board) losing(key peerKey, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.peers[key]
	if !ok {
		return false
	}
	var lost, answered bool
	for _, kind := range boardProbes {
		c := p.cells.at(place{vantageNode, kindNode, kind})
		if now.After(c.expires) {
			continue
		}
		lost = lost || c.outcome == verdict.Lapse || c.outcome == verdict.Loss
		answered = answered || c.outcome == verdict.Answer
	}
	return lost && answered
}

// endLoss is what became of a path's probes to its far end, of all flows
// together, since none was missing in the window of its judgement. Its zero
// value is a path that loses nothing. Probes are numbered in the order that
// they were sent in, from 1.
type endLoss struct {
	first, last uint64 // that was lost; 0: none
	spread      bool   // over more than one cycle
	newest      uint64 // that was answered
	unheard     int    // cycles begun since one was answered
}

// lost notes a probe that was not answered. A cycle has so many probes.
func (l *endLoss) lost(number, cycle uint64) {
	if l.first == 0 {
		l.first = number
	}
	l.spread = l.spread || number >= l.first+cycle
	l.last = max(l.last, number)
}

// answered notes one that was.
func (l *endLoss) answered(number uint64) {
	l.unheard = 0
	l.newest = max(l.newest, number)
}

// cut reports whether the far end has not been heard of for more than a cycle.
func (l *endLoss) cut() bool { return l.unheard > 2 }

// lasting returns the points where loss begins, if it is more than one burst
// and not the beginning of a cut: the loss of one cycle is one moment's, and as
// long as nothing was answered since, it cannot be told what becomes of it. A
// path that has answered nothing at all for as long as the judgement looks
// back is one that loses.
func (l *endLoss) lasting(points []probers.LossPoint) []probers.LossPoint {
	return slices.DeleteFunc(points, func(p probers.LossPoint) bool {
		return !p.Total && (!l.spread || l.newest < l.last)
	})
}
