package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/process"
)

// remove ends and removes everything of the cluster that is there, whole or in
// parts, and returns one line for each thing removed. Mounts are the nodes' own
// and end with them.
func (c *Cluster) remove() ([]string, error) {
	var removed []string
	var errs []error
	note := func(lines []string, err error) {
		removed = append(removed, lines...)
		errs = append(errs, err)
	}
	s, err := c.readState()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// A torn state is no reason to stay: what it would name is found by
		// its namespace and by its cgroup.
		removed = append(removed, err.Error())
	}
	note(c.endNodes(s))
	note(process.EndAll(s.Processes))
	for _, dir := range leftCgroups(s.Cgroups, c.Plan.Prefix) {
		if _, err := os.Stat(dir); err == nil {
			note([]string{"cgroup " + dir}, removeCgroup(dir))
		}
	}
	names, err := netspace.With(c.Plan.Prefix)
	errs = append(errs, err)
	note(process.EndInside(names))
	note(netspace.Remove(names))
	if errors.Join(errs...) == nil { // the state still tells what is left
		note(c.removeDir())
	}
	return removed, errors.Join(errs...)
}

// endNodes cuts the power of all nodes at once.
func (c *Cluster) endNodes(s State) ([]string, error) {
	var lines []string
	var errs []error
	for _, p := range s.Processes {
		named := func(n NodePlan) bool { return n.Name == p.Name }
		if slices.ContainsFunc(newPlan(Options{Nodes: maxNodes}).Nodes, named) && p.Running() {
			lines = append(lines, fmt.Sprintf("node %s (pid %d)", p.Name, p.PID))
			errs = append(errs, p.Kill())
		}
	}
	return lines, errors.Join(errs...)
}

// removeDir removes the state directory, if it is one: a mistyped --state-dir
// must not cost anybody their files.
func (c *Cluster) removeDir() ([]string, error) {
	entries, err := os.ReadDir(c.StateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("remove state: %w", err)
	}
	isState := func(e fs.DirEntry) bool { return e.Name() == "state.json" || e.Name() == "lock" }
	if len(entries) > 0 && !slices.ContainsFunc(entries, isState) {
		return nil, fmt.Errorf("state directory %s holds files that are not the cluster's; give another --state-dir", filepath.Clean(c.StateDir))
	}
	if err := os.RemoveAll(c.StateDir); err != nil {
		return nil, fmt.Errorf("remove state: %w", err)
	}
	return []string{"directory " + c.StateDir}, nil
}
