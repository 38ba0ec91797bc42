package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/podnet-exporter/podnet_exporter/deploy/internal/netspace"
)

// faultTable is the nftables table that holds the rules of a fault, so that
// faults do not hinder one another and clearing one is deleting its tables.
func faultTable(id string) string { return "podnet-fault-" + id }

// place says in which namespace the rules of a fault are.
type place func(l *Lab, n NodePlan) string

func onNode(_ *Lab, n NodePlan) string     { return n.Netns }
func inEndpoint(_ *Lab, n NodePlan) string { return n.EndpointNetns }
func onSwitch(l *Lab, n NodePlan) string   { return l.Plan.Netns(n.ToR) }

// ruleset is one base chain of a fault, in a table of its family.
type ruleset struct {
	family nftables.TableFamily
	chain  string // named after its hook, as iptables does
	hook   *nftables.ChainHook
	rules  [][]expr.Any // what each of them matches, and for replaceTables also what it does
}

// dropRules says which packets a fault drops, and where.
type dropRules func(l *Lab, n NodePlan) (netnsName string, sets []ruleset)

// forwardDrop drops what pods of the node exchange with other nodes, in the
// FORWARD hook. What the node itself exchanges with its pods is not forwarded.
func forwardDrop(l *Lab, n NodePlan) (string, []ruleset) {
	device4, device6 := "flannel.1", "flannel-v6.1"
	if l.Plan.CNI == cniRouted {
		device4, device6 = "eth0", "eth0"
	}
	both := func(device string, pods netip.Prefix) [][]expr.Any {
		return [][]expr.Any{
			append(byDevice(expr.MetaKeyIIFNAME, device), address(toward, expr.CmpOpEq, pods)...),
			append(byDevice(expr.MetaKeyOIFNAME, device), address(from, expr.CmpOpEq, pods)...),
		}
	}
	return onNode(l, n), []ruleset{
		{nftables.TableFamilyIPv4, "FORWARD", nftables.ChainHookForward, both(device4, n.PodCIDR4)},
		{nftables.TableFamilyIPv6, "FORWARD", nftables.ChainHookForward, both(device6, n.PodCIDR6)},
	}
}

// outputDrop drops what the node itself sends to the next node and its pods,
// and with it the tunnel packets to that node.
func outputDrop(l *Lab, n NodePlan) (string, []ruleset) {
	peer := l.Plan.next(n)
	to := func(p netip.Prefix) []expr.Any { return address(toward, expr.CmpOpEq, p) }
	return onNode(l, n), []ruleset{
		{nftables.TableFamilyIPv4, "OUTPUT", nftables.ChainHookOutput, [][]expr.Any{to(single(peer.Addr4)), to(peer.PodCIDR4)}},
		{nftables.TableFamilyIPv6, "OUTPUT", nftables.ChainHookOutput, [][]expr.Any{to(single(peer.Addr6)), to(peer.PodCIDR6)}},
	}
}

// podInputDrop drops all that reaches the endpoint pod from outside.
func podInputDrop(l *Lab, n NodePlan) (string, []ruleset) {
	outside := [][]expr.Any{byDevice(expr.MetaKeyIIFNAME, "eth0")}
	return inEndpoint(l, n), []ruleset{
		{nftables.TableFamilyIPv4, "INPUT", nftables.ChainHookInput, outside},
		{nftables.TableFamilyIPv6, "INPUT", nftables.ChainHookInput, outside},
	}
}

// portFiltered drops TCP to the endpoint's port, inside its pod.
func portFiltered(l *Lab, n NodePlan) (string, []ruleset) {
	port := [][]expr.Any{append(byDevice(expr.MetaKeyIIFNAME, "eth0"), port(unix.IPPROTO_TCP, endpointPort)...)}
	return inEndpoint(l, n), []ruleset{
		{nftables.TableFamilyIPv4, "INPUT", nftables.ChainHookInput, port},
		{nftables.TableFamilyIPv6, "INPUT", nftables.ChainHookInput, port},
	}
}

