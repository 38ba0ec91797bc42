package probers

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// synAgain is after how long the kernel sends a SYN again that nobody answers.
	// That would be a second probe, and whoever got the first one drops it without
	// a reason (kernel: tcp_check_req), which looks like a fault.
	//
	// Source: kernel, TCP_TIMEOUT_INIT; RFC 6298, 2.1.
	synAgain = time.Second

	// together is how far apart TCP probes may have been sent that are given up
	// together.
	together = 10 * time.Millisecond
)

// pool returns the sockets of a probe's address family.
func (e *Engine) pool(f *flight) *tcpPool {
	if f.to.Addr().Is6() {
		return &e.pools[1]
	}
	return &e.pools[0]
}

func (e *Engine) sendTCP(f *flight) {
	fd, err := e.pool(f).get(e.home)
	if err != nil {
		var errno unix.Errno
		if !errors.As(err, &errno) || errno != unix.EAFNOSUPPORT {
			e.err = fmt.Errorf("tcp: open socket: %w", err)
			e.finish(f, Result{Reason: Impaired})
			return
		}
		e.finish(f, Result{Reason: NoRoute})
		return
	}
	f.fd = fd
	to, size := e.address.set(f.to.Addr(), f.to.Port())
	f.sent = e.now()
	switch errno := connect(fd, to, size); errno {
	case 0, unix.EINPROGRESS:
		e.awaited(f)
		if e.Batch == 0 {
			e.watchTCP(f)
			return
		}
		e.young.push(deadline{e.answered(f.sent.mono), f.number})
	default:
		e.failTCP(f, errno, 0)
	}
}

// watchTCP puts the socket of a probe that is not answered yet into the epoll
// set. Closing it takes it out.
func (e *Engine) watchTCP(f *flight) {
	if errno := e.wait.add(f.fd, unix.EPOLLOUT, f.number); errno != 0 {
		e.err = fmt.Errorf("tcp: poll socket: %w", errno)
		e.finish(f, Result{Reason: Impaired})
		return
	}
	f.watched = true
}

// lookTCP looks at a probe when its batch is due. Most are answered by then,
// and never need to be polled for.
func (e *Engine) lookTCP(number uint64, now moment) {
	f := e.flights.find(number)
	if f == nil || f.done {
		return
	}
	if e.judgeTCP(f, now) {
		return
	}
	e.watchTCP(f)
	if f.timeout < synAgain {
		e.silent.push(deadline{f.sent.mono + int64(f.timeout+together), number})
	}
}

// settleTCP looks at a probe whose socket has an event.
func (e *Engine) settleTCP(number uint64, failed bool, now moment) {
	f := e.flights.find(number)
	if f != nil && !f.done && f.transfer != nil {
		e.stepTransfer(f, now)
		return
	}
	if f == nil || f.done || e.judgeTCP(f, now) || !failed {
		return
	}
	// An ICMP error that arrived while the kernel was busy with the socket is
	// kept, but does not end the connection.
	if icmp, reason := connectionError(f.fd, f.to.Addr().Is6()); reason != OK {
		e.finish(f, Result{Reason: reason, ICMP: icmp, From: icmp.From, Retransmits: e.info.retransmits()})
	}
}

// judgeTCP finishes a probe whose handshake has ended. It is false if it goes
// on.
func (e *Engine) judgeTCP(f *flight, now moment) bool {
	if errno := e.info.read(f.fd); errno != 0 {
		e.finish(f, Result{Reason: reasonOfErrno(errno)})
		return true
	}
	switch e.info.info.State {
	case tcpSynSent, tcpSynReceived:
		return false
	case tcpClose:
		e.failTCP(f, socketError(f.fd), e.info.retransmits())
		return true
	}
	r := Result{RTT: e.info.rtt(), Retransmits: e.info.retransmits(), From: f.to.Addr()}
	inTime := now.mono-f.sent.mono <= int64(f.timeout) || e.info.took(f.sent.mono, now.mono) <= f.timeout
	switch {
	case !inTime:
		r = Result{Reason: e.noAnswer(f), Retransmits: r.Retransmits}
	case f.to.Port() >= e.ephemeral && selfConnected(f.fd, f.to):
		r = Result{Reason: Refused} // nobody listens there but the probe itself
	}
	if f.watched {
		resetTCP(f.fd)
	} else {
		e.pool(f).put(f.fd)
	}
	f.fd = -1
	e.finish(f, r)
	return true
}

// failTCP finishes a probe whose connection failed: an ICMP error that was
// kept says why better than the error number that it was turned into.
func (e *Engine) failTCP(f *flight, errno unix.Errno, retransmits int) {
	r := Result{Reason: reasonOfErrno(errno), Retransmits: retransmits}
	icmp, reason := connectionError(f.fd, f.to.Addr().Is6())
	switch {
	case reason != OK:
		r.Reason, r.ICMP, r.From = reason, icmp, icmp.From
	case errno == unix.EADDRNOTAVAIL && !hasSource(f.to, &e.address):
		r.Reason = NoRoute
	case errno == unix.ECONNREFUSED, errno == unix.ECONNRESET:
		r.From = f.to.Addr()
	case errno == unix.ETIMEDOUT:
		r.Reason = e.noAnswer(f)
	}
	e.finish(f, r)
}

// expireTCP finishes a probe whose time is over, unless its handshake ended in
// time and was not looked at.
func (e *Engine) expireTCP(f *flight, now moment) {
	if e.judgeTCP(f, now) {
		return
	}
	if icmp, reason := connectionError(f.fd, f.to.Addr().Is6()); reason != OK {
		e.finish(f, Result{Reason: reason, ICMP: icmp, From: icmp.From, Retransmits: e.info.retransmits()})
		return
	}
	e.finish(f, Result{Reason: e.noAnswer(f), Retransmits: e.info.retransmits()})
}
