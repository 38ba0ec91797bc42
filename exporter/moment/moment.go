// Package moment is about when an agent works: four times a second, all of its
// parts together. To wake up costs more than most of what there is to do then,
// since the processor has to come out of its rest, and its caches are cold.
package moment

import (
	"time"

	"golang.org/x/sys/unix"
)

// Apart is how far apart the moments are. They are multiples of it by the
// kernel's monotonic clock, and so the same for all processes of a machine.
const Apart = 250 * time.Millisecond

// behind is how long after a moment things happen that are timed by the Go
// runtime. It rests for whole milliseconds, rounded down, and so wakes up early,
// to rest again; behind a moment it is awake, by what the kernel has timed to
// the moment itself.
const behind = time.Millisecond

// A Clock knows when the moments are.
type Clock struct {
	began time.Time
	at    time.Duration // of the kernel's clock, when it began
}

// NewClock returns a Clock.
func NewClock() Clock {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail, and any beginning will do
	return Clock{began: time.Now(), at: time.Duration(t.Nano())}
}

// Until returns how long it is until the next moment that is a multiple of
// every, which is one of Apart; never 0.
func (c Clock) Until(every time.Duration) time.Duration {
	return every - (c.at+time.Since(c.began)-behind)%every
}

// A Ticker ticks at moments. It is used by one goroutine.
type Ticker struct {
	C <-chan time.Time // after a tick, call Next

	clock Clock
	every time.Duration
	timer *time.Timer
}

// NewTicker returns a Ticker for the moments that are multiples of every.
func NewTicker(every time.Duration) *Ticker {
	clock := NewClock()
	timer := time.NewTimer(clock.Until(every))
	return &Ticker{C: timer.C, clock: clock, every: every, timer: timer}
}

// Next makes it tick at the next moment.
func (t *Ticker) Next() { t.timer.Reset(t.clock.Until(t.every)) }

// Stop ends the ticks.
func (t *Ticker) Stop() { t.timer.Stop() }