// overlayBlocked drops tunnel packets from and to the node on its rack's
// switch, as an access list would: whether they stay in the rack, leave it, or
// come from another.
func overlayBlocked(l *Lab, n NodePlan) (string, []ruleset) {
	match := func(s side) [][]expr.Any {
		var rules [][]expr.Any
		for _, a := range []netip.Addr{n.Addr4, n.Addr6} {
			rule := append(etherType(a), address(s, expr.CmpOpEq, single(a))...)
			rules = append(rules, append(rule, port(unix.IPPROTO_UDP, vxlanPort)...))
		}
		return rules
	}
	return onSwitch(l, n), []ruleset{
		{nftables.TableFamilyBridge, "PREROUTING", nftables.ChainHookPrerouting, match(from)},
		{nftables.TableFamilyBridge, "POSTROUTING", nftables.ChainHookPostrouting, match(toward)},
	}
}

// injectRules returns the step that puts a fault's rules in place.
func injectRules(id string, drop dropRules) func(context.Context, *Lab, NodePlan) error {
	return func(_ context.Context, l *Lab, n NodePlan) error {
		netnsName, sets := drop(l, n)
		for _, set := range sets {
			for i, match := range set.rules {
				set.rules[i] = slices.Concat(match, []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}})
			}
		}
		return replaceTables(netnsName, faultTable(id), sets)
	}
}

// replaceTables makes the tables of that name in a namespace, one per family,
// hold these rules and no others.
func replaceTables(netnsName, name string, sets []ruleset) error {
	return placeTables(netnsName, name, *nftables.ChainPriorityFilter, sets)
}

// placeTables is replaceTables for chains of another priority.
func placeTables(netnsName, name string, priority nftables.ChainPriority, sets []ruleset) error {
	c, err := netspace.Nft(netnsName)
	if err != nil {
		return err
	}
	defer c.CloseLasting() //nolint:errcheck // the rules are in by then, or the error is known
	if err := deleteTables(c, name); err != nil {
		return err
	}
	tables := map[nftables.TableFamily]*nftables.Table{}
	for _, set := range sets {
		t := tables[set.family]
		if t == nil {
			t = c.AddTable(&nftables.Table{Family: set.family, Name: name})
			tables[set.family] = t
		}
		addRules(c, t, priority, set)
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("rules in %s: %w", netnsName, err)
	}
	return nil
}

func addRules(c *nftables.Conn, t *nftables.Table, priority nftables.ChainPriority, set ruleset) {
	chain := c.AddChain(&nftables.Chain{
		Table: t, Name: set.chain, Type: nftables.ChainTypeFilter, Hooknum: set.hook, Priority: &priority,
	})
	for _, exprs := range set.rules {
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: exprs})
	}
}

// clearRules returns the step that removes a fault's rules.
func clearRules(id string, where place) func(context.Context, *Lab, NodePlan) error {
	return func(_ context.Context, l *Lab, n NodePlan) error {
		c, err := netspace.Nft(where(l, n))
		if err != nil {
			return err
		}
		defer c.CloseLasting() //nolint:errcheck // nothing was sent that Flush did not answer
		return deleteTables(c, faultTable(id))
	}
}

// deleteTables deletes the tables of that name, of every family; there may be
// none.
func deleteTables(c *nftables.Conn, name string) error {
	tables, err := c.ListTables()
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == name {
			c.DelTable(t)
		}
	}
	if err := c.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("delete table %s: %w", name, err)
	}
	return nil
}

// byDevice matches packets by the name of the device they come in or go out by.
func byDevice(key expr.MetaKey, name string) []expr.Any {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: padded},
	}
}

// port matches packets of a transport protocol to a port. Fragments after the
// first have none, and do not match.
func port(protocol byte, number uint16) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{protocol}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, number)},
	}
}

// etherType matches frames that carry the address's family, which a bridge
// sees among others.
func etherType(a netip.Addr) []expr.Any {
	number := uint16(unix.ETH_P_IP)
	if a.Is6() {
		number = unix.ETH_P_IPV6
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, number)},
	}
}
