package probers

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

const (
	vip4, vip6 = "10.96.0.10", "fd96::10"
)

// nat adds a chain of NAT with one rule.
func (s *space) nat(t testing.TB, family nftables.TableFamily, hook *nftables.ChainHook, rule ...expr.Any) {
	t.Helper()
	c, err := nftables.New(nftables.WithNetNSFd(int(s.ns)))
	if err != nil {
		t.Fatal(err)
	}
	table := c.AddTable(&nftables.Table{Family: family, Name: "nat"})
	chain := c.AddChain(&nftables.Chain{Name: "nat", Table: table, Type: nftables.ChainTypeNAT, Hooknum: hook, Priority: nftables.ChainPriorityNATDest})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: rule})
	if err := c.Flush(); err != nil {
		t.Fatalf("nftables: %v", err)
	}
}

// service makes the target reachable by a virtual address, as kube-proxy does.
func (s *space) service(t testing.TB) {
	t.Helper()
	for _, is6 := range []bool{false, true} {
		vip, to := netip.MustParseAddr(vip4), diamondTarget(is6, 0).Addr()
		family, nfproto, offset := nftables.TableFamilyIPv4, uint32(unix.NFPROTO_IPV4), uint32(16)
		if is6 {
			vip, family, nfproto, offset = netip.MustParseAddr(vip6), nftables.TableFamilyIPv6, unix.NFPROTO_IPV6, 24
		}
		s.nat(t, family, nftables.ChainHookOutput,
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: uint32(vip.BitLen() / 8)},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: vip.AsSlice()},
			&expr.Immediate{Register: 1, Data: to.AsSlice()},
			&expr.NAT{Type: expr.NATTypeDestNAT, Family: nfproto, RegAddrMin: 1},
		)
	}
}

// TestTraceBehindASenderNAT hides the sender behind the first router, which
// translates what others quote back.
func TestTraceBehindASenderNAT(t *testing.T) {
	d := newDiamond(t)
	d.r1.nat(t, nftables.TableFamilyIPv4, nftables.ChainHookPostrouting, &expr.Masq{})
	d.r1.nat(t, nftables.TableFamilyIPv6, nftables.ChainHookPostrouting, &expr.Masq{})
	for _, i := range []string{"1", "2"} {
		via := map[string]string{"1": "3", "2": "4"}[i]
		d.dst.route(t, "10.20."+i+".0/24", "10.20."+via+".1", "", 0)
		d.dst.route(t, "fd20:"+i+"::/64", "fd20:"+via+"::1", "", 0)
	}
	everyTrace(t, d, func(t *testing.T, e *Engine, kind Kind, is6 bool) {
		for tag, r := range burst(t, e, sweep(kind, is6, 4, 4, 2*time.Second)) {
			atTarget := uint8(tag) > 2
			if r.Reason != reasonAt(kind, atTarget) || atTarget != (r.From == diamondTarget(is6, 0).Addr()) {
				t.Errorf("flow %d, TTL %d: %+v", tag>>8, uint8(tag), r)
			}
		}
	})
}

// TestTraceToAService goes to an address that this node translates: its kernel
// makes every ICMP error look as if it came from there.
func TestTraceToAService(t *testing.T) {
	d := newDiamond(t)
	d.src.service(t)
	everyTrace(t, d, func(t *testing.T, e *Engine, kind Kind, is6 bool) {
		vip := netip.MustParseAddr(vip4)
		if is6 {
			vip = netip.MustParseAddr(vip6)
		}
		probes := sweep(kind, is6, 4, 4, 2*time.Second)
		for i := range probes {
			probes[i].To = netip.AddrPortFrom(vip, 0)
		}
		for tag, r := range burst(t, e, probes) {
			if r.Reason != reasonAt(kind, uint8(tag) > 2) || r.From != vip {
				t.Errorf("flow %d, TTL %d: %+v", tag>>8, uint8(tag), r)
			}
		}
	})
}

// reasonAt is the outcome of a trace to a target where nobody listens.
func reasonAt(kind Kind, target bool) Reason {
	switch {
	case !target:
		return TTLExceeded
	case kind == TraceUDP:
		return PortUnreachable
	case kind == TraceTCP:
		return Refused
	}
	return OK
}
