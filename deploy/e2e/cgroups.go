package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupRoot is where the machine has its cgroup hierarchies, one folder each.
const cgroupRoot = "/sys/fs/cgroup"

// unified is the folder of the cgroup2 hierarchy beside those of version 1.
const unified = "unified"

// hierarchy is one cgroup hierarchy of the machine, and this process's place
// in it.
type hierarchy struct {
	name string // folder below cgroupRoot: memory, systemd, unified
	own  string // group of this process, absolute within the hierarchy
}

// hierarchies returns those that a node gets a group in.
func hierarchies() ([]hierarchy, error) {
	if _, err := os.Stat(filepath.Join(cgroupRoot, "memory", "cgroup.procs")); err != nil {
		return nil, fmt.Errorf("the nodes need the controllers of cgroup version 1 below %s: %w", cgroupRoot, err)
	}
	f, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("cgroups: %w", err)
	}
	defer f.Close()
	return parseCgroups(f)
}

// parseCgroups reads /proc/PID/cgroup, lines ID:CONTROLLERS:GROUP. Source:
// cgroups(7).
func parseCgroups(r io.Reader) ([]hierarchy, error) {
	var all []hierarchy
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		parts := strings.SplitN(lines.Text(), ":", 3)
		if len(parts) != 3 {
			return nil, fmt.Errorf("cgroups: unexpected line %q", lines.Text())
		}
		name := strings.TrimPrefix(parts[1], "name=")
		if name == "" {
			name = unified
		}
		all = append(all, hierarchy{name: name, own: parts[2]})
	}
	return all, lines.Err()
}

// makeCgroups makes a group for the node in every hierarchy, inside the one
// that this process is in, and writes them down.
func (c *Cluster) makeCgroups(n NodePlan) ([]string, error) {
	all, err := hierarchies()
	if err != nil {
		return nil, err
	}
	var made []string
	for _, h := range all {
		parent := filepath.Join(cgroupRoot, h.name, h.own)
		made = append(made, filepath.Join(parent, n.Netns))
	}
	if err := c.changeState(func(s *State) { s.Cgroups = append(s.Cgroups, made...) }); err != nil {
		return nil, err
	}
	for _, dir := range made {
		if err := makeCgroup(dir); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// makeCgroup makes one group. One of cpuset takes no process before it has
// CPUs and memory nodes; those inside it inherit them.
func makeCgroup(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "cpuset.cpus")); err != nil {
		return nil // not cpuset
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), b, 0o644)
		}
		if err != nil {
			return fmt.Errorf("cgroup: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.clone_children"), []byte("1"), 0o644); err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	return nil
}

// joinCgroups moves this process into groups.
func joinCgroups(dirs []string) error {
	for _, dir := range dirs {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0o644); err != nil {
			return fmt.Errorf("join cgroup: %w", err)
		}
	}
	return nil
}

// leftCgroups returns the groups of a prefix that are there: those that the
// state names, and those inside this process's own, should the state be torn.
func leftCgroups(recorded []string, prefix string) []string {
	left := slices.Clone(recorded)
	all, err := hierarchies()
	if err != nil {
		return left
	}
	for _, h := range all {
		found, _ := filepath.Glob(filepath.Join(cgroupRoot, h.name, h.own, prefix+"*"))
		left = append(left, found...)
	}
	slices.Sort(left)
	return slices.Compact(left)
}

// removeCgroup kills what is left in a group and in all inside it, and removes
// them, the inner ones first.
func removeCgroup(root string) error {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return ignoreGone(err)
	})
	if err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	slices.Reverse(dirs)
	for _, dir := range dirs {
		if err := removeLeaf(dir); err != nil {
			return err
		}
	}
	return nil
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// removeLeaf kills a group's processes until none is left, and removes it.
func removeLeaf(dir string) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			return ignoreGone(err)
		}
		for _, field := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(field); err == nil {
				unix.Kill(pid, unix.SIGKILL) //nolint:errcheck // gone is fine
			}
		}
		err = unix.Rmdir(dir)
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return ignoreGone(err)
		}
		time.Sleep(20 * time.Millisecond) // the kernel tells nobody when a group is empty
	}
}
