package probers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Defaults of an Engine's settings.
const (
	DefaultBatch     = 25 * time.Millisecond
	DefaultThreshold = 50 * time.Millisecond
)

// An Engine sends probes from one network namespace and collects what comes
// back. It belongs to one goroutine, except Wake.
//
// Probes of any number of targets share it: ICMP has two sockets per address
// family, TCP one per probe in flight, and there are no goroutines. RTTs are
// the kernel's own, so results may be read late without being wrong, and are:
// see Batch.
type Engine struct {
	// Batch is how far apart the moments are at which the engine works, so that
	// it wakes up once for many answers, and its caller for many sends: to wake
	// up costs several times what a probe does. The moments are multiples of it
	// by the kernel's monotonic clock, and so the same for all engines of a
	// machine. It delays probes and results by so much at most, and changes
	// none. 0 means that Poll returns as soon as an answer is there; change from
	// or to 0 only while nothing is in flight.
	Batch time.Duration

	// Threshold is how long the engine may be kept from working before a
	// probe that fails for want of an answer meanwhile is Impaired.
	Threshold time.Duration

	// Trace is what the packets of traces have in common. Change it only
	// before the first of them.
	Trace TraceOptions

	base      time.Time // where the monotonic clock of moments begins
	zero      int64     // the same by the kernel's clock, ns
	home      home
	wait      *waiter
	id        uint16
	cookie    uint32
	ephemeral uint16 // local ports begin here
	sockets   [2]*icmpSocket
	err       error
	pools     [2]tcpPool
	udp       udpProbes
	traces    traces
	routes    routes
	address   sockaddr

	flights   ring
	inFlight  int
	icmp      int       // probes in flight that the ICMP sockets receive the answers to
	deadlines deadlines // of all in flight
	young     fifo      // TCP probes to be looked at first when their batch is due
	silent    fifo      // TCP probes that were not answered by then, by when they are to be given up
	drain     int64     // when ICMP answers are to be read, monotonic ns; 0: nothing is awaited
	left      int64     // when Poll returned last, monotonic ns
	worked    int64     // when the engine worked last, monotonic ns
	lastRead  int64     // when ICMP answers were read last, monotonic ns
	windows   windows
	ready     []Result
	info      tcpInfo
	stats     Stats
}

// Stats is what an Engine knows about itself. All but InFlight and
// LongestDelay only grow.
type Stats struct {
	InFlight     int           // probes that have no outcome yet
	Sent         uint64        // probes given to Send
	Polls        uint64        // times that the engine worked
	LatePolls    uint64        // of those, how many ran later than Threshold after they were due with probes in flight
	Delay        time.Duration // by how much they were late, summed
	LongestDelay time.Duration // the largest of those since the last call of Stats
	Drops        uint64        // replies that were lost because a socket buffer was full
	NoTimestamp  uint64        // replies whose RTT is not by the kernel's clock but an upper bound
	Foreign      uint64        // ICMP packets that passed the filter and belong to no probe
}

// NewEngine returns an Engine that probes from the network namespace of the
// calling thread, from wherever it is used later.
func NewEngine() (*Engine, error) {
	at, err := openHome()
	if err != nil {
		return nil, fmt.Errorf("probe engine: %w", err)
	}
	wait, err := newWaiter()
	if err != nil {
		at.file.Close()
		return nil, fmt.Errorf("probe engine: %w", err)
	}
	e := &Engine{
		Batch: DefaultBatch, Threshold: DefaultThreshold,
		base:      time.Now().Add(-time.Second), // no moment is 0
		zero:      monotonic() - int64(time.Second),
		home:      at,
		wait:      wait,
		pools:     [2]tcpPool{{is6: false}, {is6: true}},
		udp:       newUDPProbes(),
		id:        uint16(rand.Uint32()) &^ flowMask,
		cookie:    rand.Uint32(),
		ephemeral: firstLocalPort(),
		flights:   newRing(),
	}
	e.left = e.now().mono
	return e, nil
}

// Send sends a probe. It never blocks; a local failure is a Result of the
// next Poll.
func (e *Engine) Send(p Probe) {
	e.stats.Sent++
	if isTrace(p) && !quotable(e.flights.last+1) {
		e.flights.last++
	}
	f := e.flights.add()
	if f == nil {
		e.ready = append(e.ready, Result{Tag: p.Tag, Event: Done, Reason: LocalBuffer})
		return
	}
	f.tag, f.kind, f.timeout, f.fd = p.Tag, p.Kind, p.Timeout, -1
	f.to = netip.AddrPortFrom(p.To.Addr().Unmap(), p.To.Port())
	e.inFlight++
	switch {
	case isTrace(p) && f.to.Addr().IsValid():
		e.icmp++
		e.sendTrace(f, p)
	case p.Kind == ICMP && f.to.Addr().IsValid():
		e.icmp++
		e.sendICMP(f, p.Size)
	case p.Kind == TCP && f.to.Addr().IsValid():
		e.sendTCP(f)
	case p.Kind == UDP && f.to.Addr().IsValid():
		f.port = uint8(p.Flow % udpPorts)
		e.sendUDP(f, p)
	case p.Kind == TCPTransfer && f.to.Addr().IsValid():
		e.sendTransfer(f, p.Size)
	default:
		e.err = fmt.Errorf("probe of kind %d to %s: not possible", p.Kind, p.To)
		e.finish(f, Result{Reason: Impaired})
	}
}

