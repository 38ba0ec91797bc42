package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pollInterval is how often it is looked whether something has come about.
const pollInterval = 200 * time.Millisecond

// poll asks until done gives no error or ctx ends; the error is then the last
// that done gave.
func poll(ctx context.Context, done func(context.Context) error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	start := time.Now()
	var last error
	for {
		err := done(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil { // else it only says that time is up
			last = err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("after %.0f s: %w", time.Since(start).Seconds(), last)
			}
			return context.Cause(ctx) // interrupted
		case <-tick.C:
		}
	}
}

// pollFor polls for some time.
func pollFor(ctx context.Context, within time.Duration, done func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return poll(ctx, done)
}
