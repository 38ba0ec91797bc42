package probers

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

func (e *Engine) sendICMP(f *flight, size int) {
	is6 := f.to.Addr().Is6()
	s, err := e.icmpSocket(is6)
	if err != nil {
		e.err = err
		e.finish(f, Result{Reason: Impaired})
		return
	}
	if s.sender.full() {
		s.sender.readStamps(&e.flights)
	}
	f.sent = e.now()
	if errno := s.echo(f, icmpSize(size, is6)); errno != 0 {
		e.finish(f, Result{Reason: reasonOfSendErrno(errno)})
		return
	}
	e.awaited(f)
	if e.drain == 0 && e.Batch > 0 {
		e.drain = e.answered(f.sent.mono)
	}
}

// reasonOfSendErrno is reasonOfErrno for a socket without ports.
func reasonOfSendErrno(errno unix.Errno) Reason {
	if errno == unix.EADDRNOTAVAIL {
		return NoRoute // no address of the family to send from
	}
	return reasonOfErrno(errno)
}

// icmpSocket returns the socket of a family, opened at its first use.
func (e *Engine) icmpSocket(is6 bool) (*icmpSocket, error) {
	i := 0
	if is6 {
		i = 1
	}
	if e.sockets[i] == nil {
		err := e.home.inside(func() (err error) {
			e.sockets[i], err = openICMP(e.icmpFilter(is6), e.cookie)
			return err
		})
		if err != nil {
			return nil, err
		}
		e.pollSockets()
	}
	return e.sockets[i], nil
}

// pollSockets puts the receiving sockets into the epoll set when replies are
// to be read at once, and takes them out when they are batched. A socket
// starts in it: the kernel enables RX timestamps a little after it was asked,
// and until then an early look is the best there is.
func (e *Engine) pollSockets() {
	for i, s := range e.sockets {
		if s != nil {
			e.pollReceiver(&s.receiver, icmpEvent4-uint64(i), e.Batch == 0 || !s.stamped)
		}
	}
	for i, r := range e.traces.answers {
		if r != nil {
			e.pollReceiver(r, answerEvent4-uint64(i), e.Batch == 0 || !r.stamped)
		}
	}
}

func (e *Engine) pollReceiver(r *receiver, event uint64, polled bool) {
	if r.polled == polled {
		return
	}
	var errno unix.Errno
	if polled {
		errno = e.wait.add(r.fd, unix.EPOLLIN, event)
	} else {
		errno = e.wait.remove(r.fd)
	}
	if errno == 0 {
		r.polled = polled
	}
}

// readICMP reads everything that has arrived.
func (e *Engine) readICMP(now moment) {
	for family, s := range e.sockets {
		if s == nil {
			continue
		}
		for {
			n := s.read()
			if n > 0 {
				now = e.now() // they may have come since
				s.sender.readStamps(&e.flights)
				e.traces.readStamps(family, &e.flights)
			}
			for i := range n {
				e.takeICMP(s, i, now)
			}
			if n < batchSize {
				break
			}
			e.noteDrops(&s.receiver, now)
		}
	}
	e.lastRead, e.drain = now.mono, 0
}

// noteDrops looks whether the buffer was full since it was read last. It can
// have been only if much was in it.
func (e *Engine) noteDrops(r *receiver, now moment) {
	if n := r.overflowed(); n > 0 {
		e.stats.Drops += uint64(n)
		e.windows.add(window{from: e.lastRead, to: now.mono})
	}
}

// takeICMP works on received message i.
func (e *Engine) takeICMP(s *icmpSocket, i int, now moment) {
	m, ok := s.message(i)
	if !ok {
		e.stats.Foreign++
		return
	}
	f, stamped := e.probeOf(m, s.is6)
	if f == nil {
		e.stats.Foreign++
		return
	}
	rx := s.stamp(i)
	if !m.reply {
		e.refusal(f, Result{Reason: reasonOfICMP(m.error, s.is6), ICMP: m.error, From: m.error.From, MPLS: m.labels}, rx, now)
		return
	}
	intact := stamped && s.icmpLength(i) == f.size && e.holds(f, m.payload)
	e.reply(f, Result{Reason: verdictOn(f, m.from, intact), From: m.from}, rx, now)
}

// holds says whether the payload of a reply is what its probe's was, behind the
// stamp.
func (e *Engine) holds(f *flight, payload []byte) bool {
	if !f.traced || e.Trace.Pattern == nil {
		return patternHolds(payload)
	}
	for _, b := range payload[probeStamp:] {
		if b != *e.Trace.Pattern {
			return false
		}
	}
	return true
}

// probeOf returns the probe that a message belongs to, nil if to none of this
// engine's. stamped says that the payload names it; otherwise its address and
// sequence number do.
func (e *Engine) probeOf(m icmpMessage, is6 bool) (f *flight, stamped bool) {
	cookie, number, ok := stampOf(m.payload)
	if ok && cookie != e.cookie {
		return nil, false
	}
	if m.protocol != protocolICMP4 {
		return e.traceOf(m, is6), ok
	}
	if f := e.flights.find(number); ok && f != nil && uint16(number) == m.sequence && belongs(f, is6) && m.id == e.echoID(f) {
		return f, true
	}
	f = e.flights.findSequence(m.sequence)
	if f == nil || !belongs(f, is6) || m.id != e.echoID(f) {
		return nil, false
	}
	other := m.from
	if !m.reply {
		other = m.to
	}
	if other != f.to.Addr().WithZone("") {
		return nil, false
	}
	return f, false
}

// echoID is the ICMP id of a probe.
func (e *Engine) echoID(f *flight) uint16 { return e.id | uint16(f.path) }

func belongs(f *flight, is6 bool) bool { return f.kind == ICMP && f.to.Addr().Is6() == is6 }

// verdictOn judges the content of a reply.
func verdictOn(f *flight, from netip.Addr, intact bool) Reason {
	switch to := f.to.Addr().WithZone(""); {
	case !intact:
		return BadReply
	case from != to && !to.IsUnspecified() && !to.IsMulticast():
		return WrongIdentity
	}
	return OK
}

// refusal reports an ICMP error, or a RST. To a trace it is an answer as good
// as any.
func (e *Engine) refusal(f *flight, r Result, rx int64, now moment) {
	if f.traced {
		e.answer(f, r, rx, now)
		return
	}
	if !f.done {
		r.RTT, _ = roundTrip(f.tx, rx, f.sent, now)
		e.finish(f, r)
	}
}

// reply reports a reply: as the outcome, as late, or as a duplicate. r holds
// what its content says.
func (e *Engine) reply(f *flight, r Result, rx int64, now moment) {
	if r.Reason != OK {
		if !f.done {
			e.finish(f, r)
		}
		return
	}
	e.answer(f, r, rx, now)
}

func (e *Engine) answer(f *flight, r Result, rx int64, now moment) {
	rtt, exact := roundTrip(f.tx, rx, f.sent, now)
	if !exact {
		e.stats.NoTimestamp++
	}
	if r.Delay > rtt || r.Delay < 0 {
		r.Delay = 0 // the responder's clock was stepped
	}
	r.Tag, r.RTT = f.tag, rtt-r.Delay
	switch onTime := rtt <= f.timeout; {
	case f.answered:
		r.Event = Duplicate
		e.ready = append(e.ready, r)
		return
	case !f.done && onTime:
		e.finish(f, r)
	case !f.done:
		e.finish(f, Result{Reason: e.noAnswer(f)})
		fallthrough
	default:
		r.Event = Late
		e.ready = append(e.ready, r)
	}
	f.answered = true
}
