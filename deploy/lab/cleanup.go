package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// remove ends and removes everything of the lab that is there, whole or in
// parts: recorded processes, processes inside the lab's namespaces whoever
// started them, the namespaces with their links, and the state directory. It
// returns one line for each thing removed.
func (l *Lab) remove() ([]string, error) {
	var removed []string
	var errs []error
	note := func(lines []string, err error) {
		removed = append(removed, lines...)
		errs = append(errs, err)
	}
	note(l.endRecorded())
	names, err := namespacesWith(l.Plan.Prefix)
	errs = append(errs, err)
	note(endInside(names))
	// What a fault changed inside the namespaces goes with them; the cgroup of
	// a starved agent would stay.
	if injected, err := l.injectedFaults(); err == nil && len(injected) > 0 {
		errs = append(errs, l.unthrottle())
	}
	note(nil, l.unthrottle())
	note(removeNamespaces(names))
	if errors.Join(errs...) == nil { // the state still tells what is left
		note(removeDir(l.StateDir))
	}
	return removed, errors.Join(errs...)
}

// endRecorded ends the processes that the state names and that are still the
// same ones.
func (l *Lab) endRecorded() ([]string, error) {
	s, err := l.readState()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		// A torn state is no reason to stay: what it would name is found
		// by its namespace.
		return []string{err.Error()}, nil
	}
	return endAll(s.Processes)
}

// endAll ends processes side by side, each within twice killAfter.
func endAll(ps []Process) ([]string, error) {
	errs := make([]error, len(ps))
	ended := make([]string, len(ps))
	done := make(chan struct{})
	for i, p := range ps {
		go func() {
			defer func() { done <- struct{}{} }()
			if !p.running() {
				return
			}
			if errs[i] = p.end(); errs[i] == nil {
				ended[i] = fmt.Sprintf("process %s (pid %d)", p.Name, p.PID)
			}
		}()
	}
	for range ps {
		<-done
	}
	return slices.DeleteFunc(ended, func(s string) bool { return s == "" }), errors.Join(errs...)
}

// namespacesWith returns the named namespaces whose names begin so.
func namespacesWith(prefix string) ([]string, error) {
	entries, err := os.ReadDir(netnsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// endInside ends every process whose network namespace is one of those named,
// except this one and those that it descends from.
func endInside(names []string) ([]string, error) {
	inodes := map[uint64]string{}
	for _, name := range names {
		var st unix.Stat_t
		if err := unix.Stat(netnsPath(name), &st); err == nil {
			inodes[st.Ino] = name
		}
	}
	ours, err := ancestors(os.Getpid())
	if err != nil {
		return nil, err
	}
	pids, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var inside []Process
	for _, dir := range pids {
		pid, err := strconv.Atoi(filepath.Base(dir))
		var st unix.Stat_t
		if err != nil || slices.Contains(ours, pid) || unix.Stat(dir+"/ns/net", &st) != nil {
			continue
		}
		name, found := inodes[st.Ino]
		start, err := startTime(pid)
		if found && err == nil {
			comm, _ := os.ReadFile(dir + "/comm")
			inside = append(inside, Process{Name: strings.TrimSpace(string(comm)) + " in " + name, PID: pid, Start: start})
		}
	}
	return endAll(inside)
}

// ancestors returns the process and all those that it descends from. Source:
// proc(5), /proc/PID/stat field 4.
func ancestors(pid int) ([]int, error) {
	var chain []int
	for pid > 0 {
		chain = append(chain, pid)
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return nil, fmt.Errorf("process %d: %w", pid, err)
		}
		line := string(b)
		fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
		if len(fields) < 2 {
			return nil, fmt.Errorf("process %d: unexpected stat %q", pid, line)
		}
		if pid, err = strconv.Atoi(fields[1]); err != nil {
			return nil, fmt.Errorf("process: parent: %w", err)
		}
	}
	return chain, nil
}

// removeNamespaces unbinds namespaces; with its last user gone a namespace
// takes its links, routes and rules along.
func removeNamespaces(names []string) ([]string, error) {
	var removed []string
	var errs []error
	for _, name := range names {
		err := unix.Unmount(netnsPath(name), unix.MNT_DETACH)
		if errors.Is(err, unix.EINVAL) { // a file that was never bound: a crash came between
			err = nil
		}
		if err == nil {
			err = os.Remove(netnsPath(name))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("remove network namespace %s: %w", name, err))
			continue
		}
		removed = append(removed, "network namespace "+name)
	}
	return removed, errors.Join(errs...)
}

// removeDir removes a state directory, if it is one: a mistyped --state-dir
// must not cost anybody their files.
func removeDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("remove state: %w", err)
	}
	ours := len(entries) == 0
	for _, e := range entries {
		ours = ours || e.Name() == "state.json" || e.Name() == "lock"
	}
	if !ours {
		return nil, fmt.Errorf("state directory %s holds files that are not the lab's; give another --state-dir", dir)
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("remove state: %w", err)
	}
	return []string{"directory " + dir}, nil
}
