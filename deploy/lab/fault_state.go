package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/statefile"
)

// Injected is a fault that is in the lab, an element of STATE/faults.json.
type Injected struct {
	ID   string    `json:"id"`
	Node string    `json:"node"`
	At   time.Time `json:"at"` // when injection began
}

// injectedFaults returns the faults that are in the lab, oldest first.
func (l *Lab) injectedFaults() ([]Injected, error) {
	b, err := os.ReadFile(l.path("faults.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("faults: %w", err)
	}
	var all []Injected
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("faults: %s: %w", l.path("faults.json"), err)
	}
	return all, nil
}

// changeFaults lets change alter the list of faults; no other process changes
// it meanwhile.
func (l *Lab) changeFaults(change func([]Injected) []Injected) error {
	lock, err := os.OpenFile(l.path("faults.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("faults: lock: %w", err)
	}
	all, err := l.injectedFaults()
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(change(all), "", "  ")
	if err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	return statefile.Write(l.path("faults.json"), b)
}

// forget takes a fault that is over from the list.
func (l *Lab) forget(id, node string) error {
	return l.changeFaults(func(all []Injected) []Injected {
		return slices.DeleteFunc(all, func(i Injected) bool { return i.ID == id && i.Node == node })
	})
}

// injectFault breaks the lab; an empty node is the fault's default. What is
// broken is written down before, so that clearFaults can undo it even if this
// process does not live to see the end. A fault that is there already is
// injected again, which changes nothing unless somebody has removed part of it.
func (l *Lab) injectFault(ctx context.Context, id, node string) error {
	f, err := faultByID(id)
	if err != nil {
		return err
	}
	n, err := l.nodeFor(f, node)
	if err != nil {
		return err
	}
	if err := l.applies(f); err != nil {
		return err
	}
	if _, err := l.readState(); err != nil {
		return fmt.Errorf("no lab to break; make one with `lab up`: %w", err)
	}
	err = l.changeFaults(func(all []Injected) []Injected {
		if slices.ContainsFunc(all, func(i Injected) bool { return i.ID == f.ID && i.Node == n.Name }) {
			return all
		}
		return append(all, Injected{f.ID, n.Name, time.Now()})
	})
	if err != nil {
		return err
	}
	if err := f.Inject(ctx, l, n); err != nil {
		return fmt.Errorf("inject %s on %s: %w", f.ID, n.Name, err)
	}
	if f.Passes {
		return l.forget(f.ID, n.Name)
	}
	return nil
}

// clearFaults undoes every injected fault, the last one first, whichever
// process injected them. What cannot be undone stays written down.
func (l *Lab) clearFaults(ctx context.Context) error {
	all, err := l.injectedFaults()
	if err != nil {
		return err
	}
	var errs []error
	for _, i := range slices.Backward(all) {
		if err := l.clearFault(ctx, i); err != nil {
			errs = append(errs, fmt.Errorf("clear %s on %s: %w", i.ID, i.Node, err))
			continue
		}
		errs = append(errs, l.forget(i.ID, i.Node))
	}
	return errors.Join(errs...)
}

func (l *Lab) clearFault(ctx context.Context, i Injected) error {
	f, err := faultByID(i.ID)
	if err != nil {
		return err
	}
	n, err := l.nodeFor(f, i.Node)
	if err != nil {
		return err
	}
	return f.Clear(ctx, l, n)
}
