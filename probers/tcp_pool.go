package probers

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxIdle is how many sockets a pool keeps.
const maxIdle = 256

// tcpPool keeps the sockets of one address family that have been used and may
// be used again. To dissolve a connection and connect anew costs about half of
// a new socket, and a pool needs to enter the namespace only to grow.
type tcpPool struct {
	is6  bool
	idle []int
}

// get returns a socket that is not connected.
func (p *tcpPool) get(h home) (int, error) {
	if n := len(p.idle); n > 0 {
		fd := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return fd, nil
	}
	fd := -1
	err := h.inside(func() error {
		var errno unix.Errno
		if fd, errno = openTCP(p.is6); errno != 0 {
			return errno
		}
		return nil
	})
	return fd, err
}

// put takes a socket whose connection was established back. The connection
// ends by a RST, so that it leaves no TIME_WAIT: connect(2) to no family does
// that, and makes the socket as new (kernel: tcp_disconnect).
func (p *tcpPool) put(fd int) {
	none := unix.RawSockaddrInet4{Family: unix.AF_UNSPEC}
	if len(p.idle) < maxIdle && connect(fd, unsafe.Pointer(&none), unsafe.Sizeof(none)) == 0 {
		p.idle = append(p.idle, fd)
		return
	}
	resetTCP(fd)
}

func (p *tcpPool) close() {
	for _, fd := range p.idle {
		closeFD(fd)
	}
	p.idle = nil
}
