package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/process"
)

// How long the agent is stopped, and then starved.
const (
	stoppedFor = 3 * time.Second
	starvedFor = 10 * time.Second
)

// starvedGroup returns the name of the cgroup with 5 % of a CPU.
func (l *Lab) starvedGroup() string { return l.Plan.Prefix + "lab-starved" }

// starveAgent stops the agent of the node, continues it, then gives it 5 % of
// a CPU for some time. It returns when that is over.
func starveAgent(ctx context.Context, l *Lab, n NodePlan) (err error) {
	name := agentOf(n)
	defer func() { err = errors.Join(err, feedAgent(ctx, l, n)) }()
	if err := l.signal(name, unix.SIGSTOP); err != nil {
		return err
	}
	if err := wait(ctx, stoppedFor); err != nil {
		return err
	}
	if err := l.signal(name, unix.SIGCONT); err != nil {
		return err
	}
	if err := l.throttle(name); err != nil {
		return err
	}
	return wait(ctx, starvedFor)
}

// feedAgent lets the agent of the node run again as before.
func feedAgent(_ context.Context, l *Lab, n NodePlan) error {
	if err := l.signal(agentOf(n), unix.SIGCONT); err != nil && !errors.Is(err, process.ErrNotRunning) {
		return err
	}
	return l.unthrottle()
}

// throttle moves a process of the lab into a cgroup that has 5 ms of a CPU in
// every 100 ms.
func (l *Lab) throttle(name string) error {
	p, err := l.proc(name)
	if err != nil {
		return err
	}
	root := cpuRoot()
	quota, err := cpuQuota(root)
	if err != nil {
		return fmt.Errorf("throttle %s: %w", name, err)
	}
	group := filepath.Join(root, l.starvedGroup())
	if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("throttle %s: %w", name, err)
	}
	for file, value := range quota {
		if err := os.WriteFile(filepath.Join(group, file), []byte(value), 0o644); err != nil {
			return fmt.Errorf("throttle %s: %w", name, err)
		}
	}
	if err := joinGroup(group, p.PID); err != nil {
		return fmt.Errorf("throttle %s: %w", name, err)
	}
	return nil
}

// unthrottle moves every process of the starved cgroup into the cgroup of the
// calling process, and removes it; there may be none.
func (l *Lab) unthrottle() error {
	root := cpuRoot()
	group := filepath.Join(root, l.starvedGroup())
	pids, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("unthrottle: %w", err)
	}
	own, err := ownGroup()
	if err != nil {
		return fmt.Errorf("unthrottle: %w", err)
	}
	for _, field := range strings.Fields(string(pids)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return fmt.Errorf("unthrottle: %w", err)
		}
		if err := joinGroup(filepath.Join(root, own), pid); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("unthrottle: %w", err)
		}
	}
	if err := unix.Rmdir(group); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unthrottle: remove %s: %w", group, err)
	}
	return nil
}

func joinGroup(group string, pid int) error {
	return os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
}

// cgroupV2 is where version 2 of cgroups is mounted when it is the only one.
const cgroupV2 = "/sys/fs/cgroup"

// cpuRoot returns where cgroups of the CPU controller are made: in version 1 of
// cgroups where that has the controller, in version 2 elsewhere.
func cpuRoot() string {
	const v1 = "/sys/fs/cgroup/cpu"
	if _, err := os.Stat(v1 + "/cgroup.procs"); err == nil {
		return v1
	}
	return cgroupV2
}

// cpuQuota returns the files and values that give a cgroup below root 5 % of a
// CPU.
func cpuQuota(root string) (map[string]string, error) {
	if root != cgroupV2 {
		return map[string]string{"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "5000"}, nil
	}
	// A group's children have the controllers that it passes on.
	if err := os.WriteFile(root+"/cgroup.subtree_control", []byte("+cpu"), 0o644); err != nil {
		return nil, fmt.Errorf("no CPU controller, neither of cgroups version 1 nor 2: %w", err)
	}
	return map[string]string{"cpu.max": "5000 100000"}, nil
}

// ownGroup returns the cgroup of this process below the CPU controller's root.
func ownGroup() (string, error) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	return parseGroup(string(b))
}

// parseGroup returns the path of the CPU controller's cgroup, or without one
// that of version 2, out of /proc/PID/cgroup (cgroups(7)): lines of
// ID:CONTROLLERS:PATH, version 2 without controllers.
func parseGroup(text string) (string, error) {
	unified := ""
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 {
			return "", fmt.Errorf("cgroup: unexpected line %q", line)
		}
		for controller := range strings.SplitSeq(fields[1], ",") {
			if controller == "cpu" {
				return fields[2], nil
			}
		}
		if fields[1] == "" {
			unified = fields[2]
		}
	}
	if unified == "" {
		return "", errors.New("cgroup: in none that has the CPU controller")
	}
	return unified, nil
}
