package probers

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// traceOf returns the trace that an ICMP error quotes a UDP or TCP packet of,
// nil if it is none of this engine's. The stamp names it if it was quoted, and
// else the first 8 bytes do, with the address.
func (e *Engine) traceOf(m icmpMessage, is6 bool) *flight {
	if m.protocol == protocolTCP {
		return e.synOf(m.to, m.segment, is6)
	}
	if cookie, number, ok := stampOf(m.payload); ok && cookie == e.cookie {
		if f := e.flights.find(number); f != nil && f.kind == TraceUDP && f.to.Addr().Is6() == is6 {
			return f
		}
	}
	f := e.flights.findSequence(m.segment.checksum)
	if f == nil || f.kind != TraceUDP || int(m.segment.length) != f.size ||
		m.segment.from != e.traces.udp.base+uint16(f.path) || m.segment.to != f.to.Port() || m.to != f.to.Addr().WithZone("") {
		return nil
	}
	return f
}

// synOf returns the TraceTCP whose SYN had the ports and the sequence number
// of s, and was sent to the given address.
func (e *Engine) synOf(to netip.Addr, s segment, is6 bool) *flight {
	f := e.flights.findSequence(uint16(s.sequence))
	if f == nil || f.kind != TraceTCP || f.to.Addr().Is6() != is6 || s.sequence != synNumber(e.cookie, f.number) ||
		s.from != e.traces.tcp.base+uint16(f.path) || s.to != f.to.Port() || to != f.to.Addr().WithZone("") {
		return nil
	}
	return f
}

// readStamps gives the TX timestamps of a family's traces to them.
func (t *traces) readStamps(family int, r *ring) {
	if t.tracers[family] != nil {
		t.tracers[family].sender.readStamps(r)
	}
}

// openAnswers opens the socket that receives what targets of an address family
// answer to SYNs.
func (e *Engine) openAnswers(family int) error {
	if e.traces.answers[family] != nil {
		return nil
	}
	domain := unix.AF_INET
	if family == 1 {
		domain = unix.AF_INET6
	}
	r := newReceiver()
	err := e.home.inside(func() (err error) {
		r.fd, err = openRaw(domain, unix.IPPROTO_TCP, answerFilter(family == 1, e.traces.tcp.base), unix.SOF_TIMESTAMPING_RX_SOFTWARE)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", TraceTCP, err)
	}
	r.forget()
	e.traces.answers[family] = &r
	e.pollSockets()
	return nil
}

// answerFilter lets TCP segments to the ports of a block through that have
// RST set, or SYN and ACK. A raw socket sees IPv4 packets from their IP header
// on, and IPv6 packets from their TCP header.
func answerFilter(is6 bool, base uint16) []bpf.Instruction {
	header := []bpf.Instruction{bpf.LoadMemShift{Off: 0}}
	if is6 {
		header = []bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegX}}
	}
	return append(header,
		bpf.LoadIndirect{Off: 2, Size: 2},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xffff &^ flowMask},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(base), SkipTrue: 5},
		bpf.LoadIndirect{Off: 13, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: tcpRst, SkipTrue: 2},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: tcpSyn | tcpAck},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: tcpSyn | tcpAck, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	)
}

// readAnswers reads what targets answered to SYNs.
func (e *Engine) readAnswers(now moment) {
	for family, r := range e.traces.answers {
		if r == nil {
			continue
		}
		for {
			n := r.read()
			if n > 0 {
				now = e.now() // they may have come since
				e.traces.readStamps(family, &e.flights)
			}
			for i := range n {
				e.takeAnswer(r, i, family == 1, now)
			}
			if n < batchSize {
				break
			}
			e.noteDrops(r, now)
		}
	}
}

// takeAnswer works on received segment i.
func (e *Engine) takeAnswer(r *receiver, i int, is6 bool, now moment) {
	b, from := r.in.data(i), netip.AddrFrom16(r.in.names[i].Addr)
	protocol, ok := uint8(protocolTCP), true
	if !is6 {
		from, _, protocol, b, ok = splitIPv4(b)
	}
	if !ok || protocol != protocolTCP {
		e.stats.Foreign++
		return
	}
	answered, reset, ok := parseSYNAnswer(b)
	f := e.synOf(from, answered, is6)
	if !ok || f == nil {
		e.stats.Foreign++
		return
	}
	result := Result{From: from}
	if reset {
		result.Reason = Refused
	}
	e.answer(f, result, r.stamp(i), now)
}

// parseSYNAnswer reads a TCP segment, and returns of the SYN that it answers its
// ports and sequence number. It is false if it does not answer a SYN.
func parseSYNAnswer(b []byte) (syn segment, reset, ok bool) {
	if len(b) < 20 {
		return segment{}, false, false
	}
	flags := b[13]
	reset = flags&tcpRst != 0
	if flags&tcpAck == 0 || !reset && flags&tcpSyn == 0 {
		return segment{}, false, false
	}
	return segment{
		from:     binary.BigEndian.Uint16(b[2:]),
		to:       binary.BigEndian.Uint16(b),
		sequence: binary.BigEndian.Uint32(b[8:]) - 1,
	}, reset, true
}
