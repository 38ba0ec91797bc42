package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// bootNode furnishes a node's mount namespace, starts what runs on a node, and
// stays as its process 1. Everything here is seen by the node alone.
func (c *Cluster) bootNode(n NodePlan) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	root := c.nodePath(n, "root")
	if err := c.mountRoot(n, root); err != nil {
		return err
	}
	if err := c.mountSystem(n, root); err != nil {
		return err
	}
	if err := enterRoot(root); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(n.Name)); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	// 32 hexadecimal digits, as machine-id(5) wants them.
	id := fmt.Sprintf("%032x\n", 0xe2e0+n.Index)
	if err := os.WriteFile("/etc/machine-id", []byte(id), 0o444); err != nil {
		return fmt.Errorf("machine id: %w", err)
	}
	return c.supervise(n)
}

// mount is one mount(2).
type mount struct {
	source, target, kind string
	flags                uintptr
	data                 string
}

// do makes the mount at its target below root, and the target if it is not
// there.
func (m mount) do(root string) error {
	target := filepath.Join(root, m.target)
	if err := makeTarget(m.source, target, m.flags); err != nil {
		return err
	}
	if err := unix.Mount(m.source, target, m.kind, m.flags, m.data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", m.source, m.target, err)
	}
	return nil
}

// makeTarget makes a folder, or a file for a file that is bound.
func makeTarget(source, target string, flags uintptr) error {
	if flags&unix.MS_BIND != 0 {
		if st, err := os.Stat(source); err == nil && !st.IsDir() {
			return nil // over a file that is there
		}
	}
	return os.MkdirAll(target, 0o755)
}

func mountAll(root string, all []mount) error {
	for _, m := range all {
		if err := m.do(root); err != nil {
			return err
		}
	}
	return nil
}

// mountRoot makes the node's root: the machine's own, which the node sees but
// does not change, since what it writes goes to memory.
func (c *Cluster) mountRoot(n NodePlan, root string) error {
	memory := c.nodePath(n, "memory")
	if err := (mount{"tmpfs", memory, "tmpfs", 0, "mode=755"}).do("/"); err != nil {
		return err
	}
	for _, dir := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(memory, dir), 0o755); err != nil {
			return fmt.Errorf("root: %w", err)
		}
	}
	data := fmt.Sprintf("lowerdir=/,upperdir=%s/upper,workdir=%s/work", memory, memory)
	all := []mount{
		{"overlay", "", "overlay", 0, data},
		{"proc", "/proc", "proc", 0, ""},
		{"sysfs", "/sys", "sysfs", 0, ""},
		{"/dev", "/dev", "", unix.MS_BIND | unix.MS_REC, ""},
		{"tmpfs", "/run", "tmpfs", 0, "mode=755"},
		{"tmpfs", "/tmp", "tmpfs", 0, "mode=1777"},
		// Programs and state, which may be on file systems that the root
		// does not show.
		{c.StateDir, c.StateDir, "", unix.MS_BIND, ""},
		{c.bin(""), c.bin(""), "", unix.MS_BIND, ""},
	}
	for folder, path := range nodeFolders() {
		all = append(all, mount{c.nodePath(n, folder), path, "", unix.MS_BIND, ""})
	}
	return mountAll(root, all)
}

// mountSystem mounts the kernel's file systems as a host has them: BPF, traces,
// and the node's cgroups, with each controller of version 1 and version 2
// beside them.
func (c *Cluster) mountSystem(n NodePlan, root string) error {
	all := []mount{
		{"bpf", "/sys/fs/bpf", "bpf", 0, ""},
		{"tracefs", "/sys/kernel/tracing", "tracefs", 0, ""},
		{"tmpfs", cgroupRoot, "tmpfs", 0, "mode=755"},
	}
	groups, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range groups {
		m := mount{"cgroup", filepath.Join(cgroupRoot, h.name), "cgroup", 0, h.name}
		switch h.name {
		case unified:
			m.kind, m.data = "cgroup2", ""
		case "systemd":
			m.data = "none,name=systemd"
		}
		all = append(all, m)
	}
	settings, err := c.ownSettings(n)
	if err != nil {
		return err
	}
	return mountAll(root, append(all, settings...))
}

// ownSettings returns files that take the place of settings which the kubelet
// makes for the whole machine. The values are those that it wants.
func (c *Cluster) ownSettings(n NodePlan) ([]mount, error) {
	var all []mount
	for path, value := range map[string]string{
		"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
		"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
	} {
		target := filepath.Join("/proc/sys", path)
		if _, err := os.Stat(target); err != nil {
			continue // not in this kernel
		}
		file := c.nodePath(n, "memory", strings.ReplaceAll(path, "/", "_"))
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return nil, fmt.Errorf("settings: %w", err)
		}
		all = append(all, mount{file, target, "", unix.MS_BIND, ""})
	}
	return all, nil
}

// enterRoot makes a folder the root, and lets go of the old one.
func enterRoot(root string) error {
	old := filepath.Join(root, "mnt")
	if err := unix.PivotRoot(root, old); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/mnt", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("old root: %w", err)
	}
	// Containers get what is mounted here later, as they do on a host.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts: %w", err)
	}
	return nil
}
