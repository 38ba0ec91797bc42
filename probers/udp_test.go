package probers

import (
	"context"
	"net/netip"
	"testing"
	"time"
)

var testKey = []byte("secret")

// respond runs a responder in the namespace until the test ends.
func (s *space) respond(t testing.TB, opts ResponderOptions) *Responder {
	t.Helper()
	if opts.Listen == "" {
		opts.Listen = ":9798"
	}
	if opts.Node == "" {
		opts.Node = "n2"
	}
	var r *Responder
	var err error
	s.do(func() { r, err = NewResponder(opts) })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

func udp(tag uint64, to string) Probe {
	return Probe{Tag: tag, Kind: UDP, To: netip.MustParseAddrPort(to), Timeout: timeout}
}

func TestUDPProbeIsAnswered(t *testing.T) {
	near, far := pair(t)
	near.wait(t, "10.9.0.2", "fd09::2")
	far.respond(t, ResponderOptions{Key: testKey})
	for _, to := range []string{far4, far6, "[::ffff:10.9.0.2]:9798"} {
		for _, size := range []int{0, 500, 1500} {
			e := near.engine(t)
			e.SetKey(testKey)
			for flow := range uint16(20) {
				p := udp(uint64(flow), to)
				p.Flow, p.Size, p.Identity = flow, size, UDPIdentity("n2", "", "")
				got := near.probe(t, e, p)
				if got.Reason != OK || got.RTT <= 0 || got.RTT > timeout || got.From != p.To.Addr().Unmap() {
					t.Errorf("%s: got %+v; want success", to, got)
				}
				sum := got.OneWay.Forward + got.OneWay.Reverse
				if got.OneWay.Forward <= 0 || got.OneWay.Reverse <= 0 || got.Delay <= 0 || sum != got.RTT {
					t.Errorf("%s: got %+v; want one-way times that make the RTT", to, got)
				}
				if flow == 0 {
					t.Logf("%s %d: %+v", to, size, got)
				}
			}
			if s := e.Stats(); s.InFlight != 0 || s.NoTimestamp != 0 || s.Foreign != 0 {
				t.Errorf("%s: Stats() = %+v", to, s)
			}
		}
	}
}

// A responder that works now and then keeps a request for a while, and that is
// no part of the round trip.
func TestTheStayAtAResponderIsNoPartOfTheRTT(t *testing.T) {
	near, far := pair(t)
	near.wait(t, "10.9.0.2", "fd09::2")
	const batch = 100 * time.Millisecond
	far.respond(t, ResponderOptions{Key: testKey, Batch: batch})
	for _, to := range []string{far4, far6} {
		e := near.engine(t)
		e.SetKey(testKey)
		var kept time.Duration
		for tag := range uint64(10) { // at whichever moment between two of the responder's
			got := near.probe(t, e, udp(tag, to))
			if sum := got.OneWay.Forward + got.OneWay.Reverse; got.Reason != OK || got.RTT <= 0 || sum != got.RTT {
				t.Errorf("%s: got %+v; want success, and one-way times that make the RTT", to, got)
			}
			if got.Delay > batch/2 && got.RTT > got.Delay {
				t.Errorf("%s: RTT %v, and kept for %v; want a round trip without that", to, got.RTT, got.Delay)
			}
			kept = max(kept, got.Delay)
		}
		if kept < batch/2 || kept > timeout {
			t.Errorf("%s: kept for %v at most; want some of %v", to, kept, batch)
		}
	}
}

func TestAReplyAnnouncesTheStateOfTheNode(t *testing.T) {
	near, far := pair(t)
	near.wait(t, "10.9.0.2", "fd09::2")
	r := far.respond(t, ResponderOptions{Key: testKey})
	e := near.engine(t)
	e.SetKey(testKey)
	for _, want := range []UDPState{UDPUsual, UDPCordoned, UDPDraining, UDPUsual} {
		r.Announce(want)
		if got := near.probe(t, e, udp(uint64(want), far4)); got.Reason != OK || got.State != want {
			t.Errorf("got %+v; want state %d", got, want)
		}
	}
}
