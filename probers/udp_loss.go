package probers

import "slices"

// Ways is a set of directions.
type Ways uint8

// The directions: of a request on its way to the target, and of its reply.
const (
	Forward Ways = 1 << iota
	Reverse
)

// String returns the directions as words for a label.
func (w Ways) String() string {
	switch w {
	case 0:
		return "none"
	case Forward:
		return "forward"
	case Reverse:
		return "reverse"
	}
	return "both"
}

// Losses counts lost exchanges by the direction in which the packet was lost.
type Losses struct {
	Forward int // requests that did not reach the responder
	Reverse int // replies that did not come back
	Unknown int // one or the other: the responder's count does not tell
}

// maxMissing is how many lost sequence numbers a tracker keeps; of older ones
// it knows only how many there are.
const maxMissing = 128

// maxWaited is how often settling is put off at most.
const maxWaited = 8

// A LossTracker finds out in which direction the packets of one flow were
// lost. The flow's requests have the sequence numbers 1, 2, 3…, and each reply
// says how many requests of the flow the responder has seen, which has to
// begin at 0 with the flow.
//
// Between two replies, the requests that were sent and not counted were lost
// on the way there; the other lost ones were answered, and lost on the way
// back. So a direction is known as soon as a later packet of the flow makes
// it: its losses are settled then, once, and never taken back. Nothing is
// settled while an earlier packet may still be answered, so packets that
// overtake each other do no harm.
//
// Each method returns the losses that it settled. The zero value is a flow
// that has sent nothing.
type LossTracker struct {
	flying  []uint64 // sent, without an outcome, in order
	peak    int      // most of those since there were none
	burst   uint64   // first of those that were in flight together last
	high    uint64   // highest sequence number that was answered
	count   uint64   // highest count of the responder
	settled uint64   // what high was when losses were settled last
	counted uint64   // what count was then
	debt    int      // requests counted in the window before that belong to this one

	// Since settled:
	missing []uint64 // lost, in order
	older   int      // lost before those
	edge    uint64   // highest sequence number that has an outcome without a reply
	failed  int      // known not to have reached the responder
	unsure  int      // may have been lost by the prober itself
	doubled int      // requests that were counted once too often
	waited  int      // times that settling was put off
}

// Sent notes a request. Sequence numbers must grow.
func (t *LossTracker) Sent(sequence uint64) {
	if len(t.flying) == 0 {
		t.peak, t.burst = 0, sequence
	}
	t.flying = append(t.flying, sequence)
	t.peak = max(t.peak, len(t.flying))
}

// Reply notes the first reply to a request, in time or late. Count is the
// responder's.
func (t *LossTracker) Reply(sequence, count uint64) Losses {
	inTime := t.land(sequence)
	if inTime && sequence > t.high && t.restarted(count) {
		return t.Restart(sequence, count)
	}
	switch i, lost := slices.BinarySearch(t.missing, sequence); {
	case lost:
		t.missing = slices.Delete(t.missing, i, i+1)
	case !inTime && sequence <= t.settled && count > t.counted:
		t.doubled++ // was taken for lost, and is counted only now
	}
	t.high, t.count = max(t.high, sequence), max(t.count, count)
	return t.settle()
}

// restarted says whether a count is too low for the newest reply: then the
// responder has begun to count again. Packets that were in flight together may
// have been counted in another order.
func (t *LossTracker) restarted(count uint64) bool {
	return count+2*uint64(max(t.peak-1, 0)) <= t.count
}

// Lost notes that a request has timed out.
func (t *LossTracker) Lost(sequence uint64) Losses {
	if !t.land(sequence) {
		return Losses{}
	}
	if sequence <= t.settled {
		return Losses{Unknown: 1} // from before a restart of the responder
	}
	if len(t.missing) == maxMissing {
		t.missing = slices.Delete(t.missing, 0, 1)
		t.older++
	}
	i, _ := slices.BinarySearch(t.missing, sequence)
	t.missing = slices.Insert(t.missing, i, sequence)
	t.edge = max(t.edge, sequence)
	return t.settle()
}

// Failed notes that an ICMP error or a refused send says of a request that it
// has not reached the responder. It is no loss of unknown direction.
func (t *LossTracker) Failed(sequence uint64) Losses { return t.without(sequence, &t.failed) }

// Ignore notes that nothing will be known of a request: the prober itself was
// not able to receive the reply, or gave it up.
func (t *LossTracker) Ignore(sequence uint64) Losses { return t.without(sequence, &t.unsure) }

func (t *LossTracker) without(sequence uint64, which *int) Losses {
	if !t.land(sequence) || sequence <= t.settled {
		return Losses{}
	}
	*which++
	t.edge = max(t.edge, sequence)
	return t.settle()
}

// Doubled notes a further reply to a request, with a count that differs from
// the first one's: the request reached the responder twice.
func (t *LossTracker) Doubled(count uint64) {
	if count > t.counted {
		t.doubled++
		t.count = max(t.count, count)
	}
}

// Restart notes a reply of a responder that has begun to count again, or of
// another one. Whatever is missing cannot be told.
func (t *LossTracker) Restart(sequence, count uint64) Losses {
	t.land(sequence)
	lost := Losses{Unknown: t.older + len(t.missing)}
	t.begin(sequence, count)
	t.high, t.count, t.debt = t.settled, t.counted, 0
	return lost
}

// land takes a request out of those in flight. It is false if it was not
// there.
func (t *LossTracker) land(sequence uint64) bool {
	i, ok := slices.BinarySearch(t.flying, sequence)
	if ok {
		t.flying = slices.Delete(t.flying, i, i+1)
	}
	return ok
}

// settle tells the directions of what was lost since it did so last, if all
// requests up to the last reply have an outcome and none behind it is lost.
//
// Of packets that were in flight together, the responder may have counted one
// that is lost, or still to come, before the others or after them, and no reply
// says so. A later burst that is whole tells; it is waited for, but not for
// ever.
func (t *LossTracker) settle() Losses {
	if t.high <= t.settled || t.edge > t.high || len(t.flying) > 0 && t.flying[0] < t.high {
		return Losses{}
	}
	if (t.edge >= t.burst || len(t.flying) > 0) && t.waited < maxWaited {
		t.waited++
		return Losses{}
	}
	lost := t.older + len(t.missing)
	uncounted := int(t.high-t.settled) - int(t.count-t.counted) - t.failed + t.doubled
	most := min(max(uncounted+t.debt, 0), lost)
	least := min(max(uncounted+t.debt-t.unsure, 0), lost)
	t.begin(t.high, t.count)
	t.debt = min(uncounted, 0)
	return Losses{Forward: least, Reverse: lost - most, Unknown: most - least}
}

// begin starts a window.
func (t *LossTracker) begin(sequence, count uint64) {
	t.settled, t.counted = sequence, count
	t.missing = t.missing[:0]
	t.older, t.edge, t.failed, t.unsure, t.doubled, t.waited = 0, 0, 0, 0, 0, 0
}
