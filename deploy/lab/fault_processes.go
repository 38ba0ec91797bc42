package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/process"
)

// agentOf and endpointOf return the names of a node's processes in the state.
func agentOf(n NodePlan) string    { return "agent-" + n.Name }
func endpointOf(n NodePlan) string { return "endpoint-" + n.Name }

// stopEndpoint ends the endpoint of the node; its pod stays.
func stopEndpoint(ctx context.Context, l *Lab, n NodePlan) error {
	return l.signalAndWait(ctx, endpointOf(n), unix.SIGTERM)
}

// startEndpoint starts the endpoint of the node if the lab once did and it
// does not run.
func startEndpoint(_ context.Context, l *Lab, n NodePlan) error {
	return l.revive(endpointOf(n), func() error { return l.startEndpoint(n.Name) })
}

// startAgent starts the agent of the node if the lab once did and it does not
// run.
func startAgent(_ context.Context, l *Lab, n NodePlan) error {
	return l.revive(agentOf(n), func() error { return l.startAgent(n.Name) })
}

// restartAgent ends the agent of the node as an update does, and starts it.
func restartAgent(ctx context.Context, l *Lab, n NodePlan) error {
	if err := l.signalAndWait(ctx, agentOf(n), unix.SIGTERM); err != nil {
		return err
	}
	return startAgent(ctx, l, n)
}

// revive calls start for a process that is in the lab's state and does not
// run. Faults end processes without taking them out of the state, so that any
// process can tell what has to run again.
func (l *Lab) revive(name string, start func() error) error {
	s, err := l.readState()
	if err != nil {
		return err
	}
	for _, p := range s.Processes {
		if p.Name == name && !p.Running() {
			return start()
		}
	}
	return nil
}

// signalAndWait sends a signal that ends a process of the lab, and waits until
// it is gone, at most process.KillAfter. A process that does not run is no error.
func (l *Lab) signalAndWait(ctx context.Context, name string, sig unix.Signal) error {
	p, err := l.proc(name)
	if errors.Is(err, process.ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s (pid %d): %w", name, p.PID, err)
	}
	defer unix.Close(fd) //nolint:errcheck // it is open
	if err := l.signal(name, sig); err != nil {
		return err
	}
	if !process.WaitPidfd(fd, process.KillAfter) {
		return fmt.Errorf("%s (pid %d): still there %s after %s", name, p.PID, process.KillAfter, unix.SignalName(sig))
	}
	return ctx.Err()
}

// signal sends a signal to a process of the lab. The error wraps process.ErrNotRunning
// when there is none.
func (l *Lab) signal(name string, sig unix.Signal) error {
	p, err := l.proc(name)
	if err != nil {
		return err
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("%s: %w", name, process.ErrNotRunning)
	}
	if err != nil {
		return fmt.Errorf("%s (pid %d): %w", name, p.PID, err)
	}
	defer unix.Close(fd) //nolint:errcheck // it is open
	if !p.Running() {    // the PID belongs to another program by now
		return fmt.Errorf("%s: %w", name, process.ErrNotRunning)
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil {
		return fmt.Errorf("%s (pid %d): %s: %w", name, p.PID, unix.SignalName(sig), err)
	}
	return nil
}

// wait returns after d, or with ctx's error when that ends first.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
