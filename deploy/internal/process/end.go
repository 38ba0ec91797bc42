package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// EndAll ends processes side by side, each within twice KillAfter.
func EndAll(ps []Process) ([]string, error) {
	errs := make([]error, len(ps))
	ended := make([]string, len(ps))
	done := make(chan struct{})
	for i, p := range ps {
		go func() {
			defer func() { done <- struct{}{} }()
			if !p.Running() {
				return
			}
			if errs[i] = p.End(); errs[i] == nil {
				ended[i] = fmt.Sprintf("process %s (pid %d)", p.Name, p.PID)
			}
		}()
	}
	for range ps {
		<-done
	}
	return slices.DeleteFunc(ended, func(s string) bool { return s == "" }), errors.Join(errs...)
}

// EndInside ends every process whose network namespace is one of those named,
// except this one and those that it descends from.
func EndInside(names []string) ([]string, error) {
	inodes := map[uint64]string{}
	for _, name := range names {
		var st unix.Stat_t
		if err := unix.Stat(netspace.Path(name), &st); err == nil {
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
		start, err := StartTime(pid)
		if found && err == nil {
			comm, _ := os.ReadFile(dir + "/comm")
			inside = append(inside, Process{Name: strings.TrimSpace(string(comm)) + " in " + name, PID: pid, Start: start})
		}
	}
	return EndAll(inside)
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
