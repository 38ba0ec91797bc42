package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/process"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/statefile"
)

// defaultStateDir is where a running cluster keeps its files.
const defaultStateDir = "/run/podnet-e2e"

// Cluster is the cluster that lives under one state directory.
type Cluster struct {
	Plan     Plan
	StateDir string
	Repo     string    // folder of the module, where bin/ is
	Out      io.Writer // progress for people

	Artifacts string // folder for what was seen when a check fails; "" is one in StateDir

	prefix string  // of namespaces and cgroups, from the command line
	asked  Options // of the command line, for a cluster that is made

	crashing context.CancelFunc // ends the fault that lets a program crash
}

// State is what a running cluster wrote down, STATE/state.json.
type State struct {
	Options   Options      `json:"options"`
	Processes process.List `json:"processes"` // etcd, kube-apiserver, …, and node1 for a node's PID 1
	Cgroups   []string     `json:"cgroups"`   // folders that were made, a node's own
}

func (c *Cluster) path(name ...string) string {
	return filepath.Join(append([]string{c.StateDir}, name...)...)
}

// bin returns the path of a program that was built, for example
// "kubernetes/kubelet".
func (c *Cluster) bin(name string) string { return filepath.Join(c.Repo, "bin", name) }

// readState returns what the running cluster wrote down. Without one the error
// is fs.ErrNotExist.
func (c *Cluster) readState() (State, error) {
	return statefile.Read[State](c.path("state.json"))
}

// changeState lets change alter what was written down.
func (c *Cluster) changeState(change func(*State)) error {
	return statefile.Change(c.path("state.json"), State{Options: c.Plan.Options}, change)
}

// proc returns a process of the cluster by its name. The error wraps
// process.ErrNotRunning when it was never started or has ended.
func (c *Cluster) proc(name string) (process.Process, error) {
	s, err := c.readState()
	if err != nil {
		return process.Process{}, err
	}
	return s.Processes.Find(name)
}

// start starts a program in a namespace and writes it down. What it prints
// goes to STATE/log/NAME.log.
func (c *Cluster) start(name, netnsName string, argv ...string) error {
	if _, err := c.proc(name); err == nil {
		return fmt.Errorf("%s runs already", name)
	}
	p, err := process.Start(process.Process{Name: name, Netns: netnsName, Argv: argv, Log: c.logFile(name)}, c.StateDir)
	if err != nil {
		return err
	}
	return c.changeState(func(s *State) { s.Processes.Set(p) })
}

// stop ends a process of the cluster by its name. One that does not run is no
// error.
func (c *Cluster) stop(name string) error {
	p, err := c.proc(name)
	if err != nil {
		return nil // it does not run
	}
	if err := p.End(); err != nil {
		return err
	}
	return c.changeState(func(s *State) { s.Processes.Drop(name) })
}

func (c *Cluster) logFile(name string) string { return c.path("log", name+".log") }
