package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/process"
)

// remove ends and removes everything of the lab that is there, whole or in
// parts: recorded processes, processes inside the lab's namespaces whoever
// started them, the namespaces with their links, and the state directory. It
// returns one line for each thing removed.
func (l *Lab) remove() ([]string, error) {
	var removed []string
	var errs []error
	note := func(lines []string, err error) {
		removed = append(removed, lines...)
		errs = append(errs, err)
	}
	note(l.endRecorded())
	names, err := netspace.With(l.Plan.Prefix)
	errs = append(errs, err)
	note(process.EndInside(names))
	// What a fault changed inside the namespaces goes with them; the cgroup of
	// a starved agent would stay.
	if injected, err := l.injectedFaults(); err == nil && len(injected) > 0 {
		errs = append(errs, l.unthrottle())
	}
	note(nil, l.unthrottle())
	note(netspace.Remove(names))
	if errors.Join(errs...) == nil { // the state still tells what is left
		note(removeDir(l.StateDir))
	}
	return removed, errors.Join(errs...)
}

// endRecorded ends the processes that the state names and that are still the
// same ones.
func (l *Lab) endRecorded() ([]string, error) {
	s, err := l.readState()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		// A torn state is no reason to stay: what it would name is found
		// by its namespace.
		return []string{err.Error()}, nil
	}
	return process.EndAll(s.Processes)
}

// removeDir removes a state directory, if it is one: a mistyped --state-dir
// must not cost anybody their files.
func removeDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("remove state: %w", err)
	}
	ours := len(entries) == 0
	for _, e := range entries {
		ours = ours || e.Name() == "state.json" || e.Name() == "lock"
	}
	if !ours {
		return nil, fmt.Errorf("state directory %s holds files that are not the lab's; give another --state-dir", dir)
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("remove state: %w", err)
	}
	return []string{"directory " + dir}, nil
}
