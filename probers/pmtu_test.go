package probers

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// path is a simulated one: what happens to a packet of a size.
type path func(size, try int) Result

func (s *PMTU) run(t *testing.T, at path) PMTUReport {
	t.Helper()
	for try := 0; ; try++ {
		p, ok := s.Next()
		if !ok {
			break
		}
		if _, again := s.Next(); again {
			t.Fatal("Next() returned a probe while another is in flight")
		}
		if try > 100 {
			t.Fatalf("the search does not end: %+v", s)
		}
		r := at(p.Size, try)
		r.Event, r.Tag = Done, p.Tag
		s.Add(Result{Event: Late, Tag: p.Tag})
		s.Add(r)
	}
	if !s.Ended() {
		t.Error("Next() has nothing more and the search has not ended")
	}
	return s.Report()
}

func TestPMTU(t *testing.T) {
	router := netip.MustParseAddr("10.0.0.1")
	frag := func(mtu int) Result {
		return Result{Reason: FragNeeded, ICMP: ICMPError{From: router, Type: unreachable4, Code: fragNeeded4, MTU: mtu}}
	}
	told := func(mtu int) ICMPError { return frag(mtu).ICMP }
	hole := func(mtu int) path {
		return func(size, _ int) Result {
			if size > mtu {
				return Result{Reason: Timeout}
			}
			return Result{}
		}
	}
	tests := []struct {
		name  string
		to    string
		upper int
		last  int
		path  path
		want  PMTUReport
	}{
		{
			name: "everything passes", to: "10.0.0.2", upper: 1500, path: hole(1500),
			want: PMTUReport{State: PMTUFull, MTU: 1500, Upper: 1500, Probes: 1},
		},
		{
			name: "the first packet is lost by chance", to: "10.0.0.2", upper: 1500,
			path: func(_, try int) Result {
				if try == 0 {
					return Result{Reason: Timeout}
				}
				return Result{}
			},
			want: PMTUReport{State: PMTUFull, MTU: 1500, Upper: 1500, Probes: 2},
		},
		{
			name: "a router says which MTU it has", to: "10.0.0.2", upper: 1500,
			path: func(size, _ int) Result {
				if size > 1400 {
					return frag(1400)
				}
				return Result{}
			},
			want: PMTUReport{State: PMTUSmaller, MTU: 1400, Upper: 1500, Told: told(1400), Probes: 2},
		},
		{
			name: "two routers say which MTU they have", to: "10.0.0.2", upper: 9000,
			path: func(size, _ int) Result {
				switch {
				case size > 1500:
					return frag(1500)
				case size > 1400:
					return frag(1400)
				}
				return Result{}
			},
			want: PMTUReport{State: PMTUSmaller, MTU: 1400, Upper: 9000, Told: told(1400), Probes: 3},
		},
		{
			name: "a router limits its ICMP errors", to: "10.0.0.2", upper: 1500,
			path: func(size, try int) Result {
				switch {
				case size > 1400 && try < 2:
					return Result{Reason: Timeout}
				case size > 1400:
					return frag(1400)
				}
				return Result{}
			},
			want: PMTUReport{State: PMTUSmaller, MTU: 1400, Upper: 1500, Told: told(1400), Probes: 4},
		},
		{
			name: "a router says that it does not fit and not what would", to: "10.0.0.2", upper: 1500,
			path: func(size, _ int) Result {
				if size > 1450 {
					return frag(0)
				}
				return Result{}
			},
			want: PMTUReport{State: PMTUSmaller, MTU: 1450, Upper: 1500, Told: told(0), Probes: 7},
		},
		{
			name: "a router names an MTU that is too large as well", to: "10.0.0.2", upper: 9000,
			path: func(size, _ int) Result {
				switch {
				case size > 1500:
					return frag(1500)
				case size > 1400:
					return Result{Reason: Timeout}
				}
				return Result{}
			},
			want: PMTUReport{State: PMTUBlackHole, MTU: 1400, Upper: 9000, Told: told(1500), Probes: 16},
		},
		{
			name: "a router names nonsense", to: "10.0.0.2", upper: 1500,
			path: func(size, _ int) Result {
				if size > 1450 {
					return frag(9000)
				}
				return Result{}
			},
			want: PMTUReport{State: PMTUSmaller, MTU: 1450, Upper: 1500, Told: told(9000), Probes: 7},
		},
		{
			name: "the interface itself refuses", to: "10.0.0.2", upper: 1500,
			path: func(size, _ int) Result {
				if size > 1450 {
					return Result{Reason: FragNeeded}
				}
				return Result{}
			},
			want: PMTUReport{State: PMTUSmaller, MTU: 1450, Upper: 1500, Probes: 7},
		},
		{
			name: "large IPv4 packets vanish", to: "10.0.0.2", upper: 1500, path: hole(1450),
			want: PMTUReport{State: PMTUBlackHole, MTU: 1450, Upper: 1500, Probes: 15},
		},
		{
			name: "large IPv4 packets vanish, as they did before", to: "10.0.0.2", upper: 1500, last: 1450, path: hole(1450),
			want: PMTUReport{State: PMTUBlackHole, MTU: 1450, Upper: 1500, Probes: 8},
		},
		{
			name: "large IPv4 packets vanish, fewer than before", to: "10.0.0.2", upper: 1500, last: 1400, path: hole(1450),
			want: PMTUReport{State: PMTUBlackHole, MTU: 1450, Upper: 1500, Probes: 19},
		},
		{
			name: "the hole is gone", to: "10.0.0.2", upper: 1500, last: 1400, path: hole(1500),
			want: PMTUReport{State: PMTUFull, MTU: 1500, Upper: 1500, Probes: 1},
		},
		{
			name: "large IPv6 packets vanish", to: "fd00::2", upper: 1500, path: hole(1280),
			want: PMTUReport{State: PMTUBlackHole, MTU: 1280, Upper: 1500, Probes: 19},
		},
		{
			name: "jumbo frames vanish behind a VXLAN of 8950", to: "10.0.0.2", upper: 9000, path: hole(8950),
			want: PMTUReport{State: PMTUBlackHole, MTU: 8950, Upper: 9000, Probes: 13},
		},
		{
			name: "nothing passes", to: "10.0.0.2", upper: 1500, path: hole(0),
			want: PMTUReport{State: PMTUUnknown, Upper: 1500, Reason: Timeout, Probes: 6},
		},
		{
			name: "the path carries less than it must", to: "fd00::2", upper: 1500, path: hole(1000),
			want: PMTUReport{State: PMTUUnknown, Upper: 1500, Reason: Timeout, Probes: 6},
		},
		{
			name: "the target cannot be reached", to: "10.0.0.2", upper: 1500,
			path: func(int, int) Result { return Result{Reason: HostUnreachable} },
			want: PMTUReport{State: PMTUUnknown, Upper: 1500, Reason: HostUnreachable, Probes: 1},
		},
		{
			name: "the prober is starved", to: "10.0.0.2", upper: 1500,
			path: func(int, int) Result { return Result{Reason: Impaired} },
			want: PMTUReport{State: PMTUUnknown, Upper: 1500, Reason: Impaired, Probes: 4},
		},
		{
			name: "an interface that is smaller than any path", to: "10.0.0.2", upper: 400, path: hole(400),
			want: PMTUReport{State: PMTUFull, MTU: 400, Upper: 400, Probes: 1},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := NewPMTU(PMTUOptions{
				Tag: 9, To: netip.AddrPortFrom(netip.MustParseAddr(tt.to), 0), Timeout: time.Second, Upper: tt.upper, Last: tt.last,
			})
			if diff := cmp.Diff(tt.want, s.run(t, tt.path), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPMTUFindsEverySize(t *testing.T) {
	for _, upper := range []int{1500, 9000, 65535} {
		worst := 0
		for mtu := minPMTU4; mtu <= upper; mtu += 1 + mtu/200 {
			s := NewPMTU(PMTUOptions{To: netip.MustParseAddrPort("10.0.0.2:0"), Upper: upper})
			got := s.run(t, func(size, _ int) Result {
				if size > mtu {
					return Result{Reason: Timeout}
				}
				return Result{}
			})
			if got.MTU != mtu {
				t.Errorf("path MTU of %d, upper %d: got %+v", mtu, upper, got)
			}
			worst = max(worst, got.Probes)
		}
		t.Logf("upper %d: at most %d probes", upper, worst)
	}
}

func TestVanishingIsKnownBeforeTheSize(t *testing.T) {
	tests := []struct {
		name string
		at   path
		want bool
	}{
		{"everything passes", func(int, int) Result { return Result{} }, false},
		{"nothing passes", func(int, int) Result { return Result{Reason: Timeout} }, false},
		{"large ones vanish", func(size, _ int) Result { return lostIf(size > 1410) }, true},
		{"one is lost", func(_, try int) Result { return lostIf(try == 0) }, false},
		{"large ones are refused", func(size, _ int) Result {
			if size > 1410 {
				return Result{Reason: FragNeeded, ICMP: ICMPError{From: netip.MustParseAddr("10.0.0.1"), MTU: 1410}}
			}
			return Result{}
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := NewPMTU(PMTUOptions{To: netip.MustParseAddrPort("10.0.9.2:0"), Upper: 1500})
			known := 0 // probes
			s.run(t, func(size, try int) Result {
				if s.Vanishing() && known == 0 {
					known = try
				}
				return tt.at(size, try)
			})
			if got := known > 0; got != tt.want {
				t.Errorf("known after %d probes; want %v", known, tt.want)
			}
			if tt.want && known > DefaultPMTUTries+1 {
				t.Errorf("known after %d probes; want %d", known, DefaultPMTUTries+1)
			}
		})
	}
}

func lostIf(lost bool) Result {
	if lost {
		return Result{Reason: Timeout}
	}
	return Result{}
}
