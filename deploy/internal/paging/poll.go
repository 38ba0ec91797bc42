package paging

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// PollInterval is how often it is looked whether something has come about.
const PollInterval = 200 * time.Millisecond

// Poll calls done every PollInterval until it returns nil, for so long at most.
func Poll(ctx context.Context, within time.Duration, done func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(PollInterval)
	defer tick.Stop()
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
				return fmt.Errorf("after %s: %w", within, last)
			}
			return context.Cause(ctx) // interrupted
		case <-tick.C:
		}
	}
}