// awaited starts the clock of a probe that was sent.
func (e *Engine) awaited(f *flight) {
	if e.inFlight == 1 {
		e.left = f.sent.mono // until now there was nothing to be late for
	}
	e.deadlines.push(deadline{f.sent.mono + int64(f.timeout), f.number})
}

// finish reports a probe's outcome.
func (e *Engine) finish(f *flight, r Result) {
	if f.fd >= 0 {
		closeFD(f.fd)
		f.fd = -1
	}
	if f.watched {
		e.wait.closed()
	}
	f.done = true
	e.inFlight--
	if answeredByICMP(f.kind) {
		e.icmp--
		e.traces.done(f, e)
	}
	if f.flow != nil {
		e.doneUDP(f, &r)
	}
	if f.transfer != nil {
		r.Transfer, f.transfer = &f.transfer.Transfer, nil
	}
	r.Tag, r.Event = f.tag, Done
	e.ready = append(e.ready, r)
}

// Err returns the last error that kept the engine from probing at all, such
// as a missing capability. The probes concerned were Impaired.
func (e *Engine) Err() error { return e.err }

// SetBatch sets Batch.
func (e *Engine) SetBatch(d time.Duration) { e.Batch = d }

// Stats returns what the engine knows about itself.
func (e *Engine) Stats() Stats {
	s := e.stats
	s.InFlight = e.inFlight
	e.stats.LongestDelay = 0
	return s
}

// Wake makes a Poll that waits return, or the next one. It may be called from
// any goroutine, after Close too.
func (e *Engine) Wake() { e.wait.ring() }

// Close ends all probes without a Result and closes the sockets.
func (e *Engine) Close() error {
	for i := range e.flights.flights {
		if f := &e.flights.flights[i]; f.number != 0 && !f.done && f.fd >= 0 {
			closeFD(f.fd)
		}
	}
	for _, s := range e.sockets {
		if s != nil {
			s.close()
		}
	}
	for i := range e.pools {
		e.pools[i].close()
	}
	e.udp.close()
	e.traces.close()
	e.routes.close()
	e.wait.close()
	if err := e.home.file.Close(); err != nil {
		return fmt.Errorf("probe engine: %w", err)
	}
	return nil
}

func (e *Engine) now() moment {
	t := time.Now()
	return moment{mono: int64(t.Sub(e.base)), wall: t.UnixNano()}
}

// monotonic returns the kernel's monotonic clock in ns; 0 if it has none.
func monotonic() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return t.Nano()
}

// Once sends a probe and waits for its outcome. Other results are discarded:
// the engine must not have other probes in flight. A probe that failed is no
// error; an engine that cannot probe is.
func Once(ctx context.Context, e *Engine, p Probe) (Result, error) {
	batch := e.Batch
	e.Batch, e.err = 0, nil
	defer func() { e.Batch = batch }()
	stop := context.AfterFunc(ctx, e.Wake)
	defer stop()

	e.Send(p)
	number := e.flights.last
	var results []Result
	for ctx.Err() == nil {
		results = e.Poll(time.Now().Add(time.Hour), results[:0])
		for _, r := range results {
			if r.Event == Done && r.Tag == p.Tag {
				return r, e.err
			}
		}
	}
	e.abandon(number)
	return Result{}, fmt.Errorf("probe %s: %w", p.To, ctx.Err())
}

// abandon ends a probe without a Result.
func (e *Engine) abandon(number uint64) {
	if f := e.flights.find(number); f != nil && !f.done {
		e.finish(f, Result{})
		e.ready = e.ready[:len(e.ready)-1]
	}
}

// scope returns the interface index of an IPv6 zone, 0 if there is none.
func scope(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0
	}
	return uint32(i.Index)
}

// firstLocalPort returns where the kernel's range of local ports begins in the
// network namespace of the calling thread; 1024 if that cannot be known.
func firstLocalPort() uint16 {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 1024
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\t")
	n, err := strconv.ParseUint(first, 10, 16)
	if err != nil {
		return 1024
	}
	return uint16(n)
}
