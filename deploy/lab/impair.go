package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// impairment says what an impairment device does to the packets of a link. The
// zero value does nothing to them.
type impairment struct {
	Delay  time.Duration // each packet is held so long
	Jitter time.Duration // and so much shorter or longer at most, without overtaking

	// Parts of the packets in percent, 0 to 100, chosen at random.
	Loss      float64 // dropped
	Duplicate float64 // sent twice, one right after the other
	Reorder   float64 // held for Hold more, while others overtake

	Hold time.Duration
}

// check returns an error that names the first value that makes no sense.
func (i impairment) check() error {
	for name, percent := range map[string]float64{"loss": i.Loss, "duplicate": i.Duplicate, "reorder": i.Reorder} {
		if percent < 0 || percent > 100 {
			return fmt.Errorf("%s: %g %% is not between 0 and 100", name, percent)
		}
	}
	switch {
	case i.Delay < 0 || i.Delay > maxDelay:
		return fmt.Errorf("delay: %s is not between 0 and %s", i.Delay, maxDelay)
	case i.Jitter < 0 || i.Jitter > maxDelay:
		return fmt.Errorf("jitter: %s is not between 0 and %s", i.Jitter, maxDelay)
	case i.Reorder > 0 && (i.Hold <= 0 || i.Hold > maxDelay):
		return fmt.Errorf("hold: %s is not between 0 and %s, and with reordering not 0", i.Hold, maxDelay)
	}
	return nil
}

// maxDelay is more than any link has; packets that are held take memory.
const maxDelay = 10 * time.Second

// fate is what happens to one packet.
type fate struct {
	drop bool
	due  time.Duration // when it goes on, by the clock that decide was given
	copy bool          // a second one goes right after it
}

// link decides the fate of the packets of one link in one direction.
type link struct {
	impairment
	random *rand.Rand
	last   time.Duration // due time of the latest packet that is not reordered
}

// decide returns what happens to a packet that arrives now. Times of packets
// in sequence must not decrease.
func (l *link) decide(now time.Duration) fate {
	if l.chance(l.Loss) {
		return fate{drop: true}
	}
	f := fate{due: now + l.Delay, copy: l.chance(l.Duplicate)}
	if l.Jitter > 0 {
		f.due = max(now, f.due-l.Jitter+time.Duration(l.random.Int64N(int64(2*l.Jitter)+1)))
	}
	f.due = max(f.due, l.last)
	if l.chance(l.Reorder) {
		f.due += l.Hold
		return f
	}
	l.last = f.due
	return f
}

func (l *link) chance(percent float64) bool {
	return percent > 0 && l.random.Float64()*100 < percent
}
