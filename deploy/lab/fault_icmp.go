package main

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// fewAnswers lets spine2 send one "time exceeded" a second in each family, as
// routers do whose control plane is protected. A Linux router has a limit of
// its own, per destination (net.ipv4.icmp_ratelimit); the fabric's is off.
func fewAnswers(l *Lab, n NodePlan) (string, []ruleset) {
	over := &expr.Limit{Type: expr.LimitTypePkts, Rate: 1, Unit: expr.LimitTimeSecond, Burst: 1, Over: true}
	return onSpine2(l, n), outputSets(
		[][]expr.Any{append(icmp4(ipv4.ICMPTypeTimeExceeded), over)},
		[][]expr.Any{append(icmp6(ipv6.ICMPTypeTimeExceeded), over)})
}

// noAnswers lets the switch of the node's rack send no ICMP error, and no
// reply to an echo request. It still says which packets are too big, and knows
// its neighbours: it is silent, not broken.
func noAnswers(l *Lab, n NodePlan) (string, []ruleset) {
	tooBig := &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{4}} // code "fragmentation needed", RFC 792
	code := &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 1, Len: 1}
	return onSwitch(l, n), outputSets(
		[][]expr.Any{
			icmp4(ipv4.ICMPTypeTimeExceeded), icmp4(ipv4.ICMPTypeEchoReply),
			append(icmp4(ipv4.ICMPTypeDestinationUnreachable), code, tooBig),
		},
		[][]expr.Any{
			icmp6(ipv6.ICMPTypeTimeExceeded), icmp6(ipv6.ICMPTypeEchoReply), icmp6(ipv6.ICMPTypeDestinationUnreachable),
		})
}

func outputSets(rules4, rules6 [][]expr.Any) []ruleset {
	return []ruleset{
		{nftables.TableFamilyIPv4, "OUTPUT", nftables.ChainHookOutput, rules4},
		{nftables.TableFamilyIPv6, "OUTPUT", nftables.ChainHookOutput, rules6},
	}
}

// icmp4 and icmp6 match messages of a type.
func icmp4(t ipv4.ICMPType) []expr.Any { return icmpType(unix.IPPROTO_ICMP, byte(t)) }
func icmp6(t ipv6.ICMPType) []expr.Any { return icmpType(unix.IPPROTO_ICMPV6, byte(t)) }

func icmpType(protocol, number byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{protocol}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{number}},
	}
}
