package schedule

import (
	"fmt"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// popAll returns the keys that are due at now, in order.
func popAll(p *Pacer[string], now time.Time) (keys []string) {
	for {
		key, _, ok := p.Pop(now)
		if !ok {
			return keys
		}
		keys = append(keys, key)
	}
}

func TestPacerRunsEveryKeyOncePerInterval(t *testing.T) {
	p := NewPacer[string](epoch)
	for _, k := range []string{"n1", "n2", "n3"} {
		p.Add(k, k, time.Second, epoch)
	}
	counts := map[string]int{}
	for ms := range 10_000 {
		for _, k := range popAll(p, epoch.Add(time.Duration(ms)*time.Millisecond)) {
			counts[k]++
		}
	}
	for k, n := range counts {
		if n != 10 {
			t.Errorf("%s ran %d times in 10 intervals; want 10", k, n)
		}
	}
	if len(counts) != 3 || p.Skipped() != 0 {
		t.Errorf("ran %v, skipped %d; want three keys and nothing skipped", counts, p.Skipped())
	}
}

func TestPacerKeepsThePlaceOfAKey(t *testing.T) {
	alone, crowd := NewPacer[string](epoch), NewPacer[string](epoch)
	alone.Add("n7", "n7", time.Second, epoch)
	for i := range 100 {
		k := fmt.Sprintf("n%d", i)
		crowd.Add(k, k, time.Second, epoch)
	}
	want := alone.Next(epoch, 0)
	for {
		key, due, ok := crowd.Pop(epoch.Add(time.Second))
		if !ok {
			t.Fatal("n7 never ran")
		}
		if key == "n7" {
			if !due.Equal(want) {
				t.Errorf("n7 is due at %v among others, at %v alone; want the same", due, want)
			}
			return
		}
	}
}

func TestPacerSkipsWhatItMissedInsteadOfCatchingUp(t *testing.T) {
	p := NewPacer[string](epoch)
	p.Add("n1", "n1", time.Second, epoch)
	first := p.Next(epoch, 0)

	late := first.Add(3500 * time.Millisecond)
	if got := popAll(p, late); len(got) != 1 {
		t.Fatalf("ran %d times after a stop of 3.5 intervals; want once", len(got))
	}
	if p.Skipped() != 3 {
		t.Errorf("skipped %d; want 3", p.Skipped())
	}
	if got, want := p.Next(late, 0), first.Add(4*time.Second); !got.Equal(want) {
		t.Errorf("next turn at %v; want %v, in step with the first", got, want)
	}
}

func TestPacerForgetsRemovedKeys(t *testing.T) {
	p := NewPacer[string](epoch)
	p.Add("n1", "n1", time.Second, epoch)
	p.Add("n2", "n2", time.Second, epoch)
	p.Remove("n1")
	p.Remove("n1")
	if got := popAll(p, epoch.Add(time.Second)); len(got) != 1 || got[0] != "n2" {
		t.Errorf("ran %v; want only n2", got)
	}
}

func TestPacerTakesANewIntervalAndKeepsAnOldOne(t *testing.T) {
	p := NewPacer[string](epoch)
	p.Add("n1", "n1", time.Second, epoch)
	before := p.Next(epoch, 0)
	p.Add("n1", "n1", time.Second, epoch.Add(time.Minute))
	if got := p.Next(epoch, 0); !got.Equal(before) {
		t.Errorf("the same interval moved the turn from %v to %v", before, got)
	}
	p.Add("n1", "n1", time.Hour, epoch)
	if got := p.Next(epoch, 0); got.Sub(epoch) != Offset("n1", time.Hour) {
		t.Errorf("next turn at +%v; want the new interval's offset", got.Sub(epoch))
	}
}

func TestOffsetSpreadsNames(t *testing.T) {
	const buckets = 10
	var hits [buckets]int
	for i := range 1000 {
		hits[Offset(fmt.Sprintf("icmp/pod/node-%d", i), time.Second)*buckets/time.Second]++
	}
	for i, n := range hits {
		if n < 60 || n > 140 {
			t.Errorf("tenth %d of the interval has %d of 1000 targets; want about 100", i, n)
		}
	}
}
