package probers

import "time"

// OneWay is the difference of two clocks over one way, for each direction: the
// time that the packet took, plus or minus how far the clocks of the two nodes
// are apart. Only changes of it mean something. The zero value is unknown.
type OneWay struct {
	Forward time.Duration // responder's receive time minus our send time
	Reverse time.Duration // our receive time minus responder's send time
}

// sum is the round trip: the clocks' distance cancels out.
func (o OneWay) sum() time.Duration { return o.Forward + o.Reverse }

// Settings of a OneWayTrend.
const (
	DefaultOneWayThreshold = 2 * time.Millisecond

	oneWayRecent  = 5                // exchanges that are compared with the baseline
	oneWaySpan    = 10 * time.Second // of the baseline, each part
	oneWayParts   = 6
	oneWayHolding = 15 * time.Minute
)

// OneWayChange says how the two directions of a path differ from what they
// were. The zero value is unknown.
type OneWayChange struct {
	Known            bool
	Slower           Ways          // directions that are slower than their baseline by more than the threshold
	Forward, Reverse time.Duration // by how much the requests and the replies take longer than then
}

// A OneWayTrend tells which direction of a path has become slower. It needs no
// synchronised clocks, only ones that run at about the same speed.
//
// Of the last exchanges, and of those of the last minute, it takes the one
// with the least round trip, which waited least in queues, and compares the
// two in each direction. While a direction is slower the baseline stays as it
// is, for a quarter of an hour at most: then the slower path is the new one.
//
// A clock that is stepped makes one direction seem slower and the other
// faster, by the same time. No path does that, so the answer is unknown then,
// and the comparison begins anew. The same happens while a clock is corrected
// faster than by about the threshold in a minute.
type OneWayTrend struct {
	Threshold time.Duration // 0 means DefaultOneWayThreshold

	recent [oneWayRecent]OneWay
	seen   int // exchanges since the beginning of the comparison
	parts  [oneWayParts]oneWayPart
	since  time.Time // when a direction became slower; zero if none is
	change OneWayChange
}

// oneWayPart is the best exchange of a part of the baseline.
type oneWayPart struct {
	best  OneWay
	begun time.Time // zero: empty
}

// Add takes the times of an exchange, in the order of time, and returns what is
// known after it. Exchanges without times change nothing.
func (t *OneWayTrend) Add(at time.Time, o OneWay) OneWayChange {
	if o == (OneWay{}) {
		return t.change
	}
	t.recent[t.seen%oneWayRecent] = o
	t.seen++
	if t.seen < oneWayRecent {
		t.note(at, o)
		return t.change
	}
	t.change = t.compare(at)
	if t.change.Slower == 0 {
		t.since = time.Time{}
		t.note(at, o)
	} else if t.since.IsZero() {
		t.since = at
	}
	return t.change
}

// compare compares the last exchanges with the baseline.
func (t *OneWayTrend) compare(at time.Time) OneWayChange {
	limit := t.Threshold
	if limit == 0 {
		limit = DefaultOneWayThreshold
	}
	base, ok := t.baseline()
	if !ok {
		return OneWayChange{}
	}
	now := least(t.recent[:])
	c := OneWayChange{Known: true, Forward: now.Forward - base.Forward, Reverse: now.Reverse - base.Reverse}
	faster := min(c.Forward, c.Reverse) < -limit/2
	switch {
	case faster && c.Forward+c.Reverse >= -limit/2, !t.since.IsZero() && at.Sub(t.since) > oneWayHolding:
		*t = OneWayTrend{Threshold: t.Threshold}
		t.note(at, now)
		return OneWayChange{}
	case faster:
		t.parts = [oneWayParts]oneWayPart{} // a shorter path than ever: the new baseline
		t.note(at, now)
		return OneWayChange{Known: true}
	}
	if c.Forward > limit {
		c.Slower |= Forward
	}
	if c.Reverse > limit {
		c.Slower |= Reverse
	}
	return c
}

// note adds an exchange to the baseline, and forgets what is too old for it.
func (t *OneWayTrend) note(at time.Time, o OneWay) {
	for i := range t.parts {
		if p := &t.parts[i]; !p.begun.IsZero() && at.Sub(p.begun) >= oneWayParts*oneWaySpan {
			*p = oneWayPart{}
		}
	}
	p := &t.parts[int(at.UnixNano()/int64(oneWaySpan))%oneWayParts]
	if p.begun.IsZero() || o.sum() < p.best.sum() {
		p.best = o
	}
	if p.begun.IsZero() {
		p.begun = at.Truncate(oneWaySpan)
	}
}

// baseline returns the exchange that waited least; it is false if there is
// none.
func (t *OneWayTrend) baseline() (best OneWay, ok bool) {
	for _, p := range t.parts {
		if !p.begun.IsZero() && (!ok || p.best.sum() < best.sum()) {
			best, ok = p.best, true
		}
	}
	return best, ok
}

func least(all []OneWay) OneWay {
	best := all[0]
	for _, o := range all[1:] {
		if o.sum() < best.sum() {
			best = o
		}
	}
	return best
}
