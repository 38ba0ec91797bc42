package collectors

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	nl "github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// listed is a list of namespaces that a test changes.
type listed struct {
	mu   sync.Mutex
	list []Namespace
}

func (l *listed) List() []Namespace {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Namespace(nil), l.list...)
}

func (l *listed) set(list ...Namespace) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = list
}

// sandbox is a network namespace without a name, that ends with the test.
type sandbox struct {
	Namespace
	file   *os.File
	handle *nl.Handle
}

// needRoot skips the test without the rights to make a network namespace.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
}

// newSandbox makes a namespace with its loopback up. With an empty pod it
// stands for the node.
func newSandbox(t testing.TB, pod string) *sandbox {
	t.Helper()
	needRoot(t)
	s := &sandbox{file: unshare(t)}
	var stat unix.Stat_t
	if err := unix.Fstat(int(s.file.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	s.Namespace = Namespace{Inode: stat.Ino, Path: fmt.Sprintf("/proc/self/fd/%d", s.file.Fd()), Do: s.do}
	if pod == "" {
		s.Node = true
	} else {
		s.Namespace.Namespace, s.Pod = "podnet", pod
	}
	handle, err := nl.NewHandleAt(netns.NsHandle(s.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	s.handle = handle
	t.Cleanup(s.end)
	s.up(t, "lo")
	return s
}

// unshare makes a namespace. The thread goes home again: Go would not end the
// main thread, but keep it in the namespace.
func unshare(t testing.TB) *os.File {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	made, err := os.Open("/proc/thread-self/ns/net")
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// end lets go of the namespace, as when a pod is deleted.
func (s *sandbox) end() {
	s.handle.Close()
	s.file.Close()
}

func (s *sandbox) do(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	err = f()
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		panic(err)
	}
	return err
}

func (s *sandbox) link(t testing.TB, name string) nl.Link {
	t.Helper()
	l, err := s.handle.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (s *sandbox) up(t testing.TB, name string) {
	t.Helper()
	if err := s.handle.LinkSetUp(s.link(t, name)); err != nil {
		t.Fatal(err)
	}
}

func (s *sandbox) down(t testing.TB, name string) {
	t.Helper()
	if err := s.handle.LinkSetDown(s.link(t, name)); err != nil {
		t.Fatal(err)
	}
}

func (s *sandbox) address(t testing.TB, name, cidr string) {
	t.Helper()
	addr, err := nl.ParseAddr(cidr)
	if err != nil {
		t.Fatal(err)
	}
	addr.Flags = unix.IFA_F_NODAD
	if err := s.handle.AddrAdd(s.link(t, name), addr); err != nil {
		t.Fatal(err)
	}
}

// connect makes a veth pair: host in s, a port of its bridge if that is not
// "", and eth0 in pod. Both ends are up.
func (s *sandbox) connect(t testing.TB, host, bridge string, pod *sandbox) {
	t.Helper()
	veth := &nl.Veth{
		LinkAttrs:     nl.LinkAttrs{Name: host, MTU: 1450},
		PeerName:      "eth0",
		PeerNamespace: nl.NsFd(pod.file.Fd()),
	}
	if bridge != "" {
		veth.MasterIndex = s.link(t, bridge).Attrs().Index
	}
	if err := s.handle.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	s.up(t, host)
	pod.up(t, "eth0")
}

func (s *sandbox) bridge(t testing.TB, name string) {
	t.Helper()
	if err := s.handle.LinkAdd(&nl.Bridge{LinkAttrs: nl.LinkAttrs{Name: name}}); err != nil {
		t.Fatal(err)
	}
	s.up(t, name)
}

// handlesFor returns Handles for the sandboxes, and the list to change them.
func handlesFor(t testing.TB, sandboxes ...*sandbox) (*Handles, *listed) {
	t.Helper()
	l := &listed{}
	for _, s := range sandboxes {
		l.list = append(l.list, s.Namespace)
	}
	h := NewHandles(l)
	t.Cleanup(h.Close)
	return h, l
}

// setOf returns a Set with one collector, for testutil.
func setOf(name string, c Collector) *Set {
	return NewSet(map[string]Collector{name: c}, slog.New(slog.DiscardHandler))
}

// lint fails the test on every finding of promlint.
func lint(t *testing.T, c prometheus.Collector) {
	t.Helper()
	problems, err := testutil.CollectAndLint(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// prometheusMetric keeps the tests' signatures short.
type prometheusMetric = prometheus.Metric

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func everywhere(Namespace) bool { return true }

// peerList is a mesh that does not change.
type peerList []*Peer

func (p peerList) Peers() []*Peer { return p }
