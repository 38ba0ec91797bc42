package probers

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNoKey is the error of an engine that is to send UDP probes without a key.
var ErrNoKey = errors.New("udp: no key of the cluster is set")

// udpProbes is the part of an engine that sends UDP probes.
type udpProbes struct {
	codec    *UDPCodec             // nil without a key
	sockets  [udpSockets]udpSocket // IPv4's ports and then IPv6's
	awaited  uint32                // a bit for each of them that is to be read: probes left from it, or something came
	flows    flowTable
	inFlight int
	stamped  bool // a reply had an RX timestamp
	packet   []byte
	in       inbox // replies; made for the largest probe so far
	errors   inbox // TX timestamps and ICMP errors
}

func newUDPProbes() udpProbes {
	u := udpProbes{flows: newFlowTable(maxUDPFlows)}
	for i := range u.sockets {
		u.sockets[i] = udpSocket{fd: -1, is6: i >= udpPorts, port: uint8(i % udpPorts)}
	}
	return u
}

// SetKey sets the key of the cluster, which UDP probes need. Without one, or
// with an empty one, they are Impaired and Err is [ErrNoKey]. It must not be
// called while UDP probes are in flight.
func (e *Engine) SetKey(key []byte) {
	if e.udp.codec = nil; len(key) > 0 {
		e.udp.codec = NewUDPCodec(key)
	}
}

func (e *Engine) sendUDP(f *flight, p Probe) {
	u := &e.udp
	s, err := e.udpSocket(f)
	if err == nil && u.codec == nil {
		err = ErrNoKey
	}
	if errors.Is(err, unix.EAFNOSUPPORT) {
		e.finish(f, Result{Reason: NoRoute})
		return
	}
	if err != nil {
		e.err = err
		e.finish(f, Result{Reason: Impaired})
		return
	}
	if s.nextKey-s.readKey >= udpUnread {
		e.readUDPErrors(s)
	}
	f.flow = u.flows.use(udpKey{f.to, f.port, p.TTL != 0})
	f.identity, f.sequence = p.Identity, f.flow.last+1
	s.options(p.TTL, p.DontFragment)
	packet := u.request(f, udpSize(p.Size, s.is6))
	u.await(s.event())
	to, length := e.address.set(f.to.Addr(), f.to.Port())
	f.sent, f.txKey = e.now(), s.nextKey
	if errno := s.send(f.number, packet, to, length); errno != 0 {
		// An ICMP error about an earlier packet of the socket is reported here,
		// and once.
		e.readUDPErrors(s)
		f.sent, f.txKey = e.now(), s.nextKey
		if errno = s.send(f.number, packet, to, length); errno != 0 {
			f.flow = nil
			e.finish(f, Result{Reason: reasonOfSendErrno(errno)})
			return
		}
	}
	f.flow.last, f.flow.newest = f.sequence, f.number
	f.flow.loss.Sent(f.sequence)
	u.inFlight++
	s.inFlight++
	e.awaited(f)
	if e.drain == 0 && e.Batch > 0 {
		e.drain = e.answered(f.sent.mono)
	}
}

// request writes the packet of a probe.
func (u *udpProbes) request(f *flight, size int) []byte {
	if size > len(u.packet) {
		u.packet = make([]byte, size)
	}
	if room := len(u.in.buffers) / batchSize; size > room {
		u.in = newInbox(max(size, captured))
	}
	if len(u.errors.messages) == 0 {
		u.errors = newInbox(udpQuoted)
	}
	packet := u.packet[:size]
	binary.BigEndian.PutUint64(packet[udpStampAt:], f.number)
	u.codec.Marshal(packet, UDPPacket{
		Type: UDPRequest, Flow: f.flow.id, Sequence: f.sequence, Sent: time.Now().UnixNano(),
	})
	return packet
}

