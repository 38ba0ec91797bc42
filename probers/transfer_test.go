package probers

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
)

func TestTransfer(t *testing.T) {
	silent := func(t *testing.T, _, router, _ *space) { router.dropTooBig(t) }
	narrow := func(end string) func(t *testing.T, near, router, far *space) {
		return func(t *testing.T, _, router, _ *space) {
			if err := router.link.LinkSetMTU(router.get(t, end), 1400); err != nil {
				t.Fatal(err)
			}
		}
	}
	both := func(steps ...func(t *testing.T, near, router, far *space)) func(t *testing.T, near, router, far *space) {
		return func(t *testing.T, near, router, far *space) {
			for _, f := range steps {
				f(t, near, router, far)
			}
		}
	}
	tests := []struct {
		name   string
		breaks func(t *testing.T, near, router, far *space)
		port   string
		size   int
		want   Reason
		stall  Ways
		mss    int // over IPv4; 20 less over IPv6, 0: not looked at
	}{
		{name: "a whole path", mss: 1448},
		{name: "as much as a responder sends", size: MaxTransfer, mss: 1448},
		{name: "a smaller MTU on the way, of which the router tells", breaks: narrow("eth1"), mss: 1348},
		{name: "a smaller MTU on the way back, of which the router tells", breaks: narrow("eth0")},
		{name: "large requests vanish", breaks: both(silent, narrow("eth1")), want: Timeout, stall: Forward},
		{name: "large answers vanish", breaks: both(silent, narrow("eth0")), want: Timeout, stall: Reverse},
		{name: "nobody listens", port: "9", want: Refused},
		{
			name:   "the target drops everything",
			breaks: func(t *testing.T, _, _, far *space) { far.filter(t, nftables.ChainHookInput, drop()) },
			want:   Timeout,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, host := range []string{"10.9.2.1", "[fd09:2::1]"} {
				near, router, far := routed(t)
				far.respond(t, ResponderOptions{})
				if tt.breaks != nil {
					tt.breaks(t, near, router, far)
				}
				if tt.port == "" {
					tt.port = "9798"
				}
				e := near.engine(t)
				p := Probe{Tag: 5, Kind: TCPTransfer, To: netip.MustParseAddrPort(host + ":" + tt.port), Timeout: time.Second, Size: tt.size}
				r := near.probe(t, e, p)
				if r.Tag != 5 || r.Reason != tt.want || r.Transfer == nil {
					t.Fatalf("%s: got %+v; want %q", host, r, tt.want)
				}
				got := *r.Transfer
				if got.Stalled() != tt.stall || tt.want == OK && (got.Received != got.Size || got.Size <= 2*got.MSS || got.Took <= 0 || r.RTT <= 0) {
					t.Errorf("%s: got %+v, stalled %v; want stalled %v", host, got, got.Stalled(), tt.stall)
				}
				mss := tt.mss
				if p.To.Addr().Is6() {
					mss -= 20
				}
				if tt.mss != 0 && got.MSS != mss {
					t.Errorf("%s: MSS %d; want %d", host, got.MSS, mss)
				}
				if s := e.Stats(); s.InFlight != 0 || e.wait.others != 0 {
					t.Errorf("%s: %+v, %d sockets polled; want nothing left", host, s, e.wait.others)
				}
				t.Logf("%s: %v %+v", host, r.RTT, got)
			}
		})
	}
}
