package moment

import (
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// kernelClock is what the moments are multiples by.
func kernelClock(t *testing.T) time.Duration {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return time.Duration(now.Nano())
}

func TestUntilIsToTheNextMultipleByTheKernelsClock(t *testing.T) {
	for _, every := range []time.Duration{Apart, time.Second, time.Minute} {
		before := kernelClock(t)
		until := NewClock().Until(every)
		after := kernelClock(t)
		if until <= 0 || until > every {
			t.Fatalf("Until(%v) = %v; want more than 0, and no more than that", every, until)
		}
		// The moment lies between what was asked before and after.
		first, last := (before+until-behind)%every, (after+until-behind)%every
		if span := after - before; first > 0 && first < every-span || last > span {
			t.Errorf("Until(%v) = %v, which is %v to %v past a multiple", every, until, first, last)
		}
	}
}

func TestTickerTicksOncePerMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ticker := NewTicker(time.Second)
		defer ticker.Stop()
		var ticks []time.Duration
		for range 5 {
			ticks = append(ticks, (<-ticker.C).Sub(start))
			time.Sleep(300 * time.Millisecond) // of work
			ticker.Next()
		}
		for i := 1; i < len(ticks); i++ {
			if apart := ticks[i] - ticks[i-1]; apart != time.Second {
				t.Errorf("ticks at %v: two are %v apart; want 1s, whatever the work takes", ticks, apart)
			}
		}
		if ticks[0] > time.Second {
			t.Errorf("first tick after %v; want at most 1s", ticks[0])
		}
	})
}

func TestTickerLeavesOutMomentsThatPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ticker := NewTicker(time.Second)
		defer ticker.Stop()
		first := <-ticker.C
		time.Sleep(2500 * time.Millisecond)
		ticker.Next()
		if apart := (<-ticker.C).Sub(first); apart != 3*time.Second {
			t.Errorf("the next tick came %v after the first, and 2.5s of work; want 3s", apart)
		}
	})
}