// udpSocket returns the socket that a probe leaves from, opened at its first
// use.
func (e *Engine) udpSocket(f *flight) (*udpSocket, error) {
	s := e.udp.socket(f)
	if s.fd < 0 {
		if err := e.home.inside(s.open); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (u *udpProbes) socket(f *flight) *udpSocket {
	return &u.sockets[udpPlace(f.port, f.to.Addr().Is6())]
}

func (u *udpProbes) close() {
	for i := range u.sockets {
		if s := &u.sockets[i]; s.fd >= 0 {
			closeFD(s.fd)
		}
	}
}

// await makes the socket with an event one that is to be read.
func (u *udpProbes) await(event uint64) { u.awaited |= 1 << (udpEvent - event) }

// eachAwaited calls f with every socket that is to be read.
func (u *udpProbes) eachAwaited(f func(*udpSocket)) {
	for left := u.awaited; left != 0; left &= left - 1 {
		f(&u.sockets[bits.TrailingZeros32(left)])
	}
}

// pollUDP is pollSockets for UDP. A socket that nothing is in flight from is
// polled too: what still comes is late, doubled, or an ICMP error.
func (e *Engine) pollUDP() {
	batched := e.Batch > 0 && e.udp.stamped
	e.udp.eachAwaited(func(s *udpSocket) {
		idle := s.inFlight == 0
		if polled := idle || !batched; s.polled != polled {
			var errno unix.Errno
			if polled {
				errno = e.wait.add(s.fd, unix.EPOLLIN, s.event())
			} else {
				errno = e.wait.remove(s.fd)
			}
			if errno != 0 {
				return // and try it again
			}
			s.polled = polled
		}
		if idle {
			e.udp.awaited &^= 1 << (udpEvent - s.event())
		}
	})
}

// readUDP reads everything that has arrived and is awaited.
func (e *Engine) readUDP(now moment) {
	e.udp.eachAwaited(func(s *udpSocket) {
		e.readUDPErrors(s)
		for {
			n := e.udp.in.read(s.fd, unix.MSG_TRUNC)
			if n > 0 {
				now = e.now() // they may have come since
			}
			for i := range n {
				e.takeUDP(s, i, now)
			}
			if n < batchSize {
				return
			}
			if n := s.overflowed(); n > 0 {
				e.stats.Drops += uint64(n)
				e.windows.add(window{from: e.lastRead, to: now.mono})
			}
		}
	})
}

// readUDPErrors empties a socket's error queue.
func (e *Engine) readUDPErrors(s *udpSocket) {
	s.readKey = s.nextKey
	in := &e.udp.errors
	if len(in.messages) == 0 {
		return // nothing was ever sent
	}
	for {
		n := in.read(s.fd, unix.MSG_ERRQUEUE)
		for i := range n {
			c := in.control(i)
			switch c.err.Origin {
			case unix.SO_EE_ORIGIN_TIMESTAMPING:
				if f := e.flights.find(s.keys[c.err.Data%udpKeys]); f != nil && f.txKey == c.err.Data && f.kind == UDP {
					f.tx = c.stamp
				}
			case unix.SO_EE_ORIGIN_ICMP, unix.SO_EE_ORIGIN_ICMP6:
				e.failUDP(s, i, c)
			}
		}
		if n < batchSize {
			return
		}
	}
}

// takeUDP works on received message i.
func (e *Engine) takeUDP(s *udpSocket, i int, now moment) {
	in := &e.udp.in
	from := in.source(i)
	p, err := e.udp.codec.Parse(in.data(i))
	if err != nil || p.Type != UDPReply || int(in.messages[i].length) < udpPayload {
		e.badUDP(s, from)
		return
	}
	f := e.flights.find(binary.BigEndian.Uint64(in.data(i)[udpStampAt:]))
	if f == nil || f.flow == nil || f.flow.id != p.Flow || f.sequence != p.Sequence {
		e.stats.Foreign++
		return
	}
	rx := in.control(i).stamp
	e.udp.stamped = e.udp.stamped || rx != 0
	if f.tx == 0 {
		e.readUDPErrors(s)
	}
	r := Result{Reason: verdictOn(f, from.Addr(), true), From: from.Addr()}
	if f.identity != 0 && f.identity != p.Identity {
		r.Reason = WrongIdentity
	}
	if r.Reason == OK {
		e.measureUDP(f, p, rx, &r)
	}
	e.reply(f, r, rx, now)
}

// measureUDP adds what a good reply tells beside its RTT.
func (e *Engine) measureUDP(f *flight, p UDPPacket, rx int64, r *Result) {
	r.Delay, r.State = time.Duration(p.RepliedAt-p.ReceivedAt), p.State
	if f.answered {
		if r.Doubled = Reverse; p.Received != f.counted {
			r.Doubled = Forward
			f.flow.loss.Doubled(p.Received)
		}
		return
	}
	f.counted = p.Received
	r.Lost, r.Reordered = f.flow.reply(p)
	if f.tx != 0 && rx != 0 {
		r.OneWay = OneWay{Forward: time.Duration(p.ReceivedAt - f.tx), Reverse: time.Duration(rx - p.RepliedAt)}
	}
}

// badUDP notes that something came from the target of a probe that is no reply
// to it. It is believed only if no good reply comes: everybody can send such a
// packet.
func (e *Engine) badUDP(s *udpSocket, from netip.AddrPort) {
	if f := e.newestUDP(udpKey{to: from, port: s.port}); f != nil {
		f.bad = true
		return
	}
	e.stats.Foreign++
}

// newestUDP returns the probe that left last from a port to a target, if it is
// in flight.
func (e *Engine) newestUDP(k udpKey) *flight {
	flow := e.udp.flows.find(k)
	if flow == nil {
		return nil
	}
	if f := e.flights.find(flow.newest); f != nil && !f.done && f.flow == flow {
		return f
	}
	return nil
}

// failUDP finishes the probe that ICMP error i of a socket is about.
func (e *Engine) failUDP(s *udpSocket, i int, c control) {
	in := &e.udp.errors
	f := e.quotedUDP(udpKey{to: in.source(i), port: s.port}, in.data(i))
	if f == nil {
		e.stats.Foreign++
		return
	}
	if f.done {
		return
	}
	icmp := ICMPError{From: offender(c.from), Type: c.err.Type, Code: c.err.Code}
	r := Result{Reason: reasonOfICMP(icmp, f.to.Addr().Is6()), From: icmp.From}
	if r.Reason == FragNeeded {
		icmp.MTU = int(c.err.Info)
	}
	r.ICMP = icmp
	if r.Reason == TTLExceeded { // the answer of a hop
		r.RTT, _ = roundTrip(f.tx, c.stamp, f.sent, e.now())
	}
	e.finish(f, r)
}

// quotedUDP returns the probe that an ICMP error is about, by what it quotes of
// its payload. That may be nothing at all (RFC 792): then it is the newest of
// the flow.
func (e *Engine) quotedUDP(k udpKey, payload []byte) *flight {
	if len(payload) < udpPayload {
		return e.newestUDP(k)
	}
	f := e.flights.find(binary.BigEndian.Uint64(payload[udpStampAt:]))
	if f == nil || f.flow == nil || k.to != f.to || k.port != f.port {
		return nil
	}
	return f
}

// doneUDP notes the outcome of a probe that was sent, and adds to it what it
// settles.
func (e *Engine) doneUDP(f *flight, r *Result) {
	e.udp.inFlight--
	e.udp.socket(f).inFlight--
	switch {
	case r.Reason == Timeout || r.Reason == BadReply:
		r.Lost = f.flow.loss.Lost(f.sequence)
	case r.ICMP.From.IsValid():
		r.Lost = f.flow.loss.Failed(f.sequence)
	case r.Reason != OK || !r.From.IsValid():
		r.Lost = f.flow.loss.Ignore(f.sequence)
	}
}

// expireUDP finishes a probe whose time is over.
func (e *Engine) expireUDP(f *flight) {
	r := Result{Reason: e.noAnswer(f)}
	if f.bad {
		r.Reason = BadReply
	}
	e.finish(f, r)
}
