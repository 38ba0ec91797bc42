package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"text/tabwriter"
)

// status prints what the cluster has and how it is.
func (c *Cluster) status(ctx context.Context) error {
	s, err := c.readState()
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(c.Out, "no cluster is up; make one with: go run ./deploy/e2e up")
		return nil
	}
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(c.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "PROCESS\tPID\tSTATE\tNAMESPACE\tLOG")
	for _, p := range s.Processes {
		state := "ended"
		if p.Running() {
			state = "running"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", p.Name, p.PID, state, p.Netns, p.Log)
	}
	w.Flush()
	fmt.Fprintln(c.Out)
	for _, args := range [][]string{{"get", "nodes", "--output=wide"}, {"get", "pods", "--all-namespaces", "--output=wide"}} {
		out, err := c.kubectl(ctx, nil, args...)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.Out, "%s\n", out)
	}
	return nil
}
