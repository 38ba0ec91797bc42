package probers

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	batchSize     = 32      // messages per recvmmsg
	captured      = 2048    // bytes kept of a reply: all, unless the probe was a jumbo frame
	receiveBuffer = 1 << 21 // bytes of socket buffer, as the kernel counts them
)

// icmpSocket sends and receives the ICMP probes of one address family.
//
// It is two raw sockets. One only sends, and its error queue collects the
// kernel's TX timestamps; the other only receives. On one socket every TX
// timestamp would wake the poller, since an error queue that is not empty
// cannot be masked; on two it is read when a reply needs it, many at once.
type icmpSocket struct {
	is6    bool
	id     uint16
	cookie uint32
	receiver
	sender    sender
	packet    []byte // the message to send, with the pattern in place
	addresses sockaddr
}

// inbox is the memory that recvmmsg fills.
type inbox struct {
	messages []mmsghdr
	names    []unix.RawSockaddrInet6
	vectors  []unix.Iovec
	controls [][controlSize]byte
	buffers  []byte
}

// controlSize holds a timestamp and an extended error with its address.
const controlSize = 128

func newInbox(size int) inbox {
	in := inbox{
		messages: make([]mmsghdr, batchSize),
		names:    make([]unix.RawSockaddrInet6, batchSize),
		vectors:  make([]unix.Iovec, batchSize),
		controls: make([][controlSize]byte, batchSize),
		buffers:  make([]byte, batchSize*size),
	}
	for i := range in.messages {
		in.vectors[i].Base = &in.buffers[i*size]
		in.vectors[i].SetLen(size)
		h := &in.messages[i].header
		h.Name = (*byte)(unsafe.Pointer(&in.names[i]))
		h.Iov = &in.vectors[i]
		h.SetIovlen(1)
		h.Control = &in.controls[i][0]
	}
	return in
}

// read receives as many messages as there are, up to a batch.
func (in *inbox) read(fd, flags int) int {
	for i := range in.messages {
		h := &in.messages[i].header
		h.Namelen = uint32(unsafe.Sizeof(in.names[0]))
		h.SetControllen(controlSize)
	}
	return recvmmsg(fd, in.messages, flags)
}

// data returns what was kept of message i, whose true length may be larger.
func (in *inbox) data(i int) []byte {
	size := len(in.buffers) / batchSize
	return in.buffers[i*size:][:min(int(in.messages[i].length), size)]
}

func (in *inbox) control(i int) control {
	return parseControl(in.controls[i][:min(int(in.messages[i].header.Controllen), controlSize)])
}

// openICMP opens the sockets of a family in the network namespace of the
// calling thread. Needs CAP_NET_RAW.
func openICMP(filter icmpFilter, cookie uint32) (*icmpSocket, error) {
	s := &icmpSocket{
		is6: filter.is6, id: filter.id, cookie: cookie,
		receiver: newReceiver(),
		sender:   newSender(),
		packet:   make([]byte, captured),
	}
	fillPattern(s.packet)
	if err := s.open(filter.program()); err != nil {
		s.close()
		return nil, fmt.Errorf("icmp: %w", err)
	}
	return s, nil
}

func (s *icmpSocket) open(filter []bpf.Instruction) error {
	domain, protocol := unix.AF_INET, protocolICMP4
	replies := []uint8{echoReply4, unreachable4, timeExceeded4, parameterProblem4}
	if s.is6 {
		domain, protocol = unix.AF_INET6, protocolICMP6
		replies = []uint8{echoReply6, unreachable6, packetTooBig6, timeExceeded6, parameterProblem6}
	}
	var err error
	if s.sender.fd, err = openRaw(domain, protocol, nothing(), txStamps); err != nil {
		return err
	}
	if err := setTypeFilter(s.sender.fd, s.is6); err != nil {
		return err
	}
	if err := s.neverFragment(); err != nil {
		return err
	}
	if s.fd, err = openRaw(domain, protocol, filter, unix.SOF_TIMESTAMPING_RX_SOFTWARE); err != nil {
		return err
	}
	if err := setTypeFilter(s.fd, s.is6, replies...); err != nil {
		return err
	}
	s.forget()
	return nil
}

// openRaw opens a raw socket with a filter, kernel timestamps and a buffer
// that holds the replies of a long stop of the process.
func openRaw(domain, protocol int, filter []bpf.Instruction, stamps int) (int, error) {
	fd, errno := socket(domain, unix.SOCK_RAW, protocol)
	if errno == unix.EPERM || errno == unix.EACCES {
		return -1, fmt.Errorf("open raw socket: %w (needs CAP_NET_RAW)", errno)
	}
	if errno != 0 {
		return -1, fmt.Errorf("open raw socket: %w", errno)
	}
	if err := attachFilter(fd, filter); err != nil {
		closeFD(fd)
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, stamps|unix.SOF_TIMESTAMPING_SOFTWARE); err != nil {
		closeFD(fd)
		return -1, fmt.Errorf("enable kernel timestamps: %w", err)
	}
	// FORCE needs CAP_NET_ADMIN; without it the limit is net.core.rmem_max.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	return fd, nil
}

// neverFragment makes every probe go out with DF, whole, and without regard
// to a path MTU that the kernel has learnt: a large probe is to show today's
// path, not last week's workaround.
func (s *icmpSocket) neverFragment() error {
	level, name := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER
	if s.is6 {
		level, name = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER
	}
	if err := unix.SetsockoptInt(s.sender.fd, level, name, unix.IP_PMTUDISC_PROBE); err != nil {
		return fmt.Errorf("forbid fragments: %w", err)
	}
	return nil
}

func (s *icmpSocket) close() {
	s.sender.close()
	s.receiver.close()
}

// echo sends the probe's echo request.
func (s *icmpSocket) echo(f *flight, size int) unix.Errno {
	if size > len(s.packet) {
		s.packet = make([]byte, size)
		fillPattern(s.packet)
	}
	f.size = size
	packet := s.packet[:size]
	writeEcho(packet, s.is6, s.id, s.cookie, f.number)
	to, length := s.addresses.set(f.to.Addr(), 0)
	return s.sender.send(f, packet, to, length)
}

// message parses reply i of the inbox.
func (s *icmpSocket) message(i int) (icmpMessage, bool) {
	if !s.is6 {
		return parseICMP4(s.in.data(i))
	}
	m, ok := parseICMP6(s.in.data(i))
	m.from = netip.AddrFrom16(s.in.names[i].Addr)
	if !m.reply {
		m.error.From = m.from
	}
	return m, ok
}

// icmpLength returns the true length of reply i without its IP header, which
// may be more than was kept of it.
func (s *icmpSocket) icmpLength(i int) int {
	n := int(s.in.messages[i].length)
	if !s.is6 {
		n -= int(s.in.data(i)[0]&0xf) * 4
	}
	return n
}

// set writes an address in the kernel's form and returns where it is.
func (s *sockaddr) set(a netip.Addr, port uint16) (unsafe.Pointer, uintptr) {
	if a.Is4() {
		s.v4.Family = unix.AF_INET
		s.v4.Addr = a.As4()
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&s.v4.Port))[:], port)
		return unsafe.Pointer(&s.v4), unsafe.Sizeof(s.v4)
	}
	s.v6.Family = unix.AF_INET6
	s.v6.Addr = a.As16()
	s.v6.Scope_id = scope(a.Zone())
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&s.v6.Port))[:], port)
	return unsafe.Pointer(&s.v6), unsafe.Sizeof(s.v6)
}
