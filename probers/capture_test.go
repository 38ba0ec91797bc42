package probers

import (
	"encoding/binary"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// capture is a packet socket on an interface: it sees what tcpdump would, with
// the kernel's time of each packet.
type capture struct {
	fd       int
	answerer bool // it is on the target's side: requests arrive, and answers leave
}

// captureBuffer is the size of the socket buffer, where packets wait to be read.
const captureBuffer = 256 << 20

// passage is a request and its answer, as the interface saw them.
type passage struct {
	key             uint64 // of the request, see passageKey
	request, answer int64  // when they passed, wall clock in ns; answer 0: none
}

// capture begins to capture on an interface of the namespace.
func (s *space) capture(t testing.TB, device string) capture {
	t.Helper()
	index := s.get(t, device).Attrs().Index
	c := capture{fd: -1}
	s.do(func() {
		everything := uint16(unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8)
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(everything))
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer)
		}
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, unix.SOF_TIMESTAMPING_RX_SOFTWARE|unix.SOF_TIMESTAMPING_SOFTWARE)
		}
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: index})
		}
		if err != nil {
			t.Error(err)
		}
		c.fd = fd
	})
	t.Cleanup(func() { unix.Close(c.fd) })
	return c
}

// passages returns what was captured, in the order of the requests.
func (c capture) passages(t testing.TB) []passage {
	t.Helper()
	const outgoing, ethernet = 4, 14 // PACKET_OUTGOING
	var (
		all     []passage
		pending = make(map[uint64]int)
		in      = newInbox(256)
	)
	for n := batchSize; n == batchSize; {
		n = in.read(c.fd, unix.MSG_TRUNC)
		for i := range n {
			from := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&in.names[i]))
			b := in.data(i)
			if len(b) < ethernet+ipv4Header || b[ethernet]>>4 != 4 {
				continue
			}
			key, request, ok := passageKey(b[ethernet:])
			at, known := pending[key]
			switch {
			case !ok || request != (from.Pkttype == outgoing != c.answerer):
			case request:
				pending[key] = len(all)
				all = append(all, passage{key: key, request: in.control(i).stamp})
			case known:
				all[at].answer = in.control(i).stamp
				delete(pending, key)
			}
		}
	}
	var stats unix.TpacketStats
	if got, err := unix.GetsockoptTpacketStats(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		stats = *got
	}
	if stats.Drops > 0 {
		t.Errorf("%d packets were not captured", stats.Drops)
	}
	return all
}

// passageKey returns what a request and its answer have in common: id and
// sequence number of an echo, the client's port of a handshake or of UDP and,
// of UDP, the probe's number.
func passageKey(ip []byte) (key uint64, request, ok bool) {
	_, _, protocol, m, whole := splitIPv4(ip)
	if !whole || len(m) < icmpHeader {
		return 0, false, false
	}
	from, to := uint64(binary.BigEndian.Uint16(m)), uint64(binary.BigEndian.Uint16(m[2:]))
	switch protocol {
	case protocolICMP4:
		return uint64(binary.BigEndian.Uint32(m[4:])), m[0] == echoRequest4, m[0] == echoRequest4 || m[0] == echoReply4
	case protocolTCP:
		request = to == capturedPort
		syn := len(m) > 13 && m[13]&(tcpSyn|tcpRst) == tcpSyn
		return max(from*boolean(request), to*boolean(!request)), request, syn && request == (m[13]&tcpAck == 0)
	case protocolUDP:
		if len(m) < udpHeader+udpPayload {
			return 0, false, false
		}
		return binary.BigEndian.Uint64(m[udpHeader+udpStampAt:]), to == capturedPort, true
	}
	return 0, false, false
}

func boolean(is bool) uint64 {
	if is {
		return 1
	}
	return 0
}

// capturedPort is that of the target.
const capturedPort = 9798

// took is the time between the two.
func (x passage) took() time.Duration { return time.Duration(x.answer - x.request) }
