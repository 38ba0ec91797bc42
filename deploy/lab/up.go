package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// up makes the lab anew.
func (l *Lab) up(ctx context.Context) error {
	if _, err := l.remove(); err != nil {
		return fmt.Errorf("remove what is left of an earlier lab: %w", err)
	}
	if err := os.MkdirAll(l.path("log"), 0o755); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	start := time.Now()
	// Written first: a crash from here on leaves a lab that down knows.
	if err := l.changeState(func(*State) {}); err != nil {
		return err
	}
	if err := makeTopology(l.Plan); err != nil {
		return err
	}
	fmt.Fprintf(l.Out, "%d namespaces, pods over %s: %.1f s\n", len(l.Plan.Namespaces()), l.Plan.CNI, time.Since(start).Seconds())
	return ctx.Err()
}

// down removes the lab and says what it removed.
func (l *Lab) down() error {
	removed, err := l.remove()
	for _, line := range removed {
		fmt.Fprintln(l.Out, "removed", line)
	}
	if len(removed) == 0 && err == nil {
		fmt.Fprintln(l.Out, "no lab to remove")
	}
	return err
}
