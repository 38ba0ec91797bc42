package probers

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// relay is a wire between an engine and a real responder, whose packets the
// test carries: late, twice, in another order, or changed.
type relay struct {
	e         *Engine
	near, far tun
	to        string
}

// overRelay runs a test over both families.
func overRelay(t *testing.T, f func(t *testing.T, r relay)) {
	for name, to := range map[string]string{"IPv4": "10.7.0.2:9798", "IPv6": "[fd07::2]:9798"} {
		t.Run(name, func(t *testing.T) {
			near, far := newSpace(t), newSpace(t)
			r := relay{near: near.tun(t), far: far.tunWith(t, "10.7.0.2/16", "fd07::2/64"), to: to}
			far.wait(t, "10.7.0.2", "fd07::2")
			far.respond(t, ResponderOptions{Key: testKey})
			r.e = near.engine(t)
			r.e.SetKey(testKey)
			f(t, r)
			if t.Failed() {
				t.Logf("%+v", r.e.Stats())
			}
		})
	}
}

// send sends probes 1, 2… of one flow and returns their packets.
func (r relay) send(t *testing.T, n int, timeout time.Duration) [][]byte {
	t.Helper()
	var requests [][]byte
	for i := range n {
		p := udp(uint64(i+1), r.to)
		p.Timeout = timeout
		r.e.Send(p)
		requests = append(requests, r.near.udp(t))
	}
	return requests
}

// carry takes a request to the responder and returns its reply.
func (r relay) carry(t *testing.T, request []byte) []byte {
	t.Helper()
	r.far.write(t, request)
	return r.far.udp(t)
}

// udp returns the next UDP packet that was sent.
func (d tun) udp(t testing.TB) []byte {
	t.Helper()
	b := make([]byte, 2048)
	d.file.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		n, err := d.file.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if b[0]>>4 == 4 && b[9] == 17 || b[0]>>4 == 6 && b[6] == 17 {
			return bytes.Clone(b[:n])
		}
	}
}

// sealUDP sets the UDP checksum of a packet (RFC 768, RFC 8200).
func sealUDP(b []byte) {
	header, addresses := ipv4Header, b[12:20]
	if b[0]>>4 == 6 {
		header, addresses = ipv6Header, b[8:40]
	} else {
		binary.BigEndian.PutUint16(b[10:], 0)
		binary.BigEndian.PutUint16(b[10:], checksum(b[:ipv4Header]))
	}
	datagram := b[header:]
	binary.BigEndian.PutUint16(datagram[6:], 0)
	pseudo := bytes.Clone(addresses)
	pseudo = binary.BigEndian.AppendUint16(pseudo, 17)
	pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(datagram)))
	binary.BigEndian.PutUint16(datagram[6:], checksum(append(pseudo, datagram...)))
}

// events polls until there are as many results, and leaves of them what does
// not depend on time.
func (r relay) events(t *testing.T, n int) []Result {
	t.Helper()
	var out []Result
	for len(out) < n {
		before := len(out)
		if out = r.e.Poll(time.Now().Add(10*time.Second), out); len(out) == before {
			t.Fatalf("got %+v; want %d results", out, n)
		}
	}
	for i := range out {
		if (out[i].Event != Done || out[i].Reason == OK) && (out[i].RTT <= 0 || out[i].Delay <= 0) {
			t.Errorf("%+v: no RTT or no delay of the responder", out[i])
		}
		out[i].RTT, out[i].Delay, out[i].OneWay, out[i].From = 0, 0, OneWay{}, netip.Addr{}
	}
	return out
}

func wantEvents(t *testing.T, got []Result, want ...Result) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.IgnoreFields(Result{}, "From")); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

func TestRequestThatIsOvertakenIsReordered(t *testing.T) {
	overRelay(t, func(t *testing.T, r relay) {
		requests := r.send(t, 2, 2*time.Second)
		second := r.carry(t, requests[1])
		first := r.carry(t, requests[0])
		r.near.write(t, second)
		r.near.write(t, first)
		wantEvents(t, r.events(t, 2), Result{Tag: 2, Event: Done}, Result{Tag: 1, Event: Done, Reordered: Forward})
	})
}

func TestReplyThatIsOvertakenIsReordered(t *testing.T) {
	overRelay(t, func(t *testing.T, r relay) {
		requests := r.send(t, 2, 2*time.Second)
		first := r.carry(t, requests[0])
		second := r.carry(t, requests[1])
		r.near.write(t, second)
		r.near.write(t, first)
		wantEvents(t, r.events(t, 2), Result{Tag: 2, Event: Done}, Result{Tag: 1, Event: Done, Reordered: Reverse})
	})
}

