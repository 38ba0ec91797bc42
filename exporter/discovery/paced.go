package discovery

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/exporter/moment"
)

const (
	// dialFor is how long a connection may take.
	dialFor = 5 * time.Second

	// promptFor is how long a new connection is read as data comes: until it is
	// set up, and the first lists are there.
	promptFor = 10 * time.Second

	// pacedAt is the moments at which a busy connection is read.
	pacedAt = 4 * moment.Apart

	// wakeAbove is how many bytes have to be there for the kernel to wake anybody
	// up before the next moment. It is more than comes from one to the next, and
	// the receive buffer grows with it.
	wakeAbove = 512 << 10

	// promptAbove is how many bytes are read at once before what comes next is
	// not waited for until the next moment, but for soon: they may be the
	// beginning of a list. It is less than what the receive buffer holds, and more
	// than the changes of 5,000 nodes between two moments.
	promptAbove = 192 << 10
	soon        = 5 * time.Millisecond
)

// pacedConn is a connection that is read at moments as long as data keeps coming.
// In a large cluster something changes ten times a second, and to wake up for
// each costs about as much as to take it. A connection that was quiet from one
// moment to the next is waited for, and what comes then is read at once.
type pacedConn struct {
	net.Conn
	raw   syscall.RawConn
	fresh time.Time // until when data is read as it comes
	clock moment.Clock

	paced bool // data is read at moments
	quiet bool // the last rest was until a moment, and nothing has been read since
	read  int  // bytes since the last rest

	closed chan struct{}
	once   sync.Once
}

// dialPaced connects as client-go does, but gives up sooner, and reads at
// moments.
func dialPaced(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialFor, KeepAlive: 30 * time.Second}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return paced(conn, promptFor), nil
}

// paced returns the connection as one that is read at moments, but as data comes
// for so long.
func paced(conn net.Conn, prompt time.Duration) net.Conn {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return conn
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return conn
	}
	return &pacedConn{Conn: conn, raw: raw, fresh: time.Now().Add(prompt), clock: moment.NewClock(), closed: make(chan struct{})}
}

// Read implements [net.Conn]. What is there is read at once.
func (c *pacedConn) Read(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		var errno unix.Errno
		err := c.raw.Read(func(fd uintptr) bool {
			n, errno = receive(fd, b)
			return errno != unix.EAGAIN || c.paced
		})
		switch {
		case err != nil:
			return 0, err
		case errno == unix.EINTR:
		case errno == unix.EAGAIN && c.quiet:
			c.pace(false)
		case errno == unix.EAGAIN:
			if err := c.rest(); err != nil {
				return 0, err
			}
		case errno != 0:
			return 0, &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError("recvfrom", errno)}
		case n == 0:
			return 0, io.EOF
		default:
			c.read += n
			c.quiet = false
			if !c.paced && !time.Now().Before(c.fresh) {
				c.pace(true)
			}
			return n, nil
		}
	}
}

// pace has data read at moments, or as it comes. In the former case the kernel is
// told to say nothing of single changes: the runtime's poller, in which the
// connection stays, would wake up for each packet.
//
// Source: socket(7), SO_RCVLOWAT; what there is can be read all the same, and
// the poller hears of it when the mark is lowered (kernel: tcp_set_rcvlowat).
func (c *pacedConn) pace(paced bool) {
	c.paced = paced
	mark := 1
	if paced {
		mark = wakeAbove
	}
	_ = c.raw.Control(func(fd uintptr) { lowWater(fd, mark) })
}

// Write implements [net.Conn].
func (c *pacedConn) Write(b []byte) (int, error) {
	var sent int
	err := c.raw.Write(func(fd uintptr) bool {
		sent = max(send(fd, b), 0)
		return true
	})
	if err != nil || sent == len(b) {
		return sent, err
	}
	n, err := c.Conn.Write(b[sent:]) // no room, or an error, which this returns
	return sent + n, err
}

// rest waits for the next moment, or less if much has come since the last rest.
func (c *pacedConn) rest() error {
	wait := c.clock.Until(pacedAt)
	c.quiet = c.read <= promptAbove
	if !c.quiet {
		wait = min(wait, soon)
	}
	c.read = 0
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.closed:
		return net.ErrClosed
	}
}

// Close implements [net.Conn].
func (c *pacedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// The calls below never block, so the runtime need not be told of them: it would
// wake up its monitor, to watch them.

// receive reads what is there.
func receive(fd uintptr, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// send writes as much as there is room for, and returns how much that is; -1
// after an error.
func send(fd uintptr, b []byte) int {
	n, _, _ := unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return int(n)
}

// lowWater sets how many bytes have to be there until the poller is told. It
// works without, too.
func lowWater(fd uintptr, bytes int) {
	mark := int32(bytes)
	_, _, _ = unix.RawSyscall6(unix.SYS_SETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, uintptr(unsafe.Pointer(&mark)), unsafe.Sizeof(mark), 0)
}
