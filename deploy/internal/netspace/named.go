package netspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Create makes a namespace on a thread that ends with it.
func Create(name string, settings [][2]string) (netns.NsHandle, error) {
	type made struct {
		fd  netns.NsHandle
		err error
	}
	done := make(chan made, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends here
		fd, err := netns.NewNamed(name)
		for _, s := range settings {
			if err == nil {
				err = SetSysctl(s[0], s[1])
			}
		}
		done <- made{fd, err}
	}()
	m := <-done
	return m.fd, m.err
}

// With returns the named namespaces whose names begin so.
func With(prefix string) ([]string, error) {
	entries, err := os.ReadDir(Dir)
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

// Remove unbinds namespaces; with its last user gone a namespace
// takes its links, routes and rules along.
func Remove(names []string) ([]string, error) {
	var removed []string
	var errs []error
	for _, name := range names {
		err := unix.Unmount(Path(name), unix.MNT_DETACH)
		if errors.Is(err, unix.EINVAL) { // a file that was never bound: a crash came between
			err = nil
		}
		if err == nil {
			err = os.Remove(Path(name))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("remove network namespace %s: %w", name, err))
			continue
		}
		removed = append(removed, "network namespace "+name)
	}
	return removed, errors.Join(errs...)
}
