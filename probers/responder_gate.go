package probers

import (
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

	// udpTurns is how often in a row UDP is served at a moment: for as many
	// packets as are answered at most in the longest time between two.
	udpTurns = 32

	// freshLooks is at how many moments it is looked at a new connection that is
	// silent before the kernel is asked to tell what becomes of it.
	freshLooks = 3
)

// gate is the responder's sockets and the connections that have not sent
// anything yet, in one epoll set that one goroutine waits for.
//
// Nearly all connections are handshake probes, which are reset before they
// send a byte. They stay bare file descriptors: one costs no goroutine, no
// timer and no turn of the scheduler. Only a connection that sends something
// becomes a net.Conn.
//
// If it works now and then only, a probe wakes nobody up: neither by a packet,
// nor by its handshake, nor by its end, which has come when its turn does.
//
// The epoll set stands in that of the Go runtime, and the goroutine is parked
// there, for the reason that waiter gives.
type gate struct {
	counters *responderCounters
	line     []byte // what a peer gets that closes its side without a byte

	epoll, listener, udp int // -1 if not open
	timer                int // of moments, see ResponderOptions.Batch; -1: everything is dealt with as it comes
	echoing              *udpEcho
	file                 *os.File // of epoll
	conn                 syscall.RawConn
	deadline             time.Time // of the next wait; zero: none

	from unix.RawSockaddrInet6 // of the connection that was accepted last; or an IPv4 one, which is shorter

	open   map[int]uint64 // waiting connections: file descriptor to number
	queue  []waitingConn  // in the order of number; those not in open are gone
	fresh  []freshConn    // of them those that are not in the epoll set, likewise
	number uint64

	mu     sync.Mutex
	waking int // eventfd that ends run, -1 once closed
}

type waitingConn struct {
	fd     int
	number uint64
	until  time.Time
}

// freshConn is a waiting connection, and how often it was looked at.
type freshConn struct {
	fd     int
	number uint64
	looks  int
}

func newGate(counters *responderCounters, line string, batch time.Duration) (*gate, error) {
	g := &gate{counters: counters, line: []byte(line), listener: -1, udp: -1, timer: -1, waking: -1, open: map[int]uint64{}}
	var err error
	if g.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if err = unix.SetNonblock(g.epoll, true); err == nil { // else os.NewFile does not poll it
		g.file = os.NewFile(uintptr(g.epoll), "epoll")
		g.conn, err = g.file.SyscallConn()
	}
	if err != nil {
		g.close()
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if g.waking, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
		err = g.watch(g.waking, unix.EPOLLIN)
	}
	if err != nil {
		g.close()
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if batch > 0 {
		if g.timer, err = momentTimer(batch); err == nil {
			err = g.watch(g.timer, unix.EPOLLIN)
		}
		if err != nil {
			g.close()
			return nil, fmt.Errorf("timer: %w", err)
		}
	}
	return g, nil
}

// listen takes over a listener.
func (g *gate) listen(l *net.TCPListener) (err error) {
	if g.listener, err = duplicate(l); err != nil {
		return err
	}
	if g.timer >= 0 {
		return nil
	}
	// By edge: when no file descriptor is left for a new connection, the next
	// one that arrives is reason enough to try again.
	return g.watch(g.listener, unix.EPOLLIN|unix.EPOLLET)
}

// echo takes over a UDP socket.
func (g *gate) echo(c *net.UDPConn, e *udpEcho) (err error) {
	if g.udp, err = duplicate(c); err != nil {
		return err
	}
	g.echoing = e
	if err := prepareUDP(g.udp, c.LocalAddr().(*net.UDPAddr).IP.To4() != nil); err != nil {
		return err
	}
	if g.timer >= 0 {
		return nil
	}
	return g.watch(g.udp, unix.EPOLLIN)
}

// duplicate returns a file descriptor for the socket, which does not block.
func duplicate(socket syscall.Conn) (int, error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return -1, err
	}
	dup, dupErr := -1, error(nil)
	err = raw.Control(func(fd uintptr) { dup, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	return dup, errors.Join(err, dupErr)
}

func (g *gate) watch(fd int, events uint32) error {
	return unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// wake ends run. It may be called at any time, also after close.
func (g *gate) wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waking >= 0 {
		_, _ = unix.Write(g.waking, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // cannot fail: nobody counts this high
	}
}

// close closes every socket. It must not be called while run does.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for fd := range g.open {
		closeFD(fd)
	}
	clear(g.open)
	for _, fd := range []*int{&g.waking, &g.listener, &g.udp, &g.timer} {
		if *fd >= 0 {
			closeFD(*fd)
			*fd = -1
		}
	}
	switch {
	case g.file != nil:
		_ = g.file.Close()
	case g.epoll >= 0:
		closeFD(g.epoll)
	}
	g.file, g.epoll = nil, -1
}

// run deals with whatever arrives until wake is called. Connections that have
// sent something are handed to ready, which takes them over.
func (g *gate) run(ready func(fd int)) error {
	events := make([]unix.EpollEvent, 128)
	for {
		n, err := g.wait(events)
		if err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
		for _, e := range events[:n] {
			switch fd := int(e.Fd); fd {
			case g.waking:
				return nil
			case g.listener:
				g.accept(ready)
			case g.udp:
				g.echoing.serve(g.udp)
			case g.timer:
				readTimer(g.timer)
				g.look(ready)
			default:
				g.event(fd, ready)
			}
		}
		g.expire()
	}
}

// look deals with what has come since the last moment: with UDP packets, with
// new connections, and with those that had not said anything then.
func (g *gate) look(ready func(fd int)) {
	if g.udp >= 0 {
		for i := 0; i < udpTurns && g.echoing.serve(g.udp); i++ {
		}
	}
	silent := g.fresh[:0]
	for _, c := range g.fresh {
		switch c.looks++; {
		case g.open[c.fd] != c.number: // expired
		case g.settled(c.fd, ready):
			delete(g.open, c.fd)
		case c.looks < freshLooks:
			silent = append(silent, c)
		case g.watch(c.fd, unix.EPOLLIN|unix.EPOLLRDHUP) != nil:
			delete(g.open, c.fd)
			closeFD(c.fd)
		}
	}
	g.fresh = silent
	g.accept(ready)
}

// wait returns how many events there are, once there are some or a connection
// has waited too long.
func (g *gate) wait(events []unix.EpollEvent) (n int, err error) {
	if until := g.patience(); !until.Equal(g.deadline) {
		g.deadline = until
		if err := g.file.SetReadDeadline(until); err != nil {
			return 0, err
		}
	}
	err = g.conn.Read(func(uintptr) bool {
		n = epollWait(g.epoll, events)
		return n > 0
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, nil
	}
	return n, err
}

// accept takes every connection that there is.
func (g *gate) accept(ready func(fd int)) {
	for {
		length := uint32(unix.SizeofSockaddrInet6)
		n, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(g.listener),
			uintptr(unsafe.Pointer(&g.from)), uintptr(unsafe.Pointer(&length)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
			g.counters.connections.Add(1)
			g.counters.sources.note(sourceAddr(&g.from), time.Now())
			if fd := int(n); !g.settled(fd, ready) {
				g.keep(fd)
			}
		case unix.EINTR, unix.ECONNABORTED:
		default:
			return // none left, or no file descriptor for it
		}
	}
}

// settled looks at what a connection has sent. It reports false if that is
// nothing, and the connection is still open.
func (g *gate) settled(fd int, ready func(fd int)) bool {
	var first [1]byte
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&first)), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return false
	case errno != 0: // reset by a probe
		g.counters.silent.Add(1)
		closeFD(fd)
	case n == 0: // the peer has nothing to say, and listens
		g.counters.texts.Add(1)
		_ = unix.Send(fd, g.line, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		closeFD(fd)
	default:
		ready(fd)
	}
	return true
}