func TestOrderOfDifferentFlowsDoesNotMatter(t *testing.T) {
	overRelay(t, func(t *testing.T, r relay) {
		var replies [][]byte
		ports := map[uint16]bool{}
		for flow := range uint16(udpPorts) {
			p := udp(uint64(flow), r.to)
			p.Flow, p.Timeout = flow, 2*time.Second
			r.e.Send(p)
			request := r.near.udp(t)
			ports[binary.BigEndian.Uint16(request[len(request)-udpPayload-udpHeader:])] = true
			replies = append(replies, r.carry(t, request))
		}
		for i := range replies {
			r.near.write(t, replies[len(replies)-1-i])
		}
		for _, result := range r.events(t, udpPorts) {
			if result.Reason != OK || result.Reordered != 0 {
				t.Errorf("got %+v; want success in order", result)
			}
		}
		if len(ports) != udpPorts {
			t.Errorf("%d source ports; want %d", len(ports), udpPorts)
		}
	})
}

func TestSecondUDPReplyIsADuplicate(t *testing.T) {
	for _, tt := range []struct {
		name string
		how  func(t *testing.T, r relay, request []byte) [2][]byte
		want Ways
	}{
		{"of a request that came twice", func(t *testing.T, r relay, request []byte) [2][]byte {
			return [2][]byte{r.carry(t, request), r.carry(t, request)}
		}, Forward},
		{"of a reply that came twice", func(t *testing.T, r relay, request []byte) [2][]byte {
			reply := r.carry(t, request)
			return [2][]byte{reply, reply}
		}, Reverse},
	} {
		t.Run(tt.name, func(t *testing.T) {
			overRelay(t, func(t *testing.T, r relay) {
				replies := tt.how(t, r, r.send(t, 1, 2*time.Second)[0])
				r.near.write(t, replies[0])
				r.near.write(t, replies[1])
				wantEvents(t, r.events(t, 2), Result{Tag: 1, Event: Done}, Result{Tag: 1, Event: Duplicate, Doubled: tt.want})
			})
		})
	}
}

func TestUDPReplyAfterTheTimeoutIsLate(t *testing.T) {
	overRelay(t, func(t *testing.T, r relay) {
		reply := r.carry(t, r.send(t, 1, 30*time.Millisecond)[0])
		wantEvents(t, r.events(t, 1), Result{Tag: 1, Event: Done, Reason: Timeout})
		second := r.carry(t, r.send(t, 1, 2*time.Second)[0])
		r.near.write(t, reply)
		r.near.write(t, second)
		wantEvents(t, r.events(t, 2), Result{Tag: 1, Event: Late}, Result{Tag: 1, Event: Done})
	})
}

// What comes when nothing is awaited is not left in the socket.
func TestUDPReplyWakesAnEngineThatAwaitsNone(t *testing.T) {
	overRelay(t, func(t *testing.T, r relay) {
		first := r.carry(t, r.send(t, 1, 2*time.Second)[0])
		r.near.write(t, first)
		wantEvents(t, r.events(t, 1), Result{Tag: 1, Event: Done})
		r.near.write(t, first)
		wantEvents(t, r.events(t, 1), Result{Tag: 1, Event: Duplicate, Doubled: Reverse})
		late := r.carry(t, r.send(t, 1, 30*time.Millisecond)[0])
		wantEvents(t, r.events(t, 1), Result{Tag: 1, Event: Done, Reason: Timeout})
		r.near.write(t, late)
		wantEvents(t, r.events(t, 1), Result{Tag: 1, Event: Late})
		polls := r.e.Stats().Polls
		if out := r.e.Poll(time.Now().Add(10*r.e.Batch), nil); len(out) != 0 || r.e.Stats().Polls-polls > 2 {
			t.Errorf("%d polls and %+v when nothing was to come", r.e.Stats().Polls-polls, out)
		}
	})
}

func TestUDPReplyThatWasChangedIsBad(t *testing.T) {
	changes := map[string]func(payload []byte) []byte{
		"a byte of the sequence number": func(b []byte) []byte { b[23] ^= 1; return b },
		"a byte of the padding":         func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"everything":                    func(b []byte) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") },
	}
	for name, change := range changes {
		for _, good := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				overRelay(t, func(t *testing.T, r relay) {
					reply := r.carry(t, r.send(t, 1, 300*time.Millisecond)[0])
					at := len(reply) - udpPayload
					bad := append(bytes.Clone(reply[:at]), change(bytes.Clone(reply[at:]))...)
					binary.BigEndian.PutUint16(bad[at-4:], uint16(len(bad)-at+udpHeader))
					if bad[0]>>4 == 4 {
						binary.BigEndian.PutUint16(bad[2:], uint16(len(bad)))
					} else {
						binary.BigEndian.PutUint16(bad[4:], uint16(len(bad)-ipv6Header))
					}
					sealUDP(bad)
					r.near.write(t, bad)
					if good {
						r.near.write(t, reply) // a stranger's packet does no harm
						wantEvents(t, r.events(t, 1), Result{Tag: 1, Event: Done})
						return
					}
					wantEvents(t, r.events(t, 1), Result{Tag: 1, Event: Done, Reason: BadReply})
				})
			})
		}
	}
}

