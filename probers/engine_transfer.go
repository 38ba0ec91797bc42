package probers

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sendTransfer opens a connection for a TCP transfer. It has a socket of its
// own, and its events are handled at once: there are few of them.
func (e *Engine) sendTransfer(f *flight, size int) {
	f.transfer = &transfer{wanted: size}
	err := e.home.inside(func() error {
		fd, errno := openTCP(f.to.Addr().Is6())
		if errno != 0 {
			return errno
		}
		f.fd = fd
		// However it ends, nothing of it stays: no TIME_WAIT, and no data that
		// the kernel goes on to send.
		linger := unix.Linger{Onoff: 1}
		if errno := setsockopt(fd, unix.SOL_SOCKET, unix.SO_LINGER, unsafe.Pointer(&linger), unsafe.Sizeof(linger)); errno != 0 {
			return errno
		}
		return nil
	})
	if errors.Is(err, unix.EAFNOSUPPORT) {
		e.finish(f, Result{Reason: NoRoute})
		return
	}
	if err != nil {
		e.err = fmt.Errorf("transfer: open socket: %w", err)
		e.finish(f, Result{Reason: Impaired})
		return
	}
	to, length := e.address.set(f.to.Addr(), f.to.Port())
	f.sent = e.now()
	if errno := connect(f.fd, to, length); errno != 0 && errno != unix.EINPROGRESS {
		e.failTCP(f, errno, 0)
		return
	}
	if errno := e.wait.add(f.fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLET, f.number); errno != 0 {
		e.err = fmt.Errorf("transfer: poll socket: %w", errno)
		e.finish(f, Result{Reason: Impaired})
		return
	}
	f.watched = true
	e.awaited(f)
}

// stepTransfer goes on with a transfer whose socket has an event.
func (e *Engine) stepTransfer(f *flight, now moment) {
	t := f.transfer
	info, errno := e.look(f, now)
	if errno != 0 || info.State == tcpSynSent || info.State == tcpSynReceived {
		return
	}
	if !t.Established {
		if info.State == tcpClose {
			e.failTCP(f, socketError(f.fd), int(info.Total_retrans))
			return
		}
		t.begun = now.mono
		t.begin(f.to, f.number)
	}
	errno = t.write(f.fd)
	ended, readErrno := t.read(f.fd)
	reason, whole := t.judge(ended)
	switch failed := max(errno, readErrno); {
	case whole:
		_, _ = e.look(f, e.now())
		e.finish(f, Result{Reason: reason, From: f.to.Addr(), RTT: time.Duration(info.Rtt) * time.Microsecond})
	case failed != 0:
		e.failTCP(f, failed, 0)
	}
}

// look reads what the kernel knows of a transfer's connection.
func (e *Engine) look(f *flight, now moment) (info unix.TCPInfo, errno unix.Errno) {
	errno = getsockopt(f.fd, unix.IPPROTO_TCP, unix.TCP_INFO, unsafe.Pointer(&info), uint32(unsafe.Sizeof(info)))
	if errno != 0 {
		return info, errno
	}
	t := f.transfer
	t.MSS, t.ReceiveMSS, t.PathMTU = int(info.Snd_mss), int(info.Rcv_mss), int(info.Pmtu)
	t.Retransmits = int(info.Total_retrans)
	if t.Established {
		t.Took = time.Duration(now.mono - t.begun)
		// The SYN counts as one byte (kernel: tcp_ack).
		t.Acked = min(max(int(info.Bytes_acked)-1, 0), t.Request)
	}
	return info, 0
}

// write gives the kernel what it takes of the request.
func (t *transfer) write(fd int) unix.Errno {
	for len(t.request) > 0 {
		switch n, errno := write(fd, t.request); errno {
		case 0:
			t.request = t.request[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			return 0
		default:
			return errno
		}
	}
	return 0
}

// read takes what has come of the answer. It reports whether that was the end.
func (t *transfer) read(fd int) (ended bool, errno unix.Errno) {
	var chunk [4096]byte
	for len(t.answer) < t.limit() {
		n, errno := read(fd, chunk[:])
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return false, 0
		case errno != 0:
			return true, errno
		case n == 0:
			return true, 0
		default:
			t.answer = append(t.answer, chunk[:n]...)
		}
	}
	return true, 0
}

// expireTransfer finishes a transfer whose time is over.
func (e *Engine) expireTransfer(f *flight, now moment) {
	e.stepTransfer(f, now)
	if f.done {
		return
	}
	if icmp, reason := connectionError(f.fd, f.to.Addr().Is6()); reason != OK {
		e.finish(f, Result{Reason: reason, ICMP: icmp, From: icmp.From})
		return
	}
	e.finish(f, Result{Reason: e.noAnswer(f)})
}
