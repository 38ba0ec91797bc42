package netns

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// sandbox returns a network namespace without a name, which ends with the
// test.
func sandbox(t *testing.T) *Namespace {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	// The thread goes home again: Go would not end the main thread, but keep
	// it in the namespace.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	ns, err := Open("")
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

// mount makes ns known by a path, as a container runtime does.
func mount(t *testing.T, ns *Namespace, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := unix.Mount(source(ns), path, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(path, unix.MNT_DETACH) })
}

// unmount ends what mount began.
func unmount(t *testing.T, path string) {
	t.Helper()
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	n, err := Inode(path)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// nobody is a user without any capability.
func nobody() *syscall.Credential { return &syscall.Credential{Uid: 65534, Gid: 65534} }

// asNobody runs a test of this binary as a user without any capability, and
// returns what it prints. The file is its descriptor 3, and its childPath.
func asNobody(t *testing.T, test string, files ...*os.File) string {
	t.Helper()
	binary := filepath.Join(os.TempDir(), fmt.Sprintf("netns-%d.test", os.Getpid()))
	copyFile(t, os.Args[0], binary)
	child := exec.Command(binary, "-test.run=^"+test+"$", "-test.v")
	child.Env = append(os.Environ(), childPath+"=/proc/self/fd/3")
	child.ExtraFiles = files
	child.Dir = "/"
	child.SysProcAttr = &syscall.SysProcAttr{Credential: nobody()}
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// copyFile makes a copy that everybody may run, and removes it after the test.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(to) })
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
