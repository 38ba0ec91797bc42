package probers

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// ResponderOptions is what a responder is told.
type ResponderOptions struct {
	Listen string // ":9798", "IPv4:PORT" or "[IPv6]:PORT"; TCP and UDP; without address both families

	// Who it says it is. Namespace and Pod are empty for the node itself.
	Node, Namespace, Pod string
	Version              string // of the program

	// Batch is how far apart the moments are at which the responder works:
	// multiples of it by the kernel's monotonic clock, as [Engine.Batch]. A
	// handshake is the kernel's and takes no notice. A reply to UDP says how long
	// its request was kept, by the kernel's time of arrival, so that round trips
	// and one-way delays are measured without it. But whoever sends a line or a
	// request of HTTP waits for up to so long. 0: everything is dealt with as it
	// comes, which costs a wake-up or two for every probe.
	Batch time.Duration

	Key        []byte // of the cluster; UDP is not answered without it
	MaxReplies int    // UDP replies per second, 0 means 10,000
}

// ResponderStats counts what a responder has done since it was made.
type ResponderStats struct {
	Connections uint64 // accepted
	Silent      uint64 // ended without a byte: handshake probes
	Texts       uint64 // answered with one line
	HTTP        uint64 // requests answered
	Overloaded  uint64 // closed at once because too many were open

	UDPReplies         uint64
	UDPMalformed       uint64 // no packets of ours, or no requests
	UDPUnauthenticated uint64 // made with another key
	UDPLimited         uint64 // not answered because of the rate
	UDPErrors          uint64 // reply refused by the local kernel
}

// Responder answers probes: TCP handshakes, a line of text, HTTP requests and
// UDP packets, all on one port. It needs no privilege.
type Responder struct {
	opts ResponderOptions
	addr netip.AddrPort // that it listens on
	gate *gate

	counters responderCounters
	state    atomic.Uint32 // UDPState
}

type responderCounters struct {
	connections, silent, texts, http, overloaded             atomic.Uint64
	replies, malformed, unauthenticated, limited, unsendable atomic.Uint64

	sources sources
}

// NewResponder opens the sockets, in the caller's network namespace. Without
// an address they take IPv6 as well as IPv4 where the machine has it.
func NewResponder(opts ResponderOptions) (*Responder, error) {
	opts.MaxReplies = cmp.Or(opts.MaxReplies, 10_000)
	r := &Responder{opts: opts}
	if err := r.open(); err != nil {
		r.Close()
		return nil, fmt.Errorf("responder: %w", err)
	}
	return r, nil
}

// open opens the sockets. The net package makes them, and keeps no hold of
// them: it would wake the runtime's poller for each packet.
func (r *Responder) open() error {
	gate, err := newGate(&r.counters, identityLine(r.opts), r.opts.Batch)
	if err != nil {
		return err
	}
	r.gate = gate

	// The backlog is net.core.somaxconn of the namespace.
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", r.opts.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	r.addr = l.Addr().(*net.TCPAddr).AddrPort()
	if err := gate.listen(l.(*net.TCPListener)); err != nil {
		return err
	}
	if len(r.opts.Key) == 0 {
		return nil
	}
	host, _, err := net.SplitHostPort(r.opts.Listen)
	if err != nil {
		return err
	}
	same := net.JoinHostPort(host, fmt.Sprint(r.addr.Port())) // the one that a port of 0 became
	c, err := lc.ListenPacket(context.Background(), "udp", same)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // the gate has a duplicate
	return gate.echo(c.(*net.UDPConn), newUDPEcho(r.opts, &r.counters, &r.state))
}

// Addr returns where the responder listens.
func (r *Responder) Addr() netip.AddrPort {
	return netip.AddrPortFrom(r.addr.Addr().Unmap(), r.addr.Port())
}

// UDP reports whether UDP is answered: only with a key.
func (r *Responder) UDP() bool { return r.gate.udp >= 0 }

// Close closes the sockets. Run does it when it ends.
func (r *Responder) Close() {
	if r.gate != nil {
		r.gate.close()
	}
}

// Run answers until ctx ends, and then returns nil once every connection is
// closed. It is called once. Another error means that the sockets cannot be
// used any more.
func (r *Responder) Run(ctx context.Context) error {
	talk := newTalk(r)
	var running sync.WaitGroup
	running.Go(talk.serveHTTP)
	stop := context.AfterFunc(ctx, r.gate.wake)
	defer stop()

	err := r.gate.run(talk.start)
	r.Close()
	talk.stop()
	running.Wait()
	if err != nil {
		return fmt.Errorf("responder: %w", err)
	}
	return nil
}

// Announce sets what UDP replies say of the node from now on. It may be called
// at any time.
func (r *Responder) Announce(s UDPState) { r.state.Store(uint32(s)) }

// Stats returns the counters. It may be called at any time.
func (r *Responder) Stats() ResponderStats {
	c := &r.counters
	return ResponderStats{
		Connections: c.connections.Load(), Silent: c.silent.Load(), Texts: c.texts.Load(),
		HTTP: c.http.Load(), Overloaded: c.overloaded.Load(),
		UDPReplies: c.replies.Load(), UDPMalformed: c.malformed.Load(), UDPUnauthenticated: c.unauthenticated.Load(),
		UDPLimited: c.limited.Load(), UDPErrors: c.unsendable.Load(),
	}
}

// ReadKeyFile returns the cluster's key: the content of the file without the
// white space around it. No path means no key. An empty file is an error.
func ReadKeyFile(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	key := bytes.TrimSpace(data)
	if len(key) == 0 {
		return nil, fmt.Errorf("key file: %s is empty; put the same random text into it on every node", path)
	}
	return key, nil
}
