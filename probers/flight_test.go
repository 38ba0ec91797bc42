package probers

import (
	"math/rand/v2"
	"testing"
)

func TestDeadlinesComeInOrder(t *testing.T) {
	var h deadlines
	for i := range uint64(1000) {
		h.push(deadline{rand.Int64N(100), i})
	}
	for last := int64(0); len(h) > 0; h.pop() {
		if h[0].at < last {
			t.Fatalf("deadline %d after %d", h[0].at, last)
		}
		last = h[0].at
	}
}

func TestRing(t *testing.T) {
	r := newRing()
	for i := range uint64(3 * minRing) {
		f := r.add()
		if f.number != i+1 {
			t.Fatalf("number %d; want %d", f.number, i+1)
		}
		f.done = true
	}
	if len(r.flights) != minRing {
		t.Errorf("ring of finished probes grew to %d", len(r.flights))
	}
	if r.find(1) != nil || r.find(3*minRing) == nil || r.find(2*minRing+1) == nil {
		t.Error("the ring does not hold exactly the last probes")
	}
	if f := r.findSequence(uint16(3*minRing - 5)); f == nil || f.number != 3*minRing-5 {
		t.Errorf("findSequence() = %+v", f)
	}
	if f := r.findSequence(uint16(3*minRing + 1)); f != nil {
		t.Errorf("findSequence() of a probe not sent = %+v", f)
	}
}

func TestRingHoldsNoMoreThanSequenceNumbersCanTell(t *testing.T) {
	r := newRing()
	for range maxRing {
		if r.add() == nil {
			t.Fatal("full too early")
		}
	}
	if r.add() != nil {
		t.Error("a probe more than there are sequence numbers")
	}
	for _, n := range []uint64{1, 777, maxRing} {
		if f := r.findSequence(uint16(n)); f == nil || f.number != n {
			t.Errorf("findSequence(%d) = %+v", n, f)
		}
	}
}
