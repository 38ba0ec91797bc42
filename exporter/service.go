package main

import (
	"context"
	"sync"
)

// service is a background part of the agent that follows one section of the
// configuration: it is restarted when that section changes, and left alone
// when it does not.
type service struct {
	section any
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// runs reports whether what runs was made for this section.
func (s *service) runs(section any) bool { return s.cancel != nil && s.section == section }

// replace ends what runs, and runs this for the section.
func (s *service) replace(ctx context.Context, section any, run func(context.Context)) {
	s.stop()
	ctx, s.cancel = context.WithCancel(ctx)
	s.section = section
	s.done.Go(func() { run(ctx) })
}

// stop ends what runs and waits for it.
func (s *service) stop() {
	if s.cancel == nil {
		return
	}
	s.cancel()
	s.done.Wait()
	s.cancel = nil
}
