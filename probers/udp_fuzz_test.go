package probers

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// udpInFlight makes an engine without sockets that awaits the answer to one
// UDP probe.
func udpInFlight(t testing.TB) (*Engine, *flight, *udpSocket) {
	t.Helper()
	e := &Engine{base: time.Now().Add(-time.Second), flights: newRing(), udp: newUDPProbes()}
	e.SetKey(testKey)
	f := e.flights.add()
	f.kind, f.fd, f.timeout, f.sent = UDP, -1, time.Second, e.now()
	f.to = netip.MustParseAddrPort("10.9.0.2:9798")
	f.flow = e.udp.flows.use(udpKey{to: f.to})
	f.flow.id, f.flow.last, f.flow.newest, f.sequence = 7, 1, f.number, 1
	f.flow.loss.Sent(1)
	e.udp.request(f, udpPayload)
	s := e.udp.socket(f)
	e.inFlight, e.udp.inFlight, s.inFlight = 1, 1, 1
	return e, f, s
}

// put makes a packet the first message of an inbox.
func (in *inbox) put(packet []byte, from netip.AddrPort) {
	n := copy(in.buffers[:len(in.buffers)/batchSize], packet)
	in.messages[0].length = uint32(n)
	in.messages[0].header.SetControllen(0)
	var s sockaddr
	s.set(from.Addr(), from.Port())
	*(*unix.RawSockaddrInet4)(unsafe.Pointer(&in.names[0])) = s.v4
}

func FuzzUDPReply(f *testing.F) {
	good := make([]byte, udpPayload)
	binary.BigEndian.PutUint64(good[udpStampAt:], 1)
	NewUDPCodec(testKey).Marshal(good, UDPPacket{Type: UDPReply, Flow: 7, Sequence: 1, Received: 1, ReceivedAt: 5, RepliedAt: 9, Identity: 3, State: UDPCordoned})
	f.Add(good, false, uint64(0))
	f.Add(good, true, uint64(3))
	f.Add(good[:UDPHeaderSize], true, uint64(0))
	f.Add([]byte("PNET"), false, uint64(0))
	f.Fuzz(func(t *testing.T, packet []byte, sign bool, identity uint64) {
		e, flight, s := udpInFlight(t)
		flight.identity = identity
		if sign && len(packet) >= UDPHeaderSize { // so that the codec is no wall
			p := UDPPacket{
				Type: UDPType(packet[5]), Flow: binary.BigEndian.Uint64(packet[8:]), Sequence: binary.BigEndian.Uint64(packet[16:]),
				Received: binary.BigEndian.Uint64(packet[32:]), ReceivedAt: int64(binary.BigEndian.Uint64(packet[40:])),
				RepliedAt: int64(binary.BigEndian.Uint64(packet[48:])), Identity: binary.BigEndian.Uint64(packet[56:]),
				State: UDPState(packet[6]),
			}
			e.udp.codec.Marshal(packet, p)
		}
		e.udp.in.put(packet, flight.to)
		for range 2 {
			e.takeUDP(s, 0, e.now())
		}
		done := 0
		for _, r := range e.ready {
			if r.Event == Done {
				done++
			}
			if r.State > UDPDraining || r.Reason != OK && r.State != UDPUsual {
				t.Errorf("% x: announced %d by an answer of %q", packet, r.State, r.Reason)
			}
			if r.RTT < 0 || r.RTT > time.Minute || r.Delay < 0 {
				t.Errorf("% x: %+v", packet, r)
			}
		}
		if done > 1 || (done == 1) != flight.done || e.udp.inFlight != 1-done {
			t.Errorf("% x: %d outcomes, %+v", packet, done, e.ready)
		}
	})
}

// FuzzUDPError has routers quote anything.
func FuzzUDPError(f *testing.F) {
	quoted := make([]byte, udpPayload)
	binary.BigEndian.PutUint64(quoted[udpStampAt:], 1)
	f.Add(quoted, uint8(3), uint8(1))
	f.Add([]byte{}, uint8(3), uint8(3))
	f.Fuzz(func(t *testing.T, quoted []byte, kind, code uint8) {
		e, flight, s := udpInFlight(t)
		e.udp.errors.put(quoted, flight.to)
		c := control{err: unix.SockExtendedErr{Origin: unix.SO_EE_ORIGIN_ICMP, Type: kind, Code: code}}
		for range 2 {
			e.failUDP(s, 0, c)
		}
		if len(e.ready) > 1 || flight.done != (len(e.ready) == 1) || e.udp.inFlight != 1-len(e.ready) {
			t.Errorf("% x: %+v", quoted, e.ready)
		}
		if flight.done && e.ready[0].Reason == OK {
			t.Errorf("% x: an ICMP error is a success", quoted)
		}
	})
}

func FuzzHTTPAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.1 429 Too Many Requests\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 \r\n\r\n"))
	f.Add([]byte("podnet_exporter node=n2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tr := transfer{wanted: 5, answer: b}
		tr.begin(netip.MustParseAddrPort("10.9.0.2:9798"), 1)
		tr.body = []byte("hello")
		if reason, whole := tr.judge(false); reason == OK && whole && tr.Received != 5 {
			t.Errorf("%q: %+v", b, tr.Transfer)
		}
		tr.judge(true)
		if tr.Received > tr.Size {
			t.Errorf("%q: received %d of %d", b, tr.Received, tr.Size)
		}
	})
}
