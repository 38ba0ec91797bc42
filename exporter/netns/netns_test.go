package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDoRunsInsideAndReturnsHome(t *testing.T) {
	ns, home := sandbox(t), inode(t, self)
	var inside uint64
	if err := ns.Do(func() (err error) { inside, err = Inode(self); return err }); err != nil {
		t.Fatal(err)
	}
	if inside != ns.Inode() || inside == home {
		t.Errorf("Do ran in namespace %d; want %d, and not home (%d)", inside, ns.Inode(), home)
	}
	if now := inode(t, self); now != home {
		t.Errorf("the caller is in namespace %d after Do; want home (%d)", now, home)
	}
}

func TestDoReturnsTheErrorOfWhatItRan(t *testing.T) {
	want := errors.New("what f says")
	if err := sandbox(t).Do(func() error { return want }); !errors.Is(err, want) {
		t.Errorf("Do() = %v; want %v", err, want)
	}
}

func TestSocketOpenedInDoStaysInTheNamespace(t *testing.T) {
	ns := sandbox(t)
	var l net.Listener
	if err := ns.Do(func() (err error) { l, err = net.Listen("tcp", "0.0.0.0:0"); return err }); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd, err := unix.IoctlRetInt(int(file.Fd()), unix.SIOCGSKNS)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if got := inode(t, fmt.Sprintf("/proc/self/fd/%d", fd)); got != ns.Inode() {
		t.Errorf("socket is in namespace %d; want %d", got, ns.Inode())
	}
}

func TestDoLeavesNoThreadInAForeignNamespace(t *testing.T) {
	home := inode(t, self)
	spaces := []*Namespace{sandbox(t), sandbox(t), sandbox(t)}
	var running sync.WaitGroup
	for i := range 60 {
		running.Go(func() {
			if err := spaces[i%len(spaces)].Do(func() error { runtime.Gosched(); return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	threads, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		if got, err := Inode(thread); err == nil && got != home {
			t.Errorf("%s is in namespace %d; want home (%d)", thread, got, home)
		}
	}
}

func TestOpenRefusesWhatIsNoNamespace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path, says string
		is               error
	}{
		{"a regular file is refused with the paths that would do", file, "give a path such as /run/netns/NAME or /proc/PID/ns/net", nil},
		{"a namespace that is not there is named", "/run/netns/pnC-none", "/run/netns/pnC-none", fs.ErrNotExist},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(tt.path)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("Open() = %v; want it to say %q", err, tt.says)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("Open() = %v; want it to be %v", err, tt.is)
			}
		})
	}
}

// childPath tells the test binary to be the child of a test.
const childPath = "NETNS_TEST_PATH"

func TestDoWithoutCapabilityNamesIt(t *testing.T) {
	if path := os.Getenv(childPath); path != "" {
		ns, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("Do says:", ns.Do(func() error { return nil }))
		return
	}
	ns := sandbox(t)
	out := asNobody(t, "TestDoWithoutCapabilityNamesIt", ns.file)
	if !strings.Contains(out, "needs CAP_SYS_ADMIN") {
		t.Errorf("without capabilities:\n%s\nwant it to say what is needed", out)
	}
}
