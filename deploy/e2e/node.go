package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/process"
	"github.com/podnet-exporter/podnet_exporter/deploy/internal/statefile"
)

// The hidden commands that a node is made with: its first process enters the
// node's cgroups, and becomes the one that boots.
const (
	enterCommand = "node-enter"
	bootCommand  = "node-boot"
)

// nodeFolders are a node's own, over the paths where everybody looks for them.
// Those of containerd and the kubelet must not be on an overlay.
func nodeFolders() map[string]string {
	return map[string]string{
		"containerd": "/var/lib/containerd",
		"kubelet":    "/var/lib/kubelet",
		"cni":        "/var/lib/cni",
		"etc-cni":    "/etc/cni",
		"opt-cni":    "/opt/cni/bin",
		"pods":       "/var/log/pods",
		"containers": "/var/log/containers",
	}
}

func (c *Cluster) nodePath(n NodePlan, name ...string) string {
	return c.path(append([]string{"nodes", n.Name}, name...)...)
}

// startNode makes a node and returns once its first process runs. Its network
// is there already.
func (c *Cluster) startNode(n NodePlan) error {
	for folder := range nodeFolders() {
		if err := os.MkdirAll(c.nodePath(n, folder), 0o755); err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	if err := c.copyPlugins(n); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	if err := statefile.WriteYAML(c.nodePath(n, "kubelet.yaml"), c.kubeletConfig(n)); err != nil {
		return err
	}
	if err := statefile.WriteYAML(c.nodePath(n, "kube-proxy.yaml"), c.proxyConfig(n)); err != nil {
		return err
	}
	if err := os.WriteFile(c.nodePath(n, "containerd.toml"), []byte(containerdConfig), 0o644); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	if _, err := c.makeCgroups(n); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	return c.startFirst(n)
}

// copyPlugins gives a node the CNI plugins: some of the faults take them away.
func (c *Cluster) copyPlugins(n NodePlan) error {
	plugins, err := filepath.Glob(c.bin("cni/*"))
	if err != nil {
		return err
	}
	for _, path := range plugins {
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(c.nodePath(n, "opt-cni", filepath.Base(path)), b, 0o755)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// startFirst starts a node's first process, in namespaces of its own.
func (c *Cluster) startFirst(n NodePlan) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start %s: %w", n.Name, err)
	}
	p, err := process.StartIn(process.Process{
		Name: n.Name, Netns: n.Netns, Log: c.logFile(n.Name),
		Argv: c.selfArgv(self, enterCommand, n),
	}, c.StateDir, unix.CLONE_NEWNS|unix.CLONE_NEWPID|unix.CLONE_NEWUTS|unix.CLONE_NEWIPC)
	if err != nil {
		return err
	}
	return c.changeState(func(s *State) { s.Processes.Set(p) })
}

// enterNode is the node's first process: it goes into the node's cgroups, makes
// them the roots that everything on the node sees, and starts over as the
// process that boots.
func (c *Cluster) enterNode(n NodePlan) error {
	s, err := c.readState()
	if err != nil {
		return err
	}
	var own []string
	for _, dir := range s.Cgroups {
		if filepath.Base(dir) == n.Netns {
			own = append(own, dir)
		}
	}
	if err := joinCgroups(own); err != nil {
		return err
	}
	runtime.LockOSThread() // the thread that execs takes its namespaces along
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("cgroup namespace: %w", err)
	}
	return fmt.Errorf("exec: %w", unix.Exec(os.Args[0], c.selfArgv(os.Args[0], bootCommand, n), os.Environ()))
}

// selfArgv calls this program with a hidden command.
func (c *Cluster) selfArgv(self, command string, n NodePlan) []string {
	return []string{self, "--state-dir=" + c.StateDir, "--repo=" + c.Repo, command, n.Name}
}

// stopNode cuts a node's power: with its first process all others end at once.
func (c *Cluster) stopNode(n NodePlan) error {
	s, err := c.readState()
	if err != nil {
		return err
	}
	if p, err := s.Processes.Find(n.Name); err == nil {
		if err := p.Kill(); err != nil {
			return err
		}
	}
	var kept []string
	for _, dir := range s.Cgroups {
		if filepath.Base(dir) != n.Netns {
			kept = append(kept, dir)
		} else if err := removeCgroup(dir); err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	return c.changeState(func(s *State) {
		s.Processes.Drop(n.Name)
		s.Cgroups = kept
	})
}

// exitStatus is that of a program which was run for somebody.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// passThrough runs a program with this one's input and output.
func passThrough(cmd *exec.Cmd) error {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return asExit(cmd.Run())
}

func asExit(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return exitStatus(128 + int(status.Signal()))
		}
		return exitStatus(exit.ExitCode())
	}
	return err
}
