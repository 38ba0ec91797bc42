package probers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	udpStampAt     = UDPHeaderSize  // where the padding of a request holds the probe's number
	udpPayload     = udpStampAt + 8 // bytes of the shortest request
	udpHeader      = 8
	maxUDP         = 65535 - ipv6Header - udpHeader
	udpQuoted      = 128     // bytes kept of a request that an ICMP error quotes
	udpKeys        = 128     // TX timestamps of one socket that may wait to be read
	udpUnread      = 64      // of those are read before more are sent
	udpProbeBuffer = 1 << 19 // bytes of socket buffer, as the kernel counts them
)

// udpSize returns how many bytes of UDP payload make an IP packet of the size
// that a Probe asks for.
func udpSize(size int, is6 bool) int {
	size -= udpHeader
	if is6 {
		size -= ipv6Header
	} else {
		size -= ipv4Header
	}
	return min(max(size, udpPayload), maxUDP)
}

// udpSocket is one source port of one address family. Its error queue collects
// the kernel's TX timestamps, and the ICMP errors about what it sent.
type udpSocket struct {
	fd       int // -1: not open
	is6      bool
	port     uint8  // which of the source ports
	polled   bool   // in the epoll set
	inFlight int    // probes that left from here and have no outcome
	drops    uint32 // replies lost to a full buffer so far
	nextKey  uint32 // the kernel's number for the next send
	readKey  uint32 // nextKey when the error queue was read last
	ttl      uint8  // of what is sent, 0: the namespace's default
	whole    bool   // what is sent must not be fragmented
	keys     [udpKeys]uint64
}

const udpStamps = unix.SOF_TIMESTAMPING_TX_SOFTWARE | unix.SOF_TIMESTAMPING_RX_SOFTWARE |
	unix.SOF_TIMESTAMPING_SOFTWARE | unix.SOF_TIMESTAMPING_OPT_TSONLY

// open opens the socket in the network namespace of the calling thread. The
// kernel chooses its port when it sends first.
func (s *udpSocket) open() error {
	domain, level, name := unix.AF_INET, unix.IPPROTO_IP, unix.IP_RECVERR
	if s.is6 {
		domain, level, name = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	}
	fd, errno := socket(domain, unix.SOCK_DGRAM, 0)
	if errno != 0 {
		return fmt.Errorf("udp: open socket: %w", errno)
	}
	err := errors.Join(
		unix.SetsockoptInt(fd, level, name, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, udpStamps|unix.SOF_TIMESTAMPING_OPT_ID))
	if s.is6 {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1))
	}
	if err != nil {
		closeFD(fd)
		return fmt.Errorf("udp: socket options: %w", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, udpProbeBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, udpProbeBuffer)
	}
	*s = udpSocket{fd: fd, is6: s.is6, port: s.port, whole: true}
	s.options(0, false)
	return nil
}

// options makes the next packets leave with a TTL, and with or without DF.
// With it, the kernel sends them whole whatever path MTU it has learnt.
func (s *udpSocket) options(ttl uint8, whole bool) {
	level, ttlName, mtuName := unix.IPPROTO_IP, unix.IP_TTL, unix.IP_MTU_DISCOVER
	if s.is6 {
		level, ttlName, mtuName = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_MTU_DISCOVER
	}
	if ttl != s.ttl {
		value := int(ttl)
		if ttl == 0 {
			value = -1
		}
		_ = setOption(s.fd, level, ttlName, value) // cannot fail: in range
		s.ttl = ttl
	}
	if whole != s.whole {
		mode := unix.IP_PMTUDISC_DONT // the same numbers as IPv6's
		if whole {
			mode = unix.IP_PMTUDISC_PROBE
		}
		_ = setOption(s.fd, level, mtuName, mode)
		s.whole = whole
	}
}

// event returns the number of the socket's events.
func (s *udpSocket) event() uint64 { return udpEvent - uint64(udpPlace(s.port, s.is6)) }

// udpPlace returns which of an engine's UDP sockets has a port.
func udpPlace(port uint8, is6 bool) int {
	if is6 {
		return udpPorts + int(port)
	}
	return int(port)
}

// send sends a packet of the probe with a number.
func (s *udpSocket) send(number uint64, packet []byte, to unsafe.Pointer, size uintptr) unix.Errno {
	errno := sendto(s.fd, packet, to, size)
	if errno != 0 {
		s.restartKeys()
		return errno
	}
	s.keys[s.nextKey%udpKeys] = number
	s.nextKey++
	return 0
}

// restartKeys makes the kernel count sends from 0 again: whether a send that
// failed was counted depends on where it failed.
func (s *udpSocket) restartKeys() {
	_ = setOption(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, udpStamps)
	_ = setOption(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, udpStamps|unix.SOF_TIMESTAMPING_OPT_ID)
	s.nextKey, s.readKey = 0, 0
}

// overflowed says whether the kernel dropped replies for want of buffer since
// the last call, and how many.
func (s *udpSocket) overflowed() uint32 {
	var info [unix.SK_MEMINFO_VARS]uint32
	if getsockopt(s.fd, unix.SOL_SOCKET, unix.SO_MEMINFO, unsafe.Pointer(&info), uint32(unsafe.Sizeof(info))) != 0 {
		return 0
	}
	dropped := info[unix.SK_MEMINFO_DROPS] - s.drops
	s.drops += dropped
	return dropped
}

// source returns the address of message i: of a reply where it came from, of
// an ICMP error where the request was going.
func (in *inbox) source(i int) netip.AddrPort {
	name := &in.names[i]
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:]) // at one place in both families
	if name.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(name.Addr), port)
}
