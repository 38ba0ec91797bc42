package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/process"
)

// startAgent starts the agent of a node, and returns once it was executed; use
// waitReady to know that it serves.
func (l *Lab) startAgent(node string) error {
	n, ok := l.Plan.Node(node)
	if !ok {
		return fmt.Errorf("no node %q in the lab", node)
	}
	return l.startProcess("agent-"+node, n.Netns, []string{
		filepath.Join(l.Repo, "podnet_exporter"), "run",
		"--config.file=" + l.path(node+".yaml"),
		fmt.Sprintf("--web.listen-address=:%d", agentPort),
	})
}

// startEndpoint starts the endpoint of a node inside its pod.
func (l *Lab) startEndpoint(node string) error {
	n, ok := l.Plan.Node(node)
	if !ok {
		return fmt.Errorf("no node %q in the lab", node)
	}
	return l.startProcess("endpoint-"+node, n.EndpointNetns, []string{
		filepath.Join(l.Repo, "podnet_exporter"), "respond",
		fmt.Sprintf("--listen=:%d", endpointPort),
		"--node=" + node, "--pod=podnet/endpoint-" + node,
		"--key-file=" + l.path("key"),
	})
}

// proc returns a process of the lab by its name, for example "agent-n2". The
// error wraps process.ErrNotRunning when it was never started or has ended.
func (l *Lab) proc(name string) (process.Process, error) {
	s, err := l.readState()
	if err != nil {
		return process.Process{}, err
	}
	return s.Processes.Find(name)
}

// stopProcess ends a process of the lab by its name and waits until it is
// gone. One that does not run is no error.
func (l *Lab) stopProcess(name string) error {
	p, err := l.proc(name)
	if errors.Is(err, process.ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := p.End(); err != nil {
		return err
	}
	return l.changeState(func(s *State) { s.Processes.Drop(name) })
}

// startProcess starts a program inside a namespace, in a session of its own so
// that it outlives this one, and writes it into the state. Its output goes to
// STATE/log/NAME.log. One that already runs under that name is an error.
func (l *Lab) startProcess(name, netnsName string, argv []string) error {
	if _, err := l.proc(name); err == nil {
		return fmt.Errorf("%s runs already", name)
	}
	p, err := process.Start(process.Process{
		Name: name, Netns: netnsName, Argv: argv, Log: l.path(filepath.Join("log", name+".log")),
	}, l.StateDir)
	if err != nil {
		return err
	}
	return l.changeState(func(s *State) { s.Processes.Set(p) })
}

// startSelf starts a command of this program as a process of the lab.
func (l *Lab) startSelf(name, netnsName string, command []string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	// The sources are not looked for: the working directory is another one.
	repo := cmp.Or(l.Repo, l.StateDir)
	return l.startProcess(name, netnsName, slices.Concat([]string{self}, command, []string{"--state-dir=" + l.StateDir, "--repo=" + repo}))
}
