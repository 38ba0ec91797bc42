package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// killAfter is how long a program has to end by itself after SIGTERM.
const killAfter = 3 * time.Second

// errNotRunning is wrapped when a process of the lab is asked for that does
// not run.
var errNotRunning = errors.New("not running")

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
// error wraps errNotRunning when it was never started or has ended.
func (l *Lab) proc(name string) (Process, error) {
	s, err := l.readState()
	if err != nil {
		return Process{}, err
	}
	for _, p := range s.Processes {
		if p.Name == name && p.running() {
			return p, nil
		}
	}
	return Process{}, fmt.Errorf("%s: %w", name, errNotRunning)
}

// stopProcess ends a process of the lab by its name and waits until it is
// gone. One that does not run is no error.
func (l *Lab) stopProcess(name string) error {
	p, err := l.proc(name)
	if errors.Is(err, errNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := p.end(); err != nil {
		return err
	}
	return l.changeState(func(s *State) { s.drop(name) })
}

// startProcess starts a program inside a namespace, in a session of its own so
// that it outlives this one, and writes it into the state. Its output goes to
// STATE/log/NAME.log. One that already runs under that name is an error.
func (l *Lab) startProcess(name, netnsName string, argv []string) error {
	if _, err := l.proc(name); err == nil {
		return fmt.Errorf("%s runs already", name)
	}
	log, err := os.OpenFile(l.path(filepath.Join("log", name+".log")), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = l.StateDir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := inNetns(netnsName, cmd.Start); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	start, err := startTime(cmd.Process.Pid)
	go cmd.Wait() //nolint:errcheck // only so that it leaves no zombie while this process lives
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	return l.changeState(func(s *State) {
		s.set(Process{Name: name, PID: cmd.Process.Pid, Start: start, Netns: netnsName, Argv: argv, Log: log.Name()})
	})
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

// running says whether the process lives: its PID exists, is no zombie, and
// was not given to another program.
func (p Process) running() bool {
	start, err := startTime(p.PID)
	return err == nil && start == p.Start
}

// end sends SIGTERM, after killAfter SIGKILL, and waits until the process is
// gone. It holds a pidfd, so that no other process can be hit. A stopped
// process is continued, or SIGTERM would wait for SIGCONT.
func (p Process) end() error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("end %s (pid %d): %w", p.Name, p.PID, err)
	}
	defer unix.Close(fd) //nolint:errcheck // it is open
	if !p.running() {
		return nil
	}
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := unix.PidfdSendSignal(fd, signal, nil, 0); errors.Is(err, unix.ESRCH) {
			return nil
		} else if err != nil {
			return fmt.Errorf("end %s (pid %d): %w", p.Name, p.PID, err)
		}
		unix.PidfdSendSignal(fd, unix.SIGCONT, nil, 0) //nolint:errcheck // gone is fine
		if waitPidfd(fd, killAfter) {
			return nil
		}
	}
	return fmt.Errorf("end %s (pid %d): still there after SIGKILL", p.Name, p.PID)
}

// waitPidfd waits until the process of a pidfd has ended, at most d.
func waitPidfd(fd int, d time.Duration) bool {
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

// startTime returns when a process started, in clock ticks since boot, and
// fails for one that is gone or a zombie. Source: proc(5), /proc/PID/stat
// fields 3 and 22.
func startTime(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, err)
	}
	state, start, err := parseStat(string(b))
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, err)
	}
	if state == "Z" || state == "X" {
		return 0, fmt.Errorf("process %d: %w", pid, errNotRunning)
	}
	return start, nil
}

// parseStat returns the state and the start time out of a /proc/PID/stat line.
// The command name, field 2, may hold blanks and parentheses.
func parseStat(line string) (state string, start uint64, err error) {
	end := strings.LastIndexByte(line, ')')
	fields := strings.Fields(line[end+1:])
	if end < 0 || len(fields) < 20 {
		return "", 0, fmt.Errorf("stat: unexpected text %q", line)
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return "", 0, fmt.Errorf("stat: start time: %w", err)
	}
	return fields[0], start, nil
}
