// Package process starts programs inside network namespaces, and ends them
// without ever hitting another one that got their PID.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// Process is a program that a lab started.
type Process struct {
	Name  string   `json:"name"` // of the lab's own choice, for example agent-n1
	PID   int      `json:"pid"`
	Start uint64   `json:"start"` // field 22 of /proc/PID/stat, clock ticks since boot: tells a reused PID
	Netns string   `json:"netns"`
	Argv  []string `json:"argv"`
	Log   string   `json:"log"`
}

// KillAfter is how long a program has to end by itself after SIGTERM.
const KillAfter = 3 * time.Second

// ErrNotRunning is wrapped when a process is asked for that does not run.
var ErrNotRunning = errors.New("not running")

// Start starts the program p.Argv inside the namespace p.Netns, in a session
// of its own so that it outlives this one, with dir for its working directory.
// What it prints is appended to p.Log. The result is p with its PID.
func Start(p Process, dir string) (Process, error) { return StartIn(p, dir, 0) }

// StartIn starts a program as Start does, and in new namespaces besides its
// network namespace, given by the flags of clone(2).
func StartIn(p Process, dir string, namespaces uintptr) (Process, error) {
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return p, fmt.Errorf("start %s: %w", p.Name, err)
	}
	defer log.Close()
	cmd := exec.Command(p.Argv[0], p.Argv[1:]...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: namespaces}
	return p.start(cmd)
}

// start runs a command as the process.
func (p Process) start(cmd *exec.Cmd) (Process, error) {
	if err := netspace.In(p.Netns, cmd.Start); err != nil {
		return p, fmt.Errorf("start %s: %w", p.Name, err)
	}
	start, err := StartTime(cmd.Process.Pid)
	go cmd.Wait() //nolint:errcheck // only so that it leaves no zombie while this process lives
	if err != nil {
		return p, fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.PID, p.Start = cmd.Process.Pid, start
	return p, nil
}

// Running says whether the process lives: its PID exists, is no zombie, and
// was not given to another program.
func (p Process) Running() bool {
	start, err := StartTime(p.PID)
	return err == nil && start == p.Start
}

// End sends SIGTERM, after KillAfter SIGKILL, and waits until the process is
// gone. A stopped process is continued, or SIGTERM would wait for SIGCONT.
func (p Process) End() error { return p.endWith(unix.SIGTERM, unix.SIGKILL) }

// Kill sends SIGKILL at once, and waits until the process is gone.
func (p Process) Kill() error { return p.endWith(unix.SIGKILL) }

// endWith sends one signal after the other until the process is gone. It holds
// a pidfd, so that no other process can be hit.
func (p Process) endWith(signals ...unix.Signal) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("end %s (pid %d): %w", p.Name, p.PID, err)
	}
	defer unix.Close(fd) //nolint:errcheck // it is open
	if !p.Running() {
		return nil
	}
	for _, signal := range signals {
		if err := unix.PidfdSendSignal(fd, signal, nil, 0); errors.Is(err, unix.ESRCH) {
			return nil
		} else if err != nil {
			return fmt.Errorf("end %s (pid %d): %w", p.Name, p.PID, err)
		}
		unix.PidfdSendSignal(fd, unix.SIGCONT, nil, 0) //nolint:errcheck // gone is fine
		if WaitPidfd(fd, KillAfter) {
			return nil
		}
	}
	return fmt.Errorf("end %s (pid %d): still there after SIGKILL", p.Name, p.PID)
}

// WaitPidfd waits until the process of a pidfd has ended, at most d.
func WaitPidfd(fd int, d time.Duration) bool {
	deadline := time.Now().Add(d)
	for {
		left := time.Until(deadline)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, max(0, int(left.Milliseconds())))
		if n == 1 {
			return true
		}
		if err != nil && !errors.Is(err, unix.EINTR) || left <= 0 {
			return false
		}
	}
}

// StartTime returns when a process started, in clock ticks since boot, and
// fails for one that is gone or a zombie. Source: proc(5), /proc/PID/stat
// fields 3 and 22.
func StartTime(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, err)
	}
	ended, start, err := parseStat(string(b))
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, err)
	}
	if ended {
		return 0, fmt.Errorf("process %d: %w", pid, ErrNotRunning)
	}
	return start, nil
}

// parseStat returns whether a process has ended, and its start time, out of a
// /proc/PID/stat line. The command name, field 2, may hold blanks and
// parentheses.
//
// A process whose first thread is a zombie lives while it has others: a thread
// that is not the first and starts another program takes its place, and until
// then both are there (kernel: de_thread in fs/exec.c).
func parseStat(line string) (ended bool, start uint64, err error) {
	end := strings.LastIndexByte(line, ')')
	fields := strings.Fields(line[end+1:])
	if end < 0 || len(fields) < 20 {
		return false, 0, fmt.Errorf("stat: unexpected text %q", line)
	}
	threads, err := strconv.Atoi(fields[17])
	if err != nil {
		return false, 0, fmt.Errorf("stat: threads: %w", err)
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return false, 0, fmt.Errorf("stat: start time: %w", err)
	}
	return fields[0] == "X" || fields[0] == "Z" && threads <= 1, start, nil
}
