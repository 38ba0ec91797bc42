package main

import (
	"context"
	"crypto/sha256"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// yardstickSize is how many bytes a piece of work reads: more than the nearest
// cache holds.
const yardstickSize = 128 << 10

// yardstick does the same small piece of work again and again, and notes the CPU
// time of each. On a machine whose hypervisor has others to serve, their share
// is charged to whoever was running, a few milliseconds at a time: most pieces
// take what they always take, and some many times of it.
type yardstick struct{ took []time.Duration }

// measure works until ctx ends, 20 times a second.
func (y *yardstick) measure(ctx context.Context) {
	runtime.LockOSThread() // the clock is a thread's
	defer runtime.UnlockOSThread()
	data := make([]byte, yardstickSize)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		before := threadTime()
		sum := sha256.Sum256(data)
		y.took = append(y.took, threadTime()-before)
		copy(data, sum[:])
	}
}

// median returns what a piece takes. It is longer while another machine of the
// same host works on the processor's other thread.
func (y *yardstick) median() time.Duration {
	if len(y.took) == 0 {
		return 0
	}
	slices.Sort(y.took)
	return y.took[len(y.took)/2]
}

// inflation returns how many times longer things took than they take: the mean
// over the median.
func (y *yardstick) inflation() float64 {
	if len(y.took) == 0 {
		return 1
	}
	var sum time.Duration
	for _, d := range y.took {
		sum += d
	}
	return sum.Seconds() / float64(len(y.took)) / y.median().Seconds()
}

// threadTime returns the CPU time of the calling thread.
//
// Source: clock_gettime(2), CLOCK_THREAD_CPUTIME_ID.
func threadTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // cannot fail
	return time.Duration(t.Nano())
}
