package collectors

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"
)

// counted counts how often a namespace is entered.
func counted(ns Namespace, times *atomic.Int32) Namespace {
	do := ns.Do
	ns.Do = func(f func() error) error { times.Add(1); return do(f) }
	return ns
}

func openHandles(h *Handles) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, kinds := range h.open {
		n += len(kinds)
	}
	return n
}

func TestHandlesEnterANamespaceOnce(t *testing.T) {
	node, pod := newSandbox(t, ""), newSandbox(t, "endpoint-n1")
	node.connect(t, "veth-endpoint", "", pod)
	var times atomic.Int32
	l := &listed{}
	l.set(counted(node.Namespace, &times), counted(pod.Namespace, &times))
	h := NewHandles(l)
	defer h.Close()
	set := setOf("interface", NewInterface(h))

	testutil.CollectAndCount(set)
	first := times.Load()
	for range 5 {
		testutil.CollectAndCount(set)
	}
	if now := times.Load(); now != first {
		t.Errorf("five more scrapes entered namespaces %d times; want none, all handles are open", now-first)
	}
}

func TestHandlesLetGoOfANamespaceThatIsNotListed(t *testing.T) {
	node, pod := newSandbox(t, ""), newSandbox(t, "endpoint-n1")
	node.connect(t, "veth-endpoint", "", pod)
	h, l := handlesFor(t, node, pod)
	set := setOf("interface", NewInterface(h))
	testutil.CollectAndCount(set)

	l.set(node.Namespace)
	testutil.CollectAndCount(set)
	if _, open := h.open[pod.Inode]; open {
		t.Error("a handle still keeps the namespace alive")
	}
	if n := testutil.CollectAndCount(set, "podnet_interface_up"); n != 1 {
		t.Errorf("%d interfaces; want the node's only", n)
	}
}

func TestHandlesSkipANamespaceThatVanishedAfterItWasListed(t *testing.T) {
	node, pod := newSandbox(t, ""), newSandbox(t, "endpoint-n1")
	gone := pod.Namespace
	gone.Do = func(func() error) error { return &fs.PathError{Op: "open", Path: "/run/netns/x", Err: unix.ENOENT} }
	l := &listed{}
	l.set(node.Namespace, gone)
	h := NewHandles(l)
	defer h.Close()
	for name, c := range map[string]Collector{"interface": NewInterface(h), "conntrack": NewConntrack(h), "tcp": NewTCP(h)} {
		if err := collect(c); err != nil {
			t.Errorf("%s: Collect() = %v; want no error", name, err)
		}
	}
}

// collect runs a collector for its error.
func collect(c Collector) error {
	ch := make(chan prometheusMetric)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range ch {
			continue
		}
	}()
	err := c.Collect(ch)
	close(ch)
	<-done
	return err
}

func TestHandlesWithoutTheRightToEnterSayWhichCapability(t *testing.T) {
	node, pod := newSandbox(t, ""), newSandbox(t, "endpoint-n1")
	node.connect(t, "veth-endpoint", "", pod)
	closed := pod.Namespace
	closed.Do = func(func() error) error { return unix.EPERM }
	l := &listed{}
	l.set(node.Namespace, closed)
	h := NewHandles(l)
	defer h.Close()
	c := NewInterface(h)
	err := collect(c)
	if !errors.Is(err, ErrUnsupported) {
		t.Errorf("Collect() = %v; want ErrUnsupported", err)
	}
	if n := testutil.CollectAndCount(setOf("interface", c), "podnet_interface_up"); n != 1 {
		t.Errorf("%d interfaces; want the node's, which need no capability", n)
	}
}

func TestHandlesServeSeveralScrapesAtOnceWhileNamespacesComeAndGo(t *testing.T) {
	node, a, b := interfaceLab(t)
	h, l := handlesFor(t, node, a, b)
	peers := peerList{{Node: "n1"}}
	set := NewSet(map[string]Collector{
		"interface": NewInterface(h), "conntrack": NewConntrack(h), "tcp": NewTCP(h),
		"sockets": NewSockets(h, []uint16{9798}, everywhere), "route": NewRoute(h, peers, everywhere),
	}, discard())
	var scrapes sync.WaitGroup
	for i := range 8 {
		scrapes.Go(func() {
			for j := range 10 {
				if (i+j)%2 == 0 {
					l.set(node.Namespace, a.Namespace, b.Namespace)
				} else {
					l.set(node.Namespace, b.Namespace)
				}
				testutil.CollectAndCount(set)
			}
		})
	}
	scrapes.Wait()
	for _, c := range []Collector{NewInterface(h), NewConntrack(h), NewTCP(h)} {
		if err := collect(c); err != nil {
			t.Errorf("Collect() afterwards = %v", err)
		}
	}
}

func TestHandlesReadNothingAfterClose(t *testing.T) {
	node := newSandbox(t, "")
	h, _ := handlesFor(t, node)
	testutil.CollectAndCount(setOf("tcp", NewTCP(h)))
	h.Close()
	if n := openHandles(h); n != 0 {
		t.Errorf("%d handles are open after Close", n)
	}
	if err := collect(NewTCP(h)); err != nil {
		t.Errorf("Collect() after Close = %v; want no error", err)
	}
}

// openFile is a handle that tells when it was closed.
type openFile struct{ closed bool }

func (o *openFile) Close() error { o.closed = true; return nil }

func TestHandlesAreClosedInTimeWhenNothingScrapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ns := Namespace{Inode: 1, Node: true, Do: func(f func() error) error { return f() }}
		l := &listed{list: []Namespace{ns}}
		h := NewHandles(l)
		ctx, cancel := context.WithCancel(t.Context())
		go h.Run(ctx)
		kept, err := open(h, ns, "x", func() (*openFile, error) { return &openFile{}, nil })
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * sweepInterval)
		synctest.Wait()
		if kept.closed {
			t.Error("the handle of a listed namespace was closed")
		}
		l.set()
		time.Sleep(sweepInterval + time.Millisecond)
		synctest.Wait()
		if !kept.closed {
			t.Error("the handle of a namespace that is gone is open")
		}
		cancel()
		synctest.Wait()
		if _, err := open(h, ns, "x", func() (*openFile, error) { return &openFile{}, nil }); !errors.Is(err, errGone) {
			t.Errorf("open() after Run ended = %v; want %v", err, errGone)
		}
	})
}

func TestMissingFileInsideANamespaceIsNotAMissingNamespace(t *testing.T) {
	node := newSandbox(t, "")
	h, _ := handlesFor(t, node)
	_, err := h.file(node.Namespace, "no-such-file")
	if !errors.Is(err, os.ErrNotExist) || gone(err) {
		t.Errorf("file() = %v; want not found, and not a vanished namespace", err)
	}
}
