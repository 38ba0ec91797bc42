package probers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
)

const (
	// udpFlows is how many flows are counted apart. A flow that was not seen
	// while half as many others were may be forgotten, and counts from 1.
	udpFlows = 65536

	// udpBurst is how many replies may go out at once.
	udpBurst = 1000

	// udpReceiveBuffer is asked for, in bytes; the kernel gives at most
	// net.core.rmem_max.
	udpReceiveBuffer = 1 << 20
)

// prepareUDP asks the kernel for the time at which each packet arrived, and
// for the address that it was sent to, from which it is to be answered.
func prepareUDP(fd int, v4 bool) error {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, udpReceiveBuffer) // less will do
	level, option := unix.SOL_IPV6, unix.IPV6_RECVPKTINFO                         // of IPv4 packets as well
	if v4 {
		level, option = unix.SOL_IP, unix.IP_PKTINFO
	}
	err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(fd, level, option, 1))
	if err != nil {
		return fmt.Errorf("udp socket options: %w", err)
	}
	return nil
}

// udpEcho turns requests into replies.
type udpEcho struct {
	codec    *UDPCodec
	identity uint64
	limit    *rate.Limiter
	flows    *flowCounts
	counters *responderCounters
	state    *atomic.Uint32

	packet [65536]byte
	oob    [256]byte
	from   unix.RawSockaddrInet6 // or an IPv4 one, which is shorter
}

func newUDPEcho(opts ResponderOptions, counters *responderCounters, state *atomic.Uint32) *udpEcho {
	return &udpEcho{
		codec:    NewUDPCodec(opts.Key),
		identity: UDPIdentity(opts.Node, opts.Namespace, opts.Pod),
		limit:    rate.NewLimiter(rate.Limit(opts.MaxReplies), udpBurst),
		flows:    newFlowCounts(udpFlows),
		counters: counters,
		state:    state,
	}
}

// serve answers what waits on the socket, at most so much that connections get
// their turn as well. It reports whether there may be more.
func (e *udpEcho) serve(fd int) bool {
	for range 64 {
		iov := unix.Iovec{Base: &e.packet[0]}
		iov.SetLen(len(e.packet))
		msg := unix.Msghdr{Name: (*byte)(unsafe.Pointer(&e.from)), Namelen: unix.SizeofSockaddrInet6, Iov: &iov, Control: &e.oob[0]}
		msg.SetIovlen(1)
		msg.SetControllen(len(e.oob))
		n, errno := message(unix.SYS_RECVMSG, fd, &msg)
		if errno != 0 {
			return errno != unix.EAGAIN // none left; or an ICMP error about an earlier reply
		}
		at, source := udpControl(e.oob[:msg.Controllen])
		if at == 0 {
			at = time.Now().UnixNano()
		}
		if !e.reply(e.packet[:n], at) {
			continue
		}
		e.counters.sources.note(sourceAddr(&e.from), time.Unix(0, at))
		// Back to where it came from: name and length stand as they were received.
		iov.SetLen(n)
		msg.Control = unsafe.SliceData(source)
		msg.SetControllen(len(source))
		msg.Flags = 0
		if _, errno := message(unix.SYS_SENDMSG, fd, &msg); errno != 0 {
			e.counters.unsendable.Add(1)
			continue
		}
		e.counters.replies.Add(1)
	}
	return true
}

// message makes a call of recvmsg(2) or sendmsg(2) that does not block.
func message(call uintptr, fd int, msg *unix.Msghdr) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(msg)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return int(n), errno
}

// reply writes the reply over the request in b, so that it has the same length
// and the same padding, and reports whether it is to be sent. At is when the
// request arrived, in ns since 1970.
func (e *udpEcho) reply(b []byte, at int64) bool {
	p, err := e.codec.Parse(b)
	switch {
	case errors.Is(err, ErrUDPKey):
		e.counters.unauthenticated.Add(1)
		return false
	case err != nil || p.Type != UDPRequest:
		e.counters.malformed.Add(1)
		return false
	}
	p.Type = UDPReply
	p.Received = e.flows.add(p.Flow) // also when not answered: it did arrive
	if !e.limit.Allow() {
		e.counters.limited.Add(1)
		return false
	}
	p.ReceivedAt = at
	p.Identity = e.identity
	p.State = UDPState(e.state.Load())
	p.RepliedAt = time.Now().UnixNano()
	e.codec.Marshal(b, p)
	return true
}

// flowCounts counts the packets of the flows that were seen last, in two
// generations: when the young one is full, the old one is forgotten.
type flowCounts struct {
	young, old map[uint64]uint64
	limit      int // of each generation
}

func newFlowCounts(limit int) *flowCounts {
	return &flowCounts{young: map[uint64]uint64{}, old: map[uint64]uint64{}, limit: limit / 2}
}

// add counts one packet and returns how many the flow has had.
func (f *flowCounts) add(flow uint64) uint64 {
	n, known := f.young[flow]
	if !known {
		n = f.old[flow]
		if len(f.young) >= f.limit {
			f.old, f.young = f.young, map[uint64]uint64{}
		}
	}
	f.young[flow] = n + 1
	return n + 1
}

// udpControl reads the control messages of a received packet: the time of
// arrival in ns since 1970, 0 if there is none, and the message that makes a
// reply leave from the address that the packet was sent to. The reply's
// message is made in b itself.
//
// The layout is that of cmsg(3), of struct timespec, and of ip(7) and ipv6(7)
// for the packet information, on a 64-bit Linux.
func udpControl(b []byte) (at int64, source []byte) {
	const header = unix.SizeofCmsghdr
	for len(b) >= header {
		size := int(binary.NativeEndian.Uint64(b))
		if size < header || size > len(b) {
			return at, source
		}
		level, kind := binary.NativeEndian.Uint32(b[8:]), binary.NativeEndian.Uint32(b[12:])
		data := b[header:size]
		whole := min(unix.CmsgSpace(len(data)), len(b))
		switch {
		case level == unix.SOL_SOCKET && kind == unix.SCM_TIMESTAMPNS && len(data) >= 16:
			at = int64(binary.NativeEndian.Uint64(data))*int64(time.Second) + int64(binary.NativeEndian.Uint64(data[8:]))
		case level == unix.SOL_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			clear(data[:4]) // interface: the routing table's choice
			source = b[:whole]
		case level == unix.SOL_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			if data[0] != 0xfe || data[1]&0xc0 != 0x80 { // a link-local address needs its interface
				clear(data[16:20])
			}
			source = b[:whole]
		}
		b = b[whole:]
	}
	return at, source
}
