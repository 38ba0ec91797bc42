package main

import (
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// natTable holds what every node has for its pods besides Services.
const natTable = "podnet-nat"

// baseRules gives a node what a healthy node has: pods reach the world outside
// the cluster under the node's address, connections are tracked, and nothing
// is dropped.
//
// Tracking needs a rule that looks at it: the kernel tracks nothing in a
// namespace where nobody asks.
func baseRules(netnsName string, p Plan) error {
	c, err := netspace.Nft(netnsName)
	if err != nil {
		return err
	}
	defer c.CloseLasting() //nolint:errcheck // the rules are in by then, or the error is known
	multicast4, multicast6 := netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("ff00::/8")
	pods4, pods6 := netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("fd00:244::/32")
	var inside4, inside6 []netip.Prefix
	for _, n := range p.Nodes {
		if n.Index%2 == 1 { // one per rack
			inside4, inside6 = append(inside4, n.Net4), append(inside6, n.Net6)
		}
	}
	addBaseTable(c, nftables.TableFamilyIPv4, pods4, append(inside4, pods4, multicast4))
	addBaseTable(c, nftables.TableFamilyIPv6, pods6, append(inside6, pods6, multicast6))
	if err := c.Flush(); err != nil {
		return fmt.Errorf("rules of %s: %w", netnsName, err)
	}
	return nil
}

func addBaseTable(c *nftables.Conn, f nftables.TableFamily, pods netip.Prefix, inside []netip.Prefix) {
	t := c.AddTable(&nftables.Table{Family: f, Name: natTable})
	for _, hook := range []struct {
		name string
		at   *nftables.ChainHook
	}{{"prerouting", nftables.ChainHookPrerouting}, {"output", nftables.ChainHookOutput}} {
		chain := c.AddChain(&nftables.Chain{
			Table: t, Name: hook.name, Type: nftables.ChainTypeFilter, Hooknum: hook.at, Priority: nftables.ChainPriorityMangle,
		})
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: append(stateIs(expr.CtStateBitNEW), &expr.Counter{})})
	}
	post := c.AddChain(&nftables.Chain{
		Table: t, Name: "postrouting", Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	exprs := address(from, expr.CmpOpEq, pods)
	for _, p := range inside {
		exprs = append(exprs, address(toward, expr.CmpOpNeq, p)...)
	}
	c.AddRule(&nftables.Rule{Table: t, Chain: post, Exprs: append(exprs, &expr.Counter{}, &expr.Masq{})})
}

// stateIs matches connections in one of the states.
func stateIs(states uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(states), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

// side is which address of a packet a rule looks at.
type side int

const (
	from side = iota
	toward
)

// address matches packets whose source or destination is (or is not) in the
// prefix; its family must be the table's.
func address(s side, op expr.CmpOp, p netip.Prefix) []expr.Any {
	length := uint32(p.Addr().BitLen() / 8)
	offset := uint32(12) // of the source address in the IPv4 header
	if length == 16 {
		offset = 8 // in the IPv6 header
	}
	if s == toward {
		offset += length
	}
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: length, Mask: ipNet(p).Mask, Xor: make([]byte, length)},
		&expr.Cmp{Op: op, Register: 1, Data: p.Masked().Addr().AsSlice()},
	}
}
