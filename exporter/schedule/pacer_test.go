package schedule

import (
	"fmt"
	"math/rand/v2"
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
	p.Remove(func(k string) bool { return k == "n1" })
	if got := popAll(p, epoch.Add(time.Second)); len(got) != 1 || got[0] != "n2" {
		t.Errorf("ran %v; want only n2", got)
	}
}

// Turns come in the order that they are due in, whatever joined and left before.
func TestPacerKeepsTheOrderOfTurns(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	p := NewPacer[string](epoch)
	now, there := epoch, map[string]bool{}
	for range 2000 {
		switch k := fmt.Sprint("n", random.IntN(100)); {
		case random.IntN(4) > 0:
			before := now
			now = now.Add(time.Duration(random.IntN(50)) * time.Millisecond)
			last := before.Add(-time.Hour)
			for {
				key, due, ok := p.Pop(now)
				if !ok {
					break
				}
				if due.Before(last) || due.After(now) || !there[key] {
					t.Fatalf("%s is due at %v after %v, at %v; there: %v", key, due, last, now, there[key])
				}
				last = due
			}
			if next := p.Next(now, time.Hour); next.Before(now) {
				t.Fatalf("the next turn is at %v at %v; want none left", next, now)
			}
		case there[k]:
			p.Remove(func(key string) bool { return key == k })
			delete(there, k)
		default:
			p.Add(k, k, time.Duration(1+random.IntN(300))*time.Millisecond, now)
			there[k] = true
		}
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
