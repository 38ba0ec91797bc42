package probers

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// threadNamespace refers to the network namespace of the calling thread.
const threadNamespace = "/proc/thread-self/ns/net"

// home is the network namespace that an engine probes from.
type home struct {
	file *os.File
	name namespaceName
}

// namespaceName is what a link to a network namespace says.
type namespaceName [32]byte

// nameOf returns the name of the namespace with an inode number.
func nameOf(inode uint64) (name namespaceName) {
	copy(name[:], fmt.Sprintf("net:[%d]", inode))
	return name
}

// currentNamespace returns the name of the namespace that the calling thread is
// in; it is empty if that cannot be told. It is asked whenever a socket is opened,
// and so by a raw system call, as those of syscalls.go.
func currentNamespace() (name namespaceName) {
	path := append([]byte(threadNamespace), 0)
	at := unix.AT_FDCWD
	_, _, _ = unix.RawSyscall6(unix.SYS_READLINKAT, uintptr(at), uintptr(unsafe.Pointer(unsafe.SliceData(path))),
		uintptr(unsafe.Pointer(&name)), unsafe.Sizeof(name), 0, 0)
	return name
}

// openHome returns the namespace that the calling thread is in.
func openHome() (home, error) {
	f, err := os.Open(threadNamespace)
	if err != nil {
		return home{}, fmt.Errorf("network namespace: %w", err)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		f.Close()
		return home{}, fmt.Errorf("network namespace: %w", err)
	}
	return home{f, nameOf(stat.Ino)}, nil
}

// inside runs f on a thread in the namespace: at once if the calling thread
// is in it, and else after a setns, which needs CAP_SYS_ADMIN.
func (h home) inside(f func() error) error {
	runtime.LockOSThread()
	if currentNamespace() == h.name {
		defer runtime.UnlockOSThread()
		return f()
	}
	back, err := openHome()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer back.file.Close()
	if err := unix.Setns(int(h.file.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace: %w (needs CAP_SYS_ADMIN)", err)
	}
	err = f()
	// A thread that cannot go back must not serve other goroutines: the caller
	// stays locked to it, and it ends with the caller.
	if unix.Setns(int(back.file.Fd()), unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread()
	}
	return err
}
