package probers

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func bothFamilies(t *testing.T, f func(t *testing.T, e *Engine, d tun, to string)) {
	for name, to := range map[string]string{"IPv4": tun4, "IPv6": tun6} {
		t.Run(name, func(t *testing.T) {
			s := newSpace(t)
			d := s.tun(t)
			f(t, s.engine(t), d, to)
		})
	}
}

func want(t *testing.T, got []Result, want ...Result) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.IgnoreFields(Result{}, "From")); diff != "" {
		t.Errorf("results differ (-want +got):\n%s", diff)
	}
}

func TestReplyAfterTheTimeoutIsLate(t *testing.T) {
	bothFamilies(t, func(t *testing.T, e *Engine, d tun, to string) {
		e.Send(ping(1, to, 30*time.Millisecond))
		request := d.request(t)
		want(t, next(t, e), Result{Tag: 1, Event: Done, Reason: Timeout})

		e.Send(ping(2, to, 10*time.Second)) // keeps the engine reading
		second := d.request(t)
		d.write(t, answer(request, nil))
		d.write(t, answer(second, nil))
		want(t, next(t, e), Result{Tag: 1, Event: Late}, Result{Tag: 2, Event: Done})
	})
}

func TestSecondReplyIsADuplicate(t *testing.T) {
	bothFamilies(t, func(t *testing.T, e *Engine, d tun, to string) {
		e.Send(ping(1, to, 10*time.Second))
		request := d.request(t)
		d.write(t, answer(request, nil))
		d.write(t, answer(request, nil))
		want(t, next(t, e), Result{Tag: 1, Event: Done}, Result{Tag: 1, Event: Duplicate})
	})
}

func TestReplyWithAChangedPayloadIsBad(t *testing.T) {
	changes := map[string]func(icmp []byte){
		"a byte of the pattern": func(icmp []byte) { icmp[len(icmp)-1] ^= 1 },
		"the magic":             func(icmp []byte) { icmp[icmpHeader] ^= 1 },
		"the probe number":      func(icmp []byte) { icmp[icmpHeader+probeStamp-1] ^= 1 },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			bothFamilies(t, func(t *testing.T, e *Engine, d tun, to string) {
				p := ping(1, to, 10*time.Second)
				p.Size = 100
				e.Send(p)
				d.write(t, answer(d.request(t), change))
				want(t, next(t, e), Result{Tag: 1, Event: Done, Reason: BadReply})
			})
		})
	}
}

func TestReplyThatWasCutShortIsBad(t *testing.T) {
	s := newSpace(t)
	d, e := s.tun(t), s.engine(t)
	p := ping(1, tun4, 10*time.Second)
	p.Size = 100
	e.Send(p)
	b := answer(d.request(t), nil)[:90]
	binary.BigEndian.PutUint16(b[2:], 90)
	binary.BigEndian.PutUint16(b[10:], 0)
	binary.BigEndian.PutUint16(b[10:], checksum(b[:ipv4Header]))
	seal(b)
	d.write(t, b)
	want(t, next(t, e), Result{Tag: 1, Event: Done, Reason: BadReply})
}

func TestReplyFromAnotherAddressHasTheWrongIdentity(t *testing.T) {
	bothFamilies(t, func(t *testing.T, e *Engine, d tun, to string) {
		e.Send(ping(1, to, 10*time.Second))
		b := answer(d.request(t), nil)
		if b[0]>>4 == 4 {
			b[15] = 9
			binary.BigEndian.PutUint16(b[10:], 0)
			binary.BigEndian.PutUint16(b[10:], checksum(b[:ipv4Header]))
		} else {
			b[23] = 9
			seal(b)
		}
		d.write(t, b)
		want(t, next(t, e), Result{Tag: 1, Event: Done, Reason: WrongIdentity})
	})
}

func TestRepliesToOthersAreIgnored(t *testing.T) {
	changes := map[string]func(icmp []byte){
		"another id":                  func(icmp []byte) { icmp[4] ^= 1 },
		"another engine's cookie":     func(icmp []byte) { icmp[icmpHeader+4] ^= 1 },
		"a sequence number not sent":  func(icmp []byte) { icmp[6] ^= 0x40 },
		"another type":                func(icmp []byte) { icmp[0] = 13 },
		"another type, of neither IP": func(icmp []byte) { icmp[0] = 200 },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			bothFamilies(t, func(t *testing.T, e *Engine, d tun, to string) {
				e.Send(ping(1, to, 10*time.Second))
				request := d.request(t)
				d.write(t, answer(request, change))
				d.write(t, answer(request, nil))
				want(t, next(t, e), Result{Tag: 1, Event: Done})
			})
		})
	}
}

func TestEngineThatWasStopped(t *testing.T) {
	bothFamilies(t, func(t *testing.T, e *Engine, d tun, to string) {
		e.Threshold = DefaultThreshold
		e.Send(ping(0, to, 10*time.Second)) // the kernel's timestamps are on after this
		d.write(t, answer(d.request(t), nil))
		next(t, e)

		const timeout = 300 * time.Millisecond
		e.Send(ping(1, to, timeout))
		e.Send(ping(2, to, timeout))
		answered := d.request(t)
		unanswered := d.request(t)
		d.write(t, answer(answered, nil))
		<-time.After(2 * timeout) // a stop of the process looks the same: Poll is not called
		d.write(t, answer(unanswered, nil))

		want(t, next(t, e),
			Result{Tag: 1, Event: Done}, // its reply was in time, though read late
			Result{Tag: 2, Event: Done, Reason: Impaired},
			Result{Tag: 2, Event: Late})
		if s := e.Stats(); s.LatePolls != 1 || s.LongestDelay < 2*timeout {
			t.Errorf("Stats() = %+v; want one late poll", s)
		}
	})
}

func TestConnectionOfAnEngineThatWasStopped(t *testing.T) {
	near, far := pair(t)
	near.wait(t, "10.9.0.2")
	far.listen(t, "tcp", ":9798")
	e := near.engine(t)
	e.Threshold = DefaultThreshold
	to := netip.MustParseAddrPort(far4)
	e.Send(Probe{Tag: 1, Kind: TCP, To: to, Timeout: 60 * time.Millisecond})
	e.Send(Probe{Tag: 2, Kind: TCP, To: netip.MustParseAddrPort("10.9.0.77:1"), Timeout: 60 * time.Millisecond})
	<-time.After(200 * time.Millisecond)
	got := e.Poll(time.Now().Add(time.Second), nil)
	for i := range got {
		got[i].RTT = 0
	}
	want(t, got, Result{Tag: 1, Event: Done}, Result{Tag: 2, Event: Done, Reason: Impaired})
}

func TestLostRepliesOfAFullBufferAreImpaired(t *testing.T) {
	near, _ := pair(t)
	near.wait(t, "10.9.0.2")
	e := near.engine(t)
	const n = 20000
	for i := range uint64(n) {
		e.Send(ping(i, "10.9.0.2:0", 50*time.Millisecond))
	}
	reasons := map[Reason]int{}
	for seen := 0; seen < n; {
		for _, r := range e.Poll(time.Now().Add(time.Second), nil) {
			reasons[r.Reason]++
			seen++
		}
	}
	s := e.Stats()
	if s.Drops == 0 || reasons[Impaired] != int(s.Drops) || reasons[Timeout] != 0 {
		t.Errorf("outcomes %v with %d replies dropped; want as many impaired, and no time-out", reasons, s.Drops)
	}
}