// keep waits for what a connection will send.
func (g *gate) keep(fd int) {
	if len(g.open) >= waitLimit {
		g.counters.overloaded.Add(1)
		for len(g.queue) > 0 && !g.closeFirst() {
		}
	}
	g.number++
	if g.timer >= 0 {
		g.fresh = append(g.fresh, freshConn{fd: fd, number: g.number})
	} else if g.watch(fd, unix.EPOLLIN|unix.EPOLLRDHUP) != nil {
		closeFD(fd)
		return
	}
	g.open[fd] = g.number
	g.queue = append(g.queue, waitingConn{fd, g.number, time.Now().Add(waitTime)})
}

// event deals with a connection that has something to say, or ended.
func (g *gate) event(fd int, ready func(fd int)) {
	if _, ok := g.open[fd]; !ok {
		return // closed since, by another event of the same batch
	}
	// Whoever takes it over makes a duplicate of it, which would stay in the
	// set when this descriptor is closed.
	taken := func(fd int) {
		_ = unix.EpollCtl(g.epoll, unix.EPOLL_CTL_DEL, fd, nil)
		ready(fd)
	}
	if g.settled(fd, taken) {
		delete(g.open, fd)
	}
}

// patience returns when the oldest connection has waited too long; zero if there
// is none.
func (g *gate) patience() time.Time {
	if g.timer >= 0 {
		return time.Time{} // nobody has to be closed on the dot
	}
	for len(g.queue) > 0 && g.open[g.queue[0].fd] != g.queue[0].number {
		g.queue = g.queue[1:]
	}
	if len(g.queue) == 0 {
		g.queue = nil // lets go of the array that it grew
		return time.Time{}
	}
	return g.queue[0].until
}

// expire closes connections that have waited too long.
func (g *gate) expire() {
	if len(g.queue) == 0 {
		return
	}
	now := time.Now()
	for len(g.queue) > 0 && g.queue[0].until.Before(now) {
		g.closeFirst()
	}
}

// closeFirst takes the head off the queue, and closes it if it is still open.
func (g *gate) closeFirst() bool {
	head := g.queue[0]
	g.queue = g.queue[1:]
	if g.open[head.fd] != head.number {
		return false
	}
	delete(g.open, head.fd)
	g.counters.silent.Add(1)
	closeFD(head.fd)
	return true
}
