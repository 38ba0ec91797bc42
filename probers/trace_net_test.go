package probers

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// diamond is a network with two ways of equal cost:
//
//	        +-- upper --+
//	src -- r1           dst
//	        +-- lower --+
//
// Links have the numbers 0 (src, r1), 1 (r1, upper), 2 (r1, lower), 3 (upper,
// dst) and 4 (lower, dst), and addresses 10.20.N.1 and .2, fd20:N::1 and ::2,
// the .1 nearer to src. The target is 10.20.9.9 and fd20:9::9.
type diamond struct {
	src, r1, upper, lower, dst *space
}

const (
	diamond4, diamond6 = "10.20.9.9", "fd20:9::9"
)

func newDiamond(t testing.TB) diamond {
	t.Helper()
	f := diamond{newSpace(t), newSpace(t), newSpace(t), newSpace(t), newSpace(t)}
	for _, s := range []*space{f.src, f.r1, f.upper, f.lower, f.dst} {
		for name, value := range map[string]string{
			"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1",
			"net/ipv4/conf/all/rp_filter": "0", "net/ipv4/conf/default/rp_filter": "0",
			"net/ipv4/icmp_ratelimit": "0", "net/ipv6/icmp/ratelimit": "0",
			"net/ipv4/icmp_msgs_per_sec": "100000", "net/ipv4/icmp_msgs_burst": "100000",
			"net/ipv4/fib_multipath_hash_policy": "1", "net/ipv6/fib_multipath_hash_policy": "1",
		} {
			s.sysctl(t, name, value)
		}
	}
	for i, ends := range [][2]*space{{f.src, f.r1}, {f.r1, f.upper}, {f.r1, f.lower}, {f.upper, f.dst}, {f.lower, f.dst}} {
		name := fmt.Sprintf("link%d", i)
		wire(t, ends[0], ends[1], name)
		ends[0].address(t, name, fmt.Sprintf("10.20.%d.1/24", i), fmt.Sprintf("fd20:%d::1/64", i))
		ends[1].address(t, name, fmt.Sprintf("10.20.%d.2/24", i), fmt.Sprintf("fd20:%d::2/64", i))
	}
	f.dst.address(t, "lo", diamond4+"/32", diamond6+"/128")
	f.src.via(t, "10.20.0.2", "fd20:0::2")
	f.r1.ways(t, [2]string{"10.20.1.2", "10.20.2.2"}, [2]string{"fd20:1::2", "fd20:2::2"})
	f.upper.via(t, "10.20.3.2", "fd20:3::2")
	f.lower.via(t, "10.20.4.2", "fd20:4::2")
	f.upper.back(t, "10.20.1.1", "fd20:1::1")
	f.lower.back(t, "10.20.2.1", "fd20:2::1")
	f.dst.back(t, "10.20.3.1", "fd20:3::1")
	return f
}

// via adds default routes.
func (s *space) via(t testing.TB, gateways ...string) {
	t.Helper()
	for _, g := range gateways {
		all := "0.0.0.0/0"
		if netip.MustParseAddr(g).Is6() {
			all = "::/0"
		}
		s.route(t, all, g, "", 0)
	}
}

// back adds routes to link 0.
func (s *space) back(t testing.TB, gateway4, gateway6 string) {
	t.Helper()
	s.route(t, "10.20.0.0/24", gateway4, "", 0)
	s.route(t, "fd20::/64", gateway6, "", 0)
}

// ways adds routes of two ways to the target.
func (s *space) ways(t testing.TB, families ...[2]string) {
	t.Helper()
	for i, gateways := range families {
		_, dst, _ := net.ParseCIDR([]string{"10.20.9.0/24", "fd20:9::/64"}[i])
		r := &netlink.Route{Dst: dst}
		for _, g := range gateways {
			r.MultiPath = append(r.MultiPath, &netlink.NexthopInfo{Gw: net.ParseIP(g)})
		}
		if err := s.link.RouteAdd(r); err != nil {
			t.Fatalf("multipath route: %v", err)
		}
	}
}

// burst sends all probes at once and returns their outcomes by tag.
func burst(t testing.TB, e *Engine, probes []Probe) map[uint64]Result {
	t.Helper()
	for _, p := range probes {
		e.Send(p)
	}
	got := map[uint64]Result{}
	var out []Result
	for len(got) < len(probes) {
		out = e.Poll(time.Now().Add(10*time.Second), out[:0])
		if len(out) == 0 {
			t.Fatalf("nothing happened for 10 s: %d of %d outcomes, %+v", len(got), len(probes), e.Stats())
		}
		for _, r := range out {
			if r.Event == Done {
				got[r.Tag] = r
			} else {
				t.Errorf("unexpected %+v", r)
			}
		}
	}
	if err := e.Err(); err != nil {
		t.Error(err)
	}
	return got
}
