package probers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// waitLimit is how many connections may be open that have not sent
	// anything. The oldest is closed for one more.
	waitLimit = 4096

	// waitTime is how long one of them is kept.
	waitTime = 5 * time.Second
)

// serveTCP answers connections until the listener is closed.
//
// Nearly all of them are handshake probes, which are reset before they send a
// byte. They are kept as bare file descriptors in one epoll set, so that one
// costs no goroutine, no timer and no memory of its own; only a connection
// that sends something becomes a net.Conn.
func (r *Responder) serveTCP(ctx context.Context) error {
	talk := newTalk(r)
	w, err := newWaiting(&r.counters, talk.line)
	if err != nil {
		return fmt.Errorf("responder: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer func() {
		cancel()
		w.stop()
		talk.stop()
		running.Wait()
	}()
	running.Go(func() { w.run(talk.start) })
	running.Go(func() { w.expire(ctx) })
	running.Go(talk.serveHTTP)
	return r.accept(w, talk.start)
}

// accept takes connections off the listener until it is closed. The listener's
// own Accept would register each of them with the runtime's poller.
func (r *Responder) accept(w *waiting, ready func(fd int)) error {
	raw, err := r.tcp.SyscallConn()
	if err != nil {
		return fmt.Errorf("responder: %w", err)
	}
	err = raw.Read(func(listener uintptr) (done bool) {
		for {
			fd, errno := accept4(listener)
			switch errno {
			case 0:
				r.counters.connections.Add(1)
				w.add(fd, ready)
			case unix.EINTR, unix.ECONNABORTED:
			default:
				// EAGAIN: none left. EMFILE and its like: the next connection
				// that arrives wakes this up again, and the queue holds till then.
				return false
			}
		}
	})
	return fmt.Errorf("responder: %w", err)
}

// accept4 is accept4(2) without the peer's address, which nobody reads.
func accept4(listener uintptr) (fd int, errno syscall.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, listener, 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(n), errno
}

// waiting is the connections that have not sent anything yet.
type waiting struct {
	counters *responderCounters
	line     []byte   // what a peer gets that closes its side without a byte
	epoll    *os.File // an epoll set, itself waited for by the runtime's poller
	epollFD  int

	mu     sync.Mutex
	closed bool
	open   map[int]uint64 // file descriptor to number
	queue  []waitingConn  // in the order of number; those not in open are gone
	number uint64
}

type waitingConn struct {
	fd     int
	number uint64
	until  time.Time
}

func newWaiting(counters *responderCounters, line string) (*waiting, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // makes os.File poll it
		unix.Close(fd)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &waiting{
		counters: counters,
		line:     []byte(line),
		epoll:    os.NewFile(uintptr(fd), "epoll"),
		epollFD:  fd,
		open:     map[int]uint64{},
	}, nil
}

// add takes a new connection. If it has sent something, or ended, that is
// dealt with at once.
func (w *waiting) add(fd int, ready func(fd int)) {
	if w.settled(fd, ready) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		unix.Close(fd)
		return
	}
	if len(w.open) >= waitLimit {
		w.counters.overloaded.Add(1)
		w.closeOldest()
	}
	w.number++
	w.open[fd] = w.number
	w.queue = append(w.queue, waitingConn{fd, w.number, time.Now().Add(waitTime)})
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}
	if err := unix.EpollCtl(w.epollFD, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		delete(w.open, fd)
		unix.Close(fd)
	}
}

// settled looks at what a connection has sent. It reports false if that is
// nothing, and the connection is still open.
func (w *waiting) settled(fd int, ready func(fd int)) bool {
	n, err := peek(fd)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return false
	case err != nil: // reset by a probe
		w.counters.silent.Add(1)
		unix.Close(fd)
	case n == 0: // the peer has nothing to say, and listens
		w.counters.texts.Add(1)
		_ = unix.Send(fd, w.line, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		unix.Close(fd)
	default:
		ready(fd)
	}
	return true
}

// peek returns how many bytes there are to read, at most 1; 0 is the end.
func peek(fd int) (int, error) {
	var first [1]byte
	n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&first)), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// run waits for connections that send something or end.
func (w *waiting) run(ready func(fd int)) {
	raw, err := w.epoll.SyscallConn()
	if err != nil {
		return
	}
	events := make([]unix.EpollEvent, 128)
	_ = raw.Read(func(epoll uintptr) (done bool) {
		for {
			n, err := unix.EpollWait(int(epoll), events, 0)
			if n <= 0 && !errors.Is(err, unix.EINTR) {
				return false // wait for the next, or end when the set was closed
			}
			for _, e := range events[:max(n, 0)] {
				w.event(int(e.Fd), ready)
			}
		}
	})
}

// event deals with one connection that epoll named. The name may be old: its
// number may have been closed since, and given to a new connection.
func (w *waiting) event(fd int, ready func(fd int)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.open[fd]; !ok {
		return
	}
	// Out of the set first: whoever takes it over may close it at any time.
	_ = unix.EpollCtl(w.epollFD, unix.EPOLL_CTL_DEL, fd, nil)
	if w.settled(fd, ready) {
		delete(w.open, fd)
		return
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}
	_ = unix.EpollCtl(w.epollFD, unix.EPOLL_CTL_ADD, fd, &event)
}

// expire closes connections that have waited too long, until ctx ends.
func (w *waiting) expire(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			w.mu.Lock()
			for len(w.queue) > 0 && w.queue[0].until.Before(now) {
				w.closeFirst()
			}
			w.mu.Unlock()
		}
	}
}

// closeOldest closes the connection that has waited longest. The caller holds
// the lock.
func (w *waiting) closeOldest() {
	for len(w.queue) > 0 && !w.closeFirst() {
	}
}

// closeFirst takes the head off the queue, and closes it if it is still open.
func (w *waiting) closeFirst() bool {
	head := w.queue[0]
	w.queue = w.queue[1:]
	if w.open[head.fd] != head.number {
		return false
	}
	delete(w.open, head.fd)
	w.counters.silent.Add(1)
	unix.Close(head.fd)
	return true
}

// stop closes every connection and ends run.
func (w *waiting) stop() {
	w.mu.Lock()
	w.closed = true
	for fd := range w.open {
		unix.Close(fd)
	}
	clear(w.open)
	w.mu.Unlock()
	w.epoll.Close() // waits for run, which may want the lock
}

// netConn makes a connection of the runtime's poller of a file descriptor,
// which it takes over.
func netConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "tcp")
	defer f.Close()
	return net.FileConn(f) // a duplicate
}
