// Package schedule decides when each target is probed.
package schedule

import (
	"container/heap"
	"hash/fnv"
	"time"
)

// A Pacer spreads repeated work evenly over time. Every key has an interval
// and an offset into it which follows from the key's name alone, so that the
// targets of an agent do not come in a burst, agents that start together do
// not probe in step, and a key keeps its place whatever joins or leaves.
//
// A Pacer that was not asked for a while does not catch up: what was missed is
// skipped and counted. It is not safe for concurrent use.
type Pacer[K comparable] struct {
	epoch   time.Time
	entries map[K]*entry[K]
	queue   queue[K]
	skipped uint64
}

type entry[K comparable] struct {
	key      K
	interval time.Duration
	due      time.Time
	index    int // in the queue
}

// NewPacer returns a Pacer that counts its intervals from epoch.
func NewPacer[K comparable](epoch time.Time) *Pacer[K] {
	return &Pacer[K]{epoch: epoch, entries: make(map[K]*entry[K])}
}

// Add schedules key every interval from now on, at the offset that name gives
// it. A key that is there with the same interval keeps its place.
func (p *Pacer[K]) Add(key K, name string, interval time.Duration, now time.Time) {
	if e, ok := p.entries[key]; ok {
		if e.interval == interval {
			return
		}
		p.Remove(key)
	}
	e := &entry[K]{key: key, interval: interval}
	e.due = next(p.epoch.Add(Offset(name, interval)), interval, now)
	p.entries[key] = e
	heap.Push(&p.queue, e)
}

// Remove takes key out. It is no error if it was not there.
func (p *Pacer[K]) Remove(key K) {
	if e, ok := p.entries[key]; ok {
		heap.Remove(&p.queue, e.index)
		delete(p.entries, key)
	}
}

// Len returns the number of keys.
func (p *Pacer[K]) Len() int { return len(p.entries) }

// Skipped returns how many turns were skipped because the Pacer was asked too
// late for them.
func (p *Pacer[K]) Skipped() uint64 { return p.skipped }

// Pop returns a key whose turn has come, and when it was due; ok is false if
// there is none at now. The key's next turn is the first one after now.
func (p *Pacer[K]) Pop(now time.Time) (key K, due time.Time, ok bool) {
	if len(p.queue) == 0 || p.queue[0].due.After(now) {
		return key, due, false
	}
	e := p.queue[0]
	due = e.due
	e.due = next(due.Add(e.interval), e.interval, now)
	p.skipped += uint64(e.due.Sub(due)/e.interval) - 1
	heap.Fix(&p.queue, 0)
	return e.key, due, true
}

// Next returns when the next turn is due, or idle from now if there are no
// keys.
func (p *Pacer[K]) Next(now time.Time, idle time.Duration) time.Time {
	if len(p.queue) == 0 {
		return now.Add(idle)
	}
	return p.queue[0].due
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
func next(at time.Time, interval time.Duration, now time.Time) time.Time {
	if behind := now.Sub(at); behind > 0 {
		at = at.Add((behind + interval - 1) / interval * interval)
	}
	return at
}

type queue[K comparable] []*entry[K]

func (q queue[K]) Len() int           { return len(q) }
func (q queue[K]) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue[K]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *queue[K]) Push(x any) {
	e := x.(*entry[K])
	e.index = len(*q)
	*q = append(*q, e)
}

func (q *queue[K]) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return e
}
