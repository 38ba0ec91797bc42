// Package schedule decides when each target is probed.
package schedule

import (
	"hash/fnv"
	"slices"
	"time"
)

// A Pacer spreads repeated work evenly over time. Every key has an interval
// and an offset into it which follows from the key's name alone, so that the
// targets of an agent do not come in a burst, agents that start together do
// not probe in step, and a key keeps its place whatever joins or leaves.
//
// A Pacer that was not asked for a while does not catch up: what was missed is
// skipped and counted. It is not safe for concurrent use.
type Pacer[K any] struct {
	epoch   time.Time
	queue   []turn[K] // a binary min-heap by due
	skipped uint64
}

// turn is a key's next one. Turns lie side by side in the queue: it is gone
// through for every probe, mostly by a processor that has forgotten it.
type turn[K any] struct {
	due      time.Duration // since the epoch
	interval time.Duration
	key      K
}

// NewPacer returns a Pacer that counts its intervals from epoch.
func NewPacer[K any](epoch time.Time) *Pacer[K] {
	return &Pacer[K]{epoch: epoch}
}

// Add schedules a key that is not there yet every interval from now on, at the
// offset that name gives it.
func (p *Pacer[K]) Add(key K, name string, interval time.Duration, now time.Time) {
	p.queue = append(p.queue, turn[K]{due: next(Offset(name, interval), interval, now.Sub(p.epoch)), interval: interval, key: key})
	p.up(len(p.queue) - 1)
}

// Remove takes out the keys that gone reports.
func (p *Pacer[K]) Remove(gone func(K) bool) {
	p.queue = slices.DeleteFunc(p.queue, func(t turn[K]) bool { return gone(t.key) })
	for i := len(p.queue)/2 - 1; i >= 0; i-- {
		p.down(i)
	}
}

// Skipped returns how many turns were skipped because the Pacer was asked too
// late for them.
func (p *Pacer[K]) Skipped() uint64 { return p.skipped }

// Pop returns a key whose turn has come, and when it was due; ok is false if
// there is none at now. The key's next turn is the first one after now.
func (p *Pacer[K]) Pop(now time.Time) (key K, due time.Time, ok bool) {
	since := now.Sub(p.epoch)
	if len(p.queue) == 0 || p.queue[0].due > since {
		return key, due, false
	}
	t := &p.queue[0]
	key, due = t.key, p.epoch.Add(t.due)
	after := next(t.due+t.interval, t.interval, since)
	p.skipped += uint64((after-t.due)/t.interval) - 1
	t.due = after
	p.down(0)
	return key, due, true
}

// Next returns when the next turn is due, or idle from now if there are no
// keys.
func (p *Pacer[K]) Next(now time.Time, idle time.Duration) time.Time {
	if len(p.queue) == 0 {
		return now.Add(idle)
	}
	return p.epoch.Add(p.queue[0].due)
}

// up moves turn i towards the top of the heap, to where it belongs.
func (p *Pacer[K]) up(i int) {
	q := p.queue
	for i > 0 {
		parent := (i - 1) / 2
		if q[parent].due <= q[i].due {
			return
		}
		q[parent], q[i] = q[i], q[parent]
		i = parent
	}
}

// down moves turn i away from the top of the heap, to where it belongs.
func (p *Pacer[K]) down(i int) {
	q := p.queue
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(q); child++ {
			if q[child].due < q[least].due {
				least = child
			}
		}
		if least == i {
			return
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
}

// Offset returns the place of name in an interval, from 0 up to the interval.
func Offset(name string, interval time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(name))
	// FNV changes its high bits least for short names that differ at the end;
	// folding mixes them in.
	sum := h.Sum64()
	sum ^= sum >> 32
	sum *= 0x9e3779b97f4a7c15
	return time.Duration((sum >> 11) % uint64(interval))
}

// next returns the first of at, at+interval, at+2*interval… that is not before
// now.
func next(at, interval, now time.Duration) time.Duration {
	if behind := now - at; behind > 0 {
		at += (behind + interval - 1) / interval * interval
	}
	return at
}
