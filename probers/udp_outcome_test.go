package probers

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// udpDirection matches UDP packets of the probe in one direction and only
// every so many of them.
func udpDirection(forward bool, every uint32, verdict expr.Any) []expr.Any {
	offset := uint32(0) // source port
	if forward {
		offset = 2
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_UDP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{9798 >> 8, 9798 & 0xff}},
		&expr.Numgen{Register: 1, Modulus: every, Type: unix.NFT_NG_INCREMENTAL},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{0, 0, 0, 0}},
		verdict,
	}
}

func TestUDPOutcome(t *testing.T) {
	input, output := nftables.ChainHookInput, nftables.ChainHookOutput
	tests := []struct {
		name   string
		breaks func(t *testing.T, near, far *space)
		key    string // of the responder
		node   string // that is expected to answer
		to     string
		size   int
		want   outcome
	}{
		{name: "the expected node answers over IPv4", node: "n2", to: far4},
		{name: "the expected node answers over IPv6", node: "n2", to: far6},
		{name: "another node answers over IPv4", node: "n3", to: far4, want: outcome{Reason: WrongIdentity}},
		{name: "another node answers over IPv6", node: "n3", to: far6, want: outcome{Reason: WrongIdentity}},
		{name: "the responder has another key", key: "other", to: far4, want: outcome{Reason: Timeout}},
		{
			name: "nobody listens on the IPv4 port", to: "10.9.0.2:9",
			want: outcome{Reason: PortUnreachable, From: "10.9.0.2", Type: 3, Code: 3},
		},
		{
			name: "nobody listens on the IPv6 port", to: "[fd09::2]:9",
			want: outcome{Reason: PortUnreachable, From: "fd09::2", Type: 1, Code: 4},
		},
		{name: "nobody listens on loopback", to: "127.0.0.1:9", want: outcome{Reason: PortUnreachable, From: "127.0.0.1", Type: 3, Code: 3}},
		{
			name:   "the target drops everything",
			breaks: func(t *testing.T, _, far *space) { far.filter(t, input, drop()) },
			to:     far4, want: outcome{Reason: Timeout},
		},
		{
			name: "the target rejects as administratively prohibited over IPv4",
			breaks: func(t *testing.T, _, far *space) {
				far.filter(t, input, reject(unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED))
			},
			to: far4, want: outcome{Reason: AdminProhibited, From: "10.9.0.2", Type: 3, Code: 13},
		},
		{
			name: "the target rejects as administratively prohibited over IPv6",
			breaks: func(t *testing.T, _, far *space) {
				far.filter(t, input, reject(unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED))
			},
			to: far6, want: outcome{Reason: AdminProhibited, From: "fd09::2", Type: 1, Code: 1},
		},
		{
			name:   "this node drops what it sends over IPv4",
			breaks: func(t *testing.T, near, _ *space) { near.filter(t, output, drop()) },
			to:     far4, want: outcome{Reason: LocalDenied},
		},
		{
			name:   "this node drops what it sends over IPv6",
			breaks: func(t *testing.T, near, _ *space) { near.filter(t, output, drop()) },
			to:     far6, want: outcome{Reason: LocalDenied},
		},
		{name: "there is no IPv4 route", to: "10.8.0.1:1", want: outcome{Reason: NoRoute}},
		{name: "there is no IPv6 route", to: "[fd08::1]:1", want: outcome{Reason: NoRoute}},
		{name: "the packet is larger than the IPv4 interface's MTU", to: far4, size: 1501, want: outcome{Reason: FragNeeded}},
		{name: "the packet is larger than the IPv6 interface's MTU", to: far6, size: 1501, want: outcome{Reason: FragNeeded}},
		{name: "the packet is as large as the IPv6 interface's MTU", to: far6, size: 1500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			near, far := pair(t)
			near.wait(t, "10.9.0.2", "fd09::2")
			if tt.key == "" {
				tt.key = string(testKey)
			}
			far.respond(t, ResponderOptions{Key: []byte(tt.key)})
			if tt.breaks != nil {
				tt.breaks(t, near, far)
			}
			e := near.engine(t)
			e.SetKey(testKey)
			p := udp(7, tt.to)
			p.Size, p.DontFragment, p.Timeout = tt.size, true, allow(tt.want.Reason)
			if tt.node != "" {
				p.Identity = UDPIdentity(tt.node, "", "")
			}
			for range 2 { // an ICMP error about the first must not spoil the second
				got := near.probe(t, e, p)
				if diff := cmp.Diff(tt.want, outcomeOf(got)); diff != "" {
					t.Errorf("outcome differs (-want +got):\n%s", diff)
				}
				if ok := got.RTT > 0 && got.RTT < timeout; got.Tag != 7 || ok != (got.Reason == OK) {
					t.Errorf("got %+v; want tag 7, and an RTT in case of success only", got)
				}
			}
			if s := e.Stats(); s.InFlight != 0 || s.NoTimestamp != 0 || s.Foreign != 0 {
				t.Errorf("Stats() = %+v; want nothing in flight and an exact RTT of everything", s)
			}
		})
	}
}

