package probers

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tracer sends the traces of one address family.
type tracer struct {
	is6       bool
	header    int // bytes of the IP header
	sender    sender
	scout     int // asks the kernel for the source address of a destination
	sources   [sourceSlots]source
	packet    []byte // to send, with the pattern in place
	pattern   *byte  // see TraceOptions
	addresses sockaddr
}

const (
	sourceSlots = 64
	sourceAge   = int64(1e9) // ns for which a source address is believed
)

// source is the address from which the kernel sends to a destination.
type source struct {
	to, from netip.Addr
	until    int64 // monotonic ns
}

// openTracer opens the sockets of a family in the network namespace of the
// calling thread. Needs CAP_NET_RAW.
func openTracer(is6 bool, o TraceOptions) (*tracer, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	t := &tracer{is6: is6, header: ipv4Header, sender: newSender(), scout: -1, packet: make([]byte, captured), pattern: o.Pattern}
	if is6 {
		t.header = ipv6Header
	}
	t.fill(t.packet[t.header:])
	err := t.open()
	for _, fd := range []int{t.sender.fd, t.scout} {
		if err == nil {
			err = o.apply(fd)
		}
	}
	if err != nil {
		t.close()
		return nil, fmt.Errorf("trace: %w", err)
	}
	return t, nil
}

// fill fills b, an ICMP message or UDP packet, from its probe stamp on.
func (t *tracer) fill(b []byte) {
	fillPattern(b)
	if t.pattern != nil {
		for i := minICMP; i < len(b); i++ {
			b[i] = *t.pattern
		}
	}
}

// open opens the sockets. Those of protocol IPPROTO_RAW take packets with
// their IP header, and receive none. IP_RECVERR makes a full local queue an
// error of the send.
func (t *tracer) open() error {
	domain, level, discover, receive := unix.AF_INET, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_RECVERR
	if t.is6 {
		domain, level, discover, receive = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_RECVERR
	}
	var err error
	if t.sender.fd, err = openRaw(domain, unix.IPPROTO_RAW, nothing(), txStamps); err != nil {
		return err
	}
	// PROBE: DF is what the packet's header says, whatever path MTU the kernel
	// has learnt.
	if err := unix.SetsockoptInt(t.sender.fd, level, discover, unix.IP_PMTUDISC_PROBE); err != nil {
		return fmt.Errorf("ignore path MTU: %w", err)
	}
	if err := unix.SetsockoptInt(t.sender.fd, level, receive, 1); err != nil {
		return fmt.Errorf("report send errors: %w", err)
	}
	scout, errno := socket(domain, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if errno != 0 {
		return fmt.Errorf("open raw socket: %w", errno)
	}
	t.scout = scout
	return nil
}

func (t *tracer) close() {
	t.sender.close()
	if t.scout >= 0 {
		closeFD(t.scout)
		t.scout = -1
	}
}

// trace sends the probe's packet.
func (t *tracer) trace(e *Engine, f *flight, p Probe) unix.Errno {
	from := e.Trace.sourceFor(f.to.Addr())
	if !from.IsValid() {
		var errno unix.Errno
		if from, errno = t.source(f.to.Addr(), f.sent.mono); errno != 0 {
			return errno
		}
	}
	packet := t.write(e, f, p, from)
	to, length := t.addresses.set(f.to.Addr(), 0)
	return t.sender.send(f, packet, to, length)
}

// source returns the address from which the kernel sends to a destination: it
// is part of the checksums.
func (t *tracer) source(to netip.Addr, now int64) (netip.Addr, unix.Errno) {
	raw := to.As16()
	slot := &t.sources[(raw[15]^raw[14]*31^raw[13]*17)%sourceSlots]
	if slot.to == to && now < slot.until {
		return slot.from, 0
	}
	a, length := t.addresses.set(to, 0)
	if errno := connect(t.scout, a, length); errno != 0 {
		return netip.Addr{}, errno
	}
	from := localAddress(t.scout)
	// Not connected any more, the socket forgets its own address too.
	none := unix.RawSockaddrInet4{Family: unix.AF_UNSPEC}
	connect(t.scout, unsafe.Pointer(&none), unsafe.Sizeof(none))
	if !from.IsValid() {
		return netip.Addr{}, unix.EADDRNOTAVAIL
	}
	*slot = source{to: to, from: from, until: now + sourceAge}
	return from, 0
}

// localAddress returns the address of a socket, invalid if that fails.
func localAddress(fd int) netip.Addr {
	var local unix.RawSockaddrInet6 // begins like an IPv4 one
	size := uint32(unsafe.Sizeof(local))
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&local)), uintptr(unsafe.Pointer(&size)))
	switch {
	case errno != 0:
		return netip.Addr{}
	case local.Family == unix.AF_INET:
		return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&local)).Addr)
	}
	return netip.AddrFrom16(local.Addr)
}