func TestUDPReplyFromAnotherAddressHasTheWrongIdentity(t *testing.T) {
	overRelay(t, func(t *testing.T, r relay) {
		reply := r.carry(t, r.send(t, 1, 2*time.Second)[0])
		if reply[0]>>4 == 4 {
			reply[15] = 9
		} else {
			reply[23] = 9
		}
		sealUDP(reply)
		r.near.write(t, reply)
		wantEvents(t, r.events(t, 1), Result{Tag: 1, Event: Done, Reason: WrongIdentity})
	})
}

func TestUDPRepliesThatBelongToNoProbeAreIgnored(t *testing.T) {
	overRelay(t, func(t *testing.T, r relay) {
		codec := NewUDPCodec(testKey)
		reply := r.carry(t, r.send(t, 1, 2*time.Second)[0])
		payload := len(reply) - udpPayload
		p, err := codec.Parse(reply[payload:])
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range []func(*UDPPacket){
			func(p *UDPPacket) { p.Flow++ },
			func(p *UDPPacket) { p.Sequence += 1000 },
		} {
			other := bytes.Clone(reply)
			q := p
			change(&q)
			codec.Marshal(other[payload:], q)
			sealUDP(other)
			r.near.write(t, other)
		}
		r.near.write(t, reply)
		wantEvents(t, r.events(t, 1), Result{Tag: 1, Event: Done})
		if s := r.e.Stats(); s.Foreign != 2 {
			t.Errorf("Foreign = %d; want 2", s.Foreign)
		}
	})
}

// TestUDPErrorThatQuotesLittle has a router that quotes the eight bytes that
// RFC 792 asks for.
func TestUDPErrorThatQuotesLittle(t *testing.T) {
	overRelay(t, func(t *testing.T, r relay) {
		request := r.send(t, 1, 2*time.Second)[0]
		r.near.write(t, unreachable(request, udpHeader))
		icmp := ICMPError{From: netip.MustParseAddrPort(r.to).Addr(), Type: 3, Code: 1}
		if request[0]>>4 == 6 {
			icmp.Type, icmp.Code = 1, 3
		}
		wantEvents(t, r.events(t, 1), Result{Tag: 1, Event: Done, Reason: HostUnreachable, ICMP: icmp})
	})
}

// unreachable returns an ICMP error of the target about a packet, of which it
// quotes the IP header and some bytes more: host or address unreachable.
func unreachable(packet []byte, quoted int) []byte {
	if packet[0]>>4 == 4 {
		b := bytes.Clone(packet[:ipv4Header])
		copy(b[12:16], packet[16:20])
		copy(b[16:20], packet[12:16])
		b[9] = protocolICMP4
		b = append(b, unreachable4, hostUnreachable4, 0, 0, 0, 0, 0, 0)
		b = append(b, packet[:ipv4Header+quoted]...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		binary.BigEndian.PutUint16(b[10:], 0)
		binary.BigEndian.PutUint16(b[10:], checksum(b[:ipv4Header]))
		seal(b)
		return b
	}
	b := bytes.Clone(packet[:ipv6Header])
	copy(b[8:24], packet[24:40])
	copy(b[24:40], packet[8:24])
	b[6] = protocolICMP6
	b = append(b, unreachable6, addressUnreachable6, 0, 0, 0, 0, 0, 0)
	b = append(b, packet[:ipv6Header+quoted]...)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-ipv6Header))
	seal(b)
	return b
}

func TestUDPProbesOfAnEngineThatWasStopped(t *testing.T) {
	overRelay(t, func(t *testing.T, r relay) {
		r.e.Threshold = DefaultThreshold
		r.near.write(t, r.carry(t, r.send(t, 1, 2*time.Second)[0]))
		r.events(t, 1) // the kernel's timestamps are on after this
		const timeout = 300 * time.Millisecond
		requests := r.send(t, 2, timeout)
		r.near.write(t, r.carry(t, requests[0]))
		<-time.After(2 * timeout) // a stop of the process looks the same: Poll is not called
		r.near.write(t, r.carry(t, requests[1]))
		wantEvents(t, r.events(t, 3),
			Result{Tag: 1, Event: Done}, // its reply was in time, though read late
			Result{Tag: 2, Event: Done, Reason: Impaired},
			Result{Tag: 2, Event: Late})
	})
}
