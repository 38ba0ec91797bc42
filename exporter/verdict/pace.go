package verdict

import "time"

// The limits of a Pace.
const (
	// paceWindow is how long a best round-trip time is remembered at least,
	// and twice that at most. A way that has been slow for longer is as it
	// is: nothing tells a detour that stays from a longer cable.
	paceWindow = time.Hour

	// paceFactor and paceMargin: slow is more than so many times the best,
	// and so much on top, which is far above what a loaded host adds.
	paceFactor = 2
	paceMargin = 10 * time.Millisecond
)

// A Pace tells whether the round-trip time of one way is high against its own
// past. Its zero value has no past, and calls nothing slow before it has one.
type Pace struct {
	best, before time.Duration // lowest of the present window, and of the one before; 0: none
	began        time.Time     // the present window
	slow         int           // round trips in a row that were slow
}

// Add takes a round-trip time, and reports whether this one and the one before
// it were slow, and by how much this one is above the best.
func (p *Pace) Add(rtt time.Duration, now time.Time) (slow bool, excess time.Duration) {
	if now.Sub(p.began) >= paceWindow {
		p.before, p.best, p.began = p.best, 0, now
	}
	if p.best == 0 || rtt < p.best {
		p.best = rtt
	}
	best := p.best
	if p.before != 0 {
		best = min(best, p.before)
	}
	if rtt > paceFactor*best+paceMargin {
		p.slow++
	} else {
		p.slow = 0
	}
	return p.slow >= 2, rtt - best
}
