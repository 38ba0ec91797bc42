package probers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

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
func prepareUDP(c *net.UDPConn) error {
	_ = c.SetReadBuffer(udpReceiveBuffer)
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	v4 := c.LocalAddr().(*net.UDPAddr).IP.To4() != nil
	var optErr error
	err = raw.Control(func(fd uintptr) {
		optErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
		if v4 {
			optErr = errors.Join(optErr, unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_PKTINFO, 1))
		} else {
			optErr = errors.Join(optErr, unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1))
		}
	})
	if err = errors.Join(err, optErr); err != nil {
		return fmt.Errorf("udp socket options: %w", err)
	}
	return nil
}

// serveUDP answers packets until the socket is closed.
func (r *Responder) serveUDP(context.Context) error {
	e := udpEcho{
		codec:    NewUDPCodec(r.opts.Key),
		identity: UDPIdentity(r.opts.Node, r.opts.Namespace, r.opts.Pod),
		limit:    rate.NewLimiter(rate.Limit(r.opts.MaxReplies), udpBurst),
		flows:    newFlowCounts(udpFlows),
		counters: &r.counters,
	}
	packet, oob := make([]byte, 65536), make([]byte, 256)
	for {
		n, oobn, _, from, err := r.udp.ReadMsgUDPAddrPort(packet, oob)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			continue // an ICMP error about an earlier reply
		}
		at, source := udpControl(oob[:oobn])
		if at == 0 {
			at = time.Now().UnixNano()
		}
		if !e.reply(packet[:n], at) {
			continue
		}
		if _, _, err := r.udp.WriteMsgUDPAddrPort(packet[:n], source, from); err != nil {
			r.counters.unsendable.Add(1)
			continue
		}
		r.counters.replies.Add(1)
	}
}

// udpEcho turns requests into replies.
type udpEcho struct {
	codec    *UDPCodec
	identity uint64
	limit    *rate.Limiter
	flows    *flowCounts
	counters *responderCounters
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
