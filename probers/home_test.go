package probers

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestInsideRunsInTheNamespaceAndComesBack(t *testing.T) {
	s := newSpace(t)
	var (
		h   home
		err error
	)
	s.do(func() { h, err = openHome() })
	if err != nil {
		t.Fatal(err)
	}
	defer h.file.Close()
	runtime.LockOSThread() // so that this is the thread that comes back
	defer runtime.UnlockOSThread()
	outside := currentNamespace()
	if outside == h.name || outside == (namespaceName{}) {
		t.Fatalf("this thread is in %q; the new namespace is %q", outside, h.name)
	}
	check := func() error {
		var stat unix.Stat_t
		if err := unix.Stat(threadNamespace, &stat); err != nil {
			return err
		}
		if now := currentNamespace(); now != h.name || nameOf(stat.Ino) != h.name {
			t.Errorf("inside, the namespace is %q with inode %d; want %q", now, stat.Ino, h.name)
		}
		return unix.EPIPE
	}
	if err := h.inside(check); !errors.Is(err, unix.EPIPE) {
		t.Errorf("inside() = %v; want what the function returned", err)
	}
	if now := currentNamespace(); now != outside {
		t.Errorf("back in %q; want %q", now, outside)
	}
	s.do(func() {
		if err := h.inside(check); !errors.Is(err, unix.EPIPE) {
			t.Errorf("in the namespace, inside() = %v; want what the function returned", err)
		}
	})
}