func TestUDPProbeWithoutAKeyIsNoPacketLoss(t *testing.T) {
	near := newSpace(t)
	e := near.engine(t)
	for _, key := range [][]byte{nil, {}} {
		e.SetKey(key)
		got, err := Once(t.Context(), e, udp(1, "127.0.0.1:9798"))
		if got.Reason != Impaired || !errors.Is(err, ErrNoKey) {
			t.Errorf("Once() = %+v, %v; want %s and %v", got, err, Impaired, ErrNoKey)
		}
	}
}

// TestUDPErrorsAreOfTheirOwnProbe has targets that fail and targets that
// answer share their sockets.
func TestUDPErrorsAreOfTheirOwnProbe(t *testing.T) {
	near, far := pair(t)
	near.wait(t, "10.9.0.2", "fd09::2")
	far.sysctl(t, "net/ipv4/icmp_ratelimit", "0")
	far.sysctl(t, "net/ipv6/icmp/ratelimit", "0")
	far.sysctl(t, "net/ipv4/icmp_msgs_burst", "10000")
	far.sysctl(t, "net/ipv4/icmp_msgs_per_sec", "10000")
	far.respond(t, ResponderOptions{Key: testKey})
	e := near.engine(t)
	e.SetKey(testKey)
	const n = 2000
	want := []Reason{OK, PortUnreachable, OK, PortUnreachable, NoRoute}
	to := []string{far4, "10.9.0.2:9", far6, "[fd09::2]:9", "10.8.0.1:9798"}
	seen := 0
	var out []Result
	take := func() {
		for _, r := range out {
			if r.Event != Done || r.Reason != want[r.Tag%5] {
				t.Errorf("got %+v; want %q", r, want[r.Tag%5])
			}
			seen++
		}
	}
	for i := range uint64(n) {
		p := udp(i, to[i%5])
		p.Flow, p.Timeout = uint16(i/5), 5*time.Second
		e.Send(p)
		if i%20 == 19 {
			out = e.Poll(time.Now(), out[:0])
			take()
		}
	}
	for seen < n {
		out = e.Poll(time.Now().Add(10*time.Second), out[:0])
		take()
	}
	if s := e.Stats(); s.InFlight != 0 || s.Foreign != 0 || s.NoTimestamp != 0 {
		t.Errorf("Stats() = %+v", s)
	}
}

func TestUDPLossIsToldByDirection(t *testing.T) {
	const n = 300
	for _, tt := range []struct {
		name    string
		forward bool
		burst   int
	}{
		{"requests are lost", true, 1},
		{"replies are lost", false, 1},
		{"requests of pairs are lost", true, 2},
		{"replies of pairs are lost", false, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, to := range []string{far4, far6} {
				near, far := pair(t)
				near.wait(t, "10.9.0.2", "fd09::2")
				far.respond(t, ResponderOptions{Key: testKey})
				hook := nftables.ChainHookOutput
				if tt.forward {
					hook = nftables.ChainHookInput
				}
				far.filter(t, hook, udpDirection(tt.forward, 7, drop())...)
				e := near.engine(t)
				e.SetKey(testKey)
				e.Batch = 0
				var sum Losses
				lost := 0
				for i := 0; i < n; {
					for range tt.burst {
						p := udp(uint64(i), to)
						p.Timeout = 20 * time.Millisecond
						e.Send(p)
						i++
					}
					for done := 0; done < tt.burst; {
						for _, r := range e.Poll(time.Now().Add(time.Second), nil) {
							sum.add(r.Lost)
							done++
							if r.Reason == Timeout {
								lost++
							}
						}
					}
				}
				told := sum.Forward
				if !tt.forward {
					told = sum.Reverse
				}
				if lost < n/8 || told < lost*4/5 || sum.Forward+sum.Reverse != told || sum.Unknown > 0 {
					t.Errorf("%s: %d lost, %+v told; want most, in one direction", to, lost, sum)
				}
				t.Logf("%s: %d lost, %+v told; %+v", to, lost, sum, e.Stats())
			}
		})
	}
}

func TestOldUDPFlowsAreForgotten(t *testing.T) {
	f := newFlowTable(8)
	often := udpKey{to: netip.MustParseAddrPort("10.0.0.1:1")}
	first := f.use(often)
	for i := range uint16(100) {
		f.use(udpKey{to: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), i)})
		if f.use(often) != first || f.find(often) != first {
			t.Fatal("a flow in use was forgotten")
		}
		if n := len(f.young) + len(f.old); n > 8 {
			t.Fatalf("%d flows are kept; want 8 at most", n)
		}
	}
}
