package probers

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Ports that a trace goes to when its Probe names none: those of traceroute
// and of mtr.
const (
	traceUDPPort = 33434
	traceTCPPort = 80
)

// traceIdle is how long after the last TraceTCP the engine goes on receiving
// what answers a SYN. While it does, the kernel makes for it a copy, without
// the data, of every TCP packet that somebody in the namespace receives: that
// is a few percent of the CPU time of such traffic.
const traceIdle = int64(time.Second)

// traces is what an engine needs for probes with a TTL or a flow of their own.
// Their packets are written here whole, IP header included: a kernel's socket
// has one TTL, one DF and one source port, and a trace has as many as it has
// hops and flows. Everything is opened at its first use.
type traces struct {
	tracers [2]*tracer   // by address family
	answers [2]*receiver // of TCP, by address family
	udp     portBlock
	tcp     portBlock
	syns    int   // TraceTCP in flight
	tcpUsed int64 // when the last of them was done, monotonic ns
}

// isTrace says whether a probe's packet is written by a tracer.
func isTrace(p Probe) bool {
	return p.Kind == TraceUDP || p.Kind == TraceTCP || p.Kind == ICMP && (p.TTL != 0 || p.Flow != 0)
}

// answeredByICMP says whether the engine's ICMP sockets receive the answers to
// probes of a kind.
func answeredByICMP(k Kind) bool { return k == ICMP || k == TraceUDP || k == TraceTCP }

func (e *Engine) sendTrace(f *flight, p Probe) {
	f.traced, f.path = true, uint8(p.Flow%traceFlows)
	if f.to.Port() == 0 {
		f.to = netip.AddrPortFrom(f.to.Addr(), defaultPort(p.Kind))
	}
	if f.kind == TraceTCP {
		e.traces.syns++
	}
	t, err := e.tracer(f)
	if err != nil {
		e.err = err
		e.finish(f, Result{Reason: Impaired})
		return
	}
	if t.sender.full() {
		t.sender.readStamps(&e.flights)
	}
	f.sent = e.now()
	if errno := t.trace(e, f, p); errno != 0 {
		e.finish(f, Result{Reason: reasonOfSendErrno(errno)})
		return
	}
	e.awaited(f)
	if e.drain == 0 && e.Batch > 0 {
		e.drain = e.answered(f.sent.mono)
	}
}

func defaultPort(k Kind) uint16 {
	switch k {
	case TraceUDP:
		return traceUDPPort
	case TraceTCP:
		return traceTCPPort
	}
	return 0
}

// tracer returns what sends a probe, with everything open that receives its
// answers.
func (e *Engine) tracer(f *flight) (*tracer, error) {
	is6, i := f.to.Addr().Is6(), family(f.to.Addr())
	if err := e.reservePorts(f.kind); err != nil {
		return nil, err
	}
	if _, err := e.icmpSocket(is6); err != nil {
		return nil, err
	}
	if f.kind == TraceTCP {
		if err := e.openAnswers(i); err != nil {
			return nil, err
		}
	}
	if e.traces.tracers[i] == nil {
		err := e.home.inside(func() (err error) {
			e.traces.tracers[i], err = openTracer(is6, e.Trace)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return e.traces.tracers[i], nil
}

// family returns the index of an address family: 0 for IPv4, 1 for IPv6.
func family(a netip.Addr) int {
	if a.Is6() {
		return 1
	}
	return 0
}

// reservePorts makes sure that a kind of trace has its source ports, and that
// ICMP errors about them are received.
func (e *Engine) reservePorts(k Kind) error {
	block, kind := &e.traces.udp, unix.SOCK_DGRAM
	switch k {
	case TraceTCP:
		block, kind = &e.traces.tcp, unix.SOCK_STREAM
	case TraceUDP:
	default:
		return nil
	}
	if block.base != 0 {
		return nil
	}
	reserve := func() error { return block.reserve(kind) }
	if port := e.Trace.LocalPort; port != 0 && k == TraceUDP {
		reserve = func() error { return block.take(kind, port) }
	}
	if err := e.home.inside(reserve); err != nil {
		return fmt.Errorf("%s: %w", k, err)
	}
	for _, s := range e.sockets {
		if s == nil {
			continue
		}
		if err := attachFilter(s.fd, e.icmpFilter(s.is6).program()); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
	}
	return nil
}

// icmpFilter is the filter of the sockets that receive ICMP.
func (e *Engine) icmpFilter(is6 bool) icmpFilter {
	return icmpFilter{is6: is6, id: e.id, udp: e.traces.udp.base, tcp: e.traces.tcp.base}
}

// done notes that an answer to a probe is not awaited any more.
func (t *traces) done(f *flight, e *Engine) {
	if f.kind != TraceTCP {
		return
	}
	t.syns--
	if t.syns == 0 {
		t.tcpUsed = e.now().mono
	}
}

// tidy closes the sockets that receive TCP when they are not used any more.
func (t *traces) tidy(e *Engine, now moment) {
	if t.answers[0] == nil && t.answers[1] == nil || t.syns > 0 || now.mono-t.tcpUsed < traceIdle {
		return
	}
	for i, r := range t.answers {
		if r != nil {
			e.pollReceiver(r, 0, false)
			r.close()
			t.answers[i] = nil
		}
	}
}

func (t *traces) close() {
	for i := range 2 {
		if t.tracers[i] != nil {
			t.tracers[i].close()
		}
		if t.answers[i] != nil {
			t.answers[i].close()
		}
	}
	t.udp.close()
	t.tcp.close()
}
