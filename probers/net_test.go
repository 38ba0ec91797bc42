package probers

import (
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// space is a network namespace without a name: it is gone with the test.
type space struct {
	ns   netns.NsHandle
	link *netlink.Handle
}

func newSpace(t testing.TB) *space {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	made := make(chan error)
	s := &space{}
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			s.ns, err = netns.GetFromPath("/proc/thread-self/ns/net")
		}
		made <- err
	}()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	link, err := netlink.NewHandleAt(s.ns)
	if err != nil {
		t.Fatal(err)
	}
	s.link = link
	t.Cleanup(func() { link.Close(); s.ns.Close() })
	s.sysctl(t, "net/ipv6/conf/default/accept_dad", "0")
	s.sysctl(t, "net/ipv6/conf/all/accept_dad", "0")
	s.up(t, "lo")
	return s
}

// do runs f on a thread in the namespace.
func (s *space) do(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := netns.Set(s.ns); err != nil {
			panic(err)
		}
		f()
	}()
	<-done
}

func (s *space) sysctl(t testing.TB, name, value string) {
	t.Helper()
	s.do(func() {
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
			t.Error(err)
		}
	})
}

func (s *space) get(t testing.TB, name string) netlink.Link {
	t.Helper()
	l, err := s.link.LinkByName(name)
	if err != nil {
		t.Fatalf("link %s: %v", name, err)
	}
	return l
}

func (s *space) up(t testing.TB, name string) {
	t.Helper()
	if err := s.link.LinkSetUp(s.get(t, name)); err != nil {
		t.Fatal(err)
	}
}

func (s *space) address(t testing.TB, name string, prefixes ...string) {
	t.Helper()
	for _, p := range prefixes {
		a, err := netlink.ParseAddr(p)
		if err != nil {
			t.Fatal(err)
		}
		a.Flags = unix.IFA_F_NODAD
		if err := s.link.AddrAdd(s.get(t, name), a); err != nil {
			t.Fatalf("address %s: %v", p, err)
		}
	}
}

// route adds a route of a type; via "" is none, device "" is none.
func (s *space) route(t testing.TB, to, via, device string, kind int) {
	t.Helper()
	_, dst, err := net.ParseCIDR(to)
	if err != nil {
		t.Fatal(err)
	}
	r := &netlink.Route{Dst: dst, Type: kind}
	if via != "" {
		r.Gw = net.ParseIP(via)
	}
	if device != "" {
		r.LinkIndex = s.get(t, device).Attrs().Index
	}
	if err := s.link.RouteAdd(r); err != nil {
		t.Fatalf("route %s: %v", to, err)
	}
}

// wire joins two namespaces by a veth pair with one name on both sides.
func wire(t testing.TB, a, b *space, name string) {
	t.Helper()
	pair := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name, PeerNamespace: netlink.NsFd(int(b.ns)),
	}
	if err := a.link.LinkAdd(pair); err != nil {
		t.Fatal(err)
	}
	a.up(t, name)
	b.up(t, name)
}

// listen accepts TCP connections on a port of a namespace until the test ends.
func (s *space) listen(t testing.TB, network, address string) netip.AddrPort {
	t.Helper()
	var l net.Listener
	var err error
	s.do(func() { l, err = net.Listen(network, address) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// engine makes an engine in the namespace. It never blames itself: a busy
// machine must not make probes impaired where a test is about the network.
// Tests of impairment give it [DefaultThreshold].
func (s *space) engine(t testing.TB) *Engine {
	t.Helper()
	var e *Engine
	var err error
	s.do(func() { e, err = NewEngine() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	e.Threshold = time.Hour
	return e
}

// probe sends one probe and returns its outcome.
func (s *space) probe(t testing.TB, e *Engine, p Probe) Result {
	t.Helper()
	var r Result
	var err error
	s.do(func() { r, err = Once(t.Context(), e, p) })
	if err != nil {
		t.Errorf("Once(%+v): %v", p, err)
	}
	return r
}

// pair makes two namespaces joined by "eth0": 10.9.0.1 and fd09::1 in the
// first, .2 and ::2 in the second.
func pair(t testing.TB) (near, far *space) {
	t.Helper()
	near, far = newSpace(t), newSpace(t)
	wire(t, near, far, "eth0")
	near.address(t, "eth0", "10.9.0.1/24", "fd09::1/64")
	far.address(t, "eth0", "10.9.0.2/24", "fd09::2/64")
	return near, far
}

// unprivileged runs f on a thread in the namespace without any capability.
func (s *space) unprivileged(t testing.TB, f func()) {
	t.Helper()
	s.do(func() {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			t.Error(err)
			return
		}
		f()
	})
}

func cancelled(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 10*time.Millisecond)
}
