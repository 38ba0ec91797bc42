// Package netns enters network namespaces, and tells which ones this node has
// and whose they are.
package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// self is the namespace of the calling thread. The process's own, /proc/self,
// would be that of the main thread, whatever the caller has entered.
const self = "/proc/thread-self/ns/net"

// Namespace is an open network namespace. It stays usable, and alive, until
// Close, even when the file that it was opened by is gone.
type Namespace struct {
	path  string
	inode uint64
	file  *os.File
}

// Open opens the network namespace that path refers to, for example
// /run/netns/NAME or /proc/PID/ns/net. An empty path is the caller's own.
func Open(path string) (*Namespace, error) {
	if path == "" {
		path = self
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) && strings.HasPrefix(path, procRoot+"/") {
		return nil, fmt.Errorf("network namespace: %w (needs CAP_SYS_PTRACE)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	var stat unix.Stat_t
	var fs unix.Statfs_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		f.Close()
		return nil, fmt.Errorf("network namespace %s: %w", path, err)
	}
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil || fs.Type != unix.NSFS_MAGIC {
		f.Close()
		return nil, fmt.Errorf("network namespace %s: not a namespace file; give a path such as /run/netns/NAME or /proc/PID/ns/net", path)
	}
	return &Namespace{path: path, inode: stat.Ino, file: f}, nil
}

// Inode returns the inode number that path refers to now, which changes when
// a namespace is made anew under an old name.
func Inode(path string) (uint64, error) {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return 0, fmt.Errorf("network namespace %s: %w", path, err)
	}
	return stat.Ino, nil
}

// Inode returns the namespace's identity, the kernel's net->ns.inum.
func (n *Namespace) Inode() uint64 { return n.inode }

// Path returns the path that the namespace was opened by.
func (n *Namespace) Path() string { return n.path }

// Close lets go of the namespace. Sockets opened in it stay open.
func (n *Namespace) Close() error { return n.file.Close() }

// Do runs f on a thread inside the namespace, and returns its error. Sockets
// that f opens stay in the namespace after Do has returned. Needs
// CAP_SYS_ADMIN, unless the namespace is the process's own.
func (n *Namespace) Do(f func() error) error {
	if own, err := Inode(self); err == nil && own == n.inode {
		return f()
	}
	errs := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open(self)
		if err != nil {
			runtime.UnlockOSThread()
			errs <- fmt.Errorf("network namespace: %w", err)
			return
		}
		defer home.Close()
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			errs <- fmt.Errorf("enter network namespace %s: %w (needs CAP_SYS_ADMIN)", n.path, err)
			return
		}
		err = f()
		// A thread that cannot go home must not serve other goroutines: left
		// locked, it ends with this one.
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		errs <- err
	}()
	return <-errs
}
