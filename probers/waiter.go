package probers

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// waiter waits for sockets, for a time and for a Wake, all in one epoll set.
//
// The epoll set itself stands in that of the Go runtime, and the goroutine is
// parked there. To block in epoll_wait would be simpler, and cost five times
// as much CPU: while a thread is in a system call the runtime watches it, and
// wakes up dozens of times in 10 ms to do so. For the same reason time is a
// timerfd and not a timer of Go's.
type waiter struct {
	epoll  int
	timer  int
	file   *os.File // of epoll
	conn   syscall.RawConn
	look   func(uintptr) bool
	limit  time.Duration // of this wait, 0 once the timer runs
	events [64]unix.EpollEvent
	n      int // of events
	others int // sockets in the set besides the timer and wake

	rung atomic.Bool // Wake was called

	mu   sync.Mutex // guards wake
	wake int        // eventfd, -1 when closed
}

// Numbers of events that are not a TCP probe's.
const (
	wakeEvent  = ^uint64(0)
	timerEvent = ^uint64(1)
	icmpEvent4 = ^uint64(2)
	icmpEvent6 = ^uint64(3)

	answerEvent4 = ^uint64(4)
	answerEvent6 = ^uint64(5)

	// The first UDP socket's; those of the others are below, see udpSocket.event.
	udpEvent     = ^uint64(6)
	lastUDPEvent = udpEvent - udpSockets + 1
)

func newWaiter() (*waiter, error) {
	w := &waiter{epoll: -1, timer: -1, wake: -1}
	if err := w.open(); err != nil {
		w.close()
		return nil, err
	}
	w.look = w.poll
	return w, nil
}

func (w *waiter) open() error {
	var err error
	if w.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("make epoll set: %w", err)
	}
	if w.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return fmt.Errorf("make timer: %w", err)
	}
	if w.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return fmt.Errorf("make eventfd: %w", err)
	}
	// Edge-triggered, neither needs to be read.
	if errno := w.control(unix.EPOLL_CTL_ADD, w.timer, unix.EPOLLIN|unix.EPOLLET, timerEvent); errno != 0 {
		return fmt.Errorf("poll timer: %w", errno)
	}
	if errno := w.control(unix.EPOLL_CTL_ADD, w.wake, unix.EPOLLIN|unix.EPOLLET, wakeEvent); errno != 0 {
		return fmt.Errorf("poll eventfd: %w", errno)
	}
	if err := unix.SetNonblock(w.epoll, true); err != nil { // else os.NewFile does not poll it
		return fmt.Errorf("poll epoll set: %w", err)
	}
	w.file = os.NewFile(uintptr(w.epoll), "epoll")
	w.conn, err = w.file.SyscallConn()
	return err
}

// wait waits until there are events, for the given time at most, and returns
// them.
func (w *waiter) wait(limit time.Duration) []unix.EpollEvent {
	w.n, w.limit = 0, limit
	if limit > 0 {
		_ = w.conn.Read(w.look) // fails only when closed
	} else if w.others > 0 {
		w.n = epollWait(w.epoll, w.events[:])
	}
	return w.events[:w.n]
}

// poll looks for events. It is false when the goroutine is to be parked, and
// is called once more after that. Starting the timer here, and not before, no
// event can be missed. With nothing but the timer and wake in the set there
// is no need to ask the kernel.
func (w *waiter) poll(uintptr) bool {
	parked := w.limit == 0
	if !parked {
		setTimer(w.timer, w.limit)
		w.limit = 0
	}
	if w.rung.Load() {
		return true
	}
	if w.others == 0 {
		return parked
	}
	w.n = epollWait(w.epoll, w.events[:])
	return w.n > 0
}

// add puts a socket into the set. Closing it takes it out; then call closed.
func (w *waiter) add(fd int, events uint32, number uint64) unix.Errno {
	errno := w.control(unix.EPOLL_CTL_ADD, fd, events, number)
	if errno == 0 {
		w.others++
	}
	return errno
}

func (w *waiter) remove(fd int) unix.Errno {
	errno := w.control(unix.EPOLL_CTL_DEL, fd, 0, 0)
	if errno == 0 {
		w.others--
	}
	return errno
}

func (w *waiter) closed() { w.others-- }

func (w *waiter) control(operation, fd int, events uint32, number uint64) unix.Errno {
	event := unix.EpollEvent{Events: events, Fd: int32(uint32(number)), Pad: int32(uint32(number >> 32))}
	return epollCtl(w.epoll, operation, fd, &event)
}

// eventNumber returns the number that add was given.
func eventNumber(e unix.EpollEvent) uint64 {
	return uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32
}

// ring makes wait return, or the next one. Any goroutine may call it.
func (w *waiter) ring() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rung.Store(true)
	if w.wake >= 0 {
		one := uint64(1)
		_, _ = unix.Write(w.wake, (*[8]byte)(unsafe.Pointer(&one))[:])
	}
}

// wasRung says whether ring was called since the last time.
func (w *waiter) wasRung() bool { return w.rung.Load() && w.rung.Swap(false) }

func (w *waiter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, fd := range []*int{&w.timer, &w.wake} {
		if *fd >= 0 {
			closeFD(*fd)
			*fd = -1
		}
	}
	if w.file != nil {
		w.file.Close()
	} else if w.epoll >= 0 {
		closeFD(w.epoll)
	}
}
