package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// execOn runs a program on a node for the person at the terminal.
func (c *Cluster) execOn(node string, argv []string) error {
	n, err := c.anyNode(node)
	if err != nil {
		return err
	}
	return c.onNode(n, func() error { return passThrough(exec.Command(argv[0], argv[1:]...)) })
}

// output runs a program on a node and returns what it printed.
func (c *Cluster) output(ctx context.Context, n NodePlan, argv ...string) ([]byte, error) {
	var out []byte
	err := c.onNode(n, func() error {
		var err error
		out, err = exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w: %s", n.Name, argv[0], err, out)
	}
	return out, nil
}

// onNode runs f on a thread in all namespaces of a node, and ends the thread.
// Programs that f starts are on the node, though not in its cgroups.
func (c *Cluster) onNode(n NodePlan, f func() error) error {
	first, err := c.proc(n.Name)
	if err != nil {
		return err
	}
	fd, err := unix.PidfdOpen(first.PID, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	defer unix.Close(fd) //nolint:errcheck // it is open
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends here
		if err := enter(fd); err != nil {
			done <- fmt.Errorf("%s: %w", n.Name, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// enter brings the calling thread into all namespaces of a process.
func enter(pidfd int) error {
	// A thread enters a mount namespace only if it shares its root and working
	// directory with no other.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	const all = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP | unix.CLONE_NEWNET
	if err := unix.Setns(pidfd, all); err != nil {
		return fmt.Errorf("enter namespaces: %w", err)
	}
	return os.Chdir("/")
}
