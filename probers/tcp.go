package probers

import (
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// States of a TCP connection as in TCP_INFO (kernel: include/net/tcp_states.h).
const (
	tcpEstablished = 1
	tcpSynSent     = 2
	tcpSynReceived = 3
	tcpClose       = 7
)

// tcpInfo is what TCP_INFO says up to its field tcpi_total_retrans. The kernel
// copies no more than is asked for.
type tcpInfo struct {
	info unix.TCPInfo
}

const tcpInfoSize = uint32(unsafe.Offsetof(unix.TCPInfo{}.Total_retrans) + 4)

func (t *tcpInfo) read(fd int) unix.Errno {
	return getsockopt(fd, unix.IPPROTO_TCP, unix.TCP_INFO, unsafe.Pointer(&t.info), tcpInfoSize)
}

// rtt is the time from the SYN to its SYN-ACK. When a SYN was sent again it is
// known by TCP timestamps only, to about a millisecond, and 0 without them.
func (t *tcpInfo) rtt() time.Duration { return time.Duration(t.info.Rtt) * time.Microsecond }

// retransmits is how many SYNs were sent again.
func (t *tcpInfo) retransmits() int { return int(t.info.Total_retrans) }

// took is how long the handshake took, lost SYNs included, of a connection
// that was opened at sent and looked at now. The kernel keeps the time of the
// last ACK in milliseconds.
func (t *tcpInfo) took(sent, now int64) time.Duration {
	if t.info.Total_retrans == 0 {
		return t.rtt()
	}
	return time.Duration(now-sent) - time.Duration(t.info.Last_ack_recv)*time.Millisecond
}

// openTCP opens a socket in the network namespace of the calling thread that
// keeps the ICMP errors about its connection.
func openTCP(is6 bool) (int, unix.Errno) {
	domain, level, name := unix.AF_INET, unix.IPPROTO_IP, unix.IP_RECVERR
	if is6 {
		domain, level, name = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	}
	fd, errno := socket(domain, unix.SOCK_STREAM, 0)
	if errno != 0 {
		return -1, errno
	}
	on := int32(1)
	if errno := setsockopt(fd, level, name, unsafe.Pointer(&on), unsafe.Sizeof(on)); errno != 0 {
		closeFD(fd)
		return -1, errno
	}
	return fd, 0
}

// resetTCP closes a connection with a RST, so that it leaves no TIME_WAIT.
func resetTCP(fd int) {
	linger := unix.Linger{Onoff: 1}
	setsockopt(fd, unix.SOL_SOCKET, unix.SO_LINGER, unsafe.Pointer(&linger), unsafe.Sizeof(linger))
	closeFD(fd)
}

// socketError returns and clears the error of a connection that failed.
func socketError(fd int) unix.Errno {
	var value int32
	if errno := getsockopt(fd, unix.SOL_SOCKET, unix.SO_ERROR, unsafe.Pointer(&value), 4); errno != 0 {
		return errno
	}
	return unix.Errno(value)
}

// connectionError returns the ICMP error that was received about a connection,
// if there was one that ends it.
func connectionError(fd int, is6 bool) (ICMPError, Reason) {
	var (
		data    [1]byte
		control [controlSize]byte
	)
	vector := unix.Iovec{Base: &data[0]}
	vector.SetLen(len(data))
	for {
		h := unix.Msghdr{Iov: &vector, Control: &control[0]}
		h.SetIovlen(1)
		h.SetControllen(len(control))
		_, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&h)), unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if errno != 0 {
			return ICMPError{}, OK
		}
		c := parseControl(control[:min(int(h.Controllen), len(control))])
		if c.err.Origin != unix.SO_EE_ORIGIN_ICMP && c.err.Origin != unix.SO_EE_ORIGIN_ICMP6 {
			continue
		}
		e := ICMPError{From: offender(c.from), Type: c.err.Type, Code: c.err.Code}
		if reason := reasonOfICMP(e, is6); reason != FragNeeded { // TCP itself sends smaller segments then
			return e, reason
		}
	}
}

// offender returns the address that follows a struct sock_extended_err.
func offender(b []byte) netip.Addr {
	if len(b) >= int(unsafe.Sizeof(unix.RawSockaddrInet4{})) {
		switch *(*uint16)(unsafe.Pointer(&b[0])) {
		case unix.AF_INET:
			return netip.AddrFrom4([4]byte(b[4:8]))
		case unix.AF_INET6:
			if len(b) >= 24 {
				return netip.AddrFrom16([16]byte(b[8:24]))
			}
		}
	}
	return netip.Addr{}
}

// selfConnected says whether a connection's two ends are one socket. With
// nobody listening on a local port, the kernel may choose that port as the
// source, and TCP's simultaneous open then succeeds with itself.
func selfConnected(fd int, to netip.AddrPort) bool {
	var local unix.RawSockaddrInet6 // begins like an IPv4 one
	size := uint32(unsafe.Sizeof(local))
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&local)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return false
	}
	port := (*[2]byte)(unsafe.Pointer(&local.Port))
	if uint16(port[0])<<8|uint16(port[1]) != to.Port() {
		return false
	}
	if local.Family == unix.AF_INET {
		own := netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&local)).Addr)
		return own == to.Addr() || to.Addr().IsUnspecified()
	}
	own := netip.AddrFrom16(local.Addr)
	return own == to.Addr().WithZone("") || to.Addr().IsUnspecified()
}

// hasSource says whether this node has any address to send from to a
// destination. The error of connect is the same when it has none and when it
// has no port left.
func hasSource(to netip.AddrPort, address *sockaddr) bool {
	domain := unix.AF_INET
	if to.Addr().Is6() {
		domain = unix.AF_INET6
	}
	fd, errno := socket(domain, unix.SOCK_DGRAM, 0)
	if errno != 0 {
		return true
	}
	defer closeFD(fd)
	at, size := address.set(to.Addr(), to.Port())
	return connect(fd, at, size) != unix.EADDRNOTAVAIL
}
